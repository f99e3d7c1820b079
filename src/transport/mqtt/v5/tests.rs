//! What MQTT 5 packets of a server come to.

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

fn one(bytes: &[u8]) -> Result<Incoming, FaultKind> {
    let mut received = BytesMut::from(bytes);
    let packet = decode(&mut received)?.expect("the packet is whole");
    assert!(received.is_empty());
    Ok(packet)
}

fn good_stream() -> Vec<u8> {
    let mut stream = BytesMut::new();
    for packet in [
        // CONNACK with a Receive Maximum, a user property and a reason string.
        &b"\x20\x12\0\0\x0f\x21\0\x0a\x26\0\x01k\0\x01v\x1f\0\x02ok"[..],
        b"\x40\x02\0\x07",
        b"\x40\x03\0\x07\x10",
        b"\x40\x0a\0\x07\x99\x06\x1f\0\x03bad",
        b"\x90\x04\0\x01\0\x8f",
        b"\xd0\0",
        b"\x30\x0e\0\x01t\x08\x01\x01\x26\0\x01k\0\0{}",
    ] {
        stream.extend_from_slice(packet);
    }
    let body = Bytes::from_static(br#"{"status":"SUCCESS"}"#);
    for qos in [Qos::AtMostOnce, Qos::AtLeastOnce] {
        publish("/provision/response", qos, 9, &body, &mut stream).unwrap();
    }
    stream.extend_from_slice(b"\xe0\x02\x8e\0");
    stream.to_vec()
}

#[test]
fn a_sound_stream_gives_all_its_packets() {
    let (packets, fault) = read_in_pieces(&good_stream(), 1);
    assert_eq!((packets.len(), fault), (10, None));
}

#[test]
fn connack_says_what_binds_its_client() {
    let Ok(Incoming::ConnAck(Ok(bounds))) = one(b"\x20\x03\0\0\0") else {
        panic!("no acceptance")
    };
    assert_eq!(bounds, Bounds::default());
    let bound = b"\x20\x13\0\0\x10\x13\0\x07\x21\0\x01\x24\0\x27\0\0\x04\0\x22\0\x09";
    let Ok(Incoming::ConnAck(Ok(bounds))) = one(bound) else {
        panic!("no acceptance")
    };
    let expected = Bounds {
        keep_alive: Some(7),
        qos: Qos::AtMostOnce,
        packet: 1024,
        in_flight: 1,
    };
    assert_eq!(bounds, expected);
    // A refusal is told by its code, also by one that no specification has.
    for code in [0x80, 0x87, 0xfe] {
        let Ok(Incoming::ConnAck(refusal)) = one(&[0x20, 3, 0, code, 0]) else {
            panic!("no refusal")
        };
        assert_eq!(refusal, Err(FaultKind::ConnackReason(code)));
    }
}

#[test]
fn reason_codes_come_in_all_their_lengths() {
    for (bytes, code) in [
        (&b"\x40\x02\0\x02"[..], 0),
        (b"\x40\x03\0\x02\x90", 0x90),
        (b"\x40\x04\0\x02\x99\0", 0x99),
    ] {
        let Ok(Incoming::PubAck(2, found)) = one(bytes) else {
            panic!("no PUBACK 2")
        };
        assert_eq!(found, code);
    }
    for (bytes, code) in [
        (&b"\xe0\0"[..], 0),
        (b"\xe0\x01\x8e", 0x8e),
        (b"\xe0\x02\x81\0", 0x81),
        (b"\xe0\x08\x9d\x06\x1c\0\x03new", 0x9d),
    ] {
        let Ok(Incoming::Disconnect(found)) = one(bytes) else {
            panic!("no DISCONNECT")
        };
        assert_eq!(found, code);
    }
}

#[test]
fn what_breaks_a_rule_is_named_by_it() {
    let (malformed, unexpected) = (FaultKind::MalformedPacket, FaultKind::UnexpectedPacket);
    for (bytes, kind) in [
        // CONNACK: too short, reserved flags, a code that is no refusal, a tail.
        (&b"\x20\x02\0\0"[..], malformed),
        (b"\x20\x03\x02\0\0", malformed),
        (b"\x20\x03\0\x01\0", malformed),
        (b"\x20\x04\0\0\0\0", malformed),
        (b"\x21\x03\0\0\0", malformed),
        // A session that we asked to be without.
        (b"\x20\x03\x01\0\0", unexpected),
        // PUBACK: id 0, an unknown success, Session Expiry Interval.
        (b"\x40\x02\0\0", malformed),
        (b"\x40\x03\0\x01\x01", malformed),
        (b"\x40\x09\0\x01\x80\x05\x11\0\0\0\x01", malformed),
        // SUBACK: no code, two codes, an unknown grant.
        (b"\x90\x04\0\x01\x01\0", malformed),
        (b"\x90\x05\0\x01\0\x01\x01", malformed),
        (b"\x90\x04\0\x01\0\x03", malformed),
        // PUBLISH: QoS 3, id 0, wildcard, no topic, property block beyond the end, topic alias.
        (b"\x36\x06\0\x01a\0\x01\0", malformed),
        (b"\x32\x06\0\x01a\0\0\0", malformed),
        (b"\x30\x04\0\x01+\0", malformed),
        (b"\x30\x03\0\0\0", malformed),
        (b"\x30\x04\0\x01a\x05", malformed),
        (b"\x30\x07\0\x01a\x03\x23\0\x01", unexpected),
        (b"\x30\x06\0\0\x03\x23\0\x01", unexpected),
        // DISCONNECT of a server has no Session Expiry Interval.
        (b"\xe0\x07\0\x05\x11\0\0\0\x01", malformed),
        (b"\xe1\0", malformed),
        // A PINGRESP with a body, a needlessly long length, an endless one.
        (b"\xd0\x01\0", malformed),
        (b"\xd0\x80\0", malformed),
        (b"\x30\xff\xff\xff\xff\x01", malformed),
        // Packets that no server sends, or not to us.
        (b"\xf0\0", unexpected),
        (b"\x10\0", unexpected),
        (b"\x50\x02\0\x01", unexpected),
        (b"\x82\x02\0\x01", unexpected),
        (b"\0\0", malformed),
    ] {
        assert_eq!(one(bytes).unwrap_err(), kind, "{}", bytes.escape_ascii());
    }
}

#[test]
fn a_length_beyond_the_limit_is_refused_by_its_header_alone() {
    for (header, largest) in [
        (&b"\x30\x81\x80\x10"[..], b"\x30\x80\x80\x10"),
        (b"\xe0\x81\x80\x01", b"\xe0\x80\x80\x01"),
    ] {
        let mut received = BytesMut::from(header);
        let refused = decode(&mut received).unwrap_err();
        assert_eq!(refused, FaultKind::PacketTooLarge);
        let mut received = BytesMut::from(&largest[..]);
        assert!(decode(&mut received).unwrap().is_none());
    }
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
    fn any_body_is_a_packet_or_a_fault(
        first in prop::sample::select(vec![0x20_u8, 0x30, 0x32, 0x40, 0x90, 0xd0, 0xe0]),
        body in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let mut stream = vec![first, body.len() as u8];
        stream.extend(body);
        prop_assert_eq!(read_in_pieces(&stream, 1), read_in_pieces(&stream, 400));
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
