//! A device's CoAP socket: requests out until acknowledged, answers in, each taken once.

use std::time::Duration;

use bytes::Bytes;
use coap_lite::MessageType;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg32;
use secrecy::ExposeSecret;
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout, timeout_at};

use crate::model::{FaultKind, Request, Route, Status};
use crate::pki::Identity;
use crate::transport::dial::Dial;
use crate::transport::{Exchanged, Fault, Span, Tls};

use super::association::Association;
use super::blocks::{Block, Joined, LARGEST};
use super::message::{self, Draft, Incoming, Malformed};
use super::observations::Observations;
use super::terms::terms;
use super::way::Way;
use super::{CoapTiming, numbers};

/// A socket that talks with one server, in the open or sealed.
#[derive(Debug)]
pub struct Endpoint {
    pub(super) way: Way,
    port: u16,
    timing: CoapTiming,
    answer_timeout: Duration,
    pub(super) random: Pcg32,
    taken: Taken,
    /// `None` while it observes nothing.
    pub(super) observations: Option<Box<Observations>>,
}

impl Endpoint {
    /// Over UDP: sends nothing yet.
    pub(in crate::transport) fn new(socket: UdpSocket, dial: &Dial, ordinal: u32) -> Self {
        Self::over(Way::Plain(socket), dial, ordinal)
    }

    /// Over DTLS: shakes hands within `connect_timeout`, and shows the certificate if it is asked
    /// for one.
    pub(in crate::transport) async fn secured(
        socket: UdpSocket,
        tls: &Tls,
        dial: &Dial,
        identity: Option<&Identity>,
        ordinal: u32,
    ) -> Result<(Self, Span), FaultKind> {
        let own = terms(tls, identity)?;
        let opened = Association::open(socket, dial.addr, own, dial.connect_timeout);
        let (mut association, span) = opened.await?;
        association.settle(terms(tls, None)?);
        let way = Way::Sealed(Box::new(association));
        Ok((Self::over(way, dial, ordinal), span))
    }

    fn over(way: Way, dial: &Dial, ordinal: u32) -> Self {
        let port = way.socket().local_addr().map_or(0, |local| local.port());
        Self {
            way,
            port,
            timing: dial.coap,
            answer_timeout: dial.answer_timeout,
            random: Pcg32::seed_from_u64(u64::from(ordinal)),
            taken: Taken::default(),
            observations: None,
        }
    }

    /// See [`Connection::exchange`](crate::transport::Connection::exchange).
    ///
    /// A request over 1,024 bytes goes in blocks; so does an answer when the server says so, and
    /// then the rest of it must come within `answer_timeout`.
    pub(in crate::transport) async fn exchange(
        &mut self,
        request: &Request,
    ) -> Result<Exchanged, Fault> {
        let Route::Resource { path } = &request.route else {
            debug_assert!(false, "a CoAP endpoint was given a topic");
            return Err(Fault::before(FaultKind::Io));
        };
        let draft = Draft::post(path.expose_secret(), &request.body).map_err(Fault::before)?;
        self.take_in_what_is_there();
        let mut sending = Sending::default();
        let within = self.timing.exchange_timeout;
        let conversation = self.conversation(&draft, &request.body, &mut sending);
        let (code, body, done) = timeout(within, conversation)
            .await
            .unwrap_or(Err(FaultKind::Timeout))
            .map_err(|kind| sending.fault(kind))?;
        let sent = sending.first.unwrap_or(done);
        Ok(Exchanged::new(
            Status::Coap(code),
            body,
            Span { sent, done },
        ))
    }

    /// See [`Connection::close`](crate::transport::Connection::close).
    pub(in crate::transport) fn close(mut self) {
        self.leave();
        self.way.close();
    }

    /// Whether nothing will ever be heard or sent again.
    pub(in crate::transport) fn is_over(&self) -> bool {
        self.way.is_over()
    }

    /// All requests and answers that make up one exchange: the code, the body, when it was whole.
    async fn conversation(
        &mut self,
        draft: &Draft,
        body: &[u8],
        sending: &mut Sending,
    ) -> Result<(u8, Bytes, Instant), FaultKind> {
        let first = self.send_body(draft, body, sending).await?;
        let code = first.code;
        let (body, done) = self.rest(draft, first, sending).await?;
        Ok((code, body, done))
    }

    /// Asks for the other blocks of an answer, if there are more: the body, and when it was whole.
    pub(super) async fn rest(
        &mut self,
        draft: &Draft,
        first: Incoming,
        sending: &mut Sending,
    ) -> Result<(Bytes, Instant), FaultKind> {
        match Joined::start(&first)? {
            // Boxed: answers in blocks are rare, and every exchange would hold room for them.
            Some(joined) => Box::pin(self.join(draft, joined, sending)).await,
            None => Ok((first.payload, Instant::now())),
        }
    }

