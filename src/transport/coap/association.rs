//! A device's DTLS 1.2 association with its server (RFC 6347): the handshake with its
//! retransmissions, then messages sealed and opened. Owns no clock but the runtime's.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use bytes::BytesMut;
use rtc_dtls::config::HandshakeConfig;
use rtc_dtls::crypto_provider::providers::RingProvider;
use rtc_dtls::endpoint::{Endpoint as Machine, EndpointEvent as Event};
use rtc_dtls::state::State;
use rtc_shared::TransportProtocol;
use rtc_shared::error::Error;
use tokio::net::UdpSocket;
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, timeout_at};

use crate::model::FaultKind;
use crate::transport::fault::{as_io, io_kind};
use crate::transport::{Span, scratch};

use super::terms::is_untrusted;

/// A socket whose messages are sealed.
pub(super) struct Association {
    pub(super) socket: UdpSocket,
    machine: Machine,
    peer: SocketAddr,
    /// Messages that came in one datagram with the last one taken.
    opened: VecDeque<BytesMut>,
    /// Why nothing more can be sent or received.
    over: Option<FaultKind>,
}

impl Association {
    /// Shakes hands within the given time.
    pub(super) async fn open(
        socket: UdpSocket,
        peer: SocketAddr,
        terms: Arc<HandshakeConfig>,
        within: Duration,
    ) -> Result<(Self, Span), FaultKind> {
        let local = socket.local_addr().map_err(|e| io_kind(&e))?;
        let mut association = Self {
            socket,
            machine: Machine::new(local, TransportProtocol::UDP, None),
            peer,
            opened: VecDeque::new(),
            over: None,
        };
        let sent = Instant::now();
        association
            .machine
            .connect(sent.into_std(), peer, terms, None)
            .map_err(|_| FaultKind::TlsProtocol)?;
        association.shake_hands(sent + within).await?;
        let done = Instant::now();
        Ok((association, Span { sent, done }))
    }

    /// Forgets what only the handshake needed, which is most of it: a client whose handshake is
    /// done never has to repeat a part of it. `shared` are terms that hold no certificate.
    pub(super) fn settle(&mut self, shared: Arc<HandshakeConfig>) {
        let Some(kept) = self.machine.get_connection_state(self.peer) else {
            return;
        };
        let mut state = State::new(Arc::new(RingProvider::new()), true);
        let restored = kept
            .marshal_binary()
            .and_then(|bytes| state.unmarshal_binary(&bytes));
        let Ok(local) = self.socket.local_addr() else {
            return;
        };
        state.peer_certificates = Vec::new();
        let mut machine = Machine::new(local, TransportProtocol::UDP, None);
        let now = Instant::now().into_std();
        let connected = machine.connect(now, self.peer, shared, Some(state));
        // Without it the association is as good, only larger.
        if restored.and(connected).is_ok() {
            self.machine = machine;
        }
    }

    /// Seals and sends a message.
    pub(super) async fn send(&mut self, message: &[u8]) -> Result<(), FaultKind> {
        self.seal(message)?;
        self.flush().await.map(drop)
    }

    /// Seals and sends a message if the kernel takes it at once.
    pub(super) fn try_send(&mut self, message: &[u8]) {
        if self.seal(message).is_ok() {
            self.try_flush();
        }
    }

    /// Hands over the next message that is there, if the next datagram holds one.
    ///
    /// What is no record of this association is dropped unseen (RFC 6347, section 4.1.2.7).
    pub(super) fn try_receive(&mut self) -> io::Result<Option<BytesMut>> {
        if self.opened.is_empty() {
            if let Some(over) = self.over {
                return Err(as_io(over));
            }
            let datagram = try_receive(&self.socket)?;
            self.take(datagram);
        }
        Ok(self.opened.pop_front())
    }

    /// Whether the server ended it, and all that came before was taken.
    pub(super) fn is_over(&self) -> bool {
        self.over.is_some() && self.opened.is_empty()
    }

