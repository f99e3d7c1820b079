//! MQTT sessions of devices that have their credentials.

use std::time::Duration;

use fleetcall::model::Strategy;
use fleetcall::target::{Limits, Target, TargetConfig};

use super::mqtt::{field, packet, publish};
use super::{TOKEN, Wire, alive, config, listed, request, start, until};
use crate::support::golden::hex;

/// A CONNECT with client id, user name and password as given.
pub(super) fn connect(
    clean: bool,
    client: &str,
    user: Option<&str>,
    password: Option<&str>,
) -> Vec<u8> {
    let flags =
        u8::from(clean) << 1 | u8::from(user.is_some()) << 7 | u8::from(password.is_some()) << 6;
    let fields = [Some(client), user, password];
    let fields: Vec<u8> = fields.into_iter().flatten().flat_map(field).collect();
    packet(0x10, &[&field("MQTT"), &[4, flags, 0, 60], &fields])
}

/// The session of the device with a token.
pub(crate) async fn device(target: &Target, token: &str) -> Wire {
    let mut wire = Wire::open(target.mqtt()).await;
    wire.send(connect(true, "any", Some(token), None)).await;
    wire.expect(hex("mqtt-connack")).await;
    wire
}

#[tokio::test]
async fn connack_codes_follow_the_table() {
    let target = start(Strategy::Allow).await;
    let mut wire = Wire::open(target.http()).await;
    for (name, credentials) in [
        ("token", r#""token":"tok","#),
        ("user", r#""username":"u1","password":"p1","#),
        ("client", r#""clientId":"c1","#),
        (
            "both",
            r#""clientId":"c2","username":"u2","password":"p2","#,
        ),
    ] {
        let kind = if name == "token" {
            "ACCESS_TOKEN"
        } else {
            "MQTT_BASIC"
        };
        let fields = format!(r#""deviceName":"{name}","credentialsType":"{kind}",{credentials}"#);
        let body = request(&fields);
        let head = format!(
            "POST /api/v1/provision HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        wire.send(head + &body).await;
        until(|| target.device(name).is_some()).await;
    }
    let (some, none) = (Some("other"), None);
    for (client, user, password, code) in [
        ("", Some("tok"), none, 0),
        ("x", Some("tok"), some, 0),
        ("x", Some("u1"), Some("p1"), 0),
        ("c1", none, none, 0),
        ("c2", Some("u2"), Some("p2"), 0),
        ("x", Some("u1"), some, 5),
        ("x", Some("u1"), none, 5),
        ("x", Some("u2"), Some("p2"), 5),
        ("c2", Some("u2"), some, 5),
        ("x", some, none, 5),
        ("x", some, some, 5),
        ("x", none, some, 5),
        ("x", Some(""), none, 5),
        ("tok", none, none, 2),
        ("", none, none, 5),
        (" ", none, none, 5),
    ] {
        for clean in [true, false] {
            let mut wire = Wire::open(target.mqtt()).await;
            wire.send(connect(clean, client, user, password)).await;
            wire.expect([0x20, 2, u8::from(!clean), code]).await;
            if code > 0 {
                wire.expect_end().await;
            }
        }
    }
    assert_eq!(target.counts().bad_logins, 22);
}

#[tokio::test]
async fn publishes_end_as_the_table_says() {
    let target = start(Strategy::Check).await;
    let mut wire = device(&target, TOKEN).await;
    let array = r#"[{"ts":1,"values":{"a":1,"b":2}},{"ts":2,"values":{"a":3}}]"#;
    for (topic, payload) in [
        (
            "v1/devices/me/telemetry",
            r#"{"t":21.5,"on":true,"n":null}"#,
        ),
        ("v2/t", array),
        ("v2/t/j", "{}"),
        ("v1/devices/me/attributes", r#"{"serial":"7"}"#),
        ("v1/devices/me/claim", ""),
        ("v1/devices/me/claim", r#"{"secretKey":"s"}"#),
        ("v1/devices/me/rpc/response/1", "any text"),
        (
            "v1/devices/me/rpc/request/1",
            r#"{"method":"m","params":{}}"#,
        ),
        ("unknown/topic", "any"),
        ("v1/devices/me/telemetry/", "any"),
    ] {
        for qos in [1, 2] {
            wire.send(publish(topic, qos, 2, payload.as_bytes())).await;
            wire.expect(hex("mqtt-puback")).await;
        }
    }
    wire.send(publish("v2/t", 0, 0, b"{\"t\":1}")).await;
    // No answer at all, and the session stays.
    wire.send(publish("v2/t", 1, 2, b"[]")).await;
    wire.send(publish("v1/gateway/telemetry", 1, 2, b"{}"))
        .await;
    alive(&mut wire).await;
    let counts = target.counts();
    assert_eq!(
        (counts.telemetry_messages, counts.telemetry_points),
        (7, 11)
    );
    assert_eq!(counts.attribute_messages, 2);
    assert_eq!(target.device("D1").unwrap().telemetry_messages, 7);

    for (topic, payload) in [
        ("v1/devices/me/telemetry", "no json"),
        ("v1/devices/me/telemetry", ""),
        ("v1/devices/me/telemetry", r#"{"ts":"abc","values":{}}"#),
        ("v1/devices/me/attributes", "[]"),
        ("v1/devices/me/claim", "[]"),
        ("v1/devices/me/attributes/request/1", ""),
        ("v1/devices/me/attributes/request/x", "{}"),
        ("v1/devices/me/rpc/request/1", r#"{"method":"m"}"#),
        ("v2/t/p", "{}"),
    ] {
        let mut wire = device(&target, TOKEN).await;
        wire.send(publish(topic, 1, 2, payload.as_bytes())).await;
        wire.expect_end().await;
    }
    assert_eq!(target.counts().bad_payloads, 9);
}

#[tokio::test]
async fn attribute_requests_are_answered_on_their_topic() {
    let target = start(Strategy::Check).await;
    let mut wire = device(&target, TOKEN).await;
    let filter = "v1/devices/me/attributes/response/+";
    let filters = [
        &[0, 1],
        &field(filter)[..],
        &[0],
        &field("v1/devices/me/rpc/request/+"),
        &[2],
        &field("v1/devices/me/rpc/request/#"),
        &[1],
        &field("v1/devices/me/telemetry"),
        &[1],
    ];
    wire.send(packet(0x82, &filters)).await;
    wire.expect([0x90, 6, 0, 1, 0, 1, 0x80, 0x80]).await;
    let ask = |id: &str, payload: &str| {
        let topic = format!("v1/devices/me/attributes/request/{id}");
        publish(&topic, 1, 2, payload.as_bytes())
    };
    let answer = |id: &str, payload: &str| {
        let topic = format!("v1/devices/me/attributes/response/{id}");
        publish(&topic, 0, 0, payload.as_bytes())
    };
    wire.send(ask("1", "{}")).await;
    wire.expect(hex("mqtt-puback")).await;
    wire.expect(answer("1", "{}")).await;
    wire.send(publish("v2/a", 0, 0, br#"{"a":1,"b":"x"}"#))
        .await;
    wire.send(ask("2", r#"{"clientKeys":"b,c","sharedKeys":"s"}"#))
        .await;
    wire.expect(hex("mqtt-puback")).await;
    wire.expect(answer("2", r#"{"client":{"b":"x"}}"#)).await;
    // Not subscribed on the short topics: QoS 1.
    wire.send(publish("v2/a/req/3", 0, 0, b"{}")).await;
    let short = publish("v2/a/res/3", 1, 1, br#"{"client":{"a":1,"b":"x"}}"#);
    wire.expect(short).await;
}

#[tokio::test]
async fn rpcs_of_a_device_time_out_but_session_limits_are_known() {
    let limits = Limits {
        client_rpc: Duration::from_millis(30),
        ..Limits::default()
    };
    let target = Target::start(TargetConfig {
        limits,
        ..config(Strategy::Check)
    })
    .await
    .unwrap();
    let mut wire = device(&target, TOKEN).await;
    let ask = |method: &str| {
        let payload = format!(r#"{{"method":"{method}","params":{{}}}}"#);
        publish("v1/devices/me/rpc/request/7", 0, 0, payload.as_bytes())
    };
    let topic = "v1/devices/me/rpc/response/7";
    wire.send(ask("any")).await;
    wire.expect(publish(topic, 1, 1, br#"{"error":"timeout"}"#))
        .await;
    wire.send(ask("getSessionLimits")).await;
    let limits = br#"{"maxPayloadSize":65536,"maxInflightMessages":100,"rateLimits":{"messages":null,"telemetryMessages":null,"telemetryDataPoints":null}}"#;
    wire.expect(publish(topic, 1, 2, limits)).await;
    wire.send(publish("v2/fw/request/1/chunk/0", 0, 0, b""))
        .await;
    wire.expect(publish("v2/fw/error", 1, 3, b"NOT_FOUND"))
        .await;
    wire.expect_end().await;
}

#[tokio::test]
async fn a_new_session_closes_the_older_one_of_the_same_device() {
    let target = Target::start(TargetConfig {
        devices: vec![listed("D1", TOKEN), listed("D2", "other")],
        ..config(Strategy::Check)
    })
    .await
    .unwrap();
    let mut bystander = device(&target, "other").await;
    let mut older = device(&target, TOKEN).await;
    let mut newer = device(&target, TOKEN).await;
    older.expect_end().await;
    alive(&mut newer).await;
    alive(&mut bystander).await;
    assert!(target.device("D1").unwrap().connected);
    assert_eq!(target.counts().taken_over, 1);
    newer.send(hex("mqtt-disconnect")).await;
    newer.expect_end().await;
    until(|| !target.device("D1").unwrap().connected).await;
}

#[tokio::test]
async fn packets_before_connect_wait_up_to_a_hundred() {
    let target = start(Strategy::Check).await;
    let telemetry = publish("v2/t", 1, 2, b"{\"t\":1}");
    let mut wire = Wire::open(target.mqtt()).await;
    wire.send(telemetry.repeat(100)).await;
    wire.send(connect(true, "c", Some(TOKEN), None)).await;
    wire.expect(hex("mqtt-connack")).await;
    wire.expect(hex("mqtt-puback").repeat(100)).await;
    let mut wire = Wire::open(target.mqtt()).await;
    wire.send(telemetry.repeat(101)).await;
    wire.expect_end().await;
}

#[tokio::test]
async fn what_is_no_mqtt_3_closes_without_a_word() {
    let target = start(Strategy::Check).await;
    let body = |name: &str, level: u8, client: &str| {
        packet(0x10, &[&field(name), &[level, 2, 0, 60], &field(client)])
    };
    for bytes in [
        body("MQTT", 5, "provision"),
        body("MQTT", 6, "provision"),
        body("HTTP", 4, "provision"),
        body("MQIsdp", 3, ""),
        b"\x16\x03\x01\x02\x00\x01".to_vec(),
        vec![0; 16],
    ] {
        let mut wire = Wire::open(target.mqtt()).await;
        wire.send(bytes).await;
        wire.expect_end().await;
    }
}

#[tokio::test]
async fn a_packet_of_65536_bytes_is_taken_and_a_longer_one_closes() {
    let target = start(Strategy::Check).await;
    let sized = |length: usize| {
        let around = 2 + "v2/t".len() + 2 + "{\"k\":\"\"}".len();
        let payload = format!("{{\"k\":\"{}\"}}", "x".repeat(length - around));
        publish("v2/t", 1, 2, payload.as_bytes())
    };
    let mut wire = device(&target, TOKEN).await;
    wire.send(sized(65_536)).await;
    wire.expect(hex("mqtt-puback")).await;
    // Closed by the announced length, before the body is there.
    wire.send(&sized(65_537)[..20]).await;
    wire.expect_end().await;
}

#[tokio::test]
async fn an_inactive_session_is_closed() {
    let limits = Limits {
        inactivity: Duration::from_millis(80),
        ..Limits::default()
    };
    let target = Target::start(TargetConfig {
        limits,
        ..config(Strategy::Check)
    })
    .await
    .unwrap();
    let mut wire = device(&target, TOKEN).await;
    wire.expect_end().await;
    until(|| target.counts().connections_now == 0).await;
}

#[tokio::test]
async fn packets_may_come_byte_by_byte() {
    let target = start(Strategy::Check).await;
    let mut wire = Wire::open(target.mqtt()).await;
    for byte in connect(true, "c", Some(TOKEN), None) {
        wire.send([byte]).await;
        tokio::task::yield_now().await;
    }
    wire.expect(hex("mqtt-connack")).await;
}