    async fn join(
        &mut self,
        draft: &Draft,
        mut joined: Joined,
        sending: &mut Sending,
    ) -> Result<(Bytes, Instant), FaultKind> {
        let by = Instant::now() + self.answer_timeout;
        while let Some(block) = joined.wanted() {
            let (id, token) = self.numbers();
            let datagram = draft.datagram(id, token, &[], None, Some(block));
            let round = self.round(&datagram, id, token, sending);
            let answer = timeout_at(by, round)
                .await
                .map_err(|_| FaultKind::Timeout)??;
            joined.add(&answer)?;
        }
        Ok((joined.finish(), Instant::now()))
    }

    /// Sends the body, in blocks if it is long, and returns the answer to the last of them.
    async fn send_body(
        &mut self,
        draft: &Draft,
        body: &[u8],
        sending: &mut Sending,
    ) -> Result<Incoming, FaultKind> {
        let in_blocks = body.len() > 16 << LARGEST;
        let (mut offset, mut exponent) = (0, LARGEST);
        loop {
            let rest = &body[offset..];
            let chunk = &rest[..rest.len().min(16 << exponent)];
            let more = chunk.len() < rest.len();
            let block = in_blocks.then(|| Block::at(offset, exponent, more));
            let (id, token) = self.numbers();
            let datagram = draft.datagram(id, token, chunk, block, None);
            let answer = self.round(&datagram, id, token, sending).await?;
            if !more || answer.code != CONTINUE {
                return Ok(answer);
            }
            offset += chunk.len();
            // The server may ask for smaller blocks, never for larger ones (section 2.3).
            exponent = answer.block1.map_or(exponent, |b| b.exponent.min(exponent));
        }
    }

    /// One confirmable request until its answer (RFC 7252, sections 4.2 and 5.2).
    ///
    /// Unacknowledged, it is sent again by the rules and given up after the last wait; once
    /// acknowledged, the answer has `answer_timeout` to come.
    pub(super) async fn round(
        &mut self,
        datagram: &[u8],
        id: u16,
        token: u32,
        sending: &mut Sending,
    ) -> Result<Incoming, FaultKind> {
        let stretch = self
            .random
            .random_range(1.0..=self.timing.random_factor.max(1.0));
        let mut patience = self.timing.ack_timeout.mul_f64(stretch);
        let mut again = self.timing.max_retransmit;
        let mut acknowledged = false;
        sending.transmit(&mut self.way, datagram).await?;
        let mut deadline = Instant::now() + patience;
        loop {
            // Asked each time: a flood of strays must not keep the clock from being looked at.
            let heard = if Instant::now() < deadline {
                timeout_at(deadline, self.way.receive()).await.ok()
            } else {
                None
            };
            match heard {
                Some(heard) => match self.sort(heard?, id, token)? {
                    Sorted::Answer(answer) => return Ok(answer),
                    Sorted::Acknowledged if !acknowledged => {
                        acknowledged = true;
                        deadline = Instant::now() + self.answer_timeout;
                    }
                    Sorted::Acknowledged | Sorted::Stray => {}
                },
                None if acknowledged || again == 0 => return Err(FaultKind::Timeout),
                None => {
                    again -= 1;
                    patience *= 2;
                    sending.transmit(&mut self.way, datagram).await?;
                    deadline = Instant::now() + patience;
                }
            }
        }
    }

    /// Decides what a datagram means for the request that waits.
    ///
    /// Garbage is ignored, unless it poses as the acknowledgement of this request; so is an
    /// acknowledgement that carries another request's token.
    fn sort(
        &mut self,
        heard: Result<Incoming, Malformed>,
        id: u16,
        token: u32,
    ) -> Result<Sorted, FaultKind> {
        let incoming = match heard {
            Ok(incoming) => incoming,
            Err(malformed) if malformed.acknowledges == Some(id) => {
                return Err(FaultKind::MalformedPacket);
            }
            Err(_) => return Ok(Sorted::Stray),
        };
        let ours = incoming.is_response() && incoming.token == Some(token);
        match incoming.kind {
            MessageType::Reset if incoming.id == id => return Err(FaultKind::CoapReset),
            MessageType::Acknowledgement if incoming.id == id => {
                if incoming.code == 0 {
                    return Ok(Sorted::Acknowledged);
                }
                if !incoming.is_response() {
                    return Err(FaultKind::MalformedPacket);
                }
                if ours {
                    return Ok(Sorted::Answer(incoming));
                }
            }
            // An answer without an acknowledgement before it acknowledges the request as well.
            MessageType::Confirmable if ours => {
                self.reply(message::acknowledgement(incoming.id));
                self.taken.add((incoming.id, token));
                return Ok(Sorted::Answer(incoming));
            }
            MessageType::NonConfirmable if ours => return Ok(Sorted::Answer(incoming)),
            _ => self.answer_stray(incoming),
        }
        Ok(Sorted::Stray)
    }

