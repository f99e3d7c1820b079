//! MQTT provisioning sessions.

use std::time::Duration;

use fleetcall::model::{Faults, Strategy};
use fleetcall::target::{Limits, Repeat, Target, TargetConfig};

use super::{TOKEN, Wire, alive, config, request, start, until};
use crate::support::golden::{hex, text};

/// A packet of fixed header and body.
pub(crate) fn packet(first: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let mut out = vec![first];
    let mut left = body.len();
    loop {
        let byte = (left % 128) as u8;
        left /= 128;
        out.push(if left > 0 { byte | 128 } else { byte });
        if left == 0 {
            break;
        }
    }
    out.extend(body);
    out
}

/// A text with its length before it.
pub(crate) fn field(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes(), text.as_bytes()].concat()
}

/// A PUBLISH; packet id 0 is QoS 0.
pub(crate) fn publish(topic: &str, qos: u8, id: u16, payload: &[u8]) -> Vec<u8> {
    let id = id.to_be_bytes();
    let id = if qos > 0 { &id[..] } else { &[] };
    packet(0x30 | qos << 1, &[&field(topic), id, payload])
}

/// The response PUBLISH, as the target sends it.
pub(super) fn response(qos: u8, id: u16, payload: impl AsRef<[u8]>) -> Vec<u8> {
    publish("/provision/response", qos, id, payload.as_ref())
}

pub(super) fn ask(qos: u8, id: u16, payload: impl AsRef<[u8]>) -> Vec<u8> {
    publish("/provision/request", qos, id, payload.as_ref())
}

pub(super) async fn session(target: &Target) -> Wire {
    let mut wire = Wire::open(target.mqtt()).await;
    wire.send(hex("mqtt-connect")).await;
    wire.expect(hex("mqtt-connack")).await;
    wire
}

#[tokio::test]
async fn a_provisioning_session_is_the_golden_one() {
    let target = start(Strategy::Check).await;
    let mut wire = session(&target).await;
    wire.send(hex("mqtt-subscribe")).await;
    wire.expect(hex("mqtt-suback")).await;
    assert!(!target.device("D1").unwrap().provisioned);
    wire.send(hex("mqtt-request")).await;
    wire.expect(hex("mqtt-puback")).await;
    wire.expect(hex("mqtt-response")).await;
    assert!(target.device("D1").unwrap().provisioned);
    alive(&mut wire).await;
    wire.send(hex("mqtt-disconnect")).await;
    wire.expect_end().await;
    let counts = target.counts();
    assert_eq!(
        (
            counts.provision_requests,
            counts.provisioned,
            counts.refused
        ),
        (1, 1, 0)
    );
    until(|| target.counts().connections_now == 0).await;
}

#[tokio::test]
async fn responses_have_the_granted_qos_and_qos_1_without_subscription() {
    let target = Target::start(TargetConfig {
        repeat_provisioning: Some(Repeat::Success),
        ..config(Strategy::Check)
    })
    .await
    .unwrap();
    let mut wire = session(&target).await;
    // Unsubscribed, and asked with QoS 0: no PUBACK.
    wire.send(ask(0, 0, text("request.json"))).await;
    wire.expect(hex("mqtt-response")).await;
    // Granted 0, and asked with QoS 2, which is acknowledged like 1.
    wire.send(packet(
        0x82,
        &[&[0, 9], &field("/provision/response"), &[0]],
    ))
    .await;
    wire.expect([0x90, 3, 0, 9, 0]).await;
    wire.send(ask(2, 2, text("request.json"))).await;
    wire.expect(hex("mqtt-puback")).await;
    wire.expect(hex("mqtt-response-qos0")).await;
    // Asked for 2, granted 1; other filters are refused one by one.
    let filters = [
        &[0, 10],
        &field("/provision/response")[..],
        &[2],
        &field("#"),
        &[1],
        &field("v1/devices/me/attributes"),
        &[0],
    ];
    wire.send(packet(0x82, &filters)).await;
    wire.expect([0x90, 5, 0, 10, 1, 0x80, 0x80]).await;
    wire.send(packet(0xa2, &[&[0, 11], &field("/provision/response")]))
        .await;
    wire.expect([0xb0, 2, 0, 11]).await;
    // Packet ids count on: the second acknowledged response is number 2.
    wire.send(ask(0, 0, text("request.json"))).await;
    wire.expect(response(1, 2, text("answer-access-token.json")))
        .await;
}

