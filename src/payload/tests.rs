//! Each model's first values, and what holds of all: purity, ranges, sizes.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::inventory::{
    GenerateSpec, Inventory, ListOptions, NameKind, Template, generate, load_csv,
};
use crate::model::DeviceIx;

/// Two devices, with columns.
fn list() -> Inventory {
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = "name,serial,level,on\nd1,\"S\"\"1\",007.5,true\nd2,S2,-2.5,false\n";
    let text = text.replace("007.5", "7.50");
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
    let bytes = payload.at(list, DeviceIx(device), message, 1_700_000_000_000);
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

fn models() -> Vec<(&'static str, Model)> {
    let (whole, fine) = (Grain::Whole, Grain::Decimals(2));
    let track = Track {
        latitude: 52.52,
        longitude: 13.405,
        radius: 500.0,
        period: Duration::from_mins(10),
    };
    let column = |column: &str, kind| Model::Column {
        column: column.to_owned(),
        kind,
    };
    let counter = |start, step, wrap, grain| Model::Counter {
        start,
        step,
        wrap,
        grain,
    };
    let words = vec![
        json!("ok"),
        json!("warning"),
        json!(null),
        json!({"code": 3}),
    ];
    vec![
        ("constant", Model::Constant(json!([1, {"a": "x"}]))),
        (
            "text",
            Model::Text(template(
                "{{ name }}/{{ index }}/{{ tick }}/{{ row.serial }}",
            )),
        ),
        (
            "counter",
            counter(Number::Whole(5), Number::Whole(3), None, Grain::Full),
        ),
        (
            "counter, down",
            counter(Number::Whole(1), Number::Whole(-2), None, Grain::Full),
        ),
        (
            "counter, 4 bits",
            counter(
                Number::Whole(7),
                Number::Whole(5),
                Some(Number::Whole(16)),
                Grain::Full,
            ),
        ),
        (
            "counter, tenths",
            counter(
                Number::Real(0.0),
                Number::Real(0.1),
                Some(Number::Real(0.5)),
                Grain::Decimals(1),
            ),
        ),
        (
            "uniform",
            Model::Uniform {
                min: 18.0,
                max: 25.0,
                grain: Grain::Full,
            },
        ),
        (
            "uniform, decimals",
            Model::Uniform {
                min: 18.0,
                max: 25.0,
                grain: fine,
            },
        ),
        (
            "uniform, whole",
            Model::Uniform {
                min: -1.0,
                max: 1.0,
                grain: whole,
            },
        ),
        (
            "normal",
            Model::Normal {
                mean: 21.5,
                sd: 2.0,
                min: None,
                max: None,
                grain: Grain::Full,
            },
        ),
        (
            "normal, bounded",
            Model::Normal {
                mean: 21.5,
                sd: 2.0,
                min: Some(21.0),
                max: Some(22.0),
                grain: fine,
            },
        ),
        (
            "walk",
            Model::Walk {
                start: 50.0,
                step: 1.0,
                min: 0.0,
                max: 100.0,
                grain: Grain::Full,
            },
        ),
        (
            "walk, narrow",
            Model::Walk {
                start: 1.0,
                step: 3.0,
                min: 0.0,
                max: 2.0,
                grain: fine,
            },
        ),
        (
            "sine",
            Model::Sine {
                mean: 20.0,
                amplitude: 5.0,
                period: Duration::from_mins(2),
                phase: None,
                noise: 0.0,
                grain: Grain::Decimals(6),
            },
        ),
        (
            "sine, phase and noise",
            Model::Sine {
                mean: 20.0,
                amplitude: 5.0,
                period: Duration::from_mins(2),
                phase: Some(0.25),
                noise: 0.1,
                grain: fine,
            },
        ),
        (
            "drift",
            Model::Drift {
                start: 100.0,
                per_hour: -36.0,
                noise: 0.0,
                grain: Grain::Decimals(3),
            },
        ),
        (
            "drift, noise",
            Model::Drift {
                start: 100.0,
                per_hour: -36.0,
                noise: 0.5,
                grain: fine,
            },
        ),
        (
            "choice",
            Model::Choice(Choice::new(words, Some(&[6.0, 3.0, 0.5, 0.5])).unwrap()),
        ),
        (
            "latitude",
            Model::Latitude(track.clone(), Grain::Decimals(6)),
        ),
        ("longitude", Model::Longitude(track, Grain::Decimals(6))),
        ("column, string", column("serial", ColumnKind::Text)),
        ("column, number", column("level", ColumnKind::Number)),
        ("column, boolean", column("on", ColumnKind::Boolean)),
    ]
}

/// `UPDATE_GOLDEN=1` writes what is found, for a look at the difference. A changed golden means
/// that the same seed no longer gives the same values: that is a breaking change.
#[test]
fn the_first_ten_values_of_each_model_stay_what_they_are() {
    use std::fmt::Write as _;
    let list = list();
    let mut found = String::new();
    for (name, model) in models() {
        let payload = sending(of(model), Layout::default()).unwrap();
        for device in 0..2 {
            writeln!(found, "{name}, device {device}").unwrap();
            for message in 0..10 {
                writeln!(found, "  {}", text(&payload, &list, device, message)).unwrap();
            }
        }
    }
    for preset in [
        Preset::SmartMeter,
        Preset::SmartTracker,
        Preset::IndustrialPlc { lines: 3 },
        Preset::Random,
    ] {
        let payload = sending(Form::Preset(preset), Layout::default()).unwrap();
        writeln!(found, "{preset:?}").unwrap();
        for message in 0..10 {
            let message = text(&payload, &list, 0, message);
            let short: String = message.chars().take(120).collect();
            writeln!(found, "  {} {short}", message.len()).unwrap();
        }
    }
    let golden = "fixtures/payload/models.txt";
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(golden, &found).unwrap();
    }
    let expected = std::fs::read_to_string(golden).unwrap_or_default();
    assert_eq!(found, expected, "{golden}");
}

