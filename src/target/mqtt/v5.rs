//! MQTT 5 packets of a client, as the session's own words. Properties are held to the
//! specification and then forgotten: the platform acts upon none of them.

use bytes::{Buf, Bytes};
use rumqttc::mqttbytes::v4::{Packet, Publish, Subscribe, SubscribeFilter, Unsubscribe};
use rumqttc::mqttbytes::{QoS, has_wildcards, qos};

use super::wire::{Broken, Frame, binary, byte, number, text};

/// Reads a packet other than CONNECT: its first byte, and what follows its length.
pub(super) fn frame(first: u8, mut body: Bytes) -> Result<Frame, Broken> {
    let packet = match (first >> 4, first & 0x0f) {
        (PUBLISH, flags) => Packet::Publish(publish(flags, body)?),
        (SUBSCRIBE, 0b0010) => Packet::Subscribe(subscribe(body)?),
        (UNSUBSCRIBE, 0b0010) => Packet::Unsubscribe(unsubscribe(body)?),
        (PINGREQ, 0) if body.is_empty() => Packet::PingReq,
        (DISCONNECT, 0) => {
            reason(&mut body, OF_DISCONNECT)?;
            Packet::Disconnect
        }
        (PUBACK | PUBREC | PUBCOMP, 0) | (PUBREL, 0b0010) => {
            packet_id(&mut body)?;
            reason(&mut body, OF_ACKS)?;
            return Ok(Frame::Ignored);
        }
        (AUTH, 0) => {
            reason(&mut body, OF_AUTH)?;
            return Ok(Frame::Ignored);
        }
        _ => return Err(Broken),
    };
    Ok(Frame::Packet(packet))
}

/// Takes a property block off; every property must be one of these, whole, and there once.
pub(super) fn properties(body: &mut Bytes, allowed: Set) -> Result<(), Broken> {
    let length = variable(body)?;
    if length > body.len() {
        return Err(Broken);
    }
    let mut block = body.split_to(length);
    let mut left = allowed.0;
    while block.has_remaining() {
        let id = byte(&mut block)?;
        let bit = 1_u64.checked_shl(id.into()).unwrap_or(0);
        if left & bit == 0 {
            return Err(Broken);
        }
        if id != USER_PROPERTY {
            left &= !bit;
        }
        skip(id, &mut block)?;
    }
    Ok(())
}

/// A set of property identifiers.
#[derive(Clone, Copy)]
pub(super) struct Set(u64);

impl Set {
    const fn of(ids: &[u8]) -> Self {
        let (mut bits, mut at) = (0, 0);
        while at < ids.len() {
            bits |= 1 << ids[at];
            at += 1;
        }
        Self(bits)
    }
}

/// Reads over one property's value.
fn skip(id: u8, block: &mut Bytes) -> Result<(), Broken> {
    let sound = match id {
        // Payload format, request problem information, request response information: yes or no.
        1 | 23 | 25 => byte(block)? <= 1,
        // Receive maximum and topic alias are never 0; topic alias maximum may be.
        33 | 35 => number(block)? != 0,
        34 => number(block).is_ok(),
        // Message expiry, session expiry, will delay.
        2 | 17 | 24 => block.try_get_u32().is_ok(),
        // Maximum packet size.
        39 => block.try_get_u32().map_err(|_| Broken)? != 0,
        // Subscription identifier.
        11 => variable(block)? != 0,
        // Content type, response topic, authentication method, reason.
        3 | 8 | 21 | 31 => text(block).is_ok(),
        // Correlation data, authentication data.
        9 | 22 => binary(block).is_ok(),
        USER_PROPERTY => text(block).and_then(|_| text(block)).is_ok(),
        _ => false,
    };
    if sound { Ok(()) } else { Err(Broken) }
}

fn variable(body: &mut Bytes) -> Result<usize, Broken> {
    let mut value = 0;
    for shift in [0, 7, 14, 21] {
        let next = byte(body)?;
        value |= usize::from(next & 0x7f) << shift;
        if next & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Broken)
}

fn packet_id(body: &mut Bytes) -> Result<u16, Broken> {
    match number(body)? {
        0 => Err(Broken),
        id => Ok(id),
    }
}

