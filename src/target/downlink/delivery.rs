//! Handing messages over: who makes them meets who listens, under the device's lock, so that a
//! device hears updates in the order in which they were kept.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::calls::Waiting;
use super::{Answered, Call, Ending, Interest, Mailbox, Presence, Push, Route, Wants};
use crate::target::administered::now;
use crate::target::backend::Backend;
use crate::target::counts::{add, bump};
use crate::target::device::{Device, Live};

impl Backend {
    /// Gives a device shared attributes, and says so to whoever listens.
    pub(in crate::target) fn share(&self, device: &Arc<Device>, mut values: Map<String, Value>) {
        let update = Value::Object(values.clone()).to_string();
        let mut live = device.live();
        let held = live.administered.get_or_insert_default();
        held.shared.append(&mut values);
        held.written = now();
        self.hand_over(device, &mut live, &Push::Update(update.into()));
    }

    /// Takes shared attributes from a device, and says so to whoever listens, whether or not it had
    /// them.
    pub(in crate::target) fn unshare(&self, device: &Arc<Device>, keys: &[&str]) {
        let update = json!({"deleted": keys}).to_string();
        let mut live = device.live();
        if let Some(held) = live.administered.as_deref_mut() {
            held.shared.retain(|key, _| !keys.contains(&key.as_str()));
        }
        self.hand_over(device, &mut live, &Push::Update(update.into()));
    }

    /// Calls a device and waits for what becomes of it. Who stops waiting withdraws the call.
    pub(in crate::target) async fn call(
        &self,
        device: &Arc<Device>,
        call: Call,
        oneway: bool,
        patience: Duration,
    ) -> Answered {
        let Some(place) = self.calls.ticket() else {
            return Answered::NoRoom;
        };
        bump(&self.tally.rpc_calls);
        let (answer, mut answered) = oneshot::channel();
        let id = {
            let mut live = device.live();
            let id = live.downlink.get_or_insert_default().id();
            let call = Arc::new(call);
            let sent = self.hand_over(device, &mut live, &Push::Call(id, Arc::clone(&call)));
            if oneway && sent {
                return Answered::Sent;
            }
            let waiting = Waiting {
                id,
                call,
                oneway,
                sent,
                answer,
                _place: place,
            };
            live.downlink.get_or_insert_default().calls.push(waiting);
            id
        };
        let waiting = Withdraw { device, id };
        if let Ok(Ok(answered)) = timeout(patience, &mut answered).await {
            return answered;
        }
        let left = waiting.take();
        // An answer may have come just now.
        let answered = answered.try_recv().ok();
        answered.unwrap_or(match left {
            Some(waiting) if !waiting.sent => {
                bump(&self.tally.rpc_offline);
                Answered::NoActiveConnection
            }
            _ => {
                bump(&self.tally.rpc_timeouts);
                Answered::Timeout
            }
        })
    }

    /// Takes a device's reply in; what no call waits for is counted and forgotten.
    pub(in crate::target) fn reply(&self, device: &Device, id: i32, payload: &[u8]) {
        let reply = String::from_utf8_lossy(payload).into_owned();
        let waiting = device
            .live()
            .downlink
            .as_mut()
            .and_then(|held| held.take(id));
        let taken = waiting.is_some_and(|w| w.answer.send(Answered::Reply(reply)).is_ok());
        bump(if taken {
            &self.tally.rpc_replies
        } else {
            &self.tally.rpc_stale
        });
    }

    /// Sets what a device listens for where it is reached; false if it is reached elsewhere by now.
    /// With `calls` it is given the calls that still wait, as at each subscription.
    pub(in crate::target) fn listen(
        &self,
        device: &Arc<Device>,
        (mailbox, route): (&Arc<Mailbox>, Route),
        wants: Wants,
        calls: bool,
    ) -> bool {
        let mut live = device.live();
        let Live {
            presence, downlink, ..
        } = &mut *live;
        let Some(presence) = presence.as_mut().filter(|p| p.is(mailbox, route)) else {
            return false;
        };
        presence.wants = wants;
        if let Some(downlink) = downlink.as_mut().filter(|_| calls) {
            for waiting in std::mem::take(&mut downlink.calls) {
                if presence.push(device, waiting.push()) {
                    bump(&self.tally.rpc_delivered);
                    downlink.calls.extend(waiting.sent());
                } else {
                    bump(&self.tally.pushes_dropped);
                    downlink.calls.push(waiting);
                }
            }
        }
        true
    }

    /// Tells where a device was before that it is reached elsewhere now.
    pub(in crate::target) fn taken_over(&self, before: Presence, device: &Arc<Device>) {
        bump(&self.tally.taken_over);
        before.end(device, Ending::TakenOver);
    }

    /// Waits for the next message of a kind, as a long poll does; for calls, one that still waits
    /// comes at once, the same again until it has its reply.
    pub(in crate::target) async fn poll(
        &self,
        device: &Arc<Device>,
        interest: Interest,
        patience: Duration,
    ) -> Option<Push> {
        let (number, push) = {
            let mut live = device.live();
            let downlink = live.downlink.get_or_insert_default();
            if interest == Interest::Calls && !downlink.calls.is_empty() {
                let first = downlink.calls.remove(0);
                let push = first.push();
                if let Some(first) = first.sent() {
                    downlink.calls.insert(0, first);
                }
                bump(&self.tally.rpc_delivered);
                return Some(push);
            }
            downlink.polls.begin(interest)
        };
        let _leave = Leave { device, number };
        timeout(patience, push).await.ok()?.ok()
    }

    /// Gives a message to whoever listens; whether somebody got it.
    fn hand_over(&self, device: &Arc<Device>, live: &mut Live, push: &Push) -> bool {
        let interest = push.interest();
        let mut heard = 0;
        if let Some(presence) = live.presence.as_ref().filter(|p| p.wants.has(interest)) {
            if presence.push(device, push.clone()) {
                heard += 1;
            } else {
                bump(&self.tally.pushes_dropped);
            }
        }
        if let Some(downlink) = &mut live.downlink {
            heard += downlink.polls.end(push);
        }
        let counter = match interest {
            Interest::Updates => &self.tally.attribute_updates,
            Interest::Calls => &self.tally.rpc_delivered,
        };
        add(counter, heard as u64);
        heard > 0
    }
}

impl Waiting {
    /// A session was given it: a two-way call goes on waiting.
    fn sent(mut self) -> Option<Self> {
        self.sent = true;
        if self.oneway {
            let _ = self.answer.send(Answered::Sent);
            return None;
        }
        Some(self)
    }
}

/// Takes a call back when its caller is gone.
struct Withdraw<'d> {
    device: &'d Arc<Device>,
    id: i32,
}

impl Withdraw<'_> {
    fn take(&self) -> Option<Waiting> {
        self.device
            .live()
            .downlink
            .as_mut()
            .and_then(|held| held.take(self.id))
    }
}

impl Drop for Withdraw<'_> {
    fn drop(&mut self) {
        self.take();
    }
}

/// Leaves a poll when its client is gone.
struct Leave<'d> {
    device: &'d Arc<Device>,
    number: u64,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        let mut live = self.device.live();
        if let Some(downlink) = &mut live.downlink {
            downlink.polls.leave(self.number);
        }
        // A fleet that only polls is not to hold what it does not need.
        live.downlink.take_if(|downlink| downlink.is_unused());
    }
}
