//! Several runs as one, old results, and results that are none.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use serde_json::{Value, json};

use super::{altered, drawn, finished, path, report, scenario};

fn histogram(text: &Value) -> Histogram<u64> {
    let bytes = STANDARD.decode(text.as_str().unwrap()).unwrap();
    let mut bytes = bytes.as_slice();
    Deserializer::new().deserialize(&mut bytes).unwrap()
}

fn number(value: &Value, path: &str) -> u64 {
    value
        .pointer(path)
        .and_then(Value::as_u64)
        .unwrap_or_else(|| panic!("{path}: {value}"))
}

#[test]
fn a_merged_pair_equals_the_sums_and_its_percentiles_are_read_from_them() {
    let runs = [finished(&scenario(1, "")), finished(&scenario(1, ""))];
    let (one, two) = (runs[0].summary(), runs[1].summary());
    let args = [path(&runs[0]), path(&runs[1])];
    let json = drawn(&[args[0], args[1], "--format", "json"]);
    let both: Value = serde_json::from_str(&json).unwrap();
    for key in [
        "/devices/listed",
        "/devices/provisioned",
        "/devices/refused",
        "/starts/started",
        "/telemetry/sent",
        "/errors/provision.failure",
        "/phases/provision/count",
        "/phases/provision/errors",
        "/cohorts/valves/devices/provisioned",
        "/cohorts/valves/phases/telemetry/count",
    ] {
        assert_eq!(
            number(&both, key),
            number(&one, key) + number(&two, key),
            "{key}"
        );
    }
    for (phase, kind) in [("provision", "response"), ("telemetry", "service")] {
        let at = |run: &Value| histogram(&run["histograms"][phase][kind]);
        let mut sum = at(&one);
        sum.add(at(&two)).unwrap();
        assert_eq!(at(&both), sum, "{phase} {kind}");
        let p99 = &both["phases"][phase][format!("{kind}_us")]["p99"];
        assert_eq!(
            p99.as_u64(),
            Some(sum.value_at_quantile(0.99)),
            "{phase} {kind}"
        );
    }
    let times = [&one, &two].map(|run| run["elapsed_s"].as_f64().unwrap());
    let elapsed = both["elapsed_s"].as_f64().unwrap();
    assert!(
        (elapsed - times[0] - times[1]).abs() < 1e-5,
        "one after the other: {elapsed}"
    );
    assert_eq!(both["runs"].as_array().unwrap().len(), 2);
    assert_eq!(both["result"], "passed");
    // The time lines lie beside each other and add up to the same.
    let rows = drawn(&[args[0], args[1], "--format", "csv", "--table", "timeline"]);
    let mut rows = csv::Reader::from_reader(rows.as_bytes());
    let column = rows
        .headers()
        .unwrap()
        .iter()
        .position(|h| h == "provision_count")
        .unwrap();
    let counts = rows
        .records()
        .map(|row| row.unwrap()[column].parse::<u64>().unwrap());
    assert_eq!(
        counts.sum::<u64>(),
        number(&both, "/phases/provision/count")
    );
    let text = drawn(&args);
    assert!(text.contains("Runs added up"), "{text}");
}

#[test]
fn runs_of_different_kinds_are_refused_with_what_differs_unless_forced() {
    let one = finished(&scenario(1, ""));
    let other = finished(&scenario(1, "").replace("rate = 500", "rate = 400"));
    let said = report(&[path(&one), path(&other)]);
    assert_eq!(said.code, Some(2));
    let said = said.err;
    assert!(
        said.contains("not of the same kind") && said.contains(": schedule: "),
        "{said}"
    );
    assert!(said.contains("help: --force"), "{said}");
    let both: Value = serde_json::from_str(&drawn(&[
        path(&one),
        path(&other),
        "--force",
        "--format",
        "json",
    ]))
    .unwrap();
    assert_eq!(number(&both, "/devices/listed"), 2_000);
    assert_eq!(both["schedule_digest"], "");
    let twice = report(&[path(&one), path(&one), "--force"]);
    assert_eq!(twice.code, Some(2), "{twice:?}");
    assert!(twice.err.contains("is given twice"), "{twice:?}");
}

