//! The message layer (RFC 7252, section 4) as a state machine without a socket: answers repeated
//! requests from memory, acknowledges slow ones, and repeats its own confirmable answers until
//! they are acknowledged.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::blockwise::Blockwise;
use super::memory::Memory;
use super::message::{Answer, Carriage, DELETED, Incoming, Request, empty_ack, read, reset, write};
use super::message_ids::{EXCHANGE_LIFETIME, MessageIds};
use super::observers::{Notification, Observed, Observers};
use super::resource::{Outcome, Resources, first};
use super::retransmission::{Due, Key, Retransmissions};
use crate::target::counts::bump;
use crate::target::device::Device;
use crate::target::downlink::{Addressee, Interest, Letter, Mailbox, Push, What};
use crate::target::pending::Ticket;

/// A datagram to be sent.
pub(super) type Outgoing = (SocketAddr, Vec<u8>);

/// Everything that is remembered.
pub(super) struct Exchanges {
    resources: Resources,
    blocks: Blockwise,
    memory: Memory,
    retransmissions: Retransmissions,
    later: BTreeMap<(Instant, u64), Later>,
    serial: u64,
    out: Vec<Outgoing>,
    /// Devices that their certificates name.
    holders: HashMap<SocketAddr, Arc<Device>>,
    observers: Observers,
    ids: MessageIds,
}

enum Later {
    Acknowledge(Key, u64),
    Answer(Box<Waiting>),
    Repeat(Key),
    /// Notify an observer.
    Push(u32, Push, Ticket),
    /// Look whether a peer's message ids still have to be counted.
    Uncount(SocketAddr),
}

/// A request whose answer is known but not due.
struct Waiting {
    peer: SocketAddr,
    digest: u64,
    request: Request,
    answer: Answer,
    _place: Option<Ticket>,
}

impl Exchanges {
    pub(super) fn new(resources: Resources) -> Self {
        let limits = resources.backend.config.limits;
        Self {
            observers: Observers::new(limits.pending),
            ids: MessageIds::default(),
            retransmissions: Retransmissions::new(limits.coap_exchanges),
            resources,
            blocks: Blockwise::default(),
            memory: Memory::new(limits.coap_exchanges),
            later: BTreeMap::new(),
            serial: 0,
            out: Vec::new(),
            holders: HashMap::new(),
        }
    }

    /// Says which device a new peer's certificate names, if it names one.
    pub(super) fn hold(&mut self, peer: SocketAddr, device: Option<Arc<Device>>) {
        self.leave(peer);
        if let Some(device) = device {
            self.holders.insert(peer, device);
        }
    }

    /// Forgets a peer that is gone.
    pub(super) fn leave(&mut self, peer: SocketAddr) {
        self.holders.remove(&peer);
        self.observers.leave(&self.resources.backend, peer);
    }

    /// What others have for the peers, to be read by `read_mail`.
    pub(super) fn mailbox(&self) -> Arc<Mailbox> {
        Arc::clone(self.observers.mailbox())
    }

    /// Notifies observers of what has come for them meanwhile.
    pub(super) fn read_mail(&mut self, now: Instant) {
        for Letter { to, what } in self.observers.mailbox().take() {
            let Addressee::Observer(number) = to else {
                continue;
            };
            match what {
                What::Push(push) => self.push(number, push, now),
                What::Ended => {
                    for last_word in self.observers.ended(number) {
                        self.notify(last_word, now);
                    }
                }
            }
        }
    }

    /// Takes a datagram.
    pub(super) fn take(&mut self, peer: SocketAddr, datagram: &[u8], now: Instant) {
        match read(datagram) {
            Incoming::Request(request) => {
                let digest = self.memory.digest(datagram);
                self.request(peer, request, digest, now);
            }
            Incoming::Acknowledged(id) => {
                self.retransmissions.settle((peer, id));
            }
            Incoming::Rejected(id) => {
                let rejected = self.retransmissions.settle((peer, id));
                self.unwanted(rejected);
            }
            Incoming::Reset(id) => self.out.push((peer, reset(id))),
            Incoming::Noise => {}
        }
    }

