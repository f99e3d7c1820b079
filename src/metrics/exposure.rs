//! The state of a run at one moment as monitoring systems take it: counters, gauges and classic
//! buckets, by cohort and phase. Its size does not depend on the number of devices.

use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::aggregate::{Aggregate, live_counts};
use super::cause::OTHER_CAUSES;
use super::counts::{DeviceCounts, LiveCounts, ReconnectCounts, StartCounts, TelemetryCounts};
use super::setting::Setting;
use super::snapshot::SearchRow;
use super::tally::Tally;
use super::validity::GeneratorVerdict;
use crate::model::Phase;

/// Upper bounds of the buckets, µs: steps of 1, 2 and 5 from 0.5 ms to 60 s. What took longer is in
/// one more bucket.
pub const BOUNDS_US: [u64; 16] = [
    500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000,
    2_000_000, 5_000_000, 10_000_000, 20_000_000, 60_000_000,
];

/// A run at one moment.
#[derive(Clone, Debug)]
pub struct Exposure {
    /// What was known before the start.
    pub setting: Arc<Setting>,
    /// Since the start of the run.
    pub elapsed: Duration,
    /// Whether the figures so far may be quoted.
    pub verdict: GeneratorVerdict,
    /// Against the schedule.
    pub starts: StartCounts,
    /// How late devices started.
    pub lag: Buckets,
    /// How late messages were handed to their connections.
    pub message_lag: Buckets,
    /// Errors by cause: the stable word, and how often.
    pub errors: Vec<(String, u64)>,
    /// In the scenario's order.
    pub cohorts: Vec<CohortExposure>,
    /// Where a search is, if the run is one.
    pub search: Option<SearchRow>,
}

/// One cohort; its name and transport are in the setting, at the same position.
#[derive(Clone, Debug, PartialEq)]
pub struct CohortExposure {
    /// By outcome, so far.
    pub devices: DeviceCounts,
    /// By what they are doing now.
    pub live: LiveCounts,
    /// Devices started.
    pub started: u64,
    /// Of these, the late ones.
    pub late: u64,
    /// Telemetry messages.
    pub telemetry: TelemetryCounts,
    /// Sessions that were lost, and what became of them.
    pub reconnects: ReconnectCounts,
    /// The phases that occurred.
    pub phases: Vec<PhaseExposure>,
}

/// One phase of a cohort.
#[derive(Clone, Debug, PartialEq)]
pub struct PhaseExposure {
    /// Which.
    pub phase: Phase,
    /// Steps not completed.
    pub errors: u64,
    /// Attempts that were not a step's first.
    pub retries: u64,
    /// From the intended start.
    pub response: Buckets,
    /// From the actual send.
    pub service: Buckets,
}

/// A histogram in few buckets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Buckets {
    /// Samples in each bucket of [`BOUNDS_US`], and above the last. Not cumulative.
    pub counts: [u64; BOUNDS_US.len() + 1],
    /// All samples together, µs.
    pub sum_us: f64,
}

impl Buckets {
    /// Samples within 0.1 % below a bound may be counted above it: a sample is never made shorter.
    fn of(histogram: &Histogram<u64>) -> Self {
        let mut counts = [0; BOUNDS_US.len() + 1];
        for step in histogram.iter_recorded() {
            let value = histogram.highest_equivalent(step.value_iterated_to());
            let bucket = BOUNDS_US.partition_point(|bound| *bound < value);
            counts[bucket] += step.count_at_value();
        }
        let sum_us = histogram.mean() * histogram.len() as f64;
        Self { counts, sum_us }
    }

