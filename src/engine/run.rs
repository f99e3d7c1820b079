//! The coordinator: starts the workers, adds up what they report, and knows when the run is over.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use std::{io, thread};

use thiserror::Error;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};

use super::clock::Clock;
use super::fleet::Fleet;
use super::places::Places;
use super::rounds::Calls;
use super::search::Director;
use super::shutdown::{Stop, StopSwitch, reached};
use super::steering::{Controls, Wheel};
use super::timeline::Feed;
use super::usage::{self, Sampler};
use super::worker::{self, Frame, Shard};
use crate::arrival::Pace;
use crate::ledger;
use crate::metrics::timeline::Line;
use crate::metrics::{
    Aborted, Aggregate, Ending, Exposure, Recorder, SearchSummary, Snapshot, Summary,
};

/// A run that could not be carried through; everything else is an outcome.
#[derive(Debug, Error)]
pub enum EngineError {
    /// The system gives no thread.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] io::Error),
    /// A worker or a device panicked.
    #[error("{ended} of {listed} devices ended: a worker lost the others. This is a bug")]
    Lost {
        /// Devices with an outcome.
        ended: u64,
        /// Devices on the list.
        listed: u64,
    },
}

/// Where what happens in a run goes while it happens.
pub struct Outlets<'a> {
    /// To the screen.
    pub live: &'a watch::Sender<Arc<Snapshot>>,
    /// To monitoring systems, if anybody may ask.
    pub monitor: Option<&'a watch::Sender<Arc<Exposure>>>,
    /// To the ledger.
    pub ledger: ledger::Sender,
    /// To the time line's writer.
    pub timeline: mpsc::Sender<Line>,
}

/// Carries a run through. Returns the result that every report is drawn from when every listed
/// device has ended and every record was handed to the ledger. Raising the switch from outside
/// makes it `interrupted`.
pub async fn run(
    fleet: Arc<Fleet>,
    aggregate: Aggregate,
    controls: Controls,
    outlets: Outlets<'_>,
    generator_includes_target: bool,
) -> Result<Summary, EngineError> {
    let show = Show::on(&outlets);
    let Outlets {
        ledger, timeline, ..
    } = outlets;
    let cpu_before = usage::cpu();
    // It looks before the clock starts: no pause of the run may go unseen.
    let sampler = Sampler::start(fleet.plan.limits.workers).map_err(EngineError::Thread)?;
    let clock = Clock::starting_at(Instant::now() + LEAD);
    let stop = controls.stop.clone();
    let mut wheel = Wheel::new(controls, clock, fleet.plan.search.is_some());
    let places = Places::new(&fleet, clock, &wheel.follow());
    let director = Director::of(&fleet);
    let calls = director.as_ref().map(Director::calls);
    let ways = (&ledger, calls.as_ref());
    let mut crew = Crew::start(&fleet, clock, &places, (&stop, &wheel), ways)?;
    drop(ledger);
    let mut desk = Desk {
        feed: Feed::new(&fleet, &stop, &aggregate, timeline),
        aggregate,
        director,
        sampler,
        show,
    };

    let mut course = Course::new(&fleet, clock, stop.clone(), crew.threads.len());
    tokio::pin! {
        let follow = places.follow();
        let heed = places.heed(clock, wheel.follow());
    }
    let mut tick = tokio::time::interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut watched = stop.subscribe();
    loop {
        let pace = wheel.pace();
        tokio::select! {
            frame = crew.frames.recv() => match frame {
                None => break,
                Some(Frame::Recorded(worker, recorder)) => {
                    desk.aggregate.add(&recorder);
                    crew.hand_back(worker, recorder);
                }
                Some(Frame::Measured(worker, recorder)) => {
                    desk.measured(&recorder);
                    crew.hand_back(worker, recorder);
                }
                Some(Frame::AllStarted { dropped }) => {
                    desk.aggregate.set_dropped(course.all_started(dropped));
                }
            },
            _ = tick.tick() => {
                if crew.lost_a_worker(course.started) {
                    stop.raise_to(Stop::Winding);
                }
                desk.aggregate.set_steering(wheel.standing(&fleet.schedule));
                desk.tick(clock.elapsed(), &mut course, &pace);
            }
            () = reached(&mut watched, Stop::Winding), if !course.winding => course.wound_down(),
            () = course.next_step(&pace) => course.take_step(),
            change = wheel.turn() => desk.feed.steered(&change),
            () = &mut heed => {}
            () = &mut follow, if !course.places_final => course.places_final = true,
        }
    }
    let elapsed = clock.elapsed();
    desk.aggregate.set_steering(wheel.standing(&fleet.schedule));
    let (aggregate, search) = desk.end(crew, elapsed, &wheel.pace()).await?;
    let cpu_s = usage::cpu().saturating_sub(cpu_before).as_secs_f64();
    let ending = course.ending(elapsed, cpu_s, generator_includes_target);
    Ok(aggregate.finish(Ending { search, ..ending }))
}

