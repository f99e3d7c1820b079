//! Merged results: what adds up, what does not, and what stays.

use std::time::Duration;

use super::super::*;
use super::*;
use crate::model::{Cause, CohortIx, FaultKind, Outcome, Phase, Shard};

const ONE: CohortIx = CohortIx(0);

/// A run of one cohort, begun at a minute past two, in which provisioning took these milliseconds.
fn run(minute: u32, ms: &[u64]) -> Summary {
    let mut setting = fixture::setting();
    setting.cohorts.truncate(1);
    setting.cohorts[0].listed = ms.len() as u64;
    (setting.listed, setting.planned) = (ms.len() as u64, ms.len() as u64);
    setting.started_at = format!("2026-11-23T02:{minute:02}:00.000Z");
    setting.thresholds =
        vec![Threshold::parse("provision.p99", "< 500ms", std::iter::empty()).expect("legal")];
    let mut recorder = Recorder::new(1);
    for ms in ms {
        let took = Duration::from_millis(*ms);
        recorder.start(ONE, Duration::from_micros(*ms));
        recorder.sample(ONE, Phase::Provision, took, took / 2);
        recorder.outcome(ONE, Outcome::Provisioned, None);
        recorder.telemetry(ONE, 3, 2, 1);
        recorder.message_lag(Duration::from_micros(ms / 2));
    }
    let mut aggregate = Aggregate::new(setting);
    aggregate.add(&recorder);
    aggregate.finish(fixture::ending())
}

fn merged(runs: &[Summary]) -> Summary {
    merge(runs.to_vec()).expect("of one kind")
}

#[test]
fn a_merged_pair_has_the_figures_of_one_run_that_saw_all() {
    let (one, two) = (
        (1..=300).collect::<Vec<_>>(),
        (200..=260).collect::<Vec<_>>(),
    );
    let pair = merged(&[run(1, &one), run(7, &two)]);
    let whole = run(1, &[one, two].concat());
    assert_eq!(pair.devices, whole.devices);
    assert_eq!(pair.starts, whole.starts);
    assert_eq!(pair.lag_us, whole.lag_us);
    assert_eq!(pair.phases, whole.phases);
    assert_eq!(pair.histograms, whole.histograms);
    assert_eq!(pair.telemetry.counts, whole.telemetry.counts);
    assert_eq!(pair.telemetry.lag_us, whole.telemetry.lag_us);
    let (cohort, all) = (&pair.cohorts["meters"], &whole.cohorts["meters"]);
    assert_eq!(cohort.phases, all.phases);
    assert_eq!(cohort.histograms, all.histograms);
    // One after the other: twice 60.25 s, and the rate over both.
    assert!((pair.elapsed_s - 120.5).abs() < 1e-9, "{}", pair.elapsed_s);
    let rate = pair.telemetry.counts.sent as f64 / 120.5;
    assert!((pair.telemetry.rate_per_s - rate).abs() < 1e-5);
    assert_eq!(pair.runs.len(), 2);
    assert_eq!(pair.started_at, "2026-11-23T02:01:00.000Z");
}

#[test]
fn a_percentile_is_read_from_the_sum_and_never_averaged() {
    let quick = run(1, &[10; 1_000]);
    let slow = run(7, &[900; 5]);
    assert_eq!(slow.result, RunResult::Failed);
    let both = merged(&[quick.clone(), slow]);
    assert_eq!(
        both.phases[&Phase::Provision].response_us.p99,
        quick.phases[&Phase::Provision].response_us.p99
    );
    // The condition is judged on the sum, and each run's own result stands beside it.
    assert_eq!(both.thresholds[0].expression, "provision.p99 < 500ms");
    assert!(both.thresholds[0].passed, "{:?}", both.thresholds[0]);
    assert_eq!(both.result, RunResult::Passed);
    let own: Vec<RunResult> = both.runs.iter().map(|run| run.result).collect();
    assert_eq!(own, [RunResult::Passed, RunResult::Failed]);
}

