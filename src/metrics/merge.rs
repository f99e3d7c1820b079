//! Several finished runs as one result: counts and histograms add up, percentiles are read from
//! the sums, and conditions are judged anew on them. What was invalid or interrupted stays so.
//!
//! Each key is taken apart by name, so that a new one cannot be forgotten here.

mod shards;

use std::collections::BTreeMap;
use std::time::Duration;

use super::counts::StartCounts;
use super::difference::{kind, unseeded};
use super::expectation::ExpectationRow;
use super::finding::FindingRow;
use super::finish::{per_second, result, to_micro};
use super::latency::{CarriedError, CarriedHistogram, LagFigures, put};
use super::summary::{
    CohortSummary, PhaseHistograms, PhaseSummary, RunHistograms, RunPart, Summary, TelemetrySummary,
};
use super::threshold::ThresholdResult;
use super::validity::GeneratorSummary;
use crate::model::Phase;

/// Why runs cannot be merged, whatever the user insists on.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// One was given twice: its devices would be counted twice.
    #[error("{0} is given twice; help: name each run once")]
    Twice(String),
    /// What a cohort did cannot be told from one figure.
    #[error("cohort {name:?} is {one} in one run and {other} in another: it cannot be added up")]
    Cohort {
        /// Its name.
        name: String,
        /// Transport and credentials in one run.
        one: String,
        /// And in the other.
        other: String,
    },
    /// A capacity search: rates that hold and rates that do not have no common percentile.
    #[error(
        "the run of {0} is a capacity search: its rates have no common figures with another run's; \
         help: report it on its own"
    )]
    Search(String),
    /// Shards that are not one run's, or not each of them once.
    #[error("{0}; help: give the directories of one run's shards, each once and nothing else")]
    Shards(String),
    /// A result is not what a run wrote.
    #[error("a damaged result: {0}; help: take the files as the run wrote them")]
    Damaged(String),
}

impl From<CarriedError> for MergeError {
    fn from(error: CarriedError) -> Self {
        Self::Damaged(error.to_string())
    }
}

/// The result of all runs together; a single one as it is.
pub fn merge(runs: Vec<Summary>) -> Result<Summary, MergeError> {
    for (position, run) in runs.iter().enumerate() {
        if runs[..position].iter().any(|other| other.is_same_run(run)) {
            return Err(MergeError::Twice(format!("the run of {}", run.started_at)));
        }
    }
    if runs.len() > 1
        && let Some(search) = runs.iter().find(|run| run.search.is_some())
    {
        return Err(MergeError::Search(search.started_at.clone()));
    }
    let parts: Vec<RunPart> = runs.iter().flat_map(parts).collect();
    shards::check(&parts)?;
    let mut runs = runs.into_iter();
    let Some(mut sum) = runs.next() else {
        return Err(MergeError::Damaged("no run at all".to_owned()));
    };
    let (mut more, mut conditions) = (false, sum.thresholds.clone());
    conditions.extend(deferred(&sum));
    for run in runs {
        more = true;
        for threshold in run.thresholds.iter().cloned().chain(deferred(&run)) {
            if !conditions
                .iter()
                .any(|t| t.expression == threshold.expression)
            {
                conditions.push(threshold);
            }
        }
        add(&mut sum, run)?;
    }
    if more {
        settle(&mut sum, parts, &conditions)?;
    }
    Ok(sum)
}

/// What a shard could not be judged by.
fn deferred(run: &Summary) -> Vec<ThresholdResult> {
    let expressions = run.shard.iter().flat_map(|shard| shard.deferred.clone());
    let unjudged = expressions.map(|expression| ThresholdResult {
        expression,
        observed: String::new(),
        passed: false,
    });
    unjudged.collect()
}

/// The runs that a result is of.
fn parts(run: &Summary) -> Vec<RunPart> {
    if run.runs.is_empty() {
        vec![RunPart::of(run)]
    } else {
        run.runs.clone()
    }
}

/// Adds what adds up; what follows from the sums is left to [`settle`].
fn add(sum: &mut Summary, run: Summary) -> Result<(), MergeError> {
    add_words(sum, &run);
    let Summary {
        schema_version: _,
        fleetcall_version: _,
        scenario: _,
        seed: _,
        started_at: _,
        elapsed_s: _,
        model: _,
        schedule_digest: _,
        shard: _,
        target: _,
        notes: _,
        devices,
        starts,
        lag_us: _,
        phases,
        errors,
        telemetry,
        reconnects,
        rotations,
        downlink,
        gateway,
        thresholds: _,
        expectations,
        findings,
        aborted,
        steering,
        search: _,
        cluster,
        generator,
        result,
        cohorts,
        histograms,
        machine: _,
        scenario_toml: _,
        runs: _,
    } = run;
    sum.devices.add(&devices);
    add_starts(&mut sum.starts, &starts);
    add_phases(&mut sum.phases, phases);
    for (cause, n) in errors {
        let sum = sum.errors.entry(cause).or_default();
        *sum = sum.saturating_add(n);
    }
    sum.telemetry.counts.add(&telemetry.counts);
    sum.reconnects.add(&reconnects);
    sum.rotations.add(&rotations);
    sum.downlink.add(&downlink);
    sum.gateway.add(&gateway);
    for row in expectations {
        add_expectation(&mut sum.expectations, row);
    }
    for row in findings {
        add_finding(&mut sum.findings, row);
    }
    sum.aborted.extend(aborted);
    sum.steering.extend(steering);
    match (&mut sum.cluster, cluster) {
        (Some(sum), Some(cluster)) => sum.add(cluster),
        (sum, cluster) => *sum = sum.take().or(cluster),
    }
    add_generator(&mut sum.generator, generator);
    sum.result = sum.result.max(result);
    for (name, cohort) in cohorts {
        add_cohort(&mut sum.cohorts, name, cohort)?;
    }
    add_run_histograms(&mut sum.histograms, histograms)
}

