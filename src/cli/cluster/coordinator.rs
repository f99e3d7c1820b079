//! The coordinator: says what the run is, waits for the workers, begins, and counts what the logs say. It
//! keeps nothing that is not on the bus: killed and started again under the same name, it goes on.

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};

use super::attendance::Attendance;
use super::options::Joining;
use super::{
    Body, Spec, Steer, as_name, from_json, key, on_the_bus, origin, seal, to_json, unix_us,
};
use crate::cli::past::boot_id;
use crate::cli::screen::tell;
use crate::cli::{Exit, Failure};
use crate::cluster::{ACK_WAIT, Bus, Created, Entry, Fold, RunId, Seal, Verdict};
use crate::engine::{Afar, Fleet, Steered, StopSwitch, Told, schedule_digest};
use crate::metrics::{ClusterSummary, ValidityLimits};
use crate::scenario::{DeviceSource, Plan, TargetPlan};

/// A run on the bus.
pub(in crate::cli) struct Joint {
    bus: Bus,
    run: RunId,
    spec: Spec,
    /// Another coordinator led it before.
    goes_on: bool,
    /// `None` once the run has begun.
    log: Option<Log>,
    /// What the log said before the run began.
    backlog: Vec<Told>,
    tasks: Vec<JoinHandle<()>>,
    attendance: Attendance,
    limits: ValidityLimits,
}

impl Joint {
    /// Refuses what cannot be spread over workers, and says into how many shards the list is dealt. `processes`
    /// is how many one machine would need.
    pub(in crate::cli) fn shards(
        joining: &Joining,
        plan: &Plan,
        processes: u32,
    ) -> Result<u32, Failure> {
        let workers = joining.workers.unwrap_or(1);
        if matches!(plan.target, TargetPlan::Embedded { .. }) {
            return Err(Failure::usage(
                "--workers: the scenario's target is embedded, and no worker could reach it\nhelp: start `fleetcall \
                 target` and name its addresses in [target], as `mqtt = \"10.0.0.5:1883\"`",
            ));
        }
        if plan.shown.contains("\"***\"") {
            return Err(Failure::usage(
                "--workers: the scenario holds a secret, and none travels over NATS\nhelp: write `${env:NAME}` in its \
                 place (the value of a key with `key`, `secret`, `token` or `passw` in its name), and set that \
                 variable here and for each worker",
            ));
        }
        let each = processes.div_ceil(workers).max(SHARDS_EACH);
        let shards = joining.shards.unwrap_or(workers * each);
        if shards < workers {
            return Err(Failure::usage(format!(
                "--shards {shards}: fewer than the {workers} workers, and some would have nothing to do"
            )));
        }
        Ok(shards)
    }

    /// Says on the bus what the run is, or finds it there, and waits until every shard is held by a worker
    /// that is ready.
    pub(in crate::cli) async fn gather(
        joining: &Joining,
        fleet: &Fleet,
        shards: u32,
        name: &str,
    ) -> Result<Self, Failure> {
        let access = joining.nats.access().expect("clap requires it");
        let bus = Bus::connect(&access).await.map_err(on_the_bus)?;
        let run = match &joining.run_id {
            Some(run) => run.clone(),
            None => as_name(name).parse().map_err(on_the_bus)?,
        };
        let seal = seal(&run, &fleet.plan);
        let list = list_of(&fleet.plan)?;
        let spec = Spec {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            scenario: fleet.plan.shown.clone(),
            seed: fleet.plan.seed,
            response_from_send: fleet.plan.response_from_send,
            listed: list.is_some(),
            schedule_digest: schedule_digest(fleet),
            shards,
            workers: joining.workers.unwrap_or(1),
            seal: seal.check().to_owned(),
        };
        // Who knows the run asks for the time.
        let clock = bus.serve_clock(&run).await.map_err(on_the_bus)?;
        let list = list.map(|list| seal.close(Seal::LIST, &list));
        let goes_on = publish(&bus, &run, &spec, list).await?;
        let entries = bus.follow(&run);
        let attendance = Attendance::default();
        let mut joint = Self {
            log: Some(Log {
                entries,
                seal,
                fold: Fold::new(shards),
                attendance: attendance.clone(),
            }),
            bus,
            run,
            spec,
            goes_on,
            backlog: Vec::new(),
            tasks: vec![clock],
            attendance,
            limits: fleet.plan.validity,
        };
        let gathered = tokio::select! {
            gathered = joint.gathered(joining.worker_wait) => gathered,
            _ = tokio::signal::ctrl_c() => Err(Failure {
                exit: Exit::Interrupted,
                message: "interrupted before the workers were ready".to_owned(),
            }),
        };
        match gathered {
            Ok(()) => Ok(joint),
            Err(failure) => {
                joint.close("it did not begin").await;
                Err(failure)
            }
        }
    }

