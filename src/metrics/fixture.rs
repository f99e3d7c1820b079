//! A run by hand for tests: 1,000 devices in two cohorts, every figure the same each time.

use std::sync::LazyLock;
use std::time::Duration;

use super::timeline::{Cutter, Interval};
use super::*;
use crate::model::{
    Cause, CohortIx, FaultKind, Misbehaviour, Observed, Outcome, Phase, SearchEnd, TransportKind,
    TrialPurpose, TrialVerdict,
};

/// The first cohort: MQTT over TLS, 600 devices.
pub(crate) const METERS: CohortIx = CohortIx(0);
/// The second cohort: CoAP, 400 devices.
pub(crate) const VALVES: CohortIx = CohortIx(1);

/// A minute's run with one threshold that holds and one that does not.
pub(crate) fn setting() -> Setting {
    let cohort = |name: &str, transport, credentials: &str, listed| CohortSetting {
        name: name.to_owned(),
        transport,
        credentials: credentials.to_owned(),
        model: "open".to_owned(),
        listed,
        expect: None,
        misbehaviour: None,
    };
    Setting {
        scenario: "line-3-night-shift".to_owned(),
        seed: 42,
        model: "open".to_owned(),
        schedule_digest: "c0ffee".repeat(10) + "c0de",
        shard: None,
        cohorts: vec![
            cohort("meters", TransportKind::Mqtts, "server", 600),
            cohort("valves", TransportKind::Coap, "access_token", 400),
        ],
        listed: 1_000,
        planned: 1_000,
        expected_span: Duration::from_mins(1),
        target: "mqtts 127.0.0.1:8883, coap 127.0.0.1:5683".to_owned(),
        thresholds: vec![
            Threshold::parse("time_to_provision.p99", "< 500ms", std::iter::empty())
                .expect("legal"),
            Threshold::parse("devices.provisioned", ">= 99.9%", std::iter::empty()).expect("legal"),
        ],
        validity: ValidityLimits::default(),
        started_at: "2026-11-23T02:22:00Z".to_owned(),
        notes: Vec::new(),
        host: HostSummary {
            cpu: Some("Some CPU @ 2.10GHz".to_owned()),
            cores: Some(2),
            memory_bytes: Some(8 << 30),
            kernel: Some("6.1.0".to_owned()),
            os: Some("Debian GNU/Linux 12 (bookworm)".to_owned()),
            arch: "x86_64".to_owned(),
        },
        scenario_toml: "seed = 42\nname = \"line-3-night-shift\"\n".to_owned(),
    }
}

/// The setting's run, ended after its minute.
pub(crate) fn ending() -> Ending {
    Ending {
        aborted: None,
        elapsed: Duration::from_millis(60_250),
        interrupted: false,
        search: None,
        dropped: 0,
        cpu_s: 3.25,
        peak_rss_bytes: 50_000_000,
        workers: 2,
        processes: 1,
        generator_includes_target: true,
    }
}

/// What was seen of the generator in that run: nothing amiss.
pub(crate) fn evidence() -> Evidence {
    let load = |mean, peak| Some(Load { mean, peak });
    let worker = |busy, waited| WorkerEvidence {
        busy: load(busy / 2.0, busy),
        waited: load(waited / 2.0, waited),
    };
    Evidence {
        readings: 62,
        cpu: CpuEvidence {
            cores: Some(2),
            workers: Some(vec![worker(0.412, 0.003), worker(0.387, 0.008)]),
            target: load(0.2, 0.31),
            process: load(0.7, 1.14),
            machine: load(0.4, 0.634),
            steal: load(0.0, 0.002),
            throttled: None,
        },
        files: Some(FilesEvidence {
            peak: 2_114,
            limit: 20_000,
        }),
        ports: PortsEvidence {
            tcp_peak: Some(2_204),
            udp_peak: Some(17),
            of: Some(28_232),
        },
        memory: MemoryEvidence {
            resident_peak_bytes: Some(49_000_000),
            available_min_bytes: Some(20_000_000_000),
            total_bytes: Some(25_000_000_000),
        },
        udp: UdpEvidence {
            receive_overflows: Some(0),
        },
        tcp: TcpEvidence {
            sent: Some(181_230),
            sent_again: Some(12),
            spurious: Some(9),
            listen_overflows: Some(0),
            listen_drops: Some(0),
        },
        clock: ClockEvidence {
            step_max_us: Some(31),
            suspended_us: Some(0),
            pause_max_us: 1_240,
        },
    }
}

