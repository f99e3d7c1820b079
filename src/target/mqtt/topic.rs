//! The topics and topic filters of the device API. Only these exact forms exist: there is no
//! general routing and no matching of wildcards.

use rumqttc::mqttbytes::QoS;

use super::session::granted;
use crate::target::downlink::Wants;

/// What a publish of a device means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meaning<'a> {
    Telemetry,
    Attributes,
    /// Asks for attributes; the reply goes to this topic, under this subscription.
    AttributeRequest(Reply<'a>),
    /// Answers a server-side RPC with this id.
    RpcReply(&'a str),
    /// Asks the server, with this id.
    Rpc(Reply<'a>),
    Claim,
    /// Asks for a part of firmware or software; errors go to this topic.
    Package(&'static str),
    /// Gateway API: silently nothing for a device that is no gateway.
    Gateway,
    /// A protobuf topic: the profile has no schema, so its payload is never decodable.
    Protobuf,
    Unknown,
}

/// Where a reply goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply<'a> {
    pub(super) id: &'a str,
    /// The reply topic is this and the id.
    pub(super) prefix: &'static str,
    /// The filter that a subscriber of it has.
    pub(super) filter: &'static str,
}

/// Finds the meaning of a topic.
pub(super) fn meaning(topic: &str) -> Meaning<'_> {
    match topic {
        "v1/devices/me/telemetry" | "v2/t" | "v2/t/j" => return Meaning::Telemetry,
        "v1/devices/me/attributes" | "v2/a" | "v2/a/j" => return Meaning::Attributes,
        "v1/devices/me/claim" => return Meaning::Claim,
        "v2/t/p" | "v2/a/p" => return Meaning::Protobuf,
        _ if topic.starts_with("v1/gateway") => return Meaning::Gateway,
        _ => {}
    }
    if PROTOBUF.iter().any(|prefix| topic.starts_with(prefix)) {
        return Meaning::Protobuf;
    }
    // The longer form of two goes first.
    for (prefix, reply, filter) in ATTRIBUTE_REQUESTS {
        if let Some(id) = topic.strip_prefix(prefix) {
            let prefix = reply;
            return Meaning::AttributeRequest(Reply { id, prefix, filter });
        }
    }
    for (prefix, reply, filter) in RPC_REQUESTS {
        if let Some(id) = topic.strip_prefix(prefix) {
            let prefix = reply;
            return Meaning::Rpc(Reply { id, prefix, filter });
        }
    }
    for prefix in RPC_REPLIES {
        if let Some(id) = topic.strip_prefix(prefix) {
            return Meaning::RpcReply(id);
        }
    }
    match package(topic) {
        Some("fw") => Meaning::Package("v2/fw/error"),
        Some("sw") => Meaning::Package("v2/sw/error"),
        _ => Meaning::Unknown,
    }
}

/// `v2/fw/request/{id}/chunk/{n}`, and the same with `sw`.
fn package(topic: &str) -> Option<&str> {
    let mut parts = topic.split('/');
    let kind = (parts.next() == Some("v2")).then(|| parts.next())??;
    let fits = parts.next() == Some("request")
        && parts.next().is_some_and(|id| !id.is_empty())
        && parts.next() == Some("chunk")
        && parts.next().is_some_and(|n| n.parse::<u32>().is_ok())
        && parts.next().is_none();
    fits.then_some(kind)
}

/// Which known filters a session subscribed to, and at which QoS; two bits per filter. Of the forms
/// in which updates and calls can be had, the last one subscribed to is that of the session.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Subscriptions {
    known: u32,
    acknowledged: u32,
    /// A position in `UPDATES`.
    updates: Option<u8>,
    /// A position in `CALLS`.
    calls: Option<u8>,
}

impl Subscriptions {
    /// Subscribes; `None` for a filter that does not exist.
    pub(super) fn add(&mut self, filter: &str, wanted: QoS) -> Option<QoS> {
        let at = FILTERS.iter().position(|known| *known == filter)?;
        let bit = 1 << at;
        self.known |= bit;
        if let Some((held, form)) = self.form_of(filter) {
            *held = Some(form);
        }
        let granted = granted(wanted);
        match granted {
            QoS::AtMostOnce => self.acknowledged &= !bit,
            _ => self.acknowledged |= bit,
        }
        Some(granted)
    }

