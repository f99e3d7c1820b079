//! Ids of our own messages: a peer must not see one twice within the exchange lifetime (RFC 7252,
//! section 4.4), or it takes the second message for the first.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

/// For most peers nothing is kept: a separate answer has the request's id with the top bit turned,
/// and a peer does not use its ids twice. Who observes gets messages without requests, so for these
/// peers ids are counted.
#[derive(Default)]
pub(super) struct MessageIds {
    /// The last id, and when it was given.
    counted: HashMap<SocketAddr, (u16, Instant)>,
}

impl MessageIds {
    /// Counts for a peer from here on, where its answers would be; whether it did not before.
    pub(super) fn count(&mut self, peer: SocketAddr, request: u16, now: Instant) -> bool {
        let before = self.counted.len();
        self.counted.entry(peer).or_insert((request ^ OURS, now));
        self.counted.len() > before
    }

    /// An id for a message to a peer; `taken` says which ids of its requests are remembered.
    pub(super) fn next(
        &mut self,
        peer: SocketAddr,
        request: u16,
        now: Instant,
        taken: impl Fn(u16) -> bool,
    ) -> u16 {
        let Some((last, given)) = self.counted.get_mut(&peer) else {
            return request ^ OURS;
        };
        *given = now;
        // Not those of answers from before it was counted.
        for _ in 0..u16::MAX {
            *last = last.wrapping_add(1);
            if !taken(*last ^ OURS) {
                break;
            }
        }
        *last
    }

    /// When a peer that observes nothing any more may be forgotten; `None` once it is.
    pub(super) fn forget(&mut self, peer: SocketAddr, now: Instant) -> Option<Instant> {
        let (_, given) = self.counted.get(&peer)?;
        let end = *given + EXCHANGE_LIFETIME;
        if now >= end {
            self.counted.remove(&peer);
            return None;
        }
        Some(end)
    }
}

const OURS: u16 = 0x8000;

/// How long a message's id must not be used again (RFC 7252, section 4.8.2).
pub(super) const EXCHANGE_LIFETIME: Duration = Duration::from_secs(247);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_observes_gets_ids_that_no_answer_of_ours_had() {
        let (peer, now) = (([127, 0, 0, 1], 5683).into(), Instant::now());
        let mut ids = MessageIds::default();
        let none = |_| false;
        assert_eq!(ids.next(peer, 0x0101, now, none), 0x8101);
        assert!(ids.count(peer, 0x0102, now) && !ids.count(peer, 0x0109, now));
        // The requests 0x0103 and 0x0104 were answered by other ids before.
        let remembered = |id| id == 0x0103 || id == 0x0104;
        assert_eq!(ids.next(peer, 0x0102, now, remembered), 0x8105);
        assert_eq!(ids.next(peer, 0x0001, now, none), 0x8106);
        let other = ([127, 0, 0, 2], 5683).into();
        assert_eq!(ids.next(other, 0x0105, now, none), 0x8105);
        assert_eq!(ids.forget(peer, now), Some(now + EXCHANGE_LIFETIME));
        assert_eq!(ids.forget(peer, now + EXCHANGE_LIFETIME), None);
        assert_eq!(ids.next(peer, 0x0001, now, none), 0x8001);
    }
}
