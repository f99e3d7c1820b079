//! The target, byte by byte: what it answers while a session goes on, and the refusals that end a
//! provisioning session.

use std::time::Duration;

use fleetcall::model::{Release, Strategy};
use fleetcall::target::{Target, TargetConfig};

use super::{field, packet, publish};
use crate::support::golden::{hex, text};
use crate::target_wire::{TOKEN, Wire, alive, config, start, until};

/// A CONNECT of this level with client id, user name and password as given.
pub(super) fn connect(
    level: u8,
    client: &str,
    user: Option<&str>,
    password: Option<&str>,
) -> Vec<u8> {
    let flags = 2 | u8::from(user.is_some()) << 7 | u8::from(password.is_some()) << 6;
    let properties: &[u8] = if level == 5 { &[0] } else { &[] };
    let fields = [Some(client), user, password];
    let fields: Vec<u8> = fields.into_iter().flatten().flat_map(field).collect();
    let head = [level, flags, 0, 60];
    packet(0x10, &[&field("MQTT"), &head, properties, &fields])
}

pub(super) async fn released(release: Release, strategy: Strategy) -> Target {
    let config = TargetConfig {
        release,
        ..config(strategy)
    };
    Target::start(config).await.unwrap()
}

/// A provisioning session.
pub(super) async fn session(target: &Target) -> Wire {
    let mut wire = Wire::open(target.mqtt()).await;
    wire.send(hex("mqtt5-connect")).await;
    wire.expect(hex("mqtt5-connack")).await;
    wire
}

/// The session of D1.
pub(super) async fn device(target: &Target) -> Wire {
    let mut wire = Wire::open(target.mqtt()).await;
    wire.send(connect(5, "any", Some(TOKEN), None)).await;
    wire.expect(hex("mqtt5-connack")).await;
    wire
}

/// The wire says this, and then ends or goes on.
pub(super) async fn follows(wire: &mut Wire, said: &[u8], ends: bool) {
    wire.expect(said).await;
    if ends {
        wire.expect_end().await;
    } else {
        alive(wire).await;
    }
}

fn ask(qos: u8, id: u16, payload: impl AsRef<[u8]>) -> Vec<u8> {
    publish("/provision/request", qos, id, payload)
}

fn response(qos: u8, id: u16, payload: impl AsRef<[u8]>) -> Vec<u8> {
    publish("/provision/response", qos, id, payload)
}

#[tokio::test]
async fn a_provisioning_session_is_the_golden_one() {
    let target = start(Strategy::Check).await;
    let mut wire = session(&target).await;
    wire.send(hex("mqtt5-subscribe")).await;
    wire.expect(hex("mqtt5-suback")).await;
    wire.send(hex("mqtt5-request")).await;
    wire.expect(hex("mqtt5-puback")).await;
    wire.expect(hex("mqtt5-response")).await;
    alive(&mut wire).await;
    wire.send(hex("mqtt5-disconnect")).await;
    // The platform says it back.
    wire.expect(hex("mqtt5-disconnect")).await;
    wire.expect_end().await;
    assert!(target.device("D1").unwrap().provisioned);
    until(|| target.counts().connections_now == 0).await;
}

#[tokio::test]
async fn subscriptions_have_reason_codes() {
    let target = released(Release::V4_2_1, Strategy::Check).await;
    let mut wire = session(&target).await;
    let filters = [
        &[0, 9, 0],
        &field("/provision/response")[..],
        &[0],
        &field("#"),
        &[1],
    ];
    wire.send(packet(0x82, &filters)).await;
    wire.expect([0x90, 5, 0, 9, 0, 0, 0x8f]).await;
    wire.send(hex("mqtt5-request")).await;
    wire.expect(hex("mqtt5-puback")).await;
    wire.expect(hex("mqtt5-response-qos0")).await;
    // Gone the first time, unknown the second; nothing was ever known of the other.
    let topics = [&[0, 10, 0], &field("/provision/response")[..], &field("x")];
    wire.send(packet(0xa2, &topics)).await;
    wire.expect([0xb0, 5, 0, 10, 0, 0, 0x11]).await;
    wire.send(packet(0xa2, &topics)).await;
    wire.expect([0xb0, 5, 0, 10, 0, 0x11, 0x11]).await;
    // Not subscribed: QoS 1. Asked with QoS 2, which is acknowledged like 1.
    wire.send(ask(2, 2, text("request.json"))).await;
    wire.expect(hex("mqtt5-puback")).await;
    wire.expect(response(1, 1, text("answer-access-token.json")))
        .await;

    let mut wire = device(&target).await;
    let filters = [
        &[0, 1, 0],
        &field("v1/devices/me/attributes")[..],
        &[2],
        &field("v1/devices/me/rpc/request/#"),
        &[1],
    ];
    wire.send(packet(0x82, &filters)).await;
    wire.expect([0x90, 5, 0, 1, 0, 1, 0x8f]).await;
    let topics = [&[0, 2, 0], &field("v1/devices/me/attributes")[..]];
    wire.send(packet(0xa2, &topics)).await;
    wire.expect([0xb0, 4, 0, 2, 0, 0]).await;
    wire.send(packet(0xa2, &topics)).await;
    wire.expect([0xb0, 4, 0, 2, 0, 0x11]).await;
}