#[test]
fn runs_side_by_side_take_the_time_of_all_together() {
    let mut late = run(1, &[5; 3]);
    late.started_at = "2026-11-23T02:01:30Z".to_owned();
    let both = merged(&[run(1, &[5; 2]), late.clone()]);
    assert!((both.elapsed_s - 90.25).abs() < 1e-9, "{}", both.elapsed_s);
    late.started_at = "yesterday".to_owned();
    let error = merge(vec![run(1, &[5; 2]), late])
        .expect_err("no time")
        .to_string();
    assert!(
        error.contains("\"yesterday\"") && error.contains("help: "),
        "{error}"
    );
}

#[test]
fn what_was_invalid_or_interrupted_stays_so_beside_a_valid_run() {
    let good = run(1, &[10; 50]);
    let mut bad = run(2, &[10; 3]);
    bad.generator.verdict = GeneratorVerdict::Invalid;
    bad.generator.reasons = vec!["1 % of the starts were 2 s late".to_owned()];
    bad.result = RunResult::Invalid;
    let both = merged(&[good.clone(), bad.clone()]);
    assert_eq!(both.generator.verdict, GeneratorVerdict::Invalid);
    assert_eq!(both.result, RunResult::Invalid);
    assert_eq!(both.generator.reasons, bad.generator.reasons);
    bad.result = RunResult::Interrupted;
    assert_eq!(merged(&[bad, good]).result, RunResult::Interrupted);
}

#[test]
fn a_run_given_twice_is_refused() {
    let one = run(1, &[10; 50]);
    let error = merge(vec![one.clone(), run(2, &[1]), one])
        .expect_err("twice")
        .to_string();
    assert_eq!(
        error,
        "the run of 2026-11-23T02:01:00.000Z is given twice; help: name each run once"
    );
    // Another may have begun in the same millisecond.
    let mut other = run(1, &[10; 3]);
    other.elapsed_s += 1e-6;
    assert_eq!(merged(&[run(1, &[10; 3]), other]).devices.listed, 6);
}

#[test]
fn a_single_run_is_left_as_it_is_and_merged_ones_can_be_merged_again() {
    let runs = [run(1, &[10; 50]), run(2, &[30; 5]), run(3, &[7; 9])];
    assert_eq!(merged(&runs[..1]), runs[0]);
    let again = merged(&[merged(&runs[..2]), runs[2].clone()]);
    assert_eq!(again, merged(&runs));
    let turned = merged(&[runs[2].clone(), runs[0].clone(), runs[1].clone()]);
    assert_eq!(turned.phases, again.phases);
    assert_eq!(turned.histograms, again.histograms);
}

#[test]
fn what_differs_between_two_runs_is_said() {
    let one = run(1, &[10; 50]);
    assert_eq!(
        differences(&one, &run(2, &[90; 50])),
        [""; 0],
        "other times, same thing"
    );
    let mut other = run(2, &[10; 49]);
    other.scenario = "day-shift".to_owned();
    other.schedule_digest = "f00d".repeat(16);
    other.thresholds.clear();
    assert_eq!(
        differences(&one, &other),
        [
            "scenario: line-3-night-shift and day-shift",
            "schedule: c0ffeec0ffee and f00df00df00d",
            "cohorts: meters (mqtts with server, 50 devices) and meters (mqtts with server, 49 \
             devices)",
            "thresholds: provision.p99 < 500ms, devices.provisioned == 100% and ",
        ]
    );
    other = one.clone();
    other.schedule_digest = "steered:c0ffee".to_owned();
    let found = differences(&other, &other);
    assert_eq!(
        found,
        ["schedule: steered:c0ff and steered:c0ff"],
        "steered each in its way"
    );
    other.schedule_digest.clear();
    assert_eq!(
        differences(&other, &other),
        ["schedule: unknown and unknown"]
    );
}