/// What one worker recorded about the first `n` devices: of each five, three are meters.
pub(crate) fn recorded(n: u32) -> Recorder {
    let mut recorder = Recorder::new(2);
    for device in 0..n {
        let cohort = if device % 5 < 3 { METERS } else { VALVES };
        bring_up(&mut recorder, cohort, u64::from(device));
    }
    recorder
}

fn bring_up(recorder: &mut Recorder, cohort: CohortIx, device: u64) {
    let us = Duration::from_micros;
    let lag = us(device % 97 * 30 + if device % 250 == 7 { 11_000 } else { 0 });
    recorder.start(cohort, lag);
    // A spread of about one decade and a half, without a random number.
    let step = 900 + (device * 7_919 % 1_000).pow(2) / 9;
    if cohort == METERS {
        recorder.sample(cohort, Phase::TcpConnect, lag + us(step / 9), us(step / 9));
        recorder.sample(cohort, Phase::TlsHandshake, us(step / 2), us(step / 2));
        recorder.sample(cohort, Phase::MqttConnect, us(step / 3), us(step / 3));
    }
    if device % 125 == 11 {
        recorder.phase_error(cohort, Phase::Provision);
        let cause = Cause::At(Phase::Provision, FaultKind::Failure);
        recorder.outcome(cohort, Outcome::Refused, Some(cause));
        return;
    }
    if device % 500 == 33 {
        recorder.phase_error(cohort, Phase::Provision);
        let cause = Cause::At(Phase::Provision, FaultKind::Timeout);
        recorder.outcome(cohort, Outcome::Unknown, Some(cause));
        return;
    }
    recorder.sample(cohort, Phase::Provision, us(step), us(step));
    recorder.sample(
        cohort,
        Phase::TimeToProvision,
        lag + us(step * 2),
        us(step * 2),
    );
    recorder.outcome(cohort, Outcome::Provisioned, None);
    recorder.gauge(cohort, LiveState::Live, 1);
    if device % 400 == 99 {
        recorder.phase_error(cohort, Phase::Reconnect);
        recorder.error(Cause::At(Phase::Reconnect, FaultKind::Connack(5)));
        recorder.gauge(cohort, LiveState::Live, -1);
        return;
    }
    recorder.sample(cohort, Phase::Reconnect, us(step / 2), us(step / 2));
    recorder.sample(cohort, Phase::Attributes, us(step / 4), us(step / 4));
    let first = lag + us(step * 3);
    recorder.sample(cohort, Phase::TimeToFirstTelemetry, first, us(step * 3));
    for message in 0..12 {
        recorder.message_lag(us(device % 13 * 100 + message));
        recorder.sample(
            cohort,
            Phase::Telemetry,
            us(step / 4 + message),
            us(step / 4),
        );
    }
    recorder.telemetry(cohort, 12, 12 - device % 2, device % 2);
}

/// The run half-way: 500 devices over 30 s, read once a second.
pub(crate) fn half_way() -> Snapshot {
    static ONCE: LazyLock<Snapshot> = LazyLock::new(play_half_way);
    ONCE.clone()
}

fn play_half_way() -> Snapshot {
    let mut aggregate = Aggregate::new(setting());
    let mut worker = Recorder::new(2);
    let mut snapshot = aggregate.tick(Duration::ZERO);
    for second in 1..=30u32 {
        for device in (second - 1) * 17..(second * 17).min(500) {
            let cohort = if device % 5 < 3 { METERS } else { VALVES };
            bring_up(&mut worker, cohort, u64::from(device));
        }
        let frame = worker.take(None);
        aggregate.add(&frame);
        snapshot = aggregate.tick(Duration::from_secs(u64::from(second)));
    }
    snapshot
}

