//! Searching for a server's capacity.

use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::support::documents::{assert_calm, told_by};
use crate::support::{PATIENCE, Ran, Run};

/// The embedded server can provision 50 devices a second, one after the other.
fn scenario(transport: &str, more: &str) -> String {
    format!(
        "name = \"search\"\nseed = 7\ntarget = {{ embedded = true, faults.capacity = 50 }}\n\
         devices.generate = {{}}\n[[cohort]]\nname = \"all\"\ntransport = \"{transport}\"\n\
         [search]\nfrom = 30\nto = 90\nstep = 1.7\nprecision = 0.04\nhold = \"3s\"\n\
         warm_up = \"1s\"\ncool_down = \"200ms\"\nconfirm = 1\n{more}"
    )
}

/// As wide as a machine that other tests have needs them: late starts up to that say nothing.
const WIDE: &str = "[validity]\nlag_p99 = \"100ms\"\ncpu_share = 1\n";

fn search(ran: &Ran) -> Value {
    ran.summary()["search"].clone()
}

/// The rows of a trial in devices.csv.
fn devices_of(ran: &Ran, trial: &str) -> usize {
    let table = std::fs::read_to_string(ran.out.join("devices.csv")).unwrap();
    let last = |row: &&str| row.rsplit(',').next() == Some(trial);
    table.lines().filter(last).count()
}

/// A known service rate must be found within 5 %. Again if not: another program may have had the
/// machine for a moment.
fn finds_the_capacity_over(transport: &str) -> Ran {
    let mut seen = Vec::new();
    // No step comes near it: it is found by what lies between two of them.
    let scenario = scenario(transport, WIDE).replace("step = 1.7", "step = 1.5");
    for _ in 0..4 {
        let ran = Run::of(&scenario).finish();
        let found = search(&ran);
        let capacity = found["capacity_per_s"].as_f64();
        if capacity.is_some_and(|rate| (rate / 50.0 - 1.0).abs() <= 0.05) {
            assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
            adds_up(&ran, &found);
            return ran;
        }
        seen.push(format!("{} {:?}", found["ended"], capacity));
    }
    panic!("50 a second were not found: {seen:?}");
}

/// Every device is counted once, with its trial.
fn adds_up(ran: &Ran, found: &Value) {
    let trials = found["trials"].as_array().unwrap();
    let mut first = 1;
    for trial in trials {
        let number = |key: &str| trial[key].as_u64().unwrap();
        assert_eq!(
            number("first_device"),
            first,
            "fresh devices, in list order"
        );
        let all = number("warm_up_devices") + number("measured_devices");
        assert_eq!(trial["devices"]["listed"], trial["measured_devices"]);
        assert_eq!(devices_of(ran, &trial["trial"].to_string()) as u64, all);
        first += all;
    }
    let summary = ran.summary();
    assert_eq!(summary["starts"]["started"], first - 1);
    assert_eq!(summary["starts"]["planned"], first - 1);
    assert_eq!(summary["thresholds"], Value::Array(Vec::new()));
    assert!(ran.stdout.contains("devices of the list were not needed"));
    let broke = &found["broke_first"];
    assert_eq!(broke["rate_per_s"], found["bracket"]["broken_per_s"]);
    assert!(
        ran.stdout.contains("devices per second hold, "),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("Broke first, at "), "{}", ran.stdout);
}

#[test]
fn a_known_capacity_is_found_over_mqtt() {
    let ran = finds_the_capacity_over("mqtt");
    let seen = told_by("browser.py", &ran.out.join("report.html"));
    assert_calm(&seen);
    for view in ["light", "dark", "narrow"] {
        let drawn = seen[view]["drawn"].as_array().unwrap();
        for knee in ["knee-rates", "knee-times"] {
            assert!(drawn.iter().any(|chart| chart == knee), "{view}: {drawn:?}");
        }
    }
    let text = seen["plain"]["text"].as_str().unwrap();
    assert!(text.contains("devices per second hold, "), "{text}");
}

#[test]
fn a_known_capacity_is_found_over_http() {
    finds_the_capacity_over("http");
}

#[test]
fn a_known_capacity_is_found_over_coap() {
    finds_the_capacity_over("coap");
}

