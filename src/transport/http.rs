//! HTTP/1.1 as a device speaks it: POST after POST on one connection that is kept alive, or on a
//! new one when the server closed it. No pool, no redirects, no retries of what may have been sent.
//!
//! hyper's connection is driven by the exchange itself and not by a task of its own: the request
//! leaves at the moment that is stamped, and a device costs no second task.

use std::error::Error as _;
use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Body;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Uri};
use hyper_util::rt::TokioIo;
use secrecy::ExposeSecret;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::model::{FaultKind, Request, Route, Status};

use super::dial::{Dial, tcp};
use super::fault::io_kind;
use super::{Exchanged, Fault, Span};

/// A device's HTTP client: at most one connection at a time.
#[derive(Debug)]
pub struct Client {
    /// `None` once closed, by either side.
    wire: Option<Wire>,
    addr: SocketAddr,
    source: Option<IpAddr>,
    connect_timeout: Duration,
    answer_timeout: Duration,
    host: HeaderValue,
}

impl Client {
    /// Takes over a connected stream.
    pub(super) async fn new(stream: TcpStream, dial: &Dial, source: Option<IpAddr>) -> Self {
        let host = HeaderValue::from_str(&dial.host)
            .or_else(|_| HeaderValue::from_str(&dial.addr.to_string()))
            .expect("an address is made of visible ASCII");
        Self {
            wire: Wire::new(stream).await,
            addr: dial.addr,
            source,
            connect_timeout: dial.connect_timeout,
            answer_timeout: dial.answer_timeout,
            host,
        }
    }

    /// See [`Connection::exchange`](super::Connection::exchange).
    pub(super) async fn exchange(&mut self, request: &Request) -> Result<Exchanged, Fault> {
        let mut message = self.message(request).map_err(Fault::before)?;
        let mut wire = self.ready_wire().await.map_err(Fault::before)?;
        let mut fresh = false;
        loop {
            let sent = Instant::now();
            let round_trip = wire.round_trip(message);
            let kind = match timeout_at(sent + self.answer_timeout, round_trip).await {
                Ok(Ok((status, body, done))) => {
                    self.wire = Some(wire);
                    let status = Status::Http(status);
                    return Ok(Exchanged::new(status, body, Span { sent, done }));
                }
                Ok(Err(Trouble::NotSent(unsent))) if !fresh => {
                    message = *unsent;
                    wire = self.new_wire().await.map_err(Fault::before)?;
                    fresh = true;
                    continue;
                }
                Ok(Err(Trouble::NotSent(_))) => {
                    return Err(Fault::before(FaultKind::ConnectionClosed));
                }
                Ok(Err(Trouble::Kind(kind))) => kind,
                Err(_) => FaultKind::Timeout,
            };
            // The connection goes with `wire`: nobody knows what is still on its way in it.
            return Err(Fault { kind, sent: true });
        }
    }

    /// Waits, and lets go of a connection that the server closes meanwhile.
    pub(super) async fn idle_until(&mut self, deadline: Instant) {
        if let Some(wire) = &mut self.wire {
            drive(&mut wire.connection, sleep_until(deadline)).await;
            if wire.connection.is_none() {
                self.wire = None;
            }
        } else {
            sleep_until(deadline).await;
        }
    }

    fn message(&self, request: &Request) -> Result<Message, FaultKind> {
        let Route::Resource { path } = &request.route else {
            debug_assert!(false, "an HTTP client was given a topic");
            return Err(FaultKind::Io);
        };
        let path = path.expose_secret();
        // A token with these characters would change what the path means.
        if !path.starts_with('/') || path.contains(['?', '#']) {
            return Err(FaultKind::CredentialsUnusable);
        }
        let uri = Uri::try_from(path).map_err(|_| FaultKind::CredentialsUnusable)?;
        let json = HeaderValue::from_static("application/json");
        let mut message = Message::new(Full::new(request.body.clone()));
        *message.method_mut() = Method::POST;
        *message.uri_mut() = uri;
        message.headers_mut().insert(HOST, self.host.clone());
        message.headers_mut().insert(CONTENT_TYPE, json.clone());
        message.headers_mut().insert(ACCEPT, json);
        Ok(message)
    }

