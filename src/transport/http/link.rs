//! One HTTP/1.1 connection: a request out, its answer in, one after the other. It holds no buffer while
//! nothing is under way.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::Interest;
use tokio::time::timeout;

use crate::model::FaultKind;
use crate::transport::wire::Wire;

use super::answer::{Answer, Reading};

/// A connection on which nothing is under way.
#[derive(Debug)]
pub(super) struct Link {
    wire: Wire,
    /// Whether it ever brought an answer.
    used: bool,
}

impl Link {
    pub(super) fn new(wire: Wire) -> Self {
        Self { wire, used: false }
    }

    /// Whether the server ended it by an alert before the first answer, as it does in TLS 1.3 when
    /// it does not take the client's certificate: a new connection would fare no better.
    pub(super) fn is_rejected(&self, kind: FaultKind) -> bool {
        !self.used && matches!(kind, FaultKind::TlsAlert(_))
    }

    /// Looks at what came unasked, without waiting: nothing, the end, or what belongs to no request.
    pub(super) async fn look(&mut self) -> Result<(), FaultKind> {
        poll_fn(|cx| match self.poll_unasked(cx) {
            Poll::Ready(kind) => Poll::Ready(Err(kind)),
            Poll::Pending => Poll::Ready(Ok(())),
        })
        .await
    }

    /// Whether it is of no use any more; else the task is woken once it is.
    pub(super) fn poll_unasked(&mut self, cx: &mut Context<'_>) -> Poll<FaultKind> {
        let came = self.wire.poll_receive(&mut BytesMut::new(), cx);
        came.map(|came| came.err().unwrap_or(FaultKind::UnexpectedPacket))
    }

    /// Sends a request and reads its answer, and says in `left` once a byte of the request is with
    /// the kernel. When it ended by a fault or was dropped, the connection is out of step.
    pub(super) async fn round_trip(
        &mut self,
        mut unsent: BytesMut,
        left: &mut bool,
    ) -> Result<Answer, FaultKind> {
        let (mut reading, mut received) = (Reading::Head, BytesMut::new());
        let mut answer = poll_fn(|cx| {
            if let Err(kind) = self.send(&mut unsent, left, cx) {
                return Poll::Ready(Err(kind));
            }
            loop {
                let Poll::Ready(came) = self.wire.poll_receive(&mut received, cx) else {
                    return Poll::Pending;
                };
                if let Err(kind) = came {
                    let reading = std::mem::replace(&mut reading, Reading::Head);
                    return Poll::Ready(reading.end(std::mem::take(&mut received), kind));
                }
                if let Some(answer) = reading.advance(&mut received).transpose() {
                    return Poll::Ready(answer);
                }
            }
        })
        .await?;
        self.used = true;
        // An answer to half a request, and one with something behind it, are the last.
        answer.keeps &= unsent.is_empty() && !self.wire.is_queued() && received.is_empty();
        Ok(answer)
    }

    /// Writes what the kernel takes, and sees to it that the task is woken for the rest.
    fn send(
        &mut self,
        unsent: &mut BytesMut,
        left: &mut bool,
        cx: &mut Context<'_>,
    ) -> Result<(), FaultKind> {
        while !unsent.is_empty() || self.wire.is_queued() {
            let (taken, written) = self.wire.write_from(unsent);
            *left |= taken > 0;
            written?;
            let done = unsent.is_empty() && !self.wire.is_queued();
            if done || self.wire.poll_ready(Interest::WRITABLE, cx)?.is_pending() {
                break;
            }
        }
        Ok(())
    }

    /// Ends by a reset.
    pub(super) fn sever(self) {
        self.wire.abort();
    }

    /// Closes: over TLS with close_notify, then by FIN.
    pub(super) async fn close(mut self) {
        let _ = timeout(CLOSE_WITHIN, self.wire.shut()).await;
    }
}

/// For close_notify and the FIN.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);
