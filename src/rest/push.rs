//! What an operator does to one device: shared attributes, calls of its methods (section 8.6).
//!
//! Sent once, whatever becomes of it, and with the moments that latencies are made of.

use std::time::Duration;

use bytes::Bytes;
use hyper::{Method, StatusCode};
use serde_json::Value;
use tokio::time::Instant;

use super::body::Begun;
use super::client::Client;
use crate::model::FaultKind;

/// What a device is sent.
#[derive(Clone, Debug)]
pub enum Push {
    /// New values of its shared attributes, a JSON text.
    Attributes(String),
    /// A call of a method. Two-way: the request ends with the device's answer.
    Rpc {
        /// Whether its answer is waited for.
        two_way: bool,
        /// The method's name.
        method: String,
        /// A JSON text.
        params: String,
        /// How long the server may take to reach the device, and it to answer.
        timeout: Duration,
    },
}

/// What became of a request that is sent once.
#[derive(Debug)]
pub struct Once {
    /// Right before its first byte was handed to the connection; `None`: it never was.
    pub sent: Option<Instant>,
    /// When its end was known.
    pub done: Instant,
    /// The status and the body, or why there is none.
    pub answer: Result<(StatusCode, Bytes), FaultKind>,
}

impl Client {
    /// Pushes to the device of that id and waits so long for the answer. `begun` hears of the moment of sending as soon as it is
    /// there: the device may be faster than the answer.
    pub async fn push(&self, id: &str, push: &Push, patience: Duration, begun: &Begun) -> Once {
        let (path, body) = match push {
            Push::Attributes(body) => (
                format!("/api/plugins/telemetry/DEVICE/{id}/SHARED_SCOPE"),
                Bytes::from(body.clone()),
            ),
            Push::Rpc {
                two_way,
                method,
                params,
                timeout,
            } => {
                let way = if *two_way { "twoway" } else { "oneway" };
                let method = Value::from(method.as_str());
                let timeout = timeout.as_millis();
                let body =
                    format!("{{\"method\":{method},\"params\":{params},\"timeout\":{timeout}}}");
                (format!("/api/rpc/{way}/{id}"), Bytes::from(body))
            }
        };
        self.once(&Method::POST, &path, body, patience, begun).await
    }
}