    /// Samples.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

impl Aggregate {
    /// The state `elapsed` after the start, for monitoring systems.
    pub fn expose(&self, elapsed: Duration) -> Exposure {
        let starts = self.starts();
        let (verdict, _) = self.judge(&starts, false);
        let buckets = |histogram: Option<&Histogram<u64>>| {
            histogram.map_or_else(Buckets::default, Buckets::of)
        };
        let errors = &self.sum.errors;
        let mut causes: Vec<(String, u64)> = errors
            .iter()
            .map(|(cause, count)| (cause.to_string(), count))
            .collect();
        if errors.other > 0 {
            causes.push((OTHER_CAUSES.to_owned(), errors.other));
        }
        let cohorts = self.setting.cohorts.iter().zip(&self.sum.cohorts);
        Exposure {
            setting: Arc::clone(&self.setting),
            elapsed,
            verdict,
            starts: StartCounts {
                dropped: self.dropped,
                ..starts
            },
            lag: buckets(self.sum.lag.as_deref()),
            message_lag: buckets(self.sum.message_lag.as_deref()),
            errors: causes,
            cohorts: cohorts
                .map(|(setting, tally)| cohort(setting.listed, tally))
                .collect(),
            search: self.search,
        }
    }
}

fn cohort(listed: u64, tally: &Tally) -> CohortExposure {
    let phases = Phase::ALL.into_iter().zip(&tally.phases);
    let occurred = phases.filter(|(_, tally)| !tally.is_empty());
    CohortExposure {
        devices: DeviceCounts::new(listed, &tally.outcomes),
        live: live_counts(listed, tally),
        started: tally.started,
        late: tally.late,
        telemetry: tally.telemetry,
        reconnects: tally.reconnects,
        phases: occurred
            .map(|(phase, tally)| {
                let latency = tally.latency.as_deref();
                let [response, service] = latency.map_or_else(Default::default, |latency| {
                    [&latency.response, &latency.service].map(Buckets::of)
                });
                PhaseExposure {
                    phase,
                    errors: tally.errors,
                    retries: tally.retries,
                    response,
                    service,
                }
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::super::latency::histogram;
    use super::*;

    #[test]
    fn each_sample_is_in_the_bucket_of_the_next_bound_or_a_tenth_of_a_percent_above() {
        let mut recorded = histogram();
        for value in [
            1,
            500,
            501,
            999,
            10_000,
            59_000_000,
            61_000_000,
            3_000_000_000,
        ] {
            recorded.record(value).unwrap();
        }
        let buckets = Buckets::of(&recorded);
        let at = |bound: u64| buckets.counts[BOUNDS_US.iter().position(|b| *b == bound).unwrap()];
        assert_eq!((at(500), at(1_000), at(60_000_000)), (2, 2, 1));
        assert_eq!(at(10_000) + at(20_000), 1);
        assert_eq!(buckets.counts[BOUNDS_US.len()], 2);
        assert_eq!(buckets.count(), recorded.len());
        assert!((buckets.sum_us / 3_120_012_001.0 - 1.0).abs() < 0.001);
    }

    #[test]
    fn what_is_exposed_is_what_the_snapshot_shows() {
        let mut aggregate = Aggregate::new(fixture::setting());
        aggregate.add(&fixture::recorded(500));
        let elapsed = Duration::from_secs(30);
        let (snapshot, exposure) = (aggregate.tick(elapsed), aggregate.expose(elapsed));
        let sum = |of: fn(&CohortExposure) -> u64| exposure.cohorts.iter().map(of).sum::<u64>();
        assert_eq!(sum(|c| c.devices.provisioned), snapshot.devices.provisioned);
        assert_eq!(sum(|c| c.started), snapshot.starts.started);
        assert_eq!(sum(|c| c.telemetry.sent), snapshot.telemetry.sent);
        for row in &snapshot.phases {
            let phases = exposure.cohorts.iter().flat_map(|cohort| &cohort.phases);
            let of_row: Vec<_> = phases
                .filter(|exposed| exposed.phase == row.phase)
                .collect();
            let count: u64 = of_row.iter().map(|exposed| exposed.response.count()).sum();
            let errors: u64 = of_row.iter().map(|exposed| exposed.errors).sum();
            assert_eq!((count, errors), (row.count, row.errors), "{:?}", row.phase);
        }
        let errors: u64 = exposure.errors.iter().map(|(_, n)| n).sum();
        assert_eq!(errors, snapshot.error_count());
    }
}
