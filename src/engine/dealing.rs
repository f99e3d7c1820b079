//! A list as it is dealt: to cohorts and, where several machines share a run, to these.
//!
//! A shard has every so many-th device of each arrival, with the turn that it has in the whole run: the
//! arithmetic that stripes threads and processes, so that shards together make the arrivals of one run.

use std::sync::Arc;

use thiserror::Error;

use super::fleet::schedule;
use super::limits::unshardable;
use crate::arrival::{StartingPlace, part};
use crate::model::{CohortIx, DeviceIx, Shard};
use crate::scenario::{Plan, dealt_to_each};

/// Each device's cohort, and whose it is.
#[derive(Clone, Debug)]
pub struct Dealing {
    cohort_of: Vec<u16>,
    shard: Option<Shard>,
    /// For each device whether it is another shard's; empty where there are none.
    elsewhere: Arc<[bool]>,
    own: u32,
}

/// Why a run cannot be shared by so many machines.
#[derive(Debug, Error)]
pub enum ShardError {
    /// What is in the way.
    #[error("the run cannot be shared by {of} machines: {why}")]
    Unshardable {
        /// How many shards were asked for.
        of: u32,
        /// Why.
        why: &'static str,
    },
    /// The list is too short.
    #[error(
        "shard {shard} has no device: {listed} are listed\n\
         help: take fewer shards, or a longer list"
    )]
    Empty {
        /// Which.
        shard: Shard,
        /// Devices of all shards.
        listed: usize,
    },
}

impl From<Vec<u16>> for Dealing {
    /// All devices are this machine's.
    fn from(cohort_of: Vec<u16>) -> Self {
        Self {
            own: u32::try_from(cohort_of.len()).expect("the inventory refuses longer lists"),
            cohort_of,
            shard: None,
            elsewhere: Arc::default(),
        }
    }
}

impl Dealing {
    /// Keeps the devices of one shard, and of the plan's places its part.
    pub fn of_shard(
        plan: &mut Plan,
        cohort_of: Vec<u16>,
        shard: Shard,
    ) -> Result<Self, ShardError> {
        if let Some(why) = unshardable(plan, shard.of) {
            return Err(ShardError::Unshardable { of: shard.of, why });
        }
        let whole = Self::from(cohort_of);
        let turns = schedule(plan, &whole.cohort_of, &|_| StartingPlace::Ahead, None);
        let elsewhere = whole.listed().map(|ix| {
            let worker = turns.worker_of(whole.cohort_ix(ix), ix, shard.of);
            worker != Some(shard.position())
        });
        let elsewhere: Arc<[bool]> = elsewhere.collect();
        let own = elsewhere.iter().filter(|elsewhere| !**elsewhere).count();
        if own == 0 {
            let listed = elsewhere.len();
            return Err(ShardError::Empty { shard, listed });
        }
        plan.limits.in_flight = part(plan.limits.in_flight, shard.position(), shard.of);
        Ok(Self {
            shard: Some(shard),
            elsewhere,
            own: u32::try_from(own).expect("the inventory refuses longer lists"),
            ..whole
        })
    }

    /// Which shard this is, if the run has some.
    pub fn shard(&self) -> Option<Shard> {
        self.shard
    }

    /// How many devices of this machine each cohort has.
    pub fn dealt(&self, cohorts: usize) -> Vec<u32> {
        let own = self.devices().map(|ix| self.cohort_of[ix.get()]);
        dealt_to_each(&own.collect::<Vec<_>>(), cohorts)
    }

    pub(super) fn cohort_ix(&self, ix: DeviceIx) -> CohortIx {
        CohortIx(self.cohort_of[ix.get()])
    }

    /// Each listed device's cohort.
    pub(super) fn cohort_of(&self) -> &[u16] {
        &self.cohort_of
    }

    /// Whether a device is this machine's.
    pub(super) fn has(&self, ix: DeviceIx) -> bool {
        !self.elsewhere.get(ix.get()).copied().unwrap_or(false)
    }

    /// All listed devices, whosever they are.
    pub(super) fn listed(&self) -> impl Iterator<Item = DeviceIx> + use<> {
        (0..).map(DeviceIx).take(self.cohort_of.len())
    }

    /// This machine's devices, in list order.
    pub(super) fn devices(&self) -> impl Iterator<Item = DeviceIx> + use<> {
        let elsewhere = Arc::clone(&self.elsewhere);
        self.listed()
            .filter(move |ix| !elsewhere.get(ix.get()).copied().unwrap_or(false))
    }

    /// How many those are.
    pub(super) fn len(&self) -> u32 {
        self.own
    }
}

#[cfg(test)]
mod tests;