#[tokio::test]
async fn before_release_3_9_a_provisioning_session_ignores_subscriptions() {
    let target = released(Release::V3_8, Strategy::Check).await;
    let mut wire = session(&target).await;
    wire.send(hex("mqtt5-subscribe")).await;
    let topics = [&[0, 10, 0], &field("/provision/response")[..]];
    wire.send(packet(0xa2, &topics)).await;
    alive(&mut wire).await;
    wire.send(hex("mqtt5-request")).await;
    wire.expect(hex("mqtt5-puback")).await;
    wire.expect(hex("mqtt5-response")).await;
}

#[tokio::test]
async fn malformed_requests_end_as_their_class_says() {
    let wrong_field = text("request.json").replace("\"D1\"", "[]");
    let null_field = text("request.json").replace("\"D1\"", "null");
    let refused = hex("mqtt5-puback-refused");
    let last_words = [hex("mqtt5-puback-refused"), vec![0xe0, 2, 0x99, 0]].concat();
    let (puback, goodbye) = last_words.split_at(refused.len());
    let runtime = [0x40, 4, 0, 2, 0x83, 0, 0xe0, 2, 0x83, 0];
    for (payload, acknowledged, unacknowledged, stays) in [
        ("{no json", puback, goodbye, true),
        ("[]", puback, goodbye, true),
        (&*wrong_field, puback, goodbye, true),
        (&*null_field, &runtime[..], &runtime[6..], false),
        (
            r#"{"provisionDeviceKey":"K"}"#,
            &runtime[..],
            &runtime[6..],
            false,
        ),
    ] {
        let target = start(Strategy::Allow).await;
        for qos in [1, 2] {
            let mut wire = session(&target).await;
            wire.send(ask(qos, 2, payload)).await;
            follows(&mut wire, acknowledged, !stays).await;
        }
        let mut wire = session(&target).await;
        wire.send(ask(0, 0, payload)).await;
        follows(&mut wire, unacknowledged, true).await;
        assert_eq!(target.counts().malformed, 3);
        // Older releases only close, in every version.
        let old = released(Release::V3_6, Strategy::Allow).await;
        for qos in [0, 1] {
            let mut wire = session(&old).await;
            wire.send(ask(qos, 2, payload)).await;
            wire.expect_end().await;
        }
    }
}

#[tokio::test]
async fn a_session_that_had_a_bad_request_takes_a_good_one() {
    let target = start(Strategy::Check).await;
    let mut wire = session(&target).await;
    wire.send(ask(1, 2, "{no json")).await;
    wire.expect(hex("mqtt5-puback-refused")).await;
    wire.send(hex("mqtt5-request")).await;
    wire.expect(hex("mqtt5-puback")).await;
    wire.expect(hex("mqtt5-response")).await;
}

#[tokio::test]
async fn other_topics_end_a_provisioning_session() {
    let refusal = [0x40, 4, 0, 2, 0x90, 0, 0xe0, 2, 0x90, 0];
    for (release, with_id, without) in [
        (Release::V4_3, &refusal[..], &refusal[6..]),
        (Release::V3_7, &refusal[..], &refusal[6..]),
        (Release::V3_6, &[], &[]),
    ] {
        let target = released(release, Strategy::Allow).await;
        for (qos, said) in [(0, without), (1, with_id), (2, with_id)] {
            let mut wire = session(&target).await;
            wire.send(publish("v1/devices/me/telemetry", qos, 2, "{}"))
                .await;
            follows(&mut wire, said, true).await;
        }
        // MQTT 3.1.1 has no words for it, and older releases not even the PUBACK.
        let mut wire = Wire::open(target.mqtt()).await;
        wire.send(hex("mqtt-connect")).await;
        wire.expect(hex("mqtt-connack")).await;
        wire.send([0x32, 5, 0, 1, b't', 0, 2]).await;
        let puback = hex("mqtt-puback");
        let said = if with_id.is_empty() { &[] } else { &puback[..] };
        follows(&mut wire, said, true).await;
    }
}

