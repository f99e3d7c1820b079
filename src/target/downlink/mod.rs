//! What the server says to devices unasked: shared attributes that changed, and calls of
//! server-side RPC (sections 6.1 to 6.3).
//!
//! Whoever makes such a message hands it over and goes on: it lies in the `mailbox` of the session
//! where the device is present, or ends a long poll. Nobody keeps an update for a device that does
//! not listen; a call is kept until its time is over, as in the platform. A full mailbox takes no
//! more, and that is counted.

mod calls;
mod delivery;
mod mailbox;
mod polls;
mod presence;

use std::sync::Arc;

pub(super) use calls::{Answered, Call};
pub(super) use mailbox::{Addressee, Letter, Mailbox, What};
pub(super) use presence::{Ending, Presence, Route, Wants};

use calls::Waiting;
use polls::Polls;

use super::gson::quote;

/// One message down to a device. A copy is cheap: several may listen for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Push {
    /// Shared attributes as JSON: those that have new values, or `{"deleted":[…]}`.
    Update(Arc<str>),
    /// A call, with the id that its reply has to name.
    Call(i32, Arc<Call>),
}

/// What a device may listen for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interest {
    Updates,
    Calls,
}

/// What a device has to do with the downlink beyond its session; few devices have it.
#[derive(Default)]
pub(super) struct Downlink {
    /// The id of the next call: the platform counts from 0 for each device.
    next_id: i32,
    /// Calls that nobody has answered yet, the oldest first.
    calls: Vec<Waiting>,
    polls: Polls,
}

impl Push {
    /// What it is to who listens.
    pub(super) fn interest(&self) -> Interest {
        match self {
            Self::Update(_) => Interest::Updates,
            Self::Call(..) => Interest::Calls,
        }
    }

    /// The body where the id is said elsewhere, as in an MQTT topic.
    pub(super) fn body(&self) -> String {
        match self {
            Self::Update(update) => update.to_string(),
            Self::Call(_, call) => call.json(None),
        }
    }

    /// The body where it has to say all, as over HTTP and CoAP.
    pub(super) fn body_with_id(&self) -> String {
        match self {
            Self::Update(update) => update.to_string(),
            Self::Call(id, call) => call.json(Some(*id)),
        }
    }

    /// The body as a gateway hears it for one of its devices (section 6.5).
    pub(super) fn body_for_gateway(&self, device: &str) -> String {
        let mut body = String::from("{\"device\":");
        quote(device, &mut body);
        body.push_str(",\"data\":");
        body.push_str(&self.body_with_id());
        body.push('}');
        body
    }

    /// About what it takes in memory, bytes.
    fn size(&self) -> usize {
        match self {
            Self::Update(update) => update.len(),
            Self::Call(_, call) => call.size(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_listener_gets_the_form_of_its_transport() {
        let update = Push::Update(r#"{"k":1}"#.into());
        assert_eq!(update.body(), r#"{"k":1}"#);
        assert_eq!(update.body_with_id(), r#"{"k":1}"#);
        assert_eq!(
            update.body_for_gateway("A\""),
            r#"{"device":"A\"","data":{"k":1}}"#
        );
        let call = Push::Call(7, Arc::new(Call::new("set \"x\"", "[1,{}]")));
        assert_eq!(call.body(), r#"{"method":"set \"x\"","params":[1,{}]}"#);
        assert_eq!(
            call.body_with_id(),
            r#"{"id":7,"method":"set \"x\"","params":[1,{}]}"#
        );
        assert_eq!(
            call.body_for_gateway("A"),
            r#"{"device":"A","data":{"id":7,"method":"set \"x\"","params":[1,{}]}}"#
        );
    }
}
