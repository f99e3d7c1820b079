//! ThingsBoard's gateway API: what a gateway says and hears for the devices behind it (section 6.5
//! of the wire specification).
//!
//! A server acknowledges a message with several devices' parts once for each of them.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::downlink::{Heard, attributes, call};
use super::thingsboard::ThingsBoard;
use crate::model::{FaultKind, Feed, Qos, Request, Route, Source, Subscription};

/// What a gateway reports of several devices in one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// Telemetry.
    Telemetry,
    /// Client attributes.
    Attributes,
}

/// A message with parts of several devices, being put together.
#[derive(Debug)]
pub struct Parts {
    what: Report,
    body: Vec<u8>,
    count: u32,
}

/// What a server sent a gateway.
#[derive(Clone, Debug, PartialEq)]
pub enum HeardBehind {
    /// What is for a device behind it, and that device's name.
    For(String, Heard),
    /// The server has let a device go, by its name; the reason is MQTT 5's.
    Closed(String, u8),
}

impl Parts {
    /// A message without any part.
    pub fn new(what: Report) -> Self {
        Self {
            what,
            body: Vec::new(),
            count: 0,
        }
    }

    /// Adds a device's payload, a JSON text: an object or, as telemetry, also a list of them.
    pub fn add(&mut self, device: &str, payload: &[u8]) {
        self.body.push(if self.count == 0 { b'{' } else { b',' });
        serde_json::to_writer(&mut self.body, device).expect("a vector takes a text");
        self.body.push(b':');
        // Whatever is no array is passed over in silence.
        let in_list =
            self.what == Report::Telemetry && !payload.trim_ascii_start().starts_with(b"[");
        if in_list {
            self.body.push(b'[');
        }
        self.body.extend_from_slice(payload);
        if in_list {
            self.body.push(b']');
        }
        self.count += 1;
    }

    /// How many devices have a part in it.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Whether servers take it: their limit is 65,536 bytes for a packet.
    pub fn fits(&self) -> bool {
        self.body.len() < BODY_LIMIT
    }

    /// The message.
    pub fn request(mut self, qos: Qos) -> Request {
        if self.count == 0 {
            self.body.push(b'{');
        }
        self.body.push(b'}');
        publish(
            match self.what {
                Report::Telemetry => TELEMETRY,
                Report::Attributes => ATTRIBUTES,
            },
            qos,
            self.body,
        )
    }
}

/// The bytes that a device's part takes beside its payload, commas and brackets included.
pub fn part_overhead(device: &str) -> usize {
    serde_json::to_string(device).map_or(0, |name| name.len()) + ":[],".len()
}

impl ThingsBoard {
    /// A gateway's word that a device is there; it is made if there is none.
    pub fn gateway_connect(&self, device: &str, kind: &str) -> Request {
        let body = serde_json::to_vec(&Connect { device, kind });
        let body = body.expect("a struct of strings serialises");
        publish(CONNECT, Qos::AtLeastOnce, body)
    }

    /// How a gateway subscribes to these feeds for the devices behind it.
    pub fn gateway_subscriptions(&self, feeds: &[Feed]) -> Vec<Subscription> {
        let topic = |feed: &Feed| match feed {
            Feed::Attributes => ATTRIBUTES,
            Feed::Rpc => CALLS,
        };
        feeds.iter().map(topic).map(Subscription::Topic).collect()
    }

    /// What a delivery to a gateway means; `Err` when it is nothing that ThingsBoard says.
    pub fn heard_behind(&self, source: &Source, body: &[u8]) -> Result<HeardBehind, FaultKind> {
        let Source::Topic(topic) = source else {
            return Err(FaultKind::UnexpectedPacket);
        };
        let malformed = |_| FaultKind::MalformedPacket;
        match topic.as_str() {
            ATTRIBUTES | CALLS => {
                let told: Told = serde_json::from_slice(body).map_err(malformed)?;
                let heard = if topic == ATTRIBUTES {
                    attributes(&told.data)
                } else {
                    call(None, told.data)?
                };
                Ok(HeardBehind::For(told.device, heard))
            }
            DISCONNECT => {
                let closed: Closed = serde_json::from_slice(body).map_err(malformed)?;
                Ok(HeardBehind::Closed(closed.device, closed.reason))
            }
            _ => Err(FaultKind::UnexpectedPacket),
        }
    }

    /// The answer of a device behind a gateway to a call; `data` is a JSON text.
    pub fn gateway_reply(&self, device: &str, id: u64, data: &[u8]) -> Request {
        let device = Value::from(device);
        let mut body = format!("{{\"device\":{device},\"id\":{id},\"data\":").into_bytes();
        body.extend_from_slice(data);
        body.push(b'}');
        publish(CALLS, Qos::AtLeastOnce, body)
    }
}

#[derive(Serialize)]
struct Connect<'a> {
    device: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
}

#[derive(Deserialize)]
struct Told {
    device: String,
    data: Map<String, Value>,
}

#[derive(Deserialize)]
struct Closed {
    device: String,
    #[serde(default)]
    reason: u8,
}

fn publish(topic: &'static str, qos: Qos, body: Vec<u8>) -> Request {
    Request {
        route: Route::Topic {
            publish: topic.into(),
            reply: None,
            qos,
        },
        body: Bytes::from(body),
    }
}

