//! `fleetcall compare`, with real runs whose target is known to be slower, or to be the same.

mod statistics;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use serde_json::Value;

use crate::support::documents::{all_of, validated};
use crate::support::{Ran, Run, Said, python, root, succeed};
use crate::undisturbed;

/// 300 devices over 12 s, whose provisioning takes as long as the target is told.
fn scenario(delay: &str, rate: u32) -> String {
    format!(
        r#"
        name = "gate"
        seed = 5
        [target]
        embedded = true
        [target.faults]
        provision.delay = "{delay}"
        [devices]
        generate = {{ count = 300 }}
        [[cohort]]
        name = "meters"
        [arrival]
        stages = [{{ duration = "12s", rate = {rate} }}]
        [validity]
        lag_p99_invalid = "1h"
        "#
    )
}

/// The same scenario twice, once more with a target that is slower by a fifth, and another load.
struct Runs {
    one: Ran,
    same: Ran,
    slower: Ran,
    other: Ran,
}

static RUNS: LazyLock<Runs> = LazyLock::new(|| {
    let one = Run::of(&scenario("400ms", 25)).start();
    let same = Run::of(&scenario("400ms", 25)).start();
    let slower = Run::of(&scenario("480ms", 25)).start();
    let other = Run::of(&scenario("400ms", 30)).start();
    let runs = Runs {
        one: one.finish(),
        same: same.finish(),
        slower: slower.finish(),
        other: other.finish(),
    };
    for ran in [&runs.one, &runs.same, &runs.slower, &runs.other] {
        assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    }
    runs
});

fn compare<A: AsRef<std::ffi::OsStr>>(args: &[A]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleetcall"));
    command.current_dir(root()).arg("compare").args(args);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    Said::by(command.stderr(Stdio::piped()).spawn().unwrap())
}

/// A candidate against a baseline.
fn held(baseline: &Path, candidate: &Path, more: &[&str]) -> Said {
    let mut args = vec![
        baseline.to_str().unwrap(),
        "--with",
        candidate.to_str().unwrap(),
    ];
    args.extend(more);
    compare(&args)
}

