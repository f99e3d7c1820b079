//! Confirmable messages of our own (RFC 7252, section 4.2): repeated until they are acknowledged or
//! rejected, or given up.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::observers::Observed;

/// Peer and message id.
pub(super) type Key = (SocketAddr, u16);

/// Those that are under way.
pub(super) struct Retransmissions {
    under_way: HashMap<Key, Message>,
    /// How many are kept; one more is sent once.
    limit: usize,
}

struct Message {
    datagram: Box<[u8]>,
    repeats: u32,
    wait: Duration,
    /// Of a notification: what ends if it is not taken.
    observed: Option<Observed>,
}

/// What is to be done about a message whose time has come.
pub(super) enum Due {
    /// Send it again, and look again after this long.
    Repeat(Vec<u8>, Duration),
    /// Nobody takes it.
    GivenUp(Option<Observed>),
    /// It was taken.
    Settled,
}

impl Retransmissions {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            under_way: HashMap::new(),
            limit,
        }
    }

    /// Keeps a message that is sent now; after how long to look whether it was taken.
    pub(super) fn begin(
        &mut self,
        key: Key,
        datagram: &[u8],
        observed: Option<Observed>,
    ) -> Option<Duration> {
        if self.under_way.len() >= self.limit {
            return None;
        }
        // Between ACK_TIMEOUT and ACK_TIMEOUT * ACK_RANDOM_FACTOR, spread by message id.
        let wait = ACK_TIMEOUT + Duration::from_millis(u64::from(key.1) % 1_000);
        let message = Message {
            datagram: datagram.into(),
            repeats: 0,
            wait,
            observed,
        };
        self.under_way.insert(key, message);
        Some(wait)
    }

    /// The peer acknowledged or rejected it; what it was a notification of.
    pub(super) fn settle(&mut self, key: Key) -> Option<Observed> {
        self.under_way.remove(&key)?.observed
    }

    /// What is to be done by now.
    pub(super) fn due(&mut self, key: Key) -> Due {
        let Some(message) = self.under_way.get_mut(&key) else {
            return Due::Settled;
        };
        if message.repeats == MAX_RETRANSMIT {
            return Due::GivenUp(self.settle(key));
        }
        message.repeats += 1;
        message.wait *= 2;
        Due::Repeat(message.datagram.to_vec(), message.wait)
    }

    /// How many are kept.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.under_way.len()
    }
}

// RFC 7252, section 4.8.
const ACK_TIMEOUT: Duration = Duration::from_secs(2);
const MAX_RETRANSMIT: u32 = 4;
