//! A worker: one thread, one runtime, its share of the devices and its own recorder.
//!
//! Everything in here stays on the thread, so recording needs no lock; only frames leave it.

use std::cell::{Cell, RefCell, RefMut};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, mpsc, oneshot, watch};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{Instant, MissedTickBehavior};

use super::alive::Alive;
use super::clock::{Alarm, Clock};
use super::departures::Departures;
use super::device::{self, Newcomer};
use super::fleet::Fleet;
use super::operator::Operator;
use super::places::{Gate, Place, Places};
use super::rounds::{Calls, Round};
use super::shutdown::{Stop, StopSwitch, reached};
use crate::arrival::{Due, Pace, Turns};
use crate::ledger::{self, Entry, Files, Intent, Record};
use crate::metrics::{CarriedRecorder, Evidence, Recorder, Roll};
use crate::model::{DeviceIx, Phase};

/// What a worker is given.
pub(super) struct Shard {
    /// Its number, from 0.
    pub(super) number: u32,
    /// How many workers there are.
    pub(super) of: u32,
    pub(super) fleet: Arc<Fleet>,
    pub(super) clock: Clock,
    pub(super) places: Places,
    pub(super) stop: StopSwitch,
    pub(super) pace: watch::Receiver<Arc<Pace>>,
    pub(super) ledger: ledger::Sender,
    pub(super) frames: mpsc::Sender<Frame>,
    pub(super) spares: mpsc::Receiver<Recorder>,
    /// If something is searched.
    pub(super) calls: Option<Calls>,
}

/// What leaves a worker.
pub(super) enum Frame {
    /// What was recorded since the last one, and whose it is.
    Recorded(u32, Recorder),
    /// The same of the devices of a search that count.
    Measured(u32, Recorder),
    /// What a worker of another process recorded.
    Carried(CarriedRecorder),
    /// Every device of its share has been started or written off; so many starts were dropped.
    AllStarted { dropped: u64 },
    /// What was seen of a process of the run.
    Seen(u32, Box<Evidence>),
    /// A process died, and another takes its place: what the ledger says of its devices beyond what
    /// it reported, how many of its workers had started all of theirs and how many starts these
    /// dropped, and a sentence on it.
    Died {
        mend: Roll,
        all_started: usize,
        dropped: u64,
        death: String,
    },
    /// A process cannot be started again.
    Abandoned,
}

/// A worker's state, shared by its devices.
pub(super) struct Worker {
    pub(super) fleet: Arc<Fleet>,
    pub(super) recorder: RefCell<Recorder>,
    /// What devices of a search leave that count: of one trial at a time.
    measured: RefCell<Recorder>,
    /// The trial under way, if something is searched.
    pub(super) round: RefCell<Option<Arc<Round>>>,
    pub(super) stop: watch::Receiver<Stop>,
    pub(super) clock: Clock,
    switch: StopSwitch,
    pace: watch::Receiver<Arc<Pace>>,
    ledger: ledger::Sender,
    pub(super) living: Cell<u32>,
    /// The last of them has ended.
    pub(super) emptied: Notify,
    /// Who pushes to its devices, if anybody does.
    pub(super) operator: Option<Rc<Operator>>,
    /// Whose turn it is to leave, and whether the run cuts off whatever is in flight.
    pub(super) departures: Departures,
    /// Connections with replaced certificates, beside those of the devices.
    pub(super) checking: Semaphore,
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
        stop,
        pace,
        ledger,
        frames,
        mut spares,
        calls,
    } = shard;
    let cohorts = fleet.plan.cohorts.len();
    let worker = Rc::new(Worker {
        fleet: Arc::clone(&fleet),
        recorder: RefCell::new(Recorder::new(cohorts)),
        measured: RefCell::new(Recorder::new(cohorts)),
        round: RefCell::new(None),
        stop: stop.subscribe(),
        clock,
        switch: stop,
        pace,
        ledger,
        living: Cell::new(0),
        emptied: Notify::new(),
        operator: Operator::of(&fleet, of),
        departures: Departures::default(),
        checking: Semaphore::new(CHECKS_AT_A_TIME),
    });
    if let Some(operator) = &worker.operator {
        tokio::task::spawn_local(Rc::clone(operator).work(Rc::clone(&worker)));
    }
    worker
        .carry_out((number, of), (&places, calls), &frames, &mut spares)
        .await;
    let rest = worker.measured.borrow_mut().take(None);
    let _ = frames.send(Frame::Measured(number, rest)).await;
    let rest = worker.recorder.borrow_mut().take(None);
    let _ = frames.send(Frame::Recorded(number, rest)).await;
    drop(frames);
    // The thread's times are read before it ends.
    while spares.recv().await.is_some() {}
}