    /// Says good-bye with a `close_notify`.
    pub(super) fn close(mut self) {
        if self.over.is_none() {
            self.machine.stop(Instant::now().into_std(), self.peer);
            self.try_flush();
        }
    }

    async fn shake_hands(&mut self, by: Instant) -> Result<(), FaultKind> {
        let mut flight = self.flush().await?;
        let (mut patience, mut finishing) = (FIRST_PATIENCE, false);
        let mut again = Instant::now() + patience;
        // More than a handshake has: its peer is not to fill our memory.
        for _ in 0..HANDSHAKE_DATAGRAMS {
            let Ok(heard) = timeout_at(again.min(by), receive(&self.socket)).await else {
                if Instant::now() >= by {
                    return Err(FaultKind::Timeout);
                }
                self.repeat(&mut flight).await?;
                patience *= 2;
                again = Instant::now() + patience;
                continue;
            };
            let heard = heard?;
            // A repetition of what was answered would stop the machine's timer for the answer.
            if finishing && records(&heard).all(|record| record.is_open(HANDSHAKE)) {
                continue;
            }
            let alert = alert(&heard);
            let now = Instant::now().into_std();
            let judged = self.machine.read(now, self.peer, None, heard);
            let next = self.flush().await;
            match judged {
                Ok(events) => {
                    if self.sort(events) {
                        return Ok(());
                    }
                }
                Err(Error::ErrAlertFatalOrClose) => {
                    return Err(alert.map_or(FaultKind::TlsProtocol, FaultKind::TlsAlert));
                }
                Err(e) if is_untrusted(&e) => return Err(FaultKind::TlsServerUntrusted),
                Err(_) => return Err(FaultKind::TlsProtocol),
            }
            if let Some(over) = self.over {
                return Err(over);
            }
            let next = next?;
            if !next.is_empty() {
                flight = next;
                finishing = flight.iter().any(|datagram| {
                    records(datagram).any(|record| record.is_open(CHANGE_CIPHER_SPEC))
                });
                patience = FIRST_PATIENCE;
                again = Instant::now() + patience;
            }
        }
        Err(FaultKind::TlsProtocol)
    }

    /// Sends the last flight again.
    ///
    /// The machine stops its own timer once a part of the peer's flight came; then the flight goes
    /// out as it went before, and the peer drops what it knows.
    async fn repeat(&mut self, flight: &mut Vec<BytesMut>) -> Result<(), FaultKind> {
        let now = Instant::now().into_std();
        let _ = self.machine.handle_timeout(self.peer, now);
        let repeated = self.flush().await?;
        if !repeated.is_empty() {
            *flight = repeated;
            return Ok(());
        }
        for datagram in flight {
            transmit(&self.socket, datagram).await?;
        }
        Ok(())
    }

    fn take(&mut self, datagram: BytesMut) {
        let now = Instant::now().into_std();
        match self.machine.read(now, self.peer, None, datagram) {
            Ok(events) => {
                self.sort(events);
            }
            // Sealed, so that its number is not known here.
            Err(Error::ErrAlertFatalOrClose) => self.over = Some(FaultKind::TlsProtocol),
            Err(_) => {}
        }
        self.try_flush();
    }

    /// Takes what a datagram brought; true if the handshake is complete by it.
    fn sort(&mut self, events: Vec<Event>) -> bool {
        let mut complete = false;
        for event in events {
            match event {
                Event::HandshakeComplete => complete = true,
                Event::ApplicationData(message) => self.opened.push_back(message),
                Event::PeerClosed => self.over = Some(FaultKind::ConnectionClosed),
                _ => {}
            }
        }
        complete
    }

    fn seal(&mut self, message: &[u8]) -> Result<(), FaultKind> {
        if let Some(over) = self.over {
            return Err(over);
        }
        let now = Instant::now().into_std();
        self.machine
            .write(now, self.peer, message)
            .map_err(|_| FaultKind::TlsProtocol)
    }

