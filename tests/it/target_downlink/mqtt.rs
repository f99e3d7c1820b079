//! Bare MQTT sessions.

use serde_json::{Value, json};

use super::{call, device_5, golden, start};
use crate::support::api::{Api, ask};
use crate::support::golden::{hex, text};
use crate::target_wire::coap::{CON, POST, Peer, message};
use crate::target_wire::{TOKEN, Wire, alive, device, field, packet, publish, until};

/// Subscribes to one filter.
async fn subscribe(wire: &mut Wire, filter: &str, qos: u8) {
    wire.send(packet(0x82, &[&[0, 5], &field(filter), &[qos]]))
        .await;
    wire.expect([0x90, 3, 0, 5, qos]).await;
}

async fn listening(api: &Api, filter: &str, qos: u8) -> Wire {
    let mut wire = device(&api.target, TOKEN).await;
    subscribe(&mut wire, filter, qos).await;
    wire
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_is_the_golden_publish_and_a_deletion_names_the_keys() {
    let api = start().await;
    let mut wire = listening(&api, "v1/devices/me/attributes", 1).await;
    api.share("D1", golden("attribute-update.json")).await;
    wire.expect(hex("mqtt-attribute-update")).await;
    api.unshare("D1").await;
    let deleted = text("attribute-deleted.json");
    let topic = "v1/devices/me/attributes";
    wire.expect(publish(topic, 1, 2, deleted.as_bytes())).await;
    // What is left is seen by who asks.
    wire.send(publish(
        "v1/devices/me/attributes/request/1",
        0,
        0,
        b"{\"sharedKeys\":\"k,on\"}",
    ))
    .await;
    let answer = br#"{"shared":{"on":true}}"#;
    wire.expect(publish("v1/devices/me/attributes/response/1", 1, 3, answer))
        .await;
    assert_eq!(api.target.counts().attribute_updates, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_come_in_the_form_subscribed_to_last_and_only_while_subscribed() {
    let api = start().await;
    api.share("D1", json!({"before": 1})).await;
    let mut wire = device(&api.target, TOKEN).await;
    api.share("D1", json!({"unsubscribed": 1})).await;
    subscribe(&mut wire, "v1/devices/me/attributes", 1).await;
    subscribe(&mut wire, "v2/a", 0).await;
    api.share("D1", json!({"a": 1})).await;
    wire.expect(publish("v2/a", 0, 0, br#"{"a":1}"#)).await;
    subscribe(&mut wire, "v2/a/j", 1).await;
    api.share("D1", json!({"b": [1, {"c": null}]})).await;
    wire.expect(publish("v2/a/j", 1, 1, br#"{"b":[1,{"c":null}]}"#))
        .await;
    wire.send(packet(0xa2, &[&[0, 6], &field("v2/a/j")])).await;
    wire.expect([0xb0, 2, 0, 6]).await;
    api.share("D1", json!({"unsubscribed": 2})).await;
    alive(&mut wire).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_two_way_call_is_the_golden_publish_and_ends_with_the_golden_reply() {
    let api = start().await;
    let mut wire = listening(&api, "v1/devices/me/rpc/request/+", 1).await;
    let device = async {
        wire.expect(hex("mqtt-rpc-request")).await;
        wire.send(hex("mqtt-rpc-reply")).await;
        wire.expect(hex("mqtt-puback")).await;
        // Nobody waits for a second reply.
        wire.send(hex("mqtt-rpc-reply")).await;
        wire.expect(hex("mqtt-puback")).await;
    };
    let (answer, ()) = tokio::join!(api.rpc("twoway", "D1", call(20_000)), device);
    assert_eq!(answer, (200, golden("rpc-reply.json")));
    let counts = api.target.counts();
    assert_eq!(
        (counts.rpc_calls, counts.rpc_delivered, counts.rpc_replies),
        (1, 1, 1)
    );
    assert_eq!(counts.rpc_stale, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_are_text_and_an_answer_if_they_are_json() {
    let api = start().await;
    let mut wire = listening(&api, "v2/r/req/j/+", 0).await;
    for (n, reply, answer) in [
        (0, "[1,2]", (200, json!([1, 2]))),
        (1, "", (200, Value::Null)),
        (2, "no json", (406, Value::Null)),
        (3, "7", (200, json!(7))),
    ] {
        let device = async {
            let topic = format!("v2/r/req/j/{n}");
            let payload = text("rpc-request.json");
            wire.expect(publish(&topic, 0, 0, payload.as_bytes())).await;
            let topic = format!("v2/r/res/j/{n}");
            wire.send(publish(&topic, 0, 0, reply.as_bytes())).await;
        };
        let (told, ()) = tokio::join!(api.rpc("twoway", "D1", call(20_000)), device);
        assert_eq!(told, answer, "{reply}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_one_way_call_is_done_once_a_session_has_it_and_waits_for_one_until_then() {
    let api = start().await;
    let mut wire = listening(&api, "v1/devices/me/rpc/request/+", 1).await;
    assert_eq!(
        api.rpc("oneway", "D1", call(20_000)).await,
        (200, Value::Null)
    );
    wire.expect(hex("mqtt-rpc-request")).await;
    wire.send(hex("mqtt-disconnect")).await;
    wire.expect_end().await;
    until(|| !api.target.device("D1").unwrap().connected).await;
    // Without a session both wait for one; it gets them in their order, after SUBACK.
    let device = async {
        until(|| api.target.counts().rpc_calls == 3).await;
        let mut wire = listening(&api, "v1/devices/me/rpc/request/+", 1).await;
        for (id, n) in [(1, 1), (2, 2)] {
            let topic = format!("v1/devices/me/rpc/request/{id}");
            let payload = text("rpc-request.json");
            wire.expect(publish(&topic, 1, n, payload.as_bytes())).await;
        }
        wire.send(publish("v1/devices/me/rpc/response/2", 0, 0, b"{}"))
            .await;
        // A one-way call is over; a two-way call would come again to a new subscription.
        until(|| api.target.counts().rpc_replies == 1).await;
        subscribe(&mut wire, "v1/devices/me/rpc/request/+", 1).await;
        alive(&mut wire).await;
    };
    let oneway = api.rpc("oneway", "D1", call(20_000));
    let twoway = async {
        until(|| api.target.counts().rpc_calls == 2).await;
        api.rpc("twoway", "D1", call(20_000)).await
    };
    let (oneway, twoway, ()) = tokio::join!(oneway, twoway, device);
    assert_eq!(oneway, (200, Value::Null));
    assert_eq!(twoway, (200, json!({})));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_comes_to_nothing_ends_as_its_path_has_it() {
    let api = start().await;
    let id = api.id("D1").await;
    let called = async |path: &str| {
        let path = format!("/api/{path}/{id}");
        api.post(&path, call(1)).await
    };
    for (path, status) in [
        ("rpc/twoway", 504),
        ("rpc/oneway", 504),
        ("plugins/rpc/twoway", 409),
        ("plugins/rpc/oneway", 409),
    ] {
        assert_eq!(called(path).await, (status, Value::Null), "{path}");
    }
    assert_eq!(api.target.counts().rpc_offline, 4);
    let _wire = listening(&api, "v1/devices/me/rpc/request/+", 1).await;
    for (path, status) in [
        ("rpc/twoway", 504),
        ("plugins/rpc/twoway", 408),
        ("plugins/rpc/oneway", 200),
    ] {
        assert_eq!(called(path).await, (status, Value::Null), "{path}");
    }
    assert_eq!(api.target.counts().rpc_timeouts, 2);
    let nobody = "00000000-0000-0000-0000-000000000000";
    let (status, told) = api
        .post(&format!("/api/rpc/oneway/{nobody}"), call(1))
        .await;
    assert_eq!((status, &told["errorCode"]), (404, &json!(32)));
    for body in [json!([]), json!({"params": {}}), json!({"method": "m"})] {
        let (status, told) = api.post(&format!("/api/rpc/oneway/{id}"), body).await;
        assert_eq!((status, &told["errorCode"]), (400, &json!(31)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_sessions_only_the_newer_is_spoken_to() {
    let api = start().await;
    let mut older = listening(&api, "v1/devices/me/attributes", 1).await;
    let mut newer = device(&api.target, TOKEN).await;
    older.expect_end().await;
    api.share("D1", json!({"not": "subscribed"})).await;
    subscribe(&mut newer, "v1/devices/me/attributes", 0).await;
    api.share("D1", json!({"a": 1})).await;
    let update = br#"{"a":1}"#;
    newer
        .expect(publish("v1/devices/me/attributes", 0, 0, update))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_writes_shared_attributes_is_an_update() {
    let api = start().await;
    let mut wire = listening(&api, "v1/devices/me/attributes", 0).await;
    let columns = json!([{"type": "NAME"}, {"type": "SHARED_ATTRIBUTE", "key": "limit"}]);
    let mapping = json!({"columns": columns, "delimiter": ",", "header": false, "update": true});
    let body = json!({"file": "D1,7\n", "mapping": mapping});
    assert_eq!(api.post("/api/device/bulk_import", body).await.0, 200);
    let update = br#"{"limit":7}"#;
    wire.expect(publish("v1/devices/me/attributes", 0, 0, update))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_costs_a_bounded_part_and_hears_of_its_end() {
    let api = start().await;
    let mut wire = listening(&api, "v1/devices/me/attributes", 0).await;
    let values = json!({"k": "x".repeat(1 << 20)});
    // As many as neither the kernel's buffers nor the mailbox take.
    let path = format!(
        "/api/plugins/telemetry/DEVICE/{}/SHARED_SCOPE",
        api.id("D1").await
    );
    let mut sent = 0;
    while api.target.counts().pushes_dropped == 0 {
        let mut posted = api.begin(&path, &values).await;
        posted.expect("HTTP/1.1 200 OK\r\n").await;
        sent += 1;
        assert!(sent < 100, "it is all kept");
    }
    let heard = api.target.counts().attribute_updates;
    assert_eq!(heard + api.target.counts().pushes_dropped, sent);
    let update = publish(
        "v1/devices/me/attributes",
        0,
        0,
        values.to_string().as_bytes(),
    );
    for _ in 0..heard {
        wire.expect(&update).await;
    }
    alive(&mut wire).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_mqtt_5_a_session_is_told_what_an_administrator_did_to_its_device() {
    let api = start().await;
    let id = api.id("D1").await;
    let mut wire = device_5(&api).await;
    let credentials = format!("/api/device/{id}/credentials");
    let (_, held) = api.get(&credentials).await;
    assert_eq!(api.post("/api/device/credentials", held).await.0, 200);
    wire.expect([0xe0, 2, 0x98, 0]).await;
    wire.expect_end().await;
    let mut wire = device_5(&api).await;
    assert_eq!(api.delete(&format!("/api/device/{id}")).await.0, 200);
    wire.expect([0xe0, 2, 0x98, 0]).await;
    wire.expect_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_are_taken_on_every_transport_and_counted() {
    let api = start().await;
    let mut wire = device(&api.target, TOKEN).await;
    let claim = text("claim.json");
    for payload in ["", &claim] {
        let topic = "v1/devices/me/claim";
        wire.send(publish(topic, 1, 2, payload.as_bytes())).await;
        wire.expect(hex("mqtt-puback")).await;
    }
    let path = format!("/api/v1/{TOKEN}/claim");
    for body in [None, Some(golden("claim.json"))] {
        let told = ask(&api.target, "", "POST", &path, body).await;
        assert_eq!(told, (200, Value::Null));
    }
    let peer = Peer::new(&api.target).await;
    for (id, payload) in [(1, ""), (2, &*claim)] {
        let path = format!("api/v1/{TOKEN}/claim");
        peer.send(message(CON, POST, id, &path, payload)).await;
        assert_eq!(peer.receive().await[1], 0x41);
    }
    assert_eq!(api.target.counts().claims, 6);
    let wrong = ask(
        &api.target,
        "",
        "POST",
        &path,
        Some(json!({"durationMs": "x"})),
    )
    .await;
    assert_eq!(wrong, (500, Value::Null));
    assert_eq!(api.target.counts().claims, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn pushes_of_one_device_reach_no_other() {
    let api = start().await;
    let made = api
        .post(
            "/api/device?accessToken=other",
            json!({"name": "D2", "type": "default"}),
        )
        .await;
    assert_eq!(made.0, 200);
    let mut wire = device(&api.target, "other").await;
    subscribe(&mut wire, "v1/devices/me/attributes", 1).await;
    api.share("D1", json!({"a": 1})).await;
    alive(&mut wire).await;
}