#[test]
fn the_order_of_asking_and_who_asks_change_nothing() {
    let list = made_up(40);
    let readings = models()
        .into_iter()
        .filter(|(_, model)| !matches!(model, Model::Column { .. } | Model::Text(_)))
        .map(|(name, model)| Reading::new(name, model))
        .collect();
    let layout = Layout {
        stamp: Stamp::From(0),
        batch: 2,
        ..Layout::default()
    };
    let payload = sending(Form::values(readings), layout).unwrap();
    let all = |devices: &mut dyn Iterator<Item = u32>| -> Vec<(u32, u32, String)> {
        let mut all = Vec::new();
        for device in devices {
            for message in [3, 0, 999, 1, 2] {
                all.push((device, message, text(&payload, &list, device, message)));
            }
        }
        all.sort();
        all
    };
    let alone = all(&mut (0..40));
    assert_eq!(alone, all(&mut (0..40).rev()));
    let together = std::thread::scope(|scope| {
        let all = &all;
        let workers: Vec<_> = (0..4)
            .map(|worker| scope.spawn(move || all(&mut (worker..40).step_by(4))))
            .collect();
        let mut rows: Vec<_> = workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap())
            .collect();
        rows.sort();
        rows
    });
    assert_eq!(alone, together);
    // No two devices say the same, and no device twice.
    let mut texts: Vec<_> = alone.iter().map(|(_, _, text)| text).collect();
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), alone.len());
}

#[test]
fn another_value_beside_it_changes_no_value() {
    let list = list();
    let model = || Model::Uniform {
        min: 0.0,
        max: 1.0,
        grain: Grain::Full,
    };
    let alone = sending(of(model()), Layout::default()).unwrap();
    let beside = Form::values(vec![Reading::new("u", model()), Reading::new("v", model())]);
    let beside = sending(beside, Layout::default()).unwrap();
    assert_eq!(v(&alone, &list, 0, 7), v(&beside, &list, 0, 7));
    let both: Value = serde_json::from_str(&text(&beside, &list, 0, 7)).unwrap();
    assert_ne!(both["u"], both["v"]);
}

