//! What ThingsBoard sends devices unasked, and what they say to it: updates of shared attributes,
//! calls in both directions, claims (section 6 of the wire specification).
//!
//! Pushes of a run carry a number, so that what arrives is matched with what was sent and not with
//! an order that nobody promised.

use std::time::Duration;

use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

use super::thingsboard::{ThingsBoard, device_path};
use crate::model::{
    Credentials, FaultKind, Feed, Protocol, Qos, Reply, ReplyTopic, Request, Route, Source, Status,
    Subscription, TransportKind,
};

/// What a server sent.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// Shared attributes that changed, with the number of the push if it was one.
    Attributes(Option<u64>),
    /// A call of one of the device's methods.
    Call(Call),
    /// The answer to a call of the device that it does not wait for any more.
    Late,
    /// Nothing: an observation that begins without a call.
    Nothing,
}

/// A call of a device's method.
#[derive(Clone, PartialEq)]
pub struct Call {
    /// What the answer goes by.
    pub id: u64,
    /// The method's name.
    pub method: String,
    /// Whatever the caller gave.
    pub params: Value,
    /// The number of the push, if it was one.
    pub push: Option<u64>,
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // What it is given may be a secret.
        f.debug_struct("Call")
            .field("id", &self.id)
            .field("method", &self.method)
            .field("push", &self.push)
            .finish_non_exhaustive()
    }
}

impl ThingsBoard {
    /// How a device subscribes to these feeds; `None` when the transport cannot carry its
    /// credentials. `hold` is for long polls.
    pub fn subscriptions(
        &self,
        transport: TransportKind,
        credentials: &Credentials,
        feeds: &[Feed],
        hold: Duration,
    ) -> Option<Vec<Subscription>> {
        let subscription = |feed: &Feed| {
            if transport.protocol() == Protocol::Mqtt {
                return Some(Subscription::Topic(match feed {
                    Feed::Attributes => ATTRIBUTES,
                    Feed::Rpc => CALLS,
                }));
            }
            let rest = match (feed, transport.protocol()) {
                (Feed::Attributes, Protocol::Http) => "attributes/updates",
                (Feed::Attributes, _) => "attributes",
                (Feed::Rpc, _) => "rpc",
            };
            Some(Subscription::Resource {
                feed: *feed,
                path: device_path(transport, credentials, rest)?,
                hold,
            })
        };
        feeds.iter().map(subscription).collect()
    }

    /// What a delivery means; `Err` when it is nothing that ThingsBoard says.
    pub fn heard(&self, source: &Source, body: &[u8]) -> Result<Heard, FaultKind> {
        match source {
            Source::Topic(topic) if topic == ATTRIBUTES => Ok(attributes(&object(body)?)),
            Source::Topic(topic) => {
                if let Some(id) = topic.strip_prefix(CALL) {
                    let id = id.parse().map_err(|_| FaultKind::MalformedPacket)?;
                    return call(Some(id), object(body)?);
                }
                if topic.starts_with(ANSWER) {
                    return Ok(Heard::Late);
                }
                Err(FaultKind::UnexpectedPacket)
            }
            Source::Resource(_) if body.is_empty() => Ok(Heard::Nothing),
            Source::Resource(Feed::Attributes) => Ok(attributes(&object(body)?)),
            Source::Resource(Feed::Rpc) => call(None, object(body)?),
        }
    }

    /// A device's answer to a call.
    pub fn reply_request(
        &self,
        transport: TransportKind,
        credentials: &Credentials,
        id: u64,
        body: Bytes,
    ) -> Option<Request> {
        let route = if transport.protocol() == Protocol::Mqtt {
            published(format!("{ANSWER}{id}"), None)
        } else {
            Route::Resource {
                path: device_path(transport, credentials, &format!("rpc/{id}"))?,
            }
        };
        Some(Request { route, body })
    }

