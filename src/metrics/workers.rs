//! Who started the devices of a run over several machines: `cluster` of the summary.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::validity::GeneratorVerdict;

/// A run over workers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClusterSummary {
    /// Its name on the bus; of several runs, theirs with commas.
    pub run_id: String,
    /// Parts that the list was dealt in.
    pub shards: u64,
    /// By name.
    pub workers: Vec<WorkerSummary>,
}

/// A worker.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkerSummary {
    /// Its own name.
    pub name: String,
    /// Its machine's.
    pub host: String,
    /// Cores that it may use.
    pub cores: u64,
    /// Shards that it has held, for a while at least.
    pub shards: u64,
    /// Those of them that another worker had before.
    pub taken_over: u64,
    /// What was added to its clock to make it the coordinator's, in milliseconds.
    pub clock_offset_ms: f64,
    /// How far from the truth that may be, in milliseconds: half of the time that the question for it took.
    pub clock_uncertainty_ms: f64,
    /// How long after the beginning of the run its devices could begin at the earliest, in milliseconds; 0: in
    /// time. The worst of its shards; those that it took over, and those of a late worker, have a large one. Absent
    /// where none began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_behind_ms: Option<f64>,
    /// Whether its machine kept up.
    pub verdict: GeneratorVerdict,
    /// Why it is not `valid`.
    pub reasons: Vec<String>,
}

impl ClusterSummary {
    /// Adds another run's.
    pub(super) fn add(&mut self, other: Self) {
        let Self {
            run_id,
            shards,
            workers,
        } = other;
        self.run_id = format!("{},{run_id}", self.run_id);
        self.shards += shards;
        self.workers.extend(workers);
    }
}