#[test]
fn a_cohort_over_another_transport_cannot_be_added_up() {
    let mut other = run(2, &[10; 50]);
    let cohort = other.cohorts.get_mut("meters").expect("one cohort");
    cohort.transport = crate::model::TransportKind::Coap;
    let error = merge(vec![run(1, &[10]), other])
        .expect_err("two transports")
        .to_string();
    assert!(
        error.contains("mqtts with server in one run and coap with server"),
        "{error}"
    );
}

#[test]
fn expectations_and_findings_add_up_with_their_sentences() {
    let one = fixture::negative_summary();
    let mut two = one.clone();
    two.started_at = "2026-11-23T03:00:00Z".to_owned();
    let both = merged(&[one.clone(), two]);
    assert_eq!(both.result, RunResult::Failed);
    for (sum, part) in both.expectations.iter().zip(&one.expectations) {
        assert_eq!((sum.devices(), sum.off), (2 * part.devices(), 2 * part.off));
        assert_eq!(sum.deviations.len(), part.deviations.len());
        assert!(sum.examples.len() <= EXAMPLES_MAX);
    }
    let messages = |run: &Summary| {
        let rows = run.expectations.iter().flat_map(|row| &row.deviations);
        rows.map(|d| d.message.clone()).collect::<Vec<_>>()
    };
    let (single, twice) = (messages(&one), messages(&both));
    assert!(
        single.iter().any(|m| m.contains("12 of 50 devices")),
        "{single:?}"
    );
    assert!(
        twice.iter().any(|m| m.contains("24 of 100 devices")),
        "{twice:?}"
    );
    let inconclusive = |m: &&String| m.contains("(provision.timeout)");
    assert_eq!(twice.iter().filter(inconclusive).count(), 1, "{twice:?}");
    let found = &both.findings[0];
    assert_eq!(
        found.message,
        "the server gave the same credentials to two devices: 2 times"
    );
    assert_eq!((found.count, found.examples.len()), (2, 2));
}

#[test]
fn causes_and_phases_that_one_run_has_not_are_there() {
    let mut other = run(2, &[10; 4]);
    let cause = Cause::At(Phase::Reconnect, FaultKind::Timeout).to_string();
    other.errors.insert(cause.clone(), 4);
    let tls = other.phases[&Phase::Provision].clone();
    other.phases.insert(Phase::TlsHandshake, tls);
    let histograms = other.histograms.phases[&Phase::Provision].clone();
    other
        .histograms
        .phases
        .insert(Phase::TlsHandshake, histograms);
    let both = merged(&[run(1, &[10; 50]), other]);
    assert_eq!(both.errors[&cause], 4);
    assert_eq!(both.phases[&Phase::TlsHandshake].count, 4);
    assert_ne!(both.phases[&Phase::TlsHandshake].response_us.p50, 0);
}

#[test]
fn a_search_is_added_to_nothing_and_stands_on_its_own() {
    let mut search = run(5, &[20]);
    search.search = Some(fixture::search());
    let alone = merged(&[search.clone()]);
    assert_eq!(alone.search, search.search);
    let refused = merge(vec![run(1, &[10]), search]).expect_err("rates that broke are in it");
    assert!(
        refused.to_string().contains("report it on its own"),
        "{refused}"
    );
}

/// Shard `number` of three of a run over 100 devices, begun at that time past two.
fn shard(number: u32, time: &str, devices: usize) -> Summary {
    let mut part = run(1, &vec![5; devices]);
    part.started_at = format!("2026-11-23T02:{time}Z");
    part.shard = Some(ShardSummary {
        shard: Shard { number, of: 3 },
        listed: 100,
        schedule_digest: "whole".to_owned(),
        deferred: vec!["devices.provisioned >= 100".to_owned()],
    });
    part
}

fn three() -> [Summary; 3] {
    [
        shard(1, "01:00.000", 34),
        shard(2, "01:00.200", 33),
        shard(3, "01:00.900", 33),
    ]
}

