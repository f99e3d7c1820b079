//! A session: packets in and out of one TCP or TLS stream, within time and size limits.

mod exchange;
mod posts;
mod subscribe;

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::Interest;
use tokio::task::coop::poll_proceed;
use tokio::time::{Instant, Sleep, sleep_until, timeout, timeout_at};

use crate::model::{FaultKind, Login, MqttVersion};
use crate::transport::dial::Dial;
use crate::transport::inbox::Delivery;
use crate::transport::timer::poll_at;
use crate::transport::wire::Wire;
use crate::transport::{Fault, Span};

use self::posts::Posts;
use self::subscribe::Subscriptions;
use super::codec;
use super::packet::{Bounds, Incoming};
use super::v5::REFUSED;

/// An MQTT session after CONNACK. Holds no buffer while nothing is half received or half sent.
#[derive(Debug)]
pub struct Session {
    wire: Wire,
    /// Received and not yet decoded: in rest, the beginning of a packet.
    received: BytesMut,
    /// Encoded and not yet taken by the kernel. Lives here and not in a future, so that dropping
    /// a future never leaves half a packet on the wire.
    unsent: BytesMut,
    /// Whether the kernel took a byte since the last request was encoded.
    took_any: bool,
    /// No use any more: closed, out of step, or with half a request on the wire.
    over: bool,
    version: MqttVersion,
    bounds: Bounds,
    /// Publishes of QoS 1 whose PUBACK is missing.
    in_flight: u16,
    answer_timeout: Duration,
    suback_wait: Duration,
    /// Longest silence of ours, `None` without keep-alive.
    ping_after: Option<Duration>,
    last_written: Instant,
    ping_since: Option<Instant>,
    /// `None` while it never asked to be sent anything.
    subscribed: Option<Box<Subscriptions>>,
    /// What was posted; `None` while nothing ever was.
    posts: Option<Box<Posts>>,
    last_pkid: u16,
    pkids_wrapped: bool,
    last_answer_pkid: u16,
}

/// What waiting came to.
enum Event {
    Packet(Incoming),
    /// All that was queued has been written.
    Written,
    Deadline,
}

/// What to wait for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    Packet,
    PacketOrWritten,
}

impl Session {
    /// Sends CONNECT and waits for CONNACK.
    pub(in crate::transport) async fn open(
        wire: Wire,
        dial: &Dial,
        login: &Login,
    ) -> Result<(Box<Self>, Span), FaultKind> {
        let sent = Instant::now();
        let mut session = Box::new(Self {
            wire,
            received: BytesMut::new(),
            unsent: BytesMut::new(),
            took_any: false,
            over: false,
            version: dial.version,
            bounds: Bounds::default(),
            in_flight: 0,
            answer_timeout: dial.answer_timeout,
            suback_wait: dial.suback_wait,
            ping_after: ping_after(dial.keep_alive),
            last_written: sent,
            ping_since: None,
            subscribed: None,
            posts: None,
            last_pkid: 0,
            pkids_wrapped: false,
            last_answer_pkid: 0,
        });
        codec::connect(dial.version, login, dial.keep_alive, &mut session.unsent)?;
        let first = poll_fn(|cx| session.poll_next(Until::Packet, cx));
        let first = timeout_at(sent + dial.answer_timeout, first);
        match first.await.map_err(|_| FaultKind::Timeout)?? {
            Event::Packet(Incoming::ConnAck(Ok(bounds))) => {
                let done = Instant::now();
                session.bind(bounds);
                Ok((session, Span { sent, done }))
            }
            Event::Packet(Incoming::ConnAck(Err(refusal))) => Err(refusal),
            Event::Packet(Incoming::Disconnect(reason)) => Err(dismissal(reason)),
            _ => Err(FaultKind::UnexpectedPacket),
        }
    }