    /// Sends what the machine has to send, and returns it.
    async fn flush(&mut self) -> Result<Vec<BytesMut>, FaultKind> {
        let mut flight = Vec::new();
        while let Some(record) = self.machine.poll_transmit() {
            transmit(&self.socket, &record.message).await?;
            flight.push(record.message);
        }
        Ok(flight)
    }

    fn try_flush(&mut self) {
        while let Some(record) = self.machine.poll_transmit() {
            let _ = self.socket.try_send(&record.message);
        }
    }
}

impl fmt::Debug for Association {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The machine holds the keys.
        f.debug_struct("Association")
            .field("peer", &self.peer)
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}

async fn transmit(socket: &UdpSocket, datagram: &[u8]) -> Result<(), FaultKind> {
    socket
        .send(datagram)
        .await
        .map(drop)
        .map_err(|e| io_kind(&e))
}

async fn receive(socket: &UdpSocket) -> Result<BytesMut, FaultKind> {
    loop {
        consume_budget().await;
        socket.readable().await.map_err(|e| io_kind(&e))?;
        match try_receive(socket) {
            Ok(datagram) => return Ok(datagram),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(e) => return Err(io_kind(&e)),
        }
    }
}

fn try_receive(socket: &UdpSocket) -> io::Result<BytesMut> {
    scratch::lend(|buffer| {
        let length = socket.try_recv(buffer)?;
        Ok(BytesMut::from(&buffer[..length]))
    })
}

/// A record as anybody can see it (RFC 6347, section 4.1).
struct Record<'a> {
    kind: u8,
    epoch: u16,
    body: &'a [u8],
}

impl Record<'_> {
    /// Whether it is of this kind and not encrypted.
    fn is_open(&self, kind: u8) -> bool {
        self.kind == kind && self.epoch == 0
    }
}

/// The records of a datagram, as far as they are whole.
fn records(datagram: &[u8]) -> impl Iterator<Item = Record<'_>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let (header, after) = rest.split_first_chunk::<RECORD_HEADER>()?;
        let length = u16::from_be_bytes([header[11], header[12]]);
        let (body, next) = after.split_at_checked(length.into())?;
        rest = next;
        Some(Record {
            kind: header[0],
            epoch: u16::from_be_bytes([header[3], header[4]]),
            body,
        })
    })
}

/// The number of the fatal alert that a datagram holds in the open (RFC 5246, section 7.2).
fn alert(datagram: &[u8]) -> Option<u8> {
    records(datagram).find_map(|record| match record.body {
        [FATAL, number] if record.is_open(ALERT) => Some(*number),
        _ => None,
    })
}

/// How long a flight waits for its answer before it is sent again; twice as long each time (RFC
/// 6347, section 4.2.4.1).
pub(super) const FIRST_PATIENCE: Duration = Duration::from_secs(1);

/// Datagrams that a server may send for one handshake; a long chain in small pieces needs 40.
const HANDSHAKE_DATAGRAMS: usize = 256;

/// Type, version, epoch, number, length (RFC 6347, section 4.1).
const RECORD_HEADER: usize = 13;
const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const FATAL: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_fatal_alert_is_found_behind_other_records() {
        let hello = b"\x16\xfe\xfd\0\0\0\0\0\0\0\x01\0\x03abc";
        let refusal = b"\x15\xfe\xfd\0\0\0\0\0\0\0\x02\0\x02\x02\x28";
        assert_eq!(alert(&[&hello[..], &refusal[..]].concat()), Some(40));
        let sealed = b"\x15\xfe\xfd\0\x01\0\0\0\0\0\x02\0\x02\x02\x28";
        let farewell = b"\x15\xfe\xfd\0\0\0\0\0\0\0\x02\0\x02\x01\0";
        let cut = &refusal[..14];
        for none in [&hello[..], &sealed[..], &farewell[..], cut, b"", b"garbage"] {
            assert_eq!(alert(none), None, "{none:?}");
        }
    }
}
