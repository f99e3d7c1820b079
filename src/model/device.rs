//! Which device and which cohort, as numbers that cannot be swapped.

use serde::{Deserialize, Serialize};

/// A device's position in the list, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeviceIx(pub u32);

impl DeviceIx {
    /// For indexing tables that have one row per listed device.
    pub fn get(self) -> usize {
        self.0 as usize
    }
}

/// A cohort's position in the scenario, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CohortIx(pub u16);

impl CohortIx {
    /// For indexing tables that have one row per cohort.
    pub fn get(self) -> usize {
        usize::from(self.0)
    }
}
