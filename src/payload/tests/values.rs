//! The values of the models.

use proptest::prelude::*;

use super::*;

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
    let model = || uniform(0.0, 1.0, Grain::Full);
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
    let full = Grain::Full;
    // Standard errors of the mean are a hundredth of the deviation; five of them are allowed.
    for (name, model, mean, sd) in [
        ("uniform", uniform(-6.0, 6.0, full), 0.0, 12f64.sqrt()),
        (
            "whole",
            uniform(1.0, 6.0, Grain::Whole),
            3.5,
            (35.0f64 / 12.0).sqrt(),
        ),
        ("normal", normal(5.0, 3.0, (None, None), full), 5.0, 3.0),
        ("sine", sine(None, 0.0, full), 20.0, 5.0 / 2f64.sqrt()),
        (
            "noise",
            sine(None, 4.0, full),
            20.0,
            (12.5f64 + 16.0).sqrt(),
        ),
        ("drift", drift(0.0, 0.5, full), 100.0, 0.5),
        // Turning back at near bounds, it is soon anywhere between them alike.
        (
            "walk",
            walk(0.0, 40.0, (-6.0, 6.0), full),
            0.0,
            12f64.sqrt(),
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
fn random_payloads_are_mixed_as_in_thingsboards_tests() {
    let list = made_up(200);
    let payload = sending(Form::Preset(Preset::Random), Layout::default()).unwrap();
    let mut counts = std::collections::BTreeMap::new();
    for device in 0..200 {
        for message in 0..100 {
            let text = text(&payload, &list, device, message);
            *counts.entry(text[2..4].to_owned()).or_insert(0u32) += 1;
        }
    }
    // Of 20,000; a standard deviation is some 65.
    for (kind, expected) in [("t1", 5_800), ("t2", 6_000), ("t3", 8_000), ("t4", 200)] {
        assert!(counts[kind].abs_diff(expected) < 150, "{counts:?}");
    }
}

#[test]
fn counters_go_by_their_formula_at_any_tick() {
    let list = list();
    let counter = |start, step, wrap| {
        let counter = counter(start, step, wrap, Grain::Full);
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
            uniform(min, max, grain),
            uniform(min, max, Grain::Whole),
            normal(start, span, (Some(min), Some(max)), grain),
            walk(start, span / 3.0, (min, max), grain),
        ] {
            let payload = Payload::new(seed, of(model), Layout::default()).unwrap();
            let found = v(&payload, &list, 1, message).as_f64().unwrap();
            prop_assert!((min..=max).contains(&found), "{found} is not from {min} to {max}");
        }
    }
}
