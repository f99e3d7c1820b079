//! From recorders to the summary: sums, keys, results.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use super::*;
use crate::model::{Cause, CohortIx, FaultKind, Outcome, Phase};

const ONE: CohortIx = CohortIx(0);

/// A run of so many devices in one cohort, without thresholds.
fn setting(listed: u64) -> Setting {
    let mut setting = fixture::setting();
    setting.cohorts.truncate(1);
    setting.cohorts[0].listed = listed;
    setting.thresholds.clear();
    (setting.listed, setting.planned) = (listed, listed);
    setting
}

fn finish(setting: Setting, end: Ending, record: impl FnOnce(&mut Recorder)) -> Summary {
    let mut recorder = Recorder::new(setting.cohorts.len());
    record(&mut recorder);
    let mut aggregate = Aggregate::new(setting);
    aggregate.add(&recorder);
    aggregate.finish(end)
}

fn keys(value: &Value) -> Vec<&str> {
    let object = value.as_object().expect("an object");
    object.keys().map(String::as_str).collect()
}

/// Where in the summary, and the keys there, in their order.
const KEYS: &[(&str, &str)] = &[
    (
        "/devices",
        "listed provisioned refused failed unknown unfinished",
    ),
    ("/starts", "planned started late dropped"),
    ("/lag_us", "p50 p99 max"),
    (
        "/phases/provision",
        "count errors retries response_us service_us",
    ),
    ("/phases/provision/response_us", "p50 p90 p99 p999 max mean"),
    ("/phases/provision/service_us", "p50 p90 p99 p999 max mean"),
    (
        "/cohorts/meters/phases/provision/response_us",
        "p50 p90 p99 p999 max mean",
    ),
    ("/telemetry", "sent acked lost rate_per_s lag_us"),
    ("/telemetry/lag_us", "p50 p99 max"),
    ("/cohorts/meters/telemetry", "sent acked lost rate_per_s"),
    ("/thresholds/0", "expression observed passed"),
    (
        "/generator",
        "cpu_s wall_s peak_rss_bytes workers processes includes_target verdict reasons limits evidence",
    ),
    (
        "/generator/evidence",
        "readings cpu files ports memory udp tcp clock",
    ),
    (
        "/generator/evidence/cpu",
        "cores workers target process machine steal throttled",
    ),
    ("/generator/evidence/cpu/workers/0", "busy waited"),
    ("/generator/evidence/cpu/workers/0/busy", "mean peak"),
    ("/generator/evidence/files", "peak limit"),
    ("/generator/evidence/ports", "tcp_peak udp_peak of"),
    (
        "/generator/evidence/memory",
        "resident_peak_bytes available_min_bytes total_bytes",
    ),
    ("/generator/evidence/udp", "receive_overflows"),
    (
        "/generator/evidence/tcp",
        "sent sent_again spurious listen_overflows listen_drops",
    ),
    (
        "/generator/evidence/clock",
        "step_max_us suspended_us pause_max_us",
    ),
    (
        "/cohorts/meters",
        "transport credentials model devices phases telemetry histograms",
    ),
    ("/histograms/provision", "response service"),
    ("/machine", "cpu cores memory_bytes kernel os arch"),
];

#[test]
fn the_summary_has_the_keys_that_scripts_rely_on() {
    let json = serde_json::to_value(fixture::summary()).expect("plain words");
    let top: BTreeSet<&str> = keys(&json).into_iter().collect();
    let stay = "schema_version fleetcall_version scenario seed started_at elapsed_s model schedule_digest devices \
                starts lag_us phases errors telemetry thresholds generator result";
    let added = "target cohorts histograms machine scenario_toml";
    let expected = stay.split_whitespace().chain(added.split_whitespace());
    assert_eq!(top, expected.collect());
    for (path, expected) in KEYS {
        let part = json
            .pointer(path)
            .unwrap_or_else(|| panic!("{path} is missing"));
        assert_eq!(keys(part).join(" "), *expected, "{path}");
    }
    assert_eq!(json["schema_version"], 1);
    assert_eq!(json["model"], "open");
    assert_eq!(json["generator"]["verdict"], "valid");
    assert_eq!(json["errors"]["provision.failure"], 8);
    for lag in ["start_lag", "message_lag"] {
        assert!(json["histograms"][lag].is_string(), "{lag}");
    }
}

