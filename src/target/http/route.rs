//! Sorts requests by path and method, and reads their bodies within limits.

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_LENGTH, HeaderMap};
use hyper::{Method, Request, StatusCode};

use super::listener::Shared;
use super::reply::{self, Reply, Withheld, error, wrong_method};
use super::{device, provision, rest};
use crate::target::counts::bump;

/// Answers one request, or closes the connection instead.
pub(super) async fn route(request: Request<Incoming>, shared: &Shared) -> Result<Reply, Withheld> {
    bump(&shared.backend.tally.http_requests);
    let (head, body) = request.into_parts();
    let path: Vec<String> = head.uri.path()[1.min(head.uri.path().len())..]
        .split('/')
        .map(decoded)
        .collect();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let limits = shared.backend.config.limits;
    let limit = match path[..] {
        ["api", "v1", _, "rpc", ..] => limits.http_rpc_body,
        ["api", "v1", ..] => limits.http_body,
        ["api", ..] => REST_BODY,
        _ => limits.http_body,
    };
    let body = match read(&head.headers, body, limit).await {
        Read::Whole(body) => body,
        Read::TooLarge => {
            let text = format!("\"Payload size exceeds the limit of {limit} bytes\"");
            return Ok(reply::json(StatusCode::PAYLOAD_TOO_LARGE, text));
        }
        Read::BrokenOff => return Err(Withheld::CLOSED),
    };
    match (path.as_slice(), &head.method) {
        (["api", "v1", "provision"], &Method::POST) => {
            provision::answer(&head.headers, &body, shared).await
        }
        (["api", "v1", "provision"], method) => Ok(wrong_method(method)),
        (["api", "v1", token, what @ ..], method) if device::exists(what) => {
            let asked = device::Asked {
                token,
                what,
                method,
                query: head.uri.query().unwrap_or(""),
                headers: &head.headers,
                body: &body,
            };
            asked.answer(shared).await
        }
        (["api", what @ ..], method) if !matches!(what, ["v1", ..]) => {
            let call = rest::Call {
                method,
                path: what,
                query: head.uri.query().unwrap_or(""),
                headers: &head.headers,
                body: &body,
                backend: &shared.backend,
            };
            Ok(rest::answer(call).await)
        }
        _ => Ok(error(
            StatusCode::NOT_FOUND,
            reply::NOT_FOUND,
            "No such resource",
        )),
    }
}

/// The largest body of the REST API, bytes; releases before 3.8 had no limit, and this protects the
/// target's own memory.
const REST_BODY: u64 = 16_777_216;

/// What came of a body.
enum Read {
    Whole(Bytes),
    TooLarge,
    BrokenOff,
}

async fn read(headers: &HeaderMap, body: Incoming, limit: u64) -> Read {
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > limit) {
        return Read::TooLarge;
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    match Limited::new(body, limit).collect().await {
        Ok(whole) => Read::Whole(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Read::TooLarge,
        Err(_) => Read::BrokenOff,
    }
}

/// A part of a path or query with its `%xx` resolved; what is no escape stays as it is.
pub(super) fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        out.push(escape.unwrap_or(bytes[at]));
        at += if escape.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// A parameter of a query.
pub(super) fn parameter(query: &str, name: &str) -> Option<String> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(key) == name).then(|| decoded(&value.replace('+', " ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_queries_are_decoded() {
        for (text, meant) in [
            ("a%20b", "a b"),
            ("%C3%BC", "ü"),
            ("100%", "100%"),
            ("%zz%4", "%zz%4"),
            ("%é", "%é"),
        ] {
            assert_eq!(decoded(text), meant);
        }
        let query = "clientKeys=a%2Cb&x&timeout=5";
        assert_eq!(parameter(query, "clientKeys").as_deref(), Some("a,b"));
        assert_eq!(parameter(query, "x").as_deref(), Some(""));
        assert_eq!(parameter(query, "sharedKeys"), None);
    }
}
