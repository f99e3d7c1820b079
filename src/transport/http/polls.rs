//! Long polls: how an HTTP device hears what the server has for it (section 6.2 of the wire
//! specification). Each resource has a line of its own and one request under way, by whoever waits
//! for the device.
//!
//! A poll that failed is told once, and asked again after a pause.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll as Step};
use std::time::Duration;

use bytes::Bytes;
use secrecy::SecretString;
use tokio::time::{Instant, sleep};

use crate::model::{FaultKind, Feed, Source, Status, Subscription};
use crate::transport::inbox::{Delivery, Inbox, Standing};
use crate::transport::pause::Pause;

use super::line::Line;
use super::request;

/// The polls of one device, and what they brought.
#[derive(Debug)]
pub(super) struct Polls {
    all: Vec<Poll>,
    inbox: Inbox,
}

/// The poll of one resource.
struct Poll {
    feed: Feed,
    round: Pin<Box<dyn Future<Output = Round>>>,
    /// Nobody has been told yet; until then the next round does not begin.
    failed: Option<FaultKind>,
    /// It brought a call, and the device is not done with it: servers send a call with every poll
    /// until it is answered.
    held: bool,
    pause: Pause,
}

/// A request and what came of it.
struct Round {
    asker: Asker,
    /// `Ok(None)`: the server had nothing.
    came: Result<Option<Bytes>, FaultKind>,
    took: Duration,
}

/// What goes from one round to the next.
struct Asker {
    line: Line,
    path: SecretString,
    hold: Duration,
}

impl Polls {
    /// Nothing is asked until somebody waits.
    pub(super) fn new(line: &Line, to: &[Subscription]) -> Self {
        let poll = |subscription: &Subscription| match subscription {
            Subscription::Resource { feed, path, hold } => {
                let asker = Asker {
                    line: line.beside(),
                    path: path.clone(),
                    hold: *hold,
                };
                Some(Poll {
                    feed: *feed,
                    round: Box::pin(asker.ask(Duration::ZERO)),
                    failed: None,
                    held: false,
                    pause: Pause::default(),
                })
            }
            Subscription::Topic(_) => {
                debug_assert!(false, "an HTTP client was given a topic");
                None
            }
        };
        Self {
            all: to.iter().filter_map(poll).collect(),
            inbox: Inbox::default(),
        }
    }

    /// Polls while something else is under way.
    pub(super) async fn beside<F: Future>(&mut self, work: F) -> F::Output {
        let mut work = pin!(work);
        poll_fn(|cx| {
            self.advance(cx);
            work.as_mut().poll(cx)
        })
        .await
    }

    /// What waits longest, or the next that comes; or why a poll failed. The task is woken for it.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Step<Result<Delivery, FaultKind>> {
        self.advance(cx);
        if let Some(delivery) = self.inbox.pop() {
            return Step::Ready(Ok(delivery));
        }
        match self.all.iter_mut().find_map(|poll| poll.failed.take()) {
            Some(kind) => Step::Ready(Err(kind)),
            None => Step::Pending,
        }
    }

    /// The device is done with what it was called for.
    pub(super) fn resume(&mut self) {
        for poll in &mut self.all {
            poll.held = false;
        }
    }

    /// What waits longest.
    pub(super) fn take_delivery(&mut self) -> Option<Delivery> {
        self.inbox.pop()
    }

    /// How many found no room since the last call.
    pub(super) fn take_missed(&mut self) -> u32 {
        self.inbox.take_missed()
    }

    fn advance(&mut self, cx: &mut Context<'_>) {
        for poll in &mut self.all {
            while poll.failed.is_none()
                && !poll.held
                && let Step::Ready(round) = poll.round.as_mut().poll(cx)
            {
                if let Some(body) = poll.goes_on(round) {
                    poll.held = poll.feed == Feed::Rpc;
                    self.inbox.push(Delivery {
                        source: Source::Resource(poll.feed),
                        body,
                        read: Instant::now(),
                        standing: Standing::Fresh,
                    });
                }
            }
        }
    }
}

impl Poll {
    /// Begins the next round. Returns what this one brought.
    fn goes_on(&mut self, round: Round) -> Option<Bytes> {
        let (wait, body) = match round.came {
            Ok(Some(body)) => (Duration::ZERO, Some(body)),
            Ok(None) if round.took >= SHORTEST => (Duration::ZERO, None),
            // It does not hold its polls: who asks at once floods it.
            Ok(None) => (SHORTEST, None),
            Err(kind) => {
                self.failed = Some(kind);
                (self.pause.next(), None)
            }
        };
        if self.failed.is_none() {
            self.pause.end();
        }
        self.round = Box::pin(round.asker.ask(wait));
        body
    }
}

impl std::fmt::Debug for Poll {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Poll")
            .field("feed", &self.feed)
            .finish_non_exhaustive()
    }
}

impl Asker {
    async fn ask(mut self, wait: Duration) -> Round {
        if !wait.is_zero() {
            sleep(wait).await;
        }
        let began = Instant::now();
        let came = self.answer().await;
        Round {
            asker: self,
            came,
            took: began.elapsed(),
        }
    }

    async fn answer(&mut self) -> Result<Option<Bytes>, FaultKind> {
        let message = request::poll(self.line.host(), &self.path, self.hold)?;
        let exchanged = self.line.ask(message, self.hold).await;
        let reply = exchanged.map_err(|fault| fault.kind)?.reply;
        match reply.status {
            Status::Http(200) => Ok(Some(reply.body).filter(|body| !body.is_empty())),
            Status::Http(NOTHING) => Ok(None),
            Status::Http(status) => Err(FaultKind::HttpStatus(status)),
            _ => Err(FaultKind::UnexpectedPacket),
        }
    }
}

/// 408: the time is over, and there was nothing.
const NOTHING: u16 = 408;

/// From one poll that brought nothing to the next.
const SHORTEST: Duration = Duration::from_secs(1);
