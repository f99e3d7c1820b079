//! A worker: one thread, one runtime, its share of the devices and its own recorder.
//!
//! Everything in here stays on the thread, so recording needs no lock; only frames leave it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio::task::LocalSet;
use tokio::time::{Instant, MissedTickBehavior};

use super::clock::{Alarm, Clock};
use super::device;
use super::fleet::Fleet;
use super::shutdown::{Stop, StopSwitch, reached};
use crate::arrival::{Arrival, Due};
use crate::ledger::{Entry, Fate, Record};
use crate::metrics::Recorder;
use crate::model::{Cause, DeviceIx, Observed, Outcome};

/// What a worker is given.
pub(super) struct Shard {
    /// Its number, from 0.
    pub(super) number: u32,
    /// How many workers there are.
    pub(super) of: u32,
    pub(super) fleet: Arc<Fleet>,
    pub(super) clock: Clock,
    pub(super) places: Arc<Semaphore>,
    /// The closed model's next device, shared by all workers.
    pub(super) next: Arc<AtomicU32>,
    pub(super) stop: StopSwitch,
    pub(super) ledger: mpsc::Sender<Record>,
    pub(super) frames: mpsc::Sender<Frame>,
    pub(super) spares: mpsc::Receiver<Recorder>,
}

/// What leaves a worker.
pub(super) enum Frame {
    /// What was recorded since the last one, and whose it is.
    Recorded(u32, Recorder),
    /// Every device of its share has been started or written off; so many starts were dropped.
    AllStarted { dropped: u64 },
}

/// A worker's state, shared by its devices.
pub(super) struct Worker {
    pub(super) fleet: Arc<Fleet>,
    pub(super) recorder: RefCell<Recorder>,
    pub(super) stop: watch::Receiver<Stop>,
    pub(super) clock: Clock,
    switch: StopSwitch,
    ledger: mpsc::Sender<Record>,
    living: Cell<u32>,
    emptied: Notify,
    /// Whose turn it is to leave; none before the run winds down, then a few at a time. Thousands
    /// at once would keep the thread from reading the answers of messages that are still in
    /// flight, and make them look slow.
    pub(super) leaving: Semaphore,
}

/// Runs a worker to its end on the calling thread.
pub(super) fn run(shard: Shard) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("limits were checked: a runtime needs three files");
    let local = LocalSet::new();
    local.block_on(&runtime, work(shard));
}

async fn work(shard: Shard) {
    let Shard {
        number,
        of,
        fleet,
        clock,
        places,
        next,
        stop,
        ledger,
        frames,
        mut spares,
    } = shard;
    let cohorts = fleet.plan.cohorts.len();
    let worker = Rc::new(Worker {
        fleet: Arc::clone(&fleet),
        recorder: RefCell::new(Recorder::new(cohorts)),
        stop: stop.subscribe(),
        clock,
        switch: stop,
        ledger,
        living: Cell::new(0),
        emptied: Notify::new(),
        leaving: Semaphore::new(0),
    });
    let turns = Turns::new(&fleet, number, of, next);
    let life = async {
        let dropped = worker.start_devices(turns, clock, &places).await;
        // The coordinator outlives its workers; were it gone, there would be nobody to tell.
        let _ = frames.send(Frame::AllStarted { dropped }).await;
        while worker.living.get() > 0 {
            worker.emptied.notified().await;
        }
    };
    tokio::pin!(life);
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut winding = worker.stop.clone();
    let mut winds_down = false;
    loop {
        tokio::select! {
            () = &mut life => break,
            () = reached(&mut winding, Stop::Winding), if !winds_down => {
                winds_down = true;
                worker.leaving.add_permits(LEAVING_AT_A_TIME);
            }
            _ = tick.tick() => worker.try_report(number, &frames, &mut spares),
        }
    }
    let rest = worker.recorder.borrow_mut().take(None);
    let _ = frames.send(Frame::Recorded(number, rest)).await;
}

