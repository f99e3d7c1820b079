//! Message ids and tokens that no server can mistake for earlier ones.
//!
//! A server remembers (address, port, message id) for up to 247 s (RFC 7252, `EXCHANGE_LIFETIME`)
//! and answers a repetition from memory. Thousands of devices inherit one another's ports in that
//! time, so the ids go on per port and not per device. They start anywhere in each process.

use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};

/// The next message id for a local port.
pub(super) fn message_id(port: u16) -> u16 {
    let count = COUNTS[usize::from(port)].fetch_add(1, Ordering::Relaxed);
    count.wrapping_add(start() as u16)
}

/// A token that this process has not used in its last 4 billion requests.
pub(super) fn token() -> u32 {
    TOKENS
        .fetch_add(1, Ordering::Relaxed)
        .wrapping_add((start() >> 32) as u32)
}

/// Drawn by the operating system once per process: runs in a row must not begin alike.
fn start() -> u64 {
    static START: OnceLock<u64> = OnceLock::new();
    *START.get_or_init(|| RandomState::new().hash_one("where this process starts to count"))
}

static COUNTS: [AtomicU16; 1 << 16] = [const { AtomicU16::new(0) }; 1 << 16];
static TOKENS: AtomicU32 = AtomicU32::new(0);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_inherited_goes_on_counting() {
        let first = message_id(7);
        let _other_port = message_id(8);
        assert_eq!(message_id(7), first.wrapping_add(1));
    }

    #[test]
    fn tokens_differ() {
        assert_ne!(token(), token());
    }
}
