//! `fleetcall portion`: one of the processes of a run that is split, told over a pipe what to do.

use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::unix::pipe;

use super::house::{House, Lease};
use super::past::{self, Sequel, sha256};
use super::run::RunArgs;
use super::shard::{self, ShardArg};
use super::{Failure, known};
use crate::engine::{
    self, Equipment, Fleet, Instruct, Machine, Portion, ProcessError, Processes, Provisions,
    Resumption,
};
use crate::ledger::Past;
use crate::model::{Cause, Shard};
use crate::scenario::{self, Plan};

/// What a process is told first: a line of JSON, so that no secret stands in its arguments.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Instruction {
    scenario: PathBuf,
    devices: Option<PathBuf>,
    set: Vec<String>,
    seed: u64,
    credentials: Option<PathBuf>,
    shard: Option<Shard>,
    response_from_send: bool,
    /// What scenario and list must come to, as they did for the coordinator.
    scenario_sha256: String,
    schedule_digest: String,
    /// Worker threads here.
    workers: u32,
    ledger: PathBuf,
    boot_id: String,
    /// Where the ledger of earlier parts of the run ends, if there are some, and what is done with
    /// what it says.
    past: Option<u64>,
    ask_again: bool,
    /// Whether requests are put on record before they are due.
    announce: bool,
    retry: Option<Vec<String>>,
    number: u32,
    of: u32,
    /// How many machines the portions are spread over.
    machines: u32,
    /// How long the ledger is that a process left which died.
    again: Option<u64>,
    lease: Lease,
}

impl Instruction {
    /// What the process of a shard is told whose run is spread over so many machines: the fleet's scenario
    /// and list are in these files.
    #[cfg(feature = "cluster")]
    pub(super) fn of_shard(
        fleet: &Fleet,
        (scenario, devices): (PathBuf, Option<PathBuf>),
        lease: Lease,
        (of, machines): (u32, u32),
    ) -> Self {
        let plan = &fleet.plan;
        Self {
            scenario,
            devices,
            set: Vec::new(),
            shard: None,
            seed: plan.seed,
            credentials: None,
            response_from_send: plan.response_from_send,
            scenario_sha256: sha256(&plan.shown),
            schedule_digest: engine::schedule_digest(fleet),
            workers: 1,
            ledger: PathBuf::new(),
            boot_id: past::boot_id(),
            past: None,
            ask_again: true,
            announce: true,
            retry: None,
            number: 0,
            of,
            machines,
            again: None,
            lease,
        }
    }

    /// The same for one of the shards, which goes on from a ledger of that length, if from any.
    #[cfg(feature = "cluster")]
    pub(super) fn line(&self, number: u32, again: Option<(PathBuf, u64)>) -> String {
        let (ledger, again) = again.unzip();
        let instruction = Self {
            number,
            ledger: ledger.unwrap_or_default(),
            again,
            ..self.clone()
        };
        instruction.to_line()
    }

    fn to_line(&self) -> String {
        serde_json::to_string(self).expect("plain words and numbers are JSON")
    }
}

/// What all processes of a run are told alike.
pub(super) struct Common<'a> {
    pub(super) args: &'a RunArgs,
    pub(super) fleet: &'a Fleet,
    pub(super) sequel: Option<&'a Sequel>,
    pub(super) ledger: PathBuf,
}

impl Common<'_> {
    /// Starts that many processes, if that are more than one, and waits until they have their lists.
    pub(super) async fn processes(
        self,
        of: u32,
        house: &House,
    ) -> Result<Option<Processes>, Failure> {
        if of == 1 {
            return Ok(None);
        }
        let workers = Provisions::workers_each(&self.fleet.plan, of);
        let ask_again = self
            .sequel
            .is_some_and(|sequel| sequel.resumption.ask_again);
        let ledger = (self.ledger.clone(), past::boot_id());
        let instruct = self.instruct(workers, house.leases());
        let started = Processes::open((of, workers), instruct, ledger, ask_again).await;
        started.map(Some).map_err(|error| match error {
            ProcessError::NotReady { .. } => Failure::usage(error),
            ProcessError::Start(_) => Failure::bug(error),
        })
    }

    /// How to instruct each process, of which `leases` has each one's target.
    fn instruct(self, workers: u32, leases: Vec<Lease>) -> Instruct {
        let (args, plan) = (self.args, &self.fleet.plan);
        let retry = self
            .sequel
            .and_then(|sequel| sequel.resumption.retry.as_ref());
        let common = Instruction {
            scenario: args.scenario.clone(),
            devices: args.devices.clone(),
            set: args.set.clone(),
            seed: plan.seed,
            credentials: args.credentials.clone(),
            shard: self.fleet.shard(),
            response_from_send: args.response_from_send,
            scenario_sha256: sha256(&plan.shown),
            schedule_digest: self.fleet.whole_digest.clone(),
            workers,
            ledger: self.ledger,
            boot_id: past::boot_id(),
            past: self.sequel.map(|sequel| sequel.past.end()),
            ask_again: self
                .sequel
                .is_some_and(|sequel| sequel.resumption.ask_again),
            announce: false,
            retry: retry.map(|causes| causes.iter().map(Cause::to_string).collect()),
            number: 0,
            of: 1,
            machines: 1,
            again: None,
            lease: leases[0].clone(),
        };
        Box::new(move |portion, again| {
            let instruction = Instruction {
                number: portion.number,
                of: portion.of,
                again,
                lease: leases[portion.number as usize % leases.len()].clone(),
                ..common.clone()
            };
            instruction.to_line()
        })
    }
}

