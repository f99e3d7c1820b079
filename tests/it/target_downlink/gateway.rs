//! Gateways: bare sockets, and paho-mqtt that speaks for three devices.

use fleetcall::model::{Faults, PhaseFaults, RateLimits, Strategy};
use fleetcall::target::{Listed, Rest, TargetConfig};
use serde_json::{Value, json};

use super::peers::paho;
use super::{call, device_5, golden, publish_5};
use crate::support::api::Api;
use crate::support::golden::{hex, text};
use crate::target_wire::{TOKEN, Wire, alive, config, device, field, packet, publish, until};

/// D1 as a gateway.
fn gateway_config() -> TargetConfig {
    let mut config = config(Strategy::Check);
    config.devices[0].gateway = true;
    config
}

async fn start() -> Api {
    Api::start(gateway_config()).await
}

/// A golden message of a gateway, as the packet 2 at QoS 1.
fn said(what: &str, name: &str) -> Vec<u8> {
    let topic = format!("v1/gateway/{what}");
    publish(&topic, 1, 2, text(name).as_bytes())
}

/// A publish of the server at QoS 1.
fn told(what: &str, id: u16, payload: &str) -> Vec<u8> {
    publish(&format!("v1/gateway/{what}"), 1, id, payload.as_bytes())
}

