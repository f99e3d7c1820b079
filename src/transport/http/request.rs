//! Requests as bytes: the few that a device makes, head and body in one piece.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use secrecy::{ExposeSecret, SecretString};

use crate::model::FaultKind;

/// A POST of a body.
pub(super) fn post(host: &str, path: &SecretString, body: &[u8]) -> Result<BytesMut, FaultKind> {
    let path = checked(path)?;
    let mut out = BytesMut::with_capacity(HEAD + path.len() + host.len() + body.len());
    out.put_slice(b"POST ");
    out.put_slice(path.as_bytes());
    put_common(&mut out, host);
    out.put_slice(b"content-type: application/json\r\ncontent-length: ");
    let _ = write!(out, "{}", body.len());
    out.put_slice(b"\r\n\r\n");
    out.put_slice(body);
    Ok(out)
}

/// A GET that the server may hold for so long.
pub(super) fn poll(host: &str, path: &SecretString, hold: Duration) -> Result<BytesMut, FaultKind> {
    let path = checked(path)?;
    let mut out = BytesMut::with_capacity(HEAD + path.len() + host.len());
    let _ = write!(out, "GET {path}?timeout={}", hold.as_millis());
    put_common(&mut out, host);
    out.put_slice(b"\r\n");
    Ok(out)
}

fn put_common(out: &mut BytesMut, host: &str) {
    out.put_slice(b" HTTP/1.1\r\nhost: ");
    out.put_slice(host.as_bytes());
    out.put_slice(b"\r\naccept: application/json\r\n");
}

/// A path that goes into a request line as it is (RFC 9112 section 3.2.1), and means what it says: a
/// token with `?` or `#` in it would change that.
fn checked(path: &SecretString) -> Result<&str, FaultKind> {
    let path = path.expose_secret();
    let carried = |b: u8| b.is_ascii_graphic() && !b"?#<>`".contains(&b);
    if path.starts_with('/') && path.len() <= PATH_LIMIT && path.bytes().all(carried) {
        return Ok(path);
    }
    Err(FaultKind::CredentialsUnusable)
}

/// Whether a text can be the value of Host.
pub(super) fn is_host(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic())
}

/// Room for all of a head but path and host.
const HEAD: usize = 144;

/// The longest path, in bytes.
const PATH_LIMIT: usize = 64 * 1024 - 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_written_as_rfc_9112_draws_them() {
        let path = SecretString::from("/api/v1/T/telemetry");
        let post = post("h:80", &path, br#"{"t":21.5}"#).unwrap();
        assert_eq!(
            post,
            "POST /api/v1/T/telemetry HTTP/1.1\r\nhost: h:80\r\naccept: application/json\r\n\
             content-type: application/json\r\ncontent-length: 10\r\n\r\n{\"t\":21.5}"
        );
        let poll = poll("h:80", &path, Duration::from_secs(5)).unwrap();
        assert_eq!(
            poll,
            "GET /api/v1/T/telemetry?timeout=5000 HTTP/1.1\r\nhost: h:80\r\n\
             accept: application/json\r\n\r\n"
        );
    }

    #[test]
    fn nothing_in_a_path_ends_its_line() {
        let long = format!("/{}", "a".repeat(PATH_LIMIT));
        for path in [
            "",
            "x",
            "*",
            "/a b",
            "/a\r\nX: y",
            "/a\n",
            "/a\0",
            "/é",
            "/a?b",
            "/a#b",
            &long,
        ] {
            let outcome = post("h", &path.into(), b"{}");
            assert_eq!(outcome, Err(FaultKind::CredentialsUnusable), "{path:?}");
        }
        post("h", &"/a%20b/~-_.!$&'()*+,;=:@".into(), b"{}").unwrap();
    }
}
