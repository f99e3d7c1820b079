//! paho-mqtt and aiocoap as devices, curl as the operator.

use serde_json::{Value, json};

use super::{call, golden, start};
use crate::support::api::Api;
use crate::support::{Peer, python, root};
use crate::target_wire::TOKEN;

/// paho-mqtt under a token, connected.
pub(super) fn paho(api: &Api, token: &str, version: &str) -> Peer {
    let port = api.target.mqtt().unwrap().port().to_string();
    paho_at(&port, token, version)
}

/// The same, by a port on loopback.
pub(super) fn paho_at(port: &str, token: &str, version: &str) -> Peer {
    let mut command = python();
    command.arg(root().join("tests/peers/paho_peer.py"));
    let peer = Peer::start(command.args([port, token, version]));
    assert_eq!(peer.next(), json!({"connected": 0}));
    peer
}

#[tokio::test(flavor = "multi_thread")]
async fn paho_hears_an_update_and_answers_a_call_that_curl_made() {
    for version in ["3", "5"] {
        let api = start().await;
        let mut device = paho(&api, TOKEN, version);
        let filters = json!([
            ["v1/devices/me/attributes", 1],
            ["v1/devices/me/rpc/request/+", 1]
        ]);
        device.order(&json!({"subscribe": filters}));
        assert_eq!(device.next(), json!({"subscribed": [1, 1]}));
        api.share("D1", golden("attribute-update.json")).await;
        let heard = device.next();
        assert_eq!(
            (&heard["topic"], &heard["qos"]),
            (&json!("v1/devices/me/attributes"), &json!(1))
        );
        let payload: Value = serde_json::from_str(heard["payload"].as_str().unwrap()).unwrap();
        assert_eq!(payload, golden("attribute-update.json"));
        let answer = api.rpc("twoway", "D1", call(20_000)).await;
        assert_eq!(answer, (200, golden("rpc-request.json")), "as paho replied");
        assert_eq!(device.next()["topic"], "v1/devices/me/rpc/request/0");
        assert_eq!(device.next()["reason"], 0, "its reply is acknowledged");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn aiocoap_observes_updates_and_answers_a_call_that_curl_made() {
    let api = start().await;
    let port = api.target.coap().unwrap().port().to_string();
    let mut command = python();
    command.arg(root().join("tests/peers/aiocoap_observer.py"));
    let device = Peer::start(command.args([&port, TOKEN]));
    let mut first = [device.next(), device.next()];
    first.sort_by_key(Value::to_string);
    let begun = |name: &str, code: &str, payload: &str| json!({name: code, "payload": payload, "observe": 0});
    assert_eq!(first[0], begun("calls", "2.03 Valid", ""));
    assert_eq!(first[1], begun("updates", "2.05 Content", "{}"));
    api.share("D1", golden("attribute-update.json")).await;
    let heard = device.next();
    assert_eq!(
        (&heard["updates"], &heard["observe"]),
        (&json!("2.05 Content"), &json!(1))
    );
    let payload: Value = serde_json::from_str(heard["payload"].as_str().unwrap()).unwrap();
    assert_eq!(payload, golden("attribute-update.json"));
    let answer = api.rpc("twoway", "D1", call(20_000)).await;
    assert_eq!(answer, (200, golden("rpc-request.json")), "as it replied");
    assert_eq!(device.next()["calls"], "2.05 Content");
    assert_eq!(device.next(), json!({"reply": "2.01 Created"}));
}
