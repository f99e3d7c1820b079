//! TLS on one TCP connection, from the device's side.
//!
//! rustls is driven without buffers of its own: what arrives is taken apart in the thread's
//! scratch buffer, and only the beginning of a record that is still incomplete is kept. An idle
//! connection holds its keys and little else.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use rustls::client::UnbufferedClientConnection;
use tokio::io::{AsyncWrite, Interest, Ready};
use tokio::net::TcpStream;
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, timeout_at};

use crate::model::FaultKind;

use super::fault::{as_io, io_kind, tls_kind};
use super::records::{Say, Turn, turn};
use super::tls::Terms;
use super::wire;
use super::{Span, scratch};

/// A TCP connection after its TLS handshake. Dropping a future of it at any moment leaves it in
/// step: whatever is half received or half sent lives here.
pub(super) struct Secured {
    tcp: TcpStream,
    tls: UnbufferedClientConnection,
    /// Received, and not yet a whole message.
    inbound: BytesMut,
    /// Decrypted, and not yet fetched.
    plain: BytesMut,
    /// Encrypted, and not yet taken by the kernel.
    outbound: BytesMut,
    /// How many bytes the kernel took since that was last asked.
    taken: usize,
    established: bool,
    /// Nothing comes any more once `plain` is fetched, and why.
    ended: Option<FaultKind>,
}

impl Secured {
    /// Does the handshake, within the given time.
    pub(super) async fn handshake(
        tcp: TcpStream,
        terms: Terms,
        within: Duration,
    ) -> Result<(Box<Self>, Span), FaultKind> {
        let tls = UnbufferedClientConnection::new(terms.config, terms.name);
        let mut secured = Box::new(Self {
            tcp,
            tls: tls.map_err(|e| tls_kind(&e))?,
            inbound: BytesMut::new(),
            plain: BytesMut::new(),
            outbound: BytesMut::new(),
            taken: 0,
            established: false,
            ended: None,
        });
        let sent = Instant::now();
        timeout_at(sent + within, secured.shake_hands())
            .await
            .map_err(|_| FaultKind::Timeout)??;
        let done = Instant::now();
        secured.taken = 0;
        Ok((secured, Span { sent, done }))
    }

    async fn shake_hands(&mut self) -> Result<(), FaultKind> {
        self.say(Say::Nothing)?;
        loop {
            // Readiness that is there already would never yield.
            consume_budget().await;
            self.flush()?;
            let interest = match (self.established, self.outbound.is_empty()) {
                (true, true) => return Ok(()),
                (true, false) => Interest::WRITABLE,
                (false, true) => Interest::READABLE,
                (false, false) => Interest::READABLE | Interest::WRITABLE,
            };
            let ready = self.tcp.ready(interest).await.map_err(|e| io_kind(&e))?;
            if ready.is_readable() {
                self.read()?;
            }
        }
    }

    /// Whether reading or writing makes sense; else the task is woken once it does.
    pub(super) fn poll_ready(
        &self,
        interest: Interest,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Ready>> {
        if interest.is_readable() && (self.ended.is_some() || !self.plain.is_empty()) {
            return Poll::Ready(Ok(Ready::READABLE));
        }
        wire::poll_ready(&self.tcp, interest, cx)
    }

    /// Whether the kernel has yet to take something.
    pub(super) fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    pub(super) fn is_queued(&self) -> bool {
        !self.outbound.is_empty()
    }

    /// Reads once without waiting; `false` when there was nothing.
    pub(super) fn read_into(&mut self, received: &mut BytesMut) -> Result<bool, FaultKind> {
        let came = !self.plain.is_empty() || self.read()?;
        if received.is_empty() {
            *received = std::mem::take(&mut self.plain);
        } else {
            received.extend_from_slice(&self.plain);
            self.plain = BytesMut::new();
        }
        Ok(came)
    }

    /// Encrypts and writes as much as the kernel takes without waiting. How many bytes of the
    /// encrypted stream it took, even where it then failed: 0 says that nothing of what is new
    /// here can have reached the peer.
    pub(super) fn write_from(&mut self, unsent: &mut BytesMut) -> (usize, Result<(), FaultKind>) {
        let written = self.write_records(unsent);
        (std::mem::take(&mut self.taken), written)
    }

    fn write_records(&mut self, unsent: &mut BytesMut) -> Result<(), FaultKind> {
        self.flush()?;
        while self.outbound.is_empty() && !unsent.is_empty() {
            let chunk = unsent.split_to(unsent.len().min(RECORD));
            self.say(Say::Bytes(&chunk))?;
            self.flush()?;
        }
        Ok(())
    }

    /// Says that nothing more comes, and closes the sending half.
    pub(super) async fn shut(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_shutdown(cx)).await
    }

