//! How the target turns clients away and ends sessions, and what it survives.

use std::time::Duration;

use fleetcall::model::{Release, Strategy};
use fleetcall::target::{Limits, Target, TargetConfig};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::target::{connect, device, follows, released, session};
use super::{field, packet, publish};
use crate::support::golden::hex;
use crate::target_wire::{TOKEN, Wire, alive, config, start, until};

#[tokio::test]
async fn connack_codes_follow_the_table() {
    for (release, wrong_3, tells) in [
        (Release::V4_3, 5, true),
        (Release::V3_7, 5, true),
        (Release::V3_6, 5, false),
        (Release::V3_5, 4, false),
    ] {
        let target = released(release, Strategy::Check).await;
        for (client, user, password, code_3, code_5) in [
            ("any", Some(TOKEN), None, 0, 0),
            ("any", Some("x"), Some("y"), wrong_3, 0x86),
            ("any", Some("x"), None, wrong_3, 0x86),
            // A password alone is legal in MQTT 5, and the platform takes it in MQTT 3 as well.
            ("any", None, Some("y"), wrong_3, 0x86),
            ("any", None, None, 2, 0x85),
            ("", None, None, 5, 0x87),
            (" ", None, None, 5, 0x87),
        ] {
            let mut old = Wire::open(target.mqtt()).await;
            old.send(connect(4, client, user, password)).await;
            follows(&mut old, &[0x20, 2, 0, code_3], code_3 > 0).await;
            let mut new = Wire::open(target.mqtt()).await;
            new.send(connect(5, client, user, password)).await;
            let mut said = vec![0x20, 3, 0, code_5, 0];
            if code_5 > 0 && tells {
                said.extend([0xe0, 2, code_5, 0]);
            }
            follows(&mut new, &said, code_5 > 0).await;
        }
    }
}

#[tokio::test]
async fn a_refusal_is_the_golden_one() {
    let target = start(Strategy::Check).await;
    let mut wire = Wire::open(target.mqtt()).await;
    wire.send(connect(5, "c1", Some("nobody"), None)).await;
    wire.expect(hex("mqtt5-connack-refused")).await;
    follows(&mut wire, &[0xe0, 2, 0x86, 0], true).await;
}

#[tokio::test]
async fn a_second_session_takes_the_first_one_over() {
    for (release, goodbye) in [
        (Release::V4_3, hex("mqtt5-disconnect-taken-over")),
        (Release::V3_6, Vec::new()),
    ] {
        let target = released(release, Strategy::Check).await;
        let mut first = device(&target).await;
        let mut second = device(&target).await;
        follows(&mut first, &goodbye, true).await;
        // By an older client, too, who is told nothing when its own turn comes.
        let mut third = Wire::open(target.mqtt()).await;
        third.send(connect(4, "any", Some(TOKEN), None)).await;
        third.expect(hex("mqtt-connack")).await;
        follows(&mut second, &goodbye, true).await;
        let mut fourth = device(&target).await;
        third.expect_end().await;
        alive(&mut fourth).await;
        assert_eq!(target.counts().taken_over, 3);
        assert!(target.device("D1").unwrap().connected);
    }
}

#[tokio::test]
async fn a_silent_device_is_told_and_a_silent_newcomer_is_not() {
    for (release, goodbye) in [
        (Release::V4_3, &[0xe0, 2, 0x83, 0][..]),
        (Release::V3_6, &[]),
    ] {
        let target = Target::start(TargetConfig {
            release,
            limits: Limits {
                inactivity: Duration::from_millis(100),
                ..Limits::default()
            },
            ..config(Strategy::Check)
        })
        .await
        .unwrap();
        let mut wire = device(&target).await;
        follows(&mut wire, goodbye, true).await;
        session(&target).await.expect_end().await;
    }
}

#[tokio::test]
async fn the_end_after_an_answer_is_silent() {
    let target = Target::start(TargetConfig {
        limits: Limits {
            after_answer: Duration::from_millis(50),
            ..Limits::default()
        },
        ..config(Strategy::Check)
    })
    .await
    .unwrap();
    let mut wire = session(&target).await;
    wire.send(hex("mqtt5-request")).await;
    wire.expect(hex("mqtt5-puback")).await;
    follows(&mut wire, &hex("mqtt5-response"), true).await;
}

#[tokio::test]
async fn devices_that_say_goodbye_are_answered() {
    for (release, goodbye) in [
        (Release::V4_3, hex("mqtt5-disconnect")),
        (Release::V3_6, Vec::new()),
    ] {
        let target = released(release, Strategy::Check).await;
        // Normal, with will, and with all that a client may add.
        for words in [
            &b"\xe0\0"[..],
            b"\xe0\x01\x04",
            b"\xe0\x0a\0\x08\x11\0\0\0\x05\x1f\0\0",
        ] {
            let mut wire = device(&target).await;
            wire.send(words).await;
            follows(&mut wire, &goodbye, true).await;
        }
    }
}

