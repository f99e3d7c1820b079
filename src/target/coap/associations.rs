//! DTLS 1.2 with many peers over one socket (RFC 6347), as a state machine without it: whose
//! datagram it is, handshakes under way, and how long a silent peer is remembered.
//!
//! Only a ClientHello makes a peer: whatever else a stranger sends is dropped without a trace. A
//! ClientHello with another random than the one before is a new client on the same port (section
//! 4.2.8). Client certificates are asked for and taken whatever they are; judging them is not done
//! here.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use rtc_dtls::config::HandshakeConfig;
use rtc_dtls::crypto_provider::providers::RingProvider;
use rtc_dtls::endpoint::{Endpoint as Machine, EndpointEvent as Event};
use rtc_dtls::state::State;
use rtc_shared::TransportProtocol;
use rtc_shared::error::Error;
use tokio::time::Instant;

use super::hello::{Random, hello, is_verify};
use crate::target::config::Limits;

/// All peers of one socket.
pub(super) struct Associations {
    machine: Machine,
    terms: Arc<HandshakeConfig>,
    limits: Limits,
    peers: HashMap<SocketAddr, Peer>,
    /// When something is to be done about whom; one entry for each peer.
    due: BTreeSet<(Instant, SocketAddr)>,
    half_open: usize,
    out: Vec<(SocketAddr, BytesMut)>,
}

/// What a datagram brought.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// The handshake is done; the client's certificates, leaf first, if it showed any.
    Opened(Vec<Vec<u8>>),
    /// A message, in the clear.
    Message(BytesMut),
    /// The peer is gone.
    Closed,
}

struct Peer {
    /// Of its ClientHello.
    random: Random,
    due: Instant,
    stage: Stage,
}

enum Stage {
    Shaking(Box<Shaking>),
    Open { heard: Instant, settled: bool },
}

/// A handshake under way.
struct Shaking {
    by: Instant,
    patience: Duration,
    datagrams: u32,
    /// What was sent last, to be sent again as it is where the machine would not.
    flight: Vec<BytesMut>,
}

impl Associations {
    pub(super) fn new(local: SocketAddr, terms: Arc<HandshakeConfig>, limits: Limits) -> Self {
        Self {
            machine: Machine::new(local, TransportProtocol::UDP, Some(Arc::clone(&terms))),
            terms,
            limits,
            peers: HashMap::new(),
            due: BTreeSet::new(),
            half_open: 0,
            out: Vec::new(),
        }
    }

    /// Takes a datagram.
    pub(super) fn take(&mut self, peer: SocketAddr, datagram: &[u8], now: Instant) -> Vec<Heard> {
        let mut heard = Vec::new();
        let hello = hello(datagram);
        let known = self.peers.get(&peer).map(|known| known.random);
        if known.is_none() || hello.is_some_and(|random| Some(random) != known) {
            let Some(random) = hello else {
                return heard;
            };
            if known.is_some() && self.forget(peer) {
                heard.push(Heard::Closed);
            }
            if !self.admit(peer, random, now) {
                return heard;
            }
        }
        if self.exhausted(peer) {
            self.forget(peer);
            return heard;
        }
        let read = self
            .machine
            .read(now.into_std(), peer, None, BytesMut::from(datagram));
        if self.collect(peer) {
            self.new_flight(peer, now);
        } else if hello.is_some() {
            // It asks again, so it did not get what it was told.
            self.send_flight_again(peer);
        }
        match read {
            Ok(events) => self.sort(peer, events, now, &mut heard),
            Err(e) => {
                // From a stranger's garbage an association recovers, from an alert it does not.
                let lasts = match self.peers.get(&peer).map(|known| &known.stage) {
                    Some(Stage::Open { .. }) => e != Error::ErrAlertFatalOrClose,
                    _ => e == Error::ErrInvalidPacketLength,
                };
                if !lasts && self.forget(peer) {
                    heard.push(Heard::Closed);
                }
            }
        }
        heard
    }

    /// Seals a message for a peer; dropped if there is no such peer any more.
    pub(super) fn seal(&mut self, peer: SocketAddr, message: &[u8], now: Instant) {
        if self.machine.write(now.into_std(), peer, message).is_ok() {
            self.collect(peer);
        }
    }