async fn subscribe(wire: &mut Wire, filter: &str, qos: u8) {
    wire.send(packet(0x82, &[&[0, 5], &field(filter), &[qos]]))
        .await;
    wire.expect([0x90, 3, 0, 5, qos]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_for_three_devices_has_three_pubacks_and_makes_them() {
    let api = start().await;
    let mut wire = device(&api.target, TOKEN).await;
    wire.send(said("telemetry", "gateway-telemetry.json")).await;
    wire.expect(hex("mqtt-puback").repeat(3)).await;
    alive(&mut wire).await;
    wire.send(said("attributes", "gateway-attributes.json"))
        .await;
    wire.expect(hex("mqtt-puback").repeat(2)).await;
    wire.send(said("claim", "gateway-claim.json")).await;
    wire.expect(hex("mqtt-puback")).await;
    // Parts of the wrong kind are skipped, and an empty list is never acknowledged.
    let odd = r#"{"A":{"t":1},"B":7,"C":[],"D":[{"t":1}]}"#;
    wire.send(publish("v1/gateway/telemetry", 1, 2, odd.as_bytes()))
        .await;
    wire.expect(hex("mqtt-puback")).await;
    wire.send(publish("v1/gateway/telemetry", 1, 2, b"{}"))
        .await;
    // At QoS 0 nothing is seen.
    wire.send(publish(
        "v1/gateway/telemetry",
        0,
        0,
        br#"{"A":[{"t":1},{"t":2}]}"#,
    ))
    .await;
    alive(&mut wire).await;
    for (name, messages) in [("A", 2), ("B", 1), ("C", 1), ("D", 1)] {
        let seen = api.target.device(name).unwrap();
        assert_eq!((seen.telemetry_messages, seen.connected), (messages, true));
        assert_eq!(api.named(name).await["type"], "default");
    }
    let id = api.id("A").await;
    let latest = format!("/api/plugins/telemetry/DEVICE/{id}/values/timeseries?keys=t");
    assert_eq!(api.get(&latest).await.1["t"][0]["value"], "2");
    let counts = api.target.counts();
    assert_eq!((counts.gateway_devices, counts.claims), (4, 1));
    assert_eq!((counts.telemetry_messages, counts.telemetry_points), (5, 7));
    drop(wire);
    until(|| !api.target.device("A").unwrap().connected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_connects_with_a_type_and_disconnects() {
    let api = start().await;
    let mut wire = device(&api.target, TOKEN).await;
    wire.send(said("connect", "gateway-connect.json")).await;
    wire.expect(hex("mqtt-puback")).await;
    let typed = br#"{"device":"M","type":"meter"}"#;
    wire.send(publish("v1/gateway/connect", 1, 2, typed)).await;
    wire.expect(hex("mqtt-puback")).await;
    assert_eq!(api.named("M").await["type"], "meter");
    assert!(api.target.device("A").unwrap().connected);
    wire.send(said("disconnect", "gateway-disconnect.json"))
        .await;
    wire.expect(hex("mqtt-puback")).await;
    assert!(!api.target.device("A").unwrap().connected);
    api.share("A", json!({"unheard": 1})).await;
    alive(&mut wire).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attributes_are_asked_for_by_one_key_or_several() {
    let api = start().await;
    let mut wire = device(&api.target, TOKEN).await;
    wire.send(said("attributes", "gateway-attributes.json"))
        .await;
    wire.expect(hex("mqtt-puback").repeat(2)).await;
    subscribe(&mut wire, "v1/gateway/attributes", 0).await;
    api.share("A", golden("attribute-update.json")).await;
    let update = text("gateway-attribute-update.json");
    wire.expect(publish("v1/gateway/attributes", 0, 0, update.as_bytes()))
        .await;
    for (n, (asked, answer)) in [
        (
            "gateway-attributes-request.json",
            text("gateway-attributes-response.json"),
        ),
        (
            "gateway-attributes-request-keys.json",
            text("gateway-attributes-response-values.json"),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        wire.send(said("attributes/request", asked)).await;
        wire.expect(hex("mqtt-puback")).await;
        wire.expect(told("attributes/response", n as u16 + 1, &answer))
            .await;
    }
    let unknown = br#"{"id":9,"device":"B","client":true,"key":"none"}"#;
    wire.send(publish("v1/gateway/attributes/request", 1, 2, unknown))
        .await;
    wire.expect(hex("mqtt-puback")).await;
    wire.expect(told("attributes/response", 3, r#"{"id":9,"device":"B"}"#))
        .await;
    api.unshare("A").await;
    let deleted = text("gateway-attribute-deleted.json");
    wire.expect(publish("v1/gateway/attributes", 0, 0, deleted.as_bytes()))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_for_a_device_behind_a_gateway_is_answered_through_it() {
    let api = start().await;
    let mut wire = device(&api.target, TOKEN).await;
    wire.send(said("connect", "gateway-connect.json")).await;
    wire.expect(hex("mqtt-puback")).await;
    let gateway = async {
        // Unsubscribed, at QoS 1: the platform subscribes such devices itself.
        wire.expect(told("rpc", 1, &text("gateway-rpc-request.json")))
            .await;
        wire.send(said("rpc", "gateway-rpc-reply.json")).await;
        wire.expect(hex("mqtt-puback")).await;
    };
    let (answer, ()) = tokio::join!(api.rpc("twoway", "A", call(20_000)), gateway);
    assert_eq!(answer, (200, golden("rpc-reply.json")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_reached_directly_or_through_one_gateway() {
    let mut config = gateway_config();
    config.devices.push(Listed {
        name: "G2".into(),
        profile: 0,
        credentials: Some(fleetcall::model::Credentials::AccessToken("second".into())),
        gateway: true,
        provisioned: false,
    });
    config.devices.push(Listed {
        name: "A".into(),
        profile: 0,
        credentials: Some(fleetcall::model::Credentials::AccessToken("own".into())),
        gateway: false,
        provisioned: false,
    });
    let api = Api::start(config).await;
    let mut direct = device(&api.target, "own").await;
    let mut first = device(&api.target, TOKEN).await;
    first.send(said("connect", "gateway-connect.json")).await;
    first.expect(hex("mqtt-puback")).await;
    direct.expect_end().await;
    let mut second = device(&api.target, "second").await;
    second.send(said("connect", "gateway-connect.json")).await;
    second.expect(hex("mqtt-puback")).await;
    api.share("A", golden("attribute-update.json")).await;
    let update = text("gateway-attribute-update.json");
    second.expect(told("attributes", 1, &update)).await;
    alive(&mut first).await;
    // The device itself takes it from its gateway, which goes on, and can take it back.
    let mut direct = device(&api.target, "own").await;
    api.share("A", json!({"unheard": 1})).await;
    alive(&mut second).await;
    second
        .send(publish("v1/gateway/telemetry", 1, 2, br#"{"A":[{"t":1}]}"#))
        .await;
    second.expect(hex("mqtt-puback")).await;
    direct.expect_end().await;
    assert_eq!(api.target.counts().taken_over, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_gateway_may_not_do_ends_its_connection() {
    let api = start().await;
    for (what, payload) in [
        ("telemetry", "no json"),
        ("telemetry", r#"{"A":[{"ts":"abc","values":{}}]}"#),
        ("telemetry", r#"{"A":[7]}"#),
    ] {
        let mut wire = device(&api.target, TOKEN).await;
        wire.send(told(what, 2, payload)).await;
        wire.expect_end().await;
    }
    for (what, payload) in [
        ("telemetry", "[]"),
        ("connect", r#"{"device":""}"#),
        ("connect", r#"{"type":"default"}"#),
        ("attributes/request", r#"{"id":1,"device":"A"}"#),
        ("rpc", r#"{"device":"A","id":"x","data":1}"#),
        ("rpc", r#"{"device":"A","id":1}"#),
    ] {
        let mut wire = device(&api.target, TOKEN).await;
        wire.send(told(what, 2, payload)).await;
        wire.expect(hex("mqtt-puback")).await;
        wire.expect_end().await;
    }
    assert_eq!(api.target.counts().bad_payloads, 9);
    let mut wire = device(&api.target, TOKEN).await;
    wire.send(publish("v1/gateway/unknown", 1, 2, b"{}")).await;
    wire.expect(hex("mqtt-puback")).await;
    // A name that cannot be a device is not acknowledged, and the connection goes on.
    let marked = br#"{"device":"<b>A</b>"}"#;
    wire.send(publish("v1/gateway/connect", 1, 2, marked)).await;
    alive(&mut wire).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_is_full_gets_no_devices_behind_its_gateways() {
    let rest = Rest {
        max_devices: 2,
        ..Rest::default()
    };
    let api = Api::start(TargetConfig {
        rest,
        ..gateway_config()
    })
    .await;
    let mut wire = device(&api.target, TOKEN).await;
    wire.send(said("telemetry", "gateway-telemetry.json")).await;
    wire.expect(hex("mqtt-puback")).await;
    alive(&mut wire).await;
    assert!(api.target.device("A").is_some() && api.target.device("B").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn in_mqtt_5_a_gateway_is_told_why_and_for_which_device() {
    let limited = Faults {
        rate_limits: RateLimits {
            device_telemetry_msg: "1:3600".parse().unwrap(),
            ..RateLimits::default()
        },
        ..Faults::default()
    };
    let api = Api::start(TargetConfig {
        faults: limited,
        ..gateway_config()
    })
    .await;
    let mut wire = device_5(&api).await;
    let send = |payload: &str| publish_5("v1/gateway/telemetry", 2, payload);
    wire.send(publish_5("v1/gateway/unknown", 2, "{}")).await;
    wire.expect([0x40, 4, 0, 2, 0x90, 0]).await;
    wire.send(send("no json")).await;
    wire.expect(hex("mqtt5-puback-refused")).await;
    wire.send(send(r#"{"A":[{"t":1}],"B":[{"t":1}]}"#)).await;
    wire.expect(hex("mqtt5-puback").repeat(2)).await;
    // A is beyond its limit, C has not even been connected.
    wire.send(send(r#"{"D":[{"t":1}],"A":[{"t":2}],"C":[{"t":1}]}"#))
        .await;
    wire.expect(hex("mqtt5-puback")).await;
    let closed = text("gateway-closed.json");
    wire.expect(publish_5("v1/gateway/disconnect", 1, &closed))
        .await;
    wire.expect([0xe0, 2, 0x83, 0]).await;
    wire.expect_end().await;
    assert!(api.target.device("C").is_none());
    assert_eq!(api.target.counts().rate_limited, 1);
    let mut wire = device_5(&api).await;
    wire.send(send(r#"{"E":[7]}"#)).await;
    let closed = r#"{"device":"E","reason":128}"#;
    wire.expect(publish_5("v1/gateway/disconnect", 1, closed))
        .await;
    wire.expect([0xe0, 2, 0x83, 0]).await;
    wire.expect_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_telemetry_strike_a_gateways_devices_one_by_one() {
    let lost = Faults {
        telemetry: PhaseFaults {
            lose_answer: 1.0,
            ..PhaseFaults::default()
        },
        ..Faults::default()
    };
    let api = Api::start(TargetConfig {
        faults: lost,
        ..gateway_config()
    })
    .await;
    let mut wire = device(&api.target, TOKEN).await;
    wire.send(said("telemetry", "gateway-telemetry.json")).await;
    alive(&mut wire).await;
    let counts = api.target.counts();
    assert_eq!(
        (counts.telemetry_messages, counts.faults_unacknowledged),
        (3, 3)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_is_made_over_rest_by_a_flag_and_by_an_import() {
    let api = Api::start(config(Strategy::Check)).await;
    let body = json!({"name": "G", "type": "default", "additionalInfo": {"gateway": true}});
    let made = api.post("/api/device?accessToken=one", body).await;
    assert_eq!(made.1["additionalInfo"]["gateway"], true);
    let columns = json!([{"type": "NAME"}, {"type": "ACCESS_TOKEN"}, {"type": "IS_GATEWAY"}]);
    let mapping = json!({"columns": columns, "delimiter": ",", "header": false, "update": false});
    let body = json!({"file": "H,two,true\nI,three,false\n", "mapping": mapping});
    assert_eq!(api.post("/api/device/bulk_import", body).await.0, 200);
    for (token, gateway) in [("one", true), ("two", true), ("three", false)] {
        let mut wire = device(&api.target, token).await;
        wire.send(said("connect", "gateway-connect.json")).await;
        if gateway {
            wire.expect(hex("mqtt-puback")).await;
        }
        alive(&mut wire).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn paho_speaks_for_three_devices() {
    for version in ["3", "5"] {
        let api = start().await;
        let mut gateway = paho(&api, TOKEN, version);
        let topics = ["v1/gateway/attributes", "v1/gateway/rpc"];
        let more = "v1/gateway/attributes/response";
        let filters = json!([[topics[0], 1], [topics[1], 1], [more, 0]]);
        gateway.order(&json!({"subscribe": filters}));
        assert_eq!(gateway.next(), json!({"subscribed": [1, 1, 0]}));
        let mut say = |what: &str, payload: Value| {
            let topic = format!("v1/gateway/{what}");
            let payload = payload.to_string();
            gateway.order(&json!({"publish": topic, "payload": payload, "qos": 1}));
            let acked = gateway.next();
            assert_eq!(acked["reason"], 0, "{what}: {acked}");
        };
        for name in ["A", "B", "C"] {
            say("connect", json!({"device": name, "type": "meter"}));
        }
        say("telemetry", golden("gateway-telemetry.json"));
        say("attributes", golden("gateway-attributes.json"));
        until(|| {
            let messages = |name: &str| api.target.device(name).unwrap().telemetry_messages;
            ["A", "B", "C"].iter().all(|name| messages(name) == 1)
        })
        .await;
        api.share("B", golden("attribute-update.json")).await;
        let heard = gateway.next();
        assert_eq!(heard["topic"], topics[0]);
        let payload: Value = serde_json::from_str(heard["payload"].as_str().unwrap()).unwrap();
        assert_eq!(payload["device"], "B");
        assert_eq!(payload["data"], golden("attribute-update.json"));
        let answer = api.rpc("twoway", "C", call(20_000)).await;
        assert_eq!(answer, (200, golden("rpc-request.json")), "as paho replied");
        assert_eq!(gateway.next()["topic"], topics[1]);
        assert_eq!(gateway.next()["reason"], 0);
        let asked = golden("gateway-attributes-request.json").to_string();
        let order = json!({"publish": "v1/gateway/attributes/request", "payload": asked, "qos": 1});
        gateway.order(&order);
        assert_eq!(gateway.next()["reason"], 0);
        let heard = gateway.next();
        assert_eq!(heard["payload"], text("gateway-attributes-response.json"));
    }
}