/// The result of the whole run.
pub(crate) fn summary() -> Summary {
    static ONCE: LazyLock<Summary> = LazyLock::new(|| {
        let mut aggregate = Aggregate::new(setting());
        aggregate.add(&recorded(1_000));
        aggregate.set_evidence(evidence());
        aggregate.finish(ending())
    });
    ONCE.clone()
}

/// The same run, second by second: each has its part of the devices.
pub(crate) fn intervals() -> Vec<Interval> {
    static ONCE: LazyLock<Vec<Interval>> = LazyLock::new(play_intervals);
    ONCE.clone()
}

fn play_intervals() -> Vec<Interval> {
    let mut aggregate = Aggregate::new(setting());
    let mut cutter = Cutter::new(&aggregate);
    let mut intervals = Vec::new();
    for second in 0..60u32 {
        let mut worker = Recorder::new(2);
        for device in second * 1_000 / 60..(second + 1) * 1_000 / 60 {
            let cohort = if device % 5 < 3 { METERS } else { VALVES };
            bring_up(&mut worker, cohort, u64::from(device));
        }
        aggregate.add(&worker);
        let due = u64::from((second + 1) * 1_000 / 60);
        let to = Duration::from_secs(u64::from(second) + 1);
        intervals.push(cutter.cut(&aggregate, to, Some(due)));
    }
    intervals.push(cutter.cut(&aggregate, ending().elapsed, Some(1_000)));
    intervals
}

/// A run of cohorts that misbehave, before its first device: 5 in 152 devices.
pub(crate) fn negative_setting() -> Setting {
    let template = setting();
    let cohort = |name: &str, misbehaviour, listed| CohortSetting {
        name: name.to_owned(),
        listed,
        misbehaviour,
        ..template.cohorts[0].clone()
    };
    Setting {
        scenario: "does-it-say-no".to_owned(),
        shard: None,
        cohorts: vec![
            cohort("meters", None, 40),
            cohort("bad-secrets", Some(Misbehaviour::WrongSecret), 50),
            cohort("twice", Some(Misbehaviour::SecondProvisioning), 50),
            cohort(
                "old-certificates",
                Some(Misbehaviour::ExpiredCertificate),
                10,
            ),
            cohort("careless", Some(Misbehaviour::PaddedName), 2),
        ],
        listed: 152,
        planned: 152,
        thresholds: Vec::new(),
        notes: vec!["TLS: the server's certificate is not verified (insecure = true)".to_owned()],
        ..template
    }
}

/// What happened to how many in that run: cohort, observed, outcome, cause.
pub(crate) const NEGATIVE: [(u16, Observed, Outcome, Option<Cause>, u32); 8] = {
    const FAILURE: Cause = Cause::At(Phase::Provision, FaultKind::Failure);
    const TIMEOUT: Cause = Cause::At(Phase::Provision, FaultKind::Timeout);
    const NOT_FOUND: Cause = Cause::At(Phase::Provision, FaultKind::NotFound);
    const ALERT: Cause = Cause::At(Phase::TlsHandshake, FaultKind::TlsAlert(45));
    [
        (0, Observed::Provisioned, Outcome::Provisioned, None, 40),
        (1, Observed::Refused, Outcome::Refused, Some(NOT_FOUND), 50),
        (2, Observed::Unknown, Outcome::Provisioned, Some(TIMEOUT), 3),
        (2, Observed::Provisioned, Outcome::Provisioned, None, 12),
        (
            2,
            Observed::Refused,
            Outcome::Provisioned,
            Some(FAILURE),
            34,
        ),
        (2, Observed::Barred, Outcome::Refused, Some(FAILURE), 1),
        (3, Observed::Rejected, Outcome::Failed, Some(ALERT), 10),
        (4, Observed::Provisioned, Outcome::Provisioned, None, 2),
    ]
};

