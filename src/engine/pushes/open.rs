//! A push without an end, and what each end makes of it.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::metrics::{DownlinkCounts, PushCounts};
use crate::model::{FaultKind, Feed, Phase};
use crate::rest::Begun;
use crate::scenario::PushKind;

/// A push without an end.
pub(super) struct Open {
    /// Its position among the device's.
    pub(super) nth: u32,
    /// Whom behind the device it is for, if the device is a gateway.
    pub(super) sub: Option<u32>,
    pub(super) kind: PushKind,
    pub(super) due: Instant,
    pub(super) timeout: Duration,
    pub(super) begun: Begun,
    pub(super) stand: Stand,
    /// The device read it.
    pub(super) read: bool,
    /// What it answered.
    pub(super) replied: Option<Value>,
}

/// How far a push has come on the server's side.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stand {
    /// The request waits for its place.
    Waiting,
    /// The request is under way.
    Asking,
    /// The server took it.
    Taken,
    /// Nobody knows.
    InDoubt,
}

/// What the server made of a request.
#[derive(Debug)]
pub(in crate::engine) enum Verdict {
    /// It took the push; of a two-way call, with the answer.
    Taken(Vec<u8>),
    /// It took the call, and nobody answered.
    Unanswered(FaultKind),
    /// It said no.
    Refused(FaultKind),
    /// The request never left.
    NotSent(FaultKind),
    /// Whether it took it is not known.
    Unknown(FaultKind),
}

/// What is to be recorded of a push.
#[derive(Debug, Default)]
pub(in crate::engine) struct Account {
    pub(in crate::engine) counts: DownlinkCounts,
    /// Steps that were not completed, and why.
    pub(in crate::engine) troubles: Vec<(Phase, FaultKind)>,
    /// The two-way call that was answered: when it was due, and when its request began to leave.
    pub(in crate::engine) round_trip: Option<(Instant, Instant)>,
}

impl Open {
    /// Its request is answered, and the device had it before.
    pub(super) fn ends_read(&self, verdict: &Verdict, account: &mut Account) {
        let two_way = self.kind == PushKind::Rpc;
        match verdict {
            Verdict::Taken(_) if !two_way => {}
            Verdict::Taken(answer) => {
                let answer: Option<Value> = serde_json::from_slice(answer).ok();
                if answer.is_some() && answer == self.replied {
                    let begun = self.begun.when().unwrap_or(self.due);
                    account.round_trip = Some((self.due, begun));
                } else {
                    let trouble = (Phase::RpcRoundTrip, FaultKind::ForeignAnswer);
                    account.troubles.push(trouble);
                }
            }
            Verdict::Unanswered(kind)
            | Verdict::Refused(kind)
            | Verdict::NotSent(kind)
            | Verdict::Unknown(kind) => account.troubles.push((self.asked(), *kind)),
        }
    }

    /// Its request is answered, and the device does not have it yet. Whether that is its end.
    pub(super) fn goes_on(&mut self, verdict: &Verdict, account: &mut Account) -> bool {
        match verdict {
            Verdict::Taken(_) => {
                self.stand = Stand::Taken;
                if self.kind == PushKind::Rpc {
                    // Whoever answered, it was not this device.
                    let trouble = (Phase::RpcRoundTrip, FaultKind::ForeignAnswer);
                    account.troubles.push(trouble);
                }
                false
            }
            Verdict::Unanswered(kind) => {
                self.stand = Stand::Taken;
                account.troubles.push((self.asked(), *kind));
                false
            }
            Verdict::Unknown(kind) => {
                self.stand = Stand::InDoubt;
                account.troubles.push((self.asked(), *kind));
                false
            }
            Verdict::Refused(kind) => {
                let counts = self.counts(account);
                (counts.due, counts.refused) = (1, 1);
                account.troubles.push((self.asked(), *kind));
                true
            }
            Verdict::NotSent(kind) => {
                let counts = self.counts(account);
                (counts.due, counts.skipped) = (1, 1);
                account.troubles.push((self.asked(), *kind));
                true
            }
        }
    }

    /// The device has ended.
    pub(super) fn ends(&self, now: Instant, account: &mut Account) {
        let phase = phase(self.kind);
        if self.read {
            // Counted; its request is still under way.
            if self.kind == PushKind::Rpc {
                account
                    .troubles
                    .push((Phase::RpcRoundTrip, FaultKind::CutOff));
            }
            return;
        }
        let not_sent = self.begun.when().is_none();
        let counts = self.counts(account);
        counts.due += 1;
        match self.stand {
            Stand::Waiting => counts.skipped += 1,
            Stand::Asking if not_sent => counts.skipped += 1,
            Stand::Asking => {
                counts.sent += 1;
                counts.in_doubt += 1;
                account.troubles.push((self.asked(), FaultKind::CutOff));
            }
            // Its fault is counted already.
            Stand::InDoubt => {
                counts.sent += 1;
                counts.in_doubt += 1;
            }
            Stand::Taken if self.is_over(now) => {
                counts.sent += 1;
                counts.lost += 1;
                account.troubles.push((phase, FaultKind::Undelivered));
            }
            Stand::Taken => {
                counts.sent += 1;
                counts.in_doubt += 1;
                account.troubles.push((phase, FaultKind::CutOff));
            }
        }
    }

    /// Whether it has had the time that it may take.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.begun
            .when()
            .is_none_or(|begun| now >= begun + self.timeout)
    }

    /// The phase that the request over REST belongs to.
    fn asked(&self) -> Phase {
        match self.kind {
            PushKind::Rpc => Phase::RpcRoundTrip,
            kind => phase(kind),
        }
    }

    pub(super) fn counts<'a>(&self, account: &'a mut Account) -> &'a mut PushCounts {
        pushes(&mut account.counts, self.kind)
    }
}

/// The counts of a kind of push.
pub(in crate::engine) fn pushes(counts: &mut DownlinkCounts, kind: PushKind) -> &mut PushCounts {
    match kind.feed() {
        Feed::Attributes => &mut counts.attributes,
        Feed::Rpc => &mut counts.rpc,
    }
}

/// The phase of a push's way to its device.
pub(in crate::engine) fn phase(kind: PushKind) -> Phase {
    match kind.feed() {
        Feed::Attributes => Phase::AttributeUpdate,
        Feed::Rpc => Phase::ServerRpc,
    }
}
