//! What CoAP messages travel in: datagrams as they are, or sealed by DTLS.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};

use tokio::net::UdpSocket;
use tokio::task::coop::poll_proceed;

use crate::model::FaultKind;
use crate::transport::fault::io_kind;
use crate::transport::scratch;

use super::association::Association;
use super::message::{self, Incoming, Malformed};

/// The way to one server and back.
#[derive(Debug)]
pub(super) enum Way {
    /// A message is a datagram.
    Plain(UdpSocket),
    /// A message is a DTLS record.
    Sealed(Box<Association>),
}

/// What a datagram held, if it held a message at all.
pub(super) type Heard = Option<Result<Incoming, Malformed>>;

impl Way {
    /// The socket underneath.
    pub(super) fn socket(&self) -> &UdpSocket {
        match self {
            Self::Plain(socket) => socket,
            Self::Sealed(association) => &association.socket,
        }
    }

    /// Sends a message.
    pub(super) async fn send(&mut self, message: &[u8]) -> Result<(), FaultKind> {
        match self {
            Self::Plain(socket) => match socket.send(message).await {
                Ok(_) => Ok(()),
                Err(e) => Err(io_kind(&e)),
            },
            // Boxed: twice as large, and devices hold room for the largest.
            Self::Sealed(association) => Box::pin(association.send(message)).await,
        }
    }

    /// Sends a message if the kernel takes it at once.
    pub(super) fn try_send(&mut self, message: &[u8]) {
        match self {
            Self::Plain(socket) => {
                let _ = socket.try_send(message);
            }
            Self::Sealed(association) => association.try_send(message),
        }
    }

    /// Waits for the next message. Cancel-safe.
    pub(super) async fn receive(&mut self) -> Result<Result<Incoming, Malformed>, FaultKind> {
        poll_fn(|cx| self.poll_receive(cx)).await
    }

    /// The next message; else the task is woken once it may be there.
    pub(super) fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Result<Incoming, Malformed>, FaultKind>> {
        loop {
            ready!(poll_proceed(cx)).made_progress();
            match self.try_receive() {
                Ok(Some(heard)) => return Poll::Ready(Ok(heard)),
                Ok(None) => continue,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Poll::Ready(Err(io_kind(&e))),
            }
            // Polled, as in `Wire::poll_ready`.
            ready!(self.socket().poll_recv_ready(cx)).map_err(|e| io_kind(&e))?;
        }
    }

    /// The next message if it is there; an error is the socket's or the association's end.
    pub(super) fn try_receive(&mut self) -> io::Result<Heard> {
        match self {
            Self::Plain(socket) => scratch::lend(|buffer| {
                let length = socket.try_recv(buffer)?;
                Ok(Some(message::decode(&buffer[..length])))
            }),
            Self::Sealed(association) => {
                let opened = association.try_receive()?;
                Ok(opened.map(|message| message::decode(&message)))
            }
        }
    }

    /// Whether nothing will ever be heard or sent again.
    pub(super) fn is_over(&self) -> bool {
        matches!(self, Self::Sealed(association) if association.is_over())
    }

    /// Says good-bye where the other side would notice.
    pub(super) fn close(self) {
        if let Self::Sealed(association) = self {
            association.close();
        }
    }
}