    /// Unsubscribes; false if there was no such subscription.
    pub(super) fn remove(&mut self, filter: &str) -> bool {
        let at = FILTERS.iter().position(|known| *known == filter);
        let bit = at.map_or(0, |at| 1 << at);
        let held = self.known & bit != 0;
        self.known &= !bit;
        if held && let Some((form, _)) = self.form_of(filter) {
            *form = None;
        }
        held
    }

    /// What the session listens for. Of the protobuf forms nothing can be told.
    pub(super) fn wants(self) -> Wants {
        Wants {
            updates: self.updates.is_some_and(|form| form != PROTOBUF_FORM),
            calls: self.calls.is_some_and(|form| form != PROTOBUF_FORM),
        }
    }

    /// The topic of an update, which is its filter as well.
    pub(super) fn updates(self) -> &'static str {
        UPDATES[usize::from(self.updates.unwrap_or(0))]
    }

    /// The filter that a call goes under; its topic has the id in place of the wildcard.
    pub(super) fn calls(self) -> &'static str {
        CALLS[usize::from(self.calls.unwrap_or(0))]
    }

    /// Where the form that a filter stands for is held, and the form; most filters stand for none.
    fn form_of(&mut self, filter: &str) -> Option<(&mut Option<u8>, u8)> {
        let among = |forms: [&str; 4]| forms.iter().position(|form| *form == filter);
        if let Some(form) = among(UPDATES) {
            return Some((&mut self.updates, form as u8));
        }
        among(CALLS).map(|form| (&mut self.calls, form as u8))
    }

    /// The QoS of a publish under a filter: as granted, 1 if not subscribed.
    pub(super) fn qos(self, filter: &str) -> QoS {
        let at = FILTERS.iter().position(|known| *known == filter);
        match at.map(|at| 1 << at) {
            Some(bit) if self.known & bit != 0 && self.acknowledged & bit == 0 => QoS::AtMostOnce,
            _ => QoS::AtLeastOnce,
        }
    }
}

/// Whether a filter is one of those for calls.
pub(super) fn is_for_calls(filter: &str) -> bool {
    CALLS.contains(&filter)
}

const PROTOBUF_FORM: u8 = 3;

/// The forms of updates; the last is protobuf.
const UPDATES: [&str; 4] = ["v1/devices/me/attributes", "v2/a", "v2/a/j", "v2/a/p"];

/// The forms of calls; the last is protobuf.
const CALLS: [&str; 4] = [
    "v1/devices/me/rpc/request/+",
    "v2/r/req/+",
    "v2/r/req/j/+",
    "v2/r/req/p/+",
];

