//! What the target says to devices unasked: shared attributes and calls, made by curl over REST,
//! heard by bare sockets and by clients that are not ours.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod client_rpc;
mod coap;
mod faults;
mod gateway;
mod http;
mod mqtt;
mod peers;

use std::time::Duration;

use fleetcall::model::Strategy;
use fleetcall::target::{Limits, TargetConfig};
use serde_json::{Value, json};

use crate::support::api::Api;
use crate::support::golden::{hex, text};
use crate::target_wire::{TOKEN, Wire, config, field, packet};

/// D1 and an administrator. Calls may be as short as they like.
async fn start() -> Api {
    let limits = Limits {
        rpc_timeout_min: Duration::ZERO,
        ..Limits::default()
    };
    Api::start(TargetConfig {
        limits,
        ..config(Strategy::Check)
    })
    .await
}

/// A publish of MQTT 5, without properties.
fn publish_5(topic: &str, id: u16, payload: &str) -> Vec<u8> {
    let id = id.to_be_bytes();
    packet(0x32, &[&field(topic), &id, &[0], payload.as_bytes()])
}

/// D1's session in MQTT 5.
async fn device_5(api: &Api) -> Wire {
    let mut wire = Wire::open(api.target.mqtt()).await;
    let parts: [&[u8]; 5] = [
        &field("MQTT"),
        &[5, 0x82, 0, 60, 0],
        &field("c"),
        &field(TOKEN),
        &[],
    ];
    wire.send(packet(0x10, &parts)).await;
    wire.expect(hex("mqtt5-connack")).await;
    wire
}

/// A payload among the golden ones.
fn golden(name: &str) -> Value {
    serde_json::from_str(&text(name)).unwrap()
}

/// The golden call, with a time limit in milliseconds.
fn call(timeout: u64) -> Value {
    let mut call = golden("rpc-request.json");
    call["timeout"] = json!(timeout);
    call
}

impl Api {
    /// The id of a device.
    pub(crate) async fn id(&self, device: &str) -> String {
        let device = self.named(device).await;
        device["id"]["id"].as_str().unwrap().to_owned()
    }

    /// Writes shared attributes.
    pub(crate) async fn share(&self, device: &str, values: Value) {
        let id = self.id(device).await;
        let path = format!("/api/plugins/telemetry/DEVICE/{id}/SHARED_SCOPE");
        assert_eq!(self.post(&path, values).await, (200, Value::Null));
    }

    /// Posts on a connection of its own, without waiting for the answer.
    async fn begin(&self, path: &str, body: &Value) -> Wire {
        let body = body.to_string();
        let mut wire = Wire::open(self.target.http()).await;
        wire.send(format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nX-Authorization: {}\r\nContent-Length: {}\r\n\r\n{body}",
            self.token,
            body.len()
        ))
        .await;
        wire
    }

    /// Deletes the shared attributes of the golden update.
    async fn unshare(&self, device: &str) {
        let id = self.id(device).await;
        let path = format!("/api/plugins/telemetry/DEVICE/{id}/SHARED_SCOPE?keys=k,label");
        assert_eq!(self.delete(&path).await, (200, Value::Null));
    }

    /// Calls a device; the status and what came back.
    async fn rpc(&self, way: &str, device: &str, call: Value) -> (u16, Value) {
        let id = self.id(device).await;
        self.post(&format!("/api/rpc/{way}/{id}"), call).await
    }
}
