//! Our device against servers of MQTT 5 that refuse, leave, or talk nonsense.

use fleetcall::model::{FaultKind, MqttVersion, Phase, Qos, TransportKind};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::device::{dial, grant, greet, heard, request_id};
use super::{packet, publish};
use crate::support::PATIENCE;
use crate::transport_hostile::{
    RESPONSE, attempt, fault, open, provision, serve, serve_once, stay_silent, telemetry,
};

/// A server that writes these bytes in place of CONNACK.
async fn greeting_with(bytes: Vec<u8>) -> FaultKind {
    let addr = serve_once(async move |mut stream| {
        heard(&mut stream).await;
        let _ = stream.write_all(&bytes).await;
        stay_silent(stream).await;
    })
    .await;
    let refused = open(&dial(addr)).await.unwrap_err();
    assert_eq!(refused.phase, Phase::MqttConnect);
    assert!(refused.tcp.is_some());
    refused.kind
}

/// What a request comes to when a server writes these bytes in place of its answer.
async fn answering_with(bytes: Vec<u8>) -> (FaultKind, bool) {
    let addr = serve_once(async move |mut stream| {
        greet(&mut stream, &[]).await;
        grant(&mut stream).await;
        request_id(&mut stream).await;
        let _ = stream.write_all(&bytes).await;
        stay_silent(stream).await;
    })
    .await;
    fault(&dial(addr), &provision()).await
}

#[tokio::test]
async fn a_connect_that_fails_has_its_own_word() {
    for (bytes, kind) in [
        (&[0x20, 3, 0, 0x86, 0][..], FaultKind::ConnackReason(0x86)),
        (&[0x20, 3, 1, 0x9f, 0], FaultKind::ConnackReason(0x9f)),
        (&[0x20, 3, 0, 0xfe, 0], FaultKind::ConnackReason(0xfe)),
        // The refusal counts, not the DISCONNECT after it.
        (
            &[0x20, 3, 0, 0x88, 0, 0xe0, 2, 0x89, 0],
            FaultKind::ConnackReason(0x88),
        ),
        (&[0xe0, 2, 0x97, 0], FaultKind::DisconnectReason(0x97)),
        (&[0xe0, 0], FaultKind::ConnectionClosed),
        // A CONNACK of MQTT 3.1.1.
        (&[0x20, 2, 0, 5], FaultKind::MalformedPacket),
        (&[0x20, 3, 0, 1, 0], FaultKind::MalformedPacket),
        (&[0x20, 4, 0, 0, 5, 0x21], FaultKind::MalformedPacket),
        (&[0xd0, 0], FaultKind::UnexpectedPacket),
        (&[0xf0, 0], FaultKind::UnexpectedPacket),
        (&[0x48, 0x54, 0x54, 0x50], FaultKind::MalformedPacket),
    ] {
        assert_eq!(greeting_with(bytes.to_vec()).await, kind, "{bytes:x?}");
    }
}

#[tokio::test]
async fn a_refusal_is_named_in_the_version_that_was_spoken() {
    let bytes = [0x20, 2, 0, 5];
    let addr = serve(move |mut stream| async move {
        heard(&mut stream).await;
        stream.write_all(&bytes).await.unwrap();
        stay_silent(stream).await;
    })
    .await;
    let old = crate::transport_hostile::dial(TransportKind::Mqtt, addr);
    assert_eq!(old.version, MqttVersion::V3);
    let refused = open(&old).await.unwrap_err();
    assert_eq!(refused.kind, FaultKind::Connack(5));
}

#[tokio::test]
async fn an_answer_that_is_none_has_its_own_word() {
    let long_reason = packet(
        0xe0,
        &[&[0x80, 0x85, 0x80, 1, 0x1f, 0x40, 0], &[b'x'; 0x4000]],
    );
    for (bytes, kind) in [
        (vec![0xe0, 2, 0x83, 0], FaultKind::DisconnectReason(0x83)),
        (vec![0xe0, 1, 0x81], FaultKind::DisconnectReason(0x81)),
        (vec![0xe0, 0], FaultKind::ConnectionClosed),
        (vec![0xe0, 2, 0, 0], FaultKind::ConnectionClosed),
        // A reason string, for people.
        (
            b"\xe0\x07\x9c\x05\x1f\0\x02no".to_vec(),
            FaultKind::DisconnectReason(0x9c),
        ),
        (long_reason, FaultKind::PacketTooLarge),
        (vec![0xe0, 2, 0x8e, 9], FaultKind::MalformedPacket),
        (
            b"\x30\x07\0\x01t\x03\x23\0\x01".to_vec(),
            FaultKind::UnexpectedPacket,
        ),
        // Property lengths that lie: beyond the packet, beyond any packet, endless.
        (
            b"\x30\x05\0\x01t\x7f\0".to_vec(),
            FaultKind::MalformedPacket,
        ),
        (
            b"\x30\x08\0\x01t\xff\xff\xff\x7f\0".to_vec(),
            FaultKind::MalformedPacket,
        ),
        (
            b"\x30\x08\0\x01t\xff\xff\xff\xff\x01".to_vec(),
            FaultKind::MalformedPacket,
        ),
        (
            b"\x40\x08\0\x02\0\xff\xff\xff\x7f\0".to_vec(),
            FaultKind::MalformedPacket,
        ),
        (vec![0x30, 0x81, 0x80, 0x10], FaultKind::PacketTooLarge),
        // Acknowledgements of what was never sent, and QoS 2, which nobody subscribed to.
        (vec![0x40, 2, 0x77, 0x77], FaultKind::UnexpectedPacket),
        (vec![0x90, 4, 0x77, 0x77, 0, 1], FaultKind::UnexpectedPacket),
        (vec![0x20, 3, 0, 0, 0], FaultKind::UnexpectedPacket),
        (publish(RESPONSE, 2, 1, "{}"), FaultKind::UnexpectedPacket),
        (vec![0x50, 2, 0, 2], FaultKind::UnexpectedPacket),
    ] {
        let shown = bytes[..bytes.len().min(16)].escape_ascii().to_string();
        assert_eq!(answering_with(bytes).await, (kind, true), "{shown}");
    }
}

