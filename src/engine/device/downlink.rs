//! What a device is sent and how it answers: shared attributes, calls of its methods.

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
    /// Calls of its own that had their turn.
    pub(super) asked: u32,
    /// Its claim went out, or there is none.
    pub(super) claimed: bool,
}

/// An answer that is to be given.
struct Reply {
    due: Instant,
    /// Of the call.
    id: u64,
    /// Whose it is, if it is not the device's own.
    sub: Option<u32>,
    body: Bytes,
}

impl<'a> Device<'a> {
    pub(super) fn downlink_plan(&self) -> Option<&'a DownlinkPlan> {
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
        let Some(credentials) = self.credentials.as_deref() else {
            return ready;
        };
        let dialect = self.worker.fleet.dialect(self.ix);
        let subscriptions = if self.behind.is_some() {
            Some(dialect.gateway_subscriptions(&plan.feeds))
        } else {
            dialect.subscriptions(self.transport(), credentials, &plan.feeds, plan.hold)
        };
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
        if self.behind.is_some() {
            return self.hear_behind(delivery);
        }
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
            Ok(heard) => self.take_in(&heard, None, delivery, &mut counts),
            Err(_) => counts.garbled += 1,
        }
        self.count_downlink(&counts);
        self.resume();
    }

    /// Asks for the next call once it owes no answer.
    fn resume(&mut self) {
        let owes = self.downlink.as_ref().map(|own| own.replies.len());
        if let (Some(0), Some(connection)) = (owes, &mut self.connection) {
            connection.resume();
        }
    }

    /// Takes in what is for the device, or for the one at that position behind it.
    pub(super) fn take_in(
        &mut self,
        heard: &Heard,
        sub: Option<u32>,
        delivery: &Delivery,
        counts: &mut DownlinkCounts,
    ) {
        match heard {
            Heard::Nothing => {}
            Heard::Attributes(number) => {
                self.pushed((*number, sub), Feed::Attributes, delivery, counts);
            }
            Heard::Call(call) => {
                self.pushed((call.push, sub), Feed::Rpc, delivery, counts);
                self.called(call, sub, delivery.read);
            }
            Heard::Late => counts.unasked += 1,
        }
    }

    /// Settles what was read against what was pushed. What an observation begins with is no push of
    /// its own: it may be the first that the device hears of one, or nothing new.
    fn pushed(
        &self,
        (number, sub): (Option<u64>, Option<u32>),
        feed: Feed,
        delivery: &Delivery,
        counts: &mut DownlinkCounts,
    ) {
        let (read, state) = (delivery.read, delivery.standing == Standing::State);
        let pushes = self.downlink.as_ref().and_then(|own| own.pushes.as_ref());
        let reading = match (number, pushes) {
            (Some(number), Some(pushes)) => {
                let (reading, account) = pushes.read(number, feed, sub);
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
    fn called(&mut self, call: &Call, sub: Option<u32>, read: Instant) {
        let fleet = &self.worker.fleet;
        let plan = fleet.plan.downlink.as_ref();
        let (Some(plan), Some(name), Some(own)) = (
            // What is behind a gateway may be called without having asked for it.
            plan.filter(|plan| plan.has(Feed::Rpc)),
            fleet.name_of(self.ix, sub),
            &mut self.downlink,
        ) else {
            return;
        };
        let speaker = Speaker {
            inventory: &fleet.inventory,
            ix: self.ix,
            name: &name,
            sub,
        };
        let nth = own.calls;
        own.calls = nth.wrapping_add(1);
        let asked = Asked {
            id: call.id,
            method: &call.method,
            params: &call.params,
        };
        let Ok(body) = plan.reply.answer(&speaker, &asked) else {
            self.trouble(Phase::RpcReply, FaultKind::PayloadUnusable);
            return;
        };
        if let (Some(number), Some(pushes)) = (call.push, &own.pushes) {
            pushes.reply(number, &body);
        }
        let wait = plan
            .delay
            .map(|delay| reply_delay(delay, fleet.plan.seed, &name, nth));
        let reply = Reply {
            due: read + wait.unwrap_or_default(),
            id: call.id,
            sub,
            body,
        };
        let room = match sub {
            None => REPLIES_LIMIT,
            Some(_) => REPLIES_LIMIT_BEHIND,
        };
        if own.replies.len() < room {
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
        let request = if let Some(sub) = reply.sub {
            let name = self.name_behind(sub);
            name.map(|name| dialect.gateway_reply(&name, reply.id, &reply.body))
        } else {
            let over = self.cohort().transport;
            let credentials = self.credentials.as_deref().expect("it is provisioned");
            dialect.reply_request(over, credentials, reply.id, reply.body)
        };
        let Some(request) = request else {
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
        self.resume();
    }

    /// Takes in what its connection still holds, before that goes.
    pub(super) fn hear_the_rest(&mut self) {
        if self.downlink.is_none() && self.behind.is_none() {
            return;
        }
        self.hear_waiting();
        self.hear_of_missed();
        self.count_strays();
    }

    /// Takes in what came and waits.
    pub(super) fn hear_waiting(&mut self) {
        let next = |device: &mut Self| device.connection.as_mut()?.take_delivery();
        while let Some(delivery) = next(self) {
            self.hear(&delivery);
        }
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

    pub(super) fn count_downlink(&self, counts: &DownlinkCounts) {
        if !counts.is_empty() {
            let mut recorder = self.worker.recorder_of(self.ix);
            recorder.downlink(self.cohort, counts);
        }
    }
}

/// Calls that a device keeps in mind; it does not answer more at a time.
const REPLIES_LIMIT: usize = 64;

/// The same for all behind a gateway together.
const REPLIES_LIMIT_BEHIND: usize = 1024;
