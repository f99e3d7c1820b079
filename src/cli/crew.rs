//! Who starts a run's devices: this process, others that it starts, or workers elsewhere.

use std::path::PathBuf;

use jiff::Timestamp;

use super::cluster::Joint;
use super::house::House;
use super::portion::Common;
use super::{Exit, Failure, shard, tracks};
use crate::engine::{Hands, Processes, Provisions, StopSwitch};
use crate::metrics::Summary;

/// Who they are.
pub(super) enum Crew {
    /// Threads of this process.
    Here,
    /// Processes that have their lists.
    Processes(Processes),
    /// Workers on other machines, each ready.
    Workers(Box<Joint>),
}

impl Crew {
    /// Waits for whoever is not this process.
    pub(super) async fn call(
        common: Common<'_>,
        provisions: &Provisions,
        house: &House,
        started: Timestamp,
    ) -> Result<Self, Failure> {
        let (args, fleet, of) = (common.args, common.fleet, provisions.processes);
        if args.joining.is_wanted() {
            let name = tracks::default_name(&shard::run_name(fleet), started);
            let joint = Joint::gather(&args.joining, fleet, of, &name).await?;
            return Ok(Self::Workers(Box::new(joint)));
        }
        let processes = common.processes(of, house).await?;
        Ok(processes.map_or(Self::Here, Self::Processes))
    }

    /// Lets workers begin; for the engine. The ledger is the run's own.
    pub(super) async fn hands(
        &mut self,
        house: &House,
        ledger: PathBuf,
        stop: &StopSwitch,
    ) -> Result<Hands, Failure> {
        if let Self::Workers(joint) = self {
            return Ok(Hands::Workers(joint.begin(ledger, stop).await?));
        }
        Ok(match std::mem::replace(self, Self::Here) {
            Self::Processes(processes) => Hands::Processes(processes),
            _ => Hands::Threads {
                with_target: house.is_here(),
            },
        })
    }

    /// Tells of workers in the run's result.
    pub(super) fn tell_in(&self, summary: &mut Summary) {
        if let Self::Workers(joint) = self {
            summary.cluster = Some(joint.summary());
            summary.notes.extend(joint.notes());
        }
    }

    /// Lets workers go, however the run ended.
    pub(super) async fn close(self, ended: &Result<Exit, Failure>) {
        if let Self::Workers(joint) = self {
            let why = match ended {
                Ok(_) => "its results are written",
                Err(_) => "its coordinator could not go on",
            };
            joint.close(why).await;
        }
    }
}