    /// Waits until every shard has been ready.
    async fn gathered(&mut self, wait: Duration) -> Result<(), Failure> {
        let (run, shards, workers) = (&self.run, self.spec.shards, self.spec.workers);
        tell(format_args!(
            "note: run {run}: {shards} shards wait for {workers} workers (fleetcall worker --nats …); each record is \
             kept on {} of the NATS servers",
            self.bus.replicas()
        ));
        let until = Instant::now() + wait;
        let log = self.log.as_mut().expect("it has not begun");
        let mut ready = vec![false; shards as usize];
        while ready.contains(&false) {
            let Ok(next) = timeout_at(until, log.entries.recv()).await else {
                let here = self.bus.who(&self.run).await.unwrap_or_default();
                let held = ready.iter().filter(|ready| **ready).count();
                return Err(Failure::usage(format!(
                    "only {held} of {shards} shards have a worker after {wait:?}; {} of {workers} workers are there\nhelp: \
                     start the others, or wait longer with --worker-wait; what keeps a worker away it says itself",
                    here.len()
                )));
            };
            let Some(entry) = next else {
                return Err(Failure::bug("the log can no longer be read"));
            };
            let shard = entry.shard;
            if let Some(told) = log.read(&entry) {
                if let Told::Said(_, said) = &told
                    && said.is_ready()
                {
                    ready[shard as usize] = true;
                }
                self.backlog.push(told);
            }
        }
        Ok(())
    }

    /// Lets the run begin; who starts its devices. What somebody steers goes to the workers.
    pub(in crate::cli) async fn begin(
        &mut self,
        ledger: PathBuf,
        stop: &StopSwitch,
    ) -> Result<Afar, Failure> {
        let begin = unix_us() + i64::try_from(LEAD.as_micros()).expect("a few seconds");
        let created = self
            .bus
            .create(&self.run, key::BEGIN, to_json(&begin))
            .await;
        let begin = match created.map_err(on_the_bus)? {
            Created::New => begin,
            Created::There(earlier) => {
                self.goes_on = true;
                from_json("the beginning", &earlier)?
            }
        };
        let before = self.steered_before(stop).await?;
        let (told, receiver) = mpsc::channel(TOLD);
        let (steered, steer) = watch::channel(None);
        let backlog = std::mem::take(&mut self.backlog);
        let log = self.log.take().expect("it has not begun");
        self.tasks.push(tokio::spawn(log.carry_on(backlog, told)));
        let (bus, run) = (self.bus.clone(), self.run.clone());
        self.tasks
            .push(tokio::spawn(pass_on(bus, run, steer, stop.clone())));
        let counts = (self.spec.shards, self.spec.workers);
        let ledger = (ledger, boot_id());
        Ok(Afar::new(
            counts,
            origin(begin - unix_us()),
            receiver,
            (before, steered),
            ledger,
        ))
    }

    /// What another coordinator steered; an end that somebody asked for still holds.
    async fn steered_before(&self, stop: &StopSwitch) -> Result<Option<Steered>, Failure> {
        let steer = self.bus.get(&self.run, key::STEER).await;
        let Some(steer) = steer.map_err(on_the_bus)? else {
            return Ok(None);
        };
        let steer: Steer = from_json("what was steered", &steer)?;
        if steer.by_hand {
            stop.raise_by_hand_to(steer.steered.stop);
        }
        Ok(Some(steer.steered))
    }

    /// What has to be said aloud of the run.
    pub(in crate::cli) fn notes(&self) -> Vec<String> {
        let note = format!(
            "the coordinator was started again: what was measured before is whole, and stands in the time line at the \
             moment when it was read from the log of run {}",
            self.run
        );
        self.goes_on.then_some(note).into_iter().collect()
    }

    /// Who took part.
    pub(in crate::cli) fn summary(&self) -> ClusterSummary {
        ClusterSummary {
            run_id: self.run.to_string(),
            shards: u64::from(self.spec.shards),
            workers: self.attendance.summaries(&self.limits),
        }
    }

    /// Lets the workers go.
    pub(in crate::cli) async fn close(self, why: &str) {
        if let Err(error) = self
            .bus
            .put(&self.run, key::END, why.as_bytes().to_vec())
            .await
        {
            tell(format_args!(
                "the workers cannot be told that run {} is over: NATS: {error}",
                self.run
            ));
        }
        // Nobody is given any more of it, which only matters where a shard was left.
        if let Err(error) = self.bus.withdraw(&self.run).await {
            tracing::warn!("the shards of run {} stay on offer: {error}", self.run);
        }
        for task in self.tasks {
            task.abort();
        }
    }
}