/// Where all that is known of the run comes together, and goes on from.
struct Desk<'a> {
    aggregate: Aggregate,
    /// If something is searched.
    director: Option<Director>,
    sampler: Sampler,
    show: Show<'a>,
    feed: Feed,
}

impl Desk<'_> {
    /// Adds what a worker recorded of devices of a search that count.
    fn measured(&mut self, delta: &Recorder) {
        self.aggregate.add(delta);
        if let Some(director) = &mut self.director {
            director.add(delta);
        }
    }

    /// To be called several times a second.
    fn tick(&mut self, elapsed: Duration, course: &mut Course, pace: &Pace) {
        if let Some(evidence) = self.sampler.news() {
            self.aggregate.set_evidence(evidence);
        }
        // Once it winds down, devices are written off that no trial may count.
        if let (Some(director), Stop::Running) = (&mut self.director, course.stop.now())
            && let Some(trial) = director.tick(&mut self.aggregate, &self.sampler, elapsed)
        {
            self.feed.trial(&trial);
        }
        self.show.moment(&mut self.aggregate, elapsed);
        if let Some(by) = course.gives_up(&self.aggregate, elapsed) {
            self.feed.aborted(by);
        }
        self.feed.tick(&self.aggregate, elapsed, pace);
    }

    /// Takes leave of the workers; the sum of all that they recorded, and what was searched.
    async fn end(
        mut self,
        crew: Crew,
        elapsed: Duration,
        pace: &Pace,
    ) -> Result<(Aggregate, Option<SearchSummary>), EngineError> {
        // The workers wait for it, so that their last second is seen.
        self.aggregate.set_evidence(self.sampler.finish());
        crew.join();
        let last = self.show.end(&mut self.aggregate, elapsed);
        self.feed.end(&self.aggregate, elapsed, pace).await;
        let (ended, listed) = (last.devices.decided(), last.devices.listed);
        if ended != listed {
            return Err(EngineError::Lost { ended, listed });
        }
        Ok((self.aggregate, self.director.map(Director::finish)))
    }
}

/// What is shown of the run while it goes on.
struct Show<'a> {
    /// When the screen gets the next state.
    next: Duration,
    live: &'a watch::Sender<Arc<Snapshot>>,
    monitor: Option<&'a watch::Sender<Arc<Exposure>>>,
    /// When monitoring systems get the next state.
    due: Duration,
}

impl<'a> Show<'a> {
    fn on(outlets: &Outlets<'a>) -> Self {
        Self {
            live: outlets.live,
            monitor: outlets.monitor,
            next: Duration::ZERO,
            due: Duration::ZERO,
        }
    }

    /// To be called several times a second. What nobody looks at is not made: reading a dozen histograms
    /// takes its time.
    fn moment(&mut self, aggregate: &mut Aggregate, elapsed: Duration) {
        if elapsed >= self.next && self.live.receiver_count() > 0 {
            self.live.send_replace(Arc::new(aggregate.tick(elapsed)));
            self.next = elapsed + SHOWN_EVERY;
        }
        if let Some(monitor) = self.monitor
            && elapsed >= self.due
        {
            monitor.send_replace(Arc::new(aggregate.expose(elapsed)));
            self.due = elapsed + EXPOSURE_EVERY;
        }
    }

    /// The last moment.
    fn end(mut self, aggregate: &mut Aggregate, elapsed: Duration) -> Arc<Snapshot> {
        (self.next, self.due) = (Duration::MAX, Duration::ZERO);
        self.moment(aggregate, elapsed);
        let last = Arc::new(aggregate.tick(elapsed));
        self.live.send_replace(Arc::clone(&last));
        last
    }
}

/// When the run winds down, and when its grace is over.
struct Course {
    clock: Clock,
    stop: StopSwitch,
    /// Devices that stay go on until the stages are over, here those of open arrivals by their own clock;
    /// without them there is nothing to wait for.
    end: Option<Duration>,
    grace: Duration,
    workers: usize,
    started: usize,
    /// All stages of closed queues are over.
    places_final: bool,
    winding: bool,
    dropped: u64,
    /// The threshold that ended it.
    aborted: Option<Aborted>,
    /// When grace is over, once winding.
    cut: Option<Instant>,
}

impl Course {
    fn new(fleet: &Fleet, clock: Clock, stop: StopSwitch, workers: usize) -> Self {
        let plan = &fleet.plan;
        let end = plan.stays().then(|| fleet.schedule.open_span());
        Self {
            clock,
            stop,
            end,
            grace: plan.limits.grace,
            workers,
            started: 0,
            places_final: false,
            winding: false,
            dropped: 0,
            aborted: None,
            cut: None,
        }
    }

