//! What a device is sent and how it answers: shared attributes, calls of its methods; what it asks
//! the server itself; its claim.

use std::collections::VecDeque;
use std::rc::Rc;

use bytes::Bytes;
use tokio::time::Instant;

use super::{Device, InFlight};
use crate::dialect::{Call, Heard};
use crate::engine::pushes::{Pushes, Reading, phase};
use crate::inventory::Speaker;
use crate::life::reply_delay;
use crate::metrics::{DownlinkCounts, ReplyCounts};
use crate::model::{FaultKind, Feed, Phase};
use crate::payload::Asked;
use crate::scenario::DownlinkPlan;
use crate::transport::{Connection, Delivery, Standing};

/// What a device that takes part holds for it. Boxed: others hold nothing.
#[derive(Default)]
pub(super) struct Downlink {
    /// Where the operator's pushes meet it, if it gets any.
    pushes: Option<Rc<Pushes>>,
    /// Answers to calls, the next one first.
    replies: VecDeque<Reply>,
    /// Calls that it read.
    calls: u32,
}

/// An answer that is to be given.
struct Reply {
    due: Instant,
    /// Of the call.
    id: u64,
    body: Bytes,
}

impl<'a> Device<'a> {
    fn downlink_plan(&self) -> Option<&'a DownlinkPlan> {
        self.worker.fleet.plan.downlink.as_ref()
    }

    /// From now on it is pushed to.
    pub(super) fn join(&mut self) {
        if let (Some(downlink), Some(operator)) = (&mut self.downlink, &self.worker.operator) {
            downlink.pushes = operator.join(self.worker.shared(), self.ix);
        }
    }

    /// Asks the server to send what it has, over the connection that was ready then. Returns when
    /// that was done.
    pub(super) async fn listen(&mut self, ready: Instant) -> Instant {
        let Some(plan) = self.downlink_plan().filter(|plan| !plan.feeds.is_empty()) else {
            return ready;
        };
        let Some(credentials) = &self.credentials else {
            return ready;
        };
        let dialect = self.worker.fleet.dialect(self.ix);
        let subscriptions =
            dialect.subscriptions(self.transport(), credentials, &plan.feeds, plan.hold);
        let Some(subscriptions) = subscriptions else {
            self.trouble(Phase::Subscribe, FaultKind::CredentialsUnusable);
            return ready;
        };
        let Some(connection) = &mut self.connection else {
            return ready;
        };
        self.step = Phase::Subscribe;
        let subscribed = connection.subscribe(&subscriptions).await;
        self.step = Phase::Telemetry;
        match subscribed {
            Ok(subscribed) => {
                if let Some(span) = &subscribed.span {
                    self.sample(Phase::Subscribe, ready, span);
                }
                if let Some(kind) = subscribed.refused {
                    self.trouble(Phase::Subscribe, kind);
                }
            }
            Err(fault) => {
                self.trouble(Phase::Subscribe, fault.kind);
                self.lose();
            }
        }
        Instant::now()
    }

    /// Takes in what came.
    pub(super) fn hear(&mut self, delivery: &Delivery) {
        let heard = self
            .worker
            .fleet
            .dialect(self.ix)
            .heard(&delivery.source, &delivery.body);
        let mut counts = DownlinkCounts {
            overtaken: u64::from(delivery.standing == Standing::Overtaken),
            ..DownlinkCounts::default()
        };
        match heard {
            Ok(Heard::Nothing) => {}
            Ok(Heard::Attributes(number)) => {
                let state = delivery.standing == Standing::State;
                self.pushed(number, Feed::Attributes, delivery.read, state, &mut counts);
            }
            Ok(Heard::Call(call)) => {
                self.pushed(call.push, Feed::Rpc, delivery.read, false, &mut counts);
                self.called(&call, delivery.read);
            }
            Ok(Heard::Late) => counts.unasked += 1,
            Err(_) => counts.garbled += 1,
        }
        self.count_downlink(&counts);
    }

    /// Settles what was read against what was pushed. What an observation begins with is no push of
    /// its own: it may be the first that the device hears of one, or nothing new.
    fn pushed(
        &self,
        number: Option<u64>,
        feed: Feed,
        read: Instant,
        state: bool,
        counts: &mut DownlinkCounts,
    ) {
        let pushes = self.downlink.as_ref().and_then(|own| own.pushes.as_ref());
        let reading = match (number, pushes) {
            (Some(number), Some(pushes)) => {
                let (reading, account) = pushes.read(number, feed);
                self.worker.account(self.cohort, &account);
                reading
            }
            _ => Reading::Foreign,
        };
        match reading {
            Reading::Push(push) => {
                self.sample_span(phase(push.kind), push.due, push.begun, read);
            }
            _ if state => {}
            Reading::Again => counts.duplicates += 1,
            Reading::Foreign => counts.unasked += 1,
        }
    }

    /// A call is to be answered.
    fn called(&mut self, call: &Call, read: Instant) {
        let worker = self.worker;
        let (fleet, name) = (&worker.fleet, worker.fleet.name(self.ix));
        let (Some(plan), Some(own)) = (&fleet.plan.downlink, &mut self.downlink) else {
            return;
        };
        let nth = own.calls;
        own.calls = nth.wrapping_add(1);
        let asked = Asked {
            id: call.id,
            method: &call.method,
            params: &call.params,
        };
        let Ok(body) = plan
            .reply
            .answer(&Speaker::listed(&fleet.inventory, self.ix), &asked)
        else {
            self.trouble(Phase::RpcReply, FaultKind::PayloadUnusable);
            return;
        };
        if let (Some(number), Some(pushes)) = (call.push, &own.pushes) {
            pushes.reply(number, &body);
        }
        let wait = plan
            .delay
            .map(|delay| reply_delay(delay, fleet.plan.seed, name, nth));
        let reply = Reply {
            due: read + wait.unwrap_or_default(),
            id: call.id,
            body,
        };
        if own.replies.len() < REPLIES_LIMIT {
            let after = own.replies.partition_point(|other| other.due <= reply.due);
            own.replies.insert(after, reply);
        }
        self.count_replies(ReplyCounts {
            due: 1,
            ..ReplyCounts::default()
        });
    }

    /// When the next answer is due, if it can be given.
    pub(super) fn reply_due(&self) -> Option<Instant> {
        self.connection.as_ref()?;
        let own = self.downlink.as_ref()?;
        own.replies.front().map(|reply| reply.due)
    }

    /// Gives the next answer.
    pub(super) async fn answer(&mut self) {
        let Some(reply) = self
            .downlink
            .as_mut()
            .and_then(|own| own.replies.pop_front())
        else {
            return;
        };
        let dialect = self.worker.fleet.dialect(self.ix);
        let over = self.cohort().transport;
        let credentials = self.credentials.as_ref().expect("it is provisioned");
        let Some(request) = dialect.reply_request(over, credentials, reply.id, reply.body) else {
            self.trouble(Phase::RpcReply, FaultKind::CredentialsUnusable);
            return;
        };
        let Some(connection) = &mut self.connection else {
            return;
        };
        (self.step, self.in_flight) = (Phase::RpcReply, InFlight::Reply);
        let exchanged = connection.exchange(&request).await;
        (self.step, self.in_flight) = (Phase::Telemetry, InFlight::Nothing);
        let mut counts = ReplyCounts {
            sent: 1,
            ..ReplyCounts::default()
        };
        match exchanged {
            Ok(exchanged) => match dialect.telemetry_answer(&exchanged.reply) {
                Ok(acked) => {
                    counts.acked = u64::from(acked);
                    if acked {
                        self.sample(Phase::RpcReply, reply.due, &exchanged.span);
                    }
                }
                Err(kind) => {
                    counts.lost = 1;
                    self.trouble(Phase::RpcReply, kind);
                }
            },
            Err(fault) => {
                (counts.sent, counts.lost) = (u64::from(fault.sent), u64::from(fault.sent));
                self.trouble(Phase::RpcReply, fault.kind);
                self.lose();
            }
        }
        self.count_replies(counts);
    }

    /// Takes in what its connection still holds, before that goes.
    pub(super) fn hear_the_rest(&mut self) {
        if self.downlink.is_none() {
            return;
        }
        while let Some(delivery) = self.next_delivery() {
            self.hear(&delivery);
        }
        self.hear_of_missed();
    }

    fn next_delivery(&mut self) -> Option<Delivery> {
        self.connection.as_mut()?.take_delivery()
    }

    /// Counts what found no room.
    pub(super) fn hear_of_missed(&mut self) {
        let missed = self.connection.as_mut();
        let missed = missed.map_or(0, Connection::take_missed);
        if missed > 0 {
            self.count_downlink(&DownlinkCounts {
                missed: u64::from(missed),
                ..DownlinkCounts::default()
            });
        }
    }

    /// What it was to answer is forgotten with its memory.
    pub(super) fn forget_calls(&mut self) {
        if let Some(own) = &mut self.downlink {
            own.replies = VecDeque::new();
        }
    }

    /// Whether nothing is under way that it has to wait for before it leaves.
    pub(super) fn is_quiet(&self) -> bool {
        let Some(own) = &self.downlink else {
            return true;
        };
        let now = Instant::now();
        let owes = self.connection.is_some() && !own.replies.is_empty();
        !owes
            && own
                .pushes
                .as_ref()
                .is_none_or(|pushes| pushes.is_quiet(now))
    }

    /// Resolves when something has become of an open push; never without any.
    pub(super) fn pushes_changed(&self) -> impl Future<Output = ()> + use<> {
        let pushes = self.downlink.as_ref().and_then(|own| own.pushes.clone());
        async move {
            match pushes {
                Some(pushes) => pushes.changed().await,
                None => std::future::pending().await,
            }
        }
    }

    /// It has ended: whatever is open is counted as what it is.
    pub(super) fn end_pushes(&mut self) {
        if let Some(pushes) = self.downlink.as_ref().and_then(|own| own.pushes.clone()) {
            let account = pushes.end(Instant::now());
            self.worker.account(self.cohort, &account);
        }
    }

    pub(super) fn count_replies(&self, replies: ReplyCounts) {
        self.count_downlink(&DownlinkCounts {
            replies,
            ..DownlinkCounts::default()
        });
    }

    fn count_downlink(&self, counts: &DownlinkCounts) {
        if !counts.is_empty() {
            let mut recorder = self.worker.recorder.borrow_mut();
            recorder.downlink(self.cohort, counts);
        }
    }
}

/// Calls that a device keeps in mind; it does not answer more at a time.
const REPLIES_LIMIT: usize = 64;
