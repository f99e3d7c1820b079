//! One of several machines' part of a run.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which part of a run is this machine's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Shard {
    /// From 1 to `of`.
    pub number: u32,
    /// How many there are, ≥ 1.
    pub of: u32,
}

impl Shard {
    /// Counted from 0, as devices and workers are.
    pub fn position(self) -> u32 {
        self.number - 1
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.number, self.of)
    }
}