#[test]
fn all_shards_of_a_run_are_that_run() {
    let all = merged(&three());
    assert_eq!(all.devices.provisioned, 100);
    assert_eq!(all.result, RunResult::Passed);
    assert_eq!(all.shard, None);
    assert_eq!(all.notes, Vec::<String>::new());
    let judged = all.thresholds.last().expect("there are two");
    assert_eq!(judged.expression, "devices.provisioned >= 100");
    assert!(judged.passed, "{judged:?}");
    assert!(
        (all.elapsed_s - 61.15).abs() < 1e-9,
        "side by side: {}",
        all.elapsed_s
    );
}

#[test]
fn missing_shards_are_said_first_and_do_not_pass_until_they_are_there() {
    // Every condition holds for those that are there.
    let [one, two, three] = three().map(|mut part| {
        part.shard.as_mut().expect("it is one").deferred.clear();
        part
    });
    let fewer = merged(&[three, one]);
    assert!(fewer.thresholds.iter().all(|judged| judged.passed));
    assert_eq!(fewer.result, RunResult::Failed);
    assert_eq!(
        fewer.notes[0],
        "INCOMPLETE: shard 2 of 3 is missing, and so is all that became of 33 of 100 listed devices"
    );
    let missing = fewer.missing_shards().expect("one is");
    assert_eq!((missing.numbers, missing.devices), (vec![2], 33));
    let all = merged(&[fewer, two]);
    assert_eq!(all.result, RunResult::Passed);
    assert_eq!(all.notes, Vec::<String>::new());
}

#[test]
fn only_shards_of_one_run_are_added_and_each_once() {
    let [one, two, _] = three();
    let refused = |runs: &[&Summary]| {
        let runs = runs.iter().map(|run| (*run).clone()).collect();
        merge(runs).expect_err("not of one run").to_string()
    };
    let mut again = one.clone();
    again.elapsed_s += 1.0;
    assert!(refused(&[&one, &two, &again]).contains("shard 1 of 3 is given twice"));
    assert!(refused(&[&one, &run(9, &[5])]).contains("is whole"));
    for change in [
        |part: &mut ShardSummary| part.schedule_digest = "another".to_owned(),
        |part: &mut ShardSummary| part.shard.of = 4,
        |part: &mut ShardSummary| part.listed = 99,
    ] {
        let mut other = two.clone();
        change(other.shard.as_mut().expect("it is one"));
        assert!(refused(&[&one, &other]).contains("are not of one run"));
    }
    let mut other = two.clone();
    other.seed += 1;
    assert!(refused(&[&one, &other]).contains("are not of one run"));
}

#[test]
fn shards_that_did_not_begin_together_are_no_load_of_one_run() {
    let [one, two, _] = three();
    let apart = merged(&[two, shard(3, "03:00.200", 33), one]);
    assert_eq!(
        apart.notes,
        [
            "not side by side: shard 3 of 3 began 120.2 s after shard 1 of 3: together they made other \
             arrivals than one run does"
        ]
    );
    assert_eq!(apart.result, RunResult::Passed);
}

#[test]
fn a_shard_is_not_judged_by_what_the_whole_must_come_to() {
    let mut setting = fixture::setting();
    setting.thresholds = [
        "devices.provisioned >= 900",
        "devices.failed <= 3",
        "errors.share < 2%",
    ]
    .map(|text| {
        let (metric, condition) = text.split_once(' ').expect("three words");
        Threshold::parse(metric, condition, std::iter::empty()).expect("legal")
    })
    .into();
    let judged = |setting: &Setting| {
        let mut aggregate = Aggregate::new(setting.clone());
        aggregate.add(&fixture::recorded(1_000));
        let summary = aggregate.finish(fixture::ending());
        let all = summary.thresholds.iter().map(|t| t.expression.clone());
        all.collect::<Vec<_>>()
    };
    assert_eq!(judged(&setting).len(), 3);
    setting.shard = shard(1, "01:00", 1).shard;
    assert_eq!(
        judged(&setting),
        ["devices.failed <= 3", "errors.share < 2%"]
    );
}
