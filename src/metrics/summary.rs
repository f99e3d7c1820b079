//! The versioned result of a run: `summary.json`. Every report is drawn from it alone.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::counts::{DeviceCounts, ReconnectCounts, RotationCounts, StartCounts, TelemetryCounts};
use super::downlink::DownlinkCounts;
use super::expectation::ExpectationRow;
use super::finding::FindingRow;
use super::gateway::GatewayCounts;
use super::latency::{CarriedError, CarriedHistogram, LagFigures, LatencyFigures};
use super::search::SearchSummary;
use super::setting::alarms;
use super::shard::ShardSummary;
use super::steering::Steered;
use super::threshold::{Aborted, ThresholdResult};
use super::validity::{GeneratorSummary, GeneratorVerdict};
use super::workers::ClusterSummary;
use crate::model::{Expectation, Outcome, Phase, SearchEnd, TransportKind, units};

/// The version of the form below. It rises when a key changes its meaning or goes away.
pub const SCHEMA_VERSION: u32 = 1;

/// A finished run. Field names are the keys that scripts rely on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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
    /// The schedule's fingerprint, SHA-256 in hexadecimal, behind `steered:` where somebody changed the
    /// schedule in mid-run; empty in results of older versions.
    #[serde(default)]
    pub schedule_digest: String,
    /// Which part of a run it is; absent in the result of a whole run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<ShardSummary>,
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
    /// Certificates that devices got in mid-run; absent when nobody did.
    #[serde(default, skip_serializing_if = "RotationCounts::is_empty")]
    pub rotations: RotationCounts,
    /// What devices were sent unasked; absent when that was nothing.
    #[serde(default, skip_serializing_if = "DownlinkCounts::is_empty")]
    pub downlink: DownlinkCounts,
    /// Gateways and those behind them; absent when there are none.
    #[serde(default, skip_serializing_if = "GatewayCounts::is_empty")]
    pub gateway: GatewayCounts,
    /// Judged in the scenario's order.
    pub thresholds: Vec<ThresholdResult>,
    /// The judged cohorts in the scenario's order; absent when no expectation is stated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expectations: Vec<ExpectationRow>,
    /// Proofs of a server's fault; absent when there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<FindingRow>,
    /// The thresholds that ended the run, or runs, before its plan was over; absent when none did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aborted: Vec<Aborted>,
    /// What a person changed in the run, or runs, each counted from its own start; absent when nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steering: Vec<Steered>,
    /// The search for the highest rate that holds; absent when there was none. Thresholds are judged
    /// in each of its trials then, and not on the whole run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<SearchSummary>,
    /// The workers on other machines that started the devices; absent when there were none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterSummary>,
    /// The generator's own figures.
    pub generator: GeneratorSummary,
    /// The overall result.
    pub result: RunResult,
    /// By name.
    pub cohorts: BTreeMap<String, CohortSummary>,
    /// Whole histograms, over all cohorts.
    pub histograms: RunHistograms,
    /// The machine that the generator ran on; absent in results of older versions, and of runs on
    /// several machines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<HostSummary>,
    /// The scenario as TOML, as it was run: overrides and seed put in, secrets masked, without
    /// comments. Empty in results of older versions, and of several runs that differ in it.
    #[serde(default)]
    pub scenario_toml: String,
    /// The runs that this is the sum of; absent in the result of a single one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<RunPart>,
}

/// A machine, as far as its system tells of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HostSummary {
    /// The CPU's model.
    pub cpu: Option<String>,
    /// Cores that the process may use.
    pub cores: Option<u64>,
    /// Memory of the machine.
    pub memory_bytes: Option<u64>,
    /// The kernel's release.
    pub kernel: Option<String>,
    /// The operating system.
    pub os: Option<String>,
    /// What the program was built for, such as `x86_64`.
    pub arch: String,
}

