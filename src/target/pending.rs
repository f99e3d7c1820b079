//! Bounds what waits for the core: beyond the limit a request gets an error at once, so a slow
//! answer cannot gather memory without end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The waiting room of one transport.
pub(super) struct Pending {
    waiting: AtomicUsize,
    limit: usize,
}

impl Pending {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            waiting: AtomicUsize::new(0),
            limit,
        })
    }

    /// A place until the ticket is dropped, or `None` if all are taken.
    pub(super) fn ticket(self: &Arc<Self>) -> Option<Ticket> {
        let before = self.waiting.fetch_add(1, Relaxed);
        // The ticket gives the place back even if it was one too many.
        let ticket = Ticket(Arc::clone(self));
        (before < self.limit).then_some(ticket)
    }
}

/// One place in the waiting room.
pub(super) struct Ticket(Arc<Pending>);

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_ticket_is_dropped() {
        let room = Pending::new(1);
        let ticket = room.ticket();
        assert!(ticket.is_some());
        assert!(room.ticket().is_none());
        drop(ticket);
        assert!(room.ticket().is_some());
    }
}
