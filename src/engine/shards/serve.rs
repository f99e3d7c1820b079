//! A process that starts its portion of a run's devices: workers as ever, and in the coordinator's
//! place a pipe to it.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufRead, AsyncWrite, AsyncWriteExt, BufWriter};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::MissedTickBehavior;

use super::super::clock::{Clock, instant};
use super::super::crew::Crew;
use super::super::fleet::Fleet;
use super::super::places::Places;
use super::super::shutdown::{Stop, StopSwitch};
use super::super::usage::{self, Sampler};
use super::super::worker::Frame;
use super::Portion;
use super::ahead::Ahead;
use super::message::{Down, Up, receive, send};
use crate::arrival::Pace;
use crate::ledger::{self, Post, Record, SentRecord};
use crate::metrics::CarriedRecorder;

/// Starts the portion's devices as the coordinator says and tells it what comes of them, until all
/// have ended. Ends at once when the coordinator is gone: what is not on record is in no report.
pub async fn serve(
    fleet: Arc<Fleet>,
    (portion, announce): (Portion, bool),
    mut down: impl AsyncBufRead + Unpin + Send + 'static,
    up: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    let mut up = BufWriter::with_capacity(1 << 16, up);
    send(&mut up, &Up::Ready).await?;
    up.flush().await?;
    let Some(Down::Begin { origin }) = receive(&mut down, &mut String::new()).await else {
        return Ok(());
    };
    let sampler = Sampler::start(fleet.plan.limits.workers)?;
    let clock = Clock::starting_at(instant(origin));
    let (stop, tickets) = (StopSwitch::new(), Tickets::default());
    let (pace, follow) = watch::channel(Arc::new(Pace::planned()));
    let places = Places::new(&fleet, clock, &follow, portion);
    let (records, outbox) = mpsc::channel(CAPACITY);
    let ledger = ledger::Sender {
        records,
        intake: None,
    };
    let steered = (&stop, &follow);
    let crew = Crew::start((&fleet, portion), clock, &places, steered, (&ledger, None));
    drop(ledger);
    let mut desk = Desk {
        crew: crew.map_err(io::Error::other)?,
        outbox,
        sampler,
        tickets: tickets.clone(),
        ahead: announce.then(|| Ahead::new(&fleet, portion)),
        up,
    };
    let listening = tokio::spawn(listen(down, stop, pace, tickets));
    desk.carry_on(&places, clock, follow).await?;
    desk.end(clock).await?;
    listening.abort();
    Ok(())
}

/// What comes together here, and goes up.
struct Desk<'f, W: AsyncWrite + Unpin> {
    crew: Crew,
    outbox: mpsc::Receiver<Post>,
    sampler: Sampler,
    tickets: Tickets,
    /// Where it takes long to put a request on record.
    ahead: Option<Ahead<'f>>,
    up: BufWriter<W>,
}