impl HostSummary {
    /// In words, as far as they are known.
    pub fn words(&self) -> String {
        let cores = self.cores.map(|n| format!("{} cores", units::count(n)));
        let told = [
            cores,
            self.cpu.clone(),
            self.memory_bytes.map(units::bytes),
            self.os.clone(),
            self.kernel.as_ref().map(|kernel| format!("Linux {kernel}")),
            Some(self.arch.clone()),
        ];
        told.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// One of several runs whose results were merged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunPart {
    /// RFC 3339, UTC.
    pub started_at: String,
    /// Wall-clock time of the run.
    pub elapsed_s: f64,
    /// Where its randomness came from.
    pub seed: u64,
    /// Its schedule's fingerprint.
    pub schedule_digest: String,
    /// Which part of a run it is; absent where it is a whole one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<ShardSummary>,
    /// Its target as shown, without secrets.
    pub target: String,
    /// Its devices by outcome.
    pub devices: DeviceCounts,
    /// Whether its generator kept up.
    pub verdict: GeneratorVerdict,
    /// What came out of it alone.
    pub result: RunResult,
}

impl RunPart {
    pub(super) fn of(run: &Summary) -> Self {
        Self {
            started_at: run.started_at.clone(),
            elapsed_s: run.elapsed_s,
            seed: run.seed,
            schedule_digest: run.schedule_digest.clone(),
            shard: run.shard.clone(),
            target: run.target.clone(),
            devices: run.devices,
            verdict: run.generator.verdict,
            result: run.result,
        }
    }
}

/// A step of all devices together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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
    /// Certificates that devices got in mid-run; absent when nobody did.
    #[serde(default, skip_serializing_if = "RotationCounts::is_empty")]
    pub rotations: RotationCounts,
    /// What its devices were sent unasked; absent when that was nothing.
    #[serde(default, skip_serializing_if = "DownlinkCounts::is_empty")]
    pub downlink: DownlinkCounts,
    /// Its gateways and those behind them; absent when its devices are none.
    #[serde(default, skip_serializing_if = "GatewayCounts::is_empty")]
    pub gateway: GatewayCounts,
    /// Whole histograms of its phases.
    pub histograms: BTreeMap<Phase, PhaseHistograms>,
}

/// Whole histograms: base64 of HdrHistogram V2, in µs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PhaseHistograms {
    /// From the intended start.
    pub response: CarriedHistogram,
    /// From the actual send.
    pub service: CarriedHistogram,
}

fn check(
    devices: &DeviceCounts,
    phases: &BTreeMap<Phase, PhaseSummary>,
    histograms: &BTreeMap<Phase, PhaseHistograms>,
) -> Result<(), String> {
    if devices.listed != devices.decided() {
        let (listed, decided) = (devices.listed, devices.decided());
        return Err(format!(
            "{listed} devices are listed, and {decided} have an outcome"
        ));
    }
    for (phase, row) in phases {
        let held = match histograms.get(phase) {
            None => [0, 0],
            Some(carried) => [
                carried.response.decode().map_err(|e| e.to_string())?.len(),
                carried.service.decode().map_err(|e| e.to_string())?.len(),
            ],
        };
        if held != [row.count; 2] {
            let (phase, count) = (phase.as_str(), row.count);
            return Err(format!(
                "{phase}: a count of {count}, and {held:?} in the histograms"
            ));
        }
    }
    Ok(())
}

impl PhaseHistograms {
    /// Adds another phase's bucket for bucket.
    pub(super) fn add(&mut self, other: &Self) -> Result<(), CarriedError> {
        self.response.add(&other.response)?;
        self.service.add(&other.service)
    }
}

/// What came out; it decides over the exit code. The graver is the greater.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
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
    /// Whether its sums agree: what does not is no result of a run, and no figure of it may be
    /// shown.
    pub fn check(&self) -> Result<(), String> {
        check(&self.devices, &self.phases, &self.histograms.phases)?;
        let mut listed = 0u64;
        for (name, cohort) in &self.cohorts {
            check(&cohort.devices, &cohort.phases, &cohort.histograms)
                .map_err(|why| format!("cohort {name:?}: {why}"))?;
            listed = listed.saturating_add(cohort.devices.listed);
        }
        if listed == self.devices.listed {
            Ok(())
        } else {
            let all = self.devices.listed;
            Err(format!(
                "{all} devices are listed, and {listed} in the cohorts"
            ))
        }
    }

    /// Whether both are the result of one run. Two may begin in the same millisecond; to the
    /// microsecond they do not take the same time.
    pub fn is_same_run(&self, other: &Self) -> bool {
        (&other.started_at, &other.schedule_digest) == (&self.started_at, &self.schedule_digest)
            && (&other.shard, &other.devices) == (&self.shard, &self.devices)
            && other.elapsed_s.to_bits() == self.elapsed_s.to_bits()
    }

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

    /// Devices of the list that a search came to its end without: nothing is amiss with them.
    pub fn untouched(&self) -> u64 {
        let ended = self.search.as_ref().map(|search| search.ended);
        match ended {
            None | Some(SearchEnd::Interrupted) => 0,
            Some(_) => self.devices.listed.saturating_sub(self.starts.started),
        }
    }

    /// Whether a device of a cohort that ended so wants attention: not when just that was expected.
    pub fn alarms(&self, cohort: &str, outcome: Outcome) -> bool {
        if outcome == Outcome::Unfinished && self.untouched() > 0 {
            return false;
        }
        let row = self.expectations.iter().find(|row| row.cohort == cohort);
        let asked = row.map_or((Expectation::Provisioned, None), |row| {
            (row.expected, row.misbehaviour)
        });
        alarms(asked, outcome)
    }

    /// How many devices ended so that want attention.
    pub fn alarming(&self, outcome: Outcome) -> u64 {
        self.cohorts
            .iter()
            .filter(|(name, _)| self.alarms(name, outcome))
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
