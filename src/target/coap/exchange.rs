//! The message layer (RFC 7252, section 4) as a state machine without a socket: answers repeated
//! requests from memory, acknowledges slow ones, and repeats its own confirmable answers until
//! they are acknowledged.
//!
//! An exchange is known by peer, message id and the datagram's digest: another device on a re-used
//! port is never answered with its predecessor's credentials.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::blockwise::Blockwise;
use super::message::{Answer, Carriage, Incoming, Request, empty_ack, read, reset, write};
use super::resource::{Outcome, Resources};
use crate::target::counts::bump;
use crate::target::device::Device;
use crate::target::pending::Ticket;

/// A datagram to be sent.
pub(super) type Outgoing = (SocketAddr, Vec<u8>);

/// Peer and message id.
type Key = (SocketAddr, u16);

/// Everything that is remembered.
pub(super) struct Exchanges {
    resources: Resources,
    blocks: Blockwise,
    hasher: RandomState,
    known: HashMap<Key, Known>,
    /// The known ones by age.
    order: VecDeque<(Instant, Key, u64)>,
    unacknowledged: HashMap<Key, Unacknowledged>,
    later: BTreeMap<(Instant, u64), Later>,
    serial: u64,
    out: Vec<Outgoing>,
    /// Devices that their certificates name.
    holders: HashMap<SocketAddr, Arc<Device>>,
}

/// A request that was seen.
struct Known {
    digest: u64,
    acknowledged: bool,
    /// The datagram that answered it.
    answer: Option<Box<[u8]>>,
}

/// A confirmable answer under way.
struct Unacknowledged {
    datagram: Box<[u8]>,
    repeats: u32,
    wait: Duration,
}

enum Later {
    Acknowledge(Key, u64),
    Answer(Box<Waiting>),
    Repeat(Key),
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
        Self {
            resources,
            blocks: Blockwise::default(),
            hasher: RandomState::new(),
            known: HashMap::new(),
            order: VecDeque::new(),
            unacknowledged: HashMap::new(),
            later: BTreeMap::new(),
            serial: 0,
            out: Vec::new(),
            holders: HashMap::new(),
        }
    }

    /// Says which device a peer's certificate names; `None` takes it back.
    pub(super) fn hold(&mut self, peer: SocketAddr, device: Option<Arc<Device>>) {
        match device {
            Some(device) => self.holders.insert(peer, device),
            None => self.holders.remove(&peer),
        };
    }

    /// Takes a datagram.
    pub(super) fn take(&mut self, peer: SocketAddr, datagram: &[u8], now: Instant) {
        match read(datagram) {
            Incoming::Request(request) => {
                let digest = self.hasher.hash_one(datagram);
                self.request(peer, request, digest, now);
            }
            Incoming::Settled(id) => {
                self.unacknowledged.remove(&(peer, id));
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
            }
        }
    }

    fn request(&mut self, peer: SocketAddr, mut request: Request, digest: u64, now: Instant) {
        let key = (peer, request.id);
        let tally = &self.resources.backend.tally;
        if let Some(known) = self.known.get(&key).filter(|known| known.digest == digest) {
            bump(&tally.coap_repeats);
            if let Some(answer) = &known.answer {
                self.out.push((peer, answer.to_vec()));
            } else if known.acknowledged {
                self.out.push((peer, empty_ack(request.id)));
            }
            return;
        }
        bump(&tally.coap_requests);
        self.remember(key, digest, now);
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
            Outcome::Never | Outcome::Silence => {}
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
        let mut known = self.known.get_mut(&key).filter(|k| k.digest == digest);
        let acknowledged = known.as_ref().is_some_and(|known| known.acknowledged);
        let (carriage, id) = if !request.confirmable {
            (Carriage::NonConfirmable, request.id ^ OURS)
        } else if (answer.separate && self.resources.backend.config.answers_apart()) || acknowledged
        {
            (Carriage::Confirmable, request.id ^ OURS)
        } else {
            (Carriage::Acknowledgement, request.id)
        };
        let datagram = write(carriage, id, &request.token, answer);
        if let Some(known) = &mut known {
            known.answer = Some(datagram.as_slice().into());
        }
        let room = self.unacknowledged.len() < self.resources.backend.config.limits.coap_exchanges;
        if carriage == Carriage::Confirmable && room {
            // Between ACK_TIMEOUT and ACK_TIMEOUT * ACK_RANDOM_FACTOR, spread by message id.
            let wait = ACK_TIMEOUT + Duration::from_millis(u64::from(id) % 1_000);
            let under_way = Unacknowledged {
                datagram: datagram.as_slice().into(),
                repeats: 0,
                wait,
            };
            self.unacknowledged.insert((peer, id), under_way);
            self.put_off(now + wait, Later::Repeat((peer, id)));
        }
        self.out.push((peer, datagram));
    }

    fn acknowledge(&mut self, key: Key, digest: u64) {
        let known = self.known.get_mut(&key);
        if let Some(known) = known.filter(|k| k.digest == digest && k.answer.is_none()) {
            known.acknowledged = true;
            self.out.push((key.0, empty_ack(key.1)));
        }
    }

    fn repeat(&mut self, key: Key, now: Instant) {
        let Some(under_way) = self.unacknowledged.get_mut(&key) else {
            return;
        };
        if under_way.repeats == MAX_RETRANSMIT {
            self.unacknowledged.remove(&key);
            return;
        }
        under_way.repeats += 1;
        under_way.wait *= 2;
        let due = now + under_way.wait;
        self.out.push((key.0, under_way.datagram.to_vec()));
        self.put_off(due, Later::Repeat(key));
    }

    fn remember(&mut self, key: Key, digest: u64, now: Instant) {
        let limit = self.resources.backend.config.limits.coap_exchanges;
        while let Some((seen, oldest, digest)) = self.order.front() {
            if now < *seen + EXCHANGE_LIFETIME && self.order.len() < limit {
                break;
            }
            // A newer exchange under the same key stays.
            if self.known.get(oldest).is_some_and(|k| k.digest == *digest) {
                self.known.remove(oldest);
            }
            self.order.pop_front();
        }
        self.order.push_back((now, key, digest));
        let fresh = Known {
            digest,
            acknowledged: false,
            answer: None,
        };
        self.known.insert(key, fresh);
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

/// Ids of our own messages: the request's with the top bit turned. Since a peer does not re-use
/// its ids within the exchange lifetime, neither do we, and no counter per peer is kept.
const OURS: u16 = 0x8000;

/// Californium's time within which an answer rides on the acknowledgement.
const PIGGYBACK: Duration = Duration::from_millis(500);

// RFC 7252, section 4.8.
const ACK_TIMEOUT: Duration = Duration::from_secs(2);
const MAX_RETRANSMIT: u32 = 4;
const EXCHANGE_LIFETIME: Duration = Duration::from_secs(247);

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
        assert!(exchanges.unacknowledged.is_empty());
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
        assert_eq!(exchanges.known.len(), 1);
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
        assert_eq!((exchanges.known.len(), exchanges.order.len()), (10, 10));
        assert_eq!(exchanges.unacknowledged.len(), 10);
    }
}
