//! The MQTT 3.1 and 3.1.1 front end: provisioning sessions and device sessions on one port.
//!
//! `wire` turns bytes into packets, `session` turns packets into packets without a socket,
//! `connection` moves bytes and keeps the time. It routes nothing between clients, keeps no
//! session beyond its connection, and answers MQTT 5 by closing.

mod connection;
mod device;
mod listener;
mod outbox;
mod session;
mod topic;
mod wire;

pub(super) use listener::serve;