    /// A device's call of the server (client-side RPC), its `id`th.
    pub fn call_request(
        &self,
        transport: TransportKind,
        credentials: &Credentials,
        id: u32,
        method: &str,
        params: &str,
    ) -> Option<Request> {
        let route = if transport.protocol() == Protocol::Mqtt {
            let reply = ReplyTopic {
                topic: format!("{ANSWER}{id}").into(),
                filter: ANSWERS,
            };
            published(format!("{CALL}{id}"), Some(reply))
        } else {
            Route::Resource {
                path: device_path(transport, credentials, "rpc")?,
            }
        };
        let method = Value::from(method);
        let body = format!("{{\"method\":{method},\"params\":{params}}}");
        Some(Request {
            route,
            body: Bytes::from(body),
        })
    }

    /// Whether a device's call of the server was answered by somebody.
    pub fn call_answer(&self, reply: &Reply) -> Result<(), FaultKind> {
        match reply.status {
            Status::Topic | Status::Http(200) => {}
            Status::Coap(code) if code >> 5 == 2 => {}
            Status::Http(status) => return Err(FaultKind::HttpStatus(status)),
            Status::Coap(code) => return Err(FaultKind::CoapCode(code)),
            Status::PubackReason(code) => return Err(FaultKind::PubackReason(code)),
            Status::Acknowledged | Status::Unacknowledged => {
                return Err(FaultKind::UnexpectedPacket);
            }
        }
        match serde_json::from_slice(&reply.body) {
            Ok(Value::Object(object))
                if object.len() == 1 && object.get("error") == Some(&json!("timeout")) =>
            {
                Err(FaultKind::RpcTimeout)
            }
            Ok(_) => Ok(()),
            Err(_) => Err(FaultKind::MalformedAnswer),
        }
    }

    /// A device's word that it may be claimed with that key, for so long.
    pub fn claim_request(
        &self,
        transport: TransportKind,
        credentials: &Credentials,
        key: Option<&SecretString>,
        duration: Option<Duration>,
    ) -> Option<Request> {
        let route = if transport.protocol() == Protocol::Mqtt {
            published(CLAIM.to_owned(), None)
        } else {
            Route::Resource {
                path: device_path(transport, credentials, "claim")?,
            }
        };
        let mut claim = Map::new();
        if let Some(key) = key {
            claim.insert("secretKey".to_owned(), key.expose_secret().into());
        }
        if let Some(duration) = duration {
            let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
            claim.insert("durationMs".to_owned(), ms.into());
        }
        Some(Request {
            route,
            body: Bytes::from(Value::Object(claim).to_string()),
        })
    }
}

/// A JSON object with the number of a push in it. `None`: the text is no object.
pub fn numbered(object: &str, number: u64) -> Option<String> {
    let inside = object.trim_end().strip_suffix('}')?.trim_end();
    let comma = if inside.ends_with('{') { "" } else { "," };
    Some(format!("{inside}{comma}\"{PUSH_NUMBER}\":{number}}}"))
}

fn published(topic: String, reply: Option<ReplyTopic>) -> Route {
    Route::Topic {
        publish: topic.into(),
        reply,
        qos: Qos::AtLeastOnce,
    }
}

/// Shared attributes that changed.
pub(super) fn attributes(updated: &Map<String, Value>) -> Heard {
    // What the server has when an observation begins comes by its scope.
    let scope = updated.get("shared").and_then(Value::as_object);
    let number = [Some(updated), scope]
        .into_iter()
        .flatten()
        .find_map(number);
    Heard::Attributes(number)
}

/// A call; without an id from elsewhere it brings its own.
pub(super) fn call(id: Option<u64>, mut call: Map<String, Value>) -> Result<Heard, FaultKind> {
    let id = id.or_else(|| call.get("id").and_then(Value::as_u64));
    let method = call.get("method").and_then(Value::as_str);
    let (Some(id), Some(method)) = (id, method) else {
        return Err(FaultKind::MalformedPacket);
    };
    let method = method.to_owned();
    let params = call.remove("params").unwrap_or_default();
    Ok(Heard::Call(Call {
        id,
        method,
        push: params.as_object().and_then(number),
        params,
    }))
}