#[test]
fn phases_go_by_their_documented_names_and_only_when_they_occurred() {
    let json = serde_json::to_value(fixture::summary()).expect("plain words");
    let all = Phase::ALL.map(Phase::as_str);
    // In it nobody lost a session, got a new certificate or was spoken to, and nobody is a gateway.
    let silent = [
        "rotate",
        "subscribe",
        "gateway_connect",
        "claim",
        "attribute_update",
        "server_rpc",
        "rpc_reply",
        "rpc_round_trip",
        "client_rpc",
        "time_to_reconnect",
    ];
    let occurred = all.into_iter().filter(|phase| !silent.contains(phase));
    assert_eq!(keys(&json["phases"]), occurred.collect::<Vec<_>>());
    for phase in all {
        let row = format!("\n| `{phase}` | ");
        let doc = include_str!("../../docs/metrics.md");
        assert!(doc.contains(&row), "docs/metrics.md lacks {phase}");
    }
    let coap = &json["cohorts"]["valves"]["phases"];
    assert!(
        coap.get("mqtt_connect").is_none(),
        "a CoAP device has no MQTT session"
    );
    assert!(coap.get("provision").is_some());
}

#[test]
fn a_summary_survives_json() {
    for summary in [fixture::summary(), fixture::negative_summary()] {
        let text = serde_json::to_string(&summary).expect("plain words");
        let again: Summary = serde_json::from_str(&text).expect("own form");
        assert_eq!(again, summary);
    }
}

#[test]
fn a_judged_summary_has_its_keys_beside_the_others() {
    let plain = serde_json::to_value(fixture::summary()).expect("plain words");
    let judged = serde_json::to_value(fixture::negative_summary()).expect("plain words");
    let (plain, judged): (BTreeSet<_>, BTreeSet<_>) = (
        keys(&plain).into_iter().collect(),
        keys(&judged).into_iter().collect(),
    );
    assert!(judged.is_superset(&plain));
    let added: Vec<_> = judged.difference(&plain).copied().collect();
    assert_eq!(added, ["expectations", "findings", "notes"]);
}

#[test]
fn devices_telemetry_and_phases_of_cohorts_add_up_to_the_run() {
    let summary = fixture::summary();
    let cohorts = || summary.cohorts.values();
    for outcome in Outcome::ALL {
        let sum: u64 = cohorts().map(|c| c.devices.of(outcome)).sum();
        assert_eq!(sum, summary.devices.of(outcome), "{outcome:?}");
    }
    let sent: u64 = cohorts().map(|c| c.telemetry.counts.sent).sum();
    assert_eq!(sent, summary.telemetry.counts.sent);
    for (phase, whole) in &summary.phases {
        let mut sum = latency::histogram();
        for cohort in cohorts().filter_map(|c| c.histograms.get(phase)) {
            sum.add(cohort.response.decode().expect("own form"))
                .expect("same bounds");
        }
        assert_eq!(sum.len(), whole.count, "{phase:?}");
        let carried = &summary.histograms.phases[phase].response;
        assert_eq!(sum, carried.decode().expect("own form"), "{phase:?}");
        assert_eq!(LatencyFigures::of(&sum), whole.response_us, "{phase:?}");
    }
}

#[test]
fn workers_may_be_added_in_any_split() {
    let whole = fixture::summary();
    let mut aggregate = Aggregate::new(fixture::setting());
    aggregate.set_evidence(fixture::evidence());
    // The same calls, dealt over frames as a worker would take them.
    let mut worker = fixture::recorded(1_000);
    let mut spare = None;
    for _ in 0..3 {
        let mut frame = worker.take(spare.take());
        aggregate.add(&frame);
        frame.clear();
        spare = Some(frame);
    }
    assert_eq!(aggregate.finish(fixture::ending()), whole);
}