#[tokio::test]
async fn a_goodbye_is_told_from_a_close() {
    for (bytes, kind) in [
        (
            &[0xe0_u8, 2, 0x8e, 0][..],
            FaultKind::DisconnectReason(0x8e),
        ),
        (&[], FaultKind::ConnectionClosed),
    ] {
        let addr = serve(move |mut stream| async move {
            greet(&mut stream, &[]).await;
            stream.write_all(bytes).await.unwrap();
        })
        .await;
        // While idle, and afterwards the session is over.
        let mut connection = open(&dial(addr)).await.unwrap().connection;
        let deadline = Instant::now() + PATIENCE;
        let ended = connection.idle_until(deadline).await.unwrap_err();
        assert_eq!((ended.kind, ended.sent), (kind, false));
        let message = telemetry(Qos::AtMostOnce, "{}");
        let late = connection.exchange(&message).await.unwrap_err();
        assert_eq!((late.kind, late.sent), (FaultKind::ConnectionClosed, false));
    }
}

#[tokio::test]
async fn a_goodbye_before_the_request_leaves_it_unsent_and_is_named() {
    let (tell, mut told) = mpsc::channel(1);
    let addr = serve_once(async move |mut stream| {
        greet(&mut stream, &[]).await;
        stream.write_all(&[0xe0, 2, 0x98, 0]).await.unwrap();
        drop(stream);
        tell.send(()).await.unwrap();
    })
    .await;
    let mut connection = open(&dial(addr)).await.unwrap().connection;
    told.recv().await.unwrap();
    for _ in 0..100 {
        // For the runtime to hear of it; the session is not asked.
        tokio::task::yield_now().await;
    }
    let late = connection.exchange(&provision()).await.unwrap_err();
    assert_eq!(
        (late.kind, late.sent),
        (FaultKind::DisconnectReason(0x98), false)
    );
}

#[tokio::test]
async fn a_flood_of_goodbyes_is_one_goodbye() {
    let flood = [0xe0_u8, 2, 0x8e, 0].repeat(100_000);
    let ended = answering_with(flood.clone()).await;
    assert_eq!(ended, (FaultKind::DisconnectReason(0x8e), true));
    assert_eq!(
        greeting_with(flood).await,
        FaultKind::DisconnectReason(0x8e)
    );
}

#[tokio::test]
async fn a_flood_of_wordy_acknowledgements_ends_the_exchange() {
    let addr = serve_once(async move |mut stream| {
        greet(&mut stream, &[]).await;
        grant(&mut stream).await;
        let id = request_id(&mut stream).await;
        // 15 kB of reason string each, for a request that is still not answered.
        let words = [&[0x1f, 0x3a, 0x98][..], &[b'x'; 15_000]].concat();
        let puback = packet(0x40, &[&id, &[0], &[0x9b, 0x75], &words]);
        while stream.write_all(&puback).await.is_ok() {}
    })
    .await;
    let mut dial = dial(addr);
    dial.answer_timeout = std::time::Duration::from_secs(2);
    let (kind, sent) = fault(&dial, &provision()).await;
    assert!(matches!(
        kind,
        FaultKind::UnexpectedPacket | FaultKind::Timeout
    ));
    assert!(sent);
}

/// Noise in place of CONNACK, and in place of an answer: always a fault, never a panic or a hang.
#[test]
fn noise_is_a_fault() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let noise = prop::collection::vec(any::<u8>(), 0..100);
    let kinds = prop::sample::select(vec![0x20_u8, 0x30, 0x32, 0x40, 0x90, 0xd0, 0xe0]);
    let mut runner = TestRunner::new(Config {
        cases: 300,
        failure_persistence: None,
        ..Config::default()
    });
    runner
        .run(&(kinds, noise, any::<bool>()), |(kind, noise, greeted)| {
            let bytes = [packet(kind, &[&noise]), noise].concat();
            runtime.block_on(async {
                let addr = serve(move |mut stream| {
                    let bytes = bytes.clone();
                    async move {
                        if greeted {
                            greet(&mut stream, &[]).await;
                            grant(&mut stream).await;
                            request_id(&mut stream).await;
                        } else {
                            heard(&mut stream).await;
                        }
                        let _ = stream.write_all(&bytes).await;
                    }
                })
                .await;
                if greeted {
                    let _ = attempt(&dial(addr), &provision()).await;
                } else {
                    assert!(open(&dial(addr)).await.is_err());
                }
            });
            Ok(())
        })
        .unwrap();
}
