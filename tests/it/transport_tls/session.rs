//! An MQTT session over TLS records: however they are cut, and however they end.

use std::sync::Arc;
use std::time::Duration;

use fleetcall::model::{FaultKind, Phase, Qos, Request, Status, TransportKind};
use fleetcall::transport::Dial;
use rustls::ALL_VERSIONS;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use super::{EACH_VERSION, House, Stream, open_as};
use crate::support::PATIENCE;
use crate::transport_hostile::mqtt::{greet, packet, publish, request_id, up_to_request};
use crate::transport_hostile::{
    RESPONSE, TELEMETRY, provision, serve_once, stay_silent, telemetry, topic,
};

/// A dial to a server that treats its only connection as told, after the handshake.
async fn against<F>(behave: impl FnOnce(Stream) -> F + Send + 'static) -> Dial
where
    F: Future<Output = ()> + Send,
{
    let house = House::new("house");
    let acceptor = TlsAcceptor::from(Arc::new(house.config(false, ALL_VERSIONS)));
    let addr = serve_once(async move |tcp| {
        behave(acceptor.accept(tcp).await.unwrap()).await;
    })
    .await;
    house.dial(TransportKind::Mqtts, addr)
}

fn impatient(dial: Dial) -> Dial {
    Dial {
        answer_timeout: Duration::from_millis(300),
        ..dial
    }
}

async fn keep(stream: Stream) {
    stay_silent(stream.into_inner().0).await;
}

/// The fault of an exchange that must not succeed, on a session that was opened.
async fn fault(dial: &Dial, request: &Request) -> (FaultKind, bool) {
    let mut connection = open_as(dial, None).await.unwrap().connection;
    let exchanged = LocalSet::new()
        .run_until(connection.exchange(request))
        .await;
    let fault = exchanged.unwrap_err();
    (fault.kind, fault.sent)
}

#[tokio::test]
async fn what_stands_behind_connack_in_the_same_record_is_taken_in() {
    let (tell, told) = oneshot::channel();
    let dial = against(async move |mut stream| {
        packet(&mut stream).await;
        let mut greeting = vec![0x20, 2, 0, 0];
        greeting.extend(publish("a/b", Some(9), b"{}"));
        stream.write_all(&greeting).await.unwrap();
        stream.flush().await.unwrap();
        let (first, id) = packet(&mut stream).await;
        tell.send((first, id)).unwrap();
        let id = request_id(&mut stream).await;
        stream.write_all(&[0x40, 2, id[0], id[1]]).await.unwrap();
        keep(stream).await;
    })
    .await;
    let mut connection = open_as(&dial, None).await.unwrap().connection;
    let sent = connection
        .exchange(&telemetry(Qos::AtLeastOnce, "{}"))
        .await;
    assert_eq!(sent.unwrap().reply.status, Status::Acknowledged);
    assert_eq!(told.await.unwrap(), (0x40, vec![0, 9]), "PUBACK");
}

#[tokio::test]
async fn an_answer_in_records_of_one_byte_is_put_together() {
    const LENGTH: usize = 64 * 1024 - 100;
    let dial = against(async |mut stream| {
        up_to_request(&mut stream).await;
        let answer = publish(RESPONSE, Some(1), &vec![b'x'; LENGTH]);
        let (tcp, tls) = stream.get_mut();
        for (n, byte) in answer.iter().enumerate() {
            std::io::Write::write_all(&mut tls.writer(), &[*byte]).unwrap();
            if n % 500 == 499 || n == answer.len() - 1 {
                let mut records = Vec::new();
                while tls.wants_write() {
                    tls.write_tls(&mut records).unwrap();
                }
                tcp.write_all(&records).await.unwrap();
            }
        }
        keep(stream).await;
    })
    .await;
    let mut connection = open_as(&dial, None).await.unwrap().connection;
    let answered = connection.exchange(&provision()).await.unwrap();
    assert_eq!(answered.reply.body, vec![b'x'; LENGTH]);
}

#[tokio::test]
async fn records_that_arrive_byte_by_byte_are_put_together() {
    let dial = against(async |mut stream| {
        up_to_request(&mut stream).await;
        let (tcp, tls) = stream.get_mut();
        let answer = publish(RESPONSE, Some(1), b"fine");
        std::io::Write::write_all(&mut tls.writer(), &answer).unwrap();
        let mut records = Vec::new();
        tls.write_tls(&mut records).unwrap();
        for byte in records {
            tcp.write_all(&[byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        keep(stream).await;
    })
    .await;
    let mut connection = open_as(&dial, None).await.unwrap().connection;
    let answered = connection.exchange(&provision()).await.unwrap();
    assert_eq!(answered.reply.body, "fine");
}

#[tokio::test]
async fn new_keys_are_taken_and_given_while_idle() {
    let (told, mut asked) = mpsc::channel(4);
    let dial = against(async move |mut stream| {
        greet(&mut stream).await;
        for _ in 0..3 {
            stream.get_mut().1.refresh_traffic_keys().unwrap();
            stream
                .write_all(&publish("a/b", None, b"{}"))
                .await
                .unwrap();
            stream.flush().await.unwrap();
            let id = request_id(&mut stream).await;
            stream.write_all(&[0x40, 2, id[0], id[1]]).await.unwrap();
            told.send(()).await.unwrap();
        }
        keep(stream).await;
    })
    .await;
    let mut connection = open_as(&dial, None).await.unwrap().connection;
    for _ in 0..3 {
        let later = Instant::now() + Duration::from_millis(50);
        connection.idle_until(later).await.unwrap();
        let sent = connection
            .exchange(&telemetry(Qos::AtLeastOnce, "{}"))
            .await;
        assert_eq!(sent.unwrap().reply.status, Status::Acknowledged);
        asked.recv().await.unwrap();
    }
}

#[tokio::test]
async fn waiting_that_is_dropped_again_and_again_loses_nothing() {
    let dial = against(async |mut stream| {
        greet(&mut stream).await;
        loop {
            let id = request_id(&mut stream).await;
            let answer = [
                publish("a/b", None, &vec![0; 40_000]),
                vec![0x40, 2, id[0], id[1]],
            ];
            stream.write_all(&answer.concat()).await.unwrap();
            stream.flush().await.unwrap();
        }
    })
    .await;
    let mut connection = open_as(&dial, None).await.unwrap().connection;
    let body: &'static str = "x".repeat(50_000).leak();
    for n in 0..200_u64 {
        let request = topic(TELEMETRY, None, Qos::AtMostOnce, body);
        let request = if n % 2 == 0 {
            telemetry(Qos::AtLeastOnce, body)
        } else {
            request
        };
        if n % 2 == 0 {
            let sent = connection.exchange(&request).await.unwrap();
            assert_eq!(sent.reply.status, Status::Acknowledged);
        }
        let within = Duration::from_micros(n * 10);
        let later = Instant::now() + PATIENCE;
        let idle = tokio::time::timeout(within, connection.idle_until(later)).await;
        assert!(idle.is_err(), "nothing ends it");
    }
}

#[tokio::test]
async fn a_session_that_ends_by_close_notify_fin_or_alert_says_which() {
    let house = House::new("house");
    for (how, kind) in [
        ("close_notify", FaultKind::ConnectionClosed),
        ("fin", FaultKind::ConnectionClosed),
        ("reset", FaultKind::ConnectionReset),
        ("garbage", FaultKind::TlsProtocol),
    ] {
        let dial = against(async move |mut stream| {
            greet(&mut stream).await;
            // Not before the session is open.
            packet(&mut stream).await;
            match how {
                "close_notify" => {
                    stream.get_mut().1.send_close_notify();
                    stream.flush().await.unwrap();
                    keep(stream).await;
                }
                "fin" => drop(stream.into_inner().0),
                "reset" => crate::transport_hostile::reset(stream.into_inner().0),
                _ => {
                    let tcp = stream.get_mut().0;
                    tcp.write_all(&[0x17, 3, 3, 0, 32]).await.unwrap();
                    tcp.write_all(&[7; 32]).await.unwrap();
                    keep(stream).await;
                }
            }
        })
        .await;
        let mut connection = open_as(&dial, None).await.unwrap().connection;
        connection
            .exchange(&telemetry(Qos::AtMostOnce, "{}"))
            .await
            .unwrap();
        let later = Instant::now() + PATIENCE;
        let fault = connection.idle_until(later).await.unwrap_err();
        assert_eq!((fault.kind, fault.sent), (kind, false), "{how}");
        let fault = connection.exchange(&provision()).await.unwrap_err();
        assert!(!fault.sent, "{how}");
    }
    // The server's judgement on our certificate, whatever it waited for.
    let acceptor = TlsAcceptor::from(Arc::new(house.config(true, ALL_VERSIONS)));
    let addr = serve_once(async move |tcp| drop(acceptor.accept(tcp).await)).await;
    let dial = house.dial(TransportKind::Mqtts, addr);
    assert_eq!(
        super::refusal(&dial, None).await,
        (Phase::MqttConnect, FaultKind::TlsAlert(116))
    );
    let config = house.config(true, EACH_VERSION[0]);
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let addr = serve_once(async move |tcp| drop(acceptor.accept(tcp).await)).await;
    let dial = house.dial(TransportKind::Mqtts, addr);
    assert_eq!(
        super::refusal(&dial, None).await,
        (Phase::TlsHandshake, FaultKind::TlsAlert(116))
    );
}

#[tokio::test]
async fn an_answer_that_came_before_the_end_counts() {
    let dial = against(async |mut stream| {
        up_to_request(&mut stream).await;
        let (tcp, tls) = stream.get_mut();
        let answer = publish(RESPONSE, Some(1), b"fine");
        std::io::Write::write_all(&mut tls.writer(), &answer).unwrap();
        tls.send_close_notify();
        let mut records = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut records).unwrap();
        }
        tcp.write_all(&records).await.unwrap();
        keep(stream).await;
    })
    .await;
    let mut connection = open_as(&dial, None).await.unwrap().connection;
    let answered = connection.exchange(&provision()).await.unwrap();
    assert_eq!(answered.reply.body, "fine");
    let later = Instant::now() + PATIENCE;
    let fault = connection.idle_until(later).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::ConnectionClosed);
}

#[tokio::test]
async fn a_request_that_no_byte_of_was_taken_was_not_sent_and_any_other_was() {
    let silent = impatient(
        against(async |mut stream| {
            up_to_request(&mut stream).await;
            keep(stream).await;
        })
        .await,
    );
    let waited = fault(&silent, &provision()).await;
    assert_eq!(waited, (FaultKind::Timeout, true));

    let (left, gone) = oneshot::channel();
    let closed = against(async move |mut stream| {
        greet(&mut stream).await;
        drop(stream.into_inner().0);
        left.send(()).unwrap();
    })
    .await;
    let mut connection = open_as(&closed, None).await.unwrap().connection;
    gone.await.unwrap();
    let fault = connection
        .exchange(&telemetry(Qos::AtLeastOnce, "{}"))
        .await;
    let fault = fault.unwrap_err();
    assert_eq!(
        (fault.kind, fault.sent),
        (FaultKind::ConnectionClosed, false)
    );
}

#[tokio::test]
async fn a_server_that_does_not_read_is_a_timeout() {
    let dial = impatient(
        against(async |mut stream| {
            greet(&mut stream).await;
            keep(stream).await;
        })
        .await,
    );
    // More than both sockets hold.
    let body: &'static str = "x".repeat(16 * 1024 * 1024).leak();
    let waited = fault(&dial, &telemetry(Qos::AtMostOnce, body)).await;
    assert_eq!(waited, (FaultKind::Timeout, true));
}

#[tokio::test]
async fn a_close_says_disconnect_and_then_close_notify() {
    let (tell, told) = oneshot::channel();
    let dial = against(async move |mut stream| {
        greet(&mut stream).await;
        let mut rest = Vec::new();
        // Without close_notify, rustls says that the stream was cut off.
        let end = stream.read_to_end(&mut rest).await;
        tell.send((rest, end.is_ok())).unwrap();
    })
    .await;
    let connection = open_as(&dial, None).await.unwrap().connection;
    connection.close().await;
    assert_eq!(told.await.unwrap(), (vec![0xe0, 0], true));
}