/// The end of an acknowledgement: nothing, a reason, or a reason and properties.
fn reason(body: &mut Bytes, allowed: Set) -> Result<(), Broken> {
    if body.has_remaining() {
        byte(body)?;
    }
    if body.has_remaining() {
        properties(body, allowed)?;
    }
    if body.has_remaining() {
        return Err(Broken);
    }
    Ok(())
}

fn publish(flags: u8, mut body: Bytes) -> Result<Publish, Broken> {
    let qos = qos(flags >> 1 & 0b11).map_err(|_| Broken)?;
    let topic = text(&mut body)?;
    let pkid = match qos {
        QoS::AtMostOnce => 0,
        QoS::AtLeastOnce | QoS::ExactlyOnce => packet_id(&mut body)?,
    };
    properties(&mut body, OF_PUBLISH)?;
    if has_wildcards(&topic) {
        return Err(Broken);
    }
    Ok(Publish {
        dup: flags & 0b1000 != 0,
        qos,
        retain: flags & 0b0001 != 0,
        topic,
        pkid,
        payload: body,
    })
}

fn subscribe(mut body: Bytes) -> Result<Subscribe, Broken> {
    let pkid = packet_id(&mut body)?;
    properties(&mut body, OF_SUBSCRIBE)?;
    let mut filters = Vec::new();
    while body.has_remaining() {
        let path = text(&mut body)?;
        let options = byte(&mut body)?;
        // Reserved bits, and the one retain handling that does not exist.
        if options & 0b1100_0000 != 0 || options & 0b0011_0000 == 0b0011_0000 {
            return Err(Broken);
        }
        let qos = qos(options & 0b11).map_err(|_| Broken)?;
        filters.push(SubscribeFilter::new(path, qos));
    }
    if filters.is_empty() {
        return Err(Broken);
    }
    Ok(Subscribe { pkid, filters })
}

fn unsubscribe(mut body: Bytes) -> Result<Unsubscribe, Broken> {
    let pkid = packet_id(&mut body)?;
    properties(&mut body, OF_UNSUBSCRIBE)?;
    let mut topics = Vec::new();
    while body.has_remaining() {
        topics.push(text(&mut body)?);
    }
    if topics.is_empty() {
        return Err(Broken);
    }
    Ok(Unsubscribe { pkid, topics })
}

const PUBLISH: u8 = 3;
const PUBACK: u8 = 4;
const PUBREC: u8 = 5;
const PUBREL: u8 = 6;
const PUBCOMP: u8 = 7;
const SUBSCRIBE: u8 = 8;
const UNSUBSCRIBE: u8 = 10;
const PINGREQ: u8 = 12;
const DISCONNECT: u8 = 14;
const AUTH: u8 = 15;

const USER_PROPERTY: u8 = 38;

