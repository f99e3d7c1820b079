//! One MQTT session as a state machine: packets in, packets out, no socket. Here are CONNECT and
//! the provisioning session; a device's own session is in `device`.

use std::sync::Arc;

use bytes::Bytes;
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{Packet, Publish, Subscribe};
use tokio::time::Instant;

use super::gateway::Gateway;
use super::outbox::{Later, Outbox};
use super::reason::{Reason, Refusal};
use super::topic::Subscriptions;
use super::wire::{Connect, Frame};
use crate::model::{MqttVersion, Release, TransportKind};
use crate::target::answer::Answer;
use crate::target::backend::{Backend, Decision};
use crate::target::client_certificate::Presented;
use crate::target::counts::bump;
use crate::target::device::Device;
use crate::target::downlink::{Ending, Mailbox, Presence, Route};
use crate::target::request::{Malformed, Request};

/// Whether the connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    Stay,
    Close,
    /// End with a reset.
    Reset,
    /// Stay, and neither read nor say anything ever again.
    Silent,
}

/// What the session is for, which CONNECT decides.
enum Role {
    /// No CONNECT yet.
    Waiting(Option<Box<Early>>),
    Provisioning,
    Device(Arc<Device>),
}

/// Packets that came before CONNECT, and wait for it.
#[derive(Default)]
struct Early(Vec<Packet>);

/// What is known of a client before it says a word.
#[derive(Default)]
pub(super) struct Peer {
    /// Its certificate; where there is one, only it counts (section 4.4).
    pub(super) presented: Option<Presented>,
    /// The connection's number, by which faults are drawn where no name is known.
    pub(super) number: u64,
}

/// The session of one connection, which counts as open while there is a session. What few have is
/// boxed: a fleet has as many as devices.
pub(super) struct Session {
    pub(super) backend: Arc<Backend>,
    pub(super) out: Outbox,
    pub(super) subscriptions: Subscriptions,
    /// What others have for the connection.
    pub(super) mailbox: Arc<Mailbox>,
    /// Where the same device was before, to be told once CONNACK is out.
    displaced: Option<Box<Presence>>,
    peer: Option<Box<Peer>>,
    kind: TransportKind,
    role: Role,
    /// The response subscription of a provisioning session.
    response: Option<QoS>,
    /// The devices that it speaks for, if it may.
    pub(super) gateway: Option<Box<Gateway>>,
    /// A request came as protobuf: from then on answers are protobuf.
    protobuf: bool,
    answered: bool,
}

impl Session {
    /// Of a connection that came over this transport.
    pub(super) fn new(backend: Arc<Backend>, kind: TransportKind) -> Self {
        backend.tally.come(kind);
        Self {
            backend,
            out: Outbox::default(),
            subscriptions: Subscriptions::default(),
            mailbox: Mailbox::new(LETTERS),
            displaced: None,
            peer: None,
            kind,
            role: Role::Waiting(None),
            response: None,
            gateway: None,
            protobuf: false,
            answered: false,
        }
    }

    /// Learns whom it is with.
    pub(super) fn meet(&mut self, peer: Peer) {
        self.peer = Some(Box::new(peer));
    }

    /// The certificate that the client showed.
    pub(super) fn presented(&self) -> Option<&Presented> {
        self.peer.as_ref()?.presented.as_ref()
    }

    /// The number by which the connection's faults are drawn.
    pub(super) fn number(&self) -> u64 {
        self.peer.as_ref().map_or(0, |peer| peer.number)
    }

    /// Takes what the client sent.
    pub(super) fn take(&mut self, frame: Frame, now: Instant) -> Flow {
        match frame {
            Frame::Connect(connect) => self.connect(connect, now),
            Frame::Packet(packet) => self.packet(packet, now),
            Frame::Ignored => Flow::Stay,
        }
    }

    /// What came is no MQTT, or more of it than the platform takes.
    pub(super) fn broken(&mut self) -> Flow {
        self.leave(Reason::Malformed)
    }

