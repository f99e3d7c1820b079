//! Verdicts by value: what is at a limit and what is beyond it.

use GeneratorVerdict::{Invalid, Suspect, Valid};

use super::super::{ClockEvidence, FilesEvidence, UdpEvidence, WorkerEvidence};
use super::*;

fn lag(p99: u64) -> LagFigures {
    LagFigures {
        p50: 0,
        p99,
        max: p99,
    }
}

fn load(peak: f64) -> Load {
    Load { mean: 0.1, peak }
}

/// A machine with nothing amiss.
fn sound() -> Evidence {
    let worker = WorkerEvidence {
        busy: Some(load(0.5)),
        waited: Some(load(0.01)),
    };
    let mut evidence = Evidence::default();
    evidence.cpu.cores = Some(2);
    evidence.cpu.workers = Some(vec![worker; 2]);
    evidence.cpu.machine = Some(load(0.6));
    evidence.cpu.steal = Some(load(0.0));
    evidence.memory.available_min_bytes = Some(600);
    evidence.memory.total_bytes = Some(1_000);
    evidence.udp = UdpEvidence {
        receive_overflows: Some(0),
    };
    evidence.clock = ClockEvidence {
        step_max_us: Some(30),
        suspended_us: Some(0),
        pause_max_us: 900,
    };
    evidence
}