pub(super) const OF_CONNECT: Set = Set::of(&[17, 21, 22, 23, 25, 33, 34, 38, 39]);
pub(super) const OF_WILL: Set = Set::of(&[1, 2, 3, 8, 9, 24, 38]);
const OF_PUBLISH: Set = Set::of(&[1, 2, 3, 8, 9, 35, 38]);
const OF_SUBSCRIBE: Set = Set::of(&[11, 38]);
const OF_UNSUBSCRIBE: Set = Set::of(&[38]);
const OF_ACKS: Set = Set::of(&[31, 38]);
const OF_DISCONNECT: Set = Set::of(&[17, 31, 38]);
const OF_AUTH: Set = Set::of(&[21, 22, 31, 38]);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(first: u8, body: &'static [u8]) -> Result<Frame, Broken> {
        frame(first, Bytes::from_static(body))
    }

    #[test]
    fn packets_lose_their_properties_and_nothing_else() {
        let publish = b"\0\x01t\0\x07\x0f\x01\x01\x26\0\x01k\0\x01v\x23\0\x05\x03\0\0{}";
        let Ok(Frame::Packet(Packet::Publish(publish))) = read(0x3b, publish) else {
            panic!("no PUBLISH")
        };
        assert_eq!((&*publish.topic, publish.pkid), ("t", 7));
        assert_eq!(publish.payload, "{}");
        assert!(publish.dup && publish.retain && publish.qos == QoS::AtLeastOnce);

        let subscribe = b"\0\x02\x02\x0b\x05\0\x01a\x2e\0\x01b\x00";
        let Ok(Frame::Packet(Packet::Subscribe(subscribe))) = read(0x82, subscribe) else {
            panic!("no SUBSCRIBE")
        };
        let wanted: Vec<_> = subscribe
            .filters
            .iter()
            .map(|f| (&*f.path, f.qos))
            .collect();
        assert_eq!(wanted, [("a", QoS::ExactlyOnce), ("b", QoS::AtMostOnce)]);

        let Ok(Frame::Packet(Packet::Unsubscribe(unsubscribe))) = read(0xa2, b"\0\x03\0\0\x01a")
        else {
            panic!("no UNSUBSCRIBE")
        };
        assert_eq!(unsubscribe.topics, ["a"]);
        for body in [&b""[..], b"\x04", b"\x04\0", b"\0\x05\x11\0\0\0\x09"] {
            assert!(matches!(
                read(0xe0, body),
                Ok(Frame::Packet(Packet::Disconnect))
            ));
        }
        for (first, body) in [
            (0x40, &b"\0\x01"[..]),
            (0x50, b"\0\x01\x10"),
            (0x62, b"\0\x01\x92\0"),
            (0x70, b"\0\x01\0\x05\x1f\0\x02ok"),
            (0xf0, b"\x18\x04\x15\0\x01m"),
        ] {
            assert!(matches!(read(first, body), Ok(Frame::Ignored)), "{first:x}");
        }
    }

    #[test]
    fn what_breaks_a_rule_is_broken() {
        for (first, body) in [
            // No property block, one that is cut, one beyond the end, an endless length.
            (0x30, &b"\0\x01t"[..]),
            (0x30, b"\0\x01t\x02\x01"),
            (0x30, b"\0\x01t\xff\xff\xff\x7f"),
            (0x30, b"\0\x01t\xff\xff\xff\xff\x01"),
            // A value beyond its block, though the packet goes on.
            (0x30, b"\0\x01t\x02\x23\0\x01"),
            // Twice, unknown, of another packet, out of range.
            (0x30, b"\0\x01t\x04\x01\0\x01\0"),
            (0x30, b"\0\x01t\x02\x7f\0"),
            (0x30, b"\0\x01t\x02\x0b\x01"),
            (0x30, b"\0\x01t\x02\x01\x02"),
            (0x30, b"\0\x01t\x03\x23\0\0"),
            (0x30, b"\0\x03a/+\0"),
            (0x36, b"\0\x01t\0\x01\0"),
            (0x32, b"\0\x01t\0\0\0"),
            // SUBSCRIBE: flags, id 0, QoS 3, reserved bits, retain handling 3, no filter.
            (0x80, b"\0\x01\0\0\x01a\0"),
            (0x82, b"\0\0\0\0\x01a\0"),
            (0x82, b"\0\x01\0\0\x01a\x03"),
            (0x82, b"\0\x01\0\0\x01a\x40"),
            (0x82, b"\0\x01\0\0\x01a\x30"),
            (0x82, b"\0\x01\0"),
            (0xa2, b"\0\x01\0"),
            (0xc0, b"\0"),
            (0xe0, b"\0\0\0"),
            // What only a server says, and the type that does not exist.
            (0x20, b"\0\0\0"),
            (0x90, b"\0\x01\0\x01"),
            (0xd0, b""),
            (0x00, b""),
        ] {
            let shown = body.escape_ascii();
            assert!(read(first, body).is_err(), "{first:x} {shown}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(first: u8, body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = frame(first, body.into());
        }

        #[test]
        fn never_panics_within_properties(
            block in proptest::collection::vec(any::<u8>(), 0..127),
            first in proptest::sample::select(vec![0x30_u8, 0x32, 0x82, 0xa2, 0x40, 0xe0, 0xf0]),
        ) {
            let lead: &[u8] = match first >> 4 {
                PUBLISH if first & 0b10 == 0 => b"\0\x01t",
                PUBLISH => b"\0\x01t\0\x01",
                SUBSCRIBE | UNSUBSCRIBE => b"\0\x01",
                PUBACK => b"\0\x01\0",
                _ => b"\0",
            };
            let body = [lead, &[block.len() as u8], &block].concat();
            let _ = frame(first, body.into());
        }
    }
}
