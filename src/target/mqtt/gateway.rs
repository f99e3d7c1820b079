//! The gateway API (section 6.5): a session that speaks for the devices behind it, connects them as
//! it names them, and hears what is for them.
//!
//! What a gateway may not do ends its whole connection. In MQTT 5 it is told for which device.

use std::collections::HashMap;
use std::sync::Arc;

use rumqttc::mqttbytes::v4::Publish;
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::reason::Reason;
use super::session::{Flow, Session, packet_id};
use crate::model::MqttVersion;
use crate::target::attributes::Attributes;
use crate::target::counts::bump;
use crate::target::device::Device;
use crate::target::downlink::{Presence, Push, Route, Wants};
use crate::target::faults::Trouble;
use crate::target::gson::Node;
use crate::target::telemetry::{Bad, Reading, parse};

/// The devices behind a gateway that it is connected for, by name.
#[derive(Default)]
pub(super) struct Gateway(HashMap<Box<str>, Arc<Device>>);

/// A message with a part for each of several devices.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Parts {
    Telemetry,
    Attributes,
    Claims,
}

/// Why nothing can be done for a device.
enum Unreached {
    /// It cannot be made: its name will not do, or the tenant has too many devices.
    NotMade,
    /// Its session is beyond a rate limit.
    Limited,
}

/// A request for attributes of one scope.
struct Asked {
    id: i64,
    device: String,
    client: bool,
    keys: Vec<String>,
}

impl Session {
    /// Takes what a gateway publishes. What is not even JSON fares as any device's payload.
    pub(super) fn gateway_publish(&mut self, publish: &Publish, now: Instant) -> Flow {
        let id = packet_id(publish);
        let topic = publish.topic.strip_prefix("v1/gateway/");
        let Some(topic) = topic.filter(|topic| TOPICS.contains(topic)) else {
            self.out.puback(id, Reason::BadTopic);
            return Flow::Stay;
        };
        let payload = match self.backend.judged(parse(&publish.payload)) {
            Ok(payload) => payload,
            Err(bad) => return self.bad_payload(&bad, id),
        };
        let taken = match topic {
            "telemetry" => self.parts(Parts::Telemetry, payload, id, now),
            "attributes" => self.parts(Parts::Attributes, payload, id, now),
            "claim" => self.parts(Parts::Claims, payload, id, now),
            "connect" => self.connect_device(&payload, id),
            "disconnect" => self.disconnect_device(&payload, id),
            "rpc" => self.device_reply(&payload, id),
            _ => self.device_attributes(&payload, id),
        };
        taken.unwrap_or_else(|| {
            bump(&self.backend.tally.bad_payloads);
            self.turn_down(id, Reason::Implementation)
        })
    }

    /// Each device's part on its own, and a PUBACK for each that was taken; `None` if it is no
    /// object. A part of the wrong kind is skipped.
    fn parts(&mut self, what: Parts, payload: Node, id: Option<u16>, now: Instant) -> Option<Flow> {
        let Node::Object(parts) = payload else {
            return None;
        };
        for (name, part) in parts {
            let fits = match what {
                Parts::Telemetry => matches!(part, Node::List(_)),
                Parts::Attributes | Parts::Claims => matches!(part, Node::Object(_)),
            };
            if !fits {
                continue;
            }
            let flow = match self.behind(&name, DEFAULT) {
                Ok(device) => self.part(what, &device, &part, id, now),
                Err(Unreached::NotMade) => continue,
                Err(Unreached::Limited) => self.cut(&name, &Bad::Limited),
            };
            if flow != Flow::Stay {
                return Some(flow);
            }
        }
        Some(Flow::Stay)
    }

    fn part(
        &mut self,
        what: Parts,
        device: &Arc<Device>,
        part: &Node,
        id: Option<u16>,
        now: Instant,
    ) -> Flow {
        let mut trouble = Trouble::default();
        if what != Parts::Claims {
            match self.trouble(device) {
                Ok(met) => trouble = met,
                Err(flow) => return flow,
            }
        }
        let backend = &self.backend;
        let taken = match what {
            Parts::Telemetry => backend.readings(device, part),
            Parts::Attributes => backend
                .attributes_of(device, part)
                .map(|()| Reading::Points(0)),
            Parts::Claims => self
                .pass(device)
                .and_then(|()| backend.claim_of(part))
                .map(|()| Reading::Points(0)),
        };
        match taken {
            Ok(Reading::Points(_)) => self.acknowledge(device, id, trouble, now),
            Ok(Reading::Nothing) => Flow::Stay,
            Err(bad) => self.cut(&device.name, &bad),
        }
    }

