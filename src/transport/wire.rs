//! A device's connection, plain or secured: bytes in and out, for sessions that wait for readiness
//! themselves and for exchanges that are polled.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWriteExt, Interest, ReadBuf, Ready};
use tokio::net::TcpStream;

use crate::model::FaultKind;

use super::fault::io_kind;
use super::secured::Secured;
use super::tls::Terms;
use super::{Span, scratch};

/// A byte stream to the server. Holds no buffer while nothing is half received or half sent.
#[derive(Debug)]
pub(super) enum Wire {
    /// TCP.
    Plain(TcpStream),
    /// TLS over TCP.
    Secure(Box<Secured>),
}

impl Wire {
    /// Goes on over a TCP connection: as it is, or after a TLS handshake within the given time.
    pub(super) async fn over(
        tcp: TcpStream,
        terms: Option<Terms>,
        within: Duration,
    ) -> Result<(Self, Option<Span>), FaultKind> {
        let Some(terms) = terms else {
            return Ok((Self::Plain(tcp), None));
        };
        let (secured, span) = Secured::handshake(tcp, terms, within).await?;
        Ok((Self::Secure(secured), Some(span)))
    }

    /// Waits until reading or writing makes sense. Cancel-safe.
    pub(super) async fn ready(&self, interest: Interest) -> Result<Ready, FaultKind> {
        poll_fn(|cx| self.poll_ready(interest, cx)).await
    }

    /// The same; the task is woken once it does.
    pub(super) fn poll_ready(
        &self,
        interest: Interest,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Ready, FaultKind>> {
        // Polled, unlike `TcpStream::ready`: a connection has one task that waits, so that it needs
        // no place in a list of them, which idle devices would hold.
        let ready = match self {
            Self::Plain(tcp) => poll_ready(tcp, interest, cx),
            Self::Secure(secured) => secured.poll_ready(interest, cx),
        };
        ready.map_err(|e| io_kind(&e))
    }

    /// Reads once there is something, which it puts behind `received`; else the task is woken.
    pub(super) fn poll_receive(
        &mut self,
        received: &mut BytesMut,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), FaultKind>> {
        let tcp = match self {
            Self::Plain(tcp) => tcp,
            Self::Secure(secured) => return secured.poll_receive(received, cx),
        };
        scratch::lend(|buffer| {
            // Spares the call that would find nothing more, which `try_read` has to make.
            let mut buffer = ReadBuf::new(buffer);
            ready!(Pin::new(tcp).poll_read(cx, &mut buffer)).map_err(|e| io_kind(&e))?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Err(FaultKind::ConnectionClosed));
            }
            received.extend_from_slice(buffer.filled());
            Poll::Ready(Ok(()))
        })
    }

    /// Whether something that was written has yet to be taken by the kernel.
    pub(super) fn is_queued(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Secure(secured) => secured.is_queued(),
        }
    }

    /// Reads once without waiting; `false` when there was nothing.
    pub(super) fn read_into(&mut self, received: &mut BytesMut) -> Result<bool, FaultKind> {
        match self {
            Self::Plain(tcp) => scratch::lend(|buffer| match tcp.try_read(buffer) {
                Ok(0) => Err(FaultKind::ConnectionClosed),
                Ok(n) => {
                    received.extend_from_slice(&buffer[..n]);
                    Ok(true)
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(false),
                Err(e) => Err(io_kind(&e)),
            }),
            Self::Secure(secured) => secured.read_into(received),
        }
    }

    /// Takes from the front what the kernel takes without waiting. How many bytes those were on
    /// the way, even where it then failed: 0 only as long as nothing of it can reach the peer.
    /// What is encrypted is taken whole, and [queued](Self::is_queued) where the kernel lags.
    pub(super) fn write_from(&mut self, unsent: &mut BytesMut) -> (usize, Result<(), FaultKind>) {
        let tcp = match self {
            Self::Plain(tcp) => tcp,
            Self::Secure(secured) => return secured.write_from(unsent),
        };
        let mut taken = 0;
        while !unsent.is_empty() {
            match tcp.try_write(unsent) {
                Ok(n) => {
                    unsent.advance(n);
                    taken += n;
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) => return (taken, Err(io_kind(&e))),
            }
        }
        (taken, Ok(()))
    }

    /// Ends it by a reset: no FIN, no close_notify, nothing of what is still queued.
    pub(super) fn abort(self) {
        let tcp = match &self {
            Self::Plain(tcp) => tcp,
            Self::Secure(secured) => secured.tcp(),
        };
        // Without it, the drop is a FIN: no worse than a connection that ends early.
        let _ = socket2::SockRef::from(tcp).set_linger(Some(Duration::ZERO));
    }

    /// Closes the sending half: over TLS with close_notify, then by FIN.
    pub(super) async fn shut(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(tcp) => tcp.shutdown().await,
            Self::Secure(secured) => secured.shut().await,
        }
    }
}

/// Whether reading or writing makes sense; else the task is woken once it does.
pub(super) fn poll_ready(
    tcp: &TcpStream,
    interest: Interest,
    cx: &mut Context<'_>,
) -> Poll<io::Result<Ready>> {
    let mut ready = Ready::EMPTY;
    if interest.is_readable()
        && let Poll::Ready(readable) = tcp.poll_read_ready(cx)
    {
        readable?;
        ready |= Ready::READABLE;
    }
    if interest.is_writable()
        && let Poll::Ready(writable) = tcp.poll_write_ready(cx)
    {
        writable?;
        ready |= Ready::WRITABLE;
    }
    if ready.is_empty() {
        return Poll::Pending;
    }
    Poll::Ready(Ok(ready))
}
