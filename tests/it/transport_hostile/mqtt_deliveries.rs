//! What MQTT servers send unasked, as it should be and as it should not.

use fleetcall::model::{FaultKind, MqttVersion, Qos, Source, Status, Subscription, TransportKind};
use fleetcall::transport::{Connection, Delivery, Standing};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::mqtt::{greet, packet, publish, request_id};
use super::{dial, impatient, open, serve, serve_once, stay_silent, telemetry};
use crate::support::PATIENCE;

const ATTRIBUTES: &str = "v1/devices/me/attributes";
const CALLS: &str = "v1/devices/me/rpc/request/+";

/// Grants what is asked for by this code.
async fn grant(stream: &mut TcpStream, code: u8) {
    let (first, rest) = packet(stream).await;
    assert_eq!(first, 0x82, "SUBSCRIBE");
    let suback = [0x90, 3, rest[0], rest[1], code];
    stream.write_all(&suback).await.unwrap();
}

async fn connect(dial: &fleetcall::transport::Dial) -> Connection {
    open(dial).await.unwrap().connection
}

async fn next(connection: &mut Connection) -> Delivery {
    let by = Instant::now() + PATIENCE;
    connection.idle_until(by).await.unwrap().unwrap()
}

fn both() -> [Subscription; 2] {
    [Subscription::Topic(ATTRIBUTES), Subscription::Topic(CALLS)]
}

#[tokio::test]
async fn what_comes_before_during_and_after_an_exchange_is_delivered_in_order() {
    let addr = serve_once(async move |mut stream| {
        greet(&mut stream).await;
        // Before the server has granted anything.
        let early = publish(ATTRIBUTES, Some(1), b"1");
        stream.write_all(&early).await.unwrap();
        grant(&mut stream, 1).await;
        grant(&mut stream, 1).await;
        assert_eq!(packet(&mut stream).await, (0x40, vec![0, 1]), "PUBACK");
        let id = request_id(&mut stream).await;
        let call = publish("v1/devices/me/rpc/request/7", Some(2), b"2");
        stream.write_all(&call).await.unwrap();
        stream.write_all(&[0x40, 2, id[0], id[1]]).await.unwrap();
        assert_eq!(packet(&mut stream).await, (0x40, vec![0, 2]), "PUBACK");
        stream
            .write_all(&publish(ATTRIBUTES, None, b"3"))
            .await
            .unwrap();
        stay_silent(stream).await;
    })
    .await;
    let mut connection = connect(&dial(TransportKind::Mqtt, addr)).await;
    let subscribed = connection.subscribe(&both()).await.unwrap();
    assert!(subscribed.span.is_some() && subscribed.refused.is_none());
    let sent = connection
        .exchange(&telemetry(Qos::AtLeastOnce, "{}"))
        .await
        .unwrap();
    assert_eq!(sent.reply.status, Status::Acknowledged);
    let mut before = sent.span.sent;
    for (topic, body) in [
        (ATTRIBUTES, "1"),
        ("v1/devices/me/rpc/request/7", "2"),
        (ATTRIBUTES, "3"),
    ] {
        let delivery = next(&mut connection).await;
        assert_eq!(delivery.source, Source::Topic(topic.to_owned()));
        assert_eq!(delivery.body, body);
        assert_eq!(delivery.standing, Standing::Fresh);
        // The second was read within the exchange, whenever it is asked for.
        if body == "2" {
            assert!(delivery.read >= before && delivery.read <= sent.span.done);
        } else {
            before = before.min(delivery.read);
        }
    }
}

#[tokio::test]
async fn a_device_that_subscribed_to_nothing_is_delivered_nothing() {
    let addr = serve_once(async move |mut stream| {
        greet(&mut stream).await;
        stream
            .write_all(&publish(ATTRIBUTES, Some(1), b"1"))
            .await
            .unwrap();
        assert_eq!(packet(&mut stream).await, (0x40, vec![0, 1]), "PUBACK");
    })
    .await;
    let mut connection = connect(&dial(TransportKind::Mqtt, addr)).await;
    let by = Instant::now() + PATIENCE;
    let ended = connection.idle_until(by).await.unwrap_err();
    assert_eq!(ended.kind, FaultKind::ConnectionClosed);
    assert!(connection.take_delivery().is_none());
}

