//! One HTTP/1.1 connection of a device at a time, over TCP or TLS: kept alive, and a new one when the
//! server closed it. No pool, no redirects, no retries of what may have been sent.
//!
//! hyper's connection is driven by whoever waits and not by a task of its own: the request
//! leaves at the moment that is stamped, and a device costs no second task. Between requests a
//! device that waits keeps its wire and not hyper's buffers.

use std::error::Error as _;
use std::future::{pending, poll_fn};
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Body;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Uri};
use hyper_util::rt::TokioIo;
use secrecy::{ExposeSecret, SecretString};
use tokio::io::Interest;
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use crate::model::{FaultKind, Status};
use crate::transport::dial::{Dial, tcp};
use crate::transport::fault::io_kind;
use crate::transport::tls::Terms;
use crate::transport::wire::Wire;
use crate::transport::{Exchanged, Fault, Span};

/// A way to the server: at most one connection at a time.
#[derive(Debug)]
pub(super) struct Line {
    /// `None` after an exchange that left it out of step, and while it rests.
    link: Option<Link>,
    /// A connection on which nothing is under way, without hyper and its buffers.
    resting: Option<Wire>,
    addr: SocketAddr,
    source: Option<IpAddr>,
    /// For each new connection the same; `None` without TLS.
    terms: Option<Terms>,
    connect_timeout: Duration,
    answer_timeout: Duration,
    host: HeaderValue,
}

impl Line {
    /// Over a connected wire; `terms` are those of its handshake.
    pub(super) async fn new(
        wire: Wire,
        dial: &Dial,
        source: Option<IpAddr>,
        terms: Option<Terms>,
    ) -> Self {
        let host = HeaderValue::from_str(&dial.host)
            .or_else(|_| HeaderValue::from_str(&dial.addr.to_string()))
            .expect("an address is made of visible ASCII");
        Self {
            link: Link::new(wire).await,
            resting: None,
            addr: dial.addr,
            source,
            terms,
            connect_timeout: dial.connect_timeout,
            answer_timeout: dial.answer_timeout,
            host,
        }
    }

    /// The same without a connection: the first request opens it.
    pub(super) fn beside(&self) -> Self {
        Self {
            link: None,
            resting: None,
            addr: self.addr,
            source: self.source,
            terms: self.terms.clone(),
            connect_timeout: self.connect_timeout,
            answer_timeout: self.answer_timeout,
            host: self.host.clone(),
        }
    }

    /// Sends a request and waits for its answer, for so long on top of `answer_timeout`.
    pub(super) async fn ask(
        &mut self,
        mut message: Message,
        hold: Duration,
    ) -> Result<Exchanged, Fault> {
        let mut link = self.ready_link().await.map_err(Fault::before)?;
        let mut fresh = false;
        loop {
            let sent = Instant::now();
            let round_trip = link.round_trip(message);
            let kind = match timeout_at(sent + hold + self.answer_timeout, round_trip).await {
                Ok(Ok((status, body, done))) => {
                    link.used = true;
                    self.link = Some(link);
                    let status = Status::Http(status);
                    return Ok(Exchanged::new(status, body, Span { sent, done }));
                }
                Ok(Err(Trouble::NotSent(_))) if fresh || link.is_rejected() => {
                    let kind = link.carrier.ended.unwrap_or(FaultKind::ConnectionClosed);
                    return Err(Fault::before(kind));
                }
                Ok(Err(Trouble::NotSent(unsent))) => {
                    message = *unsent;
                    link = self.new_link().await.map_err(Fault::before)?;
                    fresh = true;
                    continue;
                }
                Ok(Err(Trouble::Kind(kind))) => kind,
                Err(_) => FaultKind::Timeout,
            };
            // The connection goes with `link`: nobody knows what is still on its way in it.
            return Err(Fault { kind, sent: true });
        }
    }