#[test]
fn means_and_deviations_are_those_asked_for() {
    let list = made_up(100);
    let moments = |model: Model| {
        let payload = sending(of(model), Layout::default()).unwrap();
        let values: Vec<f64> = (0..100)
            .flat_map(|device| (0..100).map(move |message| (device, message)))
            .map(|(device, message)| v(&payload, &list, device, message).as_f64().unwrap())
            .collect();
        let mean = values.iter().sum::<f64>() / 1e4;
        let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 1e4;
        (mean, variance.sqrt())
    };
    let grain = Grain::Full;
    // Standard errors of the mean are a hundredth of the deviation; five of them are allowed.
    for (name, model, mean, sd) in [
        (
            "uniform",
            Model::Uniform {
                min: -6.0,
                max: 6.0,
                grain,
            },
            0.0,
            12.0 / 12f64.sqrt(),
        ),
        (
            "whole",
            Model::Uniform {
                min: 1.0,
                max: 6.0,
                grain: Grain::Whole,
            },
            3.5,
            (35.0f64 / 12.0).sqrt(),
        ),
        (
            "normal",
            Model::Normal {
                mean: 5.0,
                sd: 3.0,
                min: None,
                max: None,
                grain,
            },
            5.0,
            3.0,
        ),
        (
            "sine",
            Model::Sine {
                mean: 1.0,
                amplitude: 2.0,
                period: Duration::from_secs(77),
                phase: None,
                noise: 0.0,
                grain,
            },
            1.0,
            2f64.sqrt(),
        ),
        (
            "drift",
            Model::Drift {
                start: 9.0,
                per_hour: 0.0,
                noise: 0.5,
                grain,
            },
            9.0,
            0.5,
        ),
        // Turning back at near bounds, it is soon anywhere between them alike.
        (
            "walk",
            Model::Walk {
                start: 0.0,
                step: 40.0,
                min: -6.0,
                max: 6.0,
                grain,
            },
            0.0,
            12.0 / 12f64.sqrt(),
        ),
    ] {
        let (found, deviation) = moments(model);
        assert!((found - mean).abs() < sd * 0.05, "{name}: mean {found}");
        assert!(
            (deviation / sd - 1.0).abs() < 0.05,
            "{name}: deviation {deviation}"
        );
    }
}

#[test]
fn choices_come_as_often_as_their_weights_say() {
    let list = made_up(100);
    let choice = Choice::new(
        vec![json!("a"), json!("b"), json!("never")],
        Some(&[9.0, 1.0, 0.0]),
    );
    let payload = sending(of(Model::Choice(choice.unwrap())), Layout::default()).unwrap();
    let mut counts = std::collections::BTreeMap::new();
    for device in 0..100 {
        for message in 0..100 {
            *counts
                .entry(v(&payload, &list, device, message).to_string())
                .or_insert(0) += 1;
        }
    }
    // 1,000 with a standard deviation of 30.
    assert_eq!(counts.len(), 2, "{counts:?}");
    assert!((850..1150).contains(&counts["\"b\""]), "{counts:?}");
}

#[test]
fn counters_go_by_their_formula_at_any_tick() {
    let list = list();
    let counter = |start, step, wrap| {
        let counter = Model::Counter {
            start,
            step,
            wrap,
            grain: Grain::Full,
        };
        sending(of(counter), Layout::default()).unwrap()
    };
    let whole = Number::Whole;
    let far = counter(whole(0), whole(1_000_000_000_000_000), None);
    assert_eq!(
        v(&far, &list, 0, u32::MAX),
        json!(i64::MAX),
        "it stays at the end"
    );
    let wrapping = counter(whole(65_535), whole(1), Some(whole(65_536)));
    assert_eq!(v(&wrapping, &list, 0, 1), json!(0));
    assert_eq!(v(&wrapping, &list, 0, u32::MAX), json!(65_534));
    let backwards = counter(whole(0), whole(-1), Some(whole(10)));
    assert_eq!(v(&backwards, &list, 0, 1), json!(9));
}

