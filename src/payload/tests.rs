//! Each model's first values, and what holds of all: purity, ranges, sizes.

mod forms;
mod values;

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::inventory::{
    GenerateSpec, Inventory, ListOptions, NameKind, Speaker, Template, generate, load_csv,
};
use crate::model::DeviceIx;

/// Two devices, with columns.
fn list() -> Inventory {
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = "name,serial,level,on\nd1,S1,7.50,true\nd2,\"S\"\"2\",-2.5,false\n";
    std::fs::write(file.path(), text).unwrap();
    let options = ListOptions {
        name_column: "name",
        keep: &["serial".to_owned(), "level".to_owned(), "on".to_owned()],
        keep_if_there: &[],
    };
    load_csv(file.path(), &options).unwrap()
}

fn made_up(count: u32) -> Inventory {
    generate(&GenerateSpec {
        count,
        kind: NameKind::Mac,
        oui: None,
        prefix: None,
        seed: 1,
    })
}

/// Every ten seconds by seed 42.
fn sending(form: Form, layout: Layout) -> Result<Payload, Unfit> {
    let layout = Layout {
        interval: Duration::from_secs(10),
        ..layout
    };
    Payload::new(42, form, layout)
}

fn of(model: Model) -> Form {
    assert_eq!(model.faults(), []);
    Form::values(vec![Reading::new("v", model)])
}

fn text(payload: &Payload, list: &Inventory, device: u32, message: u32) -> String {
    let bytes = payload.at(
        &Speaker::listed(list, DeviceIx(device)),
        message,
        1_700_000_000_000,
    );
    String::from_utf8(bytes.unwrap().to_vec()).unwrap()
}

/// The value `v` of a message.
fn v(payload: &Payload, list: &Inventory, device: u32, message: u32) -> Value {
    let message: Value = serde_json::from_str(&text(payload, list, device, message)).unwrap();
    message["v"].clone()
}

fn template(text: &str) -> Template {
    Template::compile_knowing(text, &TEMPLATE_NAMES).unwrap()
}

fn uniform(min: f64, max: f64, grain: Grain) -> Model {
    Model::Uniform { min, max, grain }
}

fn normal(mean: f64, sd: f64, (min, max): (Option<f64>, Option<f64>), grain: Grain) -> Model {
    Model::Normal {
        mean,
        sd,
        min,
        max,
        grain,
    }
}

fn walk(start: f64, step: f64, (min, max): (f64, f64), grain: Grain) -> Model {
    Model::Walk {
        start,
        step,
        min,
        max,
        grain,
    }
}

/// 20 ± 5 within two minutes.
fn sine(phase: Option<f64>, noise: f64, grain: Grain) -> Model {
    Model::Sine {
        mean: 20.0,
        amplitude: 5.0,
        period: Duration::from_mins(2),
        phase,
        noise,
        grain,
    }
}

fn drift(per_hour: f64, noise: f64, grain: Grain) -> Model {
    Model::Drift {
        start: 100.0,
        per_hour,
        noise,
        grain,
    }
}

fn counter(start: Number, step: Number, wrap: Option<Number>, grain: Grain) -> Model {
    Model::Counter {
        start,
        step,
        wrap,
        grain,
    }
}

fn column(column: &str, kind: ColumnKind) -> Model {
    Model::Column {
        column: column.to_owned(),
        kind,
    }
}

fn models() -> Vec<(&'static str, Model)> {
    use Number::{Real, Whole};
    let (full, whole, fine) = (Grain::Full, Grain::Whole, Grain::Decimals(2));
    let track = Track {
        latitude: 52.52,
        longitude: 13.405,
        radius: 500.0,
        period: Duration::from_mins(10),
    };
    let words = vec![
        json!("ok"),
        json!("warning"),
        json!(null),
        json!({"code": 3}),
    ];
    let choice = Choice::new(words, Some(&[6.0, 3.0, 0.5, 0.5])).unwrap();
    let text = template("{{ name }}/{{ index }}/{{ tick }}/{{ row.serial }}");
    let tenths = counter(Real(0.0), Real(0.1), Some(Real(0.5)), Grain::Decimals(1));
    let degrees = Grain::Decimals(6);
    vec![
        ("constant", Model::Constant(json!([1, {"a": "x"}]))),
        ("text", Model::Text(text)),
        ("counter", counter(Whole(5), Whole(3), None, full)),
        ("counter, down", counter(Whole(1), Whole(-2), None, full)),
        (
            "counter, 4 bits",
            counter(Whole(7), Whole(5), Some(Whole(16)), full),
        ),
        ("counter, tenths", tenths),
        ("uniform", uniform(18.0, 25.0, full)),
        ("uniform, decimals", uniform(18.0, 25.0, fine)),
        ("uniform, whole", uniform(-1.0, 1.0, whole)),
        ("normal", normal(21.5, 2.0, (None, None), full)),
        (
            "normal, bounded",
            normal(21.5, 2.0, (Some(21.0), Some(22.0)), fine),
        ),
        ("walk", walk(50.0, 1.0, (0.0, 100.0), full)),
        ("walk, narrow", walk(1.0, 3.0, (0.0, 2.0), fine)),
        ("sine", sine(None, 0.0, Grain::Decimals(6))),
        ("sine, phase and noise", sine(Some(0.25), 0.1, fine)),
        ("drift", drift(-36.0, 0.0, Grain::Decimals(3))),
        ("drift, noise", drift(-36.0, 0.5, fine)),
        ("choice", Model::Choice(choice)),
        ("latitude", Model::Latitude(track.clone(), degrees)),
        ("longitude", Model::Longitude(track, degrees)),
        ("column, string", column("serial", ColumnKind::Text)),
        ("column, number", column("level", ColumnKind::Number)),
        ("column, boolean", column("on", ColumnKind::Boolean)),
    ]
}