/// The run's log, as far as it was read.
struct Log {
    entries: mpsc::Receiver<Entry>,
    seal: Seal,
    fold: Fold,
    attendance: Attendance,
}

impl Log {
    /// What counts of a record, if anything does.
    fn read(&mut self, entry: &Entry) -> Option<Told> {
        let shard = entry.shard;
        let told = match self.fold.take(entry) {
            Verdict::Claimed { earlier, .. } => {
                self.attendance.took(&entry.worker, earlier > 0);
                Told::Taken {
                    shard,
                    by: entry.worker.clone(),
                    before: earlier,
                }
            }
            Verdict::Counted | Verdict::Over => {
                let Some(body) = Body::open(&self.seal, shard, &entry.body) else {
                    tracing::error!(
                        "shard {}: record {} of worker {} does not open: it is of another program or secret, \
                         and not counted",
                        shard + 1,
                        entry.sequence,
                        entry.worker
                    );
                    return None;
                };
                if let Some(about) = &body.about {
                    self.attendance.said(&entry.worker, about);
                }
                if let Some(evidence) = body.said.evidence() {
                    self.attendance.saw(&entry.worker, shard, evidence);
                }
                Told::Said(shard, body.said)
            }
            Verdict::Ignored(why) => {
                tracing::info!(
                    "shard {}: record {} of worker {} does not count: {why:?}",
                    shard + 1,
                    entry.sequence,
                    entry.worker
                );
                return None;
            }
        };
        Some(told)
    }

    /// Tells what was read, and all that comes.
    async fn carry_on(mut self, backlog: Vec<Told>, told: mpsc::Sender<Told>) {
        for earlier in backlog {
            if told.send(earlier).await.is_err() {
                return;
            }
        }
        while let Some(entry) = self.entries.recv().await {
            if let Some(next) = self.read(&entry)
                && told.send(next).await.is_err()
            {
                return;
            }
        }
    }
}

/// Says on the bus what the run is; whether that was said before.
async fn publish(
    bus: &Bus,
    run: &RunId,
    spec: &Spec,
    list: Option<Vec<u8>>,
) -> Result<bool, Failure> {
    // A list that is there is looked at only by whoever knows the description, which says whose it is.
    let described = bus.get(run, key::SPEC).await.map_err(on_the_bus)?;
    if let (Some(list), None) = (list, described) {
        let put = bus.put_blob(run, key::LIST, &list).await;
        put.map_err(on_the_bus)?;
    }
    let created = bus.create(run, key::SPEC, to_json(spec)).await;
    let goes_on = match created.map_err(on_the_bus)? {
        Created::New => false,
        Created::There(found) if from_json::<Spec>("the description", &found)? == *spec => true,
        Created::There(_) => {
            return Err(Failure::usage(format!(
                "--run-id {run}: a run of that name is on NATS already, and it is another one: its scenario, \
                 list, seed, secrets, shards or workers differ\nhelp: take another name"
            )));
        }
    };
    if let Some(end) = bus.get(run, key::END).await.map_err(on_the_bus)? {
        tell(format_args!(
            "note: run {run} is over ({}): its result is read from its log",
            String::from_utf8_lossy(&end)
        ));
    }
    let offered = bus.offer(run, spec.shards, ACK_WAIT).await;
    offered.map_err(on_the_bus)?;
    bus.announce(run).await.map_err(on_the_bus)?;
    Ok(goes_on)
}

/// Has the workers know what is steered, until they do.
async fn pass_on(
    bus: Bus,
    run: RunId,
    mut steered: watch::Receiver<Option<Steered>>,
    stop: StopSwitch,
) {
    while steered.changed().await.is_ok() {
        let Some(steered) = steered.borrow_and_update().clone() else {
            continue;
        };
        let steer = to_json(&Steer {
            steered,
            by_hand: stop.was_raised(),
        });
        while let Err(error) = bus.put(&run, key::STEER, steer.clone()).await {
            tracing::warn!("the workers cannot be told to follow: {error}");
            sleep(Duration::from_secs(1)).await;
        }
    }
}

/// The list's bytes, if the scenario names one.
fn list_of(plan: &Plan) -> Result<Option<Vec<u8>>, Failure> {
    let DeviceSource::List { path, .. } = &plan.devices else {
        return Ok(None);
    };
    let bytes = std::fs::read(path);
    let bytes = bytes.map_err(|error| Failure::usage(format!("{}: {error}", path.display())));
    bytes.map(Some)
}

/// From the announcement to the first start: every worker has to hear of it.
const LEAD: Duration = Duration::from_secs(3);

/// Shards of each worker: when one dies, more than one can take its devices over.
const SHARDS_EACH: u32 = 2;

/// Records that wait to be counted.
const TOLD: usize = 64;