fn metrics(said: &Said, verdict: &str) -> Vec<String> {
    let told: Value = serde_json::from_str(&said.out).unwrap();
    let rows = told["metrics"].as_array().unwrap().iter();
    let rows = rows.filter(|row| row["verdict"] == verdict);
    rows.map(|row| row["metric"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_target_that_is_slower_by_a_fifth_is_found_and_the_phase_named() {
    let _machine = undisturbed();
    let said = held(&RUNS.one.out, &RUNS.slower.out, &[]);
    assert_eq!(said.code, Some(3), "{}{}", said.out, said.err);
    let first = said.out.lines().next().unwrap();
    assert!(first.starts_with("REGRESSION  "), "{first}");
    assert!(first.contains("provision, time_to_provision"), "{first}");
    assert!(
        said.out
            .contains("target.faults.provision.delay is \"400ms\" and \"480ms\""),
        "{}",
        said.out
    );
    assert!(said.out.contains("one run per side"), "{}", said.out);

    let said = held(&RUNS.one.out, &RUNS.slower.out, &["--format", "json"]);
    let worse = metrics(&said, "regression");
    for metric in [
        "provision.p50",
        "provision.service.p50",
        "time_to_provision.p50",
    ] {
        assert!(
            worse.iter().any(|found| found == metric),
            "{metric} in {worse:?}"
        );
    }
    assert!(
        !worse.iter().any(|metric| metric.starts_with("devices.")),
        "{worse:?}"
    );
}

#[test]
fn the_same_scenario_twice_is_no_regression() {
    let _machine = undisturbed();
    let said = held(&RUNS.one.out, &RUNS.same.out, &[]);
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    assert!(!said.out.contains("REGRESSION"), "{}", said.out);
}

#[test]
fn a_target_that_became_faster_is_an_improvement() {
    let _machine = undisturbed();
    let said = held(
        &RUNS.slower.out,
        &RUNS.one.out,
        &["--metric", "provision.p50"],
    );
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    assert!(said.out.starts_with("IMPROVEMENT  "), "{}", said.out);
}

#[test]
fn a_tolerance_lets_pass_what_it_says() {
    let _machine = undisturbed();
    let more = ["--metric", "provision.p50", "--tolerance"];
    for (tolerance, code) in [("40%", Some(0)), ("0.1", Some(3))] {
        let more = [&more[..], &[tolerance]].concat();
        let said = held(&RUNS.one.out, &RUNS.slower.out, &more);
        assert_eq!(said.code, code, "{tolerance}: {}{}", said.out, said.err);
    }
    let said = held(
        &RUNS.one.out,
        &RUNS.slower.out,
        &["--metric", "provision.p50", "--floor", "1s"],
    );
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
}

#[test]
fn several_runs_are_compared_by_how_they_differ() {
    let _machine = undisturbed();
    let [one, same, slower] =
        [&RUNS.one, &RUNS.same, &RUNS.slower].map(|ran| ran.out.to_str().unwrap());
    let said = compare(&[
        one,
        same,
        "--with",
        slower,
        "--metric",
        "provision.service.p50",
        "--format",
        "json",
    ]);
    let told: Value = serde_json::from_str(&said.out).unwrap();
    assert!(told["metrics"][0]["noise"]["between"].is_number(), "{told}");
    let warned = told["warnings"].to_string();
    assert!(!warned.contains("one run per side"), "{warned}");
}

#[test]
fn what_is_no_measurement_of_the_same_is_refused_with_the_difference() {
    let _machine = undisturbed();
    let said = held(&RUNS.one.out, &RUNS.other.out, &[]);
    assert_eq!(said.code, Some(2), "{}{}", said.out, said.err);
    assert!(
        said.err.contains("schedule: ") && said.err.contains("arrival.stages is "),
        "{}",
        said.err
    );
    let forced = held(&RUNS.one.out, &RUNS.other.out, &["--force"]);
    assert!(matches!(forced.code, Some(0 | 3)), "{}", forced.err);
    assert!(forced.out.contains("arrival.stages is "), "{}", forced.out);

    for (args, says) in [
        (vec!["--force"], "this run is given twice"),
        (
            vec!["--metric", "provison.p50"],
            "the nearest is `provision.p50`",
        ),
        (vec!["--tolerance", "2"], "below 100%"),
    ] {
        let said = held(&RUNS.one.out, &RUNS.one.out, &args);
        assert_eq!(said.code, Some(2), "{says}: {}{}", said.out, said.err);
        assert!(said.err.contains(says), "{says}: {}", said.err);
    }
    let said = held(Path::new("/nonexistent"), &RUNS.one.out, &[]);
    assert_eq!(said.code, Some(2));
}

/// A run's summary on its own, as an older version may have left it.
fn alone(ran: &Ran, place: &Path, started_at: &str) -> PathBuf {
    let mut summary = ran.summary();
    summary["started_at"] = started_at.into();
    summary["scenario_toml"] = "".into();
    let path = place.join(format!("{}.json", &started_at[..13]));
    fs::write(&path, summary.to_string()).unwrap();
    path
}

#[test]
fn results_without_a_time_line_cannot_tell_one_by_one() {
    let _machine = undisturbed();
    let place = tempfile::tempdir().unwrap();
    let one = alone(&RUNS.one, place.path(), "2026-01-01T00:00:00Z");
    let two = alone(&RUNS.slower, place.path(), "2026-01-02T00:00:00Z");
    let said = held(&one, &two, &[]);
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    assert!(said.err.contains("inconclusive"), "{}", said.err);
    let told = said.out.replace("\n  ", " ");
    assert!(
        told.contains("a result without its scenario"),
        "{}",
        said.out
    );
    assert_eq!(held(&one, &two, &["--strict"]).code, Some(3));
}

#[test]
fn each_format_is_read_by_a_reader_that_is_not_ours() {
    let _machine = undisturbed();
    let place = tempfile::tempdir().unwrap();
    let into = |format: &str| {
        let path = place.path().join(format);
        let more = [
            "--cohorts",
            "--format",
            format,
            "-o",
            path.to_str().unwrap(),
        ];
        let said = held(&RUNS.one.out, &RUNS.slower.out, &more);
        assert_eq!(
            (said.code, said.out.as_str()),
            (Some(3), ""),
            "{}",
            said.err
        );
        path
    };
    let read = validated("junit", &into("junit"));
    let mut failures = Vec::new();
    all_of(&read, "failure", &mut failures);
    assert!(!failures.is_empty());

    let schema = place.path().join("schema");
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleetcall"));
    fs::write(
        &schema,
        succeed(command.args(["schema", "--compare"])).stdout,
    )
    .unwrap();
    let mut command = python();
    command
        .arg(root().join("tests/peers/schema.py"))
        .arg(&schema)
        .arg(into("json"));
    succeed(&mut command);

    let page = fs::read_to_string(into("markdown")).unwrap();
    assert!(page.starts_with("## ❌ gate: regression\n"), "{page}");
}

#[test]
fn the_same_runs_give_the_same_verdict_to_the_last_digit() {
    let _machine = undisturbed();
    let json = || held(&RUNS.one.out, &RUNS.slower.out, &["--format", "json"]).out;
    assert_eq!(json(), json());
}

#[test]
fn a_history_grows_by_a_line_for_each_candidate() {
    let _machine = undisturbed();
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("history.jsonl");
    let file = file.to_str().unwrap();
    let more = [
        "--history",
        file,
        "--commit",
        "c0ffee",
        "--server-version",
        "3.9.1",
    ];
    let said = held(&RUNS.one.out, &RUNS.slower.out, &more);
    assert_eq!(said.code, Some(3), "{}{}", said.out, said.err);
    assert!(
        said.out.contains("History of 1 entries: no lasting change"),
        "{}",
        said.out
    );
    held(&RUNS.one.out, &RUNS.slower.out, &more);
    let said = held(&RUNS.one.out, &RUNS.same.out, &["--history", file]);
    assert!(
        said.out.contains("History of 2 entries"),
        "once each: {}",
        said.out
    );
    let text = fs::read_to_string(file).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert_eq!(lines[0]["commit"], "c0ffee");
    assert_eq!(lines[0]["server_version"], "3.9.1");
    assert_eq!(lines[0]["verdict"], "regression");
    assert!(
        lines[0]["metrics"]["provision.p50"].as_f64().unwrap() > 480_000.0,
        "{text}"
    );
    assert!(
        lines[1]["commit"]
            .as_str()
            .is_some_and(|sha| !sha.is_empty()),
        "Git knows it"
    );

    fs::write(file, "name\nAA:BB\n").unwrap();
    let said = held(&RUNS.one.out, &RUNS.same.out, &["--history", file]);
    assert_eq!(said.code, Some(2), "{}", said.err);
    assert_eq!(fs::read_to_string(file).unwrap(), "name\nAA:BB\n");
}