/// Prefix of the request, prefix of the reply, filter of the reply.
type Exchange = (&'static str, &'static str, &'static str);

const ATTRIBUTE_REQUESTS: [Exchange; 3] = [
    (
        "v1/devices/me/attributes/request/",
        "v1/devices/me/attributes/response/",
        "v1/devices/me/attributes/response/+",
    ),
    ("v2/a/req/j/", "v2/a/res/j/", "v2/a/res/j/+"),
    ("v2/a/req/", "v2/a/res/", "v2/a/res/+"),
];

const RPC_REQUESTS: [Exchange; 3] = [
    (
        "v1/devices/me/rpc/request/",
        "v1/devices/me/rpc/response/",
        "v1/devices/me/rpc/response/+",
    ),
    ("v2/r/req/j/", "v2/r/res/j/", "v2/r/res/j/+"),
    ("v2/r/req/", "v2/r/res/", "v2/r/res/+"),
];

const RPC_REPLIES: [&str; 3] = ["v1/devices/me/rpc/response/", "v2/r/res/j/", "v2/r/res/"];

const PROTOBUF: [&str; 3] = ["v2/a/req/p/", "v2/r/req/p/", "v2/r/res/p/"];

const FILTERS: [&str; 23] = [
    "v1/devices/me/attributes",
    "v1/devices/me/attributes/response/+",
    "v1/devices/me/rpc/request/+",
    "v1/devices/me/rpc/response/+",
    "v1/gateway/attributes",
    "v1/gateway/rpc",
    "v1/gateway/attributes/response",
    "v2/a",
    "v2/a/j",
    "v2/a/p",
    "v2/a/res/+",
    "v2/a/res/j/+",
    "v2/a/res/p/+",
    "v2/r/req/+",
    "v2/r/req/j/+",
    "v2/r/req/p/+",
    "v2/r/res/+",
    "v2/r/res/j/+",
    "v2/r/res/p/+",
    "v2/fw/response/+/chunk/+",
    "v2/fw/error",
    "v2/sw/response/+/chunk/+",
    "v2/sw/error",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_topic_has_its_meaning() {
        for topic in ["v1/devices/me/telemetry", "v2/t", "v2/t/j"] {
            assert_eq!(meaning(topic), Meaning::Telemetry);
        }
        for topic in ["v1/devices/me/attributes", "v2/a", "v2/a/j"] {
            assert_eq!(meaning(topic), Meaning::Attributes);
        }
        for topic in ["v2/t/p", "v2/a/p", "v2/a/req/p/1", "v2/r/res/p/1"] {
            assert_eq!(meaning(topic), Meaning::Protobuf, "{topic}");
        }
        for topic in [
            "",
            "telemetry",
            "v1/devices/me/telemetry/",
            "v2/fw/request/1/chunk/x",
        ] {
            assert_eq!(meaning(topic), Meaning::Unknown, "{topic}");
        }
        assert_eq!(meaning("v1/gateway/telemetry"), Meaning::Gateway);
        assert_eq!(meaning("v2/r/res/j/7"), Meaning::RpcReply("7"));
        assert_eq!(
            meaning("v2/sw/request/1/chunk/0"),
            Meaning::Package("v2/sw/error")
        );
        let Meaning::AttributeRequest(reply) = meaning("v2/a/req/j/12") else {
            panic!("no attribute request");
        };
        assert_eq!((reply.id, reply.prefix), ("12", "v2/a/res/j/"));
    }

    #[test]
    fn only_exact_filters_are_granted_and_at_most_qos_1() {
        let mut held = Subscriptions::default();
        assert_eq!(held.qos("v2/a"), QoS::AtLeastOnce);
        assert_eq!(held.add("v2/a", QoS::AtMostOnce), Some(QoS::AtMostOnce));
        assert_eq!(held.qos("v2/a"), QoS::AtMostOnce);
        assert_eq!(held.add("v2/a", QoS::ExactlyOnce), Some(QoS::AtLeastOnce));
        assert_eq!(held.qos("v2/a"), QoS::AtLeastOnce);
        assert_eq!(held.add("#", QoS::AtMostOnce), None);
        assert_eq!(
            held.add("v1/devices/me/rpc/request/#", QoS::AtMostOnce),
            None
        );
        held.add("v2/a", QoS::AtMostOnce);
        assert!(held.remove("v2/a"));
        assert!(!held.remove("v2/a") && !held.remove("#"));
        assert_eq!(held.qos("v2/a"), QoS::AtLeastOnce);
    }

    #[test]
    fn a_session_listens_in_the_form_that_it_subscribed_to_last() {
        let mut held = Subscriptions::default();
        let add = |held: &mut Subscriptions, filter| held.add(filter, QoS::AtLeastOnce);
        assert_eq!(held.wants(), Wants::default());
        add(&mut held, "v1/devices/me/attributes");
        add(&mut held, "v2/a/j");
        assert_eq!(held.updates(), "v2/a/j");
        assert!(held.wants().updates && !held.wants().calls);
        add(&mut held, "v2/r/req/+");
        assert_eq!((held.wants(), held.calls()), (Wants::ALL, "v2/r/req/+"));
        // One subscription ends them all, as in the platform, and protobuf has no form here.
        held.remove("v1/devices/me/attributes");
        add(&mut held, "v2/r/req/p/+");
        assert_eq!(held.wants(), Wants::default());
    }
}