    /// A worker has started all its devices, but for those that it had to drop; how many those are by now.
    fn all_started(&mut self, dropped: u64) -> u64 {
        self.started += 1;
        self.dropped += dropped;
        self.dropped
    }

    /// Resolves when the next step is to be taken: winding down, or cutting off.
    async fn next_step(&self, pace: &Pace) {
        if let Some(cut) = self.cut {
            tokio::time::sleep_until(cut).await;
        } else if self.winding || self.started < self.workers {
            std::future::pending::<()>().await;
        } else if let Some(end) = self.end {
            match pace.open_at(end).filter(|_| self.places_final) {
                Some(end) => tokio::time::sleep_until(self.clock.at(end)).await,
                // Until places or pace change.
                None => std::future::pending().await,
            }
        }
    }

    fn take_step(&mut self) {
        if self.cut.take().is_some() {
            self.stop.raise_to(Stop::Now);
        } else {
            self.stop.raise_to(Stop::Winding);
        }
    }

    /// Winds the run down when it cannot pass any more, and says by which threshold.
    fn gives_up(&mut self, aggregate: &Aggregate, elapsed: Duration) -> Option<&Aborted> {
        if self.winding || self.aborted.is_some() {
            return None;
        }
        self.aborted = aggregate.hopeless(elapsed);
        let by = self.aborted.as_ref()?;
        tracing::warn!("{}", by.words());
        self.stop.raise_to(Stop::Winding);
        Some(by)
    }

    fn ending(self, elapsed: Duration, cpu_s: f64, generator_includes_target: bool) -> Ending {
        Ending {
            elapsed,
            interrupted: self.stop.was_raised(),
            aborted: self.aborted,
            search: None,
            dropped: self.dropped,
            cpu_s,
            peak_rss_bytes: usage::peak_rss_bytes(),
            workers: self.workers,
            processes: 1,
            generator_includes_target,
        }
    }

    fn wound_down(&mut self) {
        self.winding = true;
        self.cut = Some(Instant::now() + self.grace);
    }
}

/// The worker threads and the channels to them.
struct Crew {
    threads: Vec<JoinHandle<()>>,
    frames: mpsc::Receiver<Frame>,
    spares: Vec<mpsc::Sender<Recorder>>,
}

impl Crew {
    fn start(
        fleet: &Arc<Fleet>,
        clock: Clock,
        places: &Places,
        (stop, wheel): (&StopSwitch, &Wheel),
        (ledger, calls): (&ledger::Sender, Option<&Calls>),
    ) -> Result<Self, EngineError> {
        let of = u32::try_from(fleet.plan.limits.workers).expect("a plan has few workers");
        let (sender, frames) = mpsc::channel(2 * of as usize);
        let mut crew = Self {
            threads: Vec::new(),
            frames,
            spares: Vec::new(),
        };
        for number in 0..of {
            let (give, spares) = mpsc::channel(2);
            let shard = Shard {
                number,
                of,
                fleet: Arc::clone(fleet),
                clock,
                places: places.clone(),
                stop: stop.clone(),
                pace: wheel.follow(),
                ledger: ledger.clone(),
                frames: sender.clone(),
                spares,
                calls: calls.cloned(),
            };
            let thread = thread::Builder::new()
                .name(format!("worker-{number}"))
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

    /// Whether a worker ended without having said that it started all its devices: it panicked,
    /// and the others must not wait for it.
    fn lost_a_worker(&self, all_started: usize) -> bool {
        let ended = self
            .threads
            .iter()
            .filter(|thread| thread.is_finished())
            .count();
        // What an ended worker had to say is in the channel, so an empty one hides nothing.
        ended > all_started && self.frames.is_empty()
    }

    /// Gives a recorder back, emptied, so that its histograms need not be made anew.
    fn hand_back(&self, worker: u32, mut recorder: Recorder) {
        recorder.clear();
        // A worker with enough spares, or one that is gone, needs none.
        let _ = self.spares[worker as usize].try_send(recorder);
    }

    /// Waits for the threads. All senders of frames are gone, so they are at their end; one that
    /// panicked has left devices without an outcome, which the caller counts.
    fn join(self) {
        drop(self.spares);
        for thread in self.threads {
            let _ = thread.join();
        }
    }
}

/// The threads' start-up must not make the first devices late.
const LEAD: Duration = Duration::from_millis(50);

/// From one look at the run to the next.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// From one snapshot to the next: as often as the dashboard draws at most, less the grain of a look.
const SHOWN_EVERY: Duration = Duration::from_millis(150);

/// Scrapers come less often.
const EXPOSURE_EVERY: Duration = Duration::from_secs(1);