    /// The session is another's now, or nobody's.
    pub(super) fn ended(&mut self, ending: Ending) -> Flow {
        self.leave(match ending {
            Ending::TakenOver => Reason::TakenOver,
            Ending::Administered => Reason::Administrative,
        })
    }

    /// Tells where the device was before that it is here now.
    pub(super) fn displace(&mut self) {
        if let (Some(older), Role::Device(device)) = (self.displaced.take(), &self.role) {
            self.backend.taken_over(*older, device);
        }
    }

    /// Nothing came for as long as the platform waits. Only devices are told so.
    pub(super) fn silent_for_too_long(&mut self) -> Flow {
        match self.role {
            Role::Device(_) => self.leave(Reason::Implementation),
            Role::Waiting(_) | Role::Provisioning => Flow::Close,
        }
    }

    /// Closes: in MQTT 5, and from release 3.7 on, with a word why.
    pub(super) fn leave(&mut self, reason: Reason) -> Flow {
        if self.tells() {
            self.out.disconnect(reason);
        }
        Flow::Close
    }

    /// A payload that cannot be decoded: only MQTT 5 can say so and go on.
    pub(super) fn undecodable(&mut self, id: Option<u16>) -> Flow {
        if self.out.version == MqttVersion::V5 && id.is_some() {
            self.out.puback(id, Reason::BadPayload);
            return Flow::Stay;
        }
        self.leave(Reason::BadPayload)
    }

    /// Whether this release says why it closes; older ones just close.
    fn tells(&self) -> bool {
        self.backend.config.release >= Release::V3_7
    }

    /// Does what is due by now.
    pub(super) fn tick(&mut self, now: Instant) -> Flow {
        while let Some(later) = self.out.take_due(now) {
            match later {
                Later::Answer { answer, id, .. } => self.answer(&answer, id, now),
                Later::Connect(connect, fate) => {
                    let flow = self.connect_with(&connect, fate, now);
                    if flow != Flow::Stay {
                        return flow;
                    }
                }
                Later::Acknowledge(id) => self.out.puback(id, Reason::Success),
                Later::Publish(topic, qos, payload) => {
                    self.out.publish(&topic, qos, payload.into());
                }
                Later::Error { id, .. } => {
                    return self.failed(id);
                }
                Later::Close => return Flow::Close,
            }
        }
        Flow::Stay
    }

    /// Whose session it is, if a device's.
    pub(super) fn device(&self) -> Option<Arc<Device>> {
        match &self.role {
            Role::Device(device) => Some(Arc::clone(device)),
            Role::Waiting(_) | Role::Provisioning => None,
        }
    }

    /// Leaves the device, if this session is still its session.
    pub(super) fn end(&mut self) {
        if let Role::Device(device) = &self.role {
            device.leave(&self.mailbox, Route::Own);
            self.leave_all();
        }
    }

    /// Lets a client in, if its credentials are a device's or the provisioning ones.
    pub(super) fn let_in(&mut self, connect: &Connect, now: Instant) -> Flow {
        // The platform always answers so, with or without a session to resume.
        let present = !connect.clean;
        let user = connect.username.as_deref();
        if user == Some(PROVISION) || connect.client_id == PROVISION {
            self.end();
            self.role = Role::Provisioning;
            bump(&self.backend.tally.mqtt_connects);
            self.out.accept(present);
            return Flow::Stay;
        }
        let password = connect.password.as_deref();
        let registry = &self.backend.registry;
        let any_date = self.backend.config.skip_validity_check;
        let (device, refusal) = match self.presented() {
            Some(presented) => (presented.holder(registry, any_date), Refusal::NotAuthorized),
            None => (
                registry.login(&connect.client_id, user.unwrap_or(""), password),
                Refusal::of(connect),
            ),
        };
        let Some(device) = device else {
            bump(&self.backend.tally.bad_logins);
            return self.refuse(refusal, present);
        };
        if self.pass(&device).is_err() {
            return self.refuse(Refusal::RateLimited, present);
        }
        bump(&self.backend.tally.mqtt_connects);
        self.out.accept(present);
        if matches!(self.role, Role::Provisioning) {
            // Once a provisioning session, always one.
            return Flow::Stay;
        }
        self.enter(device, now)
    }

