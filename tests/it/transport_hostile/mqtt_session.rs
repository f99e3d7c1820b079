//! MQTT sessions over time: repetitions, latecomers, idle hours and the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fleetcall::model::{FaultKind, Login, Qos, TransportKind};
use fleetcall::transport::Connection;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::mqtt::{ANSWER, greet, packet, publish, request_id, up_to_request};
use super::{
    RESPONSE, dial, impatient, open, provision, serve, serve_once, stay_silent, telemetry, topic,
};
use crate::support::PATIENCE;

#[tokio::test]
async fn the_repeated_answer_to_one_request_does_not_answer_the_next() {
    let addr = serve(|mut stream| async move {
        up_to_request(&mut stream).await;
        let first = publish(RESPONSE, Some(7), b"first");
        stream.write_all(&first).await.unwrap();
        assert_eq!(packet(&mut stream).await.0, 0x40);
        request_id(&mut stream).await;
        let mut again = first;
        again[0] |= 0x08;
        stream.write_all(&again).await.unwrap();
        assert_eq!(
            packet(&mut stream).await.0,
            0x40,
            "repetitions are owed a PUBACK"
        );
        let second = publish(RESPONSE, Some(8), b"second");
        stream.write_all(&second).await.unwrap();
        stay_silent(stream).await;
    })
    .await;
    let mut connection = open(&dial(TransportKind::Mqtt, addr))
        .await
        .unwrap()
        .connection;
    let first = connection.exchange(&provision()).await.unwrap();
    assert_eq!(first.reply.body, b"first"[..]);
    let second = connection.exchange(&provision()).await.unwrap();
    assert_eq!(second.reply.body, b"second"[..]);
}

#[tokio::test]
async fn an_answer_from_before_the_request_does_not_answer_it() {
    let (stop_waiting, mut late) = mpsc::channel(1);
    let (tell, mut told) = mpsc::channel(1);
    let addr = serve_once(async move |mut stream| {
        up_to_request(&mut stream).await;
        late.recv().await.unwrap();
        let stale = publish(RESPONSE, Some(1), b"stale");
        stream.write_all(&stale).await.unwrap();
        assert_eq!(packet(&mut stream).await.0, 0x40, "PUBACK");
        tell.send(()).await.unwrap();
        request_id(&mut stream).await;
        let fresh = publish(RESPONSE, Some(2), b"fresh");
        stream.write_all(&fresh).await.unwrap();
        stay_silent(stream).await;
    })
    .await;
    let dial = impatient(TransportKind::Mqtt, addr);
    let mut connection = open(&dial).await.unwrap().connection;
    let first = connection.exchange(&provision()).await.unwrap_err();
    assert_eq!((first.kind, first.sent), (FaultKind::Timeout, true));
    stop_waiting.send(()).await.unwrap();
    tokio::select! {
        ended = connection.idle_until(Instant::now() + PATIENCE) => panic!("{ended:?}"),
        acknowledged = told.recv() => acknowledged.unwrap(),
    }
    let second = connection.exchange(&provision()).await.unwrap();
    assert_eq!(second.reply.body, b"fresh"[..]);
}

#[tokio::test]
async fn a_close_that_happened_before_the_request_leaves_it_unsent() {
    let (tell, mut told) = mpsc::channel(1);
    let addr = serve_once(async move |mut stream| {
        greet(&mut stream).await;
        drop(stream);
        tell.send(()).await.unwrap();
    })
    .await;
    let opened = open(&dial(TransportKind::Mqtt, addr)).await.unwrap();
    let mut connection = opened.connection;
    told.recv().await.unwrap();
    for _ in 0..100 {
        // For the runtime to hear of it; the session is not asked.
        tokio::task::yield_now().await;
    }
    // Nothing answers QoS 0: a write into the void would pass for a success.
    let request = telemetry(Qos::AtMostOnce, "{}");
    let late = connection.exchange(&request).await.unwrap_err();
    assert_eq!((late.kind, late.sent), (FaultKind::ConnectionClosed, false));
}

#[tokio::test]
async fn an_idle_session_pings_and_acknowledges_and_notices_a_dead_server() {
    let pings = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&pings);
    let addr = serve(move |mut stream| {
        let seen = Arc::clone(&seen);
        async move {
            greet(&mut stream).await;
            for _ in 0..3 {
                assert_eq!(packet(&mut stream).await, (0xc0, vec![]), "PINGREQ");
                seen.fetch_add(1, Ordering::Relaxed);
                stream.write_all(&[0xd0, 0]).await.unwrap();
            }
            stay_silent(stream).await;
        }
    })
    .await;
    let mut dial = impatient(TransportKind::Mqtt, addr);
    dial.keep_alive = Duration::from_millis(200);
    let mut connection = open(&dial).await.unwrap().connection;
    // Dropped and called again all the time: nothing may get lost by that.
    let deadline = Instant::now() + PATIENCE;
    let ended = loop {
        let short = tokio::time::timeout(Duration::from_millis(7), connection.idle_until(deadline));
        if let Ok(ended) = short.await {
            break ended.unwrap_err();
        }
    };
    assert_eq!((ended.kind, ended.sent), (FaultKind::Timeout, false));
    assert_eq!(pings.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_close_says_good_bye_first() {
    let (tell, mut told) = mpsc::channel(1);
    let addr = serve(move |mut stream| {
        let tell = tell.clone();
        async move {
            greet(&mut stream).await;
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await.unwrap();
            tell.send(rest).await.unwrap();
        }
    })
    .await;
    let opened = open(&dial(TransportKind::Mqtt, addr)).await.unwrap();
    opened.connection.close().await;
    assert_eq!(told.recv().await.unwrap(), [0xe0, 0]);
}

#[tokio::test]
async fn a_login_that_mqtt_cannot_carry_is_ours_to_answer_for() {
    let addr = serve(stay_silent).await;
    let dial = dial(TransportKind::Mqtt, addr);
    let logins = [
        Login {
            client_id: "x".repeat(65_536),
            ..Login::default()
        },
        Login {
            password: Some("password without a user name".into()),
            ..Login::default()
        },
    ];
    for login in logins {
        let refused = Connection::open(&dial, &login, None, 0).await.unwrap_err();
        assert_eq!(refused.kind, FaultKind::CredentialsUnusable);
    }
}

#[tokio::test]
async fn a_subscription_is_made_once_for_each_topic() {
    let addr = serve(|mut stream| async move {
        up_to_request(&mut stream).await;
        let answer = publish(RESPONSE, None, ANSWER);
        stream.write_all(&answer).await.unwrap();
        // A second SUBSCRIBE would be no PUBLISH.
        request_id(&mut stream).await;
        stream.write_all(&answer).await.unwrap();
        stay_silent(stream).await;
    })
    .await;
    let mut connection = open(&dial(TransportKind::Mqtt, addr))
        .await
        .unwrap()
        .connection;
    for _ in 0..2 {
        let request = topic(super::REQUEST, Some(RESPONSE), Qos::AtLeastOnce, "{}");
        assert_eq!(
            connection.exchange(&request).await.unwrap().reply.body,
            ANSWER
        );
    }
}
