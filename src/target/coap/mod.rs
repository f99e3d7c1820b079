//! The CoAP front end (RFC 7252 over UDP and DTLS), as Californium behaves under the platform.
//!
//! `resource` says what a request leads to, `message` reads and writes messages, `blockwise`
//! cuts and joins long bodies, `exchange` knows what was asked before and says answers apart, with
//! its `memory`, `retransmission` and `message_ids`, `observers` are who hears without asking, `socket` moves
//! datagrams and keeps the time. `secured` does so under DTLS, whose `associations` say whose
//! datagram it is and whose handshakes go by the listener's `terms`. One task serves all of a socket,
//! so nothing is locked.

mod associations;
mod blockwise;
mod exchange;
mod hello;
mod memory;
mod message;
mod message_ids;
mod observers;
mod resource;
mod retransmission;
mod secured;
mod socket;
mod terms;

pub(super) use secured::serve as serve_secured;
pub(super) use socket::{bind, serve};
pub(super) use terms::terms;
