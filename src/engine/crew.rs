//! Who starts the devices of a run: threads of this process, or processes that have some.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::clock::Clock;
use super::fleet::Fleet;
use super::places::Places;
use super::rounds::Calls;
use super::run::EngineError;
use super::shards::{Afar, Links, Portion, Processes, Used, Ways};
use super::shutdown::{Stop, StopSwitch};
use super::steering::Wheel;
use super::usage;
use super::worker::{self, Frame, Shard};
use crate::arrival::Pace;
use crate::ledger;
use crate::metrics::Recorder;

/// Who starts the devices of a run.
pub enum Hands {
    /// Threads of this process; whether the embedded target has some here, too.
    Threads {
        /// Its CPU time and memory are in the generator's figures.
        with_target: bool,
    },
    /// Processes of their own.
    Processes(Processes),
    /// Workers on other machines.
    Workers(Afar),
}

impl Hands {
    /// Worker threads in this process.
    pub(super) fn threads(&self, fleet: &Fleet) -> usize {
        match self {
            Self::Threads { .. } => fleet.plan.limits.workers,
            Self::Processes(_) | Self::Workers(_) => 0,
        }
    }

    /// When the run begins, on the machine's monotonic clock. Their start-up must not make the first
    /// devices late.
    pub(super) fn origin(&self) -> Duration {
        let lead = match self {
            Self::Threads { .. } => LEAD,
            Self::Processes(processes) => LEAD * u32::try_from(processes.count()).unwrap_or(1),
            Self::Workers(afar) => return afar.origin,
        };
        usage::monotonic() + lead
    }

    /// Has those follow the wheel who are on other machines.
    pub(super) fn follow(&mut self, wheel: &mut Wheel) {
        if let Self::Workers(afar) = self {
            afar.follow(wheel);
        }
    }
}

/// The worker threads, or the links to processes that have them, and the channels to them.
pub(super) struct Crew {
    /// Threads that start devices, over all processes.
    pub(super) workers: usize,
    /// Processes that do.
    pub(super) processes: usize,
    /// The embedded target has threads here, too.
    pub(super) with_target: bool,
    threads: Vec<JoinHandle<()>>,
    pub(super) links: Option<Links>,
    pub(super) frames: mpsc::Receiver<Frame>,
    spares: Vec<mpsc::Sender<Recorder>>,
    /// The first worker's number.
    first: u32,
}

impl Crew {
    pub(super) fn start(
        (fleet, portion): (&Arc<Fleet>, Portion),
        clock: Clock,
        places: &Places,
        (stop, pace): (&StopSwitch, &watch::Receiver<Arc<Pace>>),
        (ledger, calls): (&ledger::Sender, Option<&Calls>),
    ) -> Result<Self, EngineError> {
        let own = u32::try_from(fleet.plan.limits.workers).expect("a plan has few workers");
        let (of, first) = (own * portion.of, own * portion.number);
        let (sender, frames) = mpsc::channel(2 * own as usize);
        let mut crew = Self {
            workers: own as usize,
            processes: 1,
            with_target: false,
            threads: Vec::new(),
            links: None,
            frames,
            spares: Vec::new(),
            first,
        };
        for number in first..first + own {
            let (give, spares) = mpsc::channel(2);
            let shard = Shard {
                number,
                of,
                fleet: Arc::clone(fleet),
                clock,
                places: places.clone(),
                stop: stop.clone(),
                pace: pace.clone(),
                ledger: ledger.clone(),
                frames: sender.clone(),
                spares,
                calls: calls.cloned(),
            };
            let thread = thread::Builder::new()
                .name(format!("worker-{}", number - first))
                .spawn(move || worker::run(shard));
            match thread {
                Ok(thread) => crew.threads.push(thread),
                Err(error) => {
                    stop.raise_to(Stop::Now);
                    return Err(EngineError::Thread(error));
                }
            }
            crew.spares.push(give);
        }
        Ok(crew)
    }

    /// The crew that a run has: threads here, or processes that begin at `origin` of the machine's
    /// monotonic clock.
    pub(super) fn of(
        hands: Hands,
        fleet: &Arc<Fleet>,
        (clock, origin): (Clock, Duration),
        places: &Places,
        (stop, pace): (&StopSwitch, &watch::Receiver<Arc<Pace>>),
        (ledger, calls): (&ledger::Sender, Option<&Calls>),
    ) -> Result<Self, EngineError> {
        let (frames, taken) = mpsc::channel(FRAMES);
        let ways = Ways {
            fleet: Arc::clone(fleet),
            ledger: ledger.clone(),
            frames,
            stop: stop.clone(),
            pace: pace.clone(),
        };
        let (workers, processes, links) = match hands {
            Hands::Threads { with_target } => {
                let fleet = (fleet, Portion::WHOLE);
                let crew = Self::start(fleet, clock, places, (stop, pace), (ledger, calls))?;
                return Ok(Self {
                    with_target,
                    ..crew
                });
            }
            Hands::Processes(all) => (all.workers(), all.count(), all.begin(origin, &ways)),
            Hands::Workers(afar) => (afar.threads(), afar.workers(), afar.begin(&ways)),
        };
        Ok(Self {
            workers,
            processes,
            with_target: false,
            threads: Vec::new(),
            links: Some(links),
            frames: taken,
            spares: Vec::new(),
            first: 0,
        })
    }

    /// Waits for the processes; what they used together.
    pub(super) async fn join_processes(&mut self) -> Used {
        match self.links.take() {
            Some(links) => links.join().await,
            None => Used::default(),
        }
    }

    /// Whether a worker ended without having said that it started all its devices: it panicked,
    /// and the others must not wait for it.
    pub(super) fn lost_a_worker(&self, all_started: usize) -> bool {
        let ended = self
            .threads
            .iter()
            .filter(|thread| thread.is_finished())
            .count();
        // What an ended worker had to say is in the channel, so an empty one hides nothing.
        ended > all_started && self.frames.is_empty()
    }

    /// Gives a recorder back, emptied, so that its histograms need not be made anew.
    pub(super) fn hand_back(&self, worker: u32, mut recorder: Recorder) {
        recorder.clear();
        // A worker with enough spares, or one that is gone, needs none.
        let _ = self.spares[(worker - self.first) as usize].try_send(recorder);
    }

    /// Waits for the threads. All senders of frames are gone, so they are at their end; one that
    /// panicked has left devices without an outcome, which the caller counts.
    pub(super) fn join(self) {
        drop(self.spares);
        for thread in self.threads {
            let _ = thread.join();
        }
    }
}

/// What others told and is not counted yet.
const FRAMES: usize = 64;

/// The threads' start-up must not make the first devices late.
const LEAD: Duration = Duration::from_millis(50);