#[test]
#[should_panic(expected = "exactly one outcome")]
fn a_device_without_outcome_is_a_bug_and_no_result() {
    finish(setting(2), fixture::ending(), |r| {
        r.outcome(ONE, Outcome::Provisioned, None);
    });
}

#[test]
#[should_panic(expected = "exactly one outcome")]
fn a_device_counted_twice_is_a_bug_and_no_result() {
    finish(setting(1), fixture::ending(), |r| {
        r.outcome(ONE, Outcome::Provisioned, None);
        r.outcome(ONE, Outcome::Provisioned, None);
    });
}

#[test]
fn the_gravest_result_wins() {
    let refuse = |r: &mut Recorder| {
        let cause = Cause::At(Phase::Provision, FaultKind::NotFound);
        r.outcome(ONE, Outcome::Refused, Some(cause));
    };
    let late_and_refused = |r: &mut Recorder| {
        r.start(ONE, Duration::from_secs(2));
        refuse(r);
    };
    let end = fixture::ending();
    let interrupted = Ending {
        interrupted: true,
        ..end.clone()
    };
    let passed = finish(setting(1), end.clone(), |r| {
        r.outcome(ONE, Outcome::Provisioned, None);
    });
    assert_eq!(passed.result, RunResult::Passed);
    assert_eq!(
        finish(setting(1), end.clone(), refuse).result,
        RunResult::Failed
    );
    assert_eq!(
        finish(setting(1), end.clone(), late_and_refused).result,
        RunResult::Invalid
    );
    assert_eq!(
        finish(setting(1), interrupted, late_and_refused).result,
        RunResult::Interrupted
    );
}

#[test]
fn a_run_that_did_not_provision_everybody_does_not_pass_by_silence() {
    let cut = |r: &mut Recorder| {
        r.outcome(ONE, Outcome::Unfinished, Some(Cause::NotStarted));
    };
    let silent = finish(setting(1), fixture::ending(), cut);
    assert_eq!(silent.result, RunResult::Failed);
    assert_eq!(silent.thresholds.len(), 1);
    assert_eq!(
        silent.thresholds[0].expression,
        "devices.provisioned == 100%"
    );
    let mut spoken = setting(1);
    spoken.thresholds =
        vec![Threshold::parse("devices.refused", "== 0", std::iter::empty()).expect("legal")];
    let spoken = finish(spoken, fixture::ending(), cut);
    assert_eq!(
        (spoken.result, spoken.thresholds.len()),
        (RunResult::Passed, 1)
    );
}

#[test]
fn a_snapshot_shows_where_everybody_is() {
    let mut aggregate = Aggregate::new(setting(10));
    let mut worker = Recorder::new(1);
    for _ in 0..6 {
        worker.start(ONE, Duration::ZERO);
        worker.gauge(ONE, LiveState::BringingUp, 1);
    }
    for _ in 0..2 {
        worker.outcome(ONE, Outcome::Provisioned, None);
        worker.gauge(ONE, LiveState::BringingUp, -1);
        worker.gauge(ONE, LiveState::Live, 1);
    }
    worker.outcome(ONE, Outcome::Unfinished, Some(Cause::NotStarted));
    aggregate.add(&worker);
    aggregate.set_dropped(3);
    let snapshot = aggregate.tick(Duration::from_secs(12));
    let expected = LiveCounts {
        waiting: 3,
        bringing_up: 4,
        live: 2,
    };
    assert_eq!(snapshot.live, expected);
    assert_eq!(snapshot.cohorts[0].live, expected);
    assert_eq!((snapshot.starts.started, snapshot.starts.dropped), (6, 3));
    assert_eq!(snapshot.remaining, Some(Duration::from_secs(48)));
    assert!(
        (snapshot.progress - 0.2).abs() < 1e-9,
        "{}",
        snapshot.progress
    );
}

