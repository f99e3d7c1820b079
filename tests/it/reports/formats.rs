//! Each format of a real run, read by a reader of that format which is not ours.

use std::fs;

use serde_json::Value;

use super::{drawn, finished, path, report, scenario};
use crate::support::Run;
use crate::support::documents::{all_of, told_by, validated};

#[test]
fn the_files_of_a_run_are_what_report_draws() {
    let ran = finished(&scenario(1, ""));
    for (format, file) in [
        ("json", "summary.json"),
        ("junit", "junit.xml"),
        ("markdown", "report.md"),
        ("html", "report.html"),
        ("hlog", "latency.hlog"),
    ] {
        let written = fs::read_to_string(ran.out.join(file)).unwrap();
        assert_eq!(drawn(&[path(&ran), "--format", format]), written, "{file}");
        let place = ran.out.join("again");
        let place = place.to_str().unwrap();
        assert_eq!(drawn(&[path(&ran), "--format", format, "-o", place]), "");
        assert_eq!(fs::read_to_string(place).unwrap(), written, "{file}");
    }
    assert!(
        ran.stdout.starts_with(&drawn(&[path(&ran)])),
        "{}",
        ran.stdout
    );
    let said = report(&[path(&ran), "-o", "/nonexistent/report.txt"]);
    assert_eq!(said.code, Some(2));
    assert!(
        said.err.contains("/nonexistent/report.txt: "),
        "{}",
        said.err
    );
}

#[test]
fn the_interval_log_is_read_by_another_library_with_the_same_figures() {
    let ran = finished(&scenario(1, ""));
    let told = told_by("hlog.py", &ran.out.join("latency.hlog"));
    let summary = ran.summary();
    let phases = summary["phases"].as_object().unwrap();
    for (phase, row) in phases {
        for kind in ["response", "service"] {
            let tag = &told["tags"][format!("{phase}.{kind}")];
            if row["count"] == 0 {
                continue;
            }
            let us = &row[format!("{kind}_us")];
            assert_eq!(tag["count"], row["count"], "{phase} {kind}");
            for figure in ["p50", "p99", "max"] {
                assert_eq!(tag[figure], us[figure], "{phase} {kind} {figure}");
            }
        }
    }
    assert_eq!(told["tags"]["start_lag"]["count"], 1_000);
    assert_eq!(told["tags"]["start_lag"]["p99"], summary["lag_us"]["p99"]);
    let lag = &told["tags"]["start_lag"];
    assert!(lag["intervals"].as_u64().unwrap() >= 2, "{lag}");
    let length = lag["last_ms"].as_f64().unwrap() - lag["first_ms"].as_f64().unwrap();
    let elapsed = summary["elapsed_s"].as_f64().unwrap() * 1e3;
    assert!(
        length > 0.0 && length <= elapsed + 1.0,
        "{length} of {elapsed} ms"
    );
}

#[test]
fn the_test_cases_are_valid_and_fail_where_the_run_does() {
    let strict = scenario(1, "").replace(">= 80%", "== 100%");
    let ran = Run::of(&strict).finish();
    assert_eq!(ran.code, 3, "{}{}", ran.stdout, ran.stderr);
    let read = validated("junit", &ran.out.join("junit.xml"));
    let mut failures = Vec::new();
    all_of(&read, "failure", &mut failures);
    let messages: Vec<&str> = failures
        .iter()
        .map(|f| f[1]["message"].as_str().unwrap())
        .collect();
    let refused = ran.number("devices.refused");
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert!(messages[0].starts_with("observed "), "{messages:?}");
    assert_eq!(messages[1], format!("{refused} devices"));
    // At most a hundred are named, and what is left out is counted.
    let named = failures[1][2].as_str().unwrap();
    let told = named.lines().filter(|line| line.contains(':')).count() as u64;
    assert_eq!(told, refused.min(100), "{named}");
    let calm = validated("junit", &finished(&scenario(1, "")).out.join("junit.xml"));
    let mut failures = Vec::new();
    all_of(&calm, "failure", &mut failures);
    assert!(failures.is_empty(), "{failures:?}");
}

/// Names as a list may have them, quoted for CSV.
const NAMES: [&str; 10] = [
    "<script>alert(1)</script>",
    "a | b",
    "]]>",
    "[x](http://evil.example)",
    "www.evil.example",
    "@team",
    "`` ` ``",
    "=1+1",
    "a\"b",
    "&lt;b&gt;",
];

#[test]
fn hostile_names_of_devices_and_cohorts_stay_text_in_every_format() {
    let dir = tempfile::tempdir().unwrap();
    let list = dir.path().join("list.csv");
    let rows: String = NAMES
        .map(|n| format!("\"{}\"\n", n.replace('"', "\"\"")))
        .concat();
    fs::write(&list, format!("name\n{rows}")).unwrap();
    let cohorts: String = NAMES
        .map(|name| format!("[[cohort]]\nname = '{name}'\ncount = 1\n"))
        .concat();
    let ran = Run::of(&format!(
        "name = \"hostile\"\nseed = 1\ntarget.embedded = true\ntarget.faults.refuse = 1\n\
         devices.list = '{}'\narrival.stages = [{{ burst = 10 }}]\n{cohorts}",
        list.display()
    ))
    .finish();
    assert_eq!(ran.code, 3, "{}{}", ran.stdout, ran.stderr);
    let read = validated("junit", &ran.out.join("junit.xml"));
    let mut failures = Vec::new();
    all_of(&read, "failure", &mut failures);
    let named = failures.last().unwrap()[2].as_str().unwrap();
    let page = told_by("markdown.py", &ran.out.join("report.md"));
    let cells: Vec<&str> = all_cells(&page);
    for name in NAMES {
        assert!(named.lines().any(|line| line == name), "{name} in {named}");
        assert!(cells.contains(&name), "{name} in {cells:?}");
    }
    assert_eq!(page["links"].as_array().unwrap().len(), 0, "{page}");
    let html = page["html"].as_array().unwrap();
    assert!(
        html.iter().all(|tag| tag == "<code>" || tag == "</code>"),
        "{html:?}"
    );
    for table in page["tables"].as_array().unwrap() {
        let rows = table.as_array().unwrap();
        let widths: Vec<usize> = rows
            .iter()
            .map(|row| row.as_array().unwrap().len())
            .collect();
        assert!(widths.iter().all(|width| *width == widths[0]), "{table}");
    }
    let phases = drawn(&[path(&ran), "--format", "csv"]);
    let mut reader = csv::Reader::from_reader(phases.as_bytes());
    let cohorts: Vec<String> = reader
        .records()
        .map(|row| row.unwrap()[0].to_owned())
        .collect();
    for name in NAMES {
        assert!(
            cohorts.iter().any(|cohort| cohort == name),
            "{name} in {cohorts:?}"
        );
    }
}

fn all_cells(page: &Value) -> Vec<&str> {
    let tables = page["tables"].as_array().unwrap().iter();
    let rows = tables.flat_map(|table| table.as_array().unwrap());
    let cells = rows.flat_map(|row| row.as_array().unwrap());
    cells.map(|cell| cell.as_str().unwrap()).collect()
}