    /// Takes in a message that belongs to no waiting request: a notification, perhaps. What asks for
    /// confirmation is acknowledged if it was taken, else reset; so are notifications that nobody
    /// asked for (RFC 7641, section 3.2).
    pub(super) fn answer_stray(&mut self, stray: Incoming) {
        let confirmable = stray.kind == MessageType::Confirmable;
        let before = |token| self.taken.has((stray.id, token));
        let known = stray.token.is_some_and(before);
        let observed = self.observed(&stray);
        if confirmable && (known || observed.is_some()) {
            self.reply(message::acknowledgement(stray.id));
        } else if confirmable || (observed.is_none() && stray.observe.is_some()) {
            self.reply(message::reset(stray.id));
        }
        if let (Some(index), Some(token), false) = (observed, stray.token, known) {
            self.taken.add((stray.id, token));
            self.notified(index, stray);
        }
    }

    /// Sends an empty message if the kernel takes it at once; the server will else ask again.
    fn reply(&mut self, message: [u8; 4]) {
        self.way.try_send(&message);
    }

    /// Deals with what came since the last exchange, refusals included, so that nothing old is
    /// taken for an effect of the next request.
    fn take_in_what_is_there(&mut self) {
        for _ in 0..STRAYS_BEFORE {
            match self.way.try_receive() {
                Ok(Some(Ok(stray))) => self.answer_stray(stray),
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => break,
                Ok(_) | Err(_) => {}
            }
        }
        let _ = self.way.socket().take_error();
    }

    pub(super) fn numbers(&self) -> (u16, u32) {
        (numbers::message_id(self.port), numbers::token())
    }
}

/// The last confirmable answers and the last notifications that were taken, by message id and token:
/// their repetitions are acknowledged again and not taken again.
#[derive(Debug, Default)]
struct Taken {
    /// At most `TAKEN_LIMIT`, and no room for more than came.
    last: Vec<(u16, u32)>,
    /// Where the next one goes once it is full.
    oldest: u8,
}

impl Taken {
    fn has(&self, numbers: (u16, u32)) -> bool {
        self.last.contains(&numbers)
    }

    fn add(&mut self, numbers: (u16, u32)) {
        if self.last.len() < TAKEN_LIMIT.into() {
            self.last.push(numbers);
        } else {
            self.last[usize::from(self.oldest)] = numbers;
            self.oldest = (self.oldest + 1) % TAKEN_LIMIT;
        }
    }
}

/// Asks whether anybody refuses: see [`probe`](crate::transport::probe).
pub(in crate::transport) async fn ping(socket: UdpSocket) -> Result<(), FaultKind> {
    let port = socket.local_addr().map_or(0, |local| local.port());
    let datagram = message::ping(numbers::message_id(port));
    let mut way = Way::Plain(socket);
    for wait in PING_WAITS {
        way.send(&datagram).await?;
        if let Ok(heard) = timeout(wait, way.receive()).await {
            return heard.map(drop);
        }
    }
    Ok(())
}

/// What a datagram means for the request that waits.
enum Sorted {
    Answer(Incoming),
    Acknowledged,
    Stray,
}

/// What went out so far in one exchange.
#[derive(Default)]
pub(super) struct Sending {
    pub(super) first: Option<Instant>,
    datagrams: u32,
}

impl Sending {
    async fn transmit(&mut self, way: &mut Way, datagram: &[u8]) -> Result<(), FaultKind> {
        let now = Instant::now();
        self.first.get_or_insert(now);
        way.send(datagram).await?;
        self.datagrams += 1;
        Ok(())
    }

    /// A refusal is the answer to a datagram that nobody received; of several, one may have been.
    fn fault(&self, kind: FaultKind) -> Fault {
        let sent = match self.datagrams {
            0 => false,
            1 => kind != FaultKind::ConnectionRefused,
            _ => true,
        };
        Fault { kind, sent }
    }
}

/// Of one connection.
const TAKEN_LIMIT: u8 = 8;

/// 2.31 Continue: go on with the next block.
const CONTINUE: u8 = 0x5f;

/// Datagrams that are looked at before an exchange; more than that is a flood.
const STRAYS_BEFORE: usize = 64;

/// How long each ping of a probe waits: 2 s in all.
const PING_WAITS: [Duration; 3] = [
    Duration::from_millis(300),
    Duration::from_millis(700),
    Duration::from_secs(1),
];
