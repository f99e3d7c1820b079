//! What a server may say, whichever version of MQTT it says it in.

use std::fmt;

use bytes::Bytes;
use rumqttc::mqttbytes::QoS;

use crate::model::{FaultKind, Qos};

/// The longest packet accepted, as its Remaining Length in bytes.
pub(super) const PACKET_LIMIT: usize = 256 * 1024;

/// A packet that a server may send.
#[derive(Debug)]
pub(super) enum Incoming {
    /// CONNACK: the bounds it sets, or the refusal.
    ConnAck(Result<Bounds, FaultKind>),
    /// PUBLISH.
    Publish(Publish),
    /// PUBACK with its packet id and reason code; MQTT 3.1.1 knows only 0.
    PubAck(u16, u8),
    /// SUBACK of one topic filter with its packet id and what it grants: a `QoS`, or 0x80 and more.
    SubAck(u16, u8),
    /// PINGRESP.
    PingResp,
    /// DISCONNECT with its reason code; MQTT 5 only.
    Disconnect(u8),
}

/// A PUBLISH, as far as a device looks at it.
pub(super) struct Publish {
    pub(super) topic: String,
    pub(super) qos: QoS,
    pub(super) dup: bool,
    /// 0 with QoS 0.
    pub(super) pkid: u16,
    pub(super) payload: Bytes,
}

impl fmt::Debug for Publish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The payload carries credentials.
        f.debug_struct("Publish")
            .field("topic", &self.topic)
            .field("qos", &self.qos)
            .field("dup", &self.dup)
            .field("pkid", &self.pkid)
            .field("payload_bytes", &self.payload.len())
            .finish()
    }
}

/// What a server allows its client, by the properties of CONNACK (MQTT 5, section 3.2.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    /// Server Keep Alive, seconds, which overrules ours; 0 is none.
    pub(super) keep_alive: Option<u16>,
    /// Maximum `QoS` of a publish.
    pub(super) qos: Qos,
    /// Maximum Packet Size with its fixed header, bytes.
    pub(super) packet: u32,
    /// Receive Maximum: publishes of `QoS` 1 that may wait for their PUBACK.
    pub(super) in_flight: u16,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            keep_alive: None,
            qos: Qos::AtLeastOnce,
            packet: u32::MAX,
            in_flight: u16::MAX,
        }
    }
}
