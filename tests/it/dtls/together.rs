//! Our devices against our target.

use std::sync::Arc;
use std::time::Duration;

use fleetcall::model::{Login, Status};
use fleetcall::pki::{KeyKind, Validity, self_signed};
use fleetcall::transport::Connection;
use serde_json::{Value, json};
use tokio::task::{JoinSet, LocalSet};

use super::{Pki, TOKEN, ask, messages, open, secured, target};
use crate::transport_peers::lossy_network;

const CREATED: Status = Status::Coap(0x41);
const BAD_REQUEST: Status = Status::Coap(0x80);
const UNAUTHORIZED: Status = Status::Coap(0x81);
const READING: &str = r#"{"t":1}"#;

#[tokio::test]
async fn a_device_provisions_its_certificate_and_then_needs_no_token() {
    let pki = Pki::new();
    let target = target(&pki).await;
    let dial = secured(target.coaps().unwrap(), pki.trust());
    let own = self_signed("D3", KeyKind::P256, Validity::days(2)).unwrap();

    let mut first = open(&dial, Some(&own)).await.unwrap().connection;
    let request = json!({
        "deviceName": "D3",
        "provisionDeviceKey": "K",
        "provisionDeviceSecret": "S",
        "credentialsType": "X509_CERTIFICATE",
        "hash": own.leaf_base64(),
    });
    let reply = ask(&mut first, "/api/v1/provision", &request.to_string()).await;
    assert_eq!(reply.status, CREATED);
    let answer: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(answer["credentialsType"], "X509_CERTIFICATE");
    // Who it is was settled in the handshake, when nobody knew its certificate.
    let reply = ask(&mut first, "/api/v1/telemetry", READING).await;
    assert_eq!(reply.status, BAD_REQUEST);
    first.close().await;

    let mut again = open(&dial, Some(&own)).await.unwrap().connection;
    for path in ["telemetry", "attributes", "rpc/7"] {
        let path = format!("/api/v1/{path}");
        assert_eq!(ask(&mut again, &path, READING).await.status, CREATED);
    }
    assert_eq!(messages(&target, "D3"), 1);
    assert_eq!(target.counts().attribute_messages, 1);
}

#[tokio::test]
async fn a_token_works_with_no_certificate_and_with_one_that_nobody_knows() {
    let pki = Pki::new();
    let target = target(&pki).await;
    let dial = secured(target.coaps().unwrap(), pki.trust());
    let unknown = self_signed("X", KeyKind::P384, Validity::days(2)).unwrap();
    let by_token = format!("/api/v1/{TOKEN}/telemetry");
    for (n, identity) in [(1, None), (2, Some(&unknown))] {
        let mut connection = open(&dial, identity).await.unwrap().connection;
        let reply = ask(&mut connection, &by_token, READING).await;
        assert_eq!(reply.status, CREATED);
        assert_eq!(messages(&target, "D2"), n);
        let reply = ask(&mut connection, "/api/v1/no-such-token/telemetry", READING).await;
        assert_eq!(reply.status, UNAUTHORIZED);
        let reply = ask(&mut connection, "/api/v1/telemetry", READING).await;
        assert_eq!(reply.status, BAD_REQUEST);
    }
    // A certificate that is known but out of date names nobody.
    let expired = self_signed("D4", KeyKind::P256, Validity::expired()).unwrap();
    let request = json!({
        "deviceName": "D4",
        "provisionDeviceKey": "K",
        "provisionDeviceSecret": "S",
        "credentialsType": "X509_CERTIFICATE",
        "hash": expired.leaf_base64(),
    });
    for status in [BAD_REQUEST, BAD_REQUEST] {
        let mut connection = open(&dial, Some(&expired)).await.unwrap().connection;
        ask(&mut connection, "/api/v1/provision", &request.to_string()).await;
        let reply = ask(&mut connection, "/api/v1/telemetry", READING).await;
        assert_eq!(reply.status, status);
    }
    assert!(target.device("D4").is_some());
}

#[tokio::test]
async fn long_bodies_travel_in_blocks_both_ways() {
    let pki = Pki::new();
    let target = target(&pki).await;
    let dial = secured(target.coaps().unwrap(), pki.trust());
    let own = pki.device.chain()[1].clone();
    let mut connection = open(&dial, None).await.unwrap().connection;
    let request = json!({
        "deviceName": "D5".repeat(600),
        "provisionDeviceKey": "K",
        "provisionDeviceSecret": "S",
        "credentialsType": "X509_CERTIFICATE",
        "hash": data_encoding(&own),
    });
    let reply = ask(&mut connection, "/api/v1/provision", &request.to_string()).await;
    assert!(matches!(reply.status, Status::Coap(_)));
    let answer: Value = serde_json::from_slice(&reply.body).unwrap();
    assert!(answer["status"].is_string());
}

fn data_encoding(der: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(der)
}

#[tokio::test(start_paused = true)]
async fn handshakes_and_requests_survive_a_lossy_network() {
    let pki = Pki::new();
    let target = target(&pki).await;
    let addr = lossy_network(target.coaps().unwrap()).await;
    let mut dial = secured(addr, pki.trust());
    dial.connect_timeout = Duration::from_mins(2);
    dial.coap.max_retransmit = 7;
    let (dial, pki) = (Arc::new(dial), Arc::new(pki));

    let devices = LocalSet::new();
    let mut done = JoinSet::new();
    for ordinal in 0..20 {
        let (dial, pki) = (Arc::clone(&dial), Arc::clone(&pki));
        done.spawn_local_on(
            async move {
                let login = Login::default();
                let opened = Connection::open(&dial, &login, Some(&pki.device), ordinal)
                    .await
                    .unwrap();
                let mut connection = opened.connection;
                for _ in 0..3 {
                    let request = crate::transport_hostile::post("/api/v1/telemetry", READING);
                    let reply = connection.exchange(&request).await.unwrap().reply;
                    assert_eq!(reply.status, CREATED);
                }
            },
            &devices,
        );
    }
    devices.run_until(done.join_all()).await;
    assert_eq!(messages(&target, "D1"), 60);
}

#[tokio::test]
async fn a_new_client_on_an_old_port_is_let_in() {
    let pki = Pki::new();
    let target = target(&pki).await;
    let dial = secured(target.coaps().unwrap(), pki.trust());
    // A relay makes all of them come from one port.
    let relay = super::relay(dial.addr).await;
    let dial = fleetcall::transport::Dial {
        addr: relay,
        ..dial
    };
    for n in 1..=3 {
        let identity = (n != 2).then_some(&pki.device);
        let mut connection = open(&dial, identity).await.unwrap().connection;
        let reply = ask(&mut connection, "/api/v1/telemetry", READING).await;
        let named = identity.is_some();
        assert_eq!(reply.status, if named { CREATED } else { BAD_REQUEST });
        // It leaves without a word.
        drop(connection);
    }
    assert_eq!(messages(&target, "D1"), 2);
}