const CONNECT: &str = "v1/gateway/connect";
const DISCONNECT: &str = "v1/gateway/disconnect";
const TELEMETRY: &str = "v1/gateway/telemetry";
const ATTRIBUTES: &str = "v1/gateway/attributes";
/// Calls of devices' methods, and the answers to them.
const CALLS: &str = "v1/gateway/rpc";

/// What is left of a packet for its body: the longer topic, the packet id and MQTT 5's properties
/// are in the Remaining Length, too.
pub const BODY_LIMIT: usize = 65_536 - (2 + ATTRIBUTES.len()) - 2 - 1;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn dialect() -> ThingsBoard {
        ThingsBoard::new("K".into(), "S".into())
    }

    fn said(request: &Request) -> (&str, &str) {
        let Route::Topic { publish, .. } = &request.route else {
            panic!("gateways speak MQTT")
        };
        (publish, std::str::from_utf8(&request.body).unwrap())
    }

    #[test]
    fn names_are_written_as_json() {
        let odd = "a\"\\\u{1}é";
        let mut parts = Parts::new(Report::Attributes);
        parts.add(odd, b"{}");
        for request in [
            dialect().gateway_connect(odd, odd),
            dialect().gateway_reply(odd, 1, b"[1]"),
            parts.request(Qos::AtLeastOnce),
        ] {
            let (topic, body) = said(&request);
            let body: Value = serde_json::from_str(body).unwrap();
            if topic == ATTRIBUTES {
                assert_eq!(body, json!({odd: {}}));
            } else {
                assert_eq!(body["device"], odd);
            }
        }
    }

    #[test]
    fn readings_stand_in_lists_and_attributes_do_not() {
        for (what, topic, payload, body) in [
            (
                Report::Telemetry,
                TELEMETRY,
                r#"{"t":1}"#,
                r#"{"A":[{"t":1}],"B":[{"t":1}]}"#,
            ),
            (
                Report::Telemetry,
                TELEMETRY,
                " [{},{}]",
                r#"{"A": [{},{}],"B": [{},{}]}"#,
            ),
            (
                Report::Attributes,
                ATTRIBUTES,
                r#"{"t":1}"#,
                r#"{"A":{"t":1},"B":{"t":1}}"#,
            ),
        ] {
            let mut parts = Parts::new(what);
            for device in ["A", "B"] {
                parts.add(device, payload.as_bytes());
            }
            assert_eq!(parts.count(), 2);
            assert_eq!(said(&parts.request(Qos::AtMostOnce)), (topic, body));
        }
        let nothing = Parts::new(Report::Telemetry).request(Qos::AtLeastOnce);
        assert_eq!(said(&nothing).1, "{}");
    }

    #[test]
    fn a_packet_of_the_longest_body_is_as_long_as_servers_take() {
        let fits = |length: usize| {
            let mut parts = Parts::new(Report::Attributes);
            let overhead = "{\"A\":}".len();
            parts.add("A", &vec![b'1'; length - overhead]);
            let fits = parts.fits();
            assert_eq!(parts.request(Qos::AtLeastOnce).body.len(), length);
            fits
        };
        assert!(fits(BODY_LIMIT) && !fits(BODY_LIMIT + 1));
    }

    #[test]
    fn what_a_gateway_hears_is_for_somebody() {
        let heard = |topic: &str, body: &str| {
            dialect().heard_behind(&Source::Topic(topic.to_owned()), body.as_bytes())
        };
        let update = r#"{"device":"A","data":{"fleetcall_push":7}}"#;
        let own = Heard::Attributes(Some(7));
        assert_eq!(
            heard(ATTRIBUTES, update),
            Ok(HeardBehind::For("A".to_owned(), own))
        );
        let call = r#"{"device":"B","data":{"id":3,"method":"m","params":[1]}}"#;
        let Ok(HeardBehind::For(device, Heard::Call(call))) = heard(CALLS, call) else {
            panic!("it is a call")
        };
        assert_eq!(
            (device.as_str(), call.id, call.method.as_str()),
            ("B", 3, "m")
        );
        let closed = r#"{"device":"A","reason":150}"#;
        let closed = heard(DISCONNECT, closed);
        assert_eq!(closed, Ok(HeardBehind::Closed("A".to_owned(), 150)));
        for (topic, body) in [
            (ATTRIBUTES, r#"{"data":{}}"#),
            (ATTRIBUTES, r#"{"device":"A"}"#),
            (ATTRIBUTES, r#"{"device":"A","data":[]}"#),
            (CALLS, r#"{"device":"A","data":{"method":"m"}}"#),
            (CALLS, r#"{"device":7,"data":{"id":3,"method":"m"}}"#),
            (DISCONNECT, r#"{"device":"A","reason":-1}"#),
            (DISCONNECT, "no json"),
        ] {
            assert_eq!(
                heard(topic, body),
                Err(FaultKind::MalformedPacket),
                "{body}"
            );
        }
        let elsewhere = heard("v1/devices/me/attributes", "{}");
        assert_eq!(elsewhere, Err(FaultKind::UnexpectedPacket));
    }
}