fn object(body: &[u8]) -> Result<Map<String, Value>, FaultKind> {
    serde_json::from_slice(body).map_err(|_| FaultKind::MalformedPacket)
}

fn number(object: &Map<String, Value>) -> Option<u64> {
    object.get(PUSH_NUMBER)?.as_u64()
}

/// What the number of a push is sent as.
pub const PUSH_NUMBER: &str = "fleetcall_push";

const ATTRIBUTES: &str = "v1/devices/me/attributes";
const CALLS: &str = "v1/devices/me/rpc/request/+";
/// What the topic of a call begins with, in either direction; its id follows.
const CALL: &str = "v1/devices/me/rpc/request/";
const ANSWERS: &str = "v1/devices/me/rpc/response/+";
const ANSWER: &str = "v1/devices/me/rpc/response/";
const CLAIM: &str = "v1/devices/me/claim";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn dialect() -> ThingsBoard {
        ThingsBoard::new("K".into(), "S".into())
    }

    fn token() -> Credentials {
        Credentials::AccessToken("T/1".into())
    }

    fn topic(topic: &str) -> Source {
        Source::Topic(topic.to_owned())
    }

    #[test]
    fn what_comes_is_known_by_its_topic_or_resource() {
        let call = |id| {
            Heard::Call(Call {
                id,
                method: "m".to_owned(),
                params: json!([1]),
                push: None,
            })
        };
        let resource = Source::Resource;
        for (source, body, heard) in [
            (topic(ATTRIBUTES), r#"{"k":1}"#, Ok(Heard::Attributes(None))),
            (
                topic(ATTRIBUTES),
                r#"{"deleted":["k"]}"#,
                Ok(Heard::Attributes(None)),
            ),
            (
                topic(ATTRIBUTES),
                r#"{"fleetcall_push":7,"k":1}"#,
                Ok(Heard::Attributes(Some(7))),
            ),
            (
                resource(Feed::Attributes),
                r#"{"shared":{"fleetcall_push":8}}"#,
                Ok(Heard::Attributes(Some(8))),
            ),
            (resource(Feed::Attributes), "", Ok(Heard::Nothing)),
            (
                topic("v1/devices/me/rpc/request/5"),
                r#"{"method":"m","params":[1]}"#,
                Ok(call(5)),
            ),
            (
                resource(Feed::Rpc),
                r#"{"id":6,"method":"m","params":[1]}"#,
                Ok(call(6)),
            ),
            (resource(Feed::Rpc), "", Ok(Heard::Nothing)),
            (topic("v1/devices/me/rpc/response/3"), "{}", Ok(Heard::Late)),
            (
                topic("v1/devices/me/rpc/request/x"),
                "{}",
                Err(FaultKind::MalformedPacket),
            ),
            (
                topic("v1/devices/me/rpc/request/5"),
                r#"{"params":{}}"#,
                Err(FaultKind::MalformedPacket),
            ),
            (
                resource(Feed::Rpc),
                r#"{"method":"m"}"#,
                Err(FaultKind::MalformedPacket),
            ),
            (topic(ATTRIBUTES), "[]", Err(FaultKind::MalformedPacket)),
            (topic("other"), "{}", Err(FaultKind::UnexpectedPacket)),
        ] {
            assert_eq!(
                dialect().heard(&source, body.as_bytes()),
                heard,
                "{source:?} {body}"
            );
        }
    }

    #[test]
    fn requests_go_where_the_specification_says() {
        let place = |request: Option<Request>| match request.unwrap().route {
            Route::Topic { publish, .. } => publish.into_owned(),
            Route::Resource { path } => path.expose_secret().to_owned(),
        };
        let (dialect, token) = (dialect(), token());
        let reply = |over| place(dialect.reply_request(over, &token, 4, Bytes::new()));
        let call = |over| place(dialect.call_request(over, &token, 9, "m", "{}"));
        let claim = |over| place(dialect.claim_request(over, &token, None, None));
        assert_eq!(reply(TransportKind::Mqtt), "v1/devices/me/rpc/response/4");
        assert_eq!(reply(TransportKind::Http), "/api/v1/T%2F1/rpc/4");
        assert_eq!(reply(TransportKind::Coap), "/api/v1/T%2F1/rpc/4");
        assert_eq!(call(TransportKind::Mqtt), "v1/devices/me/rpc/request/9");
        assert_eq!(call(TransportKind::Https), "/api/v1/T%2F1/rpc");
        assert_eq!(claim(TransportKind::Mqtts), "v1/devices/me/claim");
        assert_eq!(claim(TransportKind::Coaps), "/api/v1/T%2F1/claim");
    }

    #[test]
    fn a_certificate_needs_no_token_over_coap_and_http_cannot_carry_it() {
        let x509 = Credentials::X509 {
            certificate: "MIIB".into(),
        };
        let feeds = [Feed::Attributes, Feed::Rpc];
        let paths = |over| {
            let all = dialect().subscriptions(over, &x509, &feeds, Duration::ZERO)?;
            let path = |one| match one {
                Subscription::Resource { path, .. } => path.expose_secret().to_owned(),
                Subscription::Topic(topic) => topic.to_owned(),
            };
            Some(all.into_iter().map(path).collect::<Vec<_>>())
        };
        assert_eq!(
            paths(TransportKind::Coaps).unwrap(),
            ["/api/v1/attributes", "/api/v1/rpc"]
        );
        assert_eq!(
            paths(TransportKind::Mqtts).unwrap(),
            ["v1/devices/me/attributes", "v1/devices/me/rpc/request/+"]
        );
        assert_eq!(paths(TransportKind::Https), None);
    }

    #[test]
    fn an_answer_to_a_call_may_say_that_there_is_none() {
        let answer = |status, body: &'static str| {
            dialect().call_answer(&Reply {
                status,
                body: Bytes::from_static(body.as_bytes()),
            })
        };
        assert_eq!(answer(Status::Topic, r#"{"time":1}"#), Ok(()));
        assert_eq!(answer(Status::Http(200), "5"), Ok(()));
        let timeout = r#"{"error":"timeout"}"#;
        assert_eq!(
            answer(Status::Coap(0x45), timeout),
            Err(FaultKind::RpcTimeout)
        );
        assert_eq!(answer(Status::Topic, ""), Err(FaultKind::MalformedAnswer));
        assert_eq!(
            answer(Status::Http(401), ""),
            Err(FaultKind::HttpStatus(401))
        );
    }

    #[test]
    fn a_claim_says_what_it_was_given() {
        let body = |key: Option<&str>, duration| {
            let key = key.map(SecretString::from);
            let over = TransportKind::Mqtt;
            let request = dialect().claim_request(over, &token(), key.as_ref(), duration);
            request.unwrap().body
        };
        assert_eq!(body(None, None), "{}");
        assert_eq!(
            body(Some("s"), Some(Duration::from_mins(1))),
            include_str!("../../fixtures/wire/claim.json").trim_end()
        );
    }

    #[test]
    fn a_number_is_found_again_where_it_was_put() {
        for object in ["{}", r#"{"k":1}"#, "{ \"k\": [ {} ] } \n", "{\n}"] {
            let text = numbered(object, 1 << 52).unwrap();
            let heard = dialect().heard(&topic(ATTRIBUTES), text.as_bytes());
            assert_eq!(heard, Ok(Heard::Attributes(Some(1 << 52))), "{text}");
        }
        assert_eq!(numbered("[1]", 1), None);
    }

    proptest! {
        #[test]
        fn whatever_a_server_sends_is_heard_or_garbled(
            body in prop::collection::vec(any::<u8>(), 0..200),
            rest in "[ -~]{0,40}",
        ) {
            for source in [
                topic(ATTRIBUTES),
                topic(&format!("{CALL}{rest}")),
                topic(&rest),
                Source::Resource(Feed::Rpc),
                Source::Resource(Feed::Attributes),
            ] {
                let _ = dialect().heard(&source, &body);
            }
        }
    }
}
