//! What a server sent unasked and nobody has taken yet, within bounds.

use std::collections::VecDeque;

use bytes::Bytes;
use tokio::time::Instant;

use crate::model::Source;

/// Something that a server sent by a subscription.
#[derive(Clone)]
pub struct Delivery {
    /// By which way.
    pub source: Source,
    /// Its payload, at most the transport's limit long.
    pub body: Bytes,
    /// Right after its last byte was read, whatever the device was doing then.
    pub read: Instant,
    /// Where it stands among those of its source.
    pub standing: Standing,
}

/// Where a delivery stands among those of its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// What the server had when it was asked to send: CoAP's answer to a registration.
    State,
    /// It came after the ones that were sent before it, as far as anybody can tell.
    Fresh,
    /// CoAP: the server sent it before one that is here already (RFC 7641, section 3.4).
    Overtaken,
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Attributes and calls may carry secrets.
        f.debug_struct("Delivery")
            .field("source", &self.source)
            .field("body_bytes", &self.body.len())
            .field("standing", &self.standing)
            .finish_non_exhaustive()
    }
}

/// Deliveries in the order of their coming. Holds no memory while there are none.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    queue: VecDeque<Delivery>,
    bytes: usize,
    missed: u32,
}

impl Inbox {
    /// Keeps a delivery, unless too much waits already: then it is counted as missed.
    pub(super) fn push(&mut self, delivery: Delivery) {
        let full = self.queue.len() >= DELIVERIES_LIMIT
            || self.bytes.saturating_add(delivery.body.len()) > BYTES_LIMIT;
        if full && !self.queue.is_empty() {
            self.miss();
            return;
        }
        self.bytes += delivery.body.len();
        self.queue.push_back(delivery);
    }

    /// Something was lost on the way here.
    pub(super) fn miss(&mut self) {
        self.missed = self.missed.saturating_add(1);
    }

    /// The one that waits longest.
    pub(super) fn pop(&mut self) -> Option<Delivery> {
        let delivery = self.queue.pop_front()?;
        self.bytes -= delivery.body.len();
        if self.queue.is_empty() {
            self.queue = VecDeque::new();
        }
        Some(delivery)
    }

    /// How many were missed since the last call.
    pub(super) fn take_missed(&mut self) -> u32 {
        std::mem::take(&mut self.missed)
    }
}

/// As many as may come during one exchange of a device that takes them in between.
const DELIVERIES_LIMIT: usize = 256;

/// Bytes of their payloads; a single one may be as long as the transport accepts.
const BYTES_LIMIT: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(length: usize) -> Delivery {
        Delivery {
            source: Source::Topic("t".to_owned()),
            body: Bytes::from(vec![b'x'; length]),
            read: Instant::now(),
            standing: Standing::Fresh,
        }
    }

    #[test]
    fn what_does_not_fit_is_counted_and_what_fits_keeps_its_order() {
        let mut inbox = Inbox::default();
        for length in 0..DELIVERIES_LIMIT + 3 {
            inbox.push(delivery(length));
        }
        assert_eq!(inbox.take_missed(), 3);
        assert_eq!(inbox.take_missed(), 0);
        for length in 0..DELIVERIES_LIMIT {
            assert_eq!(inbox.pop().unwrap().body.len(), length);
        }
        assert!(inbox.pop().is_none());
        assert_eq!(inbox.queue.capacity(), 0, "an idle device holds nothing");
    }

    #[test]
    fn one_long_delivery_fits_and_nothing_beside_it() {
        let mut inbox = Inbox::default();
        inbox.push(delivery(BYTES_LIMIT + 1));
        inbox.push(delivery(1));
        assert_eq!((inbox.queue.len(), inbox.take_missed()), (1, 1));
        inbox.pop().unwrap();
        inbox.push(delivery(1));
        assert_eq!((inbox.bytes, inbox.take_missed()), (1, 0));
    }
}
