//! A session: packets in and out of one TCP or TLS stream, within time and size limits.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::Publish;
use tokio::io::Interest;
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, timeout, timeout_at};

use crate::model::{FaultKind, Login, Qos, Request, Route, Status};
use crate::transport::dial::Dial;
use crate::transport::wire::Wire;
use crate::transport::{Exchanged, Fault, Span};

use super::codec::{self, Incoming};

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
    answer_timeout: Duration,
    suback_wait: Duration,
    /// Longest silence of ours, `None` without keep-alive.
    ping_after: Option<Duration>,
    last_written: Instant,
    ping_since: Option<Instant>,
    subscribed: Option<&'static str>,
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
            answer_timeout: dial.answer_timeout,
            suback_wait: dial.suback_wait,
            // A margin for our own late wake-ups; servers add one of half the keep-alive.
            ping_after: (!dial.keep_alive.is_zero()).then(|| dial.keep_alive * 3 / 4),
            last_written: sent,
            ping_since: None,
            subscribed: None,
            last_pkid: 0,
            pkids_wrapped: false,
            last_answer_pkid: 0,
        });
        codec::connect(login, dial.keep_alive, &mut session.unsent)?;
        let first = timeout_at(sent + dial.answer_timeout, session.next(Until::Packet));
        match first.await.map_err(|_| FaultKind::Timeout)?? {
            Event::Packet(Incoming::ConnAck(0)) => {
                let done = Instant::now();
                Ok((session, Span { sent, done }))
            }
            Event::Packet(Incoming::ConnAck(code)) => Err(FaultKind::Connack(code)),
            _ => Err(FaultKind::UnexpectedPacket),
        }
    }

    /// See [`Connection::exchange`](crate::transport::Connection::exchange).
    pub(in crate::transport) async fn exchange(
        &mut self,
        request: &Request,
    ) -> Result<Exchanged, Fault> {
        let Route::Topic {
            publish,
            reply,
            qos,
        } = request.route
        else {
            debug_assert!(false, "an MQTT session was given a resource");
            return Err(Fault::before(FaultKind::Io));
        };
        if let Err(kind) = self.make_ready(reply).await {
            return Err(self.end(Fault::before(kind)));
        }
        let pkid = match qos {
            Qos::AtMostOnce => 0,
            Qos::AtLeastOnce => self.next_pkid(),
        };
        let encoded = codec::publish(publish, qos, pkid, &request.body, &mut self.unsent);
        if let Err(kind) = encoded {
            return Err(self.end(Fault::before(kind)));
        }
        self.took_any = false;
        let sent = Instant::now();
        let answer = match (reply, qos) {
            (Some(topic), _) => self.answer_on(topic, sent).await,
            (None, Qos::AtLeastOnce) => self.acknowledgement(pkid, sent).await,
            (None, Qos::AtMostOnce) => self.written(sent).await,
        };
        match answer {
            Ok((status, body, done)) => Ok(Exchanged::new(status, body, Span { sent, done })),
            Err(kind) => {
                let sent = self.took_any;
                Err(self.end(Fault { kind, sent }))
            }
        }
    }

    /// See [`Connection::idle_until`](crate::transport::Connection::idle_until).
    pub(in crate::transport) async fn idle_until(
        &mut self,
        deadline: Instant,
    ) -> Result<(), Fault> {
        loop {
            let taken = match self.wait(deadline, Until::Packet).await {
                Ok(Event::Packet(packet)) => self.absorb(&packet),
                Ok(Event::Written) => Ok(()),
                Ok(Event::Deadline) => return Ok(()),
                Err(kind) => Err(kind),
            };
            if let Err(kind) = taken {
                self.over = true;
                return Err(Fault::before(kind));
            }
        }
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

    /// Takes in what came before, writes what is left, and subscribes where an answer needs it.
    async fn make_ready(&mut self, reply: Option<&'static str>) -> Result<(), FaultKind> {
        let deadline = Instant::now() + self.answer_timeout;
        // A close that is known already must not look like a request that may have been sent.
        if !self.over {
            self.read()?;
        }
        self.flush(deadline).await?;
        let (Some(topic), true) = (reply, self.subscribed != reply) else {
            return Ok(());
        };
        let pkid = self.next_pkid();
        codec::subscribe(topic, pkid, &mut self.unsent);
        self.flush(deadline).await?;
        self.subscribed = reply;
        let patience = Instant::now() + self.suback_wait;
        let mut allowance = Allowance::new();
        loop {
            match self.wait(patience, Until::Packet).await? {
                Event::Packet(Incoming::SubAck(id)) if id == pkid => return Ok(()),
                Event::Packet(packet) => self.put_up_with(&packet, &mut allowance)?,
                Event::Written => {}
                Event::Deadline => return Ok(()),
            }
        }
    }

    async fn flush(&mut self, deadline: Instant) -> Result<(), FaultKind> {
        let mut allowance = Allowance::new();
        loop {
            match self.wait(deadline, Until::PacketOrWritten).await? {
                Event::Packet(packet) => self.put_up_with(&packet, &mut allowance)?,
                Event::Written => return Ok(()),
                Event::Deadline => return Err(FaultKind::Timeout),
            }
        }
    }

    /// The first PUBLISH on the topic; PUBACKs may come before, after or never.
    async fn answer_on(&mut self, topic: &str, sent: Instant) -> Answer {
        let deadline = sent + self.answer_timeout;
        let mut allowance = Allowance::new();
        loop {
            match self.wait(deadline, Until::Packet).await? {
                Event::Packet(Incoming::Publish(publish)) if publish.topic == topic => {
                    let done = Instant::now();
                    let repeated = publish.dup && publish.pkid == self.last_answer_pkid;
                    self.acknowledge(&publish)?;
                    if repeated {
                        allowance.spend(publish.payload.len())?;
                        continue;
                    }
                    self.last_answer_pkid = publish.pkid;
                    // The rest goes out with whatever is written next.
                    let _ = self.write();
                    // A copy, since the payload shares the allocation of all that was received.
                    let body = Bytes::copy_from_slice(&publish.payload);
                    return Ok((Status::Topic, body, done));
                }
                Event::Packet(packet) => self.put_up_with(&packet, &mut allowance)?,
                Event::Written => {}
                Event::Deadline => return Err(FaultKind::Timeout),
            }
        }
    }

    async fn acknowledgement(&mut self, pkid: u16, sent: Instant) -> Answer {
        let deadline = sent + self.answer_timeout;
        let mut allowance = Allowance::new();
        loop {
            match self.wait(deadline, Until::Packet).await? {
                Event::Packet(Incoming::PubAck(id)) if id == pkid => {
                    return Ok((Status::Acknowledged, Bytes::new(), Instant::now()));
                }
                Event::Packet(packet) => self.put_up_with(&packet, &mut allowance)?,
                Event::Written => {}
                Event::Deadline => return Err(FaultKind::Timeout),
            }
        }
    }

    async fn written(&mut self, sent: Instant) -> Answer {
        self.flush(sent + self.answer_timeout).await?;
        Ok((Status::Unacknowledged, Bytes::new(), Instant::now()))
    }

    /// Waits for an event and keeps the session alive meanwhile. Cancel-safe.
    async fn wait(&mut self, deadline: Instant, until: Until) -> Result<Event, FaultKind> {
        loop {
            let now = Instant::now();
            // Asked each time: a peer that floods us would else never let the clock be looked at.
            if now >= deadline {
                return Ok(Event::Deadline);
            }
            let due = match (self.ping_since, self.ping_after) {
                (Some(since), _) if now >= since + self.answer_timeout => {
                    return Err(FaultKind::Timeout);
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
            if let Ok(event) = timeout_at(due.min(deadline), self.next(until)).await {
                return event;
            }
        }
    }

    /// The next packet, writing what is queued meanwhile. Cancel-safe.
    async fn next(&mut self, until: Until) -> Result<Event, FaultKind> {
        loop {
            // Neither `try_read` nor readiness that is there already would ever yield.
            consume_budget().await;
            if self.over {
                return Err(FaultKind::ConnectionClosed);
            }
            // A peer that does not read is not read from either.
            let may_read = self.unsent.len() < UNSENT_LIMIT;
            if may_read && let Some(packet) = codec::decode(&mut self.received)? {
                self.trim();
                return Ok(Event::Packet(packet));
            }
            if let Err(kind) = self.write() {
                // An answer may have come before the end.
                self.unsent.clear();
                match self.read() {
                    Ok(true) => continue,
                    _ => return Err(kind),
                }
            }
            let interest = match (may_read, self.is_queued()) {
                (_, false) if until == Until::PacketOrWritten => return Ok(Event::Written),
                (_, false) => Interest::READABLE,
                (true, true) => Interest::READABLE | Interest::WRITABLE,
                (false, true) => Interest::WRITABLE,
            };
            let ready = self.wire.ready(interest).await?;
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

    fn put_up_with(
        &mut self,
        packet: &Incoming,
        allowance: &mut Allowance,
    ) -> Result<(), FaultKind> {
        allowance.spend(match packet {
            Incoming::Publish(publish) => publish.payload.len(),
            _ => 0,
        })?;
        self.absorb(packet)
    }

    /// Takes in a packet that nobody waits for.
    ///
    /// Acknowledgements of any id that this session ever used are late or repeated and harmless;
    /// one of an id that it never used answers nothing of ours.
    fn absorb(&mut self, packet: &Incoming) -> Result<(), FaultKind> {
        match packet {
            Incoming::Publish(publish) => self.acknowledge(publish),
            Incoming::PubAck(id) | Incoming::SubAck(id) if self.used(*id) => Ok(()),
            Incoming::PingResp => {
                self.ping_since = None;
                Ok(())
            }
            Incoming::PubAck(_) | Incoming::SubAck(_) | Incoming::ConnAck(_) => {
                Err(FaultKind::UnexpectedPacket)
            }
        }
    }

    fn acknowledge(&mut self, publish: &Publish) -> Result<(), FaultKind> {
        match publish.qos {
            QoS::AtMostOnce => {}
            QoS::AtLeastOnce => codec::puback(publish.pkid, &mut self.unsent),
            // Nothing was subscribed to with more than QoS 1.
            QoS::ExactlyOnce => return Err(FaultKind::UnexpectedPacket),
        }
        Ok(())
    }

    /// After a fault, only a session that is still in step goes on: one that was merely kept
    /// waiting, with its whole request on the wire.
    fn end(&mut self, fault: Fault) -> Fault {
        if fault.kind != FaultKind::Timeout || self.is_queued() {
            self.unsent.clear();
            self.over = true;
        }
        fault
    }

    /// 1 to 65,535 and round again.
    fn next_pkid(&mut self) -> u16 {
        self.last_pkid = self.last_pkid.checked_add(1).unwrap_or_else(|| {
            self.pkids_wrapped = true;
            1
        });
        self.last_pkid
    }

    fn used(&self, pkid: u16) -> bool {
        pkid != 0 && (self.pkids_wrapped || pkid <= self.last_pkid)
    }
}

/// How an exchange was answered, with what, and when.
type Answer = Result<(Status, Bytes, Instant), FaultKind>;

/// How much a server may send between a request and its answer that is no answer.
struct Allowance(usize);

impl Allowance {
    fn new() -> Self {
        Self(UNRELATED_LIMIT)
    }

    fn spend(&mut self, payload: usize) -> Result<(), FaultKind> {
        let left = self.0.checked_sub(payload + PACKET_COST);
        self.0 = left.ok_or(FaultKind::UnexpectedPacket)?;
        Ok(())
    }
}

/// Bytes queued for a peer that does not read, beyond which it is not read from.
const UNSENT_LIMIT: usize = 64 * 1024;

/// Bytes of unrelated packets per exchange, each counted as at least `PACKET_COST`.
const UNRELATED_LIMIT: usize = 4 * 1024 * 1024;

/// What a packet costs beside its payload: at most 65,536 empty ones per exchange.
const PACKET_COST: usize = 64;

/// For DISCONNECT and the FIN.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);