fn add_run_histograms(sum: &mut RunHistograms, run: RunHistograms) -> Result<(), MergeError> {
    let RunHistograms {
        start_lag,
        message_lag,
        phases,
    } = run;
    for (sum, lag) in [
        (&mut sum.start_lag, start_lag),
        (&mut sum.message_lag, message_lag),
    ] {
        put(sum, lag.as_ref(), CarriedHistogram::add)?;
    }
    add_histograms(&mut sum.phases, phases)
}

/// What runs are called, where they differ.
fn add_words(sum: &mut Summary, run: &Summary) {
    join(&mut sum.fleetcall_version, &run.fleetcall_version);
    join(&mut sum.scenario, &run.scenario);
    join(&mut sum.target, &run.target);
    if run.started_at < sum.started_at {
        sum.started_at.clone_from(&run.started_at);
    }
    // Open as soon as one is, as between cohorts.
    if run.model != sum.model {
        "open".clone_into(&mut sum.model);
    }
    if run.schedule_digest != sum.schedule_digest {
        sum.schedule_digest.clear();
    }
    if run.machine != sum.machine {
        sum.machine = None;
    }
    if unseeded(&run.scenario_toml).ne(unseeded(&sum.scenario_toml)) {
        sum.scenario_toml.clear();
    }
    for note in &run.notes {
        if !sum.notes.contains(note) {
            sum.notes.push(note.clone());
        }
    }
}

/// What follows from the sums: figures, rates, conditions, the result.
fn settle(
    sum: &mut Summary,
    runs: Vec<RunPart>,
    conditions: &[ThresholdResult],
) -> Result<(), MergeError> {
    let elapsed = covered(&runs)?;
    sum.elapsed_s = to_micro(elapsed.as_secs_f64());
    sum.generator.wall_s = sum.elapsed_s;
    sum.runs = runs;
    sum.shard = None;
    sum.notes.retain(|note| !shards::is_note(note));
    shards::note(sum)?;
    let lag = |carried: &Option<CarriedHistogram>| {
        let carried = carried.as_ref().map(CarriedHistogram::decode).transpose()?;
        Ok::<_, CarriedError>(carried.as_ref().map(LagFigures::of))
    };
    sum.lag_us = lag(&sum.histograms.start_lag)?.unwrap_or_default();
    sum.telemetry.lag_us = lag(&sum.histograms.message_lag)?;
    rate(&mut sum.telemetry, elapsed);
    figures(&mut sum.phases, &sum.histograms.phases)?;
    for cohort in sum.cohorts.values_mut() {
        rate(&mut cohort.telemetry, elapsed);
        figures(&mut cohort.phases, &cohort.histograms)?;
    }
    let judged = conditions.iter().map(|condition| {
        let cohorts = sum.cohorts.keys().map(String::as_str);
        let threshold = condition.threshold(&cohorts).map_err(MergeError::Damaged)?;
        Ok(threshold.judge(sum))
    });
    sum.thresholds = judged.collect::<Result<_, MergeError>>()?;
    let interrupted = sum.result == super::RunResult::Interrupted;
    sum.result = result(sum, interrupted);
    Ok(())
}

fn rate(telemetry: &mut TelemetrySummary, elapsed: Duration) {
    telemetry.rate_per_s = per_second(telemetry.counts.sent, elapsed);
}

fn figures(
    phases: &mut BTreeMap<Phase, PhaseSummary>,
    histograms: &BTreeMap<Phase, PhaseHistograms>,
) -> Result<(), MergeError> {
    for (phase, row) in phases {
        if let Some(carried) = histograms.get(phase) {
            row.response_us = carried.response.figures()?;
            row.service_us = carried.service.figures()?;
        }
    }
    Ok(())
}

/// The time during which at least one of the runs went on: of runs one after the other the sum of
/// their times, of parts that ran side by side the time of all together.
fn covered(runs: &[RunPart]) -> Result<Duration, MergeError> {
    let mut spans = Vec::new();
    for run in runs {
        let from = began(run)?;
        let length = Duration::try_from_secs_f64(run.elapsed_s).ok();
        let end = length.and_then(|s| from.checked_add(s));
        spans.push((from, end.ok_or_else(|| no_span(run))?));
    }
    spans.sort();
    let (mut covered, mut reached) = (Duration::ZERO, Duration::ZERO);
    for (from, end) in spans {
        covered += end.saturating_sub(from.max(reached));
        reached = reached.max(end);
    }
    Ok(covered)
}

