//! MQTT 5. Packets are written by rumqttc's codec and read here: the few that a server may send
//! are judged by their fixed headers before anything is waited for, and reason codes that nobody
//! has heard of still come out as what they are.

use bytes::{Buf, Bytes, BytesMut};
use rumqttc::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::QoS as OutgoingQoS;
use rumqttc::v5::mqttbytes::v5::{Connect, Filter, Login, Publish as Outgoing, Subscribe};

use crate::model::{FaultKind, Qos};

use super::packet::{Bounds, Incoming, PACKET_LIMIT, Publish};
use super::properties::{
    MAXIMUM_PACKET_SIZE, MAXIMUM_QOS, OF_ACKS, OF_CONNACK, OF_DISCONNECT, OF_PUBLISH, Properties,
    RECEIVE_MAXIMUM, SERVER_KEEP_ALIVE, TOPIC_ALIAS, text,
};

/// Takes the next whole packet off the front; `None` needs more bytes.
pub(super) fn decode(received: &mut BytesMut) -> Result<Option<Incoming>, FaultKind> {
    let Some(&first) = received.first() else {
        return Ok(None);
    };
    let (shortest, longest) = admit(first)?;
    let Some((header, length)) = remaining_length(received)? else {
        return Ok(None);
    };
    if length < shortest || longest == 0 && length > 0 {
        return Err(FaultKind::MalformedPacket);
    }
    if length > longest {
        return Err(FaultKind::PacketTooLarge);
    }
    if received.len() < header + length {
        return Ok(None);
    }
    let mut body = received.split_to(header + length).freeze();
    body.advance(header);
    match first >> 4 {
        CONNACK => connack(body),
        PUBLISH => incoming_publish(first, body),
        PUBACK => puback(body),
        SUBACK => suback(body),
        PINGRESP => Ok(Incoming::PingResp),
        _ => disconnect(body),
    }
    .map(Some)
}

/// A CONNECT with clean start; an empty user name or password is none.
pub(super) fn connect(
    client_id: &str,
    username: String,
    password: String,
    keep_alive: u16,
    out: &mut BytesMut,
) -> Result<(), FaultKind> {
    let connect = Connect {
        keep_alive,
        client_id: client_id.to_owned(),
        clean_start: true,
        properties: None,
    };
    connect
        .write(&None, &Some(Login::new(username, password)), out)
        .map(drop)
        .map_err(|_| FaultKind::CredentialsUnusable)
}

/// A SUBSCRIBE of one topic with `QoS` 1.
pub(super) fn subscribe(topic: &str, pkid: u16, out: &mut BytesMut) {
    let mut subscribe = Subscribe::new(Filter::new(topic, OutgoingQoS::AtLeastOnce), None);
    subscribe.pkid = pkid;
    subscribe
        .write(out)
        .expect("one topic is far below the longest packet");
}

/// A PUBLISH; `pkid` is not used with `QoS` 0.
pub(super) fn publish(
    topic: &str,
    qos: Qos,
    pkid: u16,
    payload: &Bytes,
    out: &mut BytesMut,
) -> Result<(), FaultKind> {
    let qos = match qos {
        Qos::AtMostOnce => OutgoingQoS::AtMostOnce,
        Qos::AtLeastOnce => OutgoingQoS::AtLeastOnce,
    };
    let mut publish = Outgoing::new(topic, qos, payload.clone(), None);
    publish.pkid = pkid;
    publish
        .write(out)
        .map(drop)
        .map_err(|_| FaultKind::PacketTooLarge)
}

/// The shortest and the longest Remaining Length of a packet that begins so, if a server may send
/// it (section 2.1).
fn admit(first: u8) -> Result<(usize, usize), FaultKind> {
    match (first >> 4, first & 0x0f) {
        // Flags are QoS (never 3), DUP and RETAIN.
        (PUBLISH, flags) if flags & 0b0110 != 0b0110 => Ok((3, PACKET_LIMIT)),
        (CONNACK, 0) => Ok((3, WORDS_LIMIT)),
        (PUBACK, 0) => Ok((2, WORDS_LIMIT)),
        (SUBACK, 0) => Ok((4, WORDS_LIMIT)),
        (PINGRESP, 0) => Ok((0, 0)),
        (DISCONNECT, 0) => Ok((0, WORDS_LIMIT)),
        // The reserved type, and flags that those types must not have.
        (0 | CONNACK | PUBLISH | PUBACK | SUBACK | PINGRESP | DISCONNECT, _) => {
            Err(FaultKind::MalformedPacket)
        }
        _ => Err(FaultKind::UnexpectedPacket),
    }
}

/// The length of the fixed header and the Remaining Length, as soon as they are there.
fn remaining_length(received: &[u8]) -> Result<Option<(usize, usize)>, FaultKind> {
    let mut length = 0;
    for place in 0..4 {
        let Some(&byte) = received.get(1 + place) else {
            return Ok(None);
        };
        length |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            let needless = place > 0 && byte == 0;
            return if needless {
                Err(FaultKind::MalformedPacket)
            } else {
                Ok(Some((2 + place, length)))
            };
        }
    }
    Err(FaultKind::MalformedPacket)
}

