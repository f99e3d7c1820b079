//! From the growing sum over all workers to intervals: the difference between two cuts.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::super::aggregate::{Aggregate, live_counts};
use super::super::counts::{OutcomeCounts, ReconnectCounts, RotationCounts, TelemetryCounts};
use super::super::downlink::DownlinkCounts;
use super::super::errors::Errors;
use super::super::finish::to_micro;
use super::super::gateway::GatewayCounts;
use super::super::latency::{CarriedHistogram, Latency, since};
use super::super::summary::PhaseHistograms;
use super::super::tally::{PhaseTally, Tally};
use super::interval::{Interval, IntervalCohort, IntervalPhase, IntervalStarts, StepCounts};
use super::width_at;
use crate::model::{Outcome, Phase};

/// Cuts a run into intervals. Costs nothing between two cuts; keeps one histogram for each that
/// the sum over all cohorts has.
#[derive(Debug)]
pub struct Cutter {
    from: Duration,
    due: u64,
    overall: Seen,
    cohorts: Vec<Seen>,
    latencies: [Option<Box<Latency>>; Phase::COUNT],
    start_lag: Option<Box<Histogram<u64>>>,
    message_lag: Option<Box<Histogram<u64>>>,
    errors: Errors,
}

impl Cutter {
    /// A cutter for a run that has not begun.
    pub fn new(aggregate: &Aggregate) -> Self {
        Self {
            from: Duration::ZERO,
            due: 0,
            overall: Seen::default(),
            cohorts: vec![Seen::default(); aggregate.setting.cohorts.len()],
            latencies: Default::default(),
            start_lag: None,
            message_lag: None,
            errors: Errors::default(),
        }
    }

    /// Where to cut now: the last boundary that passed so long ago that workers have reported
    /// what came before it. Cutting late makes the interval longer and loses nothing.
    pub fn boundary(&self, elapsed: Duration) -> Option<Duration> {
        let width = width_at(self.from).as_secs();
        let passed = elapsed.checked_sub(REPORTED_AFTER)?.as_secs();
        let boundary = Duration::from_secs(passed / width * width);
        (boundary > self.from).then_some(boundary)
    }

    /// What was added since the last cut. `due` counts devices that were due by now, over the
    /// whole run; `None` where all arrivals are closed.
    pub fn cut(&mut self, aggregate: &Aggregate, to: Duration, due: Option<u64>) -> Interval {
        let overall = &aggregate.overall;
        let part = self.overall.advance(overall);
        let interval = Interval {
            from_s: to_micro(self.from.as_secs_f64()),
            to_s: to_micro(to.as_secs_f64()),
            starts: IntervalStarts {
                due: due.map(|due| due.saturating_sub(self.due)),
                started: part.started,
                late: part.late,
            },
            devices: OutcomeCounts::new(&part.outcomes),
            live: live_counts(aggregate.setting.listed, overall),
            telemetry: part.telemetry,
            reconnects: part.reconnects,
            rotations: part.rotations,
            downlink: part.downlink,
            gateway: part.gateway,
            errors: aggregate.sum.errors.since(&self.errors).words(),
            start_lag: lag(&mut self.start_lag, aggregate.sum.lag.as_deref()),
            message_lag: lag(&mut self.message_lag, aggregate.sum.message_lag.as_deref()),
            phases: self.phases(overall, &part),
            cohorts: self.cohorts(aggregate),
        };
        self.errors.clone_from(&aggregate.sum.errors);
        self.due = due.unwrap_or(0);
        self.from = to;
        interval
    }

