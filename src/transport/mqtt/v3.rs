//! MQTT 3.1.1, on rumqttc's codec.
//!
//! The fixed header is judged here before the codec sees a packet: a client knows which packets
//! a server may send and how long the short ones are, so nothing is waited for or allocated on
//! the word of a wrong header.

use bytes::{Bytes, BytesMut};
use rumqttc::mqttbytes::v4::{
    Connect, Login, Packet, Publish as Outgoing, SubAck, Subscribe, SubscribeReasonCode,
};
use rumqttc::mqttbytes::{Error, QoS};

use crate::model::{FaultKind, Qos};

use super::packet::{Bounds, Incoming, PACKET_LIMIT, Publish};

/// Takes the next whole packet off the front; `None` needs more bytes.
pub(super) fn decode(received: &mut BytesMut) -> Result<Option<Incoming>, FaultKind> {
    admit(received)?;
    match Packet::read(received, PACKET_LIMIT) {
        Ok(Packet::ConnAck(ack)) => Ok(Some(connack(ack.code as u8))),
        Ok(Packet::Publish(publish)) => Ok(Some(Incoming::Publish(Publish {
            topic: publish.topic,
            qos: publish.qos,
            dup: publish.dup,
            pkid: publish.pkid,
            payload: publish.payload,
        }))),
        Ok(Packet::PubAck(ack)) => Ok(Some(Incoming::PubAck(ack.pkid, 0))),
        Ok(Packet::SubAck(ack)) => Ok(Some(Incoming::SubAck(ack.pkid, granted(&ack)))),
        Ok(Packet::PingResp) => Ok(Some(Incoming::PingResp)),
        Ok(_) => Err(FaultKind::UnexpectedPacket),
        Err(Error::InsufficientBytes(_)) => Ok(None),
        Err(Error::InvalidConnectReturnCode(code)) => Ok(Some(connack(code))),
        Err(Error::PayloadSizeLimitExceeded(_)) => Err(FaultKind::PacketTooLarge),
        Err(_) => Err(FaultKind::MalformedPacket),
    }
}

fn connack(code: u8) -> Incoming {
    Incoming::ConnAck(match code {
        0 => Ok(Bounds::default()),
        code => Err(FaultKind::Connack(code)),
    })
}

/// What a SUBACK of one topic filter grants, as its byte.
fn granted(ack: &SubAck) -> u8 {
    match ack.return_codes.first() {
        Some(SubscribeReasonCode::Success(qos)) => *qos as u8,
        Some(SubscribeReasonCode::Failure) | None => 0x80,
    }
}

/// A CONNECT with clean session; an empty user name or password is none.
pub(super) fn connect(
    client_id: &str,
    username: String,
    password: String,
    keep_alive: u16,
    out: &mut BytesMut,
) -> Result<(), FaultKind> {
    let mut connect = Connect::new(client_id);
    connect.keep_alive = keep_alive;
    if !username.is_empty() {
        connect.login = Some(Login::new(username, password));
    }
    connect
        .write(out)
        .map(drop)
        .map_err(|_| FaultKind::CredentialsUnusable)
}

/// A SUBSCRIBE of one topic with QoS 1.
pub(super) fn subscribe(topic: &str, pkid: u16, out: &mut BytesMut) {
    let mut subscribe = Subscribe::new(topic, QoS::AtLeastOnce);
    subscribe.pkid = pkid;
    subscribe
        .write(out)
        .expect("one topic is far below the longest packet");
}

/// A PUBLISH; `pkid` is not used with QoS 0.
pub(super) fn publish(
    topic: &str,
    qos: Qos,
    pkid: u16,
    payload: &Bytes,
    out: &mut BytesMut,
) -> Result<(), FaultKind> {
    let mut publish = match qos {
        Qos::AtMostOnce => Outgoing::from_bytes(topic, QoS::AtMostOnce, payload.clone()),
        Qos::AtLeastOnce => Outgoing::from_bytes(topic, QoS::AtLeastOnce, payload.clone()),
    };
    publish.pkid = pkid;
    publish
        .write(out)
        .map(drop)
        .map_err(|_| FaultKind::PacketTooLarge)
}

/// Judges type, flags and length as far as they are there (MQTT 3.1.1, section 2.2).
fn admit(received: &[u8]) -> Result<(), FaultKind> {
    let Some(&first) = received.first() else {
        return Ok(());
    };
    let only_length = match (first >> 4, first & 0x0f) {
        // PUBLISH, whose flags are QoS (never 3), DUP and RETAIN.
        (3, flags) if flags & 0b0110 != 0b0110 => return Ok(()),
        (2 | 4, 0) => 2,
        (9, 0) => 3,
        (13, 0) => 0,
        // Reserved types, and flags that those types must not have.
        (0 | 15 | 2 | 3 | 4 | 9 | 13, _) => return Err(FaultKind::MalformedPacket),
        _ => return Err(FaultKind::UnexpectedPacket),
    };
    match received.get(1) {
        Some(&length) if length != only_length => Err(FaultKind::MalformedPacket),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What comes of a byte stream that arrives in pieces: packets, then perhaps a fault.
    fn read_in_pieces(stream: &[u8], piece: usize) -> (Vec<String>, Option<FaultKind>) {
        let (mut received, mut packets) = (BytesMut::new(), Vec::new());
        for piece in stream.chunks(piece) {
            received.extend_from_slice(piece);
            loop {
                match decode(&mut received) {
                    Ok(Some(packet)) => packets.push(format!("{packet:?}")),
                    Ok(None) => break,
                    Err(kind) => return (packets, Some(kind)),
                }
            }
        }
        (packets, None)
    }

    fn good_stream() -> Vec<u8> {
        let mut stream = BytesMut::from(&[0x20, 2, 0, 0, 0xd0, 0, 0x90, 3, 0, 1, 1][..]);
        super::super::codec::puback(7, &mut stream);
        let body = Bytes::from_static(br#"{"status":"SUCCESS"}"#);
        for qos in [Qos::AtMostOnce, Qos::AtLeastOnce] {
            publish("/provision/response", qos, 9, &body, &mut stream).unwrap();
        }
        stream.to_vec()
    }

    #[test]
    fn a_length_beyond_the_limit_is_refused_by_its_header_alone() {
        let mut header = BytesMut::from(&[0x30, 0x81, 0x80, 0x10][..]);
        assert_eq!(decode(&mut header).unwrap_err(), FaultKind::PacketTooLarge);
        let mut within = BytesMut::from(&[0x30, 0x80, 0x80, 0x10][..]);
        assert!(decode(&mut within).unwrap().is_none());
    }

    proptest! {
        #[test]
        fn any_bytes_are_packets_or_a_fault_however_they_are_cut(
            stream in prop::collection::vec(any::<u8>(), 0..400),
            piece in 1_usize..50,
        ) {
            prop_assert_eq!(read_in_pieces(&stream, piece), read_in_pieces(&stream, 400));
        }

        #[test]
        fn a_damaged_stream_is_packets_or_a_fault_however_it_is_cut(
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
            cut in any::<prop::sample::Index>(),
            piece in 1_usize..50,
        ) {
            let mut stream = good_stream();
            let at = at.index(stream.len());
            stream[at] = byte;
            stream.truncate(cut.index(stream.len() + 1));
            prop_assert_eq!(read_in_pieces(&stream, piece), read_in_pieces(&stream, 400));
        }
    }

    #[test]
    fn a_sound_stream_gives_all_its_packets() {
        let (packets, fault) = read_in_pieces(&good_stream(), 1);
        assert_eq!((packets.len(), fault), (6, None));
    }
}