#[test]
fn a_template_names_values_and_is_sent_as_it_comes_out() {
    let list = list();
    let readings = vec![
        Reading::new(
            "t",
            Model::Uniform {
                min: 1.0,
                max: 1.0,
                grain: Grain::Decimals(1),
            },
        ),
        Reading::new(
            "c",
            Model::Constant(json!({"deep": [1, 2.5, "x", null, true]})),
        ),
        Reading::new(
            "n",
            Model::Column {
                column: "level".to_owned(),
                kind: ColumnKind::Number,
            },
        ),
    ];
    let source = r#"
        {"name":{{ name | tojson }},"serial":{{ row.serial | tojson }},"tick":{{ tick }},"at":{{ ts }},
        "t":{{ values.t }},"deep":{{ values.c.deep | tojson }},"n":{{ values.n }}}
    "#;
    let payload = sending(
        Form::Template(template(source), readings),
        Layout::default(),
    )
    .unwrap();
    assert_eq!(payload.prove(&list, "telemetry"), Ok(()));
    let message: Value = serde_json::from_str(&text(&payload, &list, 0, 4)).unwrap();
    let expected = json!({"name": "d1", "serial": "S\"1", "tick": 4, "at": 1_700_000_000_000u64,
        "t": 1.0, "deep": [1, 2.5, "x", null, true], "n": 7.5});
    assert_eq!(message, expected);
}