#[test]
fn a_list_that_is_too_short_is_refused_before_the_first_device() {
    let short = scenario("mqtt", "").replace("generate = {}", "generate.count = 500");
    let ran = Run::of(&short).finish();
    assert_eq!(ran.code, 2, "{}", ran.stdout);
    for says in [
        "fresh devices for each trial: up to ",
        "the list has 500",
        "help: add devices",
    ] {
        assert!(ran.stderr.contains(says), "{}", ran.stderr);
    }
    assert!(!ran.out.exists(), "nothing was sent, and nothing is left");
}

#[test]
fn what_the_generator_cannot_drive_is_not_called_the_servers_capacity() {
    // Five places, each held for 100 ms: the generator starts 50 a second, and the server could more.
    let places = "[limits]\nin_flight = 5\nworkers = 1\n";
    let limited =
        scenario("mqtt", places).replace("faults.capacity = 50", "faults.delay = \"100ms\"");
    let ran = Run::of(&limited).strict().finish();
    assert_eq!(ran.code, 4, "{}{}", ran.stdout, ran.stderr);
    let found = search(&ran);
    assert_eq!(found["ended"], "generator_limited");
    assert_eq!(found["capacity_per_s"], Value::Null);
    let kept = found["generator_drove_per_s"].as_f64().unwrap();
    assert!((30.0..=52.0).contains(&kept), "{kept}");
    assert!(
        found["broke_first"].is_null(),
        "nothing is the server's doing: {found:#}"
    );
    assert_eq!(ran.summary()["generator"]["verdict"], "invalid");
    assert!(
        ran.stdout
            .contains("No capacity: the generator was the limit"),
        "{}",
        ran.stdout
    );
}

#[test]
fn a_need_that_is_not_met_fails_the_run() {
    let needy = scenario("mqtt", "need = 45\n").replace("to = 90", "to = 30");
    let ran = Run::of(&needy).finish();
    let found = search(&ran);
    assert_eq!(found["ended"], "held_at_to", "{found:#}");
    assert_eq!(ran.code, 3, "{}{}", ran.stdout, ran.stderr);
    assert!(
        ran.stdout.contains("45.0/s are needed: 33.3 % too little."),
        "{}",
        ran.stdout
    );
}

#[test]
fn an_interrupted_search_tells_what_is_known() {
    let running = Run::of(&scenario("mqtt", "")).start();
    #[expect(
        clippy::disallowed_methods,
        reason = "a real process is waited for, in real time"
    )]
    let start = Instant::now();
    let log = || std::fs::read_to_string(running.out.join("run.log")).unwrap_or_default();
    while !log().contains("trial begins trial=2") {
        assert!(start.elapsed() < PATIENCE, "the second trial never began");
        std::thread::sleep(Duration::from_millis(20));
    }
    kill(Pid::from_raw(running.pid()), Signal::SIGINT).unwrap();
    let ran = running.finish();
    assert_eq!(ran.code, 130, "{}{}", ran.stdout, ran.stderr);
    let found = search(&ran);
    assert_eq!(found["ended"], "interrupted");
    assert_eq!(found["bracket"]["held_per_s"], 30.0);
    assert_eq!(found["trials"][0]["verdict"], "held");
    assert_eq!(
        found["trials"][1]["verdict"],
        Value::Null,
        "it was not judged"
    );
    assert!(
        ran.stdout.contains("Interrupted. So far, 30.0/s held."),
        "{}",
        ran.stdout
    );
    let fleetcall = env!("CARGO_BIN_EXE_fleetcall");
    let mut resume = Command::new(fleetcall);
    let again = resume.arg("resume").arg(&ran.out).output().unwrap();
    assert_eq!(
        again.status.code(),
        Some(2),
        "its devices would not be fresh"
    );
    assert!(String::from_utf8_lossy(&again.stderr).contains("begin a search of its own"));
    let devices = &ran.summary()["devices"];
    let count = |key: &str| devices[key].as_u64().unwrap();
    let all = ["provisioned", "refused", "failed", "unknown", "unfinished"].map(count);
    assert_eq!(all.iter().sum::<u64>(), count("listed"));
}
