//! Messages: templates, batches, sizes, and what is refused.

use super::*;

#[test]
fn a_template_names_values_and_is_sent_as_it_comes_out() {
    let list = list();
    let readings = vec![
        Reading::new("t", uniform(1.0, 1.0, Grain::Decimals(1))),
        Reading::new(
            "c",
            Model::Constant(json!({"deep": [1, 2.5, "x", null, true]})),
        ),
        Reading::new("n", column("level", ColumnKind::Number)),
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
    assert_eq!(payload.prove(&list, Section::Telemetry), Ok(()));
    let message: Value = serde_json::from_str(&text(&payload, &list, 1, 4)).unwrap();
    let expected = json!({"name": "d2", "serial": "S\"2", "tick": 4, "at": 1_700_000_000_000u64,
        "t": 1.0, "deep": [1, 2.5, "x", null, true], "n": -2.5});
    assert_eq!(message, expected);
}

#[test]
fn a_batch_has_the_readings_since_the_last_message_with_their_times() {
    let list = list();
    let counter = || {
        of(counter(
            Number::Whole(0),
            Number::Whole(1),
            None,
            Grain::Full,
        ))
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
    let proved = |form: Form, layout: Layout| {
        sending(form, layout)
            .unwrap()
            .prove(&list, Section::Telemetry)
    };
    let number = |column: &str| of(self::column(column, ColumnKind::Number));
    let error = proved(number("serial"), Layout::default())
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with(
            "device `d1` (number 1 of the list): its cell in column `serial` is no number\nhelp: "
        ),
        "{error}"
    );
    assert!(!error.contains("S1"), "{error}");
    assert_eq!(proved(number("level"), Layout::default()), Ok(()));
    assert!(proved(number("none"), Layout::default()).is_err());
    // Only d2's cell has a quote in it: no JSON without `tojson`.
    let raw = Form::Template(template(r#"{"s":"{{ row.serial }}"}"#), vec![]);
    assert!(proved(raw, Layout::default()).is_err());
    // A template's length is known only per device.
    let sized = |size| Layout {
        size: Some(size),
        ..Layout::default()
    };
    let named = || Form::Template(template(r#"{"s":{{ row.serial | tojson }}}"#), vec![]);
    assert!(proved(named(), sized(19)).is_err());
    assert_eq!(proved(named(), sized(31)), Ok(()));
}

#[test]
fn a_cell_is_a_number_only_if_nothing_of_it_is_lost() {
    for (cell, sound) in [
        ("0", true),
        ("-2.50", true),
        ("1e3", true),
        ("18446744073709551615", true),
        ("18446744073709551616", false),
        ("007", false),
        ("1.", false),
        ("+1", false),
        ("0x1F", false),
        ("1e999", false),
        ("NaN", false),
        ("", false),
    ] {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("name,n\nd1,{cell}\n")).unwrap();
        let keep = ["n".to_owned()];
        let options = ListOptions {
            name_column: "name",
            keep: &keep,
            keep_if_there: &[],
        };
        let list = load_csv(file.path(), &options).unwrap();
        let payload = sending(of(column("n", ColumnKind::Number)), Layout::default()).unwrap();
        let proved = payload.prove(&list, Section::Telemetry);
        assert_eq!(proved.is_ok(), sound, "{cell}: {proved:?}");
    }
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
            .prove(&list, Section::Telemetry);
        assert_eq!(proved.is_ok(), sound, "{source}: {proved:?}");
    }
    let attributes = |source| {
        let form = Form::Template(template(source), vec![]);
        let payload = sending(form, Layout::default()).unwrap();
        payload.prove(&list, Section::Attributes).is_ok()
    };
    assert!(attributes(r#"{"ts":"x","values":1}"#) && !attributes(r#"[{"a":1}]"#));
    // Within a stamp, a reading is an object.
    let list_of = Form::Template(template(r#"[{"a":1}]"#), vec![]);
    let layout = Layout {
        stamp: Stamp::Sent,
        ..Layout::default()
    };
    assert!(
        sending(list_of, layout)
            .unwrap()
            .prove(&list, Section::Telemetry)
            .is_err()
    );
}

#[test]
fn the_same_for_all_is_made_once() {
    let list = list();
    let payload = sending(of(Model::Constant(json!(21.5))), Layout::default()).unwrap();
    let at = |device, message| {
        payload
            .at(&Speaker::listed(&list, DeviceIx(device)), message, 0)
            .unwrap()
    };
    assert_eq!(at(0, 0).as_ptr(), at(1, 9).as_ptr());
}

#[test]
fn those_behind_a_gateway_have_values_of_their_own() {
    let list = list();
    let text = Template::compile_knowing("{{ name }}/{{ sub }}/{{ row.serial }}", &TEXT_NAMES);
    let text = text.unwrap();
    let parts = [
        Part::Raw("{\"id\":".to_owned()),
        Part::Value(Reading::new("id", Model::Text(text))),
        Part::Raw(",\"v\":".to_owned()),
        Part::Value(Reading::new("v", uniform(0.0, 1.0, Grain::Full))),
        Part::Raw("}".to_owned()),
    ];
    let payload = sending(Form::Parts(parts.to_vec()), Layout::default()).unwrap();
    let message = |speaker: &Speaker<'_>| -> Value {
        serde_json::from_slice(&payload.at(speaker, 3, 0).unwrap()).unwrap()
    };
    let behind =
        |gateway, name, sub| message(&Speaker::behind(&list, DeviceIx(gateway), name, sub));
    let (first, second) = (behind(0, "d1-0", 0), behind(0, "d1-1", 1));
    assert_eq!(first["id"], "d1-0/0/S1");
    assert_eq!(second["id"], "d1-1/1/S1");
    assert_ne!(first["v"], second["v"]);
    // By its name alone, wherever it is.
    assert_eq!(behind(1, "d1-0", 7)["v"], first["v"]);
    let listed = message(&Speaker::listed(&list, DeviceIx(0)));
    assert_eq!(listed["id"], "d1/None/S1");
    assert_ne!(listed["v"], first["v"]);
}

#[test]
fn a_payload_is_tried_with_one_listed_and_one_behind_a_gateway() {
    let list = list();
    let form = Form::Template(template(r#"{"sub":{{ sub }}}"#), vec![]);
    let payload = sending(form, Layout::default()).unwrap();
    let mut proof = payload.proof(&list, Section::Telemetry);
    let behind = Speaker::behind(&list, DeviceIx(0), "d1-0", 0);
    assert_eq!(proof.of(&behind), Ok(()));
    let listed = proof.of(&Speaker::listed(&list, DeviceIx(1)));
    assert!(listed.is_err(), "`none` is no JSON");
}