/// Section 3.2.
fn connack(mut body: Bytes) -> Result<Incoming, FaultKind> {
    let (present, code) = (body.get_u8(), body.get_u8());
    let properties = Properties::read(&mut body, &OF_CONNACK)?;
    if present > 1 || (1..REFUSED).contains(&code) || !body.is_empty() {
        return Err(FaultKind::MalformedPacket);
    }
    if code >= REFUSED {
        return Ok(Incoming::ConnAck(Err(FaultKind::ConnackReason(code))));
    }
    // There is no session of ours to be present (MQTT-3.2.2-4).
    if present == 1 {
        return Err(FaultKind::UnexpectedPacket);
    }
    let unbound = Bounds::default();
    let short = |id| properties.number(id).and_then(|n| u16::try_from(n).ok());
    Ok(Incoming::ConnAck(Ok(Bounds {
        keep_alive: short(SERVER_KEEP_ALIVE),
        qos: match properties.number(MAXIMUM_QOS) {
            Some(0) => Qos::AtMostOnce,
            _ => unbound.qos,
        },
        packet: properties
            .number(MAXIMUM_PACKET_SIZE)
            .unwrap_or(unbound.packet),
        in_flight: short(RECEIVE_MAXIMUM).unwrap_or(unbound.in_flight),
    })))
}

/// Section 3.3.
fn incoming_publish(first: u8, mut body: Bytes) -> Result<Incoming, FaultKind> {
    let topic = text(&mut body)?;
    let qos = match first >> 1 & 0b11 {
        0 => QoS::AtMostOnce,
        1 => QoS::AtLeastOnce,
        _ => QoS::ExactlyOnce,
    };
    let pkid = match qos {
        QoS::AtMostOnce => 0,
        _ => packet_id(&mut body)?,
    };
    let properties = Properties::read(&mut body, &OF_PUBLISH)?;
    // We announced no Topic Alias Maximum, so none may be used (section 3.3.2.3.4).
    if properties.number(TOPIC_ALIAS).is_some() {
        return Err(FaultKind::UnexpectedPacket);
    }
    if topic.is_empty() || topic.contains(['+', '#']) {
        return Err(FaultKind::MalformedPacket);
    }
    Ok(Incoming::Publish(Publish {
        topic,
        qos,
        dup: first & 0b1000 != 0,
        pkid,
        payload: body,
    }))
}

/// Section 3.4: a success may be two bytes, and without properties their length may be left out.
fn puback(mut body: Bytes) -> Result<Incoming, FaultKind> {
    let pkid = packet_id(&mut body)?;
    let reason = reason_and_properties(&mut body, &OF_ACKS)?;
    if reason < REFUSED && reason != 0 && reason != NO_MATCHING_SUBSCRIBERS {
        return Err(FaultKind::MalformedPacket);
    }
    Ok(Incoming::PubAck(pkid, reason))
}

/// Section 3.9: one reason code, since we subscribe to one topic at a time.
fn suback(mut body: Bytes) -> Result<Incoming, FaultKind> {
    let pkid = packet_id(&mut body)?;
    Properties::read(&mut body, &OF_ACKS)?;
    match body[..] {
        [code @ (0..=2 | REFUSED..)] => Ok(Incoming::SubAck(pkid, code)),
        _ => Err(FaultKind::MalformedPacket),
    }
}

/// Section 3.14.
fn disconnect(mut body: Bytes) -> Result<Incoming, FaultKind> {
    reason_and_properties(&mut body, &OF_DISCONNECT).map(Incoming::Disconnect)
}

/// What is left of a packet: nothing, a reason code, or that and properties.
fn reason_and_properties(body: &mut Bytes, allowed: &[u8]) -> Result<u8, FaultKind> {
    if body.is_empty() {
        return Ok(0);
    }
    let reason = body.get_u8();
    if !body.is_empty() {
        Properties::read(body, allowed)?;
    }
    if body.is_empty() {
        Ok(reason)
    } else {
        Err(FaultKind::MalformedPacket)
    }
}

fn packet_id(body: &mut Bytes) -> Result<u16, FaultKind> {
    match body.try_get_u16() {
        Ok(0) | Err(_) => Err(FaultKind::MalformedPacket),
        Ok(pkid) => Ok(pkid),
    }
}

const CONNACK: u8 = 2;
const PUBLISH: u8 = 3;
const PUBACK: u8 = 4;
const SUBACK: u8 = 9;
const PINGRESP: u8 = 13;
const DISCONNECT: u8 = 14;

/// Reason codes from here on are failures (section 2.4).
pub(super) const REFUSED: u8 = 0x80;
const NO_MATCHING_SUBSCRIBERS: u8 = 0x10;

/// The longest packet without payload that is accepted: its properties are words for people.
const WORDS_LIMIT: usize = 16 * 1024;

#[cfg(test)]
mod tests;