    pub(super) fn refuse(&mut self, refusal: Refusal, present: bool) -> Flow {
        let release = self.backend.config.release;
        self.out.refuse(refusal, release, present);
        self.leave(refusal.farewell(release))
    }

    /// Becomes the device's session; an older one has to go.
    fn enter(&mut self, device: Arc<Device>, now: Instant) -> Flow {
        bump(&self.backend.tally.sessions);
        self.end();
        self.gateway = device.is_gateway().then(Box::default);
        let older = device.enter(Presence::new(&self.mailbox, Route::Own));
        self.displaced = older.map(Box::new);
        let before = std::mem::replace(&mut self.role, Role::Device(device));
        if let Role::Waiting(early) = before {
            for packet in early.map(|early| early.0).unwrap_or_default() {
                let flow = self.packet(packet, now);
                if flow != Flow::Stay {
                    return flow;
                }
            }
        }
        Flow::Stay
    }

    fn packet(&mut self, packet: Packet, now: Instant) -> Flow {
        match &mut self.role {
            Role::Waiting(early) => {
                let early = &mut early.get_or_insert_default().0;
                if early.len() >= self.backend.config.limits.early_packets {
                    return self.leave(Reason::QuotaExceeded);
                }
                early.push(packet);
                Flow::Stay
            }
            Role::Provisioning => self.provisioning(packet, now),
            Role::Device(device) => {
                let device = Arc::clone(device);
                self.device_packet(&device, packet, now)
            }
        }
    }

    fn provisioning(&mut self, packet: Packet, now: Instant) -> Flow {
        match packet {
            Packet::Publish(publish) => return self.request(&publish, now),
            Packet::Subscribe(subscribe) if self.backend.config.subacks() => {
                self.subscribe(&subscribe);
            }
            Packet::Unsubscribe(unsubscribe) if self.backend.config.subacks() => {
                let topics = unsubscribe.topics.iter();
                let known: Vec<bool> = topics
                    .map(|topic| topic == RESPONSE && self.response.take().is_some())
                    .collect();
                self.out.unsuback(unsubscribe.pkid, &known);
            }
            Packet::PingReq => self.out.pingresp(),
            Packet::Disconnect => return self.leave(Reason::Success),
            _ => {}
        }
        Flow::Stay
    }

    fn subscribe(&mut self, subscribe: &Subscribe) {
        let mut codes = Vec::with_capacity(subscribe.filters.len());
        for filter in &subscribe.filters {
            let granted = (filter.path == RESPONSE).then(|| granted(filter.qos));
            self.response = granted.or(self.response);
            codes.push(granted);
        }
        self.out.suback(subscribe.pkid, &codes);
    }

    fn request(&mut self, publish: &Publish, now: Instant) -> Flow {
        let id = packet_id(publish);
        if publish.topic != REQUEST {
            return self.turn_down(id, Reason::BadTopic);
        }
        let request = match self.understand(&publish.payload) {
            Ok(request) => request,
            Err(malformed) => {
                bump(&self.backend.tally.malformed);
                return match malformed {
                    Malformed::Runtime(_) => self.turn_down(id, Reason::Implementation),
                    _ if !self.tells() => Flow::Close,
                    _ => self.undecodable(id),
                };
            }
        };
        let Some(ticket) = self.backend.mqtt_pending.ticket() else {
            return self.failed(id);
        };
        match self.backend.provision(&request) {
            Decision::Answer(answer, delay) if delay.is_zero() => {
                self.answer(&answer, id, now);
            }
            Decision::Answer(answer, delay) => {
                self.out.later(
                    now + delay,
                    Later::Answer {
                        answer,
                        id,
                        _place: ticket,
                    },
                );
            }
            Decision::Error(delay) => {
                self.out
                    .later(now + delay, Later::Error { id, _place: ticket });
            }
            Decision::Silence => {}
            Decision::Disconnect => return Flow::Close,
            Decision::Reset => return Flow::Reset,
            Decision::HalfOpen => return Flow::Silent,
        }
        Flow::Stay
    }