    fn connect_device(&mut self, payload: &Node, id: Option<u16>) -> Option<Flow> {
        let name = named(payload)?;
        let kind = match payload.get("type") {
            None | Some(Node::Null) => DEFAULT.to_owned(),
            Some(kind) => kind.as_text().ok()?,
        };
        Some(match self.behind(&name, &kind) {
            Ok(_) => self.done(id),
            // The platform only logs it.
            Err(Unreached::NotMade) => Flow::Stay,
            Err(Unreached::Limited) => self.cut(&name, &Bad::Limited),
        })
    }

    fn disconnect_device(&mut self, payload: &Node, id: Option<u16>) -> Option<Flow> {
        let name = named(payload)?;
        if let Some(device) = self.gateway.as_mut().and_then(|g| g.0.remove(&*name)) {
            device.leave(&self.mailbox, Route::Gateway);
        }
        Some(self.done(id))
    }

    /// The reply to a call: `{"device":…,"id":…,"data":…}`.
    fn device_reply(&mut self, payload: &Node, id: Option<u16>) -> Option<Flow> {
        let name = named(payload)?;
        let call = payload.get("id")?.as_text().ok()?.parse().ok()?;
        let mut data = String::new();
        payload.get("data")?.write(&mut data);
        Some(match self.spoken_for(&name) {
            Ok(device) => {
                self.backend.reply(&device, call, data.as_bytes());
                self.done(id)
            }
            Err(flow) => flow,
        })
    }

    fn device_attributes(&mut self, payload: &Node, id: Option<u16>) -> Option<Flow> {
        let asked = Asked::read(payload)?;
        Some(match self.spoken_for(&asked.device) {
            Ok(device) => {
                self.out.puback(id, Reason::Success);
                let answer = asked.answer(&device).to_string();
                let qos = self.subscriptions.qos(RESPONSES);
                self.out.publish(RESPONSES, qos, answer.into());
                Flow::Stay
            }
            Err(flow) => flow,
        })
    }

    /// A device that a message of the gateway is for, and which the rate limits let it have.
    fn spoken_for(&mut self, name: &str) -> Result<Arc<Device>, Flow> {
        let device = match self.behind(name, DEFAULT) {
            Ok(device) => device,
            Err(Unreached::NotMade) => return Err(Flow::Stay),
            Err(Unreached::Limited) => return Err(self.cut(name, &Bad::Limited)),
        };
        match self.pass(&device) {
            Ok(()) => Ok(device),
            Err(bad) => Err(self.cut(name, &bad)),
        }
    }

    /// A device behind the gateway, connected if it was not: made if there is none, listening from
    /// then on, and gone from where it was before.
    fn behind(&mut self, name: &str, kind: &str) -> Result<Arc<Device>, Unreached> {
        let gateway = self.gateway.get_or_insert_default();
        if let Some(device) = gateway.0.get(name) {
            return Ok(Arc::clone(device));
        }
        let device = self.backend.behind_gateway(name, kind);
        let device = device.ok_or(Unreached::NotMade)?;
        self.pass(&device).map_err(|_| Unreached::Limited)?;
        bump(&self.backend.tally.gateway_devices);
        let gateway = self.gateway.get_or_insert_default();
        gateway.0.insert(name.into(), Arc::clone(&device));
        let here = (&self.mailbox, Route::Gateway);
        let before = device.enter(Presence::new(here.0, here.1));
        self.backend.listen(&device, here, Wants::ALL, true);
        if let Some(before) = before {
            self.backend.taken_over(before, &device);
        }
        Ok(device)
    }

    /// Says what is for a device behind the gateway, whether or not the gateway subscribed: the
    /// platform subscribes its devices itself.
    pub(super) fn push_behind(&mut self, device: &Device, push: &Push, now: Instant) {
        let topic = match push {
            Push::Update(_) => "v1/gateway/attributes",
            Push::Call(..) => "v1/gateway/rpc",
        };
        let body = push.body_for_gateway(&device.name);
        self.tell(device, topic.to_owned(), topic, body, now);
    }

    /// A device is reached elsewhere, or is no more: the gateway is not told.
    pub(super) fn lose(&mut self, device: &Device) {
        // Unless it came back meanwhile.
        if let Some(gateway) = &mut self.gateway
            && !device.is_at(&self.mailbox, Route::Gateway)
        {
            gateway.0.remove(&*device.name);
        }
    }

    /// Leaves all devices behind the gateway.
    pub(super) fn leave_all(&mut self) {
        for device in self.gateway.iter().flat_map(|gateway| gateway.0.values()) {
            device.leave(&self.mailbox, Route::Gateway);
        }
        self.gateway = None;
    }

