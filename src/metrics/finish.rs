//! From the sum over all workers to the result of the run.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::aggregate::Aggregate;
use super::counts::{DeviceCounts, StartCounts, TelemetryCounts};
use super::latency::{CarriedHistogram, LatencyFigures};
use super::search::{SearchSummary, TrialSummary};
use super::setting::{CohortSetting, Ending, Setting};
use super::steering::{self, Steering};
use super::summary::{
    CohortSummary, PhaseHistograms, PhaseSummary, RunHistograms, RunResult, SCHEMA_VERSION,
    Summary, TelemetrySummary,
};
use super::tally::{PhaseTally, Tally};
use super::threshold::{ThresholdResult, effective};
use super::validity::{GeneratorSummary, GeneratorVerdict};
use crate::model::Phase;

pub(super) fn summary(aggregate: &Aggregate, end: Ending) -> Summary {
    let setting = &aggregate.setting;
    let overall = &aggregate.overall;
    let devices = DeviceCounts::new(setting.listed, &overall.outcomes);
    assert_all_decided("the run", &devices);
    let starts = StartCounts {
        dropped: end.dropped,
        ..aggregate.starts()
    };
    let mut summary = Summary {
        schema_version: SCHEMA_VERSION,
        fleetcall_version: env!("CARGO_PKG_VERSION").to_owned(),
        scenario: setting.scenario.clone(),
        seed: setting.seed,
        started_at: setting.started_at.clone(),
        elapsed_s: to_micro(end.elapsed.as_secs_f64()),
        model: setting.model.clone(),
        schedule_digest: steering::digest(&setting.schedule_digest, &aggregate.steering.changes),
        shard: setting.shard.clone(),
        target: setting.target.clone(),
        notes: notes(setting, &aggregate.steering),
        devices,
        starts,
        lag_us: aggregate.lag(),
        phases: phases(overall),
        errors: aggregate.sum.errors.words(),
        telemetry: TelemetrySummary {
            lag_us: aggregate.message_lag(),
            ..telemetry(overall.telemetry, end.elapsed)
        },
        reconnects: overall.reconnects,
        rotations: overall.rotations,
        downlink: overall.downlink(),
        gateway: overall.gateway,
        thresholds: Vec::new(),
        expectations: Vec::new(),
        findings: Vec::new(),
        aborted: Vec::new(),
        steering: aggregate.steering.changes.clone(),
        search: None,
        cluster: None,
        generator: generator(aggregate, &starts, &end),
        result: RunResult::Passed,
        cohorts: setting
            .cohorts
            .iter()
            .zip(&aggregate.sum.cohorts)
            .map(|(cohort, tally)| {
                let summary = cohort_summary(aggregate, cohort, tally, &end);
                (cohort.name.clone(), summary)
            })
            .collect(),
        histograms: run_histograms(aggregate),
        machine: Some(setting.host.clone()),
        scenario_toml: setting.scenario_toml.clone(),
        runs: Vec::new(),
    };
    assert_eq!(
        summary.cohorts.len(),
        setting.cohorts.len(),
        "names of cohorts are unique"
    );
    if let Some(search) = end.search {
        searched(&mut summary, search);
    } else {
        summary.thresholds = judged(setting, &summary);
    }
    summary.aborted = end.aborted.into_iter().collect();
    summary.result = result(&summary, end.interrupted);
    summary
}

/// Whoever reads figures of a run that was steered must know it.
fn notes(setting: &Setting, steering: &Steering) -> Vec<String> {
    let changes = steering.changes.iter();
    let moved = changes.filter(|change| change.action.moves_the_schedule());
    let by_hand = match moved.count() {
        0 => None,
        1 => Some("steered by hand: 1 change of the schedule".to_owned()),
        n => Some(format!("steered by hand: {n} changes of the schedule")),
    };
    setting.notes.iter().cloned().chain(by_hand).collect()
}

/// A search is judged by its trials: most of them were to find out what does not hold.
fn searched(summary: &mut Summary, search: SearchSummary) {
    summary.starts.planned = search.trials.iter().map(TrialSummary::all_devices).sum();
    (summary.generator.verdict, summary.generator.reasons) = search.generator();
    summary.search = Some(search);
}

fn judged(setting: &Setting, summary: &Summary) -> Vec<ThresholdResult> {
    let thresholds = effective(setting);
    let judged = thresholds.iter().map(|threshold| threshold.judge(summary));
    judged.collect()
}

fn run_histograms(aggregate: &Aggregate) -> RunHistograms {
    let carried = |lag: &Option<Box<Histogram<u64>>>| lag.as_deref().map(CarriedHistogram::new);
    RunHistograms {
        start_lag: carried(&aggregate.sum.lag),
        message_lag: carried(&aggregate.sum.message_lag),
        phases: histograms(&aggregate.overall),
    }
}

