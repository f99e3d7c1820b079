//! The coordinator: starts the workers, adds up what they report, and knows when the run is over.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;

use super::clock::{Clock, instant};
use super::course::Course;
use super::crew::{Crew, Hands};
use super::fleet::Fleet;
use super::places::Places;
use super::search::Director;
use super::shards::Portion;
use super::shutdown::{Stop, reached};
use super::steering::{Controls, Wheel};
use super::timeline::Feed;
use super::usage::{self, Sampler};
use super::worker::Frame;
use crate::arrival::Pace;
use crate::ledger;
use crate::metrics::timeline::Line;
use crate::metrics::{
    Aggregate, Ending, Evidence, Exposure, Recorder, SearchSummary, Snapshot, Summary,
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
    mut hands: Hands,
) -> Result<Summary, EngineError> {
    let show = Show::on(&outlets);
    let Outlets {
        ledger, timeline, ..
    } = outlets;
    let cpu_before = usage::cpu() + usage::cpu_of_children();
    // It looks before the clock starts: no pause of the run may go unseen.
    let sampler = Sampler::start(hands.threads(&fleet)).map_err(EngineError::Thread)?;
    let origin = hands.origin();
    let clock = Clock::starting_at(instant(origin));
    let stop = controls.stop.clone();
    let mut wheel = Wheel::new(controls, clock, fleet.plan.search.is_some());
    hands.follow(&mut wheel);
    let places = Places::new(&fleet, clock, &wheel.follow(), Portion::WHOLE);
    let director = Director::of(&fleet);
    let calls = director.as_ref().map(Director::calls);
    let (at, ways) = ((clock, origin), (&ledger, calls.as_ref()));
    let steered = (&stop, &wheel.follow());
    let mut crew = Crew::of(hands, &fleet, at, &places, steered, ways)?;
    drop(ledger);
    let mut desk = Desk {
        feed: Feed::new(&fleet, &stop, &aggregate, timeline),
        aggregate,
        director,
        sampler,
        seen: Vec::new(),
        show,
    };

    desk.feed.steered_before(&wheel.changes().borrow());
    let mut course = Course::new(&fleet, clock, stop.clone(), &crew);
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
                Some(frame) => desk.take(frame, &crew, &mut course),
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
    let now = clock.elapsed();
    desk.aggregate.set_steering(wheel.standing(&fleet.schedule));
    let used = crew.join_processes().await;
    // A log is read long after it was written, perhaps.
    let elapsed = used.over_after.unwrap_or(now);
    let (aggregate, search) = desk.end(crew, elapsed, &wheel.pace()).await?;
    let cpu = usage::cpu() + usage::cpu_of_children() + used.cpu;
    let cpu = cpu.saturating_sub(cpu_before);
    let ending = course.ending(elapsed, cpu, used.peak_rss_bytes);
    Ok(aggregate.finish(Ending { search, ..ending }))
}

/// Where all that is known of the run comes together, and goes on from.
struct Desk<'a> {
    aggregate: Aggregate,
    /// If something is searched.
    director: Option<Director>,
    sampler: Sampler,
    /// What was seen of this process and, from the second on, of the others.
    seen: Vec<Evidence>,
    show: Show<'a>,
    feed: Feed,
}

impl Desk<'_> {
    /// Takes in what the crew tells.
    fn take(&mut self, frame: Frame, crew: &Crew, course: &mut Course) {
        match frame {
            Frame::Recorded(worker, recorder) => {
                self.aggregate.add(&recorder);
                crew.hand_back(worker, recorder);
            }
            Frame::Measured(worker, recorder) => {
                self.measured(&recorder);
                crew.hand_back(worker, recorder);
            }
            Frame::Carried(carried) => self.aggregate.add_carried(&carried),
            Frame::AllStarted { dropped } => {
                self.aggregate.set_dropped(course.all_started(dropped));
            }
            Frame::Seen(process, evidence) => self.saw(process as usize + 1, *evidence),
            Frame::Died {
                mend,
                all_started,
                dropped,
                death,
            } => {
                course.start_again(all_started, dropped);
                self.feed.died(&death, course.elapsed());
                self.aggregate.mend(&mend, death);
            }
            // Devices are missing in the end, and the run says so.
            Frame::Abandoned => course.stop.raise_to(Stop::Winding),
        }
    }

    /// Adds what a worker recorded of devices of a search that count.
    fn measured(&mut self, delta: &Recorder) {
        self.aggregate.add(delta);
        if let Some(director) = &mut self.director {
            director.add(delta);
        }
    }

    /// What was seen of one of the run's processes so far; 0 is this one.
    fn saw(&mut self, process: usize, evidence: Evidence) {
        let all = seen_by_all(&mut self.seen, process, evidence);
        self.aggregate.set_evidence(all);
    }

    /// To be called several times a second.
    fn tick(&mut self, elapsed: Duration, course: &mut Course, pace: &Pace) {
        if let Some(evidence) = self.sampler.news() {
            self.saw(0, evidence);
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
        let evidence = self.sampler.finish();
        self.aggregate
            .set_evidence(seen_by_all(&mut self.seen, 0, evidence));
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

/// Keeps what was seen of a process, and puts it together with what was seen of the others.
fn seen_by_all(seen: &mut Vec<Evidence>, process: usize, evidence: Evidence) -> Evidence {
    if seen.len() <= process {
        seen.resize(process + 1, Evidence::default());
    }
    seen[process] = evidence;
    Evidence::together(seen.iter().filter(|seen| seen.readings > 0))
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

/// From one look at the run to the next.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// From one snapshot to the next: as often as the dashboard draws at most, less the grain of a look.
const SHOWN_EVERY: Duration = Duration::from_millis(150);

/// Scrapers come less often.
const EXPOSURE_EVERY: Duration = Duration::from_secs(1);