    /// Reads once there is something decrypted, which it puts behind `received`; else the task is
    /// woken.
    pub(super) fn poll_receive(
        &mut self,
        received: &mut BytesMut,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), FaultKind>> {
        let before = received.len();
        loop {
            ready!(self.poll_ready(Interest::READABLE, cx)).map_err(|e| io_kind(&e))?;
            let read = self.read_into(received);
            // An answer to the peer's wish for new keys.
            let _ = self.flush();
            if let Err(kind) = read {
                return Poll::Ready(Err(kind));
            }
            if received.len() > before {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Hands all that is encrypted to the kernel.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            self.flush().map_err(as_io)?;
            if self.outbound.is_empty() {
                return Poll::Ready(Ok(()));
            }
            ready!(self.tcp.poll_write_ready(cx))?;
        }
    }

    /// Says that nothing more comes, and closes the sending half.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // rustls says it once, however often it is asked to.
        if self.ended.is_none() {
            let _ = self.say(Say::GoodBye);
        }
        let flushed = ready!(self.poll_flush(cx));
        ready!(Pin::new(&mut self.tcp).poll_shutdown(cx))?;
        Poll::Ready(flushed)
    }

    /// Reads once without waiting; `false` when there was nothing. What came together with the
    /// end is to be fetched first.
    fn read(&mut self) -> Result<bool, FaultKind> {
        if let Some(kind) = self.ended {
            return Err(kind);
        }
        let silent = self.outbound.is_empty();
        let came = scratch::lend(|buffer| match self.tcp.try_read(buffer) {
            Ok(0) => Err(FaultKind::ConnectionClosed),
            Ok(n) => self.take_apart(&mut buffer[..n]).map(|()| true),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(e) => Err(io_kind(&e)),
        });
        came.or_else(|kind| {
            self.ended = Some(kind);
            if silent {
                // Only the alert that says what we think of it; nobody waits for it to be taken.
                let _ = self.tcp.try_write(&self.outbound);
            }
            self.outbound = BytesMut::new();
            if self.plain.is_empty() {
                Err(kind)
            } else {
                Ok(true)
            }
        })
    }

