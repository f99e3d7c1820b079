//! Which part of a run a result is of, and what parts are missing where some were put together.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::summary::Summary;
use crate::model::{Shard, units};

/// A result's part of a run that several machines share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShardSummary {
    /// Which part.
    #[serde(flatten)]
    pub shard: Shard,
    /// Devices on the list, those of all shards.
    pub listed: u64,
    /// The fingerprint of the whole list's schedule: the same in all shards of a run, also in those that
    /// were resumed.
    pub schedule_digest: String,
    /// Thresholds that say how much the run must come to at least: a part cannot be judged by them, the
    /// sum of all parts is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deferred: Vec<String>,
}

/// What was not given of a run's shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingShards {
    /// Their numbers.
    pub numbers: Vec<u32>,
    /// How many shards the run has.
    pub of: u32,
    /// The devices that are listed and in none of the shards that there are.
    pub devices: u64,
    /// The devices that are listed.
    pub listed: u64,
}

impl ShardSummary {
    /// Which part it is.
    pub fn words(&self) -> String {
        format!("shard {}", self.shard)
    }
}

impl MissingShards {
    /// What nobody may overlook.
    pub(super) fn note(&self) -> String {
        format!("{INCOMPLETE}{}", self.words())
    }

    /// Which are missing, and how many devices with them.
    pub fn words(&self) -> String {
        let named: Vec<_> = self
            .numbers
            .iter()
            .take(NAMED)
            .map(u32::to_string)
            .collect();
        let more = match self.numbers.len() - named.len() {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        let (shards, are) = if self.numbers.len() == 1 {
            ("shard", "is")
        } else {
            ("shards", "are")
        };
        format!(
            "{shards} {}{more} of {} {are} missing, and so is all that became of {} of {} listed \
             devices",
            named.join(", "),
            self.of,
            units::count(self.devices),
            units::count(self.listed)
        )
    }
}

impl Summary {
    /// Whether it is of one or several shards of a run.
    pub fn is_of_shards(&self) -> bool {
        self.shard.is_some() || self.runs.iter().any(|run| run.shard.is_some())
    }

    /// The shards that are missing in a result of several; `None`: none is, or there are no shards.
    pub fn missing_shards(&self) -> Option<MissingShards> {
        let parts = || self.runs.iter().filter_map(|run| run.shard.as_ref());
        let first = parts().next()?;
        let of = first.shard.of;
        let missing = |number: &u32| parts().all(|part| part.shard.number != *number);
        let numbers: Vec<u32> = (1..=of).filter(missing).collect();
        (!numbers.is_empty()).then(|| MissingShards {
            numbers,
            of,
            devices: first.listed.saturating_sub(self.devices.listed),
            listed: first.listed,
        })
    }
}

/// What the note on missing shards begins with.
pub(super) const INCOMPLETE: &str = "INCOMPLETE: ";

/// More are counted only.
const NAMED: usize = 20;
