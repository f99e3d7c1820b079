//! A device's own MQTT session: what a publish or subscription leads to once it is logged in.

use std::sync::Arc;

use rumqttc::mqttbytes::v4::{Packet, Publish, Subscribe};
use serde_json::Value;
use tokio::time::Instant;

use super::outbox::Later;
use super::reason::Reason;
use super::session::{Flow, Session, packet_id};
use super::topic::{Meaning, Reply, meaning};
use crate::model::Release;
use crate::target::attributes::Asked;
use crate::target::backend::Backend;
use crate::target::device::Device;
use crate::target::faults::Trouble;
use crate::target::telemetry::{Bad, Reading, client_rpc, object};

/// What becomes of a publish.
enum Verdict {
    /// PUBACK, and the session goes on.
    Acknowledged,
    /// PUBACK that says no where it can, and the session goes on.
    BadTopic,
    /// Nothing at all, and the session goes on.
    Ignored,
}

impl Session {
    pub(super) fn device_packet(
        &mut self,
        device: &Arc<Device>,
        packet: Packet,
        now: Instant,
    ) -> Flow {
        match packet {
            Packet::Publish(publish) => return self.device_publish(device, &publish, now),
            Packet::Subscribe(subscribe) => {
                self.device_subscribe(&subscribe);
                // Beyond the rate limit nothing is registered, and nothing says so (section 6.1).
                if self.pass(device).is_ok() {
                    let filters = subscribe.filters.iter();
                    self.listen(device, filters.map(|filter| &*filter.path));
                }
            }
            Packet::Unsubscribe(unsubscribe) => {
                let topics = unsubscribe.topics.iter();
                let known: Vec<bool> = topics.map(|t| self.subscriptions.remove(t)).collect();
                self.listen(device, std::iter::empty());
                self.out.unsuback(unsubscribe.pkid, &known);
            }
            Packet::PingReq => self.out.pingresp(),
            Packet::Disconnect => return self.leave(Reason::Success),
            _ => {}
        }
        Flow::Stay
    }

    fn device_subscribe(&mut self, subscribe: &Subscribe) {
        let filters = subscribe.filters.iter();
        let granted: Vec<_> = filters
            .map(|filter| self.subscriptions.add(&filter.path, filter.qos))
            .collect();
        self.out.suback(subscribe.pkid, &granted);
    }

    fn device_publish(&mut self, device: &Arc<Device>, publish: &Publish, now: Instant) -> Flow {
        let payload = &publish.payload;
        let id = packet_id(publish);
        let backend = Arc::clone(&self.backend);
        let meaning = meaning(&publish.topic);
        let mut trouble = Trouble::default();
        match meaning {
            Meaning::Telemetry | Meaning::Attributes => match self.trouble(device) {
                Ok(met) => trouble = met,
                Err(flow) => return flow,
            },
            Meaning::Claim
            | Meaning::AttributeRequest(_)
            | Meaning::Rpc(_)
            | Meaning::RpcReply(_) => {
                if let Err(bad) = self.pass(device) {
                    return self.bad_payload(&bad, id);
                }
            }
            _ => {}
        }
        let verdict = match meaning {
            Meaning::Telemetry => backend
                .telemetry(device, payload)
                .map(|reading| match reading {
                    Reading::Points(_) => Verdict::Acknowledged,
                    Reading::Nothing => Verdict::Ignored,
                }),
            Meaning::Attributes => acknowledged(backend.attributes(device, payload)),
            Meaning::Claim => acknowledged(backend.claim(payload)),
            Meaning::AttributeRequest(reply) => {
                return self.attribute_request(device, &reply, publish);
            }
            Meaning::Rpc(reply) => return self.rpc(device, &reply, publish, now),
            Meaning::RpcReply(rpc) => acknowledged(
                backend
                    .judged(number(rpc))
                    .map(|id| backend.reply(device, id, payload)),
            ),
            Meaning::Package(errors) => {
                // No package is assigned to any device.
                self.out.publish(
                    errors,
                    self.subscriptions.qos(errors),
                    b"NOT_FOUND".to_vec(),
                );
                return self.leave(Reason::Implementation);
            }
            Meaning::Gateway if self.gateway.is_some() => {
                return self.gateway_publish(publish, now);
            }
            Meaning::Gateway => Ok(Verdict::Ignored),
            Meaning::Protobuf => acknowledged(backend.judged::<()>(Err(no_schema()))),
            Meaning::Unknown => Ok(Verdict::BadTopic),
        };
        match verdict {
            Ok(Verdict::Acknowledged) => return self.acknowledge(device, id, trouble, now),
            Ok(Verdict::BadTopic) => self.out.puback(id, Reason::BadTopic),
            Ok(Verdict::Ignored) => {}
            Err(bad) => return self.bad_payload(&bad, id),
        }
        Flow::Stay
    }

