//! What is known about a run before it starts and after it ended.

use std::time::Duration;

use super::search::SearchSummary;
use super::shard::ShardSummary;
use super::summary::HostSummary;
use super::threshold::{Aborted, Threshold};
use super::validity::ValidityLimits;
use crate::model::{Expectation, Misbehaviour, Outcome, TransportKind};

/// A run before its first device.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// The scenario's name.
    pub scenario: String,
    /// Where all randomness comes from.
    pub seed: u64,
    /// `open` or `closed`; `open` as soon as one cohort is.
    pub model: String,
    /// The schedule's fingerprint, SHA-256 in hexadecimal.
    pub schedule_digest: String,
    /// Which part of a run it is, if it is one.
    pub shard: Option<ShardSummary>,
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
    /// What decides over the generator's verdict.
    pub validity: ValidityLimits,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// The machine that the generator runs on.
    pub host: HostSummary,
    /// The scenario as TOML, as it is run, secrets masked.
    pub scenario_toml: String,
    /// What nobody may overlook about this run, such as a certificate that is not verified; one
    /// line each, shown at the top of every report.
    pub notes: Vec<String>,
}

impl Setting {
    /// Whether a cohort says what must happen to its devices.
    pub fn states_expectations(&self) -> bool {
        self.cohorts.iter().any(CohortSetting::is_stated)
    }

    /// Whether a cohort's devices are held to its expectation: where it is stated, and everywhere
    /// once one is stated and no threshold says how many devices may end otherwise.
    pub fn judges(&self, cohort: &CohortSetting) -> bool {
        let about = |whose| self.thresholds.iter().any(|t| t.is_about_devices_of(whose));
        let spoken = about(None) || about(Some(&cohort.name));
        cohort.is_stated() || (self.states_expectations() && !spoken)
    }
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
    /// `open` or `closed`.
    pub model: String,
    /// How many devices it was dealt.
    pub listed: u64,
    /// What must happen to each of its devices, where the scenario says so.
    pub expect: Option<Expectation>,
    /// What its devices do wrong, if anything.
    pub misbehaviour: Option<Misbehaviour>,
}

impl CohortSetting {
    /// What must happen to each device: as stated, else what its misbehaviour deserves, else to be
    /// provisioned.
    pub fn expectation(&self) -> Expectation {
        Expectation::of(self.expect, self.misbehaviour)
    }

    /// Whether the scenario says, by one of the two, what must happen.
    pub fn is_stated(&self) -> bool {
        self.expect.is_some() || self.misbehaviour.is_some()
    }

    /// Whether a device that ended so wants attention. For colours alone: outcomes say less than
    /// what is observed at the end, so what may be as expected is taken to be so.
    pub fn alarms(&self, outcome: Outcome) -> bool {
        alarms((self.expectation(), self.misbehaviour), outcome)
    }
}

/// Whether an outcome wants attention where that is expected of devices that do that wrong.
pub(super) fn alarms(
    (expected, misbehaviour): (Expectation, Option<Misbehaviour>),
    outcome: Outcome,
) -> bool {
    // These have their rightful credentials when they offend: a refusal came too early.
    let is_second = misbehaviour.is_some_and(Misbehaviour::asks_again);
    let calm = match (outcome, expected) {
        (Outcome::Provisioned, Expectation::Refused) => {
            is_second || misbehaviour == Some(Misbehaviour::ConcurrentRequests)
        }
        (Outcome::Refused, Expectation::Refused) => !is_second,
        (Outcome::Provisioned, Expectation::Provisioned)
        // Kept out at once, a device is refused or has failed; kept out with its credentials, it
        // got them.
        | (Outcome::Provisioned | Outcome::Refused | Outcome::Failed, Expectation::Rejected) => true,
        _ => false,
    };
    !calm
}

/// A run after its last device.
#[derive(Clone, Debug, PartialEq)]
pub struct Ending {
    /// Wall-clock time from the start to the end.
    pub elapsed: Duration,
    /// Somebody ended it before its plan did.
    pub interrupted: bool,
    /// A threshold ended it before its plan did.
    pub aborted: Option<Aborted>,
    /// What was searched, if anything.
    pub search: Option<SearchSummary>,
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
