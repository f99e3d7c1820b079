//! One exchange over a session: what it takes to be ready, the request, and what answers it.

use bytes::Bytes;
use rumqttc::mqttbytes::QoS;
use tokio::time::Instant;

use crate::model::{FaultKind, MqttVersion, Qos, ReplyTopic, Request, Route, Status};
use crate::transport::mqtt::codec;
use crate::transport::mqtt::packet::{Incoming, Publish};
use crate::transport::mqtt::v5::REFUSED;
use crate::transport::{Exchanged, Fault, Span};

use super::{Event, Session, Until, dismissal};

impl Session {
    /// See [`Connection::exchange`](crate::transport::Connection::exchange).
    pub(in crate::transport) async fn exchange(
        &mut self,
        request: &Request,
    ) -> Result<Exchanged, Fault> {
        let Route::Topic {
            publish,
            reply,
            qos,
        } = &request.route
        else {
            debug_assert!(false, "an MQTT session was given a resource");
            return Err(Fault::before(FaultKind::Io));
        };
        let qos = self.allowed(*qos);
        if let Err(kind) = self.make_ready(reply.as_ref(), qos).await {
            return Err(self.end(Fault::before(kind)));
        }
        let pkid = match qos {
            Qos::AtMostOnce => 0,
            Qos::AtLeastOnce => self.next_pkid(),
        };
        let before = self.unsent.len();
        let (version, unsent) = (self.version, &mut self.unsent);
        let encoded = codec::publish(version, publish, qos, pkid, &request.body, unsent);
        if let Err(kind) = encoded.and_then(|()| self.bounded(before)) {
            return Err(self.end(Fault::before(kind)));
        }
        self.in_flight = self.in_flight.saturating_add(u16::from(pkid > 0));
        self.took_any = false;
        let sent = Instant::now();
        let answer = match (reply, qos) {
            (Some(reply), _) => self.answer_on(&reply.topic, pkid, sent).await,
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

    /// Takes in what came before, writes what is left, and subscribes where an answer needs it.
    pub(super) async fn make_ready(
        &mut self,
        reply: Option<&ReplyTopic>,
        qos: Qos,
    ) -> Result<(), FaultKind> {
        let deadline = Instant::now() + self.answer_timeout;
        // A close that is known already must not look like a request that may have been sent.
        if !self.over
            && let Err(kind) = self.read()
        {
            // Its reason may have come before it.
            while let Some(packet) = codec::decode(self.version, &mut self.received)? {
                self.absorb(&packet)?;
            }
            return Err(kind);
        }
        self.flush(deadline).await?;
        if qos == Qos::AtLeastOnce {
            self.room(deadline).await?;
        }
        // What it grants changes nothing: the server answers regardless.
        match reply {
            Some(reply) => self.ask_for(&[reply.filter]).await.map(drop),
            None => Ok(()),
        }
    }

    pub(super) async fn flush(&mut self, deadline: Instant) -> Result<(), FaultKind> {
        let mut allowance = Allowance::new();
        loop {
            match self.wait(deadline, Until::PacketOrWritten).await? {
                Event::Packet(packet) => self.put_up_with(&packet, &mut allowance)?,
                Event::Written => return Ok(()),
                Event::Deadline => return Err(FaultKind::Timeout),
            }
        }
    }

    /// Waits until one more publish of `QoS` 1 is within the server's Receive Maximum.
    async fn room(&mut self, deadline: Instant) -> Result<(), FaultKind> {
        let mut allowance = Allowance::new();
        while self.version == MqttVersion::V5 && self.in_flight >= self.bounds.in_flight {
            match self.wait(deadline, Until::Packet).await? {
                Event::Packet(packet) => self.put_up_with(&packet, &mut allowance)?,
                Event::Written => {}
                Event::Deadline => return Err(FaultKind::Timeout),
            }
        }
        Ok(())
    }

    /// The first PUBLISH on the topic; PUBACKs may come before, after or never, but one that
    /// refuses the request leaves nothing to wait for.
    async fn answer_on(&mut self, topic: &str, pkid: u16, sent: Instant) -> Answer {
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
                Event::Packet(Incoming::PubAck(id, reason)) if id == pkid && reason >= REFUSED => {
                    return Ok((Status::PubackReason(reason), Bytes::new(), Instant::now()));
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
                Event::Packet(Incoming::PubAck(id, reason)) if id == pkid => {
                    let status = if reason >= REFUSED {
                        Status::PubackReason(reason)
                    } else {
                        Status::Acknowledged
                    };
                    return Ok((status, Bytes::new(), Instant::now()));
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

    pub(super) fn put_up_with(
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
    pub(super) fn absorb(&mut self, packet: &Incoming) -> Result<(), FaultKind> {
        match packet {
            Incoming::Publish(publish) => {
                self.acknowledge(publish)?;
                self.keep(publish);
                Ok(())
            }
            Incoming::PubAck(id, reason) if self.used(*id) => {
                if let Some(posts) = &mut self.posts {
                    posts.acknowledged(*id, *reason);
                }
                Ok(())
            }
            Incoming::SubAck(id, _) if self.used(*id) => Ok(()),
            Incoming::PingResp => {
                self.ping_since = None;
                Ok(())
            }
            Incoming::Disconnect(reason) => Err(dismissal(*reason)),
            Incoming::PubAck(..) | Incoming::SubAck(..) | Incoming::ConnAck(_) => {
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

    /// The `QoS` that the server takes a publish with: what is beyond it must not be sent, and goes
    /// without acknowledgement instead.
    pub(super) fn allowed(&self, wanted: Qos) -> Qos {
        match self.bounds.qos {
            Qos::AtMostOnce => Qos::AtMostOnce,
            Qos::AtLeastOnce => wanted,
        }
    }

    /// Whether a packet is within the server's Maximum Packet Size: the one that was queued when
    /// so many bytes waited before it.
    pub(super) fn bounded(&self, before: usize) -> Result<(), FaultKind> {
        if (self.unsent.len() - before) as u64 > u64::from(self.bounds.packet) {
            return Err(FaultKind::PacketTooLarge);
        }
        Ok(())
    }

    /// After a fault, only a session that is still in step goes on: one that was merely kept
    /// waiting, with its whole request on the wire.
    pub(super) fn end(&mut self, fault: Fault) -> Fault {
        if fault.kind != FaultKind::Timeout || self.is_queued() {
            self.unsent.clear();
            self.over = true;
        }
        fault
    }

    /// 1 to 65,535 and round again.
    pub(super) fn next_pkid(&mut self) -> u16 {
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
pub(super) struct Allowance(usize);

impl Allowance {
    pub(super) fn new() -> Self {
        Self(UNRELATED_LIMIT)
    }

    fn spend(&mut self, payload: usize) -> Result<(), FaultKind> {
        let left = self.0.checked_sub(payload + PACKET_COST);
        self.0 = left.ok_or(FaultKind::UnexpectedPacket)?;
        Ok(())
    }
}

/// Bytes of unrelated packets per exchange, each counted as at least `PACKET_COST`.
const UNRELATED_LIMIT: usize = 4 * 1024 * 1024;

/// What a packet costs beside its payload: at most 65,536 empty ones per exchange.
const PACKET_COST: usize = 64;
