//! Our device in the golden bytes, and within the bounds that a server sets.

use std::time::Duration;

use bytes::Bytes;
use fleetcall::dialect::{Answer, ThingsBoard};
use fleetcall::model::{
    Credentials, FaultKind, Login, MqttVersion, Qos, Request, Status, TransportKind,
};
use fleetcall::transport::{Connection, Dial};
use secrecy::ExposeSecret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;
use tokio::time::Instant;

use super::publish;
use crate::support::PATIENCE;
use crate::support::golden::hex;
use crate::transport_hostile::{RESPONSE, attempt, open, provision, serve, stay_silent, telemetry};

/// A dial that waits long enough for whatever is meant to happen.
pub(super) fn dial(addr: std::net::SocketAddr) -> Dial {
    Dial {
        version: MqttVersion::V5,
        ..crate::transport_hostile::dial(TransportKind::Mqtt, addr)
    }
}

/// Reads one packet: its first byte and what follows the fixed header.
pub(super) async fn heard(stream: &mut TcpStream) -> (u8, Vec<u8>) {
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

/// Takes CONNECT and lets the client in with this property block.
pub(super) async fn greet(stream: &mut TcpStream, properties: &[u8]) {
    assert_eq!(heard(stream).await.0, 0x10, "CONNECT");
    let connack = super::packet(0x20, &[&[0, 0, properties.len() as u8], properties]);
    stream.write_all(&connack).await.unwrap();
}

/// Grants the subscription.
pub(super) async fn grant(stream: &mut TcpStream) {
    let (first, rest) = heard(stream).await;
    assert_eq!(first, 0x82, "SUBSCRIBE");
    let suback = [0x90, 4, rest[0], rest[1], 0, 1];
    stream.write_all(&suback).await.unwrap();
}

/// Takes a PUBLISH of QoS 1 and returns its packet id.
pub(super) async fn request_id(stream: &mut TcpStream) -> [u8; 2] {
    let (first, rest) = heard(stream).await;
    assert_eq!(first, 0x32, "PUBLISH, QoS 1");
    let topic = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
    assert_eq!(rest[4 + topic], 0, "no properties");
    [rest[2 + topic], rest[3 + topic]]
}

async fn expect(stream: &mut TcpStream, name: &str) {
    let wanted = hex(name);
    let mut heard = vec![0; wanted.len()];
    stream.read_exact(&mut heard).await.unwrap();
    assert_eq!(heard, wanted, "{name}");
}

async fn say(stream: &mut TcpStream, name: &str) {
    stream.write_all(&hex(name)).await.unwrap();
}

/// Provisions `D1` over a new connection, as client `c1`.
async fn provision_d1(dial: Dial) -> Answer {
    let dialect = ThingsBoard::new("K".into(), "S".into());
    let login = Login {
        client_id: "c1".to_owned(),
        ..dialect.provision_login("D1")
    };
    let opened = Connection::open(&dial, &login, None, 0).await.unwrap();
    let mut connection = opened.connection;
    let request = dialect.provision_request(dial.kind, "D1", None);
    let exchanged = connection.exchange(&request).await.unwrap();
    connection.close().await;
    dialect.provision_answer(&exchanged.reply)
}

#[tokio::test]
async fn a_device_provisions_in_the_golden_bytes() {
    for response in ["mqtt5-response", "mqtt5-response-qos0"] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dial = dial(listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            expect(&mut stream, "mqtt5-connect").await;
            say(&mut stream, "mqtt5-connack").await;
            expect(&mut stream, "mqtt5-subscribe").await;
            say(&mut stream, "mqtt5-suback").await;
            expect(&mut stream, "mqtt5-request").await;
            say(&mut stream, "mqtt5-puback").await;
            say(&mut stream, response).await;
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await.unwrap();
            rest
        });
        let answer = LocalSet::new().run_until(provision_d1(dial)).await;
        let Answer::Provisioned(Credentials::AccessToken(token)) = answer else {
            panic!("{answer:?}")
        };
        assert_eq!(token.expose_secret(), "ABCDEFGHIJKLMNOPQRST");
        // The acknowledgement of an answer of QoS 1, whose id is 1, and the end.
        let acknowledgement: &[u8] = match response {
            "mqtt5-response" => &[0x40, 2, 0, 1],
            _ => &[],
        };
        let goodbye = [acknowledgement, &hex("mqtt5-disconnect")].concat();
        assert_eq!(server.await.unwrap(), goodbye);
    }
}