impl Worker {
    /// Starts the devices and reports what they leave, until the last of them has ended. `number`
    /// `of` is its place among the workers.
    async fn carry_out(
        self: &Rc<Self>,
        (number, of): (u32, u32),
        (places, calls): (&Places, Option<Calls>),
        frames: &mpsc::Sender<Frame>,
        spares: &mut mpsc::Receiver<Recorder>,
    ) {
        let life = async {
            let dropped = match calls {
                None => {
                    let turns = self.fleet.schedule.turns(number, of);
                    self.start_devices(turns, places).await
                }
                Some(calls) => self.start_rounds((number, of), calls, places).await,
            };
            // The coordinator outlives its workers; were it gone, there would be nobody to tell.
            let _ = frames.send(Frame::AllStarted { dropped }).await;
            while self.living.get() > 0 {
                self.emptied.notified().await;
            }
        };
        tokio::pin!(life);
        // At the fifths of each second, so that what was recorded before a second's end is reported
        // right after it.
        let mut tick = tokio::time::interval_at(self.clock.at(TICK), TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let (mut winding, mut now) = (self.stop.clone(), self.stop.clone());
        let mut winds_down = false;
        loop {
            tokio::select! {
                () = &mut life => break,
                () = reached(&mut winding, Stop::Winding), if !winds_down => {
                    winds_down = true;
                    self.departures.wind_down(LEAVING_AT_A_TIME);
                }
                () = reached(&mut now, Stop::Now), if !self.departures.is_cut_off() => {
                    self.departures.cut_off();
                }
                _ = tick.tick() => self.try_report(number, frames, spares),
            }
        }
    }

    /// Starts every device of the share; once the run winds down, writes the rest off. Returns how
    /// many were due by then and had not been started.
    async fn start_devices(self: &Rc<Self>, turns: Turns<'_>, places: &Places) -> u64 {
        // Each closed queue has a task of its own: a full one holds nobody else back.
        let mut closed = JoinSet::new();
        for (queue, gate) in places.gates() {
            let (worker, places) = (Rc::clone(self), places.clone());
            let (queue, gate) = (*queue, Arc::clone(gate));
            closed.spawn_local(async move { worker.start_closed(queue, &gate, &places).await });
        }
        let dropped = self.start_open(turns, places).await;
        closed.join_all().await;
        dropped
    }

    /// Starts the devices of open queues when they are due.
    async fn start_open(self: &Rc<Self>, turns: Turns<'_>, places: &Places) -> u64 {
        let alarm = Alarm::new().expect("limits were checked: a timer needs one file");
        let mut winding = self.stop.clone();
        let mut pace = self.pace.clone();
        let mut stopped_at = None;
        let mut dropped = 0;
        for (ix, due) in turns {
            if self.is_over(ix).await {
                continue;
            }
            if let (None, Due::At(offset)) = (stopped_at, due) {
                tokio::select! {
                    biased;
                    () = reached(&mut winding, Stop::Winding) => {
                        let stopped = self.clock.elapsed();
                        stopped_at = Some(self.pace.borrow().open_shows(stopped));
                    }
                    (due, held) = self.turn(offset, &mut pace, &alarm, places) => {
                        let begun = self.fleet.goes_on(ix).then(Instant::now);
                        self.start(ix, begun.unwrap_or(due), held);
                        continue;
                    }
                }
            }
            if let (Some(stopped_at), Due::At(offset)) = (stopped_at, due) {
                dropped += u64::from(offset <= stopped_at && !self.fleet.goes_on(ix));
            }
            self.write_off(ix).await;
        }
        dropped
    }

    /// Waits until a device is due, whatever becomes of the pace meanwhile, and for a place; when it was due,
    /// and the place.
    async fn turn(
        &self,
        offset: Duration,
        pace: &mut watch::Receiver<Arc<Pace>>,
        alarm: &Alarm,
        places: &Places,
    ) -> (Instant, Place) {
        loop {
            let due = pace.borrow_and_update().open_at(offset);
            let turn = async {
                match due.map(|due| self.clock.at(due)) {
                    Some(due) => {
                        alarm.until(due).await.expect("a timer of our own");
                        (due, places.take(None).await)
                    }
                    // Arrivals are paused.
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                Ok(()) = pace.changed() => {}
                started = turn => return started,
            }
        }
    }

    /// Starts its part of each round of a search; once that is over or the run winds down, writes the
    /// rest of the list off. Returns how many were due by then and had not been started.
    async fn start_rounds(
        self: &Rc<Self>,
        (number, of): (u32, u32),
        mut calls: Calls,
        places: &Places,
    ) -> u64 {
        let alarm = Alarm::new().expect("limits were checked: a timer needs one file");
        let mut winding = self.stop.clone();
        let mut next = number;
        let mut dropped = 0;
        loop {
            let round = tokio::select! {
                biased;
                () = reached(&mut winding, Stop::Winding) => None,
                round = calls.next() => round,
            };
            let Some(round) = round else { break };
            *self.round.borrow_mut() = Some(Arc::clone(&round));
            while next < round.devices().end {
                let due = self.clock.at(round.due(DeviceIx(next)));
                let turn = async {
                    alarm.until(due).await.expect("a timer of our own");
                    places.take(None).await
                };
                tokio::select! {
                    biased;
                    () = reached(&mut winding, Stop::Winding) => break,
                    place = turn => self.start(DeviceIx(next), due, place),
                }
                next += of;
            }
            let now = self.clock.elapsed();
            let left = (next..round.devices().end).step_by(of as usize);
            dropped += left.filter(|ix| round.due(DeviceIx(*ix)) <= now).count() as u64;
        }
        for ix in (next..self.fleet.len()).step_by(of as usize) {
            self.write_off(DeviceIx(ix)).await;
        }
        dropped
    }

    /// Starts a closed queue's devices as its places come, together with the other workers.
    async fn start_closed(self: &Rc<Self>, queue: usize, gate: &Arc<Gate>, places: &Places) {
        let queue = &self.fleet.schedule.queues()[queue];
        let mut winding = self.stop.clone();
        loop {
            let pass = tokio::select! {
                biased;
                () = reached(&mut winding, Stop::Winding) => None,
                pass = gate.pass() => pass,
            };
            let Some((ordinal, pass)) = pass else { break };
            let ix = queue.device(ordinal);
            if self.is_over(ix).await {
                continue;
            }
            tokio::select! {
                biased;
                () = reached(&mut winding, Stop::Winding) => self.write_off(ix).await,
                place = places.take(Some(pass)) => self.start(ix, Instant::now(), place),
            }
        }
        while let Some(ordinal) = gate.pass_over() {
            let ix = queue.device(ordinal);
            if !self.is_over(ix).await {
                self.write_off(ix).await;
            }
        }
    }

    /// Whether a device has a turn and was over before: its process died, and this one took its
    /// place.
    async fn is_over(&self, ix: DeviceIx) -> bool {
        let Some((fate, unsaid)) = self.fleet.over_before(ix) else {
            return false;
        };
        if unsaid {
            self.note(ix, None, Entry::Ended(fate)).await;
        }
        true
    }

    fn start(self: &Rc<Self>, ix: DeviceIx, due: Instant, place: Place) {
        let guard = Alive::new(Rc::clone(self));
        let newcomer = Newcomer { ix, due, place };
        tokio::task::spawn_local(device::live(guard, Box::new(newcomer)));
    }

    async fn write_off(&self, ix: DeviceIx) {
        let fate = self.fleet.written_off(ix, &mut self.recorder.borrow_mut());
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
        if self.ledger.records.send(record.into()).await.is_err() {
            self.switch.raise_to(Stop::Now);
        }
    }

    /// Has the ledger know that the device is about to ask under that name. When it cannot, the run
    /// winds down, and the request must not be sent.
    pub(super) async fn intend(&self, ix: DeviceIx, name: &str, files: Option<Files>) -> bool {
        let intake = self.ledger.intake.as_ref();
        if intake.is_some_and(|intake| intake.put(ix, name, files.as_ref())) {
            return true;
        }
        let (written, known) = oneshot::channel();
        let entry = Entry::Asked(Intent { files, written });
        self.note(ix, Some(name), entry).await;
        let known = known.await.is_ok();
        if !known {
            self.switch.raise_to(Stop::Winding);
        }
        known
    }

    /// Records a completed step: response from when it was due, service from when it was sent.
    pub(super) fn sample(
        &self,
        ix: DeviceIx,
        phase: Phase,
        due: Instant,
        sent: Instant,
        done: Instant,
    ) {
        let from_send = self.fleet.plan.response_from_send;
        // A step can be sent a little before it was due only by the timer's grain.
        let response = done.saturating_duration_since(if from_send { sent } else { due });
        let service = done.saturating_duration_since(sent);
        let cohort = self.fleet.cohort_ix(ix);
        let mut recorder = self.recorder_of(ix);
        recorder.sample(cohort, phase, response, service);
    }

    /// Where it is counted what a device does.
    pub(super) fn recorder_of(&self, ix: DeviceIx) -> RefMut<'_, Recorder> {
        let recorder = match &*self.round.borrow() {
            Some(round) if round.counts().contains(&ix.0) => &self.measured,
            _ => &self.recorder,
        };
        recorder.borrow_mut()
    }

    /// Sends what was recorded, or keeps it for the next tick when the coordinator is behind.
    fn try_report(
        &self,
        number: u32,
        frames: &mpsc::Sender<Frame>,
        spares: &mut mpsc::Receiver<Recorder>,
    ) {
        // What counts first: a trial is over when the coordinator has heard of all its devices.
        for (recorder, frame) in [
            (
                &self.measured,
                Frame::Measured as fn(u32, Recorder) -> Frame,
            ),
            (&self.recorder, Frame::Recorded),
        ] {
            let mut recorder = recorder.borrow_mut();
            if recorder.is_empty() {
                continue;
            }
            if let Ok(slot) = frames.try_reserve() {
                slot.send(frame(number, recorder.take(spares.try_recv().ok())));
            }
        }
    }
}

/// Few, since each takes some 50 µs of the thread and waits for nobody: thousands at once would keep
/// it from reading the answers of messages that are still in flight, and make them look slow.
const LEAVING_AT_A_TIME: usize = 8;

/// Of one worker; files are planned for them.
pub(super) const CHECKS_AT_A_TIME: usize = 8;

/// From one report of a worker to its next.
const TICK: Duration = Duration::from_millis(200);
