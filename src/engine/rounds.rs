//! The rounds of a search: which devices start, at which rate, from when on. The coordinator calls
//! them out one after the other, and every worker starts its part.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use crate::metrics::Tried;
use crate::model::DeviceIx;

/// The devices of one trial.
#[derive(Debug)]
pub(super) struct Round {
    /// What is tried.
    pub(super) tried: Tried,
    /// How many of its devices were provisioned while those that count were due.
    provisioned: AtomicU64,
}

impl Round {
    pub(super) fn new(tried: Tried) -> Self {
        Self {
            tried,
            provisioned: AtomicU64::new(0),
        }
    }

    /// All of its devices.
    pub(super) fn devices(&self) -> Range<u32> {
        let Tried {
            first,
            warm_up,
            measured,
            ..
        } = self.tried;
        first..first + warm_up + measured
    }

    /// Those that count.
    pub(super) fn counts(&self) -> Range<u32> {
        self.tried.first + self.tried.warm_up..self.devices().end
    }

    /// When one of its devices is due, since the start of the run.
    pub(super) fn due(&self, ix: DeviceIx) -> Duration {
        let nth = ix.0.saturating_sub(self.tried.first);
        self.tried.begins + Duration::from_secs_f64(f64::from(nth) / self.tried.rate)
    }

    /// When the first of those that count is due.
    pub(super) fn counts_from(&self) -> Duration {
        self.due(DeviceIx(self.counts().start))
    }

    /// One of its devices has its credentials, that long after the start of the run.
    pub(super) fn note_provisioned(&self, at: Duration) {
        let from = self.counts_from();
        if (from..from + self.tried.hold).contains(&at) {
            self.provisioned.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many devices were provisioned while those that count were due.
    pub(super) fn provisioned(&self) -> u64 {
        self.provisioned.load(Ordering::Relaxed)
    }
}

/// What the workers of a search are to do.
#[derive(Clone, Debug)]
pub(super) enum Call {
    /// Wait for the first round.
    Wait,
    /// Start your part of it, then wait for the next.
    Start(Arc<Round>),
    /// There is no other.
    Over,
}

/// A worker's ear.
#[derive(Clone, Debug)]
pub(super) struct Calls(watch::Receiver<Call>);

impl Calls {
    pub(super) fn new(calls: watch::Receiver<Call>) -> Self {
        Self(calls)
    }

    /// The next round, as soon as it is called out; `None` when there is no other. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<Arc<Round>> {
        loop {
            if self.0.changed().await.is_err() {
                return None;
            }
            match &*self.0.borrow_and_update() {
                Call::Wait => {}
                Call::Start(round) => return Some(Arc::clone(round)),
                Call::Over => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TrialPurpose;

    #[test]
    fn a_round_counts_what_is_due_and_done_after_its_warm_up() {
        let second = Duration::from_secs(1);
        let round = Round::new(Tried {
            trial: 1,
            purpose: TrialPurpose::Step,
            rate: 10.0,
            begins: 7 * second,
            hold: 4 * second,
            first: 100,
            warm_up: 10,
            measured: 40,
        });
        assert_eq!(round.devices(), 100..150);
        assert_eq!(round.counts(), 110..150);
        assert_eq!(round.due(DeviceIx(100)), 7 * second);
        assert_eq!(round.counts_from(), 8 * second);
        for (at, counted) in [(7_999, 0), (8_000, 1), (11_999, 2), (12_000, 2)] {
            round.note_provisioned(Duration::from_millis(at));
            assert_eq!(round.provisioned(), counted, "{at} ms");
        }
    }
}