/// Interrupted outweighs invalid, invalid outweighs failed.
pub(super) fn result(summary: &Summary, interrupted: bool) -> RunResult {
    if interrupted {
        RunResult::Interrupted
    } else if summary.generator.verdict == GeneratorVerdict::Invalid {
        RunResult::Invalid
    } else if summary.holds() {
        RunResult::Passed
    } else {
        RunResult::Failed
    }
}

/// Nothing lost, nothing made up: figures of sums that do not agree are not shown.
fn assert_all_decided(whose: &str, devices: &DeviceCounts) {
    assert_eq!(
        devices.listed,
        devices.decided(),
        "each listed device of {whose} has exactly one outcome: {devices:?}"
    );
}

/// The same for what devices were sent, and for what gateways said.
fn assert_closed(whose: &str, tally: &Tally) {
    let disagreement = tally.downlink.disagreement();
    assert_eq!(disagreement, None, "pushes to cohort {whose:?} add up");
    let disagreement = tally.gateway.disagreement();
    assert_eq!(disagreement, None, "gateways of cohort {whose:?} add up");
}

fn generator(aggregate: &Aggregate, starts: &StartCounts, end: &Ending) -> GeneratorSummary {
    let (verdict, reasons) = aggregate.judge(starts, end.interrupted || end.aborted.is_some());
    GeneratorSummary {
        cpu_s: to_micro(end.cpu_s),
        wall_s: to_micro(end.elapsed.as_secs_f64()),
        peak_rss_bytes: end.peak_rss_bytes,
        workers: end.workers,
        processes: end.processes,
        includes_target: end.generator_includes_target,
        verdict,
        reasons,
        limits: Some(aggregate.setting.validity),
        evidence: aggregate.evidence.clone(),
    }
}

fn cohort_summary(
    aggregate: &Aggregate,
    cohort: &CohortSetting,
    tally: &Tally,
    end: &Ending,
) -> CohortSummary {
    let devices = DeviceCounts::new(cohort.listed, &tally.outcomes);
    assert_all_decided(&format!("cohort {:?}", cohort.name), &devices);
    // What a process had not reported when it died is in none of these.
    if aggregate.deaths.is_empty() {
        assert_closed(&cohort.name, tally);
    }
    CohortSummary {
        transport: cohort.transport,
        credentials: cohort.credentials.clone(),
        model: cohort.model.clone(),
        devices,
        phases: phases(tally),
        telemetry: telemetry(tally.telemetry, end.elapsed),
        reconnects: tally.reconnects,
        rotations: tally.rotations,
        downlink: tally.downlink(),
        gateway: tally.gateway,
        histograms: histograms(tally),
    }
}

fn phases(tally: &Tally) -> BTreeMap<Phase, PhaseSummary> {
    Phase::ALL
        .into_iter()
        .zip(&tally.phases)
        .filter(|(_, phase)| !phase.is_empty())
        .map(|(phase, tally)| (phase, phase_summary(tally)))
        .collect()
}

fn phase_summary(tally: &PhaseTally) -> PhaseSummary {
    let latency = tally.latency.as_ref();
    PhaseSummary {
        count: tally.count(),
        errors: tally.errors,
        retries: tally.retries,
        response_us: latency
            .map_or_else(LatencyFigures::default, |l| LatencyFigures::of(&l.response)),
        service_us: latency
            .map_or_else(LatencyFigures::default, |l| LatencyFigures::of(&l.service)),
    }
}

fn histograms(tally: &Tally) -> BTreeMap<Phase, PhaseHistograms> {
    Phase::ALL
        .into_iter()
        .zip(&tally.phases)
        .filter_map(|(phase, tally)| Some((phase, tally.latency.as_ref()?)))
        .map(|(phase, latency)| {
            let carried = PhaseHistograms {
                response: CarriedHistogram::new(&latency.response),
                service: CarriedHistogram::new(&latency.service),
            };
            (phase, carried)
        })
        .collect()
}

fn telemetry(counts: TelemetryCounts, elapsed: Duration) -> TelemetrySummary {
    TelemetrySummary {
        counts,
        rate_per_s: per_second(counts.sent, elapsed),
        lag_us: None,
    }
}

/// A mean rate; 0 over no time.
pub(super) fn per_second(count: u64, elapsed: Duration) -> f64 {
    let seconds = elapsed.as_secs_f64();
    if seconds > 0.0 {
        to_micro(count as f64 / seconds)
    } else {
        0.0
    }
}

/// Six decimals: enough for people, and short enough to be read back as the same number.
pub(super) fn to_micro(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}
