//! MQTT servers that misbehave.

use std::time::Duration;

use bytes::Bytes;
use fleetcall::model::{FaultKind, Phase, Qos, Request, Status, TransportKind};
use fleetcall::transport::Dial;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

use super::{
    RESPONSE, attempt, dial, fault, impatient, open, provision, reset, serve, stay_silent,
    telemetry, write_slowly,
};
use crate::support::PATIENCE;

pub(super) const ANSWER: &[u8] = br#"{"status":"SUCCESS"}"#;

/// Reads one packet: its first byte and what follows the fixed header.
pub(crate) async fn packet(stream: &mut (impl AsyncRead + Unpin)) -> (u8, Vec<u8>) {
    let first = stream.read_u8().await.unwrap();
    let (mut length, mut shift) = (0, 0);
    loop {
        let byte = stream.read_u8().await.unwrap();
        length |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
    }
    let mut rest = vec![0; length];
    stream.read_exact(&mut rest).await.unwrap();
    (first, rest)
}

/// A PUBLISH with QoS 1 and this packet id, or QoS 0 without.
pub(crate) fn publish(topic: &str, pkid: Option<u16>, payload: &[u8]) -> Vec<u8> {
    let id = pkid.map(u16::to_be_bytes);
    let mut length = 2 + topic.len() + payload.len() + id.map_or(0, |id| id.len());
    let mut bytes = vec![if id.is_some() { 0x32 } else { 0x30 }];
    loop {
        let more = length > 0x7f;
        bytes.push((length & 0x7f) as u8 | u8::from(more) << 7);
        length >>= 7;
        if !more {
            break;
        }
    }
    bytes.extend((topic.len() as u16).to_be_bytes());
    bytes.extend(topic.as_bytes());
    bytes.extend(id.into_iter().flatten());
    bytes.extend(payload);
    bytes
}

/// Accepts the session.
pub(crate) async fn greet(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    assert_eq!(packet(stream).await.0, 0x10, "CONNECT");
    stream.write_all(&[0x20, 2, 0, 0]).await.unwrap();
}

/// Accepts the session and grants the subscription.
async fn greet_and_grant(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    greet(stream).await;
    let (first, rest) = packet(stream).await;
    assert_eq!(first, 0x82, "SUBSCRIBE");
    stream
        .write_all(&[0x90, 3, rest[0], rest[1], 1])
        .await
        .unwrap();
}