    /// What is to be sent now.
    pub(super) fn drain(&mut self) -> std::vec::Drain<'_, (SocketAddr, BytesMut)> {
        self.out.drain(..)
    }

    /// When `tick` has something to do.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Does what is due by now; returns who is gone.
    pub(super) fn tick(&mut self, now: Instant) -> Vec<SocketAddr> {
        let mut gone = Vec::new();
        while let Some((_, peer)) = self.due.first().copied().filter(|(due, _)| *due <= now) {
            let known = self.peers.get_mut(&peer).expect("who is due is known");
            match &mut known.stage {
                Stage::Open { heard, .. } => {
                    let until = *heard + self.limits.dtls_idle;
                    if until > now {
                        self.put_off(peer, until);
                    } else {
                        self.forget(peer);
                        gone.push(peer);
                    }
                }
                Stage::Shaking(shaking) if now >= shaking.by => {
                    self.forget(peer);
                }
                Stage::Shaking(shaking) => {
                    shaking.patience *= 2;
                    let again = (now + shaking.patience).min(shaking.by);
                    // A HelloVerifyRequest is not repeated unasked (section 4.2.1): its receiver
                    // may not exist.
                    if !shaking.flight.first().is_some_and(|first| is_verify(first)) {
                        let _ = self.machine.handle_timeout(peer, now.into_std());
                        if !self.collect(peer) {
                            self.send_flight_again(peer);
                        }
                    }
                    self.put_off(peer, again);
                }
            }
        }
        gone
    }

    /// Makes a peer of a stranger, if there is room.
    fn admit(&mut self, peer: SocketAddr, random: Random, now: Instant) -> bool {
        let room = self.half_open < self.limits.dtls_half_open
            && self.peers.len() < self.limits.dtls_peers;
        if room {
            self.half_open += 1;
            let due = now + FIRST_PATIENCE;
            let shaking = Shaking {
                by: now + HANDSHAKE,
                patience: FIRST_PATIENCE,
                datagrams: 0,
                flight: Vec::new(),
            };
            let stage = Stage::Shaking(Box::new(shaking));
            self.peers.insert(peer, Peer { random, due, stage });
            self.due.insert((due, peer));
        }
        room
    }

    /// Whether this peer's handshake took more datagrams than a handshake has; counts them.
    fn exhausted(&mut self, peer: SocketAddr) -> bool {
        match self.peers.get_mut(&peer).map(|known| &mut known.stage) {
            Some(Stage::Shaking(shaking)) => {
                shaking.datagrams += 1;
                shaking.datagrams > HANDSHAKE_DATAGRAMS
            }
            _ => false,
        }
    }

    fn sort(&mut self, peer: SocketAddr, events: Vec<Event>, now: Instant, heard: &mut Vec<Heard>) {
        for event in events {
            match event {
                Event::HandshakeComplete => {
                    self.half_open -= 1;
                    self.put_off(peer, now + self.limits.dtls_idle);
                    self.set_open(peer, now, false);
                    let state = self.machine.get_connection_state(peer);
                    let shown = state.map(|state| state.peer_certificates.clone());
                    heard.push(Heard::Opened(shown.unwrap_or_default()));
                }
                Event::ApplicationData(message) => {
                    self.settle(peer, now);
                    self.set_open(peer, now, true);
                    heard.push(Heard::Message(message));
                }
                Event::PeerClosed => {
                    self.forget(peer);
                    heard.push(Heard::Closed);
                }
                _ => {}
            }
        }
    }

    fn set_open(&mut self, peer: SocketAddr, heard: Instant, settled: bool) {
        if let Some(known) = self.peers.get_mut(&peer) {
            known.stage = Stage::Open { heard, settled };
        }
    }

    /// Forgets what only the handshake needed, which is most of it, once a message shows that the
    /// client has our last flight.
    fn settle(&mut self, peer: SocketAddr, now: Instant) {
        let known = self.peers.get(&peer).map(|known| &known.stage);
        let Some(Stage::Open { settled: false, .. }) = known else {
            return;
        };
        let Some(kept) = self.machine.get_connection_state(peer) else {
            return;
        };
        let mut state = State::new(Arc::new(RingProvider::new()), false);
        let restored = kept
            .marshal_binary()
            .and_then(|bytes| state.unmarshal_binary(&bytes));
        if restored.is_ok() {
            state.peer_certificates = Vec::new();
            self.drop_silently(peer);
            let terms = Arc::clone(&self.terms);
            let _ = self
                .machine
                .connect(now.into_std(), peer, terms, Some(state));
        }
    }

    /// Takes what the machine has to send to a peer; true if there was something.
    fn collect(&mut self, peer: SocketAddr) -> bool {
        let before = self.out.len();
        while let Some(record) = self.machine.poll_transmit() {
            self.out.push((peer, record.message));
        }
        let sent = &self.out[before..];
        if sent.is_empty() {
            return false;
        }
        if let Some(Stage::Shaking(shaking)) = self.peers.get_mut(&peer).map(|p| &mut p.stage) {
            shaking.flight = sent.iter().map(|(_, record)| record.clone()).collect();
        }
        true
    }

    /// Gives a flight its first time to be answered.
    fn new_flight(&mut self, peer: SocketAddr, now: Instant) {
        if let Some(Stage::Shaking(shaking)) = self.peers.get_mut(&peer).map(|p| &mut p.stage) {
            shaking.patience = FIRST_PATIENCE;
            self.put_off(peer, now + FIRST_PATIENCE);
        }
    }

    fn send_flight_again(&mut self, peer: SocketAddr) {
        if let Some(Stage::Shaking(shaking)) = self.peers.get(&peer).map(|known| &known.stage) {
            let flight = shaking.flight.iter().map(|record| (peer, record.clone()));
            self.out.extend(flight);
        }
    }

    fn put_off(&mut self, peer: SocketAddr, due: Instant) {
        if let Some(known) = self.peers.get_mut(&peer) {
            self.due.remove(&(known.due, peer));
            known.due = due;
            self.due.insert((due, peer));
        }
    }

    /// Drops a peer without a word; true if its handshake was done.
    fn forget(&mut self, peer: SocketAddr) -> bool {
        self.drop_silently(peer);
        let Some(known) = self.peers.remove(&peer) else {
            return false;
        };
        self.due.remove(&(known.due, peer));
        let open = matches!(known.stage, Stage::Open { .. });
        self.half_open -= usize::from(!open);
        open
    }

    fn drop_silently(&mut self, peer: SocketAddr) {
        self.machine.stop(Instant::now().into_std(), peer);
        // Its farewell, which nobody is to hear: the port may have a new owner.
        while self.machine.poll_transmit().is_some() {}
    }
}

