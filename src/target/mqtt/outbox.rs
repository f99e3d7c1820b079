//! What a session has to say: packets for now, and things due later. Empty it is a few words.

use std::collections::BTreeMap;
use std::collections::btree_map::OccupiedEntry;

use bytes::{BufMut, BytesMut};
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{
    ConnAck, ConnectReturnCode, PingResp, PubAck, Publish, SubAck, SubscribeReasonCode, UnsubAck,
};
use tokio::time::Instant;

use super::reason::{Reason, Refusal};
use super::wire::Connect;
use crate::model::{MqttVersion, Release};
use crate::target::answer::Answer;
use crate::target::faults::Fate;
use crate::target::pending::Ticket;

/// Something that a session does at a later time.
pub(super) enum Later {
    /// Acknowledge a provision request and answer it.
    Answer {
        answer: Answer,
        id: Option<u16>,
        _place: Ticket,
    },
    /// Acknowledge a provision request that the core did not answer, and close.
    Error { id: Option<u16>, _place: Ticket },
    /// Take a CONNECT to its fate.
    Connect(Box<Connect>, Fate),
    /// Acknowledge a message.
    Acknowledge(Option<u16>),
    /// Publish on a topic.
    Publish(String, QoS, String),
    /// Close.
    Close,
}

/// Outgoing packets, in order. Those of MQTT 5 never have properties.
#[derive(Default)]
pub(super) struct Outbox {
    /// What the client speaks.
    pub(super) version: MqttVersion,
    /// Encoded, to be written at once. Boxed, as is what comes later: mostly there is neither.
    bytes: Option<Box<BytesMut>>,
    later: Option<Box<PutOff>>,
    last_id: u16,
}

/// What was put off, by its time and in order.
#[derive(Default)]
struct PutOff {
    things: BTreeMap<(Instant, u32), Later>,
    last: u32,
}

impl Outbox {
    /// What is to be written at once, to write to or to cut.
    pub(super) fn bytes(&mut self) -> &mut BytesMut {
        self.bytes.get_or_insert_default()
    }

    /// Takes out what is to be written at once.
    pub(super) fn take(&mut self) -> BytesMut {
        self.bytes.take().map(|bytes| *bytes).unwrap_or_default()
    }

    /// Lets the client in.
    pub(super) fn accept(&mut self, present: bool) {
        match self.version {
            MqttVersion::V3 => self.connack(ConnectReturnCode::Success, present),
            MqttVersion::V5 => self.connack_5(Reason::Success, present),
        }
    }

    /// Turns the client away.
    pub(super) fn refuse(&mut self, refusal: Refusal, release: Release, present: bool) {
        match self.version {
            MqttVersion::V3 => self.connack(refusal.return_code(release), present),
            MqttVersion::V5 => self.connack_5(refusal.reason(release), present),
        }
    }

    fn connack(&mut self, code: ConnectReturnCode, present: bool) {
        encoded(ConnAck::new(code, present).write(self.bytes()));
    }

    fn connack_5(&mut self, reason: Reason, present: bool) {
        let body = [present.into(), reason as u8, NO_PROPERTIES];
        self.put(0x20, &[&body]);
    }

    /// Acknowledges a publish, for which MQTT 3 knows no bad reason; without a packet id (`QoS` 0)
    /// there is nothing to say.
    pub(super) fn puback(&mut self, id: Option<u16>, reason: Reason) {
        let Some(id) = id else { return };
        if self.version == MqttVersion::V5 && reason != Reason::Success {
            let why = [reason as u8, NO_PROPERTIES];
            self.put(0x40, &[&id.to_be_bytes(), &why]);
        } else {
            encoded(PubAck::new(id).write(self.bytes()));
        }
    }

    /// Answers a subscription, filter by filter: the `QoS` granted, or none for an unknown filter.
    pub(super) fn suback(&mut self, id: u16, granted: &[Option<QoS>]) {
        match self.version {
            MqttVersion::V3 => {
                let code = |granted: &Option<QoS>| {
                    granted.map_or(SubscribeReasonCode::Failure, SubscribeReasonCode::Success)
                };
                let codes = granted.iter().map(code).collect();
                encoded(SubAck::new(id, codes).write(self.bytes()));
            }
            MqttVersion::V5 => {
                let code = |granted: &Option<QoS>| {
                    granted.map_or(Reason::BadFilter as u8, |granted| granted as u8)
                };
                let codes: Vec<u8> = granted.iter().map(code).collect();
                self.put(0x90, &[&id.to_be_bytes(), &[NO_PROPERTIES], &codes]);
            }
        }
    }

    /// Answers the end of subscriptions, filter by filter: whether there was such a one.
    pub(super) fn unsuback(&mut self, id: u16, known: &[bool]) {
        match self.version {
            MqttVersion::V3 => encoded(UnsubAck::new(id).write(self.bytes())),
            MqttVersion::V5 => {
                let code = |known: &bool| match known {
                    true => Reason::Success as u8,
                    false => Reason::NoSubscription as u8,
                };
                let codes: Vec<u8> = known.iter().map(code).collect();
                self.put(0xb0, &[&id.to_be_bytes(), &[NO_PROPERTIES], &codes]);
            }
        }
    }

    pub(super) fn pingresp(&mut self) {
        encoded(PingResp.write(self.bytes()));
    }