#[tokio::test]
async fn the_servers_keep_alive_overrules_ours() {
    // One second instead of a minute, and none instead of one.
    let addr = serve(|mut stream| async move {
        greet(&mut stream, &[19, 0, 1]).await;
        assert_eq!(heard(&mut stream).await, (0xc0, vec![]), "PINGREQ");
        stream
            .write_all(&[0xd0, 0, 0xe0, 2, 0x8b, 0])
            .await
            .unwrap();
        stay_silent(stream).await;
    })
    .await;
    let mut connection = open(&dial(addr)).await.unwrap().connection;
    let deadline = Instant::now() + PATIENCE;
    let ended = connection.idle_until(deadline).await.unwrap_err();
    assert_eq!(ended.kind, FaultKind::DisconnectReason(0x8b));

    let addr = serve(|mut stream| async move {
        greet(&mut stream, &[19, 0, 0]).await;
        assert_eq!(heard(&mut stream).await.0, 0x30, "PUBLISH, no PINGREQ");
    })
    .await;
    let mut dial = dial(addr);
    dial.keep_alive = Duration::from_millis(100);
    let mut connection = open(&dial).await.unwrap().connection;
    let later = Instant::now() + Duration::from_millis(400);
    connection.idle_until(later).await.unwrap();
    let sent = connection.exchange(&telemetry(Qos::AtMostOnce, "{}")).await;
    assert_eq!(sent.unwrap().reply.status, Status::Unacknowledged);
}

#[tokio::test]
async fn no_publish_goes_beyond_the_servers_maximum_qos() {
    let addr = serve(|mut stream| async move {
        greet(&mut stream, &[36, 0]).await;
        assert_eq!(heard(&mut stream).await.0, 0x30, "telemetry, QoS 0");
        grant(&mut stream).await;
        assert_eq!(heard(&mut stream).await.0, 0x30, "the request, QoS 0");
        let answer = publish(RESPONSE, 0, 0, "{}");
        stream.write_all(&answer).await.unwrap();
        stay_silent(stream).await;
    })
    .await;
    let mut connection = open(&dial(addr)).await.unwrap().connection;
    let sent = connection
        .exchange(&telemetry(Qos::AtLeastOnce, "{}"))
        .await;
    // What is not acknowledged is not called so.
    assert_eq!(sent.unwrap().reply.status, Status::Unacknowledged);
    let answered = connection.exchange(&provision()).await.unwrap();
    assert_eq!(answered.reply.status, Status::Topic);
}

#[tokio::test]
async fn no_packet_goes_beyond_the_servers_maximum_size() {
    // Two bytes of header, topic of 2 + 23, id, property length: 30 bytes without a payload.
    let addr = serve(|mut stream| async move {
        greet(&mut stream, &[39, 0, 0, 0, 40]).await;
        let id = request_id(&mut stream).await;
        let puback = [0x40, 2, id[0], id[1]];
        stream.write_all(&puback).await.unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"");
    })
    .await;
    let mut connection = open(&dial(addr)).await.unwrap().connection;
    let fits = telemetry(Qos::AtLeastOnce, "0123456789");
    let sent = connection.exchange(&fits).await.unwrap();
    assert_eq!(sent.reply.status, Status::Acknowledged);
    let one_more = telemetry(Qos::AtLeastOnce, "01234567890");
    let unsent = connection.exchange(&one_more).await.unwrap_err();
    assert_eq!(
        (unsent.kind, unsent.sent),
        (FaultKind::PacketTooLarge, false)
    );
}