/// Judged after the change: the verdict and the reasons.
fn judged(change: impl FnOnce(&mut Case<'_>, &mut Evidence)) -> (GeneratorVerdict, Vec<String>) {
    let limits = ValidityLimits::default();
    let mut evidence = sound();
    let mut case = Case {
        starts: StartCounts {
            planned: 1_000,
            started: 1_000,
            late: 0,
            dropped: 0,
        },
        lag: lag(900),
        message_lag: Some(lag(1_200)),
        exhausted: 0,
        interrupted: false,
        evidence: None,
        deaths: &[],
        limits: &limits,
    };
    change(&mut case, &mut evidence);
    judge(&Case {
        evidence: Some(&evidence),
        ..case
    })
}

type Change = fn(&mut Case<'_>, &mut Evidence);

/// Each change alone crosses one limit or none.
fn held(cases: &[(&str, Change, GeneratorVerdict)]) {
    for (name, change, expected) in cases {
        let (verdict, reasons) = judged(change);
        assert_eq!(verdict, *expected, "{name}: {reasons:?}");
        assert_eq!(reasons.len(), usize::from(verdict != Valid), "{name}");
    }
}

#[test]
fn lags_are_crossed_only_beyond_their_limits() {
    held(&[
        ("on time", |_, _| {}, Valid),
        ("at 20 ms", |c, _| c.lag = lag(20_000), Valid),
        ("beyond", |c, _| c.lag = lag(20_001), Suspect),
        ("at a second", |c, _| c.lag = lag(1_000_000), Suspect),
        ("beyond", |c, _| c.lag = lag(1_000_001), Invalid),
        ("no messages", |c, _| c.message_lag = None, Valid),
        ("messages", |c, _| c.message_lag = Some(lag(20_000)), Valid),
        ("late", |c, _| c.message_lag = Some(lag(20_001)), Suspect),
        (
            "later",
            |c, _| c.message_lag = Some(lag(1_000_001)),
            Invalid,
        ),
    ]);
}

#[test]
fn counts_are_crossed_only_beyond_their_limits() {
    held(&[
        ("1 % late", |c, _| c.starts.late = 10, Valid),
        ("1.1 %", |c, _| c.starts.late = 11, Suspect),
        ("a start dropped", |c, _| c.starts.dropped = 1, Suspect),
        ("10 %", |c, _| c.starts.dropped = 100, Suspect),
        ("10.1 %", |c, _| c.starts.dropped = 101, Invalid),
        (
            "interrupted",
            |c, _| (c.starts.dropped, c.interrupted) = (900, true),
            Valid,
        ),
        ("a port short", |c, _| c.exhausted = 1, Suspect),
        ("5 %", |c, _| c.exhausted = 50, Suspect),
        ("5.1 %", |c, _| c.exhausted = 51, Invalid),
    ]);
}

#[test]
fn cores_are_crossed_only_beyond_their_limits() {
    fn worker(evidence: &mut Evidence, busy: f64, waited: f64) {
        let workers = evidence.cpu.workers.as_mut().expect("two");
        workers[1] = WorkerEvidence {
            busy: Some(load(busy)),
            waited: Some(load(waited)),
        };
    }
    held(&[
        ("busy", |_, e| worker(e, 0.9, 0.0), Valid),
        ("too busy", |_, e| worker(e, 0.91, 0.0), Suspect),
        ("waits", |_, e| worker(e, 0.0, 0.1), Valid),
        ("waits too long", |_, e| worker(e, 0.0, 0.11), Suspect),
        ("machine", |_, e| e.cpu.machine = Some(load(0.95)), Valid),
        ("full", |_, e| e.cpu.machine = Some(load(0.96)), Suspect),
        ("steal", |_, e| e.cpu.steal = Some(load(0.06)), Suspect),
        ("quota", |_, e| e.cpu.throttled = Some(load(0.06)), Suspect),
    ]);
}

#[test]
fn losses_and_time_are_crossed_only_beyond_their_limits() {
    held(&[
        (
            "memory",
            |_, e| e.memory.available_min_bytes = Some(50),
            Valid,
        ),
        (
            "low",
            |_, e| e.memory.available_min_bytes = Some(49),
            Suspect,
        ),
        (
            "datagram",
            |_, e| e.udp.receive_overflows = Some(1),
            Suspect,
        ),
        ("step", |_, e| e.clock.step_max_us = Some(100_000), Valid),
        ("set", |_, e| e.clock.step_max_us = Some(100_001), Suspect),
        ("pause", |_, e| e.clock.pause_max_us = 1_000_000, Valid),
        ("stopped", |_, e| e.clock.pause_max_us = 1_000_001, Suspect),
        ("awake", |_, e| e.clock.suspended_us = Some(10_000), Valid),
        (
            "asleep",
            |_, e| e.clock.suspended_us = Some(10_001),
            Invalid,
        ),
    ]);
}

#[test]
fn the_gravest_verdict_wins_and_no_reason_is_lost() {
    let (verdict, reasons) = judged(|case, evidence| {
        case.lag = lag(30_000);
        evidence.cpu.machine = Some(load(1.0));
        evidence.clock.suspended_us = Some(1 << 40);
    });
    assert_eq!((verdict, reasons.len()), (Invalid, 3));
}

#[test]
fn what_is_not_told_crosses_no_limit_and_what_the_scenario_allows_does_not_either() {
    held(&[("dark", |_, e| *e = Evidence::default(), Valid)]);
    let lenient = ValidityLimits {
        lag_p99_us: 9_000_000,
        lag_p99_invalid_us: 9_000_000,
        ..ValidityLimits::default()
    };
    let case = Case {
        starts: StartCounts::default(),
        lag: lag(8_000_000),
        message_lag: None,
        exhausted: 0,
        interrupted: false,
        evidence: None,
        deaths: &[],
        limits: &lenient,
    };
    assert_eq!(judge(&case), (Valid, Vec::new()));
}

#[test]
fn reasons_carry_figures_limits_meaning_and_a_way_out() {
    let (_, reasons) = judged(|case, evidence| {
        case.starts = StartCounts {
            planned: 2_000,
            started: 1_500,
            late: 300,
            dropped: 500,
        };
        case.lag = lag(45_300);
        case.exhausted = 7;
        evidence.files = Some(FilesEvidence {
            peak: 1_020,
            limit: 1_024,
        });
        evidence.cpu.workers = Some(vec![WorkerEvidence {
            busy: Some(load(0.934)),
            waited: Some(load(0.25)),
        }]);
        evidence.udp.receive_overflows = Some(1_234);
        evidence.clock.pause_max_us = 4_200_000;
    });
    insta::assert_snapshot!(reasons.join("\n"));
}