/// Packets that break a rule, after CONNECT.
fn broken_packets() -> Vec<Vec<u8>> {
    let mut broken: Vec<Vec<u8>> = [
        // Property lengths beyond the packet, endless, of no known property.
        &b"\x30\x07\0\x01t\x7f\x01\0\0"[..],
        b"\x30\x08\0\x01t\xff\xff\xff\xff\x7f",
        b"\x32\x08\0\x01t\0\x01\x02\x7f\0",
        b"\x82\x0a\0\x01\xff\xff\xff\x7f\0\x01a\0",
        b"\xe0\x06\0\xff\xff\xff\x7f\0",
        b"\x40\x04\0\x01\0\x05",
        // No property block at all.
        b"\x30\x03\0\x01t",
        b"\x82\x06\0\x01\0\x01a\x01",
        // Reserved flags and types, what only a server says, an endless Remaining Length.
        b"\x80\x07\0\x01\0\0\x01a\x01",
        b"\x00\0",
        b"\x20\x03\0\0\0",
        b"\x30\xff\xff\xff\xff\x01",
        // A CONNECT of an unknown level.
        b"\x10\x0d\0\x04MQTT\x06\x02\0\x3c\0\0\0",
        // Longer than the platform takes, known by its header alone.
        b"\x30\x81\x80\x04",
    ]
    .map(Into::into)
    .into();
    broken.push(publish("t", 0, 0, vec![b' '; 65_537 - 4]));
    broken
}

#[tokio::test]
async fn malformed_and_oversized_packets_end_a_session_with_0x81() {
    for (release, goodbye) in [
        (Release::V4_3, &[0xe0, 2, 0x81, 0][..]),
        (Release::V3_6, &[]),
    ] {
        let target = released(release, Strategy::Check).await;
        for broken in broken_packets() {
            println!("{}", broken[..broken.len().min(20)].escape_ascii());
            for mut wire in [session(&target).await, device(&target).await] {
                wire.send(&broken).await;
                follows(&mut wire, goodbye, true).await;
            }
        }
        // The largest packet is taken.
        let mut wire = device(&target).await;
        let largest = publish("t", 1, 2, vec![b' '; 65_536 - 6]);
        wire.send(largest).await;
        follows(&mut wire, &[0x40, 4, 0, 2, 0x90, 0], false).await;
    }
}

#[tokio::test]
async fn a_broken_connect_ends_without_a_word() {
    let target = start(Strategy::Check).await;
    let head = [&field("MQTT")[..], &[5, 2, 0, 60]].concat();
    let long = vec![b'x'; 65_537];
    for rest in [
        // No properties, too long, cut, not of CONNECT, Receive Maximum 0, twice.
        &b""[..],
        b"\x7f\0\0",
        b"\x05\x11\0\0\0\x01",
        b"\x03\x23\0\x01\0\0",
        b"\x03\x21\0\0\0\0",
        b"\x06\x21\0\x01\x21\0\x01\0\0",
        &long,
    ] {
        let mut wire = Wire::open(target.mqtt()).await;
        wire.send(packet(0x10, &[&head, rest])).await;
        wire.expect_end().await;
    }
}

#[tokio::test]
async fn a_flood_of_goodbyes_is_answered_once() {
    let target = start(Strategy::Check).await;
    let addr = target.mqtt().unwrap();
    let mut flood = TcpStream::connect(addr).await.unwrap();
    let goodbyes = [hex("mqtt5-connect"), b"\xe0\x02\0\0".repeat(100_000)].concat();
    // The target may close before it has read them all.
    let _ = flood.write_all(&goodbyes).await;
    until(|| target.counts().connections_now == 0).await;
    let mut wire = Wire::open(target.mqtt()).await;
    wire.send([hex("mqtt5-connect"), b"\xe0\0\xe0\0\xe0\0".to_vec()].concat())
        .await;
    wire.expect(hex("mqtt5-connack")).await;
    follows(&mut wire, &hex("mqtt5-disconnect"), true).await;
}

/// Ten thousand packets of noise over real sockets: it may end any session, but not the target.
#[test]
fn noise_after_connect_leaves_the_target_alive() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let target = runtime.block_on(start(Strategy::Check));
    let noise = prop::collection::vec(any::<u8>(), 0..200);
    let kinds = prop::sample::select(vec![
        0x10_u8, 0x30, 0x32, 0x40, 0x62, 0x82, 0xa2, 0xe0, 0xf0,
    ]);
    let mut runner = TestRunner::new(Config {
        cases: 300,
        failure_persistence: None,
        ..Config::default()
    });
    runner
        .run(&(kinds, noise), |(kind, noise)| {
            runtime.block_on(async {
                let mut wire = device(&target).await;
                let bytes = [packet(kind, &[&noise]), noise].concat();
                wire.send(bytes).await;
            });
            Ok(())
        })
        .unwrap();
    runtime.block_on(async {
        alive(&mut device(&target).await).await;
    });
}
