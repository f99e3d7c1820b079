//! The body of a request, which knows when it began to leave.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Instant;

/// The moment at which a request began to leave, for whoever waits for its effect.
#[derive(Clone, Debug, Default)]
pub struct Begun(Arc<OnceLock<Instant>>);

impl Begun {
    /// It begins to leave, unless it did before.
    pub fn begin(&self) {
        self.0.get_or_init(Instant::now);
    }

    /// That moment, once it is there.
    pub fn when(&self) -> Option<Instant> {
        self.0.get().copied()
    }
}

/// A body of one piece. A connection asks for it when it has put the head together and before it
/// hands both to the kernel: later than any waiting for a free connection.
#[derive(Debug)]
pub(super) struct Outgoing {
    rest: Bytes,
    begun: Option<Begun>,
}

impl Outgoing {
    pub(super) fn new(body: Bytes, begun: Option<Begun>) -> Self {
        Self { rest: body, begun }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(begun) = &self.begun {
            begun.begin();
        }
        let rest = std::mem::take(&mut self.rest);
        Poll::Ready((!rest.is_empty()).then(|| Ok(Frame::data(rest))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}
