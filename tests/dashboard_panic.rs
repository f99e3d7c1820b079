//! A panic while the dashboard is up must leave a sane terminal and a readable message.
//!
//! A program of its own, since something has to panic: without arguments it is the test, and runs
//! itself on a pseudo-terminal; with one it draws a dashboard and panics beside it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use fleetcall::dashboard::{self, LogTail, Options};
use fleetcall::metrics::{Aggregate, CohortSetting, HostSummary, Setting};
use fleetcall::model::TransportKind;
use serde_json::Value;
use tokio::sync::watch;

const CHILD: &str = "draw-and-panic";

fn main() {
    if std::env::args().any(|arg| arg == CHILD) {
        draw_and_panic();
    }
    a_panic_of_another_thread_leaves_a_sane_terminal();
    println!("1 passed, 0 failed");
}

fn draw_and_panic() -> ! {
    let cohort = CohortSetting {
        name: "all".to_owned(),
        transport: TransportKind::Mqtt,
        credentials: "server".to_owned(),
        model: "open".to_owned(),
        listed: 1,
        expect: None,
        misbehaviour: None,
    };
    let mut aggregate = Aggregate::new(Setting {
        schedule_digest: String::new(),
        shard: None,
        scenario: "panics-soon".to_owned(),
        seed: 1,
        model: "open".to_owned(),
        cohorts: vec![cohort],
        listed: 1,
        planned: 1,
        expected_span: Duration::from_secs(1),
        target: "nowhere".to_owned(),
        thresholds: Vec::new(),
        validity: fleetcall::metrics::ValidityLimits::default(),
        started_at: "2026-01-01T00:00:00Z".to_owned(),
        notes: Vec::new(),
        host: HostSummary::default(),
        scenario_toml: String::new(),
    });
    let snapshot = Arc::new(aggregate.tick(Duration::ZERO));
    let (_live, snapshots) = watch::channel(snapshot);
    std::thread::spawn(|| {
        let options = Options {
            color: true,
            ascii: false,
            steers: true,
        };
        dashboard::run(snapshots, options, &LogTail::default(), |_| {})
    });
    // Long enough to be drawn; the driver waits for the scenario's name.
    std::thread::sleep(Duration::from_secs(1));
    panic!("the worker lost its way");
}

fn a_panic_of_another_thread_leaves_a_sane_terminal() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(root.join(".venv/bin/python"))
        .arg(root.join("tests/peers/terminal.py"))
        .args(["80", "24", "panics-soon", "nothing"])
        .arg(std::env::current_exe().unwrap())
        .arg(CHILD)
        .output()
        .unwrap();
    let seen: Value = serde_json::from_slice(&output.stdout).unwrap();
    for promise in ["settings_kept", "entered", "left", "cursor"] {
        assert_eq!(seen[promise], true, "{promise}: {seen}");
    }
    assert_eq!(seen["code"], 101, "{seen}");
    let drawn = seen["drawn"].as_str().unwrap();
    assert!(drawn.contains("panics-soon"), "{drawn}");
    let after = &drawn[drawn.rfind("\u{1b}[?1049l").unwrap()..];
    assert!(after.contains("the worker lost its way"), "{after}");
}