    /// What is to be sent now.
    pub(super) fn drain(&mut self) -> std::vec::Drain<'_, Outgoing> {
        self.out.drain(..)
    }

    /// When `tick` has something to do.
    pub(super) fn due(&self) -> Option<Instant> {
        self.later.first_key_value().map(|((due, _), _)| *due)
    }

    /// Does what is due by now.
    pub(super) fn tick(&mut self, now: Instant) {
        while let Some(first) = self.later.first_entry().filter(|e| e.key().0 <= now) {
            match first.remove() {
                Later::Acknowledge(key, digest) => self.acknowledge(key, digest),
                Later::Answer(waiting) => {
                    let Waiting {
                        peer,
                        digest,
                        request,
                        answer,
                        ..
                    } = *waiting;
                    self.deliver(peer, &request, answer, digest, now);
                }
                Later::Repeat(key) => self.repeat(key, now),
                Later::Push(number, push, _place) => self.push_now(number, &push, now),
                Later::Uncount(peer) => {
                    let next = if self.observers.has(peer) {
                        Some(now + EXCHANGE_LIFETIME)
                    } else {
                        self.ids.forget(peer, now)
                    };
                    if let Some(next) = next {
                        self.put_off(next, Later::Uncount(peer));
                    }
                }
            }
        }
    }

    fn request(&mut self, peer: SocketAddr, mut request: Request, digest: u64, now: Instant) {
        let key = (peer, request.id);
        let tally = &self.resources.backend.tally;
        if let Some(known) = self.memory.known(key, digest) {
            bump(&tally.coap_repeats);
            if let Some(answer) = &known.answer {
                self.out.push((peer, answer.to_vec()));
            } else if known.acknowledged {
                self.out.push((peer, empty_ack(request.id)));
            }
            return;
        }
        bump(&tally.coap_requests);
        self.memory.remember(key, digest, now);
        let outcome = match self.blocks.join(peer, &mut request, now) {
            Ok(()) => self.resources.answer(&request, self.holders.get(&peer)),
            Err(piece) => return self.send(peer, &request, &piece, digest, now),
        };
        match outcome {
            Outcome::Now(answer) => self.deliver(peer, &request, answer, digest, now),
            Outcome::Later(answer, delay, place) => {
                if request.confirmable && delay > PIGGYBACK {
                    self.put_off(now + PIGGYBACK, Later::Acknowledge(key, digest));
                }
                let waiting = Later::Answer(Box::new(Waiting {
                    peer,
                    digest,
                    request,
                    answer,
                    _place: place,
                }));
                self.put_off(now + delay, waiting);
            }
            Outcome::Never if request.confirmable => {
                self.put_off(now + PIGGYBACK, Later::Acknowledge(key, digest));
            }
            Outcome::Reset => self.out.push((peer, reset(request.id))),
            Outcome::Noise(noise) => self.out.push((peer, unreadable(noise))),
            Outcome::Observe(device, interest) => {
                self.observe(peer, &request, &device, interest, now);
                // Read after it began: an update in between is told twice, never not at all.
                let answer = first(&request, &device, interest);
                self.deliver(peer, &request, answer, digest, now);
            }
            Outcome::Unobserve(device, interest) => {
                self.unwanted(Some((device.serial, interest)));
                self.deliver(peer, &request, Answer::code(DELETED), digest, now);
            }
            Outcome::Never | Outcome::Silence => {}
        }
    }

    fn push(&mut self, number: u32, push: Push, now: Instant) {
        let backend = &self.resources.backend;
        let held = self.observers.device(number);
        match held.and_then(|device| backend.held_back(device)) {
            None => {}
            Some(delay) if delay.is_zero() => self.push_now(number, &push, now),
            Some(delay) => match self.resources.pending.ticket() {
                None => bump(&backend.tally.pushes_dropped),
                Some(place) => self.put_off(now + delay, Later::Push(number, push, place)),
            },
        }
    }

    fn push_now(&mut self, number: u32, push: &Push, now: Instant) {
        if let Some(notification) = self.observers.notify(number, push) {
            self.notify(notification, now);
        }
    }

    fn observe(
        &mut self,
        peer: SocketAddr,
        request: &Request,
        device: &Arc<Device>,
        interest: Interest,
        now: Instant,
    ) {
        if self.ids.count(peer, request.id, now) {
            self.put_off(now + EXCHANGE_LIFETIME, Later::Uncount(peer));
        }
        let backend = &self.resources.backend;
        let begun = self
            .observers
            .begin(backend, device, peer, request, interest);
        if let Some(last_word) = begun {
            self.notify(last_word, now);
        }
    }

    fn notify(&mut self, notification: Notification, now: Instant) {
        let Notification {
            peer,
            request,
            answer,
            observed,
        } = notification;
        let answer = self.blocks.split(peer, &request, answer, now);
        let id = self.own_id(peer, request.id, now);
        let carriage = if request.confirmable {
            Carriage::Confirmable
        } else {
            Carriage::NonConfirmable
        };
        let datagram = write(carriage, id, &request.token, &answer);
        self.dispatch((peer, id), carriage, datagram, observed, now);
    }

    fn own_id(&mut self, peer: SocketAddr, request: u16, now: Instant) -> u16 {
        let memory = &self.memory;
        let taken = |id| memory.has((peer, id));
        self.ids.next(peer, request, now, taken)
    }

    /// An observation ends.
    fn unwanted(&mut self, observed: Option<Observed>) {
        if let Some(observed) = observed {
            self.observers.end(&self.resources.backend, observed);
        }
    }

    fn deliver(
        &mut self,
        peer: SocketAddr,
        request: &Request,
        answer: Answer,
        digest: u64,
        now: Instant,
    ) {
        let answer = self.blocks.split(peer, request, answer, now);
        self.send(peer, request, &answer, digest, now);
    }

    fn send(
        &mut self,
        peer: SocketAddr,
        request: &Request,
        answer: &Answer,
        digest: u64,
        now: Instant,
    ) {
        let key = (peer, request.id);
        let known = self.memory.known(key, digest);
        let acknowledged = known.is_some_and(|known| known.acknowledged);
        let (carriage, id) = if !request.confirmable {
            let id = self.own_id(peer, request.id, now);
            (Carriage::NonConfirmable, id)
        } else if (answer.separate && self.resources.backend.config.answers_apart()) || acknowledged
        {
            (Carriage::Confirmable, self.own_id(peer, request.id, now))
        } else {
            (Carriage::Acknowledgement, request.id)
        };
        let datagram = write(carriage, id, &request.token, answer);
        if let Some(known) = self.memory.known(key, digest) {
            known.answer = Some(datagram.as_slice().into());
        }
        self.dispatch((peer, id), carriage, datagram, None, now);
    }

    fn dispatch(
        &mut self,
        key: Key,
        carriage: Carriage,
        datagram: Vec<u8>,
        observed: Option<Observed>,
        now: Instant,
    ) {
        if carriage == Carriage::Confirmable
            && let Some(wait) = self.retransmissions.begin(key, &datagram, observed)
        {
            self.put_off(now + wait, Later::Repeat(key));
        }
        self.out.push((key.0, datagram));
    }

    fn acknowledge(&mut self, key: Key, digest: u64) {
        let known = self.memory.known(key, digest);
        if let Some(known) = known.filter(|known| known.answer.is_none()) {
            known.acknowledged = true;
            self.out.push((key.0, empty_ack(key.1)));
        }
    }

    fn repeat(&mut self, key: Key, now: Instant) {
        match self.retransmissions.due(key) {
            Due::Repeat(datagram, wait) => {
                self.out.push((key.0, datagram));
                self.put_off(now + wait, Later::Repeat(key));
            }
            Due::GivenUp(observed) => self.unwanted(observed),
            Due::Settled => {}
        }
    }

    fn put_off(&mut self, due: Instant, what: Later) {
        self.serial += 1;
        self.later.insert((due, self.serial), what);
    }
}

