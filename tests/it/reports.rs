//! `fleetcall report` and the files that a run leaves, read by others than us.

mod formats;
mod html;
mod merged;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Ran, Run, Said, root};

/// Runs `fleetcall report` with these arguments.
fn report(args: &[&str]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleetcall"));
    command.current_dir(root()).arg("report").args(args);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    Said::by(command.stderr(Stdio::piped()).spawn().unwrap())
}

/// What it draws, which it must.
fn drawn(args: &[&str]) -> String {
    let said = report(args);
    assert_eq!(said.code, Some(0), "{args:?}: {}", said.err);
    said.out
}

/// A run of two cohorts, some of whose devices are refused by chance of this seed.
fn scenario(seed: u32, more: &str) -> String {
    format!(
        r#"
        name = "pair"
        seed = {seed}
        [target]
        embedded = true
        [target.faults]
        refuse = 0.1
        [devices]
        list = "fixtures/macs-1k.csv"
        [[cohort]]
        name = "meters"
        count = 500
        [[cohort]]
        name = "valves"
        transport = "coap"
        count = 500
        [arrival]
        stages = [{{ duration = "2s", rate = 500 }}]
        [telemetry]
        interval = "500ms"
        [thresholds]
        "devices.provisioned" = ">= 80%"
        "provision.p99" = "< 20s"
        {more}
        "#
    )
}

fn path(ran: &Ran) -> &str {
    ran.out.to_str().unwrap()
}

/// A run's directory whose summary is another one: what it becomes is up to `change`.
fn altered(ran: &Ran, change: impl FnOnce(&mut Value)) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("summary.json");
    let mut summary = ran.summary();
    change(&mut summary);
    write(&file, &summary);
    (dir, file)
}

fn write(file: &Path, summary: &Value) {
    fs::write(file, serde_json::to_string(summary).unwrap()).unwrap();
}

fn finished(scenario: &str) -> Ran {
    let ran = Run::of(scenario).finish();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    ran
}