    fn done(&mut self, id: Option<u16>) -> Flow {
        self.out.puback(id, Reason::Success);
        Flow::Stay
    }

    /// Ends the connection for what was said of one device.
    fn cut(&mut self, device: &str, bad: &Bad) -> Flow {
        if self.out.version == MqttVersion::V5 {
            let reason = match bad {
                Bad::Limited => Reason::MessageRate as u8,
                Bad::Undecodable(_) | Bad::WrongKind => UNSPECIFIED,
            };
            let told = serde_json::json!({"device": device, "reason": reason});
            let qos = self.subscriptions.qos(CLOSED);
            self.out.publish(CLOSED, qos, told.to_string().into());
        }
        self.leave(Reason::Implementation)
    }
}

impl Asked {
    fn read(payload: &Node) -> Option<Self> {
        let text = |field: &str| payload.get(field)?.as_text().ok();
        let keys = match (text("key"), payload.get("keys")) {
            (Some(key), _) => vec![key],
            (None, Some(Node::List(keys))) => keys
                .iter()
                .map(|key| key.as_text().ok())
                .collect::<Option<_>>()?,
            _ => return None,
        };
        Some(Self {
            id: text("id")?.parse().ok()?,
            device: text("device").filter(|name| !name.is_empty())?,
            client: payload.get("client")?.as_flag().ok()?,
            keys,
        })
    }

    /// One key has a `value`, several have `values`; what is not there has neither.
    fn answer(&self, device: &Device) -> Value {
        let live = device.live();
        let held = if self.client {
            live.attributes.as_deref().map(Attributes::all)
        } else {
            live.administered.as_deref().map(|held| &held.shared)
        };
        let found = |key: &String| Some((key.clone(), held?.get(key)?.clone()));
        let mut found: Map<String, Value> = self.keys.iter().filter_map(found).collect();
        let mut answer = Map::new();
        answer.insert("id".to_owned(), self.id.into());
        answer.insert("device".to_owned(), self.device.clone().into());
        match (&self.keys[..], found.len()) {
            (_, 0) => {}
            ([key], _) => {
                let value = found.remove(key).unwrap_or_default();
                answer.insert("value".to_owned(), value);
            }
            _ => {
                answer.insert("values".to_owned(), found.into());
            }
        }
        answer.into()
    }
}

/// The device that a message is about.
fn named(payload: &Node) -> Option<String> {
    let name = payload.get("device")?.as_text().ok()?;
    (!name.is_empty()).then_some(name)
}

/// What a gateway may publish to, below `v1/gateway/`.
const TOPICS: [&str; 7] = [
    "connect",
    "disconnect",
    "telemetry",
    "attributes",
    "attributes/request",
    "rpc",
    "claim",
];

const RESPONSES: &str = "v1/gateway/attributes/response";
const CLOSED: &str = "v1/gateway/disconnect";

/// The type of a device that a gateway says nothing about.
const DEFAULT: &str = "default";

/// MQTT 5's code for an error without one, as the platform gives it to gateways.
const UNSPECIFIED: u8 = 0x80;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rumqttc::mqttbytes::QoS;

    use super::*;
    use crate::model::TransportKind;
    use crate::target::TargetConfig;
    use crate::target::backend::Backend;

    fn json() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            Just("true".to_owned()),
            Just("\"A\"".to_owned()),
            "-?[0-9]{1,20}(\\.[0-9]{1,3})?",
        ];
        let key = prop::sample::select(vec![
            "device", "type", "id", "data", "client", "key", "keys", "ts", "values", "A", "",
        ]);
        leaf.prop_recursive(3, 16, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4)
                    .prop_map(|list| format!("[{}]", list.join(","))),
                prop::collection::vec((key.clone(), inner), 0..5).prop_map(|members| {
                    let members = members
                        .iter()
                        .map(|(key, value)| format!("\"{key}\":{value}"));
                    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn whatever_a_gateway_says_is_taken_or_ends_its_session(
            topic in prop::sample::select(TOPICS.to_vec()),
            payload in json(),
        ) {
            let backend = Backend::new(TargetConfig::default()).expect("the default is sound");
            let mut session = Session::new(backend, TransportKind::Mqtt);
            session.gateway = Some(Box::default());
            let mut publish =
                Publish::new(format!("v1/gateway/{topic}"), QoS::AtLeastOnce, payload);
            publish.pkid = 1;
            session.gateway_publish(&publish, Instant::now());
            session.end();
            session.leave_all();
        }
    }
}
