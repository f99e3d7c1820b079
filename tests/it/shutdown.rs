//! Being told to stop: once winds down, twice stops; both report.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{PATIENCE, Run, Running};

const LONG: &str = r#"
    name = "long"
    [target]
    embedded = true
    FAULTS
    [devices]
    generate = { count = 3000, kind = "mac" }
    [arrival]
    model = "open"
    stages = [{ duration = "60s", rate = 50 }]
    [telemetry]
    interval = "500ms"
"#;

/// Waits until at least one credential is on the disk: devices are being provisioned.
fn wait_for_the_first_credential(running: &Running) {
    #[expect(
        clippy::disallowed_methods,
        reason = "a real process is waited for, in real time"
    )]
    let start = Instant::now();
    let rows = || {
        let text = std::fs::read_to_string(running.out.join("credentials.csv"));
        text.unwrap_or_default().lines().count()
    };
    while rows() < 2 {
        assert!(start.elapsed() < PATIENCE, "no device was provisioned");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn signal(running: &Running, signal: Signal) {
    kill(Pid::from_raw(running.pid()), signal).unwrap();
}

#[test]
fn one_interrupt_winds_down_and_reports() {
    for first in [Signal::SIGINT, Signal::SIGTERM] {
        let running = Run::of(&LONG.replace("FAULTS", "")).start();
        wait_for_the_first_credential(&running);
        signal(&running, first);
        let ran = running.finish();
        assert_eq!(ran.code, 130, "{}", ran.stderr);
        assert_eq!(ran.summary()["result"], "interrupted");
        assert!(ran.number("devices.provisioned") > 0);
        assert!(ran.number("devices.unfinished") > 0);
        // What was in flight was allowed to finish.
        assert_eq!(ran.number("telemetry.lost"), 0);
        assert_eq!(ran.number("devices.unknown"), 0);
    }
}

#[test]
fn a_second_interrupt_cuts_off_what_is_in_flight() {
    // Answers take longer than anybody waits.
    let running = Run::of(&LONG.replace("FAULTS", "faults = { delay = \"3600s\" }")).start();
    // Without a credential to wait for: the log says when the run started.
    #[expect(
        clippy::disallowed_methods,
        reason = "a real process is waited for, in real time"
    )]
    let start = Instant::now();
    let log = || std::fs::read_to_string(running.out.join("run.log")).unwrap_or_default();
    while !log().contains("run starts") {
        assert!(start.elapsed() < PATIENCE, "the run did not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    // Half a second of arrivals, so that requests are under way.
    std::thread::sleep(Duration::from_millis(500));
    signal(&running, Signal::SIGINT);
    while !log().contains("asked to stop") {
        assert!(start.elapsed() < PATIENCE, "the signal was not taken");
        std::thread::sleep(Duration::from_millis(20));
    }
    signal(&running, Signal::SIGINT);
    let ran = running.finish();
    assert_eq!(ran.code, 130, "{}", ran.stderr);
    // Their requests were sent: the server may have provisioned them.
    assert!(ran.number("devices.unknown") > 0, "{}", ran.stdout);
    assert!(ran.errors()["provision.cut_off"] > 0);
}
