//! What was recorded, on its way from one process of a run to another: as it is added to what is
//! there already, and not as a recorder of its own, which has two histograms of 188 kB for each
//! cohort and phase.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::errors::Errors;
use super::latency::{Latency, histogram};
use super::recorder::Recorder;
use super::tally::Tally;
use crate::model::Phase;

/// A recorder's content. Added to an empty one, it makes the same recorder.
#[derive(Debug, Serialize, Deserialize)]
pub struct CarriedRecorder {
    cohorts: Vec<(Tally, Vec<CarriedPhase>)>,
    lag: Buckets,
    message_lag: Buckets,
    errors: Errors,
}

#[derive(Debug, Serialize, Deserialize)]
struct CarriedPhase {
    phase: Phase,
    errors: u64,
    retries: u64,
    response: Buckets,
    service: Buckets,
}

/// A histogram's buckets that are not empty: the highest value that each stands for, and its count.
#[derive(Debug, Serialize, Deserialize)]
struct Buckets(Vec<(u64, u64)>);

impl CarriedRecorder {
    /// What is in a recorder.
    pub fn of(recorder: &Recorder) -> Self {
        let phases = |tally: &Tally| {
            let phases = Phase::ALL.into_iter().zip(&tally.phases);
            let phases = phases.filter(|(_, phase)| !phase.is_empty());
            let carried = phases.map(|(of, phase)| {
                let latency = phase.latency.as_deref();
                CarriedPhase {
                    phase: of,
                    errors: phase.errors,
                    retries: phase.retries,
                    response: Buckets::of(latency.map(|latency| &latency.response)),
                    service: Buckets::of(latency.map(|latency| &latency.service)),
                }
            });
            carried.collect()
        };
        let counts = |tally: &Tally| Tally {
            phases: <[_; Phase::COUNT]>::default(),
            ..*tally
        };
        let cohorts = recorder.cohorts.iter();
        Self {
            cohorts: cohorts
                .map(|tally| (counts(tally), phases(tally)))
                .collect(),
            lag: Buckets::of(recorder.lag.as_deref()),
            message_lag: Buckets::of(recorder.message_lag.as_deref()),
            errors: recorder.errors.clone(),
        }
    }

    /// Adds it to what was recorded, cohort by cohort and over all.
    ///
    /// # Panics
    /// When it is of another scenario (number of cohorts).
    pub(super) fn add_to(&self, sum: &mut Recorder, overall: &mut Tally) {
        assert_eq!(sum.cohorts.len(), self.cohorts.len(), "of the same cohorts");
        for (sum, (tally, phases)) in sum.cohorts.iter_mut().zip(&self.cohorts) {
            for sum in [sum, &mut *overall] {
                sum.add(tally);
                for carried in phases {
                    carried.add_to(sum);
                }
            }
        }
        for (sum, lag) in [
            (&mut sum.lag, &self.lag),
            (&mut sum.message_lag, &self.message_lag),
        ] {
            if !lag.0.is_empty() {
                lag.add_to(sum.get_or_insert_with(|| Box::new(histogram())));
            }
        }
        sum.errors.add(&self.errors);
    }

    /// The counts, cohort by cohort, without phases.
    pub(super) fn tallies(&self) -> impl ExactSizeIterator<Item = &Tally> {
        self.cohorts.iter().map(|(tally, _)| tally)
    }
}

impl CarriedPhase {
    fn add_to(&self, sum: &mut Tally) {
        let phase = &mut sum.phases[self.phase as usize];
        phase.errors = phase.errors.saturating_add(self.errors);
        phase.retries = phase.retries.saturating_add(self.retries);
        if !self.response.0.is_empty() {
            let latency = phase
                .latency
                .get_or_insert_with(|| Box::new(Latency::new()));
            self.response.add_to(&mut latency.response);
            self.service.add_to(&mut latency.service);
        }
    }
}

impl Buckets {
    fn of(histogram: Option<&Histogram<u64>>) -> Self {
        let recorded = histogram.filter(|histogram| !histogram.is_empty());
        let buckets = recorded.into_iter().flat_map(Histogram::iter_recorded);
        let bucket = |at: hdrhistogram::iterators::IterationValue<u64>| {
            (at.value_iterated_to(), at.count_at_value())
        };
        Self(buckets.map(bucket).collect())
    }

    fn add_to(&self, sum: &mut Histogram<u64>) {
        for (value, count) in &self.0 {
            sum.saturating_record_n(*value, *count);
        }
    }
}
