//! The device API below `/api/v1/{token}/`.

use std::sync::Arc;
use std::time::Duration;

use hyper::header::HeaderMap;
use hyper::{Method, StatusCode};
use serde_json::Value;
use tokio::time::{Instant, sleep, sleep_until};

use super::listener::Shared;
use super::reply::{
    BAD_REQUEST, Reply, Withheld, bad_payload, empty, error, given_up, json, no_body, silent,
    wrong_method,
};
use super::route::parameter;
use crate::target::attributes;
use crate::target::backend::Backend;
use crate::target::counts::bump;
use crate::target::device::Device;
use crate::target::downlink::Interest;
use crate::target::faults::{End, Fate, Load, Trouble, noise};
use crate::target::telemetry::{Bad, Reading, client_rpc};

/// A request of a device.
pub(super) struct Asked<'a> {
    pub(super) token: &'a str,
    /// The path after the token.
    pub(super) what: &'a [&'a str],
    pub(super) method: &'a Method,
    pub(super) query: &'a str,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
}

/// Whether there is such a path at all.
pub(super) fn exists(what: &[&str]) -> bool {
    matches!(
        what,
        ["telemetry" | "attributes" | "rpc" | "claim" | "firmware" | "software"]
            | ["attributes", "updates"]
            | ["rpc", _]
    )
}

