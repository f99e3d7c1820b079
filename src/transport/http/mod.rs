//! HTTP/1.1 as a device speaks it: one `line` for what it says, POST after POST, and for what it hears
//! `polls` with lines of their own.

mod answer;
mod chunks;
mod head;
mod line;
mod link;
mod polls;
mod request;

use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use crate::model::{FaultKind, Request, Route, Subscription};

use self::line::Line;
use self::polls::Polls;
use super::dial::Dial;
use super::inbox::Delivery;
use super::tls::Terms;
use super::wire::Wire;
use super::{Exchanged, Fault};

/// A device's HTTP client.
#[derive(Debug)]
pub struct Client {
    line: Line,
    /// `None` while it hears nothing.
    polls: Option<Box<Polls>>,
}

impl Client {
    /// Takes over a connected wire; `terms` are those of its handshake.
    pub(super) fn new(
        wire: Wire,
        dial: &Dial,
        source: Option<IpAddr>,
        terms: Option<Terms>,
    ) -> Self {
        Self {
            line: Line::new(wire, dial, source, terms),
            polls: None,
        }
    }

    /// See [`Connection::exchange`](super::Connection::exchange).
    pub(super) async fn exchange(&mut self, request: &Request) -> Result<Exchanged, Fault> {
        let Route::Resource { path } = &request.route else {
            debug_assert!(false, "an HTTP client was given a topic");
            return Err(Fault::before(FaultKind::Io));
        };
        let message = request::post(self.line.host(), path, &request.body);
        let own = self.line.ask(message.map_err(Fault::before)?, NOT_HELD);
        match &mut self.polls {
            None => own.await,
            Some(polls) => polls.beside(own).await,
        }
    }

    /// See [`Connection::subscribe`](super::Connection::subscribe).
    pub(super) fn subscribe(&mut self, to: &[Subscription]) {
        let polls = Polls::new(&self.line, to);
        self.polls = Some(Box::new(polls));
    }

    /// See [`Connection::idle_until`](super::Connection::idle_until). The task is woken once there is
    /// more to say, with the help of a timer that nobody else uses meanwhile.
    pub(super) fn poll_idle(
        &mut self,
        deadline: Instant,
        timer: Pin<&mut Sleep>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Delivery>, Fault>> {
        if let Some(polls) = &mut self.polls
            && let Poll::Ready(came) = polls.poll_next(cx)
        {
            return Poll::Ready(came.map(Some).map_err(Fault::before));
        }
        let waited = self.line.poll_idle(deadline, timer, cx);
        waited.map(|()| Ok(None))
    }

    /// See [`Connection::take_delivery`](super::Connection::take_delivery).
    pub(super) fn take_delivery(&mut self) -> Option<Delivery> {
        self.polls.as_mut()?.take_delivery()
    }

    /// See [`Connection::resume`](super::Connection::resume).
    pub(super) fn resume(&mut self) {
        if let Some(polls) = &mut self.polls {
            polls.resume();
        }
    }

    /// See [`Connection::take_missed`](super::Connection::take_missed).
    pub(super) fn take_missed(&mut self) -> u32 {
        self.polls.as_mut().map_or(0, |polls| polls.take_missed())
    }

    /// See [`Connection::sever`](super::Connection::sever).
    pub(super) fn sever(self) {
        self.line.sever();
    }

    /// Closes: over TLS with close_notify, then by FIN. Polls are broken off.
    pub(super) async fn close(self) {
        drop(self.polls);
        self.line.close().await;
    }
}

/// What is posted is answered at once.
const NOT_HELD: Duration = Duration::ZERO;
