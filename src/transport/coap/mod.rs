//! CoAP (RFC 7252) as a device speaks it: one UDP socket, one confirmable request at a time,
//! with retransmission, separate responses and block-wise transfer (RFC 7959).
//!
//! `message` judges and makes messages, `endpoint` moves them and keeps the rules of time,
//! `blocks` cuts and joins long bodies, `numbers` gives out message ids and tokens. `observations`
//! are what a device is notified of (RFC 7641), `observing` how it comes to it. `way` is what
//! messages travel in: datagrams, or a DTLS `association` made by the `terms` of the dial. No
//! multicast, no pre-shared keys, no proxying.

mod association;
mod blocks;
mod endpoint;
mod message;
mod numbers;
mod observations;
mod observing;
mod terms;
mod way;

use std::time::Duration;

pub(super) use endpoint::{Endpoint, ping};

/// When an unacknowledged request is sent again (RFC 7252, sections 4.2 and 4.8).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CoapTiming {
    /// `ACK_TIMEOUT`: the least wait for the first acknowledgement. It doubles each time.
    pub ack_timeout: Duration,
    /// `ACK_RANDOM_FACTOR`, at least 1: the first wait is stretched by up to this.
    pub random_factor: f64,
    /// `MAX_RETRANSMIT`: how often a request is sent again before it is given up.
    pub max_retransmit: u32,
    /// For a whole exchange, blocks and retransmissions included. By default
    /// `MAX_TRANSMIT_WAIT`, after which an unacknowledged request is given up anyhow.
    pub exchange_timeout: Duration,
}

impl CoapTiming {
    /// The longest from a first transmission to giving up (RFC 7252, section 4.8.2).
    pub const MAX_TRANSMIT_WAIT: Duration = Duration::from_secs(93);
}

impl Default for CoapTiming {
    fn default() -> Self {
        Self {
            ack_timeout: Duration::from_secs(2),
            random_factor: 1.5,
            max_retransmit: 4,
            exchange_timeout: Self::MAX_TRANSMIT_WAIT,
        }
    }
}