impl Asked<'_> {
    /// Answers it. Form comes before identity, identity before content.
    pub(super) async fn answer(&self, shared: &Shared) -> Result<Reply, Withheld> {
        let backend = &*shared.backend;
        let body_wanted = match (self.what, self.method) {
            (["telemetry" | "attributes" | "rpc"] | ["rpc", _], &Method::POST) => true,
            (["claim"], &Method::POST)
            | (
                ["attributes" | "rpc" | "firmware" | "software"] | ["attributes", _],
                &Method::GET,
            ) => false,
            (_, method) => return Ok(wrong_method(method)),
        };
        if body_wanted && self.body.is_empty() {
            return Ok(no_body());
        }
        let Some(device) = backend.registry.by_token(self.token) else {
            bump(&backend.tally.bad_logins);
            return Ok(empty(StatusCode::UNAUTHORIZED));
        };
        let is_data = matches!(self.what, ["telemetry" | "attributes"]);
        if is_data && self.method == Method::POST {
            return self.data(&device, backend).await;
        }
        if backend.pass(&device, Load::Message).is_err() {
            // What waits for an answer gets none (section 6.2).
            return Ok(match (self.what, self.method) {
                (_, &Method::GET) | (["rpc"], _) => {
                    sleep(backend.config.limits.http_async).await;
                    given_up()
                }
                _ => empty(StatusCode::INTERNAL_SERVER_ERROR),
            });
        }
        let done = match (self.what, self.method) {
            (["attributes"], _) => return Ok(self.attributes(&device)),
            (["attributes", _], &Method::GET) => {
                return Ok(self.poll(&device, Interest::Updates, backend).await);
            }
            (["rpc"], &Method::GET) => {
                return Ok(self.poll(&device, Interest::Calls, backend).await);
            }
            (["rpc"], _) => match backend.judged(client_rpc(self.body)) {
                Ok((method, params)) => match backend.answer_to(&method, &params) {
                    Some(answer) => return Ok(answered(&device, answer, backend).await),
                    None => return Ok(self.nothing(backend).await),
                },
                Err(bad) => Err(bad),
            },
            (["rpc", id], _) => backend.judged(match id.parse() {
                Ok(id) => {
                    backend.reply(&device, id, self.body);
                    Ok(())
                }
                Err(_) => Err(Bad::WrongKind),
            }),
            (["claim"], _) => backend.claim(self.body),
            // No package is assigned to any device.
            _ => return Ok(empty(StatusCode::NOT_FOUND)),
        };
        Ok(match done {
            Ok(()) => empty(StatusCode::OK),
            Err(bad) => bad_payload(self.headers, bad),
        })
    }

    /// Takes telemetry or attributes in, and answers as the faults have it.
    async fn data(&self, device: &Device, backend: &Backend) -> Result<Reply, Withheld> {
        let Trouble { fate, delay } = backend.trouble(device).unwrap_or_default();
        match fate {
            Fate::Refused => return Ok(empty(StatusCode::INTERNAL_SERVER_ERROR)),
            Fate::Disconnected => return Err(Withheld::CLOSED),
            Fate::Reset => return Err(Withheld(End::Reset)),
            Fate::Silent => return silent(backend).await,
            Fate::Served | Fate::Lost | Fate::Garbage => {}
        }
        let done = match self.what {
            ["telemetry"] => match backend.telemetry(device, self.body) {
                Ok(Reading::Nothing) => return Ok(self.nothing(backend).await),
                reading => reading.map(|_| ()),
            },
            _ => backend.attributes(device, self.body),
        };
        if !delay.is_zero() {
            sleep(delay).await;
        }
        match (done, fate) {
            (Err(bad), _) => Ok(bad_payload(self.headers, bad)),
            (Ok(()), Fate::Lost) => silent(backend).await,
            (Ok(()), Fate::Garbage) => {
                let noise = noise(backend.config.seed, &device.name);
                Err(Withheld(End::Noise(noise)))
            }
            (Ok(()), _) => Ok(empty(StatusCode::OK)),
        }
    }

    fn attributes(&self, device: &Device) -> Reply {
        let asked = attributes::Asked {
            client: parameter(self.query, "clientKeys").filter(|names| !names.is_empty()),
            shared: parameter(self.query, "sharedKeys").filter(|names| !names.is_empty()),
        };
        let answer = Value::Object(Backend::asked(device, &asked));
        json(StatusCode::OK, answer.to_string())
    }

    /// A long poll: ends with the next message, or without one.
    async fn poll(&self, device: &Arc<Device>, interest: Interest, backend: &Backend) -> Reply {
        let timeout = match parameter(self.query, "timeout").map(|text| text.parse::<u64>()) {
            None | Some(Ok(0)) => POLL,
            Some(Ok(millis)) => Duration::from_millis(millis),
            Some(Err(_)) => {
                let status = StatusCode::BAD_REQUEST;
                return error(status, BAD_REQUEST, "timeout is not a number");
            }
        };
        let limit = backend.config.limits.http_async;
        let end = Instant::now() + timeout.min(limit);
        let mut push = backend.poll(device, interest, timeout.min(limit)).await;
        if push.is_some() {
            match backend.held_back(device) {
                Some(delay) if delay.is_zero() => {}
                Some(delay) => sleep(delay).await,
                None => {
                    push = None;
                    sleep_until(end).await;
                }
            }
        }
        match push {
            Some(push) => json(StatusCode::OK, push.body_with_id()),
            None if timeout < limit => empty(StatusCode::REQUEST_TIMEOUT),
            None => given_up(),
        }
    }

    /// The platform never answers: its web server does in the end.
    async fn nothing(&self, backend: &Backend) -> Reply {
        let limits = backend.config.limits;
        if self.what == ["rpc"] && limits.client_rpc < limits.http_async {
            sleep(limits.client_rpc).await;
            return json(StatusCode::OK, r#"{"error":"timeout"}"#.to_owned());
        }
        sleep(limits.http_async).await;
        given_up()
    }
}

/// The answer to a device's call, as the faults of the downlink have it.
async fn answered(device: &Device, answer: String, backend: &Backend) -> Reply {
    let Some(delay) = backend.held_back(device) else {
        sleep(backend.config.limits.http_async).await;
        return given_up();
    };
    if !delay.is_zero() {
        sleep(delay).await;
    }
    json(StatusCode::OK, answer)
}

/// How long a poll waits if the client does not say.
const POLL: Duration = Duration::from_mins(1);
