//! How the devices of one process stand: what has to be said anew when it died, since what it had
//! not reported yet died with it.

use super::carried::CarriedRecorder;
use crate::model::{CohortIx, Outcome};

/// Devices by outcome, by start and by what they are at, per cohort.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roll(pub(super) Vec<RollRow>);

/// A cohort's. Signed: reports and records of one moment need not agree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct RollRow {
    pub(super) outcomes: [i64; Outcome::ALL.len()],
    pub(super) never_started: i64,
    pub(super) started: i64,
    pub(super) late: i64,
    pub(super) bringing_up: i64,
    pub(super) live: i64,
}

impl Roll {
    /// Of so many cohorts, and nothing yet.
    pub fn new(cohorts: usize) -> Self {
        Self(vec![RollRow::default(); cohorts])
    }

    /// Takes in what was recorded since.
    ///
    /// # Panics
    /// When it is of another scenario (number of cohorts).
    pub fn add(&mut self, delta: &CarriedRecorder) {
        assert_eq!(self.0.len(), delta.tallies().len(), "of the same cohorts");
        let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        for (row, tally) in self.0.iter_mut().zip(delta.tallies()) {
            for (sum, n) in row.outcomes.iter_mut().zip(tally.outcomes) {
                *sum += signed(n);
            }
            row.never_started += signed(tally.never_started);
            row.started += signed(tally.started);
            row.late += signed(tally.late);
            row.bringing_up += tally.bringing_up;
            row.live += tally.live;
        }
    }

    /// A device of the cohort that has that outcome on record. Whether it was started in this part of
    /// the run: one that is unfinished for another reason than that it was not.
    pub fn count(&mut self, cohort: CohortIx, outcome: Outcome, started: bool) {
        let row = &mut self.0[cohort.get()];
        row.outcomes[outcome as usize] += 1;
        row.started += i64::from(started);
        row.never_started += i64::from(!started && outcome == Outcome::Unfinished);
    }

    /// What has to be added to `reported` to make it this. How many starts were late nobody knows
    /// any more of devices that will start anew: no more than did start.
    #[must_use]
    pub fn beyond(&self, reported: &Self) -> Self {
        let rows = self.0.iter().zip(&reported.0).map(|(is, was)| {
            let mut outcomes = is.outcomes;
            for (n, was) in outcomes.iter_mut().zip(was.outcomes) {
                *n -= was;
            }
            RollRow {
                outcomes,
                never_started: is.never_started - was.never_started,
                started: is.started - was.started,
                late: was.late.min(is.started) - was.late,
                bringing_up: is.bringing_up - was.bringing_up,
                live: is.live - was.live,
            }
        });
        Self(rows.collect())
    }
}
