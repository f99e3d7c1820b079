//! Bytes to packets. The codec is rumqttc's for MQTT 3, ours for MQTT 5 (`v5`); CONNECT is read
//! here, since the codec knows no MQTT 3.1, takes passwords for text and does not tell an empty
//! user name from none. Whatever the platform's decoder refuses is refused here too.

use bytes::{Buf, Bytes, BytesMut};
use rumqttc::mqttbytes::v4::Packet;
use rumqttc::mqttbytes::{Error, check, has_wildcards};

use super::v5;
use crate::model::MqttVersion;

/// What a client sent.
pub(super) enum Frame {
    Connect(Connect),
    Packet(Packet),
    /// A sound packet that nothing is done about.
    Ignored,
}

/// A CONNECT. Will, keep-alive and properties are read over: nothing acts on them.
pub(super) struct Connect {
    /// MQTT 3.1 counts as 3.1.1 from here on.
    pub(super) version: MqttVersion,
    pub(super) clean: bool,
    pub(super) client_id: String,
    pub(super) username: Option<String>,
    pub(super) password: Option<Bytes>,
}

/// The bytes are not MQTT as the platform takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken;

/// Takes the next whole frame off the front, if there is one. Until a CONNECT says otherwise, the
/// version is 3.
pub(super) fn next(
    bytes: &mut BytesMut,
    largest: usize,
    version: MqttVersion,
) -> Result<Option<Frame>, Broken> {
    let header = match check(bytes.iter(), largest) {
        Ok(header) => header,
        Err(Error::InsufficientBytes(_)) => return Ok(None),
        Err(_) => return Err(Broken),
    };
    let (kind, flags) = (bytes[0] >> 4, bytes[0] & 0x0f);
    if kind == CONNECT || version == MqttVersion::V5 {
        let first = bytes[0];
        let body = body(bytes, header.frame_length())?;
        let frame = match kind {
            CONNECT => Frame::Connect(connect(body)?),
            _ => v5::frame(first, body)?,
        };
        return Ok(Some(frame));
    }
    if matches!(kind, PUBREL | SUBSCRIBE | UNSUBSCRIBE) && flags != 0b0010 {
        return Err(Broken);
    }
    let packet = Packet::read(bytes, largest).map_err(|_| Broken)?;
    match &packet {
        Packet::Publish(publish) if has_wildcards(&publish.topic) => Err(Broken),
        Packet::Subscribe(subscribe) if subscribe.pkid == 0 => Err(Broken),
        Packet::Unsubscribe(unsubscribe)
            if unsubscribe.pkid == 0 || unsubscribe.topics.is_empty() =>
        {
            Err(Broken)
        }
        _ => Ok(Some(Frame::Packet(packet))),
    }
}

/// Takes a frame off the front and the fixed header off the frame.
fn body(bytes: &mut BytesMut, length: usize) -> Result<Bytes, Broken> {
    let mut frame = bytes.split_to(length).freeze();
    let mut length = frame.iter().skip(1);
    let last = length.position(|byte| byte & 0x80 == 0).ok_or(Broken)?;
    frame.advance(1 + last + 1);
    Ok(frame)
}

fn connect(mut body: Bytes) -> Result<Connect, Broken> {
    let name = binary(&mut body)?;
    let level = byte(&mut body)?;
    let flags = byte(&mut body)?;
    let _keep_alive = number(&mut body)?;
    let (old, version) = match (&*name, level) {
        (b"MQIsdp", 3) => (true, MqttVersion::V3),
        (b"MQTT", 4) => (false, MqttVersion::V3),
        (b"MQTT", 5) => (false, MqttVersion::V5),
        _ => return Err(Broken),
    };
    if !old && flags & RESERVED != 0 {
        return Err(Broken);
    }
    if version == MqttVersion::V5 {
        v5::properties(&mut body, v5::OF_CONNECT)?;
    }
    let client_id = text(&mut body)?;
    if old && !(1..=23).contains(&client_id.len()) {
        return Err(Broken);
    }
    if flags & WILL != 0 {
        if version == MqttVersion::V5 {
            v5::properties(&mut body, v5::OF_WILL)?;
        }
        let _topic = binary(&mut body)?;
        let _message = binary(&mut body)?;
    }
    let username = (flags & USERNAME != 0)
        .then(|| text(&mut body))
        .transpose()?;
    let password = (flags & PASSWORD != 0)
        .then(|| binary(&mut body))
        .transpose()?;
    if body.has_remaining() {
        return Err(Broken);
    }
    Ok(Connect {
        version,
        clean: flags & CLEAN != 0,
        client_id,
        username,
        password,
    })
}

pub(super) fn byte(body: &mut Bytes) -> Result<u8, Broken> {
    body.try_get_u8().map_err(|_| Broken)
}

pub(super) fn number(body: &mut Bytes) -> Result<u16, Broken> {
    body.try_get_u16().map_err(|_| Broken)
}

pub(super) fn binary(body: &mut Bytes) -> Result<Bytes, Broken> {
    let length = usize::from(number(body)?);
    if length > body.len() {
        return Err(Broken);
    }
    Ok(body.split_to(length))
}

pub(super) fn text(body: &mut Bytes) -> Result<String, Broken> {
    String::from_utf8(binary(body)?.to_vec()).map_err(|_| Broken)
}

const CONNECT: u8 = 1;
const PUBREL: u8 = 6;
const SUBSCRIBE: u8 = 8;
const UNSUBSCRIBE: u8 = 10;

