//! Whether a run says so when the generator, and not the server, was the limit.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::support::{PATIENCE, Ran, Run, Running};

/// The generator's part of the summary.
fn generator(ran: &Ran) -> Value {
    ran.summary()["generator"].clone()
}

/// Its reasons, in one text.
fn reasons(ran: &Ran) -> String {
    let reasons = generator(ran)["reasons"].clone();
    let reasons: Vec<String> = serde_json::from_value(reasons).unwrap();
    reasons.join("\n")
}

/// Every `null` in the evidence, by its path.
fn untold(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Null => found.push(path.to_owned()),
        Value::Object(object) => {
            for (key, below) in object {
                untold(below, &format!("{path}.{key}"), found);
            }
        }
        Value::Array(list) => list.iter().for_each(|one| untold(one, path, found)),
        _ => {}
    }
}

/// Waits until the run has a second behind it, as its time line tells.
fn wait_for_an_interval(running: &Running) {
    #[expect(
        clippy::disallowed_methods,
        reason = "a real process is waited for, in real time"
    )]
    let start = Instant::now();
    let path = running.out.join("timeline.jsonl");
    let lines = || std::fs::read_to_string(&path).map_or(0, |text| text.lines().count());
    while lines() < 2 {
        assert!(start.elapsed() < PATIENCE, "no interval was written");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A few devices that send for so many seconds.
fn steady(seconds: u32, more: &str) -> String {
    format!(
        "name = \"steady\"\nseed = 1\ntarget.embedded = true\ndevices.generate.count = 5\n\
         arrival.stages = [{{ burst = 5 }}, {{ duration = \"{seconds}s\", rate = 0 }}]\n\
         telemetry.interval = \"200ms\"\n{more}"
    )
}

#[test]
fn everything_that_linux_tells_is_in_the_evidence_of_a_run() {
    let ran = Run::of(&steady(2, "")).finish();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let evidence = &generator(&ran)["evidence"];
    let mut dark = Vec::new();
    untold(evidence, "", &mut dark);
    // A quota is not everybody's.
    dark.retain(|path| path != ".cpu.throttled");
    assert!(dark.is_empty(), "{dark:?} in {evidence:#}");
    // At the start, after a second, after two, and at the end.
    assert!(evidence["readings"].as_u64().unwrap() >= 3, "{evidence:#}");
    let busy = &evidence["cpu"]["workers"][0]["busy"]["mean"];
    assert!(busy.as_f64().unwrap() > 0.0, "{evidence:#}");
    assert!(ran.stdout.contains("  peak    worker "), "{}", ran.stdout);
    assert!(!ran.stdout.contains("unseen"), "{}", ran.stdout);
}

#[test]
fn wider_limits_are_said_to_be_the_scenarios_and_a_run_within_them_is_valid() {
    // As wide as a machine that other tests have needs them.
    let wide = "[validity]\nlag_p99 = \"1min\"\nmessage_lag_p99 = \"1min\"\nlate_share = 1\n\
        cpu_share = 1\nrun_queue_share = 1\nmachine_share = 1\nsteal_share = 1\n\
        throttled_share = 1\nmemory_share = 1\nudp_overflows = 1000000\nclock_step = \"1h\"\n\
        pause = \"1min\"\n";
    let ran = Run::of(&steady(1, wide)).strict().finish();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(generator(&ran)["verdict"], "valid", "{}", reasons(&ran));
    assert_eq!(generator(&ran)["limits"]["pause_us"], 60_000_000);
    let said = "  limits  set by the scenario: lag_p99, lag_p99_invalid, message_lag_p99, ";
    assert!(ran.stdout.contains(said), "{}", ran.stdout);
    // In a line when it is valid.
    assert!(!ran.stdout.contains("longest pause"), "{}", ran.stdout);
}

#[test]
fn a_process_that_was_stopped_says_so() {
    let running = Run::of(&steady(8, "")).start();
    wait_for_an_interval(&running);
    let pid = Pid::from_raw(running.pid());
    kill(pid, Signal::SIGSTOP).unwrap();
    std::thread::sleep(Duration::from_secs(3));
    kill(pid, Signal::SIGCONT).unwrap();
    let ran = running.finish();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert_ne!(generator(&ran)["verdict"], "valid");
    let reasons = reasons(&ran);
    assert!(
        reasons.contains("nothing of this process ran for "),
        "{reasons}"
    );
    assert!(ran.stdout.contains("longest pause "), "{}", ran.stdout);
}

/// One place, which the server holds for half a second each time, and 8 devices due at once: the last
/// start is late by 3.5 s.
const TOO_FEW_PLACES: &str = r#"
    name = "few-places"
    seed = 1
    target = { embedded = true, faults.delay = "500ms" }
    devices.generate = { count = 8 }
    arrival.stages = [{ burst = 8 }]
    limits.in_flight = 1
"#;

#[test]
fn an_invalid_run_ends_with_4_unless_that_is_allowed() {
    let invalid = |run: Run, code: i32| {
        let ran = run.finish();
        assert_eq!(ran.code, code, "{}{}", ran.stdout, ran.stderr);
        assert_eq!(ran.summary()["result"], "invalid");
        assert_eq!(ran.summary()["generator"]["verdict"], "invalid");
        assert!(ran.stdout.starts_with("INVALID"), "{}", ran.stdout);
    };
    invalid(Run::of(TOO_FEW_PLACES).strict(), 4);
    invalid(Run::of(TOO_FEW_PLACES), 0);
    let crossed = format!("{TOO_FEW_PLACES}thresholds = {{ \"provision.p50\" = \"< 1ms\" }}");
    invalid(Run::of(&crossed), 3);
}

#[test]
fn a_server_that_stands_still_does_not_make_the_generator_look_late() {
    let ran = Run::of(
        r#"
        name = "stall"
        seed = 1
        target = { embedded = true, faults.stall = [{ at = "1s", for = "3s" }] }
        devices.generate = { count = 5 }
        arrival.stages = [{ burst = 5 }, { duration = "5s", rate = 0 }]
        telemetry = { interval = "100ms" }
        "#,
    )
    .finish();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let waited = ran.number("phases.telemetry.response_us.max");
    assert!(waited >= 2_900_000, "{waited} µs");
    // Half of the stall, for a machine that has other work as well.
    let lag = ran.number("telemetry.lag_us.max");
    assert!(lag < 1_500_000, "{lag} µs");
    assert!(ran.stdout.contains("messages p50 "), "{}", ran.stdout);
}
