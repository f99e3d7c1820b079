//! `fleetcall selftest` passes here, and fails when response times are measured wrongly; a stall is
//! found as theory says.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::{Run, Said};
use crate::undisturbed;

/// The report, and the exit code.
fn selftest(args: &[&str]) -> (Value, Option<i32>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleetcall"));
    command.args(["selftest", "--json"]).args(args);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let said = Said::by(command.spawn().unwrap());
    let report = serde_json::from_str(&said.out).unwrap_or_else(|e| panic!("{e}: {said:?}"));
    (report, said.code)
}

/// The first that will do, or the last.
fn first_or_last<T>(tries: impl Iterator<Item = T>, will_do: impl Fn(&T) -> bool) -> T {
    let mut last = None;
    for tried in tries {
        if will_do(&tried) {
            return tried;
        }
        last = Some(tried);
    }
    last.expect("tried at least once")
}

/// The checks that failed.
fn failures(report: &Value) -> Vec<&Value> {
    let checks = report["checks"].as_array().unwrap();
    checks
        .iter()
        .filter(|held| held["passed"] != true)
        .collect()
}

/// The figures of a check, as `figure: passed`.
fn figures(report: &Value, check: &str) -> Vec<(String, bool)> {
    let checks = report["checks"].as_array().unwrap();
    let of = checks.iter().filter(|held| held["check"] == check);
    of.map(|held| {
        let figure = held["figure"].as_str().unwrap().to_owned();
        (figure, held["passed"].as_bool().unwrap())
    })
    .collect()
}

#[test]
fn what_is_measured_here_is_what_theory_says() {
    let _machine = undisturbed();
    // Tried again when another program had the machine: what is measured wrongly fails each time.
    let tries = (0..3).map(|_| selftest(&["--transport", "mqtt,https,coap"]));
    let passed = |(_, code): &(Value, Option<i32>)| *code == Some(0);
    let (report, code) = first_or_last(tries, passed);
    assert_eq!(code, Some(0), "{:#?}", failures(&report));
    assert_eq!(report["passed"], true);
    for check in ["stall", "delay", "capacity", "lateness"] {
        assert!(figures(&report, check).len() >= 6, "{check}: {report:#}");
    }
    let driven = report["drive"].as_array().unwrap();
    assert_eq!(driven.len(), 3);
    for row in driven {
        assert!(row["devices_per_s"].as_f64().unwrap() > 0.0, "{row}");
        assert!(row["connections"].as_u64().unwrap() > 0, "{row}");
        assert!(row["bytes_each"].as_u64().unwrap() > 0, "{row}");
    }
}

#[test]
fn response_times_from_the_send_are_found_out() {
    let _machine = undisturbed();
    let (report, code) = selftest(&["--transport", "mqtt", "--no-drive", "--response-from-send"]);
    assert_eq!(code, Some(4), "{report:#}");
    let stall = figures(&report, "stall");
    let failed: Vec<&str> = stall
        .iter()
        .filter(|(_, passed)| !passed)
        .map(|(figure, _)| figure.as_str())
        .collect();
    assert_eq!(failed[..2], ["response p90", "response p99"], "{report:#}");
    assert!(report["drive"].as_array().unwrap().is_empty());
}

/// Two seconds of standstill in twenty, at 500 messages a second: theory says what a run must report
/// of it. Tried again when another program had the machine.
#[test]
fn a_stall_is_in_the_response_times_as_theory_says_and_explained() {
    let _machine = undisturbed();
    let scenario = "name = \"stall\"\nseed = 7\ntarget.embedded = true\n\
        target.faults.stall = [{ at = \"9s\", for = \"2s\" }]\n\
        devices.generate = { count = 5 }\ntelemetry.interval = \"10ms\"\n\
        arrival.stages = [{ duration = \"10ms\", rate = 1000 }, { duration = \"20s\", rate = 0 }]\n";
    let mut off = Vec::new();
    for _ in 0..3 {
        let ran = Run::of(scenario).finish();
        let summary = ran.summary();
        let telemetry = &summary["phases"]["telemetry"];
        let us = |kind: &str, figure: &str| telemetry[kind][figure].as_f64().unwrap();
        let (service, count) = (
            us("service_us", "p50"),
            telemetry["count"].as_f64().unwrap(),
        );
        let span = count / 500.0 * 1e6;
        let theory = |q: f64| 2e6 - (1.0 - q) * span * (1.0 - service / 1e4) + service;
        off = [("p99", 0.99), ("p999", 0.999)]
            .map(|(figure, q)| (us("response_us", figure) - theory(q)).abs())
            .to_vec();
        if off.iter().all(|off| *off < 1e5) {
            assert!(us("service_us", "p99") < theory(0.99) / 10.0, "{telemetry}");
            assert!(
                ran.stdout.contains("the service times hide it"),
                "{}",
                ran.stdout
            );
            return;
        }
    }
    panic!("µs beside theory: {off:?}");
}