    /// Writes what is encrypted as far as the kernel takes it.
    fn flush(&mut self) -> Result<(), FaultKind> {
        while !self.outbound.is_empty() {
            match self.tcp.try_write(&self.outbound) {
                Ok(n) => {
                    self.outbound.advance(n);
                    self.taken += n;
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(self.last_words(io_kind(&e))),
            }
        }
        if self.outbound.capacity() > 0 {
            self.outbound = BytesMut::new();
        }
        Ok(())
    }

    /// Why nothing can be written any more: a peer that closed may have said so by an alert.
    fn last_words(&mut self, kind: FaultKind) -> FaultKind {
        self.outbound = BytesMut::new();
        while self.plain.len() < LAST_WORDS && matches!(self.read(), Ok(true)) {}
        match *self.ended.get_or_insert(kind) {
            alert @ FaultKind::TlsAlert(_) => alert,
            _ => kind,
        }
    }

    /// Takes records apart. What went wrong in the middle does not undo what came before.
    fn take_apart(&mut self, came: &mut [u8]) -> Result<(), FaultKind> {
        if self.inbound.is_empty() {
            let (used, turned) = self.turn(came, Say::Nothing);
            self.inbound.extend_from_slice(&came[used..]);
            turned?;
        } else {
            self.inbound.extend_from_slice(came);
            self.say(Say::Nothing)?;
        }
        if self.inbound.len() > INBOUND_LIMIT {
            return Err(FaultKind::TlsProtocol);
        }
        Ok(())
    }

    /// Goes on with what was received before, and encrypts.
    fn say(&mut self, say: Say<'_>) -> Result<(), FaultKind> {
        if let (Some(kind), false) = (self.ended, matches!(say, Say::Nothing)) {
            return Err(kind);
        }
        let mut inbound = std::mem::take(&mut self.inbound);
        let (used, turned) = self.turn(&mut inbound, say);
        inbound.advance(used);
        if !inbound.is_empty() {
            self.inbound = inbound;
        }
        turned
    }

    fn turn(&mut self, records: &mut [u8], say: Say<'_>) -> (usize, Result<(), FaultKind>) {
        let (used, turned) = turn(
            &mut self.tls,
            records,
            &mut self.plain,
            &mut self.outbound,
            say,
        );
        let turned = match turned {
            Ok(Turn::Handshaking) => Ok(()),
            Ok(Turn::Established) => {
                self.established = true;
                Ok(())
            }
            Ok(Turn::PeerClosed) => Err(FaultKind::ConnectionClosed),
            Err(kind) => Err(kind),
        };
        (used, turned)
    }
}

impl fmt::Debug for Secured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither keys nor what was said.
        f.debug_struct("Secured")
            .field("tcp", &self.tcp)
            .finish_non_exhaustive()
    }
}

/// The most plaintext that one record carries (RFC 8446 section 5.1).
const RECORD: usize = 16 * 1024;

/// The most that is kept of messages that are not whole: a handshake message of 64 KiB, which is
/// all that rustls takes, in as many records, and one record that has only begun.
const INBOUND_LIMIT: usize = 160 * 1024;

/// What is still read of a peer that can no longer be written to.
const LAST_WORDS: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::ServerConfig;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;
    use crate::pki::{Authority, KeyKind, Validity};
    use crate::transport::{Tls, Trust};

    /// What is held beside keys, in bytes.
    fn held(secured: &Secured) -> usize {
        secured.inbound.capacity() + secured.plain.capacity() + secured.outbound.capacity()
    }

    #[tokio::test]
    async fn a_connection_in_rest_holds_no_buffer() {
        let authority = Authority::root("a", KeyKind::P256, Validity::days(1)).unwrap();
        let server = authority.issue_server(&["127.0.0.1"], KeyKind::P256, Validity::days(1));
        let server = server.unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(server.chain().to_vec(), server.key().clone_key())
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (tcp, _) = listener.accept().await.unwrap();
            let acceptor = TlsAcceptor::from(Arc::new(config));
            let mut stream = acceptor.accept(tcp).await.unwrap();
            let mut bytes = vec![0; 40_000];
            loop {
                stream.read_exact(&mut bytes).await.unwrap();
                stream.write_all(&bytes).await.unwrap();
            }
        });
        let root = authority.identity().chain()[0].clone();
        let tls = Tls::new(Trust::Roots(vec![root]), "127.0.0.1", false).unwrap();
        let tcp = TcpStream::connect(addr).await.unwrap();
        let within = Duration::from_secs(30);
        let shaken = Secured::handshake(tcp, tls.terms(None, 0), within).await;
        let (mut secured, _) = shaken.unwrap();
        assert_eq!(held(&secured), 0);
        let bytes = vec![7; 40_000];
        for _ in 0..2 {
            let (mut unsent, mut received) = (BytesMut::from(&bytes[..]), BytesMut::new());
            while received.len() < 40_000 {
                let (_, written) = secured.write_from(&mut unsent);
                written.unwrap();
                let ready = poll_fn(|cx| secured.poll_ready(Interest::READABLE, cx))
                    .await
                    .unwrap();
                assert!(ready.is_readable());
                secured.read_into(&mut received).unwrap();
            }
            assert_eq!(received, bytes);
            assert_eq!(held(&secured), 0);
        }
    }
}
