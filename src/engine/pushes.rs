//! What an operator pushes to one device and nobody knows the end of yet: the meeting place of the
//! request over REST and of what the device reads, each of which may come first.
//!
//! Every push that had its turn is here until it is counted, once: as skipped, refused, received,
//! lost or in doubt.

mod open;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::{Notify, OnceCell};
use tokio::time::Instant;

use self::open::{Open, Stand};
use crate::model::{CohortIx, DeviceIx, Feed};
use crate::rest::Begun;
use crate::scenario::PushKind;

pub(super) use self::open::{Account, Verdict, phase, pushes};

/// The open pushes of one device, or of all behind a gateway.
pub(super) struct Pushes {
    pub(super) ix: DeviceIx,
    pub(super) cohort: CohortIx,
    /// Its id on the server; of a gateway, those of the devices behind it, to whom its pushes go.
    ids: Box<[OnceCell<Rc<str>>]>,
    /// The number of its first push: those of earlier runs are others.
    first: u64,
    made: Cell<u32>,
    open: RefCell<Vec<Open>>,
    changed: Notify,
    ended: Cell<bool>,
}

/// A push that a device read.
#[derive(Clone, Debug)]
pub(super) struct Read {
    pub(super) kind: PushKind,
    pub(super) due: Instant,
    /// When its request began to leave.
    pub(super) begun: Instant,
}

/// What a device's reading of a number means.
#[derive(Debug)]
pub(super) enum Reading {
    /// A push's end.
    Push(Read),
    /// It was read before, or given up.
    Again,
    /// No push of this run to this device has that number.
    Foreign,
}

impl Pushes {
    /// None yet. `origin` is when the run began, in ms since 1970, and `behind` how many devices are
    /// behind it, if it is a gateway.
    pub(super) fn new(
        ix: DeviceIx,
        cohort: CohortIx,
        origin: i64,
        behind: Option<u32>,
    ) -> Rc<Self> {
        let seconds = u64::try_from(origin / 1000).unwrap_or(0);
        Rc::new(Self {
            ix,
            cohort,
            ids: (0..behind.unwrap_or(1)).map(|_| OnceCell::new()).collect(),
            first: seconds << NUMBER_BITS,
            made: Cell::new(0),
            open: RefCell::default(),
            changed: Notify::new(),
            ended: Cell::new(false),
        })
    }

    /// Where the id on the server is kept of the device, or of one behind it.
    pub(super) fn id_of(&self, sub: Option<u32>) -> &OnceCell<Rc<str>> {
        &self.ids[sub.unwrap_or(0) as usize]
    }

    /// A push to the device, or to one behind it, has its turn. Returns its number, or `None` when
    /// too many are open already.
    pub(super) fn add(
        &self,
        sub: Option<u32>,
        kind: PushKind,
        due: Instant,
        timeout: Duration,
    ) -> Option<(u64, Begun)> {
        let nth = self.made.get();
        let mut open = self.open.borrow_mut();
        let room = (OPEN_LIMIT * self.ids.len()).min(OPEN_LIMIT_BEHIND);
        if self.ended.get() || open.len() >= room || u64::from(nth) >> NUMBER_BITS > 0 {
            return None;
        }
        self.made.set(nth + 1);
        let begun = Begun::default();
        open.push(Open {
            nth,
            sub,
            kind,
            due,
            timeout,
            begun: begun.clone(),
            stand: Stand::Waiting,
            read: false,
            replied: None,
        });
        Some((self.first + u64::from(nth), begun))
    }

    /// Its request gets under way, unless the device has ended.
    pub(super) fn ask(&self, number: u64) -> bool {
        self.with(number, |open| open.stand = Stand::Asking)
            .is_some()
    }

    /// What the server made of it.
    pub(super) fn answered(&self, number: u64, verdict: &Verdict) -> Account {
        let mut account = Account::default();
        let Some(position) = self.position(number) else {
            // The device has ended, and it was counted then.
            return account;
        };
        let mut all = self.open.borrow_mut();
        let open = &mut all[position];
        let done = if open.read {
            open.ends_read(verdict, &mut account);
            true
        } else {
            open.goes_on(verdict, &mut account)
        };
        if done {
            all.swap_remove(position);
        }
        self.changed.notify_one();
        account
    }

    /// The device, or one behind it, read a push of that number.
    pub(super) fn read(&self, number: u64, feed: Feed, sub: Option<u32>) -> (Reading, Account) {
        let mut account = Account::default();
        let nth = number
            .checked_sub(self.first)
            .and_then(|nth| u32::try_from(nth).ok());
        let Some(nth) = nth.filter(|nth| *nth < self.made.get()) else {
            return (Reading::Foreign, account);
        };
        let mut all = self.open.borrow_mut();
        let found = all
            .iter()
            .position(|open| open.nth == nth && open.kind.feed() == feed && !open.read);
        let Some(position) = found else {
            return (Reading::Again, account);
        };
        let open = &mut all[position];
        if open.sub != sub {
            // It came to another than it was for.
            return (Reading::Foreign, account);
        }
        open.read = true;
        let counts = open.counts(&mut account);
        (counts.due, counts.sent, counts.received) = (1, 1, 1);
        let read = Read {
            kind: open.kind,
            due: open.due,
            // It cannot have come before its request left; the due time is the safe side.
            begun: open.begun.when().unwrap_or(open.due),
        };
        // Only a request that is still under way has something to say.
        if open.stand != Stand::Asking {
            all.swap_remove(position);
        }
        self.changed.notify_one();
        (Reading::Push(read), account)
    }

    /// What the device answers to a call of that number.
    pub(super) fn reply(&self, number: u64, body: &[u8]) {
        self.with(number, |open| {
            open.replied = serde_json::from_slice(body).ok();
        });
    }

    /// Whether nothing is open that may still come to a good end.
    pub(super) fn is_quiet(&self, now: Instant) -> bool {
        self.open.borrow().iter().all(|open| match open.stand {
            Stand::Waiting | Stand::InDoubt => true,
            Stand::Asking => false,
            Stand::Taken => open.is_over(now),
        })
    }

    /// Resolves when something has become of an open push.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// The device has ended: what is open is counted as what it is.
    pub(super) fn end(&self, now: Instant) -> Account {
        self.ended.set(true);
        let mut account = Account::default();
        for open in self.open.take() {
            open.ends(now, &mut account);
        }
        account
    }

    /// Whether the device has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.get()
    }

    fn position(&self, number: u64) -> Option<usize> {
        let nth = number.checked_sub(self.first)?;
        let open = self.open.borrow();
        open.iter().position(|open| u64::from(open.nth) == nth)
    }

    fn with<R>(&self, number: u64, act: impl FnOnce(&mut Open) -> R) -> Option<R> {
        let position = self.position(number)?;
        Some(act(&mut self.open.borrow_mut()[position]))
    }
}

/// Pushes of one device that may be open at a time.
const OPEN_LIMIT: usize = 64;

/// The most for all behind a gateway together.
const OPEN_LIMIT_BEHIND: usize = 4096;

/// Of a push's number: what counts within a run. The seconds since 1970 before it keep runs apart,
/// and all of it within the whole numbers that JSON's readers keep exactly, until 2038.
const NUMBER_BITS: u32 = 22;
