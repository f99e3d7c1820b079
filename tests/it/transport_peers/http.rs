//! Against Python's http.server.

use std::time::Duration;

use fleetcall::model::{Status, TransportKind};
use tokio::time::Instant;

use super::Script;
use crate::transport_hostile::{dial, open, post};

/// Three exchanges with a pause after each; the numbers of the connections that carried them.
async fn three_exchanges(mode: &str) -> Vec<u64> {
    let server = Script::start("http_server.py", &[mode]);
    let mut connection = open(&dial(TransportKind::Http, server.addr))
        .await
        .unwrap()
        .connection;
    let mut carriers = Vec::new();
    for n in 1..=3 {
        let body = format!(r#"{{"temperature":{n}}}"#);
        let request = post("/api/v1/ABCDEFGHIJ0123456789/telemetry", body.clone());
        let reply = connection.exchange(&request).await.unwrap().reply;
        assert_eq!(reply.status, Status::Http(201));
        let understood: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(understood["path"], "/api/v1/ABCDEFGHIJ0123456789/telemetry");
        assert_eq!(understood["type"], "application/json");
        assert_eq!(understood["body"], body);
        carriers.push(understood["connection"].as_u64().unwrap());
        // For the close that may follow an answer without a word.
        let pause = Instant::now() + Duration::from_millis(200);
        connection.idle_until(pause).await.unwrap();
    }
    connection.close().await;
    carriers
}

#[tokio::test]
async fn a_connection_that_is_kept_alive_carries_every_request() {
    assert_eq!(three_exchanges("keep-alive").await, [1, 1, 1]);
}

#[tokio::test]
async fn a_connection_that_is_closed_after_each_answer_is_replaced() {
    assert_eq!(three_exchanges("announced-close").await, [1, 2, 3]);
    assert_eq!(three_exchanges("silent-close").await, [1, 2, 3]);
}
