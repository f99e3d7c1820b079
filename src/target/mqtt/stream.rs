//! What the bytes of an MQTT connection go through: a socket, or TLS upon it. A socket of either
//! kind takes the room of the plain one.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;

use crate::target::faults::{End, Wire};

/// An open connection.
pub(super) enum Stream {
    Plain(Wire),
    Secured(Box<TlsStream<Wire>>),
}

impl Stream {
    /// Writes from the front what can be written, and over TLS sees that the last record leaves.
    /// Ready once all is.
    pub(super) fn poll_say(
        &mut self,
        cx: &mut Context<'_>,
        words: &mut BytesMut,
    ) -> Poll<io::Result<()>> {
        while !words.is_empty() {
            match ready!(Pin::new(&mut *self).poll_write(cx, words))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => words.advance(written),
            }
        }
        Pin::new(self).poll_flush(cx)
    }

    /// Brings it to its end, without a word of TLS.
    pub(super) async fn end(self, how: End) {
        let wire = match self {
            Self::Plain(wire) => wire,
            Self::Secured(stream) => stream.into_inner().0,
        };
        wire.end(how).await;
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(wire) => Pin::new(wire).poll_read(cx, buffer),
            Self::Secured(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(wire) => Pin::new(wire).poll_write(cx, bytes),
            Self::Secured(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(wire) => Pin::new(wire).poll_flush(cx),
            Self::Secured(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(wire) => Pin::new(wire).poll_shutdown(cx),
            Self::Secured(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
