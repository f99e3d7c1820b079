//! Observing CoAP clients, datagram by datagram.

use serde_json::{Value, json};

use super::{call, golden, start};
use crate::support::api::Api;
use crate::support::golden::text;
use crate::target_wire::coap::{ACK, CON, NON, POST, Peer, answer, message, observe};
use crate::target_wire::{TOKEN, device, until};

/// A notification with a body: Observe, Content-Format JSON, payload.
fn notification(kind: u8, id: u16, count: u8, payload: &str) -> Vec<u8> {
    let options = [0x61, count, 0x61, 0x32, 0xff];
    [
        &answer(kind, 0x45, id, "")[..],
        &options,
        payload.as_bytes(),
    ]
    .concat()
}

/// A first answer: Observe 0 is an empty value.
fn first(kind: u8, code: u8, id: u16, payload: &str) -> Vec<u8> {
    let mut out = answer(kind, code, id, "");
    out.push(0x60);
    if !payload.is_empty() {
        out.extend([0x61, 0x32, 0xff]);
        out.extend(payload.as_bytes());
    }
    out
}

fn bare(kind: u8, id: u16) -> Vec<u8> {
    let [high, low] = id.to_be_bytes();
    vec![0x40 | kind << 4, 0, high, low]
}

const RST: u8 = 3;

/// A peer that observes D1's shared attributes, of which there are none.
async fn observing(api: &Api, kind: u8) -> Peer {
    let peer = Peer::new(&api.target).await;
    peer.send(observe(kind, 1, "attributes", 0)).await;
    let (kind, id) = match kind {
        CON => (ACK, 1),
        _ => (NON, 0x8002),
    };
    peer.expect(first(kind, 0x45, id, "{}")).await;
    peer
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_answer_is_all_and_notifications_count_up() {
    let api = start().await;
    api.share("D1", json!({"before": 1})).await;
    let peer = Peer::new(&api.target).await;
    peer.send(observe(CON, 1, "attributes", 0)).await;
    peer.expect(first(ACK, 0x45, 1, r#"{"before":1}"#)).await;
    assert!(api.target.device("D1").unwrap().connected);
    for count in 1..=3 {
        let id = 0x8001 + u16::from(count);
        api.share("D1", json!({"n": count})).await;
        let payload = format!("{{\"n\":{count}}}");
        peer.expect(notification(CON, id, count, &payload)).await;
        peer.send(bare(ACK, id)).await;
    }
    api.unshare("D1").await;
    let deleted = text("attribute-deleted.json");
    peer.expect(notification(CON, 0x8005, 4, &deleted)).await;
    peer.send(bare(ACK, 0x8005)).await;
    peer.expect_silence().await;
    assert_eq!(api.target.counts().attribute_updates, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notification_is_repeated_until_it_is_acknowledged_and_a_reset_ends_it_all() {
    let api = start().await;
    let peer = observing(&api, CON).await;
    api.share("D1", json!({"a": 1})).await;
    let wanted = notification(CON, 0x8002, 1, r#"{"a":1}"#);
    // Within three seconds it comes again, the same to the byte.
    peer.expect(&wanted).await;
    peer.expect(&wanted).await;
    peer.send(bare(RST, 0x8002)).await;
    until(|| !api.target.device("D1").unwrap().connected).await;
    api.share("D1", json!({"a": 2})).await;
    peer.expect_silence().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn observe_1_ends_it_and_who_asks_without_confirmation_is_told_without() {
    let api = start().await;
    let peer = observing(&api, NON).await;
    api.share("D1", json!({"a": 1})).await;
    peer.expect(notification(NON, 0x8003, 1, r#"{"a":1}"#))
        .await;
    peer.send(observe(CON, 2, "attributes", 1)).await;
    peer.expect(answer(ACK, 0x42, 2, "")).await;
    assert!(!api.target.device("D1").unwrap().connected);
    api.share("D1", json!({"a": 2})).await;
    peer.expect_silence().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_a_notification_and_a_post_its_reply() {
    let api = start().await;
    let peer = Peer::new(&api.target).await;
    let device = async {
        until(|| api.target.counts().rpc_calls == 1).await;
        peer.send(observe(CON, 1, "rpc", 0)).await;
        // The first answer is a message of its own, and then comes the call that waited.
        peer.expect(first(CON, 0x43, 0x8002, "")).await;
        let payload = text("rpc-request-with-id.json");
        peer.expect(notification(CON, 0x8003, 1, &payload)).await;
        peer.send(bare(ACK, 0x8002)).await;
        peer.send(bare(ACK, 0x8003)).await;
        let reply =
            |id: u16, body: &str| message(CON, POST, id, &format!("api/v1/{TOKEN}/rpc/0"), body);
        peer.send(reply(2, "no object")).await;
        peer.expect(answer(ACK, 0x80, 2, "")).await;
        peer.send(reply(3, &text("rpc-reply.json"))).await;
        peer.expect(answer(CON, 0x41, 0x8004, "")).await;
        peer.send(bare(ACK, 0x8004)).await;
    };
    let called = api.rpc("twoway", "D1", call(20_000));
    let (told, ()) = tokio::join!(called, device);
    assert_eq!(told, (200, golden("rpc-reply.json")));
    let oneway = api.rpc("oneway", "D1", call(20_000)).await;
    assert_eq!(oneway, (200, Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_reached_in_one_place_mqtt_or_coap() {
    let api = start().await;
    let mut session = device(&api.target, TOKEN).await;
    let peer = observing(&api, CON).await;
    session.expect_end().await;
    let _session = device(&api.target, TOKEN).await;
    // Its observation ends: 2.02 with its token, and without Observe.
    peer.expect(answer(CON, 0x42, 0x8002, "")).await;
    peer.send(bare(ACK, 0x8002)).await;
    api.share("D1", json!({"a": 1})).await;
    peer.expect_silence().await;
    assert_eq!(api.target.counts().taken_over, 2);
    // From another port it begins anew, and the older observation ends.
    let other = Peer::new(&api.target).await;
    other.send(observe(CON, 7, "attributes", 0)).await;
    other.expect(first(ACK, 0x45, 7, r#"{"a":1}"#)).await;
    let third = Peer::new(&api.target).await;
    third.send(observe(CON, 9, "attributes", 0)).await;
    third.expect(first(ACK, 0x45, 9, r#"{"a":1}"#)).await;
    other.expect(answer(CON, 0x42, 0x8008, "")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_update_comes_in_blocks() {
    let api = start().await;
    let peer = observing(&api, CON).await;
    api.share("D1", json!({"k": "x".repeat(1_500)})).await;
    let first = peer.receive().await;
    let (_, piece) = first.split_at(first.len() - 1_024);
    assert!(piece.starts_with(b"{\"k\":\"xxx"), "{}", first.len());
    // Block2 0, more to come, blocks of 1024 bytes.
    assert_eq!(first[first.len() - 1_024 - 3..][..2], [0xb1, 0x0e]);
}