/// That run with everything recorded, and its matrix.
pub(crate) fn negative() -> (Aggregate, Matrix) {
    let setting = negative_setting();
    let mut matrix = Matrix::new(&setting);
    let mut recorder = Recorder::new(setting.cohorts.len());
    for (cohort, observed, outcome, cause, devices) in NEGATIVE {
        let cohort = CohortIx(cohort);
        for n in 0..devices {
            let name = format!(
                "{}-{}-{n}",
                setting.cohorts[cohort.get()].name,
                observed.as_str()
            );
            matrix.add(cohort, observed, &name, cause);
            recorder.outcome(cohort, outcome, cause);
            if let Some(Cause::At(phase, _)) = cause {
                recorder.phase_error(cohort, phase);
            }
        }
    }
    let mut aggregate = Aggregate::new(setting);
    aggregate.add(&recorder);
    (aggregate, matrix)
}

/// The judged result of that run, with a proof that two devices share their credentials.
pub(crate) fn negative_summary() -> Summary {
    let (aggregate, matrix) = negative();
    let mut findings = Findings::default();
    findings.add(Finding::SharedCredentials {
        first: "meters-provisioned-3".to_owned(),
        second: "meters-provisioned-17".to_owned(),
    });
    let mut summary = aggregate.finish(ending());
    summary.judge(matrix, findings);
    summary
}

/// A search in which 50 devices per second were found: 40 held, 80 and 60 broke, the latter by 0.9 s.
pub(crate) fn search() -> SearchSummary {
    let trial = |trial: u32, purpose, rate: f64, (achieved, p99_ms): (f64, u64), verdict| {
        let held = verdict == TrialVerdict::Held;
        let share = (achieved / rate * 1e4).floor() / 1e2;
        let tried = Tried {
            trial,
            purpose,
            rate,
            begins: Duration::from_secs(10 * u64::from(trial)),
            hold: Duration::from_secs(4),
            first: 400 * (trial - 1),
            warm_up: 80,
            measured: 200,
        };
        TrialSummary {
            devices: Some(DeviceCounts {
                listed: 200,
                provisioned: 200,
                ..DeviceCounts::default()
            }),
            achieved_per_s: Some(achieved),
            response_us: Some(LatencyFigures {
                p50: 20_000,
                p99: 1_000 * p99_ms,
                ..LatencyFigures::default()
            }),
            conditions: vec![ThresholdResult {
                expression: "provisioned per second >= 98% of the rate".to_owned(),
                observed: format!("{achieved}/s ({share}%)"),
                passed: held,
            }],
            verdict: Some(verdict),
            ..tried.unfinished()
        }
    };
    let (held, broken) = (TrialVerdict::Held, TrialVerdict::Broken);
    let trials = vec![
        trial(1, TrialPurpose::Step, 40.0, (40.0, 30), held),
        trial(2, TrialPurpose::Step, 80.0, (50.0, 2_400), broken),
        trial(3, TrialPurpose::Bisect, 60.0, (50.0, 700), broken),
        trial(4, TrialPurpose::Bisect, 50.0, (50.0, 40), held),
        trial(5, TrialPurpose::Recheck, 60.0, (50.25, 900), broken),
        trial(6, TrialPurpose::Confirm, 50.0, (49.5, 45), held),
    ];
    let bracket = (Some(50.0), Some(60.0));
    SearchSummary::new(SearchEnd::Found, bracket, Some(40.0), trials)
}

/// The run of that search.
pub(crate) fn searched_summary() -> Summary {
    let mut summary = summary();
    summary.thresholds.clear();
    summary.schedule_digest.clear();
    summary.search = Some(search());
    summary.result = RunResult::Passed;
    summary
}

/// A search in its fourth trial.
pub(crate) fn search_row() -> SearchRow {
    SearchRow {
        trial: 4,
        purpose: TrialPurpose::Bisect,
        rate: 56.57,
        last: Some(TrialVerdict::Broken),
        held: Some(40.0),
        broken: Some(80.0),
    }
}
