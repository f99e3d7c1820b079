//! What is known about a run before it starts and after it ended.

use std::time::Duration;

use super::threshold::Threshold;
use crate::model::TransportKind;

/// A run before its first device.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// The scenario's name.
    pub scenario: String,
    /// Where all randomness comes from.
    pub seed: u64,
    /// `open` or `closed`.
    pub model: String,
    /// In the scenario's order; names are unique.
    pub cohorts: Vec<CohortSetting>,
    /// Devices in the list: the sum over the cohorts.
    pub listed: u64,
    /// Devices that the schedule gives a turn to, at most `listed`.
    pub planned: u64,
    /// How long the run is meant to take; zero when nobody can tell (closed model, long list).
    pub expected_span: Duration,
    /// The target as it is shown, without secrets.
    pub target: String,
    /// What decides over the result.
    pub thresholds: Vec<Threshold>,
    /// RFC 3339, UTC.
    pub started_at: String,
}

/// A cohort before its first device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CohortSetting {
    /// Unique in the scenario.
    pub name: String,
    /// How its devices talk.
    pub transport: TransportKind,
    /// The scenario's word for the credentials they ask for.
    pub credentials: String,
    /// How many devices it was dealt.
    pub listed: u64,
}

/// A run after its last device.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ending {
    /// Wall-clock time from the start to the end.
    pub elapsed: Duration,
    /// Somebody ended it before its plan did.
    pub interrupted: bool,
    /// Starts that were due, and that the generator could not make.
    pub dropped: u64,
    /// CPU time of the generator's processes, user and system, in s.
    pub cpu_s: f64,
    /// The largest resident memory of the generator's processes together, in bytes.
    pub peak_rss_bytes: u64,
    /// Worker threads, over all processes.
    pub workers: usize,
    /// Generator processes.
    pub processes: usize,
    /// The embedded target ran in the same process: its CPU time and memory are in the figures.
    pub generator_includes_target: bool,
}