#[test]
fn frames_out_of_step_never_show_a_negative_gauge() {
    let mut aggregate = Aggregate::new(setting(10));
    let mut worker = Recorder::new(1);
    worker.gauge(ONE, LiveState::Live, -2);
    aggregate.add(&worker);
    assert_eq!(aggregate.tick(Duration::ZERO).live.live, 0);
}

#[test]
fn beyond_its_time_a_run_is_forecast_from_its_pace() {
    let mut aggregate = Aggregate::new(setting(4));
    let mut worker = Recorder::new(1);
    assert_eq!(aggregate.tick(Duration::from_secs(90)).remaining, None);
    worker.outcome(ONE, Outcome::Provisioned, None);
    aggregate.add(&worker);
    let snapshot = aggregate.tick(Duration::from_secs(100));
    assert_eq!(snapshot.remaining, Some(Duration::from_mins(5)));
    assert!((snapshot.progress - 0.25).abs() < 1e-9);
}

#[test]
fn a_steered_run_is_forecast_by_its_schedules_clock_and_its_result_says_so() {
    let mut aggregate = Aggregate::new(setting(1));
    let change = Steered {
        at_s: 10.0,
        action: SteeringAction::Rate,
        factor: 2.0,
        effect: "twice as fast".to_owned(),
    };
    let mut steering = Steering {
        factor: 2.0,
        shows: Some(Duration::from_secs(30)),
        changes: vec![change.clone()],
        ..Steering::default()
    };
    aggregate.set_steering(steering.clone());
    // A minute's run of which half is over, and the rest goes twice as fast.
    let snapshot = aggregate.tick(Duration::from_secs(20));
    assert_eq!(snapshot.remaining, Some(Duration::from_secs(15)));
    assert_eq!(snapshot.steering, steering);
    steering.paused = true;
    aggregate.set_steering(steering);
    assert_eq!(aggregate.tick(Duration::from_secs(21)).remaining, None);
    let mut worker = Recorder::new(1);
    worker.outcome(ONE, Outcome::Provisioned, None);
    aggregate.add(&worker);
    let summary = aggregate.finish(fixture::ending());
    assert_eq!(summary.steering, [change]);
    assert!(is_steered(&summary.schedule_digest));
    assert_eq!(summary.notes, ["steered by hand: 1 change of the schedule"]);
}

#[test]
fn no_error_is_expected_where_everybody_is_to_get_in() {
    let mut aggregate = Aggregate::new(setting(1));
    let mut worker = Recorder::new(1);
    worker.error(Cause::At(Phase::Reconnect, FaultKind::Connack(5)));
    worker.error(Cause::At(Phase::Provision, FaultKind::Failure));
    aggregate.add(&worker);
    let snapshot = aggregate.tick(Duration::ZERO);
    assert_eq!(snapshot.errors.len(), 2);
    assert!(snapshot.errors.iter().all(|row| !row.expected));
}

#[test]
fn errors_are_sorted_with_the_most_frequent_first() {
    let snapshot = fixture::half_way();
    let causes: Vec<&str> = snapshot
        .errors
        .iter()
        .map(|row| row.cause.as_str())
        .collect();
    assert_eq!(causes[0], "provision.failure");
    assert!(
        snapshot
            .errors
            .is_sorted_by_key(|row| std::cmp::Reverse(row.count))
    );
    assert_eq!(snapshot.error_count(), 4 + 1 + 2);
}

#[test]
fn devices_that_a_search_did_not_need_alarm_nobody() {
    let mut run = fixture::summary();
    (run.devices.listed, run.starts.started) = (1_000, 400);
    assert_eq!(run.untouched(), 0, "they should have had their turn");
    assert!(run.alarms("meters", Outcome::Unfinished));
    run.search = Some(fixture::search());
    assert_eq!(run.untouched(), 600);
    assert!(!run.alarms("meters", Outcome::Unfinished));
    assert!(run.alarms("meters", Outcome::Refused));
    run.search.as_mut().expect("a search").ended = crate::model::SearchEnd::Interrupted;
    assert_eq!(
        run.untouched(),
        0,
        "nobody knows who would have been needed"
    );
}