#[test]
fn what_was_invalid_stays_so_and_conditions_are_judged_anew() {
    let ran = finished(&scenario(1, ""));
    let (_dir, invalid) = altered(&ran, |summary| {
        summary["started_at"] = json!("2026-11-23T02:22:00.000Z");
        summary["generator"]["verdict"] = json!("invalid");
        summary["generator"]["reasons"] = json!(["2 s late"]);
        summary["result"] = json!("invalid");
    });
    let args = [path(&ran), invalid.to_str().unwrap(), "--format"];
    let both: Value = serde_json::from_str(&drawn(&[&args[..], &["json"]].concat())).unwrap();
    assert_eq!(both["result"], "invalid");
    assert_eq!(both["generator"]["verdict"], "invalid");
    assert_eq!(both["thresholds"][0]["passed"], true);
    // A summary on its own brings no names and no time line, and that is said.
    let notes = both["notes"].to_string();
    assert!(
        notes.contains("no time line: 1 of 2 runs left none"),
        "{notes}"
    );
    let page = drawn(&[&args[..], &["markdown"]].concat());
    assert!(
        page.contains("⚠️ pair: invalid") && page.contains("2 s late"),
        "{page}"
    );
}

#[test]
fn results_of_older_versions_are_read_and_of_newer_ones_refused() {
    let ran = finished(&scenario(1, ""));
    let (_dir, old) = altered(&ran, |summary| {
        let top = summary.as_object_mut().unwrap();
        for key in [
            "schedule_digest",
            "notes",
            "reconnects",
            "expectations",
            "findings",
        ] {
            top.remove(key);
        }
        for (of, key) in [("/telemetry", "lag_us"), ("/generator/evidence", "ports")] {
            let object = summary.pointer_mut(of).unwrap().as_object_mut().unwrap();
            assert!(object.remove(key).is_some(), "{of}/{key}");
        }
        summary["histograms"]
            .as_object_mut()
            .unwrap()
            .remove("message_lag");
        for cohort in summary["cohorts"].as_object_mut().unwrap().values_mut() {
            cohort.as_object_mut().unwrap().remove("model");
        }
        for phase in summary["phases"].as_object_mut().unwrap().values_mut() {
            phase.as_object_mut().unwrap().remove("retries");
        }
    });
    let old = old.to_str().unwrap();
    for format in ["text", "json", "junit", "markdown", "csv", "hlog"] {
        assert!(!drawn(&[old, "--format", format]).is_empty(), "{format}");
    }
    let said = report(&[old, "--format", "csv", "--table", "timeline"]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("there is no time line"), "{}", said.err);
    let (_dir, newer) = altered(&ran, |summary| summary["schema_version"] = json!(99));
    let said = report(&[newer.to_str().unwrap()]);
    assert_eq!(said.code, Some(2));
    assert!(
        said.err.contains("form 99, this version reads form 1"),
        "{}",
        said.err
    );
}

#[test]
fn what_is_no_result_is_refused_with_its_path() {
    let ran = finished(&scenario(1, ""));
    let (_dir, more) = altered(&ran, |summary| summary["devices"]["provisioned"] = json!(5));
    let (_dir2, fewer) = altered(&ran, |summary| {
        summary["phases"]["provision"]["count"] = json!(7);
    });
    let (_dir3, garbled) = altered(&ran, |summary| {
        let carried = &mut summary["histograms"]["telemetry"]["service"];
        *carried = json!(carried.as_str().unwrap().replace('A', "_"));
    });
    for (file, says) in [
        (more.to_str().unwrap(), "1000 devices are listed, and"),
        (fewer.to_str().unwrap(), "provision: a count of 7, and"),
        (garbled.to_str().unwrap(), "not base64"),
        ("Cargo.toml", "not a summary of fleetcall"),
        ("no/such/run", "No such file"),
        ("src", "No such file"),
    ] {
        let said = report(&[file]);
        assert_eq!(said.code, Some(2), "{file}: {}", said.err);
        assert!(
            said.err.contains(says) && said.err.contains(file),
            "{file}: {}",
            said.err
        );
        assert!(said.err.contains("help: "), "{file}: {}", said.err);
    }
}

#[test]
fn files_of_another_run_beside_a_summary_are_refused() {
    let (one, other) = (finished(&scenario(1, "")), finished(&scenario(2, "")));
    let timeline = one.out.join("timeline.jsonl");
    std::fs::copy(other.out.join("timeline.jsonl"), &timeline).unwrap();
    let said = report(&[path(&one)]);
    assert!(
        said.err
            .contains("timeline.jsonl: the time line of another run"),
        "{}",
        said.err
    );
    std::fs::remove_file(timeline).unwrap();
    let devices = std::fs::read_to_string(one.out.join("devices.csv")).unwrap();
    let cut: String = devices
        .lines()
        .take(9)
        .map(|line| line.to_owned() + "\n")
        .collect();
    std::fs::write(one.out.join("devices.csv"), cut).unwrap();
    let said = report(&[path(&one)]);
    assert_eq!(said.code, Some(2));
    assert!(
        said.err.contains("are not those of the summary.json"),
        "{}",
        said.err
    );
}
