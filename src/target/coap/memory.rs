//! Requests that were seen (RFC 7252, section 4.5), for as long as they may come again; the oldest go
//! early when there are too many.
//!
//! An exchange is known by peer, message id and the datagram's digest: another device on a re-used
//! port is never answered with its predecessor's credentials.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};

use tokio::time::Instant;

use super::message_ids::EXCHANGE_LIFETIME;
use super::retransmission::Key;

/// What is remembered of all peers.
pub(super) struct Memory {
    hasher: RandomState,
    known: HashMap<Key, Known>,
    /// The known ones by age.
    order: VecDeque<(Instant, Key, u64)>,
    limit: usize,
}

/// A request that was seen.
pub(super) struct Known {
    digest: u64,
    pub(super) acknowledged: bool,
    /// The datagram that answered it.
    pub(super) answer: Option<Box<[u8]>>,
}

impl Memory {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            hasher: RandomState::new(),
            known: HashMap::new(),
            order: VecDeque::new(),
            limit,
        }
    }

    /// What tells datagrams apart.
    pub(super) fn digest(&self, datagram: &[u8]) -> u64 {
        self.hasher.hash_one(datagram)
    }

    /// A request that is remembered.
    pub(super) fn known(&mut self, key: Key, digest: u64) -> Option<&mut Known> {
        let known = self.known.get_mut(&key);
        known.filter(|known| known.digest == digest)
    }

    /// Whether any request under this id is remembered.
    pub(super) fn has(&self, key: Key) -> bool {
        self.known.contains_key(&key)
    }

    /// Remembers a request from now on.
    pub(super) fn remember(&mut self, key: Key, digest: u64, now: Instant) {
        while let Some((seen, oldest, digest)) = self.order.front() {
            if now < *seen + EXCHANGE_LIFETIME && self.order.len() < self.limit {
                break;
            }
            // A newer exchange under the same key stays.
            if self.known.get(oldest).is_some_and(|k| k.digest == *digest) {
                self.known.remove(oldest);
            }
            self.order.pop_front();
        }
        self.order.push_back((now, key, digest));
        let fresh = Known {
            digest,
            acknowledged: false,
            answer: None,
        };
        self.known.insert(key, fresh);
    }

    /// How many are remembered.
    #[cfg(test)]
    pub(super) fn len(&self) -> [usize; 2] {
        [self.known.len(), self.order.len()]
    }
}