/// When a run began, since the beginning of 1970.
fn began(run: &RunPart) -> Result<Duration, MergeError> {
    let at = humantime::parse_rfc3339(&run.started_at).ok();
    let at = at.and_then(|at| at.duration_since(std::time::SystemTime::UNIX_EPOCH).ok());
    at.ok_or_else(|| no_span(run))
}

fn no_span(run: &RunPart) -> MergeError {
    let why = format!("{:?} and {} s are no span", run.started_at, run.elapsed_s);
    MergeError::Damaged(why)
}

/// Both, when they differ.
fn join(sum: &mut String, other: &str) {
    if !sum.split(JOINED).any(|part| part == other) {
        sum.push_str(JOINED);
        sum.push_str(other);
    }
}

const JOINED: &str = " + ";

fn add_starts(sum: &mut StartCounts, other: &StartCounts) {
    let StartCounts {
        planned,
        started,
        late,
        dropped,
    } = *other;
    sum.planned = sum.planned.saturating_add(planned);
    sum.started = sum.started.saturating_add(started);
    sum.late = sum.late.saturating_add(late);
    sum.dropped = sum.dropped.saturating_add(dropped);
}

fn add_phases(sum: &mut BTreeMap<Phase, PhaseSummary>, other: BTreeMap<Phase, PhaseSummary>) {
    for (phase, other) in other {
        let row = sum.entry(phase).or_default();
        row.count = row.count.saturating_add(other.count);
        row.errors = row.errors.saturating_add(other.errors);
        row.retries = row.retries.saturating_add(other.retries);
    }
}

fn add_histograms(
    sum: &mut BTreeMap<Phase, PhaseHistograms>,
    other: BTreeMap<Phase, PhaseHistograms>,
) -> Result<(), MergeError> {
    for (phase, other) in other {
        match sum.get_mut(&phase) {
            Some(sum) => sum.add(&other)?,
            None => {
                sum.insert(phase, other);
            }
        }
    }
    Ok(())
}

fn add_cohort(
    sum: &mut BTreeMap<String, CohortSummary>,
    name: String,
    other: CohortSummary,
) -> Result<(), MergeError> {
    let Some(sum) = sum.get_mut(&name) else {
        sum.insert(name, other);
        return Ok(());
    };
    if kind(sum) != kind(&other) {
        return Err(MergeError::Cohort {
            name,
            one: kind(sum),
            other: kind(&other),
        });
    }
    let CohortSummary {
        transport: _,
        credentials: _,
        model,
        devices,
        phases,
        telemetry,
        reconnects,
        rotations,
        downlink,
        gateway,
        histograms,
    } = other;
    if model != sum.model {
        "open".clone_into(&mut sum.model);
    }
    sum.devices.add(&devices);
    add_phases(&mut sum.phases, phases);
    sum.telemetry.counts.add(&telemetry.counts);
    sum.reconnects.add(&reconnects);
    sum.rotations.add(&rotations);
    sum.downlink.add(&downlink);
    sum.gateway.add(&gateway);
    add_histograms(&mut sum.histograms, histograms)
}

/// Cohorts that were to go alike; of others each keeps its row.
fn add_expectation(sum: &mut Vec<ExpectationRow>, other: ExpectationRow) {
    let alike = |row: &&mut ExpectationRow| {
        (&row.cohort, row.expected, row.misbehaviour)
            == (&other.cohort, other.expected, other.misbehaviour)
    };
    match sum.iter_mut().find(alike) {
        Some(row) => row.add(other),
        None => sum.push(other),
    }
}

fn add_finding(sum: &mut Vec<FindingRow>, other: FindingRow) {
    match sum.iter_mut().find(|row| row.kind == other.kind) {
        Some(row) => row.add(other),
        None => sum.push(other),
    }
}

/// Times add up; of what was there at one moment, the most that was seen in one run. The evidence is
/// about one machine at one time, hence each run's own.
fn add_generator(sum: &mut GeneratorSummary, other: GeneratorSummary) {
    let GeneratorSummary {
        cpu_s,
        wall_s: _,
        peak_rss_bytes,
        workers,
        processes,
        includes_target,
        verdict,
        reasons,
        limits,
        evidence: _,
    } = other;
    sum.cpu_s = to_micro(sum.cpu_s + cpu_s);
    sum.peak_rss_bytes = sum.peak_rss_bytes.max(peak_rss_bytes);
    sum.workers = sum.workers.max(workers);
    sum.processes = sum.processes.max(processes);
    sum.includes_target |= includes_target;
    sum.verdict = sum.verdict.max(verdict);
    sum.limits = sum.limits.filter(|own| Some(*own) == limits);
    sum.evidence = None;
    for reason in reasons {
        if !sum.reasons.contains(&reason) {
            sum.reasons.push(reason);
        }
    }
}

#[cfg(test)]
mod tests;