#[tokio::test]
async fn a_request_without_answer_of_the_core_is_refused_and_closed() {
    for (release, goodbye) in [
        (Release::V4_3, &[0xe0, 2, 0x83, 0][..]),
        (Release::V3_6, &[]),
    ] {
        let target = Target::start(TargetConfig {
            release,
            core_timeout: Duration::from_millis(50),
            ..config(Strategy::X509Chain)
        })
        .await
        .unwrap();
        for qos in [0, 1] {
            let mut wire = session(&target).await;
            wire.send(ask(qos, 2, text("request.json"))).await;
            if qos > 0 {
                wire.expect([0x40, 4, 0, 2, 0x83, 0]).await;
            }
            follows(&mut wire, goodbye, true).await;
        }
    }
}

#[tokio::test]
async fn one_request_too_many_that_waits_is_refused_and_closed() {
    let mut config = TargetConfig {
        core_timeout: Duration::from_mins(1),
        ..config(Strategy::X509Chain)
    };
    config.limits.pending = 1;
    let target = Target::start(config).await.unwrap();
    let mut first = session(&target).await;
    first.send(hex("mqtt5-request")).await;
    until(|| target.counts().core_timeouts == 1).await;
    let mut second = session(&target).await;
    second.send(hex("mqtt5-request")).await;
    let refusal = [0x40, 4, 0, 2, 0x83, 0, 0xe0, 2, 0x83, 0];
    follows(&mut second, &refusal, true).await;
    alive(&mut first).await;
}

#[tokio::test]
async fn telemetry_is_judged_in_reason_codes() {
    let target = start(Strategy::Check).await;
    let (telemetry, rpc) = ("v1/devices/me/telemetry", "v1/devices/me/rpc/request/1");
    let (good, bad_topic, bad_payload) = (
        &[0x40, 2, 0, 7][..],
        &[0x40, 4, 0, 7, 0x90, 0][..],
        &[0x40, 4, 0, 7, 0x99, 0][..],
    );
    let goodbye = [0xe0, 2, 0x99, 0];
    let exception = [0xe0, 2, 0x8b, 0];
    for (topic, qos, payload, said, ends) in [
        (telemetry, 1, r#"{"t":1}"#, good, false),
        (telemetry, 2, r#"{"t":1}"#, good, false),
        (telemetry, 0, r#"{"t":1}"#, &[], false),
        ("telemetry", 1, "{}", bad_topic, false),
        ("telemetry", 0, "{}", &[], false),
        ("", 1, "{}", bad_topic, false),
        (telemetry, 1, "{no json", bad_payload, false),
        (telemetry, 1, "", bad_payload, false),
        (telemetry, 0, "{no json", &goodbye, true),
        ("v1/devices/me/attributes", 1, "[]", bad_payload, false),
        ("v1/devices/me/claim", 0, "[]", &goodbye, true),
        ("v2/t/p", 1, "\x08\x01", bad_payload, false),
        (rpc, 1, r#"{"method":"m"}"#, bad_payload, false),
        ("v1/devices/me/rpc/response/x", 1, "{}", bad_payload, false),
        (
            telemetry,
            1,
            r#"{"ts":"abc","values":{}}"#,
            &exception,
            true,
        ),
        (
            telemetry,
            0,
            r#"{"ts":"abc","values":{}}"#,
            &exception,
            true,
        ),
        // Neither a word nor an end.
        ("v1/gateway/telemetry", 1, "{}", &[], false),
        (telemetry, 1, "[]", &[], false),
    ] {
        println!("{topic} {qos} {payload}");
        let mut wire = device(&target).await;
        wire.send(publish(topic, qos, 7, payload)).await;
        follows(&mut wire, said, ends).await;
    }
    assert_eq!(target.device("D1").unwrap().telemetry_messages, 3);
}

#[tokio::test]
async fn attribute_answers_and_package_errors_are_mqtt_5() {
    let target = start(Strategy::Check).await;
    let mut wire = device(&target).await;
    wire.send(publish("v1/devices/me/attributes", 1, 1, r#"{"a":1}"#))
        .await;
    wire.expect([0x40, 2, 0, 1]).await;
    wire.send(publish("v1/devices/me/attributes/request/5", 1, 2, "{}"))
        .await;
    wire.expect([0x40, 2, 0, 2]).await;
    let answer = publish(
        "v1/devices/me/attributes/response/5",
        1,
        1,
        r#"{"client":{"a":1}}"#,
    );
    wire.expect(answer).await;
    // Properties change nothing: content type, user property, topic alias.
    let properties = b"\x11\x03\0\x04json\x26\0\x01k\0\x01v\x23\0\x01";
    let parts = [
        &field("v1/devices/me/telemetry")[..],
        &[0, 3],
        properties,
        b"{}",
    ];
    wire.send(packet(0x32, &parts)).await;
    wire.expect([0x40, 2, 0, 3]).await;
    wire.send(publish("v2/fw/request/1/chunk/0", 1, 4, ""))
        .await;
    wire.expect(publish("v2/fw/error", 1, 2, "NOT_FOUND")).await;
    follows(&mut wire, &[0xe0, 2, 0x83, 0], true).await;
}