#[tokio::test]
async fn no_more_publishes_wait_for_puback_than_the_server_takes() {
    let (tell, mut told) = tokio::sync::mpsc::channel(1);
    let addr = crate::transport_hostile::serve_once(async move |mut stream: TcpStream| {
        greet(&mut stream, &[33, 0, 1]).await;
        let first = request_id(&mut stream).await;
        // The device gives up waiting, asks again, and must hold back until this is here.
        let () = told.recv().await.unwrap();
        let mut early = [0];
        assert!(stream.try_read(&mut early).is_err(), "one was too many");
        stream
            .write_all(&[0x40, 2, first[0], first[1]])
            .await
            .unwrap();
        let second = request_id(&mut stream).await;
        assert_ne!(first, second);
        stream
            .write_all(&[0x40, 2, second[0], second[1]])
            .await
            .unwrap();
        stay_silent(stream).await;
    })
    .await;
    let mut dial = dial(addr);
    dial.answer_timeout = Duration::from_millis(300);
    let mut connection = open(&dial).await.unwrap().connection;
    let message = telemetry(Qos::AtLeastOnce, "{}");
    let late = connection.exchange(&message).await.unwrap_err();
    assert_eq!((late.kind, late.sent), (FaultKind::Timeout, true));
    let held = connection.exchange(&message).await.unwrap_err();
    assert_eq!((held.kind, held.sent), (FaultKind::Timeout, false));
    tell.send(()).await.unwrap();
    let deadline = Instant::now() + Duration::from_millis(100);
    connection.idle_until(deadline).await.unwrap();
    let sent = connection.exchange(&message).await.unwrap();
    assert_eq!(sent.reply.status, Status::Acknowledged);
}

#[tokio::test]
async fn a_refused_publish_is_answered_by_its_reason_code() {
    // Telemetry goes on; a provision request has no other answer to wait for.
    for (request, subscribes) in [
        (telemetry(Qos::AtLeastOnce, "{}"), false),
        (provision(), true),
    ] {
        for (code, status) in [
            (0x00, Status::Acknowledged),
            (0x10, Status::Acknowledged),
            (0x83, Status::PubackReason(0x83)),
            (0xfe, Status::PubackReason(0xfe)),
        ] {
            if subscribes && code < 0x80 {
                continue;
            }
            let addr = serve(move |mut stream| async move {
                greet(&mut stream, &[]).await;
                if subscribes {
                    grant(&mut stream).await;
                }
                let id = request_id(&mut stream).await;
                let puback = [0x40, 4, id[0], id[1], code, 0];
                stream.write_all(&puback).await.unwrap();
                // It may come along or not: one of the two is enough.
                stream.write_all(&[0xe0, 2, code, 0]).await.unwrap();
                stay_silent(stream).await;
            })
            .await;
            let mut connection = open(&dial(addr)).await.unwrap().connection;
            let answered = connection.exchange(&request).await.unwrap();
            assert_eq!(answered.reply.status, status);
            assert!(answered.reply.body.is_empty());
            let ended = connection.exchange(&request).await.unwrap_err();
            let kind = match code {
                0 => FaultKind::ConnectionClosed,
                code => FaultKind::DisconnectReason(code),
            };
            assert_eq!(ended.kind, kind);
        }
    }
}

#[tokio::test]
async fn the_refusal_of_another_publish_does_not_answer_a_request() {
    let addr = serve(|mut stream| async move {
        greet(&mut stream, &[]).await;
        let first = request_id(&mut stream).await;
        grant(&mut stream).await;
        request_id(&mut stream).await;
        // Late news of the telemetry before, then the answer.
        let late = [0x40, 4, first[0], first[1], 0x97, 0];
        let answer = publish(RESPONSE, 1, 4, "{}");
        stream
            .write_all(&[&late, &answer[..]].concat())
            .await
            .unwrap();
        stay_silent(stream).await;
    })
    .await;
    let mut dial = dial(addr);
    dial.answer_timeout = Duration::from_millis(300);
    let mut connection = open(&dial).await.unwrap().connection;
    let message = telemetry(Qos::AtLeastOnce, "{}");
    let late = connection.exchange(&message).await.unwrap_err();
    assert_eq!(late.kind, FaultKind::Timeout);
    let answered = connection.exchange(&provision()).await.unwrap();
    assert_eq!(answered.reply.status, Status::Topic);
}

#[tokio::test]
async fn long_payloads_survive_the_way_there_and_back() {
    let body = Bytes::from(vec![b'x'; 100_000]);
    let echoed = body.clone();
    let addr = serve(move |mut stream| {
        let echoed = echoed.clone();
        async move {
            greet(&mut stream, &[]).await;
            grant(&mut stream).await;
            let (_, rest) = heard(&mut stream).await;
            assert!(rest.ends_with(&echoed));
            let answer = publish(RESPONSE, 0, 0, &echoed);
            stream.write_all(&answer).await.unwrap();
            stay_silent(stream).await;
        }
    })
    .await;
    let request = Request {
        body: body.clone(),
        ..provision()
    };
    let answered = attempt(&dial(addr), &request).await.unwrap();
    assert_eq!(answered.reply.body, body);
}
