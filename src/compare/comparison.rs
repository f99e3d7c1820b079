//! What came out of a comparison: the form of `--format json`, from which all others are drawn.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::history::History;

/// The version of the form below. It rises when a key changes its meaning or goes away.
pub const COMPARISON_VERSION: u32 = 1;

/// Candidate runs held against baseline runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Comparison {
    /// [`COMPARISON_VERSION`] of the writer.
    pub comparison_version: u32,
    /// The version of the program that compared.
    pub fleetcall_version: String,
    /// The scenario's name.
    pub scenario: String,
    /// The gravest of all metrics.
    pub verdict: Verdict,
    /// Changes up to this share do not matter.
    pub tolerance: f64,
    /// Nor do differences of times up to so many µs.
    pub floor_us: u64,
    /// Nor do differences of shares up to this.
    pub share_floor: f64,
    /// Of each interval.
    pub confidence: f64,
    /// Metrics that were judged together: the chance that any of them is called a regression or an
    /// improvement by accident is 1 − `confidence` (Holm).
    pub family: usize,
    /// What has to be known before the verdict is believed.
    pub warnings: Vec<String>,
    /// The runs held against.
    pub baseline: Vec<RunRow>,
    /// The runs in question.
    pub candidate: Vec<RunRow>,
    /// What was judged.
    pub metrics: Vec<MetricRow>,
    /// How often a time of the candidate is longer than one of the baseline.
    pub effects: Vec<EffectRow>,
    /// What both sides have and the data cannot tell.
    pub not_judged: Vec<NotJudged>,
    /// What `--history` says; absent without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<History>,
}

/// A run that was compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunRow {
    /// The path that it was given by.
    pub path: String,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// Wall-clock time of the run.
    pub elapsed_s: f64,
    /// Where its randomness came from.
    pub seed: u64,
    /// The target as shown, without secrets.
    pub target: String,
    /// The version of the program that ran.
    pub fleetcall_version: String,
    /// `valid`, `suspect` or `invalid`.
    pub verdict: String,
    /// What came out of it alone.
    pub result: String,
}

/// What is to be said of a metric, or of all. The graver is the greater.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Not worse by more than what is tolerated.
    NoChange,
    /// Better by more than what is tolerated.
    Improvement,
    /// The data cannot tell.
    Inconclusive,
    /// Worse by more than what is tolerated.
    Regression,
}

impl Verdict {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoChange => "no change",
            Self::Improvement => "improvement",
            Self::Inconclusive => "inconclusive",
            Self::Regression => "regression",
        }
    }
}

/// In what a figure is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Microseconds.
    Us,
    /// Per second.
    PerS,
    /// A part of a whole, from 0 to 1.
    Share,
}

/// A metric of both sides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MetricRow {
    /// Its name.
    pub metric: String,
    /// Whose; absent over all cohorts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cohort: Option<String>,
    /// Of the two figures.
    pub unit: Unit,
    /// The figure over all baseline runs together.
    pub baseline: f64,
    /// And over all candidate runs.
    pub candidate: f64,
    /// Of times and rates candidate ÷ baseline − 1, of shares candidate − baseline.
    pub change: f64,
    /// Where the interval of the change begins.
    pub change_low: f64,
    /// Where it ends.
    pub change_high: f64,
    /// A change beyond this, in the direction that is worse, is not tolerated.
    pub limit: f64,
    /// What is to be said.
    pub verdict: Verdict,
    /// The chance of such data if the change were no more than tolerated; one-sided, alone.
    pub p: f64,
    /// The same for being better by more than that.
    pub p_better: f64,
    /// Inconclusive: so many more runs of each side would tell, with a chance of 80 %, if the effect
    /// is as it looks; with one run per side at least so many. Absent when more than 1,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runs_needed: Option<u32>,
    /// How sure it is.
    pub noise: Noise,
}

/// Where an interval's width comes from, on the scale of ln(candidate ÷ baseline), of shares of the
/// difference.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Noise {
    /// The standard error that counts.
    pub error: f64,
    /// Its degrees of freedom.
    pub df: f64,
    /// The standard error by the noise within runs; `null` where there are too few intervals.
    pub within: Option<f64>,
    /// By the noise between runs; `null` with one run per side.
    pub between: Option<f64>,
    /// Cells of time that have something.
    pub cells: usize,
    /// Cells of a block.
    pub block: usize,
}

/// Vargha and Delaney's A₁₂ of a phase's times.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EffectRow {
    /// Which phase.
    pub phase: String,
    /// `response` or `service`.
    pub time: String,
    /// The chance that a time of the candidate is longer than one of the baseline; 0.5 when neither
    /// is.
    pub a12: f64,
}

/// What there is no verdict on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NotJudged {
    /// Its name.
    pub metric: String,
    /// Whose; absent over all cohorts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cohort: Option<String>,
    /// Why.
    pub why: String,
}

impl Comparison {
    /// How many metrics there is this to say of.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.of(verdict).count()
    }

    /// The metrics of which there is this to say.
    pub fn of(&self, verdict: Verdict) -> impl Iterator<Item = &MetricRow> {
        self.metrics
            .iter()
            .filter(move |row| row.verdict == verdict)
    }

    /// The parts of the metrics' names that say where something happened, without repetition:
    /// phases, `devices` or `telemetry`.
    pub fn places(&self, verdict: Verdict) -> Vec<&str> {
        let mut places = Vec::new();
        for row in self.of(verdict) {
            let place = row.metric.split('.').next().unwrap_or_default();
            if !places.contains(&place) {
                places.push(place);
            }
        }
        places
    }
}