/// Does what the coordinator at the other end of standard input and output says.
pub(super) fn run() -> Result<(), Failure> {
    Machine::look().map_err(Failure::bug)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::bug)?;
    runtime.block_on(async {
        // Of one's own: the runtime's standard input and output are threads that block.
        let down = io::stdin().as_fd().try_clone_to_owned();
        let down = down
            .and_then(pipe::Receiver::from_owned_fd)
            .map_err(|error| by_hand(&error))?;
        let up = io::stdout().as_fd().try_clone_to_owned();
        let up = up
            .and_then(pipe::Sender::from_owned_fd)
            .map_err(|error| by_hand(&error))?;
        let mut down = BufReader::with_capacity(1 << 16, down);
        let mut line = String::new();
        down.read_line(&mut line).await.map_err(Failure::bug)?;
        let told: Instruction = serde_json::from_str(&line).map_err(Failure::bug)?;
        let portion = Portion {
            number: told.number,
            of: told.of,
        };
        let announce = told.announce;
        let fleet = fleet(told)?;
        engine::serve(Arc::new(fleet), (portion, announce), down, up)
            .await
            .map_err(Failure::bug)
    })
}

/// The fleet of a plan that is split, or that shard's part of it.
pub(super) fn whole_fleet(mut plan: Plan, shard: Option<Shard>) -> Result<Fleet, Failure> {
    let inventory = plan.load_inventory().map_err(Failure::usage)?;
    let listed = u32::try_from(inventory.len()).map_err(Failure::usage)?;
    let cohort_of = scenario::deal(&plan.cohorts, listed).map_err(Failure::usage)?;
    // A run whose devices have keys is not split.
    let dealing = shard::deal(shard.map(ShardArg::Given), &mut plan, cohort_of)?;
    let fleet = Fleet::new(plan, inventory, dealing, Equipment::default());
    fleet.map_err(Failure::usage)
}

fn fleet(told: Instruction) -> Result<Fleet, Failure> {
    let overrides = scenario::Overrides {
        devices: told.devices,
        seed: Some(told.seed),
    };
    let plan = scenario::load(&told.scenario, &told.set, &overrides);
    let mut plan = plan.map_err(Failure::usage)?;
    plan.response_from_send = told.response_from_send;
    plan.limits.workers = told.workers as usize;
    let shown = sha256(&plan.shown);
    let mut fleet = whole_fleet(plan, told.shard)?;
    if let Some(from) = &told.credentials {
        known::take_over(&mut fleet, from)?;
    }
    if (&shown, &fleet.whole_digest) != (&told.scenario_sha256, &told.schedule_digest) {
        return Err(Failure::usage(
            "scenario or list were changed while the run began\nhelp: leave them alone and begin again",
        ));
    }
    let read = |end| Past::read_beginning(&told.ledger, end, &told.boot_id).map_err(Failure::usage);
    if let Some(end) = told.past {
        let causes =
            |words: &Vec<String>| words.iter().filter_map(|word| word.parse().ok()).collect();
        let resumption = Resumption {
            ask_again: told.ask_again,
            retry: told.retry.as_ref().map(causes),
        };
        fleet
            .resume(&read(end)?, &resumption)
            .map_err(Failure::usage)?;
    }
    if let Some(end) = told.again {
        fleet
            .rejoin(&read(end)?, told.ask_again)
            .map_err(Failure::usage)?;
    }
    let house = House::leased(told.lease, &fleet.plan)?;
    fleet.dials = house.dials(&fleet.plan)?;
    fleet.rest = house.rest(&fleet.plan)?;
    let machine = Machine::look().map_err(Failure::bug)?;
    Provisions::default()
        .spread(machine, &mut fleet, told.machines)
        .map_err(Failure::usage)?;
    Ok(fleet)
}

fn by_hand(error: &io::Error) -> Failure {
    Failure::usage(format!(
        "portion: {error}\nhelp: a run starts this by itself where it needs more than one process"
    ))
}
