//! The MQTT 3.1, 3.1.1 and 5 front end: provisioning sessions and device sessions on one port.
//!
//! `wire` turns bytes into packets, `session` turns packets into packets without a socket,
//! `connection` moves bytes (through a `stream`) and keeps the time. It routes nothing between clients, keeps no
//! session beyond its connection, and acts upon no property of MQTT 5.

mod connection;
mod device;
mod downlink;
mod gateway;
mod listener;
mod outbox;
mod reason;
mod session;
mod stream;
mod topic;
mod trouble;
mod v5;
mod wire;

pub(super) use listener::serve;