    /// Ends by a reset.
    pub(super) fn sever(self) {
        let running = self.link.and_then(|link| link.carrier.running);
        let used = running.map(|connection| connection.into_parts().io.into_inner());
        for wire in self.resting.into_iter().chain(used) {
            wire.abort();
        }
    }

    /// Waits, and lets go of a connection that the server closes meanwhile. Cancel-safe.
    pub(super) async fn idle_until(&mut self, deadline: Instant) {
        if deadline.saturating_duration_since(Instant::now()) >= WORTH_RESTING {
            self.rest().await;
        }
        let wait = sleep_until(deadline);
        if let Some(link) = &mut self.link {
            return link.carrier.drive(wait).await;
        }
        let ended = async {
            match &mut self.resting {
                Some(wire) => until_ended(wire).await,
                None => pending().await,
            }
        };
        let over = tokio::select! {
            () = ended => true,
            () = wait => false,
        };
        if over {
            self.resting = None;
            sleep_until(deadline).await;
        }
    }

    /// Closes: over TLS with close_notify, then by FIN.
    pub(super) async fn close(self) {
        let running = self.link.and_then(|link| link.carrier.running);
        let wire = running.map(|running| running.into_parts().io.into_inner());
        if let Some(mut wire) = wire.or(self.resting) {
            let _ = timeout(CLOSE_WITHIN, wire.shut()).await;
        }
    }

    /// Takes a connection out of hyper once nothing is under way on it: hyper's buffers are most of
    /// what an idle device would hold. Never waits.
    async fn rest(&mut self) {
        let Some(link) = &mut self.link else { return };
        if !poll_fn(|cx| Poll::Ready(link.is_at_rest(cx))).await {
            return;
        }
        if let Some(running) = self.link.take().and_then(|link| link.carrier.running) {
            let parts = running.into_parts();
            // What came unasked for belongs to no request.
            self.resting = Some(parts.io.into_inner()).filter(|_| parts.read_buf.is_empty());
        }
    }

    /// A POST of a body.
    pub(super) fn post(&self, path: &SecretString, body: Bytes) -> Result<Message, FaultKind> {
        let mut message = self.message(uri(path, "")?, body);
        *message.method_mut() = Method::POST;
        message.headers_mut().insert(CONTENT_TYPE, JSON);
        Ok(message)
    }

    /// A GET that the server may hold for so long.
    pub(super) fn poll(&self, path: &SecretString, hold: Duration) -> Result<Message, FaultKind> {
        let uri = uri(path, &format!("?timeout={}", hold.as_millis()))?;
        Ok(self.message(uri, Bytes::new()))
    }

    fn message(&self, uri: Uri, body: Bytes) -> Message {
        let mut message = Message::new(Full::new(body));
        *message.uri_mut() = uri;
        message.headers_mut().insert(HOST, self.host.clone());
        message.headers_mut().insert(ACCEPT, JSON);
        message
    }

    /// The connection if it is still good, else a new one. Taken out of `self`: an exchange that
    /// is dropped half-way leaves no connection behind that is out of step.
    async fn ready_link(&mut self) -> Result<Link, FaultKind> {
        if let Some(mut wire) = self.resting.take() {
            let mut unasked = BytesMut::new();
            if wire.read_into(&mut unasked).is_ok()
                && unasked.is_empty()
                && let Some(mut link) = Link::new(wire).await
            {
                link.used = true;
                return Ok(link);
            }
        }
        if let Some(mut link) = self.link.take() {
            let by = Instant::now() + self.answer_timeout;
            let ready = link.carrier.drive(link.sender.ready());
            if timeout_at(by, ready).await.is_ok_and(|ready| ready.is_ok())
                && link.carrier.running.is_some()
            {
                return Ok(link);
            }
            if let (Some(kind), true) = (link.carrier.ended, link.is_rejected()) {
                return Err(kind);
            }
        }
        self.new_link().await
    }

