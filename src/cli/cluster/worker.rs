//! `fleetcall worker`: starts devices of runs that a coordinator elsewhere leads.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet, LocalSet};
use tokio::time::sleep;
use tracing_subscriber::EnvFilter;

use super::options::NatsArgs;
use super::shard::Bench;
use super::{Spec, Steer, as_name, from_json, key, on_the_bus, seal};
use crate::arrival::Pace;
use crate::cli::house::{self, House};
use crate::cli::portion::{Instruction, whole_fleet};
use crate::cli::screen::tell;
use crate::cli::signals;
use crate::cli::{Exit, Failure};
use crate::cluster::{Bus, Lease, RunId, Seal, worker_name};
use crate::engine::{self, Authorities, Fleet, Machine, Provisions, StopSwitch};
use crate::scenario;

/// The arguments of `fleetcall worker`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct WorkerArgs {
    #[command(flatten)]
    nats: NatsArgs,
    /// The run to work for [default: the last one that was announced and is not over]
    #[arg(long, value_name = "NAME")]
    run_id: Option<RunId>,
    /// What the worker is called in reports [default: host name and process id]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Wait for the next run when one is over
    #[arg(long)]
    keep: bool,
}

/// Works for a run, or for one after the other.
pub(in crate::cli) fn run(args: &WorkerArgs) -> Result<Exit, Failure> {
    let access = args.nats.access().ok_or_else(|| {
        Failure::usage("--nats: which server?\nhelp: fleetcall worker --nats nats://HOST:4222, or set NATS_URL")
    })?;
    Machine::look().map_err(Failure::bug)?;
    let filter = EnvFilter::try_from_env("FLEETCALL_LOG")
        .unwrap_or_else(|_| EnvFilter::new("fleetcall=info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_target(false)
        .with_writer(std::io::stderr)
        .try_init()
        .map_err(Failure::bug)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Failure::bug)?;
    runtime.block_on(async {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let host = host.trim().to_owned();
        let name = match &args.name {
            Some(name) => name.clone(),
            None => format!("{}-{}", as_name(&host), std::process::id()),
        };
        worker_name(&name).map_err(on_the_bus)?;
        let stop = StopSwitch::new();
        signals::listen(stop.clone()).map_err(Failure::bug)?;
        let bus = Bus::connect(&access).await.map_err(on_the_bus)?;
        let worker = Worker {
            bus,
            name,
            host,
        };
        tell(format_args!("worker {} waits for a run on {}", worker.name, access.shown()));
        let mut asked = stop.subscribe();
        // Shards need not be passed between threads: what they do is wait.
        let here = LocalSet::new();
        let working = here.run_until(worker.work(args));
        tokio::select! {
            done = working => done,
            _ = asked.wait_for(|stop| *stop != engine::Stop::Running) => {
                tell(format_args!("worker {} was asked to stop: others take its shards over", worker.name));
                Ok(Exit::Interrupted)
            }
        }
    })
}

struct Worker {
    bus: Bus,
    name: String,
    host: String,
}

impl Worker {
    async fn work(&self, args: &WorkerArgs) -> Result<Exit, Failure> {
        let mut announced = self.bus.announced().await.map_err(on_the_bus)?;
        loop {
            let run = match &args.run_id {
                Some(run) => run.clone(),
                None => announced_run(&mut announced).await?,
            };
            let mut end = self.bus.watch(&run, key::END).await.map_err(on_the_bus)?;
            if end.borrow_and_update().is_none() {
                self.work_for(&run, &mut end).await?;
                if !args.keep {
                    return Ok(Exit::Passed);
                }
            } else if let Some(run) = &args.run_id {
                return Err(Failure::usage(format!("--run-id {run}: that run is over")));
            }
            if args.run_id.is_some() {
                return Ok(Exit::Passed);
            }
            let another = announced.wait_for(|next| next.as_ref().is_some_and(|next| *next != run));
            another.await.map_err(Failure::bug)?;
        }
    }

    /// Holds shards of a run until it is over.
    async fn work_for(
        &self,
        run: &RunId,
        end: &mut watch::Receiver<Option<Vec<u8>>>,
    ) -> Result<(), Failure> {
        let mut spec = self.bus.watch(run, key::SPEC).await.map_err(on_the_bus)?;
        let spec = spec
            .wait_for(Option::is_some)
            .await
            .map_err(Failure::bug)?
            .clone();
        let spec: Spec = from_json("the description", &spec.unwrap_or_default())?;
        let place = Place::make(run)?;
        let bench = Arc::new(self.prepare(run, &spec, &place).await?);
        tell(format_args!("worker {} works for run {run}", self.name));

        let share = spec.shards.div_ceil(spec.workers) as usize;
        let held = Arc::new(Semaphore::new(share));
        let (found, mut leases) = mpsc::channel(1);
        let mut tasks = Tasks(vec![
            tokio::spawn(pull(
                self.bus.clone(),
                run.clone(),
                Arc::clone(&held),
                found,
            )),
            tokio::spawn(keep_here(
                self.bus.clone(),
                run.clone(),
                self.name.clone(),
                self.host.clone(),
            )),
        ]);
        tasks.0.push(tokio::spawn(open_up(
            bench.begin.clone(),
            Arc::clone(&held),
            spec.shards as usize,
        )));
        let mut shards = JoinSet::new();
        loop {
            tokio::select! {
                ended = end.wait_for(Option::is_some) => {
                    let why = ended.map_err(Failure::bug)?.clone().unwrap_or_default();
                    tell(format_args!("run {run} is over: {}", String::from_utf8_lossy(&why)));
                    return Ok(());
                }
                Some(lease) = leases.recv() => {
                    let (bench, held) = (Arc::clone(&bench), Arc::clone(&held));
                    shards.spawn_local(async move {
                        let done = bench.hold(lease).await;
                        held.add_permits(1);
                        done
                    });
                }
                Some(done) = shards.join_next(), if !shards.is_empty() => done.map_err(Failure::bug)??,
            }
        }
    }

    /// All that is the same for each shard of a run.
    async fn prepare(&self, run: &RunId, spec: &Spec, dir: &Place) -> Result<Bench, Failure> {
        if spec.version != env!("CARGO_PKG_VERSION") {
            return Err(Failure::usage(format!(
                "run {run} is led by fleetcall {}, and this is {}\nhelp: take the same version everywhere",
                spec.version,
                env!("CARGO_PKG_VERSION")
            )));
        }
        let path = dir.path("scenario.toml");
        write(&path, spec.scenario.as_bytes())?;
        let list = spec.listed.then(|| dir.path("list.csv"));
        let overrides = scenario::Overrides {
            devices: list.clone(),
            seed: Some(spec.seed),
        };
        let mut plan = scenario::load(&path, &[], &overrides).map_err(Failure::usage)?;
        plan.response_from_send = spec.response_from_send;
        let seal = seal(run, &plan);
        if seal.check() != spec.seal {
            return Err(Failure::usage(format!(
                "run {run}: this worker's provision keys and secrets are not the coordinator's\nhelp: set the environment \
                 variables that the scenario refers to (`${{env:NAME}}`), and FLEETCALL_SEAL_KEY where it is set there, to \
                 the same values"
            )));
        }
        if let Some(list) = &list {
            let sealed = self.bus.blob(run, key::LIST).await.map_err(on_the_bus)?;
            let opened = sealed.and_then(|sealed| seal.open(Seal::LIST, &sealed));
            let opened =
                opened.ok_or_else(|| Failure::usage(format!("run {run} has no list on NATS")))?;
            write(list, &opened)?;
        }
        let mut fleet = whole_fleet(plan, None)?;
        if engine::schedule_digest(&fleet) != spec.schedule_digest {
            return Err(Failure::usage(format!(
                "run {run}: names, cohorts or turns of this worker's devices are not the coordinator's\nhelp: files that the \
                 scenario names have to be the same everywhere"
            )));
        }
        let house = self.house(&mut fleet, spec.workers).await?;
        let lease = house.leases().swap_remove(0);
        let counts = (spec.shards, spec.workers);
        let clock = self.bus.clock(run).await.map_err(on_the_bus)?;
        let begin = self.bus.watch(run, key::BEGIN).await.map_err(on_the_bus)?;
        let steer = self.bus.watch(run, key::STEER).await.map_err(on_the_bus)?;
        let (stop, pace) = follow(steer);
        Ok(Bench {
            bus: self.bus.clone(),
            run: run.clone(),
            worker: self.name.clone(),
            seal,
            devices: fleet.len(),
            shards: spec.shards,
            instruction: Instruction::of_shard(&fleet, (path, list), lease, counts),
            clock,
            host: self.host.clone(),
            dir: dir.0.clone(),
            begin: parsed(begin),
            stop,
            pace,
        })
    }

    /// Where the devices find their server; refuses what this machine cannot carry.
    async fn house(&self, fleet: &mut Fleet, workers: u32) -> Result<House, Failure> {
        let trust = house::trust(&fleet.plan)?;
        let authorities = Authorities::of(&fleet.plan).map_err(Failure::usage)?;
        let house = House::open((fleet, None), &authorities, trust, &Provisions::default()).await?;
        if let Some(why) = house.unresolved() {
            return Err(Failure {
                exit: Exit::Unreachable,
                message: why.to_owned(),
            });
        }
        fleet.dials = house.dials(&fleet.plan)?;
        let machine = Machine::look().map_err(Failure::bug)?;
        let spread = Provisions::default().spread(machine, fleet, workers);
        spread.map_err(Failure::usage)?;
        Ok(house)
    }
}

/// Ends what runs beside when the run is over.
struct Tasks(Vec<JoinHandle<()>>);

impl Drop for Tasks {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

/// The run that was announced last.
async fn announced_run(announced: &mut watch::Receiver<Option<RunId>>) -> Result<RunId, Failure> {
    let run = announced
        .wait_for(Option::is_some)
        .await
        .map_err(Failure::bug)?;
    run.clone().ok_or_else(|| Failure::bug("it was waited for"))
}

/// Takes shards as long as this worker may hold more.
async fn pull(bus: Bus, run: RunId, held: Arc<Semaphore>, found: mpsc::Sender<Lease>) {
    while let Ok(permit) = held.acquire().await {
        match bus.next_shard(&run, Duration::from_secs(5)).await {
            Ok(Some(lease)) => {
                // Given back when the shard is over.
                permit.forget();
                if found.send(lease).await.is_err() {
                    return;
                }
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!("no shard can be asked for: {error}");
                sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// Until all shards have a worker, each takes its share; after that, whatever is left.
async fn open_up(mut begin: watch::Receiver<Option<i64>>, held: Arc<Semaphore>, shards: usize) {
    if begin.wait_for(Option::is_some).await.is_ok() {
        held.add_permits(shards);
    }
}

async fn keep_here(bus: Bus, run: RunId, name: String, host: String) {
    let here = json!({ "host": host, "version": env!("CARGO_PKG_VERSION") }).to_string();
    loop {
        if let Err(error) = bus.here(&run, &name, here.clone().into_bytes()).await {
            tracing::debug!("the worker cannot say that it is there: {error}");
        }
        sleep(Duration::from_secs(3)).await;
    }
}

/// What the coordinator steers, as the processes of shards follow it.
fn follow(
    mut steer: watch::Receiver<Option<Vec<u8>>>,
) -> (watch::Receiver<engine::Stop>, watch::Receiver<Arc<Pace>>) {
    let (stop, stopped) = watch::channel(engine::Stop::Running);
    let (pace, paced) = watch::channel(Arc::new(Pace::planned()));
    tokio::spawn(async move {
        steer.mark_changed();
        while steer.changed().await.is_ok() {
            let text = steer.borrow_and_update().clone();
            let Some(steer) = text.and_then(|text| serde_json::from_slice::<Steer>(&text).ok())
            else {
                continue;
            };
            pace.send_replace(Arc::new(steer.steered.pace));
            stop.send_replace(steer.steered.stop);
        }
    });
    (stopped, paced)
}

/// A number, once it is there.
fn parsed(mut text: watch::Receiver<Option<Vec<u8>>>) -> watch::Receiver<Option<i64>> {
    let (number, parsed) = watch::channel(None);
    tokio::spawn(async move {
        text.mark_changed();
        while text.changed().await.is_ok() {
            let text = text.borrow_and_update().clone();
            number.send_replace(text.and_then(|text| serde_json::from_slice(&text).ok()));
        }
    });
    parsed
}

/// A directory that is its owner's alone, for as long as the worker works for a run.
struct Place(PathBuf);

impl Place {
    fn make(run: &RunId) -> Result<Self, Failure> {
        let name = format!("fleetcall-{run}-{}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        // A container's first process has the same number after each start.
        match fs::remove_dir_all(&dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Failure::usage(format!("{}: {error}", dir.display())));
            }
            _ => {}
        }
        let made = DirBuilder::new().mode(0o700).create(&dir);
        made.map_err(|error| Failure::usage(format!("{}: {error}", dir.display())))?;
        Ok(Self(dir))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let written = fs::write(path, bytes);
    written.map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const EXAMPLES: &str = "\
Examples:
  fleetcall worker --nats nats://10.0.0.2:4222                    works for one run, and ends with it
  fleetcall worker --nats tls://nats.plant:4222 --nats-ca ca.pem --nats-creds fleet.creds --keep
  TB_PROVISION_KEY=… TB_PROVISION_SECRET=… fleetcall worker --nats nats://10.0.0.2:4222
                                                      secrets that the scenario refers to are each worker's own
  fleetcall run line.toml --nats nats://10.0.0.2:4222 --workers 3     the run, on any machine

After Ctrl-C the other workers take this one's shards over. docs/scale-out.md says what happens when something dies.

Exit codes:
  0 the run is over   2 it cannot work for the run, and says why   5 the target is unreachable   130 interrupted";