#[test]
fn a_batch_has_the_readings_since_the_last_message_with_their_times() {
    let list = list();
    let counter = || {
        of(Model::Counter {
            start: Number::Whole(0),
            step: Number::Whole(1),
            wrap: None,
            grain: Grain::Full,
        })
    };
    let with = |stamp, batch| {
        let layout = Layout {
            stamp,
            batch,
            ..Layout::default()
        };
        text(&sending(counter(), layout).unwrap(), &list, 0, 1)
    };
    assert_eq!(with(Stamp::None, 1), r#"{"v":1}"#);
    assert_eq!(
        with(Stamp::Sent, 1),
        r#"{"ts":1700000000000,"values":{"v":1}}"#
    );
    // Four readings in the 10 s between messages; the last is of the time of sending.
    let batch = concat!(
        r#"[{"ts":1699999992500,"values":{"v":4}},{"ts":1699999995000,"values":{"v":5}},"#,
        r#"{"ts":1699999997500,"values":{"v":6}},{"ts":1700000000000,"values":{"v":7}}]"#
    );
    assert_eq!(with(Stamp::Sent, 4), batch);
    assert_eq!(with(Stamp::From(5), 1), r#"{"ts":10005,"values":{"v":1}}"#);
}

#[test]
fn each_message_has_exactly_the_size_asked_for() {
    let list = list();
    for (stamp, batch) in [(Stamp::None, 1), (Stamp::Sent, 1), (Stamp::Sent, 3)] {
        let form = Form::values(
            models()
                .into_iter()
                .map(|(name, model)| Reading::new(name, model))
                .collect(),
        );
        let layout = Layout {
            stamp,
            batch,
            size: Some(6000),
            ..Layout::default()
        };
        let payload = sending(form, layout).unwrap();
        for message in 0..20 {
            for device in 0..2 {
                let message = text(&payload, &list, device, message);
                assert_eq!(message.len(), 6000);
                serde_json::from_str::<Value>(&message).unwrap();
            }
        }
    }
    let empty = Form::Parts(vec![Part::Raw("{}".to_owned())]);
    let layout = |size| Layout {
        size: Some(size),
        ..Layout::default()
    };
    for (size, expected) in [
        (2, Ok("{}")),
        (8, Err(Unfit::Size { size: 8, found: 11 })),
        (11, Ok(r#"{"pad":"x"}"#)),
        (14, Ok(r#"{"pad":"xxxx"}"#)),
    ] {
        let found = sending(empty.clone(), layout(size));
        let found = found.map(|payload| text(&payload, &list, 0, 0));
        assert_eq!(found, expected.map(str::to_owned), "{size}");
    }
}

#[test]
fn a_size_that_some_message_could_exceed_is_refused_beforehand() {
    for preset in [
        Preset::SmartMeter,
        Preset::SmartTracker,
        Preset::IndustrialPlc { lines: 60 },
        Preset::Random,
    ] {
        let with = |size| {
            let layout = Layout {
                size: Some(size),
                ..Layout::default()
            };
            sending(Form::Preset(preset), layout)
        };
        let Err(Unfit::Size { found, .. }) = with(20) else {
            panic!("{preset:?} fits 20 bytes")
        };
        let (list, payload) = (made_up(50), with(found).unwrap());
        for device in 0..50 {
            for message in 0..20 {
                assert_eq!(text(&payload, &list, device, message).len(), found);
            }
        }
    }
}

#[test]
fn what_a_list_lacks_is_found_before_the_run_without_showing_cells() {
    let list = list();
    let proved =
        |form: Form, layout: Layout| sending(form, layout).unwrap().prove(&list, "telemetry");
    let number = |column: &str| {
        of(Model::Column {
            column: column.to_owned(),
            kind: ColumnKind::Number,
        })
    };
    let error = proved(number("serial"), Layout::default())
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with(
            "device `d1` (number 1 of the list): its cell in column `serial` is no number\nhelp: "
        ),
        "{error}"
    );
    assert!(!error.contains("S\""), "{error}");
    assert_eq!(proved(number("level"), Layout::default()), Ok(()));
    assert!(proved(number("none"), Layout::default()).is_err());
    // Only d1's cell has a quote in it: no JSON without `tojson`.
    let raw = Form::Template(template(r#"{"s":"{{ row.serial }}"}"#), vec![]);
    assert!(proved(raw, Layout::default()).is_err());
    // A template's length is known only per device.
    let sized = |size| Layout {
        size: Some(size),
        ..Layout::default()
    };
    let named = || Form::Template(template(r#"{"s":{{ row.serial | tojson }}}"#), vec![]);
    assert!(proved(named(), sized(15)).is_err());
    assert_eq!(proved(named(), sized(30)), Ok(()));
}

#[test]
fn what_thingsboard_would_not_take_is_refused() {
    let list = list();
    for (source, sound) in [
        (r#"{"a":1}"#, true),
        ("{}", true),
        (r#"[{"a":1},{"ts":1,"values":{}}]"#, true),
        (r#"{"ts":1,"x":2}"#, true),
        ("[]", false),
        ("7", false),
        ("", false),
        ("{a:1}", false),
        (r#"[{"a":1},2]"#, false),
        (r#"{"ts":"now","values":{}}"#, false),
        (r#"{"ts":1,"values":[1]}"#, false),
    ] {
        let form = Form::Template(template(source), vec![]);
        let proved = sending(form, Layout::default())
            .unwrap()
            .prove(&list, "telemetry");
        assert_eq!(proved.is_ok(), sound, "{source}: {proved:?}");
    }
    // Within a stamp, a reading is an object.
    let list_of = Form::Template(template(r#"[{"a":1}]"#), vec![]);
    let layout = Layout {
        stamp: Stamp::Sent,
        ..Layout::default()
    };
    assert!(
        sending(list_of, layout)
            .unwrap()
            .prove(&list, "telemetry")
            .is_err()
    );
}

#[test]
fn the_same_for_all_is_made_once() {
    let list = list();
    let payload = sending(of(Model::Constant(json!(21.5))), Layout::default()).unwrap();
    let at = |device, message| payload.at(&list, DeviceIx(device), message, 0).unwrap();
    assert_eq!(at(0, 0).as_ptr(), at(1, 9).as_ptr());
}

proptest! {
    #[test]
    fn values_keep_their_bounds_at_any_tick(
        seed: u64, message: u32, min in -1e6..1e6f64, span in 0.0..1e6f64, share in 0.0..=1.0f64,
        decimals in prop::option::of(0u8..=9),
    ) {
        let grain = decimals.map_or(Grain::Full, Grain::Decimals);
        let (min, max) = (min.round(), (min + span).round());
        let list = list();
        let start = (min + (max - min) * share).clamp(min, max);
        for model in [
            Model::Uniform { min, max, grain },
            Model::Uniform { min, max, grain: Grain::Whole },
            Model::Normal { mean: start, sd: span, min: Some(min), max: Some(max), grain },
            Model::Walk { start, step: span / 3.0, min, max, grain },
        ] {
            let payload = Payload::new(seed, of(model), Layout::default()).unwrap();
            let found = v(&payload, &list, 1, message).as_f64().unwrap();
            prop_assert!((min..=max).contains(&found), "{found} is not from {min} to {max}");
        }
    }
}
