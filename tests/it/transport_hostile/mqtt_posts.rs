//! Publishes that are acknowledged several times, and servers that miscount.

use std::time::Duration;

use fleetcall::model::{FaultKind, MqttVersion, Qos, Request, TransportKind};
use fleetcall::transport::{Connection, Dial, Posted};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::mqtt::{greet, packet, request_id};
use super::{dial, impatient, open, serve_once, stay_silent, telemetry};

/// Connects to a server that treats its client as told.
async fn connect<F>(
    behave: impl FnOnce(TcpStream) -> F + Send + 'static,
    dial: impl FnOnce(std::net::SocketAddr) -> Dial,
) -> Connection
where
    F: Future<Output = ()> + Send,
{
    let addr = serve_once(async move |mut stream| {
        greet(&mut stream).await;
        behave(stream).await;
    })
    .await;
    open(&dial(addr)).await.unwrap().connection
}

fn patient(addr: std::net::SocketAddr) -> Dial {
    dial(TransportKind::Mqtt, addr)
}

fn brief(addr: std::net::SocketAddr) -> Dial {
    impatient(TransportKind::Mqtt, addr)
}

fn message() -> Request {
    telemetry(Qos::AtLeastOnce, "{}")
}

async fn acknowledge(stream: &mut TcpStream, id: [u8; 2], times: usize) {
    let pubacks = [0x40, 2, id[0], id[1]].repeat(times);
    stream.write_all(&pubacks).await.unwrap();
}

async fn next(connection: &mut Connection) -> Posted {
    connection.settled().await.unwrap()
}

#[tokio::test]
async fn a_publish_is_done_with_the_last_of_its_acknowledgements() {
    let mut connection = connect(
        async |mut stream| {
            let first = request_id(&mut stream).await;
            // It comes without the first having been acknowledged.
            let second = request_id(&mut stream).await;
            assert_ne!(first, second);
            acknowledge(&mut stream, second, 2).await;
            acknowledge(&mut stream, first, 3).await;
            stay_silent(stream).await;
        },
        patient,
    )
    .await;
    connection.post(&message(), 3, 30).await.unwrap();
    connection.post(&message(), 2, 20).await.unwrap();
    let (first, second) = (next(&mut connection).await, next(&mut connection).await);
    assert_eq!((first.label, first.acked, first.fault), (30, 3, None));
    assert_eq!((second.label, second.acked, second.fault), (20, 2, None));
    assert!(second.done <= first.done && first.sent <= second.sent);
    assert_eq!(connection.settled().await, None);
    assert_eq!(connection.take_stray(), 0);
}

#[tokio::test]
async fn too_few_acknowledgements_are_told_and_the_session_goes_on() {
    let mut connection = connect(
        async |mut stream| {
            let first = request_id(&mut stream).await;
            acknowledge(&mut stream, first, 2).await;
            let second = request_id(&mut stream).await;
            // One comes after its time.
            acknowledge(&mut stream, first, 1).await;
            acknowledge(&mut stream, second, 1).await;
            stay_silent(stream).await;
        },
        brief,
    )
    .await;
    connection.post(&message(), 5, 0).await.unwrap();
    let short = next(&mut connection).await;
    assert_eq!((short.acked, short.done, short.left), (2, None, true));
    assert_eq!(short.fault, Some(FaultKind::Timeout));
    connection.post(&message(), 1, 0).await.unwrap();
    let whole = next(&mut connection).await;
    assert_eq!((whole.acked, whole.fault), (1, None));
    assert_eq!(connection.take_stray(), 1);
    assert_eq!(connection.take_stray(), 0);
}

#[tokio::test]
async fn too_many_acknowledgements_are_counted_and_answer_nothing_else() {
    let mut connection = connect(
        async |mut stream| {
            let first = request_id(&mut stream).await;
            acknowledge(&mut stream, first, 7).await;
            let second = request_id(&mut stream).await;
            acknowledge(&mut stream, second, 2).await;
            stay_silent(stream).await;
        },
        patient,
    )
    .await;
    for _ in 0..2 {
        connection.post(&message(), 2, 0).await.unwrap();
        let done = next(&mut connection).await;
        assert_eq!((done.acked, done.fault), (2, None));
    }
    assert_eq!(connection.take_stray(), 5);
}

#[tokio::test]
async fn an_acknowledgement_of_what_was_never_sent_ends_the_session_and_all_that_is_under_way() {
    let mut connection = connect(
        async |mut stream| {
            let first = request_id(&mut stream).await;
            request_id(&mut stream).await;
            acknowledge(&mut stream, first, 1).await;
            acknowledge(&mut stream, [0x7f, 0xff], 1).await;
            stay_silent(stream).await;
        },
        patient,
    )
    .await;
    for label in 0..2 {
        connection.post(&message(), 2, label).await.unwrap();
    }
    for (label, acked) in [(0, 1), (1, 0)] {
        let lost = next(&mut connection).await;
        assert_eq!((lost.label, lost.acked, lost.left), (label, acked, true));
        assert_eq!(lost.fault, Some(FaultKind::UnexpectedPacket));
    }
    let over = connection.post(&message(), 1, 2).await.unwrap_err();
    assert!(!over.sent);
    assert_eq!(connection.settled().await, None);
}