    fn phases(&mut self, overall: &Tally, part: &Seen) -> BTreeMap<Phase, IntervalPhase> {
        let mut phases = BTreeMap::new();
        for (at, phase) in Phase::ALL.into_iter().enumerate() {
            let steps = part.steps[at];
            if steps.is_empty() {
                continue;
            }
            let now = overall.phases[at].latency.as_deref();
            let histograms = now.filter(|_| steps.count > 0).map(|now| {
                let earlier = self.latencies[at].as_deref();
                let part = |now, earlier| CarriedHistogram::new(&since(now, earlier));
                let histograms = PhaseHistograms {
                    response: part(&now.response, earlier.map(|e| &e.response)),
                    service: part(&now.service, earlier.map(|e| &e.service)),
                };
                self.latencies[at] = Some(Box::new(now.clone()));
                histograms
            });
            phases.insert(phase, IntervalPhase { steps, histograms });
        }
        phases
    }

    fn cohorts(&mut self, aggregate: &Aggregate) -> BTreeMap<String, IntervalCohort> {
        let cohorts = aggregate.setting.cohorts.iter().zip(&aggregate.sum.cohorts);
        let parts = cohorts.zip(&mut self.cohorts).map(|((cohort, now), seen)| {
            let part = seen.advance(now);
            let steps = Phase::ALL.into_iter().zip(part.steps);
            let cut = IntervalCohort {
                started: part.started,
                late: part.late,
                devices: OutcomeCounts::new(&part.outcomes),
                live: live_counts(cohort.listed, now),
                telemetry: part.telemetry,
                reconnects: part.reconnects,
                rotations: part.rotations,
                downlink: part.downlink,
                gateway: part.gateway,
                phases: steps.filter(|(_, steps)| !steps.is_empty()).collect(),
            };
            (cohort.name.clone(), cut)
        });
        parts
            .filter(|(_, cut)| *cut != IntervalCohort::default())
            .collect()
    }
}

/// What came to a histogram of lags; what is there now is seen from here on.
fn lag(
    seen: &mut Option<Box<Histogram<u64>>>,
    now: Option<&Histogram<u64>>,
) -> Option<CarriedHistogram> {
    let now = now?;
    let earlier = seen.as_deref();
    if earlier.map_or(0, Histogram::len) == now.len() {
        return None;
    }
    let carried = CarriedHistogram::new(&since(now, earlier));
    *seen = Some(Box::new(now.clone()));
    Some(carried)
}

/// The counts of a tally at the last cut.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    outcomes: [u64; Outcome::ALL.len()],
    started: u64,
    late: u64,
    telemetry: TelemetryCounts,
    reconnects: ReconnectCounts,
    rotations: RotationCounts,
    downlink: DownlinkCounts,
    gateway: GatewayCounts,
    steps: [StepCounts; Phase::COUNT],
}

impl Seen {
    /// What came since; what is there now is seen from here on.
    fn advance(&mut self, now: &Tally) -> Self {
        let now = Self {
            outcomes: now.outcomes,
            started: now.started,
            late: now.late,
            telemetry: now.telemetry,
            reconnects: now.reconnects,
            rotations: now.rotations,
            downlink: now.downlink(),
            gateway: now.gateway,
            steps: now.phases.each_ref().map(PhaseTally::steps),
        };
        let before = std::mem::replace(self, now);
        let mut part = now;
        for (n, before) in part.outcomes.iter_mut().zip(before.outcomes) {
            // A process that died may have said more than the ledger has.
            *n = n.saturating_sub(before);
        }
        part.started = part.started.saturating_sub(before.started);
        part.late = part.late.saturating_sub(before.late);
        part.telemetry = now.telemetry.since(&before.telemetry);
        part.reconnects = now.reconnects.since(&before.reconnects);
        part.rotations = now.rotations.since(&before.rotations);
        part.downlink = now.downlink.since(&before.downlink);
        part.gateway = now.gateway.since(&before.gateway);
        for (steps, before) in part.steps.iter_mut().zip(before.steps) {
            steps.count -= before.count;
            steps.errors -= before.errors;
            steps.retries -= before.retries;
        }
        part
    }
}

/// Workers report at each fifth of a second. What one reports later than this after a boundary
/// counts into the next interval.
const REPORTED_AFTER: Duration = Duration::from_millis(100);
