//! What a device observes (RFC 7641): which notification is news, when to ask anew, and what came.

use std::time::Duration;

use bytes::Bytes;
use secrecy::ExposeSecret;
use tokio::time::Instant;

use crate::model::{FaultKind, Feed, Source, Subscription};
use crate::transport::inbox::{Delivery, Inbox, Standing};
use crate::transport::pause::Pause;

use super::message::{Draft, Incoming};

/// The observations of one device.
#[derive(Debug)]
pub(super) struct Observations {
    pub(super) all: Vec<Observation>,
    pub(super) inbox: Inbox,
    /// What came first of something that has more blocks.
    pub(super) unfinished: Option<Unfinished>,
}

/// The first block of what an observation brought.
#[derive(Clone, Debug)]
pub(super) struct Unfinished {
    pub(super) index: usize,
    pub(super) first: Incoming,
    pub(super) standing: Standing,
}

/// One observed resource.
#[derive(Debug)]
pub(super) struct Observation {
    feed: Feed,
    pub(super) draft: Draft,
    /// The same for as long as it is observed (section 3.3.1).
    pub(super) token: u32,
    /// It was asked for, and what comes next is the answer.
    asked: bool,
    /// The order of the newest notification, and when it came. `None`: not observed.
    newest: Option<(u32, Instant)>,
    /// When to ask for it (again).
    renew: Instant,
    /// Nobody has been told yet.
    failed: Option<FaultKind>,
    pause: Pause,
}

impl Observations {
    /// Asks nothing yet.
    pub(super) fn new(
        to: &[Subscription],
        token: impl Fn() -> u32,
        now: Instant,
    ) -> Result<Self, FaultKind> {
        let mut all = Vec::with_capacity(to.len());
        for subscription in to {
            let Subscription::Resource { feed, path, .. } = subscription else {
                debug_assert!(false, "a CoAP endpoint was given a topic");
                continue;
            };
            all.push(Observation {
                feed: *feed,
                draft: Draft::get(path.expose_secret())?,
                token: token(),
                asked: false,
                newest: None,
                renew: now,
                failed: None,
                pause: Pause::default(),
            });
        }
        Ok(Self {
            all,
            inbox: Inbox::default(),
            unfinished: None,
        })
    }

    /// Which one a response is for.
    pub(super) fn of(&self, response: &Incoming) -> Option<usize> {
        let token = response.token.filter(|_| response.is_response())?;
        self.all.iter().position(|one| one.token == token)
    }

    /// The next to be asked for, and when.
    pub(super) fn next(&self) -> Option<(usize, Instant)> {
        let all = self.all.iter().enumerate();
        all.map(|(index, one)| (index, one.renew))
            .min_by_key(|(_, renew)| *renew)
    }

    /// Why one ended, once.
    pub(super) fn take_failed(&mut self) -> Option<FaultKind> {
        self.all.iter_mut().find_map(|one| one.failed.take())
    }

    /// A notification came without having been waited for.
    pub(super) fn notified(&mut self, index: usize, notification: Incoming, grace: Duration) {
        match self.all[index].take(&notification, Instant::now(), grace) {
            Ok(standing) => self.keep(index, notification, standing),
            Err(kind) => {
                self.all[index].failed = Some(kind);
                // A last word is a word.
                if kind == FaultKind::NotObserved {
                    self.keep(index, notification, Standing::Fresh);
                }
            }
        }
    }

    /// Keeps what came of one, once all of it is there.
    pub(super) fn keep(&mut self, index: usize, first: Incoming, standing: Standing) {
        if first.block2.is_some_and(|block| block.more) {
            let unfinished = Unfinished {
                index,
                first,
                standing,
            };
            if self.unfinished.replace(unfinished).is_some() {
                self.inbox.miss();
            }
        } else {
            self.push(index, first.payload, standing);
        }
    }

    /// Keeps what is whole. An empty answer tells nothing: it grants an observation.
    pub(super) fn push(&mut self, index: usize, body: Bytes, standing: Standing) {
        if body.is_empty() {
            return;
        }
        self.inbox.push(Delivery {
            source: Source::Resource(self.all[index].feed),
            body,
            read: Instant::now(),
            standing,
        });
    }
}

impl Observation {
    /// Whether the server has granted it and not ended it since.
    pub(super) fn holds(&self) -> bool {
        self.newest.is_some()
    }

    /// It is being asked for.
    pub(super) fn begin(&mut self, now: Instant) {
        self.asked = true;
        // Should the asking be broken off.
        self.renew = now + BROKEN_OFF;
    }

    /// It was asked for in vain.
    pub(super) fn fail(&mut self, now: Instant) {
        (self.asked, self.newest) = (false, None);
        self.renew = now + self.pause.next();
    }

    /// Where a response stands among those of the observation, or that it ended it. Once it is as
    /// old as it may become, and `grace` on top, it is asked for again (section 3.3.1).
    pub(super) fn take(
        &mut self,
        response: &Incoming,
        now: Instant,
        grace: Duration,
    ) -> Result<Standing, FaultKind> {
        let good = response.code >> 5 == 2;
        let Some(order) = response.observe.filter(|_| good) else {
            self.fail(now);
            return Err(if good {
                FaultKind::NotObserved
            } else {
                FaultKind::CoapCode(response.code)
            });
        };
        self.pause.end();
        self.renew = now + response.max_age.min(LONGEST_AGE) + grace;
        let standing = match self.newest {
            // The answer counts from anew, whatever the server counted before.
            _ if self.asked => Standing::State,
            Some(newest) if !is_fresh(newest, (order, now)) => return Ok(Standing::Overtaken),
            _ => Standing::Fresh,
        };
        (self.asked, self.newest) = (false, Some((order, now)));
        Ok(standing)
    }
}

/// Whether the second of two notifications was sent after the first (section 3.4).
fn is_fresh((v1, t1): (u32, Instant), (v2, t2): (u32, Instant)) -> bool {
    const HALF: u32 = 1 << 23;
    (v1 < v2 && v2 - v1 < HALF) || (v1 > v2 && v1 - v2 > HALF) || t2 > t1 + Duration::from_secs(128)
}

/// From an asking that was broken off to the next.
const BROKEN_OFF: Duration = Duration::from_secs(2);

/// A server may say 136 years; a day is enough to be asked again.
const LONGEST_AGE: Duration = Duration::from_hours(24);