#[tokio::test]
async fn a_server_that_leaves_keeps_what_it_acknowledged() {
    let mut connection = connect(
        async |mut stream| {
            let first = request_id(&mut stream).await;
            acknowledge(&mut stream, first, 1).await;
        },
        patient,
    )
    .await;
    connection.post(&message(), 2, 0).await.unwrap();
    let lost = next(&mut connection).await;
    assert_eq!((lost.acked, lost.left), (1, true));
    assert_eq!(lost.fault, Some(FaultKind::ConnectionClosed));
    // Who cannot wait learns how things stand.
    assert_eq!(connection.take_posted(), None);
}

#[tokio::test]
async fn who_does_not_wait_learns_how_things_stand() {
    let mut connection = connect(
        async |mut stream| {
            let first = request_id(&mut stream).await;
            acknowledge(&mut stream, first, 1).await;
            packet(&mut stream).await;
            stream.write_all(&[0xd0, 0]).await.unwrap();
            stay_silent(stream).await;
        },
        patient,
    )
    .await;
    connection.post(&message(), 2, 7).await.unwrap();
    // PINGRESP comes behind the acknowledgement.
    connection.ping().await.unwrap();
    let open = connection.take_posted().unwrap();
    assert_eq!((open.label, open.acked), (7, 1));
    assert_eq!((open.done, open.fault), (None, None));
    assert_eq!(connection.take_posted(), None);
}

#[tokio::test]
async fn nothing_is_waited_for_with_qos_0() {
    let mut connection = connect(stay_silent, patient).await;
    let request = telemetry(Qos::AtMostOnce, "{}");
    connection.post(&request, 3, 1).await.unwrap();
    connection.post(&request, 3, 2).await.unwrap();
    for label in [1, 2] {
        let done = next(&mut connection).await;
        assert_eq!((done.label, done.wanted, done.acked), (label, 0, 0));
        assert!(done.done.is_some() && done.fault.is_none());
    }
}

#[tokio::test]
async fn a_silent_server_is_known_by_its_silence_to_a_ping() {
    for answers in [true, false] {
        let mut connection = connect(
            async move |mut stream| {
                assert_eq!(packet(&mut stream).await.0, 0xc0, "PINGREQ");
                if answers {
                    stream.write_all(&[0xd0, 0]).await.unwrap();
                }
                stay_silent(stream).await;
            },
            if answers { patient } else { brief },
        )
        .await;
        let silent = connection.ping().await.err().map(|fault| fault.kind);
        assert_eq!(silent, (!answers).then_some(FaultKind::Timeout));
    }
}

/// A client of MQTT 5 whose server allows it one publish at a time.
async fn one_at_a_time<F>(behave: impl FnOnce(TcpStream) -> F + Send + 'static) -> Connection
where
    F: Future<Output = ()> + Send,
{
    let addr = serve_once(async move |mut stream| {
        packet(&mut stream).await;
        let connack = [0x20, 6, 0, 0, 3, 0x21, 0, 1];
        stream.write_all(&connack).await.unwrap();
        behave(stream).await;
    })
    .await;
    let mut dial = patient(addr);
    dial.version = MqttVersion::V5;
    open(&dial).await.unwrap().connection
}

#[tokio::test]
async fn the_servers_receive_maximum_counts_publishes_and_not_acknowledgements() {
    let (told, mut quiet) = tokio::sync::mpsc::channel(1);
    let mut connection = one_at_a_time(async move |mut stream| {
        let first = request_id(&mut stream).await;
        acknowledge(&mut stream, first, 1).await;
        // The second publish is held back as long as the first is not done.
        let mut early = [0; 1];
        let next = tokio::time::timeout(Duration::from_millis(100), stream.peek(&mut early));
        told.send(next.await.is_err()).await.unwrap();
        acknowledge(&mut stream, first, 2).await;
        let second = request_id(&mut stream).await;
        acknowledge(&mut stream, second, 3).await;
        stay_silent(stream).await;
    })
    .await;
    for label in 0..2 {
        connection.post(&message(), 3, label).await.unwrap();
    }
    for label in 0..2 {
        let done = next(&mut connection).await;
        assert_eq!((done.label, done.acked, done.fault), (label, 3, None));
    }
    assert_eq!(quiet.recv().await, Some(true));
}

#[tokio::test]
async fn a_refusal_is_the_end_of_the_whole_publish() {
    let mut connection = one_at_a_time(async |mut stream| {
        let first = request_id(&mut stream).await;
        acknowledge(&mut stream, first, 1).await;
        let refusal = [0x40, 4, first[0], first[1], 0x99, 0];
        stream.write_all(&refusal).await.unwrap();
        let second = request_id(&mut stream).await;
        acknowledge(&mut stream, second, 1).await;
        stay_silent(stream).await;
    })
    .await;
    connection.post(&message(), 3, 0).await.unwrap();
    let refused = next(&mut connection).await;
    assert_eq!(refused.fault, Some(FaultKind::PubackReason(0x99)));
    assert_eq!((refused.acked, refused.done), (1, None));
    connection.post(&message(), 1, 1).await.unwrap();
    assert_eq!(next(&mut connection).await.fault, None);
}
