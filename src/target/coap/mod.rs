//! The CoAP front end (RFC 7252 over UDP), as Californium behaves under the platform.
//!
//! `resource` says what a request leads to, `message` reads and writes datagrams, `blockwise`
//! cuts and joins long bodies, `exchange` remembers (deduplication, separate answers,
//! retransmission), `socket` moves datagrams and keeps the time. One task serves all, so nothing
//! is locked.

mod blockwise;
mod exchange;
mod message;
mod resource;
mod socket;

pub(super) use socket::{bind, serve};