    async fn new_link(&self) -> Result<Link, FaultKind> {
        let within = self.connect_timeout;
        let (stream, _) = tcp(self.addr, self.source, within).await?;
        let (wire, _) = Wire::over(stream, self.terms.clone(), within).await?;
        Link::new(wire).await.ok_or(FaultKind::ConnectionClosed)
    }
}

/// One connection: the two ends that hyper splits it into.
#[derive(Debug)]
struct Link {
    sender: http1::SendRequest<Full<Bytes>>,
    carrier: Carrier,
    /// Whether it ever brought an answer.
    used: bool,
}

impl Link {
    /// Sends nothing yet.
    async fn new(wire: Wire) -> Option<Self> {
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(HEAD_LIMIT)
            .handshake(TokioIo::new(wire))
            .await
            .ok()?;
        let carrier = Carrier {
            running: Some(connection),
            ended: None,
        };
        Some(Self {
            sender,
            carrier,
            used: false,
        })
    }

    /// Whether an answer came, all of it, and the connection may serve the next request.
    fn is_at_rest(&mut self, cx: &mut Context<'_>) -> bool {
        self.used
            && self.carrier.poll(cx)
            && matches!(self.sender.poll_ready(cx), Poll::Ready(Ok(())))
    }

    /// Whether the server ended it by an alert before the first answer, as it does in TLS 1.3 when
    /// it does not take the client's certificate: a new connection would fare no better.
    fn is_rejected(&self) -> bool {
        !self.used && matches!(self.carrier.ended, Some(FaultKind::TlsAlert(_)))
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
        self.carrier.drive(whole).await
    }
}

/// What moves a connection's bytes, whenever it is polled.
#[derive(Debug)]
struct Carrier {
    /// `None` when it ended.
    running: Option<http1::Connection<TokioIo<Wire>, Full<Bytes>>>,
    /// By what it ended, if not in good order.
    ended: Option<FaultKind>,
}

impl Carrier {
    /// Polls a future together with the connection that it depends on, if that still runs.
    async fn drive<F: Future>(&mut self, work: F) -> F::Output {
        let mut work = pin!(work);
        poll_fn(|cx| {
            self.poll(cx);
            work.as_mut().poll(cx)
        })
        .await
    }

    /// Moves what can be moved; whether the connection still runs.
    fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        if let Some(running) = &mut self.running
            && let Poll::Ready(end) = Pin::new(running).poll(cx)
        {
            // It reaches whoever waits for an answer by hyper's own channels, too.
            self.ended = end.err().map(|e| hyper_kind(&e));
            self.running = None;
        }
        self.running.is_some()
    }
}

/// Waits until the server closes a resting connection, or says what nobody asked for.
async fn until_ended(wire: &mut Wire) {
    let mut unasked = BytesMut::new();
    while unasked.is_empty() {
        // Readiness that is there already would never yield.
        consume_budget().await;
        if wire.ready(Interest::READABLE).await.is_err() || wire.read_into(&mut unasked).is_err() {
            return;
        }
    }
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

fn uri(path: &SecretString, query: &str) -> Result<Uri, FaultKind> {
    let path = path.expose_secret();
    // A token with these characters would change what the path means.
    if !path.starts_with('/') || path.contains(['?', '#']) {
        return Err(FaultKind::CredentialsUnusable);
    }
    Uri::try_from(format!("{path}{query}")).map_err(|_| FaultKind::CredentialsUnusable)
}

/// A request as hyper takes it.
pub(super) type Message = hyper::Request<Full<Bytes>>;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The longest status line and headers of an answer, in bytes.
const HEAD_LIMIT: usize = 64 * 1024;

/// The longest body of an answer, in bytes.
const BODY_LIMIT: usize = 256 * 1024;

/// A shorter wait does not pay for taking a connection out of hyper and into another one. No more devices
/// than a machine has requests in that time keep hyper's buffers.
const WORTH_RESTING: Duration = Duration::from_millis(100);

/// For close_notify and the FIN.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);