#[tokio::test]
async fn a_refused_subscription_says_so_and_the_session_goes_on() {
    for (version, code, suback) in [
        (MqttVersion::V3, 0x80, &[3][..]),
        (MqttVersion::V5, 0x8f, &[4][..]),
    ] {
        let addr = serve_once(async move |mut stream| {
            assert_eq!(packet(&mut stream).await.0, 0x10, "CONNECT");
            let v5 = version == MqttVersion::V5;
            let connack: &[u8] = if v5 {
                &[0x20, 3, 0, 0, 0]
            } else {
                &[0x20, 2, 0, 0]
            };
            stream.write_all(connack).await.unwrap();
            for granted in [1, code] {
                let (first, rest) = packet(&mut stream).await;
                assert_eq!(first, 0x82, "SUBSCRIBE");
                let mut answer = vec![0x90, suback[0], rest[0], rest[1]];
                answer.extend(v5.then_some(0));
                answer.push(granted);
                stream.write_all(&answer).await.unwrap();
            }
            stay_silent(stream).await;
        })
        .await;
        let mut dial = dial(TransportKind::Mqtt, addr);
        dial.version = version;
        let mut connection = connect(&dial).await;
        let subscribed = connection.subscribe(&both()).await.unwrap();
        assert_eq!(subscribed.refused, Some(FaultKind::SubackReason(code)));
        assert!(subscribed.span.is_none());
    }
}

#[tokio::test]
async fn a_server_that_never_grants_delivers_all_the_same() {
    let addr = serve_once(async move |mut stream| {
        greet(&mut stream).await;
        for _ in 0..2 {
            assert_eq!(packet(&mut stream).await.0, 0x82, "SUBSCRIBE");
        }
        stream
            .write_all(&publish(ATTRIBUTES, None, b"1"))
            .await
            .unwrap();
        stay_silent(stream).await;
    })
    .await;
    let mut dial = dial(TransportKind::Mqtt, addr);
    dial.suback_wait = std::time::Duration::from_millis(50);
    let mut connection = connect(&dial).await;
    let subscribed = connection.subscribe(&both()).await.unwrap();
    assert!(subscribed.span.is_none() && subscribed.refused.is_none());
    assert_eq!(next(&mut connection).await.body, "1");
}

#[tokio::test]
async fn a_flood_during_an_exchange_is_counted_and_not_kept() {
    let addr = serve(|mut stream| async move {
        greet(&mut stream).await;
        grant(&mut stream, 1).await;
        let id = request_id(&mut stream).await;
        for n in 0..5_000_u32 {
            let flood = publish(ATTRIBUTES, None, &n.to_be_bytes());
            stream.write_all(&flood).await.unwrap();
        }
        stream.write_all(&[0x40, 2, id[0], id[1]]).await.unwrap();
        stay_silent(stream).await;
    })
    .await;
    let mut connection = connect(&dial(TransportKind::Mqtt, addr)).await;
    let one = [Subscription::Topic(ATTRIBUTES)];
    connection.subscribe(&one).await.unwrap();
    let request = telemetry(Qos::AtLeastOnce, "{}");
    connection.exchange(&request).await.unwrap();
    let mut kept = 0_u32;
    while let Some(delivery) = connection.take_delivery() {
        assert_eq!(delivery.body[..], kept.to_be_bytes(), "the first ones");
        kept += 1;
    }
    assert!((1..1_000).contains(&kept), "{kept}");
    assert_eq!(kept + connection.take_missed(), 5_000);
}

#[tokio::test]
async fn what_came_before_the_end_is_there_after_it() {
    let addr = serve_once(async move |mut stream| {
        greet(&mut stream).await;
        grant(&mut stream, 1).await;
        request_id(&mut stream).await;
        stream
            .write_all(&publish(ATTRIBUTES, None, b"1"))
            .await
            .unwrap();
    })
    .await;
    let mut connection = connect(&impatient(TransportKind::Mqtt, addr)).await;
    let one = [Subscription::Topic(ATTRIBUTES)];
    connection.subscribe(&one).await.unwrap();
    let request = telemetry(Qos::AtLeastOnce, "{}");
    let lost = connection.exchange(&request).await.unwrap_err();
    assert_eq!(lost.kind, FaultKind::ConnectionClosed);
    assert_eq!(connection.take_delivery().unwrap().body, "1");
    assert!(connection.take_delivery().is_none());
}
