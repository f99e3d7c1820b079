//! A run over time: what happened in each interval, and what to mark on the way.
//!
//! A [`Cutter`] takes the difference between the sum over all workers now and at its last cut, so
//! that the intervals of a run add up to its summary, count for count and bucket for bucket. The
//! number of intervals is bounded: when there would be more, they become twice as wide
//! ([`width_at`]), and those before are merged ([`coarsen`]). The lines below are those of
//! `timeline.jsonl`; `docs/reports.md` explains them.

mod beside;
mod cutter;
mod interval;
mod mark;

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use beside::{beside, common_cuts, micros};
pub use cutter::Cutter;
pub use interval::{
    Interval, IntervalCohort, IntervalPhase, IntervalStarts, Join, StepCounts, coarsen,
};
pub use mark::{Mark, MarkKind};

use super::finish::to_micro;
use super::setting::Setting;

/// The version of the lines' form. It rises when a key changes its meaning or goes away.
pub const TIMELINE_VERSION: u32 = 1;

/// A time line has at most so many intervals.
pub const INTERVALS_MAX: u32 = 600;

/// A run has at most so many marks; further ones are counted.
pub const MARKS_MAX: usize = 1_000;

/// One line of `timeline.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "line", rename_all = "snake_case")]
pub enum Line {
    /// The first one: whose time line it is.
    Header(Header),
    /// What happened within an interval.
    Interval(Box<Interval>),
    /// What happened at a moment.
    Mark(Mark),
    /// The last one; missing when the program was ended before the run.
    End(End),
}

/// Whose time line it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Header {
    /// [`TIMELINE_VERSION`] of the writer.
    pub timeline_version: u32,
    /// The version of the program that ran.
    pub fleetcall_version: String,
    /// The scenario's name.
    pub scenario: String,
    /// Where all randomness came from.
    pub seed: u64,
    /// The schedule's fingerprint, SHA-256 in hexadecimal.
    pub schedule_digest: String,
    /// RFC 3339, UTC: offset 0 of all times, to some 0.1 s.
    pub started_at: String,
    /// `open` or `closed`.
    pub model: String,
    /// Devices in the list.
    pub listed: u64,
    /// Devices that the schedule gives a turn to.
    pub planned: u64,
    /// The cohorts' names, in the scenario's order.
    pub cohorts: Vec<String>,
}

impl Header {
    /// The first line of a run's time line.
    pub fn new(setting: &Setting) -> Self {
        Self {
            timeline_version: TIMELINE_VERSION,
            fleetcall_version: env!("CARGO_PKG_VERSION").to_owned(),
            scenario: setting.scenario.clone(),
            seed: setting.seed,
            schedule_digest: setting.schedule_digest.clone(),
            started_at: setting.started_at.clone(),
            model: setting.model.clone(),
            listed: setting.listed,
            planned: setting.planned,
            cohorts: setting.cohorts.iter().map(|c| c.name.clone()).collect(),
        }
    }

    /// Makes it that of another run, too.
    pub fn add(&mut self, other: &Self) {
        self.listed = self.listed.saturating_add(other.listed);
        self.planned = self.planned.saturating_add(other.planned);
        if other.started_at < self.started_at {
            self.started_at.clone_from(&other.started_at);
        }
        for cohort in &other.cohorts {
            if !self.cohorts.contains(cohort) {
                self.cohorts.push(cohort.clone());
            }
        }
    }
}

/// The end of the run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct End {
    /// Wall-clock time of the run.
    pub elapsed_s: f64,
    /// Marks beyond [`MARKS_MAX`].
    #[serde(default, skip_serializing_if = "is_zero")]
    pub marks_dropped: u64,
}

impl End {
    /// The end after so long.
    pub fn new(elapsed: Duration, marks_dropped: u64) -> Self {
        Self {
            elapsed_s: to_micro(elapsed.as_secs_f64()),
            marks_dropped,
        }
    }
}

/// How wide the interval is that begins at this offset: 1 s, and twice as wide each time that
/// there would be more than [`INTERVALS_MAX`] of them. All earlier ones are as wide by then.
pub fn width_at(from: Duration) -> Duration {
    let mut width = FINEST;
    while from >= width * INTERVALS_MAX {
        width *= 2;
    }
    width
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde's skip_serializing_if passes a reference"
)]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

const FINEST: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
