//! One HTTP/1.1 connection of a device at a time, over TCP or TLS: kept alive, and a new one when the
//! server closed it. No pool, no redirects, no retries of what may have been sent.
//!
//! It is our own over httparse, see `docs/adr/0006-own-http-connection.md`.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use tokio::time::{Instant, Sleep, timeout_at};

use crate::model::{FaultKind, Status};
use crate::transport::dial::{Dial, tcp};
use crate::transport::timer::poll_at;
use crate::transport::tls::Terms;
use crate::transport::wire::Wire;
use crate::transport::{Exchanged, Fault, Span};

use super::link::Link;
use super::request::is_host;

/// A way to the server: at most one connection at a time.
#[derive(Debug)]
pub(super) struct Line {
    /// `None` before the first request, after an exchange that left it out of step, and once the
    /// server closed it.
    link: Option<Link>,
    addr: SocketAddr,
    source: Option<IpAddr>,
    /// For each new connection the same; `None` without TLS.
    terms: Option<Terms>,
    connect_timeout: Duration,
    answer_timeout: Duration,
    host: Box<str>,
}

impl Line {
    /// Over a connected wire; `terms` are those of its handshake.
    pub(super) fn new(
        wire: Wire,
        dial: &Dial,
        source: Option<IpAddr>,
        terms: Option<Terms>,
    ) -> Self {
        let host = if is_host(&dial.host) {
            dial.host.as_str().into()
        } else {
            dial.addr.to_string().into()
        };
        Self {
            link: Some(Link::new(wire)),
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
            addr: self.addr,
            source: self.source,
            terms: self.terms.clone(),
            connect_timeout: self.connect_timeout,
            answer_timeout: self.answer_timeout,
            host: self.host.clone(),
        }
    }

    /// The value of Host.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Sends a request and waits for its answer, for so long on top of `answer_timeout`.
    pub(super) async fn ask(
        &mut self,
        request: BytesMut,
        hold: Duration,
    ) -> Result<Exchanged, Fault> {
        let mut link = self.ready_link().await.map_err(Fault::before)?;
        let sent = Instant::now();
        let mut left = false;
        let round_trip = link.round_trip(request, &mut left);
        let came = timeout_at(sent + hold + self.answer_timeout, round_trip).await;
        match came.unwrap_or(Err(FaultKind::Timeout)) {
            Ok(answer) => {
                let done = Instant::now();
                if answer.keeps {
                    self.link = Some(link);
                } else {
                    link.close().await;
                }
                let status = Status::Http(answer.status);
                Ok(Exchanged::new(status, answer.body, Span { sent, done }))
            }
            // The connection goes with `link`: nobody knows what is still on its way in it.
            Err(kind) => Err(Fault { kind, sent: left }),
        }
    }

    /// Ends by a reset.
    pub(super) fn sever(self) {
        if let Some(link) = self.link {
            link.sever();
        }
    }

    /// Waits, and lets go of a connection that the server closes meanwhile; the task is woken then,
    /// and at the deadline.
    pub(super) fn poll_idle(
        &mut self,
        deadline: Instant,
        timer: Pin<&mut Sleep>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        if deadline <= Instant::now() {
            // Who is late needs no timer. The next request looks at the connection.
            return Poll::Ready(());
        }
        if let Some(link) = &mut self.link
            && link.poll_unasked(cx).is_ready()
        {
            self.link = None;
        }
        poll_at(deadline, timer, cx)
    }

    /// Closes: over TLS with close_notify, then by FIN.
    pub(super) async fn close(self) {
        if let Some(link) = self.link {
            link.close().await;
        }
    }

    /// The connection if it is still good, else a new one. Taken out of `self`: an exchange that
    /// is dropped half-way leaves no connection behind that is out of step.
    async fn ready_link(&mut self) -> Result<Link, FaultKind> {
        if let Some(mut link) = self.link.take() {
            match link.look().await {
                Ok(()) => return Ok(link),
                Err(kind) if link.is_rejected(kind) => return Err(kind),
                // Nothing of the request is in it: it is free to go into another one.
                Err(_) => {}
            }
        }
        let (stream, _) = tcp(self.addr, self.source, self.connect_timeout).await?;
        let terms = self.terms.clone();
        let (wire, _) = Wire::over(stream, terms, self.connect_timeout).await?;
        let mut link = Link::new(wire);
        link.look().await?;
        Ok(link)
    }
}
