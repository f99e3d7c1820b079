//! The versioned result of a run: `summary.json`. Every report is drawn from it alone.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::counts::{DeviceCounts, ReconnectCounts, StartCounts, TelemetryCounts};
use super::expectation::ExpectationRow;
use super::finding::FindingRow;
use super::latency::{CarriedError, CarriedHistogram, LagFigures, LatencyFigures};
use super::setting::alarms;
use super::threshold::ThresholdResult;
use super::validity::GeneratorSummary;
use crate::model::{Expectation, Outcome, Phase, TransportKind};

/// The version of the form below. It rises when a key changes its meaning or goes away.
pub const SCHEMA_VERSION: u32 = 1;

/// A finished run. Field names are the keys that scripts rely on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// [`SCHEMA_VERSION`] of the writer.
    pub schema_version: u32,
    /// The version of the program that ran.
    pub fleetcall_version: String,
    /// The scenario's name.
    pub scenario: String,
    /// Where all randomness came from.
    pub seed: u64,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// Wall-clock time of the run.
    pub elapsed_s: f64,
    /// `open` or `closed`; `open` as soon as one cohort is.
    pub model: String,
    /// The schedule's fingerprint, SHA-256 in hexadecimal; empty in results of older versions.
    #[serde(default)]
    pub schedule_digest: String,
    /// The target as shown, without secrets.
    pub target: String,
    /// What nobody may overlook about the run; absent when there is nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// By outcome.
    pub devices: DeviceCounts,
    /// Against the schedule.
    pub starts: StartCounts,
    /// How late devices started.
    pub lag_us: LagFigures,
    /// Those that occurred, over all cohorts.
    pub phases: BTreeMap<Phase, PhaseSummary>,
    /// How often each cause struck; see `docs/metrics.md` for the words.
    pub errors: BTreeMap<String, u64>,
    /// Messages.
    pub telemetry: TelemetrySummary,
    /// Sessions lost and found again; absent when none was lost or taken over.
    #[serde(default, skip_serializing_if = "ReconnectCounts::is_empty")]
    pub reconnects: ReconnectCounts,
    /// Judged in the scenario's order.
    pub thresholds: Vec<ThresholdResult>,
    /// The judged cohorts in the scenario's order; absent when no expectation is stated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expectations: Vec<ExpectationRow>,
    /// Proofs of a server's fault; absent when there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<FindingRow>,
    /// The generator's own figures.
    pub generator: GeneratorSummary,
    /// The overall result.
    pub result: RunResult,
    /// By name.
    pub cohorts: BTreeMap<String, CohortSummary>,
    /// Whole histograms, over all cohorts.
    pub histograms: RunHistograms,
}

/// A step of all devices together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhaseSummary {
    /// Steps completed: the samples of the figures below.
    pub count: u64,
    /// Steps not completed.
    pub errors: u64,
    /// Attempts after a first one that failed.
    #[serde(default)]
    pub retries: u64,
    /// From the intended start.
    pub response_us: LatencyFigures,
    /// From the actual send.
    pub service_us: LatencyFigures,
}

/// Telemetry over the run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TelemetrySummary {
    /// See [`TelemetryCounts`].
    #[serde(flatten)]
    pub counts: TelemetryCounts,
    /// `sent` over the whole elapsed time, ramps included.
    pub rate_per_s: f64,
    /// How late messages were handed to their connections, as far as that was the generator's
    /// doing; over all cohorts together, absent when none was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_us: Option<LagFigures>,
}

/// A cohort's part of the result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CohortSummary {
    /// How its devices talked.
    pub transport: TransportKind,
    /// The scenario's word for their credentials.
    pub credentials: String,
    /// `open` or `closed`; empty in results of older versions.
    #[serde(default)]
    pub model: String,
    /// By outcome.
    pub devices: DeviceCounts,
    /// Those that occurred.
    pub phases: BTreeMap<Phase, PhaseSummary>,
    /// Messages.
    pub telemetry: TelemetrySummary,
    /// Sessions lost and found again; absent when none was lost or taken over.
    #[serde(default, skip_serializing_if = "ReconnectCounts::is_empty")]
    pub reconnects: ReconnectCounts,
    /// Whole histograms of its phases.
    pub histograms: BTreeMap<Phase, PhaseHistograms>,
}

/// Whole histograms: base64 of HdrHistogram V2, in µs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunHistograms {
    /// Start lag; absent when no device started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_lag: Option<CarriedHistogram>,
    /// Lag of messages; absent when none was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_lag: Option<CarriedHistogram>,
    /// Those that have samples.
    #[serde(flatten)]
    pub phases: BTreeMap<Phase, PhaseHistograms>,
}

/// A phase's two histograms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseHistograms {
    /// From the intended start.
    pub response: CarriedHistogram,
    /// From the actual send.
    pub service: CarriedHistogram,
}

impl PhaseHistograms {
    /// Adds another phase's bucket for bucket.
    pub(super) fn add(&mut self, other: &Self) -> Result<(), CarriedError> {
        self.response.add(&other.response)?;
        self.service.add(&other.service)
    }
}

/// What came out; it decides over the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunResult {
    /// Every threshold held, every expectation was met.
    Passed,
    /// A threshold was crossed, an expectation was not met, or there is a finding.
    Failed,
    /// The generator itself was the limit.
    Invalid,
    /// Ended from outside before its plan did.
    Interrupted,
}

impl Summary {
    /// The load model in words: both, where cohorts differ.
    pub fn models(&self) -> String {
        let other = |cohort: &&CohortSummary| !["", &self.model].contains(&cohort.model.as_str());
        match self.cohorts.values().find(other) {
            None => self.model.clone(),
            Some(cohort) => format!("{} and {}", self.model, cohort.model),
        }
    }

    /// Attempts after a first one that failed, over all phases.
    pub fn retries(&self) -> u64 {
        let retries = self.phases.values().map(|phase| phase.retries);
        retries.fold(0, u64::saturating_add)
    }

    /// How many devices ended so that want attention: not those of whom just that was expected.
    pub fn alarming(&self, outcome: Outcome) -> u64 {
        let asked = |name: &String| {
            let row = self.expectations.iter().find(|row| row.cohort == *name);
            row.map_or((Expectation::Provisioned, None), |row| {
                (row.expected, row.misbehaviour)
            })
        };
        self.cohorts
            .iter()
            .filter(|(name, _)| alarms(asked(name), outcome))
            .fold(0, |sum, (_, cohort)| {
                sum.saturating_add(cohort.devices.of(outcome))
            })
    }
}

impl RunResult {
    /// Its word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Invalid => "invalid",
            Self::Interrupted => "interrupted",
        }
    }
}