impl<W: AsyncWrite + Unpin> Desk<'_, W> {
    /// Until the last worker has said its last word.
    async fn carry_on(
        &mut self,
        places: &Places,
        clock: Clock,
        pace: watch::Receiver<Arc<Pace>>,
    ) -> io::Result<()> {
        let paced = pace.clone();
        tokio::pin! {
            let follow = places.follow();
            let heed = places.heed(clock, pace);
        }
        let (mut followed, mut all_started) = (false, Vec::new());
        let mut tick = tokio::time::interval(LOOK_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                // What is on record goes before what is counted of it.
                biased;
                Some(post) = self.outbox.recv() => {
                    self.tell(post).await?;
                    self.tell_the_rest().await?;
                }
                frame = self.crew.frames.recv() => match frame {
                    None => return Ok(()),
                    Some(Frame::Recorded(worker, recorder)) => {
                        let carried = CarriedRecorder::of(&recorder);
                        self.crew.hand_back(worker, recorder);
                        send(&mut self.up, &Up::Recorded(carried)).await?;
                    }
                    Some(Frame::AllStarted { dropped }) => all_started.push(dropped),
                    // Only searches measure, and no search is split.
                    Some(_) => {}
                },
                _ = tick.tick() => {
                    self.announce(clock.elapsed(), &paced.borrow().clone()).await?;
                    if let Some(evidence) = self.sampler.news() {
                        send(&mut self.up, &Up::Seen(Box::new(evidence))).await?;
                    }
                }
                () = &mut heed => {}
                () = &mut follow, if !followed => followed = true,
            }
            // With the last stage of closed queues over, too, nothing more is to come.
            if followed {
                for dropped in all_started.drain(..) {
                    send(&mut self.up, &Up::AllStarted { dropped }).await?;
                }
            }
            self.up.flush().await?;
        }
    }

    /// The last words. The workers wait for the last look at them.
    async fn end(mut self, clock: Clock) -> io::Result<()> {
        let elapsed = clock.elapsed();
        self.tell_the_rest().await?;
        let evidence = Box::new(self.sampler.finish());
        send(&mut self.up, &Up::Seen(evidence)).await?;
        self.crew.join();
        let over = Up::Over {
            peak_rss_bytes: usage::peak_rss_bytes(),
            cpu: usage::cpu(),
            elapsed,
        };
        send(&mut self.up, &over).await?;
        self.up.flush().await
    }

    /// Puts requests on record that will be due soon.
    async fn announce(&mut self, elapsed: Duration, pace: &Pace) -> io::Result<()> {
        while let Some(record) = self
            .ahead
            .as_mut()
            .and_then(|ahead| ahead.next(elapsed, pace))
        {
            self.send(record).await?;
        }
        Ok(())
    }

    async fn tell_the_rest(&mut self) -> io::Result<()> {
        while let Ok(post) = self.outbox.try_recv() {
            self.tell(post).await?;
        }
        Ok(())
    }

    async fn tell(&mut self, post: Post) -> io::Result<()> {
        match post {
            Post::Record(record) => {
                let left = match &mut self.ahead {
                    Some(ahead) => ahead.answer(record),
                    None => Some(record),
                };
                match left {
                    Some(record) => self.send(record).await,
                    None => Ok(()),
                }
            }
            // Nobody reads the ledger here.
            Post::Reader(_) => Ok(()),
        }
    }

    async fn send(&mut self, record: Record) -> io::Result<()> {
        let keep = |written| self.tickets.lock().keep(written);
        let sent = SentRecord::of(record, keep);
        send(&mut self.up, &Up::Record(sent)).await
    }
}

/// Does what the coordinator says; when it is gone, everything ends.
async fn listen(
    mut down: impl AsyncBufRead + Unpin,
    stop: StopSwitch,
    pace: watch::Sender<Arc<Pace>>,
    tickets: Tickets,
) {
    let mut line = String::new();
    loop {
        match receive(&mut down, &mut line).await {
            Some(Down::OnRecord(on_record)) => {
                let mut tickets = tickets.lock();
                for ticket in on_record {
                    if let Some(written) = tickets.waiting.remove(&ticket) {
                        // A device that was cut off waits no more.
                        let _ = written.send(());
                    }
                }
            }
            Some(Down::NotOnRecord(refused)) => {
                let mut tickets = tickets.lock();
                for ticket in refused {
                    tickets.waiting.remove(&ticket);
                }
            }
            Some(Down::Pace(steered)) => {
                pace.send_replace(Arc::new(steered));
            }
            Some(Down::Stop(least)) => stop.raise_to(least),
            Some(Down::Begin { .. }) => {}
            None => {
                stop.raise_to(Stop::Now);
                tickets.lock().waiting.clear();
                return;
            }
        }
    }
}

/// What requests wait for.
#[derive(Clone, Default)]
struct Tickets(Arc<Mutex<Waiting>>);

#[derive(Default)]
struct Waiting {
    next: u64,
    waiting: HashMap<u64, oneshot::Sender<()>>,
}

impl Tickets {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn keep(&mut self, written: oneshot::Sender<()>) -> u64 {
        self.next += 1;
        self.waiting.insert(self.next, written);
        self.next
    }
}

/// From one look at the evidence to the next.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Records under way; a full channel holds its devices back.
const CAPACITY: usize = 4096;
