//! Server-side RPC: a call waits here for what becomes of it.

use std::time::Duration;

use hyper::StatusCode;
use serde_json::Value;
use tokio::time::timeout;

use super::call::{Call, Refusal, told};
use super::devices;
use crate::target::downlink::{self, Answered};
use crate::target::http::reply::{Reply, empty, given_up, json};

/// What a path says to a call that came to nothing: when it timed out, and when the device had no
/// session that listened.
pub(super) type Failures = [StatusCode; 2];

/// Of `/api/rpc`.
pub(super) const NOW: Failures = [StatusCode::GATEWAY_TIMEOUT; 2];

/// Of `/api/plugins/rpc`, which the platform calls deprecated.
pub(super) const ONCE: Failures = [StatusCode::REQUEST_TIMEOUT, StatusCode::CONFLICT];

/// `POST …/{way}/{id}`: one-way it is answered once a session was given the call, two-way once the
/// device has replied.
pub(super) async fn answer(
    call: &Call<'_>,
    way: &str,
    id: &str,
    [timed_out, offline]: Failures,
) -> Reply {
    let device = match devices::there(call, id) {
        Ok(device) => device,
        Err(refusal) => return told(Err(refusal)),
    };
    let (wanted, patience) = match understood(call) {
        Ok(understood) => understood,
        Err(refusal) => return told(Err(refusal)),
    };
    let answered = call
        .backend
        .call(&device, wanted, way == "oneway", patience);
    let limit = call.backend.config.limits.http_async;
    match timeout(limit, answered).await {
        Err(_) => given_up(),
        Ok(Answered::Sent) => empty(StatusCode::OK),
        Ok(Answered::Reply(text)) if text.is_empty() => empty(StatusCode::OK),
        Ok(Answered::Reply(text)) => match serde_json::from_str::<Value>(&text) {
            Ok(reply) => json(StatusCode::OK, reply.to_string()),
            Err(_) => empty(StatusCode::NOT_ACCEPTABLE),
        },
        Ok(Answered::Timeout) => empty(timed_out),
        Ok(Answered::NoActiveConnection) => empty(offline),
        Ok(Answered::NoRoom) => told(Err(Refusal::broken("Too many calls wait already"))),
    }
}

/// The call, and how long it may take: no shorter than the platform's shortest time.
fn understood(call: &Call<'_>) -> Result<(downlink::Call, Duration), Refusal> {
    let invalid = || Refusal::bad("Invalid request body");
    let body: Value = call.json().map_err(|_| invalid())?;
    let (Some(method), Some(params)) = (body["method"].as_str(), body.get("params")) else {
        return Err(invalid());
    };
    if body["persistent"].as_bool() == Some(true) {
        return Err(Refusal::bad(
            "Persistent calls are not served by this target",
        ));
    }
    let limits = call.backend.config.limits;
    let patience = match body.get("timeout") {
        None => limits.rpc_timeout,
        Some(millis) => {
            let seconds = millis.as_f64().unwrap_or(0.0) / 1_000.0;
            Duration::try_from_secs_f64(seconds).unwrap_or_default()
        }
    };
    let wanted = downlink::Call::new(method, params.to_string());
    Ok((wanted, patience.max(limits.rpc_timeout_min)))
}