#[tokio::test]
async fn user_name_or_client_id_make_a_provisioning_session() {
    let target = start(Strategy::Allow).await;
    let by_client_id = [&field("MQTT")[..], &[4, 2, 0, 60], &field("provision")];
    let with_password = [
        &field("MQTT")[..],
        &[4, 0xc2, 0, 60],
        &field(""),
        &field("provision"),
        &field("any"),
    ];
    let old = [
        &field("MQIsdp")[..],
        &[3, 0x82, 0, 60],
        &field("c"),
        &field("provision"),
    ];
    for connect in [&by_client_id[..], &with_password, &old] {
        let mut wire = Wire::open(target.mqtt()).await;
        wire.send(packet(0x10, connect)).await;
        wire.expect(hex("mqtt-connack")).await;
    }
    // Without clean session the platform claims to have one.
    let mut wire = Wire::open(target.mqtt()).await;
    let dirty = [&field("MQTT")[..], &[4, 0, 0, 60], &field("provision")];
    wire.send(packet(0x10, &dirty)).await;
    wire.expect(hex("mqtt-connack-present")).await;
}

#[tokio::test]
async fn answers_are_the_golden_ones() {
    let target = start(Strategy::Allow).await;
    let mut wire = session(&target).await;
    let basic = r#""deviceName":"B","credentialsType":"MQTT_BASIC","clientId":"c","username":"u","password":"p","#;
    let pem = text("certificate.pem").replace('\n', "\\n");
    let x509 = format!(r#""deviceName":"X","credentialsType":"X509_CERTIFICATE","hash":"{pem}","#);
    let token = format!(r#""deviceName":"T","token":"{TOKEN}","gateway":true,"#);
    let cases = [
        (request(&token), "answer-access-token.json"),
        (request(basic), "answer-mqtt-basic.json"),
        (request(&x509), "answer-x509.json"),
        // Taken name, taken token, taken certificate, unfit credentials, blank name.
        (request(&token), "answer-failure.json"),
        (
            request(&token.replace("\"T\"", "\"T2\"")),
            "answer-failure.json",
        ),
        (
            request(&x509.replace("\"X\"", "\"X2\"")),
            "answer-failure.json",
        ),
        (request(r#""username":"u","#), "answer-failure.json"),
        (
            request(r#""credentialsType":"LWM2M_CREDENTIALS","token":"l","#),
            "answer-failure.json",
        ),
        (request(r#""deviceName":"  ","#), "answer-failure.json"),
        (
            text("request.json").replace("\"S\"", "\"wrong\""),
            "answer-not-found.json",
        ),
        (
            text("request.json").replace("\"K\"", "\"wrong\""),
            "answer-not-found.json",
        ),
        (
            text("request.json").replace("\"S\"", "\"\""),
            "answer-not-found.json",
        ),
    ];
    for (id, (payload, answer)) in (1..).zip(&cases) {
        wire.send(ask(1, id, payload)).await;
        wire.expect(packet(0x40, &[&id.to_be_bytes()])).await;
        wire.expect(response(1, id, text(answer))).await;
    }
    let kinds = ["T", "B", "X"].map(|name| target.device(name).unwrap().credentials_type);
    assert_eq!(kinds, ["ACCESS_TOKEN", "MQTT_BASIC", "X509_CERTIFICATE"]);
    assert!(target.device("T").unwrap().gateway);
    assert!(target.device("T2").is_none() && target.device("X2").is_none());
    let counts = target.counts();
    assert_eq!((counts.provisioned, counts.refused), (3, 9));
}

#[tokio::test]
async fn generated_tokens_have_twenty_letters_and_digits() {
    let target = start(Strategy::Allow).await;
    let mut wire = session(&target).await;
    wire.send(ask(0, 0, text("request-minimal.json"))).await;
    wire.send(ask(
        0,
        0,
        request(r#""deviceName":" D9 ","credentialsType":"MQTT_BASIC","#),
    ))
    .await;
    let (before, after) = (
        "{\"credentialsValue\":\"",
        "\",\"credentialsType\":\"ACCESS_TOKEN\",\"status\":\"SUCCESS\"}",
    );
    for id in [1u16, 2] {
        wire.expect([0x32, 0x76]).await;
        wire.expect(field("/provision/response")).await;
        wire.expect(id.to_be_bytes()).await;
        wire.expect(before).await;
        let mut token = [0; 20];
        tokio::io::AsyncReadExt::read_exact(&mut wire.0, &mut token)
            .await
            .unwrap();
        assert!(token.iter().all(u8::is_ascii_alphanumeric));
        wire.expect(after).await;
    }
    // The name lost its blanks.
    assert!(target.device("D9").is_some());
}

#[tokio::test]
async fn malformed_requests_end_as_their_class_says() {
    let target = start(Strategy::Allow).await;
    for (payload, acknowledged) in [
        ("{no json", false),
        ("[]", false),
        ("null", false),
        (&*request(r#""deviceName":[],"#), false),
        (&*request(r#""deviceName":null,"#), true),
        (&*request(r#""deviceName":{},"#), true),
        (&*request(r#""credentialsType":"X","#), true),
        (r#"{"provisionDeviceKey":"K"}"#, true),
    ] {
        let mut wire = session(&target).await;
        wire.send(ask(1, 2, payload)).await;
        if acknowledged {
            wire.expect(hex("mqtt-puback")).await;
        }
        wire.expect_end().await;
    }
    assert_eq!(target.counts().malformed, 8);
    assert_eq!(target.counts().provision_requests, 0);
}

#[tokio::test]
async fn protobuf_is_understood_and_sticks() {
    let target = start(Strategy::Allow).await;
    let mut wire = session(&target).await;
    wire.send(ask(0, 0, hex("protobuf-request-token"))).await;
    wire.expect(response(1, 1, hex("protobuf-success"))).await;
    wire.send(ask(0, 0, hex("protobuf-request"))).await;
    wire.expect(response(1, 2, hex("protobuf-failure"))).await;
    // An empty payload is an empty message, and JSON is answered in protobuf from now on.
    wire.send(ask(0, 0, "")).await;
    wire.expect(response(1, 3, hex("protobuf-not-found"))).await;
    wire.send(ask(0, 0, text("request.json"))).await;
    wire.expect(response(1, 4, hex("protobuf-failure"))).await;
}

#[tokio::test]
async fn other_topics_end_a_provisioning_session() {
    let target = start(Strategy::Allow).await;
    for (qos, topic) in [(0, "provision/request"), (1, "v1/devices/me/telemetry")] {
        let mut wire = session(&target).await;
        wire.send(publish(topic, qos, 2, b"{}")).await;
        if qos > 0 {
            wire.expect(hex("mqtt-puback")).await;
        }
        wire.expect_end().await;
    }
}

#[tokio::test]
async fn an_unlisted_name_and_a_second_provisioning_fail() {
    let target = start(Strategy::Check).await;
    let mut wire = session(&target).await;
    for (id, (payload, answer)) in (1..).zip([
        (request(r#""deviceName":"D2","#), "answer-failure.json"),
        // What the device asks for is ignored.
        (
            request(r#""deviceName":"D1","token":"mine","#),
            "answer-access-token.json",
        ),
        (text("request.json"), "answer-failure.json"),
    ]) {
        wire.send(ask(0, 0, payload)).await;
        wire.expect(response(1, id, text(answer))).await;
    }
    assert!(target.device("D2").is_none());
}

#[tokio::test]
async fn racing_requests_for_one_name_succeed_once() {
    let target = start(Strategy::Check).await;
    let mut wires = Vec::new();
    for _ in 0..20 {
        wires.push(session(&target).await);
    }
    for wire in &mut wires {
        wire.send(ask(0, 0, text("request.json"))).await;
    }
    until(|| target.counts().provision_requests == 20).await;
    assert_eq!(target.counts().provisioned, 1);
    assert_eq!(target.counts().refused, 19);
}

#[tokio::test]
async fn before_release_3_9_subscribe_is_ignored() {
    let target = Target::start(TargetConfig {
        suback: Some(false),
        ..config(Strategy::Check)
    })
    .await
    .unwrap();
    let mut wire = session(&target).await;
    wire.send(hex("mqtt-subscribe")).await;
    alive(&mut wire).await;
    wire.send(hex("mqtt-request")).await;
    wire.expect(hex("mqtt-puback")).await;
    wire.expect(hex("mqtt-response")).await;
}

#[tokio::test]
async fn a_session_ends_some_time_after_its_answer() {
    let limits = Limits {
        after_answer: Duration::from_millis(50),
        ..Limits::default()
    };
    let target = Target::start(TargetConfig {
        limits,
        ..config(Strategy::Check)
    })
    .await
    .unwrap();
    let mut wire = session(&target).await;
    wire.send(hex("mqtt-request")).await;
    wire.expect(hex("mqtt-puback")).await;
    wire.expect(hex("mqtt-response")).await;
    wire.expect_end().await;
}

#[tokio::test]
async fn a_request_without_answer_of_the_core_is_acknowledged_and_closed() {
    let target = Target::start(TargetConfig {
        core_timeout: Duration::from_millis(50),
        ..config(Strategy::X509Chain)
    })
    .await
    .unwrap();
    let mut wire = session(&target).await;
    wire.send(hex("mqtt-request")).await;
    wire.expect(hex("mqtt-puback")).await;
    wire.expect_end().await;
    assert_eq!(target.counts().core_timeouts, 1);
}

#[tokio::test]
async fn faults_do_what_they_say() {
    let with = |faults| TargetConfig {
        faults,
        ..config(Strategy::Check)
    };
    let certain = 1.0;
    let refusing = Faults {
        refuse: certain,
        delay: Duration::from_millis(20),
        ..Faults::default()
    };
    let target = Target::start(with(refusing)).await.unwrap();
    let mut wire = session(&target).await;
    // The PUBACK waits for the decision too, but a ping does not.
    wire.send([hex("mqtt-request"), hex("mqtt-pingreq")].concat())
        .await;
    wire.expect(hex("mqtt-pingresp")).await;
    wire.expect(hex("mqtt-puback")).await;
    wire.expect(response(1, 1, text("answer-failure.json")))
        .await;
    assert!(!target.device("D1").unwrap().provisioned);

    let losing = Faults {
        lose_answer: certain,
        ..Faults::default()
    };
    let target = Target::start(with(losing)).await.unwrap();
    let mut wire = session(&target).await;
    wire.send(hex("mqtt-request")).await;
    alive(&mut wire).await;
    assert!(target.device("D1").unwrap().provisioned);
    assert_eq!(target.counts().faults_lost, 1);

    let dropping = Faults {
        disconnect: certain,
        ..Faults::default()
    };
    let target = Target::start(with(dropping)).await.unwrap();
    let mut wire = session(&target).await;
    wire.send(hex("mqtt-request")).await;
    wire.expect_end().await;
    assert!(!target.device("D1").unwrap().provisioned);
    assert_eq!(target.counts().faults_disconnected, 1);
}

#[tokio::test]
async fn a_stopped_target_leaves_no_connection() {
    let target = start(Strategy::Check).await;
    let addr = target.mqtt().unwrap();
    let mut wire = session(&target).await;
    target.stop().await;
    wire.expect_end().await;
    assert!(tokio::net::TcpStream::connect(addr).await.is_err());
}