/// How long a flight waits for its answer before it is sent again; twice as long each time (RFC
/// 6347, section 4.2.4.1).
pub(super) const FIRST_PATIENCE: Duration = Duration::from_secs(1);

/// A whole handshake; after it the peer is a stranger again.
const HANDSHAKE: Duration = Duration::from_secs(30);

/// Datagrams that a client may send for one handshake; a long chain in small pieces needs 40.
const HANDSHAKE_DATAGRAMS: u32 = 256;

#[cfg(test)]
mod tests {
    use rtc_dtls::config::ConfigBuilder;

    use super::super::terms::terms;
    use super::*;
    use crate::pki::{KeyKind, Validity, self_signed};

    fn associations(half_open: usize) -> Associations {
        let identity = self_signed("localhost", KeyKind::P256, Validity::days(1)).unwrap();
        let limits = Limits {
            dtls_half_open: half_open,
            dtls_idle: Duration::from_mins(1),
            ..Limits::default()
        };
        Associations::new(peer(1), terms(&identity).unwrap(), limits)
    }

    fn peer(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    /// A device as a state machine of its own.
    struct Device(Machine);

    impl Device {
        fn new(now: Instant) -> Self {
            let mut machine = Machine::new(peer(2), TransportProtocol::UDP, None);
            let terms = ConfigBuilder::default()
                .with_crypto_provider(Arc::new(RingProvider::new()))
                .with_insecure_skip_verify(true)
                .with_server_name("localhost".to_owned())
                .build(true, None);
            machine
                .connect(now.into_std(), peer(1), Arc::new(terms.unwrap()), None)
                .unwrap();
            Self(machine)
        }

        fn said(&mut self) -> Vec<BytesMut> {
            std::iter::from_fn(|| self.0.poll_transmit())
                .map(|record| record.message)
                .collect()
        }

        /// Talks until nobody has anything to say.
        fn talk(&mut self, with: &mut Associations, now: Instant) -> Vec<Heard> {
            let mut heard = Vec::new();
            loop {
                let said = self.said();
                if said.is_empty() {
                    return heard;
                }
                for datagram in said {
                    heard.extend(with.take(peer(2), &datagram, now));
                }
                let answers: Vec<_> = with.drain().collect();
                for (_, answer) in answers {
                    let _ = self.0.read(now.into_std(), peer(1), None, answer);
                }
            }
        }
    }

    #[tokio::test]
    async fn a_stranger_who_says_no_hello_leaves_no_trace() {
        let mut associations = associations(10);
        let now = Instant::now();
        let hello = Device::new(now).said().remove(0);
        let mut data = hello.clone();
        data[0] = 23;
        let mut sealed = hello.clone();
        sealed[4] = 1;
        for datagram in [
            &data[..],
            &sealed,
            &hello[..50],
            b"",
            b"GET / HTTP/1.1\r\n\r\n",
        ] {
            assert_eq!(associations.take(peer(2), datagram, now), []);
        }
        assert!(associations.peers.is_empty() && associations.due().is_none());
        assert_eq!(associations.drain().count(), 0);
    }

    #[tokio::test]
    async fn handshakes_under_way_are_bounded_and_end() {
        let mut associations = associations(3);
        let start = Instant::now();
        for port in 2..10 {
            let hello = Device::new(start).said().remove(0);
            associations.take(peer(port), &hello, start);
        }
        assert_eq!((associations.half_open, associations.peers.len()), (3, 3));
        // Each was told to come back, once: whether they exist is not known yet.
        assert_eq!(associations.drain().count(), 3);
        while let Some(due) = associations.due() {
            assert!(due <= start + HANDSHAKE);
            assert!(associations.tick(due).is_empty());
            assert_eq!(associations.drain().count(), 0);
        }
        assert_eq!((associations.half_open, associations.peers.len()), (0, 0));
        assert_eq!(associations.machine.get_connections_keys().count(), 0);
    }

    #[tokio::test]
    async fn a_peer_is_forgotten_when_it_was_silent_for_long() {
        let (mut associations, start) = (associations(3), Instant::now());
        let mut device = Device::new(start);
        assert_eq!(
            device.talk(&mut associations, start),
            [Heard::Opened(vec![])]
        );
        assert_eq!(associations.half_open, 0);
        let later = start + Duration::from_secs(40);
        device.0.write(later.into_std(), peer(1), b"hello").unwrap();
        let heard = device.talk(&mut associations, later);
        assert_eq!(heard, [Heard::Message(BytesMut::from("hello"))]);
        assert!(associations.tick(start + Duration::from_mins(1)).is_empty());
        let due = associations.due().unwrap();
        assert_eq!(due, later + Duration::from_mins(1));
        assert_eq!(associations.tick(due), [peer(2)]);
        assert!(associations.peers.is_empty() && associations.due().is_none());
        assert_eq!(associations.machine.get_connections_keys().count(), 0);
    }

    #[tokio::test]
    async fn an_unanswered_flight_is_sent_again_at_growing_distance() {
        let (mut associations, start) = (associations(3), Instant::now());
        let mut device = Device::new(start);
        // Up to the flight that follows the client's cookie.
        for _ in 0..2 {
            for datagram in device.said() {
                associations.take(peer(2), &datagram, start);
            }
            let answers: Vec<_> = associations.drain().collect();
            for (_, answer) in answers {
                let _ = device.0.read(start.into_std(), peer(1), None, answer);
            }
        }
        let mut times = Vec::new();
        while let Some(due) = associations.due() {
            associations.tick(due);
            if associations.drain().count() > 0 {
                times.push((due - start).as_secs());
            }
        }
        assert_eq!(times, [1, 3, 7, 15]);
    }

    #[tokio::test]
    async fn a_farewell_and_a_new_client_end_an_association() {
        let (mut associations, now) = (associations(3), Instant::now());
        let opened = Heard::Opened(vec![]);
        let mut first = Device::new(now);
        assert_eq!(first.talk(&mut associations, now), [opened]);
        let mut second = Device::new(now);
        let heard = second.talk(&mut associations, now);
        assert_eq!(heard, [Heard::Closed, Heard::Opened(vec![])]);
        second.0.stop(now.into_std(), peer(1));
        assert_eq!(second.talk(&mut associations, now), [Heard::Closed]);
        assert!(associations.peers.is_empty() && associations.due().is_none());
    }
}