    /// Says why the connection ends, for which a server has no word in MQTT 3.
    pub(super) fn disconnect(&mut self, reason: Reason) {
        match (self.version, reason) {
            (MqttVersion::V3, _) => {}
            (MqttVersion::V5, Reason::Success) => self.put(0xe0, &[]),
            (MqttVersion::V5, reason) => self.put(0xe0, &[&[reason as u8, NO_PROPERTIES]]),
        }
    }

    /// Publishes; packet ids count 1, 2, 3 … per connection.
    pub(super) fn publish(&mut self, topic: &str, qos: QoS, payload: Vec<u8>) {
        if qos != QoS::AtMostOnce {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
        }
        let pkid = self.last_id;
        if self.version == MqttVersion::V3 {
            let mut publish = Publish::new(topic, qos, payload);
            publish.pkid = pkid;
            encoded(publish.write(self.bytes()));
            return;
        }
        let length = u16::try_from(topic.len()).expect("topics of our own making are short");
        let id = match qos {
            QoS::AtMostOnce => &[][..],
            _ => &pkid.to_be_bytes(),
        };
        let (length, topic) = (length.to_be_bytes(), topic.as_bytes());
        let first = 0x30 | (qos as u8) << 1;
        self.put(first, &[&length, topic, id, &[NO_PROPERTIES], &payload]);
    }

    /// Writes an MQTT 5 packet.
    fn put(&mut self, first: u8, parts: &[&[u8]]) {
        let bytes = self.bytes();
        bytes.put_u8(first);
        let mut left: usize = parts.iter().map(|part| part.len()).sum();
        while left > 0x7f {
            bytes.put_u8((left & 0x7f) as u8 | 0x80);
            left >>= 7;
        }
        bytes.put_u8(left as u8);
        for part in parts {
            bytes.put_slice(part);
        }
    }

    /// Puts something off.
    pub(super) fn later(&mut self, due: Instant, what: Later) {
        let later = self.later.get_or_insert_default();
        later.last = later.last.wrapping_add(1);
        later.things.insert((due, later.last), what);
    }

    /// How many things are put off.
    pub(super) fn put_off(&self) -> usize {
        self.later.as_ref().map_or(0, |later| later.things.len())
    }

    /// When the next thing is due.
    pub(super) fn due(&self) -> Option<Instant> {
        let ((due, _), _) = self.later.as_ref()?.things.first_key_value()?;
        Some(*due)
    }

    /// The next thing that is due by now.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Later> {
        let things = &mut self.later.as_mut()?.things;
        let first = things.first_entry().filter(|first| first.key().0 <= now);
        let what = first.map(OccupiedEntry::remove);
        if things.is_empty() {
            self.later = None;
        }
        what
    }
}

fn encoded(written: Result<usize, rumqttc::mqttbytes::Error>) {
    written.expect("packets of our own making are within the codec's limits");
}

/// The length of an empty property block.
const NO_PROPERTIES: u8 = 0;

#[cfg(test)]
mod tests {
    use super::*;

    fn said(version: MqttVersion, say: impl FnOnce(&mut Outbox)) -> Vec<u8> {
        let mut out = Outbox {
            version,
            ..Outbox::default()
        };
        say(&mut out);
        out.take().to_vec()
    }

    #[test]
    fn each_version_has_its_own_words() {
        type Say = fn(&mut Outbox);
        let cases: [(Say, &[u8], &[u8]); 9] = [
            (|o| o.accept(true), b"\x20\x02\x01\0", b"\x20\x03\x01\0\0"),
            (
                |o| o.refuse(Refusal::Credentials, Release::V4_3, false),
                b"\x20\x02\0\x05",
                b"\x20\x03\0\x86\0",
            ),
            (
                |o| o.refuse(Refusal::Credentials, Release::V3_5, false),
                b"\x20\x02\0\x04",
                b"\x20\x03\0\x86\0",
            ),
            (
                |o| o.puback(Some(2), Reason::Success),
                b"\x40\x02\0\x02",
                b"\x40\x02\0\x02",
            ),
            (
                |o| o.puback(Some(2), Reason::BadPayload),
                b"\x40\x02\0\x02",
                b"\x40\x04\0\x02\x99\0",
            ),
            (
                |o| o.suback(1, &[Some(QoS::AtLeastOnce), None]),
                b"\x90\x04\0\x01\x01\x80",
                b"\x90\x05\0\x01\0\x01\x8f",
            ),
            (
                |o| o.unsuback(1, &[true, false]),
                b"\xb0\x02\0\x01",
                b"\xb0\x05\0\x01\0\0\x11",
            ),
            (|o| o.disconnect(Reason::Success), b"", b"\xe0\0"),
            (|o| o.disconnect(Reason::TakenOver), b"", b"\xe0\x02\x8e\0"),
        ];
        for (say, three, five) in cases {
            assert_eq!(said(MqttVersion::V3, say), three);
            assert_eq!(said(MqttVersion::V5, say), five);
        }
    }

    #[test]
    fn long_publishes_have_long_lengths() {
        let publish = |o: &mut Outbox| o.publish("t", QoS::AtMostOnce, vec![b'x'; 16_380]);
        let bytes = said(MqttVersion::V5, publish);
        assert_eq!(bytes[..8], b"\x30\x80\x80\x01\0\x01t\0"[..]);
        assert_eq!(bytes.len(), 4 + 16_384);
    }
}