impl Worker {
    /// Starts every device of the share when it is due; once the run winds down, writes the rest
    /// off. Returns how many were due by then and had not been started.
    async fn start_devices(
        self: &Rc<Self>,
        turns: Turns,
        clock: Clock,
        places: &Arc<Semaphore>,
    ) -> u64 {
        let alarm = Alarm::new().expect("limits were checked: a timer needs one file");
        let mut winding = self.stop.clone();
        let mut stopped_at = None;
        let mut dropped = 0;
        for (ix, due) in turns {
            if stopped_at.is_none() {
                let turn = async {
                    match due {
                        Due::At(offset) => {
                            alarm
                                .until(clock.at(offset))
                                .await
                                .expect("a timer of our own");
                        }
                        Due::WhenFree => {}
                        Due::Never => return None,
                    }
                    // Closed when a truncated closed schedule is over.
                    Arc::clone(places).acquire_owned().await.ok()
                };
                let permit = tokio::select! {
                    biased;
                    () = reached(&mut winding, Stop::Winding) => {
                        stopped_at = Some(clock.elapsed());
                        None
                    }
                    permit = turn => permit,
                };
                if let Some(permit) = permit {
                    let due = match due {
                        Due::At(offset) => clock.at(offset),
                        Due::WhenFree | Due::Never => Instant::now(),
                    };
                    let guard = Alive::new(Rc::clone(self));
                    tokio::task::spawn_local(device::live(guard, ix, due, permit));
                    continue;
                }
            }
            if let (Some(stopped_at), Due::At(offset)) = (stopped_at, due) {
                dropped += u64::from(offset <= stopped_at);
            }
            self.write_off(ix).await;
        }
        dropped
    }

    async fn write_off(&self, ix: DeviceIx) {
        let fate = Fate {
            outcome: Outcome::Unfinished,
            observed: Observed::Unfinished,
            credentials_type: self.fleet.cohort(ix).credentials.type_name(),
            cause: Some(Cause::NotStarted),
            attempts: 0,
            time_to_provision: None,
            time_to_first_telemetry: None,
            telemetry_sent: 0,
            telemetry_acked: 0,
        };
        self.recorder
            .borrow_mut()
            .outcome(self.fleet.cohort_ix(ix), fate.outcome, fate.cause);
        self.note(ix, None, Entry::Ended(fate)).await;
    }

    /// Hands an entry to the ledger; a ledger that cannot write ends the run at once.
    /// `name` is there where the server knows the device by another than the listed one.
    pub(super) async fn note(&self, ix: DeviceIx, name: Option<&str>, entry: Entry) {
        let record = Record {
            device: ix,
            name: name.unwrap_or(self.fleet.name(ix)).into(),
            entry,
        };
        if self.ledger.send(record).await.is_err() {
            self.switch.raise_to(Stop::Now);
        }
    }

    /// Sends what was recorded, or keeps it for the next tick when the coordinator is behind.
    fn try_report(
        &self,
        number: u32,
        frames: &mpsc::Sender<Frame>,
        spares: &mut mpsc::Receiver<Recorder>,
    ) {
        let mut recorder = self.recorder.borrow_mut();
        if recorder.is_empty() {
            return;
        }
        if let Ok(slot) = frames.try_reserve() {
            slot.send(Frame::Recorded(
                number,
                recorder.take(spares.try_recv().ok()),
            ));
        }
    }
}

/// A living device's hold on its worker; given back however the device ends, panics included.
pub(super) struct Alive(Rc<Worker>);

impl Alive {
    fn new(worker: Rc<Worker>) -> Self {
        worker.living.set(worker.living.get() + 1);
        Self(worker)
    }
}

impl std::ops::Deref for Alive {
    type Target = Worker;

    fn deref(&self) -> &Worker {
        &self.0
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.living.set(self.0.living.get() - 1);
        if self.0.living.get() == 0 {
            self.0.emptied.notify_one();
        }
    }
}

/// Whose turn it is: the open model deals the list out beforehand, the closed one as places come.
struct Turns {
    fleet: Arc<Fleet>,
    step: Step,
}

enum Step {
    Striped { next: u64, of: u32 },
    Claimed(Arc<AtomicU32>),
}

impl Turns {
    fn new(fleet: &Arc<Fleet>, number: u32, of: u32, next: Arc<AtomicU32>) -> Self {
        let step = match fleet.plan.arrival {
            Arrival::Open(_) => Step::Striped {
                next: u64::from(number),
                of,
            },
            Arrival::Closed(_) => Step::Claimed(next),
        };
        Self {
            fleet: Arc::clone(fleet),
            step,
        }
    }
}

impl Iterator for Turns {
    type Item = (DeviceIx, Due);

    fn next(&mut self) -> Option<Self::Item> {
        let n = match &mut self.step {
            Step::Striped { next, of } => {
                let n = u32::try_from(*next).ok()?;
                *next += u64::from(*of);
                n
            }
            // Never past the end: the counter would wrap after four thousand million claims.
            Step::Claimed(next) => next
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| {
                    (n < self.fleet.len()).then_some(n + 1)
                })
                .ok()?,
        };
        (n < self.fleet.len()).then(|| (DeviceIx(n), self.fleet.plan.arrival.due(n)))
    }
}

/// Few, since each takes some 50 µs of the thread and waits for nobody.
const LEAVING_AT_A_TIME: usize = 8;

/// From one report of a worker to its next.
const TICK: Duration = Duration::from_millis(200);
