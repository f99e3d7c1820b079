//! What a session has to say: packets for now, and things due later. Empty it costs nothing.

use std::collections::BTreeMap;

use bytes::BytesMut;
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{
    ConnAck, ConnectReturnCode, PingResp, PubAck, Publish, SubAck, SubscribeReasonCode, UnsubAck,
};
use tokio::time::Instant;

use crate::target::answer::Answer;
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
    /// Publish on a topic.
    Publish(String, QoS, &'static str),
    /// Close.
    Close,
}

/// Outgoing packets, in order.
#[derive(Default)]
pub(super) struct Outbox {
    /// Encoded, to be written at once.
    pub(super) bytes: BytesMut,
    later: BTreeMap<(Instant, u32), Later>,
    last_id: u16,
    last_later: u32,
}

impl Outbox {
    pub(super) fn connack(&mut self, code: ConnectReturnCode, present: bool) {
        encoded(ConnAck::new(code, present).write(&mut self.bytes));
    }

    /// Acknowledges a publish; without a packet id (QoS 0) there is nothing to say.
    pub(super) fn puback(&mut self, id: Option<u16>) {
        if let Some(id) = id {
            encoded(PubAck::new(id).write(&mut self.bytes));
        }
    }

    pub(super) fn suback(&mut self, id: u16, codes: Vec<SubscribeReasonCode>) {
        encoded(SubAck::new(id, codes).write(&mut self.bytes));
    }

    pub(super) fn unsuback(&mut self, id: u16) {
        encoded(UnsubAck::new(id).write(&mut self.bytes));
    }

    pub(super) fn pingresp(&mut self) {
        encoded(PingResp.write(&mut self.bytes));
    }

    /// Publishes; packet ids count 1, 2, 3 … per connection.
    pub(super) fn publish(&mut self, topic: &str, qos: QoS, payload: Vec<u8>) {
        let mut publish = Publish::new(topic, qos, payload);
        if qos != QoS::AtMostOnce {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            publish.pkid = self.last_id;
        }
        encoded(publish.write(&mut self.bytes));
    }

    /// Puts something off.
    pub(super) fn later(&mut self, due: Instant, what: Later) {
        self.last_later = self.last_later.wrapping_add(1);
        self.later.insert((due, self.last_later), what);
    }

    /// How many things are put off.
    pub(super) fn put_off(&self) -> usize {
        self.later.len()
    }

    /// When the next thing is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.later.first_key_value().map(|((due, _), _)| *due)
    }

    /// The next thing that is due by now.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Later> {
        let first = self.later.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }
}

fn encoded(written: Result<usize, rumqttc::mqttbytes::Error>) {
    written.expect("packets of our own making are within the codec's limits");
}