    fn attribute_request(&mut self, device: &Device, reply: &Reply<'_>, publish: &Publish) -> Flow {
        let asked = number(reply.id).and_then(|_| asked(&publish.payload));
        let asked = match self.backend.judged(asked) {
            Ok(asked) => asked,
            Err(bad) => return self.bad_payload(&bad, packet_id(publish)),
        };
        let answer = Value::Object(Backend::asked(device, &asked)).to_string();
        self.out.puback(packet_id(publish), Reason::Success);
        let topic = format!("{}{}", reply.prefix, reply.id);
        self.out
            .publish(&topic, self.subscriptions.qos(reply.filter), answer.into());
        Flow::Stay
    }

    fn rpc(&mut self, device: &Device, reply: &Reply<'_>, publish: &Publish, now: Instant) -> Flow {
        let call = number(reply.id).and_then(|_| client_rpc(&publish.payload));
        let (method, params) = match self.backend.judged(call) {
            Ok(call) => call,
            Err(bad) => return self.bad_payload(&bad, packet_id(publish)),
        };
        let topic = format!("{}{}", reply.prefix, reply.id);
        let qos = self.subscriptions.qos(reply.filter);
        let knows_limits = self.backend.config.release >= Release::V3_8;
        if knows_limits && method == "getSessionLimits" && publish.topic.starts_with("v1/") {
            self.out.puback(packet_id(publish), Reason::Success);
            let limits = self.backend.faults.limits_of_devices();
            let limits = session_limits(&limits, self.gateway.is_some());
            self.out.publish(&topic, qos, limits.into());
            return Flow::Stay;
        }
        if let Some(answer) = self.backend.answer_to(&method, &params) {
            self.out.puback(packet_id(publish), Reason::Success);
            self.tell(device, topic, reply.filter, answer, now);
            return Flow::Stay;
        }
        if self.out.put_off() >= RPCS {
            return self.leave(Reason::QuotaExceeded);
        }
        self.out.puback(packet_id(publish), Reason::Success);
        // No rule answers it.
        let due = now + self.backend.config.limits.client_rpc;
        self.out
            .later(due, Later::Publish(topic, qos, TIMEOUT.to_owned()));
        Flow::Stay
    }

    /// MQTT 3 has no way to say why.
    pub(super) fn bad_payload(&mut self, bad: &Bad, id: Option<u16>) -> Flow {
        match bad {
            Bad::Undecodable(_) => self.undecodable(id),
            Bad::WrongKind => self.leave(Reason::Exception),
            Bad::Limited => self.leave(Reason::Implementation),
        }
    }
}

fn acknowledged<T>(judgement: Result<T, Bad>) -> Result<Verdict, Bad> {
    judgement.map(|_| Verdict::Acknowledged)
}

/// Ids in topics are whole numbers.
fn number(id: &str) -> Result<i32, Bad> {
    let not_one = |_| Bad::Undecodable("the id is no number".to_owned());
    id.parse().map_err(not_one)
}

fn no_schema() -> Bad {
    Bad::Undecodable("the profile has no protobuf schema".to_owned())
}

fn asked(payload: &[u8]) -> Result<Asked, Bad> {
    let node = object(payload)?;
    let names = |field: &str| match node.get(field) {
        None => Ok(None),
        Some(names) => names.as_text().map(Some).map_err(|_| Bad::WrongKind),
    };
    Ok(Asked {
        client: names("clientKeys")?,
        shared: names("sharedKeys")?,
    })
}

/// The answer of `getSessionLimits`. What a gateway is told besides has no limits here.
fn session_limits(limits: &[String; 3], gateway: bool) -> String {
    let shown = |limit: &String| match limit.as_str() {
        "" => Value::Null,
        limit => limit.into(),
    };
    let [messages, telemetry, points] = limits.each_ref().map(shown);
    let more = if gateway { OF_GATEWAYS } else { "" };
    format!(
        r#"{{"maxPayloadSize":65536,"maxInflightMessages":100,"rateLimits":{{"messages":{messages},"telemetryMessages":{telemetry},"telemetryDataPoints":{points}}}{more}}}"#
    )
}

const OF_GATEWAYS: &str =
    r#","gatewayRateLimits":{"messages":null,"telemetryMessages":null,"telemetryDataPoints":null}"#;

const TIMEOUT: &str = r#"{"error":"timeout"}"#;

/// RPCs of one session that may wait for their time-out.
const RPCS: usize = 100;
