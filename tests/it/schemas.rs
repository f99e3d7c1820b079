//! What runs write, held to the schemas that `fleetcall schema` prints, by a validator that is not
//! ours; and what else a result carries so that a report stands on its own.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Ran, Run, python, root, succeed};

/// The schema of which kind of file, as the program prints it.
fn schema(option: &str) -> (TempDir, std::path::PathBuf) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleetcall"));
    let printed = succeed(command.args(["schema", option])).stdout;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("schema.json");
    fs::write(&path, printed).unwrap();
    (dir, path)
}

/// How many documents of a file are valid, which all must be.
fn valid(schema: &Path, file: &Path, lines: bool) -> usize {
    let mut command = python();
    let script = root().join("tests/peers/schema.py");
    command.arg(script).arg(schema).arg(file);
    if lines {
        command.arg("--lines");
    }
    let told = succeed(&mut command).stdout;
    String::from_utf8(told).unwrap().trim().parse().unwrap()
}

fn assert_valid(ran: &Ran) {
    let (_dir, summary) = schema("--summary");
    assert_eq!(valid(&summary, &ran.out.join("summary.json"), false), 1);
    let (_dir, timeline) = schema("--timeline");
    let file = ran.out.join("timeline.jsonl");
    let lines = fs::read_to_string(&file).unwrap().lines().count();
    assert_eq!(valid(&timeline, &file, true), lines);
}

/// All that occurs in a result: a fault, an event, expectations that are not met, a note.
const EVERYTHING: &str = r#"
    name = "everything"
    seed = 3
    [target]
    embedded = true
    [target.faults]
    refuse = 0.1
    restart = [{ at = "1500ms", for = "200ms" }]
    [devices]
    generate = { count = 60 }
    [[cohort]]
    name = "meters"
    [[cohort]]
    name = "bad"
    misbehaviour = "wrong_secret"
    transport = "http"
    [[cohort]]
    name = "plain"
    transport = "coap"
    [arrival]
    stages = [{ duration = "1s", rate = 60 }, { duration = "1s", rate = 0 }]
    [telemetry]
    interval = "200ms"
    [reconnect]
    initial = "50ms"
    [[event]]
    at = "1s"
    kind = "power_loss"
"#;

#[test]
fn what_runs_write_is_valid_by_the_published_schemas() {
    let ran = Run::of(EVERYTHING).finish();
    assert_eq!(ran.code, 3, "{}{}", ran.stdout, ran.stderr);
    let summary = ran.summary();
    for key in ["reconnects", "expectations", "errors"] {
        assert!(summary.get(key).is_some(), "{key} occurs");
    }
    assert_valid(&ran);
    assert_valid(&Run::shipped("scenarios/spike.toml").finish());
}

#[test]
fn a_merged_result_is_valid_too() {
    let runs = [EVERYTHING, EVERYTHING].map(|scenario| Run::of(scenario).finish());
    let place = runs[0].out.join("both.json");
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleetcall"));
    let command = command.arg("report").args([&runs[0].out, &runs[1].out]);
    succeed(command.args(["--format", "json", "-o"]).arg(&place));
    let (_dir, schema) = schema("--summary");
    assert_eq!(valid(&schema, &place, false), 1);
}

#[test]
fn a_validator_sees_what_is_amiss() {
    let ran = Run::of(EVERYTHING).finish();
    let (_dir, schema) = schema("--summary");
    let place = ran.out.join("amiss.json");
    for change in [
        |summary: &mut Value| summary["devices"]["refused"] = "none".into(),
        |summary: &mut Value| summary["unheard_of"] = 1.into(),
        |summary: &mut Value| summary["result"] = "brilliant".into(),
    ] {
        let mut summary = ran.summary();
        change(&mut summary);
        fs::write(&place, summary.to_string()).unwrap();
        let mut command = python();
        command.arg(root().join("tests/peers/schema.py"));
        assert!(
            !command
                .arg(&schema)
                .arg(&place)
                .output()
                .unwrap()
                .status
                .success()
        );
    }
}

const SECRET: &str = "s3cret-of-the-profile";

#[test]
fn a_result_carries_its_scenario_without_secrets_and_its_machine() {
    let scenario = EVERYTHING.replace(
        "[devices]",
        &format!(
            "[profile]\nprovision_key = \"{SECRET}\" # {SECRET}\n\
             provision_secret = \"${{env:OF_THE_TEST}}\"\n[devices]"
        ),
    );
    let ran = Run::of(&scenario)
        .env("OF_THE_TEST", SECRET)
        .arg("--set")
        .arg("telemetry.interval=300ms")
        .arg("--seed")
        .arg("11")
        .finish();
    assert_eq!(ran.code, 3, "{}{}", ran.stdout, ran.stderr);
    assert!(!ran.everything_public().contains(SECRET));
    let kept = fs::read_to_string(ran.out.join("scenario.toml")).unwrap();
    for line in [
        "seed = 11",
        "provision_key = \"***\"",
        "provision_secret = \"${env:OF_THE_TEST}\"",
        "interval = \"300ms\"",
    ] {
        assert!(kept.lines().any(|kept| kept == line), "{line} in\n{kept}");
    }
    let summary = ran.summary();
    let told = summary["scenario_toml"].as_str().unwrap();
    assert!(kept.ends_with(told), "{told}\n{kept}");
    let machine = &summary["machine"];
    assert!(machine["cores"].as_u64().unwrap() > 0, "{machine}");
    assert!(machine["memory_bytes"].as_u64().unwrap() > 0, "{machine}");
}

#[test]
fn a_kept_scenario_runs_again_with_the_same_schedule() {
    let ran = Run::of(EVERYTHING)
        .arg("--set")
        .arg("arrival.stages.0.rate=50")
        .finish();
    let kept = fs::read_to_string(ran.out.join("scenario.toml")).unwrap();
    let again = Run::of(&kept).finish();
    let digest = |ran: &Ran| ran.summary()["schedule_digest"].clone();
    assert_eq!(digest(&again), digest(&ran));
    assert_eq!(
        again.summary()["scenario_toml"],
        ran.summary()["scenario_toml"]
    );
}