/// Noise that cannot be taken for a message of another version: its token would be too long (RFC
/// 7252, section 3).
fn unreadable(mut noise: Vec<u8>) -> Vec<u8> {
    noise[0] = 0x6f;
    noise
}

/// Californium's time within which an answer rides on the acknowledgement.
const PIGGYBACK: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::backend::Backend;
    use crate::target::pending::Pending;
    use crate::target::{Limits, Listed, TargetConfig};

    const TELEMETRY: &[u8] = b"\x40\x02\x00\x01\xb3api\x02v1\x01t\x09telemetry\xff{}";

    fn exchanges() -> Exchanges {
        exchanges_with(1_000)
    }

    fn exchanges_with(limit: usize) -> Exchanges {
        let limits = Limits {
            coap_exchanges: limit,
            ..Limits::default()
        };
        let backend = Backend::new(TargetConfig {
            devices: vec![Listed {
                name: "d".into(),
                profile: 0,
                credentials: Some(crate::model::Credentials::AccessToken("t".into())),
                gateway: false,
                provisioned: false,
            }],
            limits,
            ..TargetConfig::default()
        });
        Exchanges::new(Resources {
            backend: backend.unwrap(),
            pending: Pending::new(10),
        })
    }

    fn peer() -> SocketAddr {
        ([127, 0, 0, 1], 9).into()
    }

    /// Lets time pass to the next thing due, and returns what is sent then.
    fn next(exchanges: &mut Exchanges) -> Option<(Instant, Vec<Vec<u8>>)> {
        let due = exchanges.due()?;
        exchanges.tick(due);
        Some((due, exchanges.drain().map(|(_, bytes)| bytes).collect()))
    }

    #[tokio::test]
    async fn an_unacknowledged_answer_is_repeated_four_times_at_growing_distance() {
        let (mut exchanges, start) = (exchanges(), Instant::now());
        exchanges.take(peer(), TELEMETRY, start);
        let first: Vec<_> = exchanges.drain().collect();
        let told = b"\x40\x41\x80\x01";
        assert_eq!(first, [(peer(), told.to_vec())]);
        let mut times = Vec::new();
        while let Some((due, sent)) = next(&mut exchanges) {
            if !sent.is_empty() {
                assert_eq!(sent, [told.to_vec()]);
                times.push((due - start).as_millis());
            }
        }
        // 32769 is the message id: 769 ms past ACK_TIMEOUT, then doubled each time.
        assert_eq!(times, [2_769, 8_307, 19_383, 41_535]);
        assert!((exchanges.retransmissions.len() == 0));
    }

    #[tokio::test]
    async fn an_acknowledged_or_reset_answer_is_not_repeated() {
        for first in [0x60, 0x70] {
            let mut exchanges = exchanges();
            exchanges.take(peer(), TELEMETRY, Instant::now());
            exchanges.take(peer(), &[first, 0, 0x80, 1], Instant::now());
            exchanges.drain().for_each(drop);
            assert!(matches!(next(&mut exchanges), Some((_, sent)) if sent.is_empty()));
            assert!(exchanges.due().is_none());
        }
    }

    #[tokio::test]
    async fn an_exchange_is_forgotten_after_its_lifetime() {
        let (mut exchanges, start) = (exchanges(), Instant::now());
        exchanges.take(peer(), TELEMETRY, start);
        exchanges.take(peer(), TELEMETRY, start + EXCHANGE_LIFETIME / 2);
        let tally = |exchanges: &Exchanges| {
            let counts = exchanges.resources.backend.tally.counts();
            (counts.coap_requests, counts.coap_repeats)
        };
        assert_eq!(tally(&exchanges), (1, 1));
        let mut other = TELEMETRY.to_vec();
        other[3] = 2;
        exchanges.take(peer(), &other, start + EXCHANGE_LIFETIME);
        assert_eq!(exchanges.memory.len(), [1, 1]);
        exchanges.take(peer(), TELEMETRY, start + EXCHANGE_LIFETIME);
        assert_eq!(tally(&exchanges), (3, 1));
    }

    #[tokio::test]
    async fn what_is_remembered_is_bounded() {
        let mut exchanges = exchanges_with(10);
        for port in 1..=100u16 {
            exchanges.take(([127, 0, 0, 1], port).into(), TELEMETRY, Instant::now());
            exchanges.drain().for_each(drop);
        }
        assert_eq!(exchanges.memory.len(), [10, 10]);
        assert_eq!(exchanges.retransmissions.len(), 10);
    }
}
