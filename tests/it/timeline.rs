//! The time line of whole runs: it adds up to the summary, and stays readable whatever ends a run.

use std::collections::BTreeMap;
use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::support::{Ran, Run, eventually};

/// Four cohorts over three transports, a fault and an event in the middle, for four seconds.
const BUSY: &str = r#"
    name = "busy"
    seed = 5
    [target]
    embedded = true
    [target.faults]
    refuse = 0.05
    restart = [{ at = "2s", for = "300ms" }]
    [devices]
    generate = { count = 120 }
    [[cohort]]
    name = "meters"
    [[cohort]]
    name = "valves"
    transport = "http"
    [[cohort]]
    name = "doors"
    transport = "coap"
    [arrival]
    stages = [{ duration = "3s", rate = 40 }, { duration = "1s", rate = 0 }]
    [telemetry]
    interval = "200ms"
    [reconnect]
    initial = "50ms"
    [[event]]
    at = "1s"
    kind = "power_loss"
    share = 0.5
    [thresholds]
    "devices.provisioned" = ">= 50%"
"#;

fn lines(ran: &Ran) -> Vec<Value> {
    let text = fs::read_to_string(ran.out.join("timeline.jsonl")).unwrap();
    let read = |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    text.lines().map(read).collect()
}

fn of_kind<'l>(lines: &'l [Value], kind: &str) -> Vec<&'l Value> {
    lines.iter().filter(|line| line["line"] == kind).collect()
}

fn histogram(text: &Value) -> Histogram<u64> {
    let bytes = STANDARD.decode(text.as_str().unwrap()).unwrap();
    Deserializer::new()
        .deserialize(&mut bytes.as_slice())
        .unwrap()
}

/// Adds up the numbers below a key of each interval.
fn counts(intervals: &[&Value], path: &str) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for part in intervals.iter().filter_map(|i| i.pointer(path)) {
        for (key, n) in part.as_object().unwrap() {
            if let Some(n) = n.as_u64() {
                *sums.entry(key.clone()).or_default() += n;
            }
        }
    }
    sums
}

/// Holds a run's intervals to its summary.
fn assert_adds_up(ran: &Ran) {
    let (lines, summary) = (lines(ran), ran.summary());
    let intervals = of_kind(&lines, "interval");
    let mut at = 0.0;
    for interval in &intervals {
        assert_eq!(interval["from_s"].as_f64(), Some(at), "a gap");
        at = interval["to_s"].as_f64().unwrap();
    }
    assert_eq!(Some(at), summary["elapsed_s"].as_f64());
    for (path, of) in [
        ("/devices", "/devices"),
        ("/telemetry", "/telemetry"),
        ("/errors", "/errors"),
        ("/reconnects", "/reconnects"),
        ("/cohorts/meters/devices", "/cohorts/meters/devices"),
        ("/cohorts/doors/telemetry", "/cohorts/doors/telemetry"),
    ] {
        for (key, sum) in counts(&intervals, path) {
            let whole = summary.pointer(&format!("{of}/{key}"));
            assert_eq!(whole.and_then(Value::as_u64), Some(sum), "{path} {key}");
        }
    }
    let starts = counts(&intervals, "/starts");
    assert_eq!(starts["started"], summary["starts"]["started"]);
    for (phase, whole) in summary["phases"].as_object().unwrap() {
        let steps = counts(&intervals, &format!("/phases/{phase}"));
        for key in ["count", "errors", "retries"] {
            assert_eq!(whole[key], steps[key], "{phase} {key}");
        }
        for kind in ["response", "service"] {
            let carried = &summary["histograms"][phase][kind];
            if carried.is_null() {
                continue;
            }
            let mut sum = Histogram::new_from(&histogram(carried));
            for part in intervals.iter().map(|i| &i["phases"][phase]["histograms"]) {
                if !part.is_null() {
                    sum.add(histogram(&part[kind])).unwrap();
                }
            }
            assert_eq!(sum, histogram(carried), "{phase} {kind}");
        }
    }
}

#[test]
fn the_intervals_of_a_busy_run_add_up_to_its_summary() {
    let ran = Run::of(BUSY).finish();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert_adds_up(&ran);
    let lines = lines(&ran);
    assert_eq!(lines[0]["line"], "header");
    assert_eq!(
        lines[0]["schedule_digest"],
        ran.summary()["schedule_digest"]
    );
    let intervals = of_kind(&lines, "interval");
    assert_eq!(counts(&intervals, "/starts")["due"], 120);
    // What was due in the first second: before it ends, devices 0 to 39.
    assert_eq!(intervals[0]["starts"]["due"], 40);
    let marks: Vec<&str> = of_kind(&lines, "mark")
        .iter()
        .map(|mark| mark["kind"].as_str().unwrap())
        .collect();
    assert_eq!(marks, ["power_loss", "target_restart", "winding_down"]);
    let restart = of_kind(&lines, "mark")[1];
    assert_eq!(
        (restart["at_s"].as_f64(), restart["until_s"].as_f64()),
        (Some(2.0), Some(2.3))
    );
    let last = lines.last().unwrap();
    assert_eq!(
        (&last["line"], &last["elapsed_s"]),
        (&"end".into(), &ran.summary()["elapsed_s"])
    );
}

#[test]
fn a_closed_model_has_no_due_times_and_adds_up_all_the_same() {
    let closed = BUSY.replace(
        "stages = [{ duration = \"3s\", rate = 40 }, { duration = \"1s\", rate = 0 }]",
        "model = \"closed\"\nstages = [{ duration = \"3s\", concurrency = 4 }]",
    );
    let ran = Run::of(&closed).finish();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert_adds_up(&ran);
    let lines = lines(&ran);
    let intervals = of_kind(&lines, "interval");
    assert!(intervals.iter().all(|i| i["starts"].get("due").is_none()));
}

#[test]
fn an_interrupted_run_says_when_it_was_ended() {
    let slow = BUSY.replace("rate = 40", "rate = 10");
    let running = Run::of(&slow).start();
    let timeline = running.out.join("timeline.jsonl");
    eventually(|| fs::read_to_string(&timeline).is_ok_and(|text| text.contains("\"interval\"")));
    kill(Pid::from_raw(running.pid()), Signal::SIGINT).unwrap();
    let ran = running.finish();
    assert_eq!(ran.code, 130, "{}{}", ran.stdout, ran.stderr);
    assert_adds_up(&ran);
    let lines = lines(&ran);
    let winding = of_kind(&lines, "mark")
        .into_iter()
        .find(|mark| mark["kind"] == "winding_down")
        .unwrap();
    assert!(winding["text"].as_str().unwrap().contains("was asked for"));
    // Devices that were due, and no later ones: those that started, and those that did not any more.
    let due = counts(&of_kind(&lines, "interval"), "/starts")["due"];
    let begun = ran.number("starts.started") + ran.number("starts.dropped");
    assert!(due.abs_diff(begun) <= 1, "{due} due, {begun} begun");
}

#[test]
fn a_killed_run_leaves_what_it_told_so_far() {
    let running = Run::of(BUSY).start();
    let timeline = running.out.join("timeline.jsonl");
    eventually(|| fs::read_to_string(&timeline).is_ok_and(|text| text.contains("\"interval\"")));
    kill(Pid::from_raw(running.pid()), Signal::SIGKILL).unwrap();
    let text = fs::read_to_string(&timeline).unwrap();
    let whole: Vec<Value> = text
        .lines()
        .map_while(|line| serde_json::from_str(line).ok())
        .collect();
    assert!(whole.len() >= 2, "{text}");
    assert!(of_kind(&whole, "end").is_empty());
}