    /// The connection if it is still good, else a new one. Taken out of `self`: an exchange that
    /// is dropped half-way leaves no connection behind that is out of step.
    async fn ready_wire(&mut self) -> Result<Wire, FaultKind> {
        if let Some(mut wire) = self.wire.take() {
            let by = Instant::now() + self.answer_timeout;
            let ready = drive(&mut wire.connection, wire.sender.ready());
            if timeout_at(by, ready).await.is_ok_and(|ready| ready.is_ok())
                && wire.connection.is_some()
            {
                return Ok(wire);
            }
        }
        self.new_wire().await
    }

    async fn new_wire(&self) -> Result<Wire, FaultKind> {
        let (stream, _) = tcp(self.addr, self.source, self.connect_timeout).await?;
        Wire::new(stream).await.ok_or(FaultKind::ConnectionClosed)
    }
}

/// One connection: the two ends that hyper splits it into.
#[derive(Debug)]
struct Wire {
    sender: http1::SendRequest<Full<Bytes>>,
    /// `None` when it ended.
    connection: Option<http1::Connection<TokioIo<TcpStream>, Full<Bytes>>>,
}

impl Wire {
    /// Sends nothing yet.
    async fn new(stream: TcpStream) -> Option<Self> {
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(HEAD_LIMIT)
            .handshake(TokioIo::new(stream))
            .await
            .ok()?;
        Some(Self {
            sender,
            connection: Some(connection),
        })
    }

    async fn round_trip(&mut self, message: Message) -> Result<(u16, Bytes, Instant), Trouble> {
        let response = self.sender.try_send_request(message);
        let whole = async {
            let response = response.await.map_err(|mut e| match e.take_message() {
                Some(message) => Trouble::NotSent(Box::new(message)),
                None => Trouble::Kind(hyper_kind(e.error())),
            })?;
            let status = response.status().as_u16();
            let body = response.into_body();
            if body.size_hint().lower() > BODY_LIMIT as u64 {
                return Err(Trouble::Kind(FaultKind::PacketTooLarge));
            }
            let body = Limited::new(body, BODY_LIMIT)
                .collect()
                .await
                .map_err(|e| Trouble::Kind(body_kind(&*e)))?;
            Ok((status, body.to_bytes(), Instant::now()))
        };
        drive(&mut self.connection, whole).await
    }
}

/// Polls a future together with the connection that it depends on, if that still runs.
async fn drive<F: Future>(
    connection: &mut Option<http1::Connection<TokioIo<TcpStream>, Full<Bytes>>>,
    work: F,
) -> F::Output {
    let mut work = pin!(work);
    poll_fn(|cx| {
        if let Some(running) = connection
            && let Poll::Ready(_) = Pin::new(running).poll(cx)
        {
            // How it ended reaches the work by hyper's own channels.
            *connection = None;
        }
        work.as_mut().poll(cx)
    })
    .await
}

/// Why there is no answer.
enum Trouble {
    /// The connection was closed before hyper began to write: the request is free to go again.
    NotSent(Box<Message>),
    Kind(FaultKind),
}

fn body_kind(error: &(dyn std::error::Error + Send + Sync + 'static)) -> FaultKind {
    if error.is::<LengthLimitError>() {
        return FaultKind::PacketTooLarge;
    }
    error
        .downcast_ref::<hyper::Error>()
        .map_or(FaultKind::Io, hyper_kind)
}

fn hyper_kind(error: &hyper::Error) -> FaultKind {
    let io = error
        .source()
        .and_then(|source| source.downcast_ref::<std::io::Error>());
    match io {
        // hyper's words for chunks that are none.
        Some(io)
            if matches!(
                io.kind(),
                std::io::ErrorKind::InvalidInput | std::io::ErrorKind::InvalidData
            ) =>
        {
            FaultKind::MalformedPacket
        }
        Some(io) => io_kind(io),
        None if error.is_parse_too_large() => FaultKind::PacketTooLarge,
        None if error.is_parse() => FaultKind::MalformedPacket,
        None if error.is_incomplete_message() || error.is_closed() || error.is_canceled() => {
            FaultKind::ConnectionClosed
        }
        None => FaultKind::Io,
    }
}

type Message = hyper::Request<Full<Bytes>>;

/// The longest status line and headers of an answer, in bytes.
const HEAD_LIMIT: usize = 64 * 1024;

/// The longest body of an answer, in bytes.
const BODY_LIMIT: usize = 256 * 1024;