    /// Acknowledges a publish that has no place here, and closes; older releases only close.
    pub(super) fn turn_down(&mut self, id: Option<u16>, reason: Reason) -> Flow {
        if self.tells() {
            self.out.puback(id, reason);
        }
        self.leave(reason)
    }

    /// Acknowledges a request that the core does not answer, and closes.
    fn failed(&mut self, id: Option<u16>) -> Flow {
        self.out.puback(id, Reason::Implementation);
        self.leave(Reason::Implementation)
    }

    /// JSON, and protobuf if it is no JSON.
    fn understand(&mut self, payload: &Bytes) -> Result<Request, Malformed> {
        Request::from_json(payload).or_else(|malformed| {
            if !matches!(malformed, Malformed::Parse(_)) {
                return Err(malformed);
            }
            let request = Request::from_protobuf(payload).ok_or(malformed)?;
            self.protobuf = true;
            Ok(request)
        })
    }

    fn answer(&mut self, answer: &Answer, id: Option<u16>, now: Instant) {
        self.out.puback(id, Reason::Success);
        let qos = self.response.unwrap_or(QoS::AtLeastOnce);
        self.out.publish(RESPONSE, qos, answer.bytes(self.protobuf));
        if !self.answered {
            self.answered = true;
            let close = now + self.backend.config.limits.after_answer;
            self.out.later(close, Later::Close);
        }
    }
}

/// Frees the device's session slot however the connection ends.
impl Drop for Session {
    fn drop(&mut self) {
        self.end();
        self.backend.tally.go(self.kind);
    }
}

/// The packet id of a publish that is to be acknowledged. QoS 2 is acknowledged as QoS 1.
pub(super) fn packet_id(publish: &Publish) -> Option<u16> {
    (publish.qos != QoS::AtMostOnce).then_some(publish.pkid)
}

/// At most QoS 1 is granted.
pub(super) fn granted(wanted: QoS) -> QoS {
    match wanted {
        QoS::AtMostOnce => QoS::AtMostOnce,
        QoS::AtLeastOnce | QoS::ExactlyOnce => QoS::AtLeastOnce,
    }
}

/// Messages down to a client that does not read them.
const LETTERS: usize = 1_000;

const PROVISION: &str = "provision";
const REQUEST: &str = "/provision/request";
const RESPONSE: &str = "/provision/response";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::TargetConfig;

    fn session(release: Release) -> Session {
        let config = TargetConfig {
            release,
            ..TargetConfig::default()
        };
        let backend = Backend::new(config).expect("the default is sound");
        Session::new(backend, TransportKind::Mqtt)
    }

    /// CONNACK comes at once, so no client ever sees this on the wire in MQTT 5.
    #[test]
    fn the_101st_early_packet_ends_a_session_that_still_waits() {
        for (version, release, good_bye) in [
            (MqttVersion::V5, Release::V4_3, &b"\xe0\x02\x97\0"[..]),
            (MqttVersion::V5, Release::V3_6, b""),
            (MqttVersion::V3, Release::V4_3, b""),
        ] {
            let mut session = session(release);
            session.out.version = version;
            let mut ping = || session.take(Frame::Packet(Packet::PingReq), Instant::now());
            assert!((0..100).all(|_| ping() == Flow::Stay));
            assert_eq!(ping(), Flow::Close);
            assert_eq!(session.out.take(), good_bye);
        }
    }
}
