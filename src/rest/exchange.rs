//! One request and its answer, within limits of time and size.

use std::io;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::header::{CONTENT_TYPE, DATE, HeaderMap};
use hyper::{Method, Request, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::timeout;

use super::body::{Begun, Outgoing};
use super::client::Client;
use super::https::cause;
use crate::model::FaultKind;

/// Why a request has no answer.
pub(super) struct Lost {
    /// Whether the server may have got it.
    pub(super) reached: bool,
    pub(super) kind: FaultKind,
    /// In a few words.
    pub(super) why: String,
}

/// An answer.
pub(super) struct Got {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Client {
    /// Sends a request once.
    pub(super) async fn send(
        &self,
        method: &Method,
        path: &str,
        body: Option<Bytes>,
        header: Option<&SecretString>,
        begun: Option<&Begun>,
    ) -> Result<Got, Lost> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url()))
            .header(CONTENT_TYPE, "application/json");
        if let Some(header) = header {
            request = request.header("X-Authorization", header.expose_secret());
        }
        let body = Outgoing::new(body.unwrap_or_default(), begun.cloned());
        let request = request.body(body).map_err(|_| Lost {
            reached: false,
            kind: FaultKind::Io,
            why: "is no address of a request".to_owned(),
        })?;
        let exchange = async {
            let response = self.inner.http.request(request).await.map_err(|error| {
                let reached = !error.is_connect();
                let what = if reached {
                    "gave no answer"
                } else {
                    "cannot be reached"
                };
                Lost {
                    reached,
                    kind: kind(&error),
                    why: format!("{what}: {}", cause(&error)),
                }
            })?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, LONGEST_BODY)
                .collect()
                .await
                .map_err(|error| Lost {
                    reached: true,
                    kind: FaultKind::MalformedPacket,
                    why: format!("its answer broke off or was too long: {error}"),
                })?;
            self.inner.answered.store(true, Relaxed);
            self.set_clock(&head.headers);
            Ok(Got {
                status: head.status,
                headers: head.headers,
                body: body.to_bytes(),
            })
        };
        let limit = self.inner.server.timeout;
        timeout(limit, exchange).await.unwrap_or_else(|_| {
            Err(Lost {
                reached: true,
                kind: FaultKind::Timeout,
                why: format!("no answer within {}", humantime::format_duration(limit)),
            })
        })
    }

    fn set_clock(&self, headers: &HeaderMap) {
        let date = headers.get(DATE).and_then(|date| date.to_str().ok());
        let its = date.and_then(|date| httpdate::parse_http_date(date).ok());
        if let (Some(its), Some(ours)) = (its.and_then(ms), ms(SystemTime::now())) {
            // It tells whole seconds: on average half a second more.
            self.inner.ahead.store(its + 500 - ours, Relaxed);
        }
    }
}

/// Milliseconds since 1970.
fn ms(time: SystemTime) -> Option<i64> {
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok()
}

/// The kind of an error, as far as a kernel's error tells.
fn kind(error: &(dyn std::error::Error + 'static)) -> FaultKind {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return match io.kind() {
                io::ErrorKind::ConnectionRefused => FaultKind::ConnectionRefused,
                io::ErrorKind::TimedOut => FaultKind::Timeout,
                io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                    FaultKind::Unreachable
                }
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                    FaultKind::ConnectionReset
                }
                io::ErrorKind::UnexpectedEof => FaultKind::ConnectionClosed,
                _ => FaultKind::Io,
            };
        }
        if let Some(hyper) = error.downcast_ref::<hyper::Error>()
            && (hyper.is_incomplete_message() || hyper.is_canceled() || hyper.is_closed())
        {
            return FaultKind::ConnectionClosed;
        }
        next = error.source();
    }
    FaultKind::Io
}

/// No answer that is asked for is longer: an import's errors are 100 bytes a row.
const LONGEST_BODY: usize = 32 << 20;