/// Accepts everything up to a PUBLISH and returns its packet id.
pub(crate) async fn up_to_request(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> [u8; 2] {
    greet_and_grant(stream).await;
    request_id(stream).await
}

pub(crate) async fn request_id(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> [u8; 2] {
    let (first, rest) = packet(stream).await;
    assert_eq!(first, 0x32, "PUBLISH, QoS 1");
    let topic = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
    [rest[2 + topic], rest[3 + topic]]
}

/// A server that writes these bytes in place of an answer and then stays silent.
async fn answering_with(bytes: Vec<u8>) -> Dial {
    let addr = serve(move |mut stream| {
        let bytes = bytes.clone();
        async move {
            up_to_request(&mut stream).await;
            stream.write_all(&bytes).await.unwrap();
            stay_silent(stream).await;
        }
    })
    .await;
    dial(TransportKind::Mqtt, addr)
}

/// A server that writes these bytes in place of CONNACK.
async fn greeting_with(bytes: &'static [u8]) -> Dial {
    let addr = serve(move |mut stream| async move {
        packet(&mut stream).await;
        stream.write_all(bytes).await.unwrap();
        stay_silent(stream).await;
    })
    .await;
    dial(TransportKind::Mqtt, addr)
}

#[tokio::test]
async fn a_greeting_that_is_no_acceptance_has_its_own_word() {
    let cases: [(&'static [u8], FaultKind); 9] = [
        (&[0x20, 2, 0, 5], FaultKind::Connack(5)),
        (&[0x20, 2, 0, 0x86], FaultKind::Connack(0x86)),
        (&[0x30, 3, 0, 1, b'a'], FaultKind::UnexpectedPacket),
        (&[0xd0, 0], FaultKind::UnexpectedPacket),
        (&[0x40, 2, 0, 1], FaultKind::UnexpectedPacket),
        (b"HTTP/1.1 400 Bad Request\r\n", FaultKind::MalformedPacket),
        (&[0, 0], FaultKind::MalformedPacket),
        (&[0x20, 0], FaultKind::MalformedPacket),
        (&[0x30, 0xff, 0xff, 0xff, 0x7f], FaultKind::PacketTooLarge),
    ];
    for (greeting, kind) in cases {
        let refused = open(&greeting_with(greeting).await).await.unwrap_err();
        assert_eq!(refused.kind, kind, "{greeting:x?}");
        assert_eq!(refused.phase, Phase::MqttConnect);
        assert!(refused.tcp.is_some(), "the handshake did succeed");
    }
}

#[tokio::test]
async fn silence_instead_of_connack_is_a_timeout() {
    let addr = serve(stay_silent).await;
    let refused = open(&impatient(TransportKind::Mqtt, addr))
        .await
        .unwrap_err();
    assert_eq!(refused.phase, Phase::MqttConnect);
    assert_eq!(refused.kind, FaultKind::Timeout);
}

#[tokio::test]
async fn a_close_and_a_reset_instead_of_connack_are_told_apart() {
    let closing = serve(|mut stream| async move {
        packet(&mut stream).await;
    })
    .await;
    let refused = open(&dial(TransportKind::Mqtt, closing)).await.unwrap_err();
    assert_eq!(refused.kind, FaultKind::ConnectionClosed);

    let resetting = serve(|mut stream| async move {
        packet(&mut stream).await;
        reset(stream);
    })
    .await;
    let refused = open(&dial(TransportKind::Mqtt, resetting))
        .await
        .unwrap_err();
    assert_eq!(refused.kind, FaultKind::ConnectionReset);
}

#[tokio::test]
async fn a_port_where_nobody_listens_refuses_the_connection() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = free.local_addr().unwrap();
    drop(free);
    let dial = dial(TransportKind::Mqtt, addr);
    let refused = open(&dial).await.unwrap_err();
    assert_eq!(
        (refused.phase, refused.kind),
        (Phase::TcpConnect, FaultKind::ConnectionRefused)
    );
    assert_eq!(refused.tcp, None);
    assert_eq!(
        fleetcall::transport::probe(&dial).await,
        Err(FaultKind::ConnectionRefused)
    );
}

#[tokio::test]
async fn an_answer_that_is_none_has_its_own_word() {
    let cases: [(Vec<u8>, FaultKind); 13] = [
        (
            vec![0x32, 0xff, 0xff, 0xff, 0x7f],
            FaultKind::PacketTooLarge,
        ),
        (
            vec![0x32, 0xff, 0xff, 0xff, 0xff, 1],
            FaultKind::MalformedPacket,
        ),
        (vec![0x36, 5, 0, 1, b'a', 0, 1], FaultKind::MalformedPacket),
        (vec![0xf0, 0], FaultKind::MalformedPacket),
        (vec![0x32, 3, 0, 9, b'a'], FaultKind::MalformedPacket),
        (vec![0x32, 5, 0, 1, 0xff, 0, 1], FaultKind::MalformedPacket),
        (vec![0x40, 2, 0x77, 0x77], FaultKind::UnexpectedPacket),
        (vec![0x90, 3, 0x77, 0x77, 1], FaultKind::UnexpectedPacket),
        (vec![0x20, 2, 0, 0], FaultKind::UnexpectedPacket),
        (vec![0x82, 4, 0, 1, 0, 0], FaultKind::UnexpectedPacket),
        (vec![0x10, 0], FaultKind::UnexpectedPacket),
        (vec![0xe0, 0], FaultKind::UnexpectedPacket),
        (vec![0x34, 5, 0, 1, b'a', 0, 1], FaultKind::UnexpectedPacket),
    ];
    for (answer, kind) in cases {
        let shown = format!("{answer:x?}");
        let dial = answering_with(answer).await;
        assert_eq!(fault(&dial, &provision()).await, (kind, true), "{shown}");
    }
}

#[tokio::test]
async fn silence_after_the_request_is_a_timeout_and_the_request_was_sent() {
    let addr = serve(|mut stream| async move {
        up_to_request(&mut stream).await;
        stay_silent(stream).await;
    })
    .await;
    let dial = impatient(TransportKind::Mqtt, addr);
    let outcome = fault(&dial, &provision()).await;
    assert_eq!(outcome, (FaultKind::Timeout, true));
}

#[tokio::test]
async fn an_answer_cut_off_by_a_close_or_a_reset_leaves_the_request_sent() {
    for (by_reset, kind) in [
        (false, FaultKind::ConnectionClosed),
        (true, FaultKind::ConnectionReset),
    ] {
        let addr = serve(move |mut stream| async move {
            up_to_request(&mut stream).await;
            let answer = publish(RESPONSE, Some(1), ANSWER);
            stream.write_all(&answer[..answer.len() - 1]).await.unwrap();
            if by_reset {
                reset(stream);
            }
        })
        .await;
        let dial = dial(TransportKind::Mqtt, addr);
        assert_eq!(fault(&dial, &provision()).await, (kind, true));
    }
}

#[tokio::test]
async fn a_close_before_the_request_leaves_it_unsent() {
    let addr = serve(|mut stream| async move { greet(&mut stream).await }).await;
    let mut connection = open(&dial(TransportKind::Mqtt, addr))
        .await
        .unwrap()
        .connection;
    let ended = connection
        .idle_until(Instant::now() + PATIENCE)
        .await
        .unwrap_err();
    assert_eq!(
        (ended.kind, ended.sent),
        (FaultKind::ConnectionClosed, false)
    );
    let late = connection.exchange(&provision()).await.unwrap_err();
    assert_eq!((late.kind, late.sent), (FaultKind::ConnectionClosed, false));
}

#[tokio::test]
async fn a_close_in_place_of_suback_leaves_the_request_unsent() {
    let addr = serve(|mut stream| async move {
        greet(&mut stream).await;
        packet(&mut stream).await;
    })
    .await;
    let outcome = fault(&dial(TransportKind::Mqtt, addr), &provision()).await;
    assert_eq!(outcome, (FaultKind::ConnectionClosed, false));
}

#[tokio::test]
async fn a_server_that_never_grants_the_subscription_is_asked_all_the_same() {
    for refuses in [false, true] {
        let addr = serve(move |mut stream| async move {
            greet(&mut stream).await;
            let (_, rest) = packet(&mut stream).await;
            if refuses {
                let suback = [0x90, 3, rest[0], rest[1], 0x80];
                stream.write_all(&suback).await.unwrap();
            }
            request_id(&mut stream).await;
            stream
                .write_all(&publish(RESPONSE, None, ANSWER))
                .await
                .unwrap();
            stay_silent(stream).await;
        })
        .await;
        let mut dial = dial(TransportKind::Mqtt, addr);
        if !refuses {
            dial.suback_wait = Duration::from_millis(50);
        }
        let answered = attempt(&dial, &provision()).await.unwrap();
        assert_eq!(answered.reply.status, Status::Topic);
        assert_eq!(answered.reply.body, ANSWER);
    }
}

#[tokio::test]
async fn a_valid_answer_may_come_byte_by_byte_around_its_puback() {
    let addr = serve(|mut stream| async move {
        let id = up_to_request(&mut stream).await;
        let puback = [0x40, 2, id[0], id[1]];
        let answer = publish(RESPONSE, Some(9), ANSWER);
        write_slowly(&mut stream, &[&puback[..], &answer, &puback].concat()).await;
        assert_eq!(packet(&mut stream).await, (0x40, vec![0, 9]), "PUBACK");
        // The PUBACK that came after the answer does not disturb the next exchange.
        let id = request_id(&mut stream).await;
        write_slowly(&mut stream, &[0x40, 2, id[0], id[1]]).await;
        stay_silent(stream).await;
    })
    .await;
    let mut connection = open(&dial(TransportKind::Mqtt, addr))
        .await
        .unwrap()
        .connection;
    let answered = connection.exchange(&provision()).await.unwrap();
    assert_eq!(answered.reply.body, ANSWER);
    assert!(answered.span.done >= answered.span.sent);
    let acknowledged = connection
        .exchange(&telemetry(Qos::AtLeastOnce, "{}"))
        .await
        .unwrap();
    assert_eq!(acknowledged.reply.status, Status::Acknowledged);
}

#[tokio::test]
async fn unrelated_publishes_are_acknowledged_and_do_not_hide_the_answer() {
    let addr = serve(|mut stream| async move {
        up_to_request(&mut stream).await;
        for id in 1..=500 {
            let news = publish("v1/devices/me/attributes", Some(id), b"{}");
            stream.write_all(&news).await.unwrap();
        }
        for id in 1..=500_u16 {
            let expected = (0x40, id.to_be_bytes().to_vec());
            assert_eq!(packet(&mut stream).await, expected);
        }
        let answer = publish(RESPONSE, None, ANSWER);
        stream.write_all(&answer).await.unwrap();
        stay_silent(stream).await;
    })
    .await;
    let answered = attempt(&dial(TransportKind::Mqtt, addr), &provision()).await;
    assert_eq!(answered.unwrap().reply.body, ANSWER);
}

#[tokio::test]
async fn a_flood_of_unrelated_publishes_ends_the_exchange() {
    let addr = serve(|mut stream| async move {
        up_to_request(&mut stream).await;
        let news = publish("news", Some(1), &vec![b' '; 60_000]);
        while stream.write_all(&news).await.is_ok() {}
    })
    .await;
    let outcome = fault(&dial(TransportKind::Mqtt, addr), &provision()).await;
    assert_eq!(outcome, (FaultKind::UnexpectedPacket, true));
}

#[tokio::test]
async fn a_trickle_of_unrelated_publishes_does_not_extend_the_deadline() {
    let addr = serve(|mut stream| async move {
        up_to_request(&mut stream).await;
        let news = publish("news", None, b"x");
        while stream.write_all(&news).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let dial = impatient(TransportKind::Mqtt, addr);
    let outcome = fault(&dial, &provision()).await;
    assert_eq!(outcome, (FaultKind::Timeout, true));
}

#[tokio::test]
async fn a_server_that_does_not_read_is_a_timeout() {
    let addr = serve(|mut stream| async move {
        greet(&mut stream).await;
        stay_silent(stream).await;
    })
    .await;
    let request = Request {
        body: Bytes::from(vec![b' '; 32 << 20]),
        ..telemetry(Qos::AtMostOnce, "")
    };
    let dial = impatient(TransportKind::Mqtt, addr);
    let mut connection = open(&dial).await.unwrap().connection;
    let stuck = connection.exchange(&request).await.unwrap_err();
    assert_eq!((stuck.kind, stuck.sent), (FaultKind::Timeout, true));
    // Half a request is on the wire: another one cannot follow it.
    let next = connection
        .exchange(&telemetry(Qos::AtMostOnce, "{}"))
        .await
        .unwrap_err();
    assert_eq!((next.kind, next.sent), (FaultKind::ConnectionClosed, false));
}
