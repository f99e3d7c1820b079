//! HTTP answers in the platform's forms: its JSON error body, its plain texts, its empty bodies.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Response, StatusCode};
use thiserror::Error;

use crate::target::backend::Backend;
use crate::target::faults::End;
use crate::target::gson::quote;
use crate::target::telemetry::Bad;

/// An answer with a whole body.
pub(super) type Reply = Response<Full<Bytes>>;

/// There is no answer: the connection is to end so.
#[derive(Clone, Debug, Error)]
#[error("ended without an answer")]
pub(super) struct Withheld(pub(super) End);

impl Withheld {
    /// The connection is closed.
    pub(super) const CLOSED: Self = Self(End::Closed);
}

/// No answer for ever. The web server sees when the peer leaves, and ends this.
pub(super) async fn silent(backend: &Backend) -> Result<Reply, Withheld> {
    match backend.faults.silence() {
        Some(_place) => std::future::pending().await,
        None => Err(Withheld::CLOSED),
    }
}

/// A status without a body.
pub(super) fn empty(status: StatusCode) -> Reply {
    with(status, None, Bytes::new())
}

/// A body of JSON that is declared so.
pub(super) fn json(status: StatusCode, body: String) -> Reply {
    with(status, Some("application/json"), body.into())
}

/// A string as Spring sends it: as plain text, unless the client accepts JSON by name.
pub(super) fn text(status: StatusCode, accept: &HeaderMap, body: Vec<u8>) -> Reply {
    let first = accept
        .get(ACCEPT)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split([',', ';']).next())
        .map_or("", str::trim);
    let kind = if first.eq_ignore_ascii_case("application/json") {
        "application/json"
    } else {
        "text/plain;charset=UTF-8"
    };
    with(status, Some(kind), body.into())
}

/// The platform's error body.
pub(super) fn error(status: StatusCode, code: u8, message: &str) -> Reply {
    let timestamp = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis());
    let mut body = format!("{{\"status\":{},\"message\":", status.as_u16());
    quote(message, &mut body);
    let _ = write!(body, ",\"errorCode\":{code},\"timestamp\":{timestamp}}}");
    json(status, body)
}

/// A request whose body is missing.
pub(super) fn no_body() -> Reply {
    error(
        StatusCode::BAD_REQUEST,
        BAD_REQUEST,
        "Required request body is missing",
    )
}

/// A method that a path does not have.
pub(super) fn wrong_method(method: &hyper::Method) -> Reply {
    error(
        StatusCode::METHOD_NOT_ALLOWED,
        BAD_REQUEST,
        &format!("Request method '{method}' is not supported"),
    )
}

/// A payload that is not accepted: the parser's words, or nothing for deeper trouble.
pub(super) fn bad_payload(accept: &HeaderMap, bad: Bad) -> Reply {
    match bad {
        Bad::Undecodable(text) => {
            self::text(StatusCode::INTERNAL_SERVER_ERROR, accept, text.into_bytes())
        }
        Bad::WrongKind | Bad::Limited => empty(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

/// A pending request that ran into the server's own limit.
pub(super) fn given_up() -> Reply {
    error(
        StatusCode::SERVICE_UNAVAILABLE,
        GENERAL,
        "Async request timed out",
    )
}

fn with(status: StatusCode, kind: Option<&'static str>, body: Bytes) -> Reply {
    let mut reply = Response::new(Full::new(body));
    *reply.status_mut() = status;
    if let Some(kind) = kind {
        reply
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    reply
}

/// The platform's code for a general error.
pub(super) const GENERAL: u8 = 2;
/// The platform's code for bad request parameters.
pub(super) const BAD_REQUEST: u8 = 31;
/// The platform's code for what is not there.
pub(super) const NOT_FOUND: u8 = 32;