const RESERVED: u8 = 0x01;
const CLEAN: u8 = 0x02;
const WILL: u8 = 0x04;
const PASSWORD: u8 = 0x40;
const USERNAME: u8 = 0x80;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8]) -> Result<Option<Frame>, Broken> {
        next(&mut BytesMut::from(bytes), 65_536, MqttVersion::V3)
    }

    fn is_broken(bytes: &[u8]) -> bool {
        read(bytes).is_err()
    }

    #[test]
    fn reads_connect_of_both_levels() {
        let Ok(Some(Frame::Connect(new))) =
            read(b"\x10\x19\x00\x04MQTT\x04\x82\x00\x3c\x00\x02c1\x00\x09provision")
        else {
            panic!("no CONNECT");
        };
        assert_eq!((&*new.client_id, new.clean), ("c1", true));
        assert_eq!(new.username.as_deref(), Some("provision"));
        assert_eq!(new.password, None);
        let Ok(Some(Frame::Connect(old))) =
            read(b"\x10\x14\x00\x06MQIsdp\x03\xc0\x00\x3c\x00\x01c\x00\x00\x00\x01\xff")
        else {
            panic!("no CONNECT");
        };
        assert_eq!(old.username.as_deref(), Some(""));
        assert_eq!(old.password.as_deref(), Some(&b"\xff"[..]));
        assert!(!old.clean);
    }

    #[test]
    fn reads_connect_of_mqtt_5_with_a_will_over_all_properties() {
        let Ok(Some(Frame::Connect(connect))) = read(
            b"\x10\x2b\x00\x04MQTT\x05\xc6\x00\x3c\x08\x11\x00\x00\x00\x05\x21\x00\x09\
              \x00\x02c1\x07\x18\x00\x00\x00\x01\x01\x01\x00\x01t\x00\x01m\x00\x01u\x00\x01p",
        ) else {
            panic!("no CONNECT");
        };
        assert_eq!(connect.version, MqttVersion::V5);
        assert_eq!((&*connect.client_id, connect.clean), ("c1", true));
        assert_eq!(connect.username.as_deref(), Some("u"));
        assert_eq!(connect.password.as_deref(), Some(&b"p"[..]));
    }

    #[test]
    fn refuses_what_the_platform_refuses() {
        for bytes in [
            // An unknown name, unknown levels, the reserved flag, a tail.
            &b"\x10\x0c\x00\x04MQTX\x04\x02\x00\x3c\x00\x00"[..],
            b"\x10\x0d\x00\x04MQTT\x06\x02\x00\x3c\x00\x00\x00",
            b"\x10\x0c\x00\x04MQTT\x03\x02\x00\x3c\x00\x00",
            b"\x10\x0c\x00\x04MQTT\x04\x03\x00\x3c\x00\x00",
            b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x00x",
            // MQTT 5 without properties, with one of another packet, with one that is cut.
            b"\x10\x0c\x00\x04MQTT\x05\x02\x00\x3c\x00\x00",
            b"\x10\x10\x00\x04MQTT\x05\x02\x00\x3c\x03\x23\x00\x01\x00\x00",
            b"\x10\x0f\x00\x04MQTT\x05\x02\x00\x3c\x03\x21\x00\x01\x00",
            // MQTT 3.1 without client id.
            b"\x10\x0e\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x00",
            // A wildcard in a topic, packet id 0, QoS 3.
            b"\x30\x05\x00\x03a/+",
            b"\x32\x05\x00\x01a\x00\x00",
            b"\x36\x05\x00\x01a\x00\x01",
            // SUBSCRIBE with wrong flags, id 0, no filter.
            b"\x80\x06\x00\x01\x00\x01a\x00",
            b"\x82\x06\x00\x00\x00\x01a\x00",
            b"\x82\x02\x00\x01",
            b"\xa2\x02\x00\x01",
            // A packet type that does not exist, an endless length, a packet too long.
            b"\xf0\x00",
            b"\x30\xff\xff\xff\xff\x01",
            b"\x30\x81\x80\x04",
        ] {
            assert!(is_broken(bytes), "{bytes:x?}");
        }
    }

    #[test]
    fn waits_for_the_rest_of_a_packet() {
        let whole = b"\x30\x05\x00\x03a/b";
        for end in 0..whole.len() {
            assert!(matches!(read(&whole[..end]), Ok(None)), "{end}");
        }
        assert!(matches!(read(whole), Ok(Some(Frame::Packet(_)))));
        // The largest packet is taken.
        let mut largest = b"\x30\x80\x80\x04\x00\x01a".to_vec();
        largest.resize(4 + 65_536, b'x');
        assert!(matches!(read(&largest), Ok(Some(Frame::Packet(_)))));
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut buffer = BytesMut::from(&bytes[..]);
            while let Ok(Some(_)) = next(&mut buffer, 100, MqttVersion::V3) {}
            let mut buffer = BytesMut::from(&bytes[..]);
            while let Ok(Some(_)) = next(&mut buffer, 100, MqttVersion::V5) {}
        }

        #[test]
        fn never_panics_within_a_packet(
            kind in 0u8..16,
            flags in 0u8..16,
            body in proptest::collection::vec(any::<u8>(), 0..100),
        ) {
            let mut bytes = vec![kind << 4 | flags, body.len() as u8];
            bytes.extend(body);
            let _ = read(&bytes);
        }
    }
}
