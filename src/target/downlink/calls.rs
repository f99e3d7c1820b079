//! Server-side RPC: calls, and what becomes of them.

use std::fmt::Write as _;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::{Downlink, Push};
use crate::target::gson::quote;
use crate::target::pending::Ticket;

/// What a device is asked to do.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::target) struct Call {
    method: String,
    /// JSON.
    params: String,
}

/// What became of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::target) enum Answered {
    /// One-way: a session was given it.
    Sent,
    /// The device's reply: any text.
    Reply(String),
    /// A session was given it, and no reply came in time.
    Timeout,
    /// Nobody listened for it in time.
    NoActiveConnection,
    /// Too many calls wait already.
    NoRoom,
}

/// A call that waits for a listener or for its reply.
pub(super) struct Waiting {
    pub(super) id: i32,
    pub(super) call: Arc<Call>,
    pub(super) oneway: bool,
    /// Whether a session was given it.
    pub(super) sent: bool,
    pub(super) answer: oneshot::Sender<Answered>,
    pub(super) _place: Ticket,
}

impl Call {
    /// Parameters are JSON.
    pub(in crate::target) fn new(method: &str, params: impl Into<String>) -> Self {
        Self {
            method: method.to_owned(),
            params: params.into(),
        }
    }

    /// As devices get it, in the platform's order.
    pub(super) fn json(&self, id: Option<i32>) -> String {
        let mut json = String::from("{");
        if let Some(id) = id {
            let _ = write!(json, "\"id\":{id},");
        }
        json.push_str("\"method\":");
        quote(&self.method, &mut json);
        json.push_str(",\"params\":");
        json.push_str(&self.params);
        json.push('}');
        json
    }

    pub(super) fn size(&self) -> usize {
        self.method.len() + self.params.len()
    }
}

impl Waiting {
    /// As its device gets it.
    pub(super) fn push(&self) -> Push {
        Push::Call(self.id, Arc::clone(&self.call))
    }
}

impl Downlink {
    /// The next call's id.
    pub(super) fn id(&mut self) -> i32 {
        let id = self.next_id;
        self.next_id = id.checked_add(1).unwrap_or(0);
        id
    }

    /// Whether nothing would be lost without it: nobody waits, and no id was ever given.
    pub(super) fn is_unused(&self) -> bool {
        self.next_id == 0 && self.calls.is_empty() && self.polls.is_empty()
    }

    /// Takes a call out.
    pub(super) fn take(&mut self, id: i32) -> Option<Waiting> {
        let at = self.calls.iter().position(|waiting| waiting.id == id)?;
        Some(self.calls.remove(at))
    }
}