    /// See [`Connection::idle_until`](crate::transport::Connection::idle_until). The task is woken
    /// once there is more to say, with the help of a timer that nobody else uses meanwhile.
    pub(in crate::transport) fn poll_idle(
        &mut self,
        deadline: Instant,
        mut timer: Pin<&mut Sleep>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Delivery>, Fault>> {
        loop {
            if let Some(delivery) = self.take_delivery() {
                // Its acknowledgement, as far as the kernel takes it; the rest goes out with
                // whatever is written next.
                let _ = self.write();
                return Poll::Ready(Ok(Some(delivery)));
            }
            let event = ready!(self.poll_event(deadline, Until::Packet, timer.as_mut(), cx));
            let taken = match event {
                Ok(Event::Packet(packet)) => self.absorb(&packet),
                Ok(Event::Written) => Ok(()),
                Ok(Event::Deadline) => return Poll::Ready(Ok(None)),
                Err(kind) => Err(kind),
            };
            if let Err(kind) = taken {
                self.give_up(kind);
                return Poll::Ready(Err(Fault::before(kind)));
            }
        }
    }

    /// See [`Connection::sever`](crate::transport::Connection::sever).
    pub(in crate::transport) fn sever(self: Box<Self>) {
        self.wire.abort();
    }

    /// Sends DISCONNECT and closes.
    pub(in crate::transport) async fn close(mut self: Box<Self>) {
        if self.over {
            return;
        }
        // Bytes left unread would turn the close into a reset, which can overtake DISCONNECT.
        let _ = self.read();
        self.unsent.extend_from_slice(&codec::DISCONNECT);
        let good_bye = async {
            while self.is_queued() && self.wire.ready(Interest::WRITABLE).await.is_ok() {
                if self.write().is_err() {
                    break;
                }
            }
            self.wire.shut().await
        };
        let _ = timeout(CLOSE_WITHIN, good_bye).await;
    }

    /// Waits for an event and keeps the session alive meanwhile. Cancel-safe.
    async fn wait(&mut self, deadline: Instant, until: Until) -> Result<Event, FaultKind> {
        let mut timer = pin!(sleep_until(deadline));
        poll_fn(|cx| self.poll_event(deadline, until, timer.as_mut(), cx)).await
    }

    /// The same; the task is woken by the socket and the timer.
    fn poll_event(
        &mut self,
        deadline: Instant,
        until: Until,
        mut timer: Pin<&mut Sleep>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Event, FaultKind>> {
        loop {
            let now = Instant::now();
            // Asked each time: a peer that floods us would else never let the clock be looked at.
            if now >= deadline {
                return Poll::Ready(Ok(Event::Deadline));
            }
            let due = match (self.ping_since, self.ping_after) {
                (Some(since), _) if now >= since + self.answer_timeout => {
                    return Poll::Ready(Err(FaultKind::Timeout));
                }
                (Some(since), _) => since + self.answer_timeout,
                (None, Some(after)) if now >= self.last_written + after => {
                    self.unsent.extend_from_slice(&codec::PINGREQ);
                    self.ping_since = Some(now);
                    continue;
                }
                (None, Some(after)) => self.last_written + after,
                (None, None) => deadline,
            };
            if let Poll::Ready(event) = self.poll_next(until, cx) {
                return Poll::Ready(event);
            }
            ready!(poll_at(due.min(deadline), timer.as_mut(), cx));
        }
    }

    /// The next packet, writing what is queued meanwhile; else the task is woken by the socket.
    fn poll_next(&mut self, until: Until, cx: &mut Context<'_>) -> Poll<Result<Event, FaultKind>> {
        loop {
            // Neither `try_read` nor readiness that is there already would ever yield.
            ready!(poll_proceed(cx)).made_progress();
            if self.over {
                return Poll::Ready(Err(FaultKind::ConnectionClosed));
            }
            // A peer that does not read is not read from either.
            let may_read = self.unsent.len() < UNSENT_LIMIT;
            if may_read && let Some(packet) = codec::decode(self.version, &mut self.received)? {
                self.trim();
                if let Incoming::PubAck(id, reason) = packet
                    && (reason >= REFUSED || !self.awaits_more(id))
                {
                    self.in_flight = self.in_flight.saturating_sub(1);
                }
                return Poll::Ready(Ok(Event::Packet(packet)));
            }
            if let Err(kind) = self.write() {
                // An answer may have come before the end.
                self.unsent.clear();
                match self.read() {
                    Ok(true) => continue,
                    _ => return Poll::Ready(Err(kind)),
                }
            }
            let interest = match (may_read, self.is_queued()) {
                (_, false) if until == Until::PacketOrWritten => {
                    return Poll::Ready(Ok(Event::Written));
                }
                (_, false) => Interest::READABLE,
                (true, true) => Interest::READABLE | Interest::WRITABLE,
                (false, true) => Interest::WRITABLE,
            };
            let ready = ready!(self.wire.poll_ready(interest, cx))?;
            if may_read && ready.is_readable() {
                self.read()?;
            }
        }
    }

    /// Reads once without waiting; `false` when there was nothing.
    fn read(&mut self) -> Result<bool, FaultKind> {
        self.wire.read_into(&mut self.received)
    }

    /// Writes as much as the kernel takes without waiting.
    fn write(&mut self) -> Result<(), FaultKind> {
        let (taken, written) = self.wire.write_from(&mut self.unsent);
        if taken > 0 {
            self.took_any = true;
            self.last_written = Instant::now();
        }
        written?;
        self.trim();
        Ok(())
    }

    /// Whether a publish of that id has more than one acknowledgement to come.
    fn awaits_more(&self, id: u16) -> bool {
        let posts = self.posts.as_ref();
        posts.is_some_and(|posts| posts.awaits_more(id))
    }

    /// Whether anything of ours is not yet with the kernel.
    fn is_queued(&self) -> bool {
        !self.unsent.is_empty() || self.wire.is_queued()
    }

    /// Gives back buffers that hold nothing.
    fn trim(&mut self) {
        if self.received.is_empty() && self.received.capacity() > 0 {
            self.received = BytesMut::new();
        }
        if self.unsent.is_empty() && self.unsent.capacity() > 0 {
            self.unsent = BytesMut::new();
        }
    }

    /// Takes the server's bounds upon itself.
    fn bind(&mut self, bounds: Bounds) {
        if let Some(seconds) = bounds.keep_alive {
            self.ping_after = ping_after(Duration::from_secs(seconds.into()));
        }
        self.bounds = bounds;
    }
}

/// Why a DISCONNECT of the server ends the session.
fn dismissal(reason: u8) -> FaultKind {
    match reason {
        0 => FaultKind::ConnectionClosed,
        reason => FaultKind::DisconnectReason(reason),
    }
}

/// A margin for our own late wake-ups; servers add one of half the keep-alive.
fn ping_after(keep_alive: Duration) -> Option<Duration> {
    (!keep_alive.is_zero()).then(|| keep_alive * 3 / 4)
}

/// Bytes queued for a peer that does not read, beyond which it is not read from.
const UNSENT_LIMIT: usize = 64 * 1024;

/// For DISCONNECT and the FIN.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);
