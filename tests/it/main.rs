//! All tests that look at fleetcall from outside, in one binary.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod admin;
mod authorities;
mod certs;
mod check;
mod cli;
#[cfg(feature = "cluster")]
mod cluster;
mod deploy;
mod device_wire;
mod docs;
mod downlink;
mod dtls;
mod end_to_end;
mod floors;
mod gateway;
mod hostile_server;
mod life;
mod lists;
mod monitoring;
mod mqtt5;
#[cfg(feature = "cluster")]
mod nats;
mod otlp;
mod peers_against_target;
mod pushes;
mod reports;
mod resume;
mod rotation;
mod schedule;
mod schemas;
mod search;
mod secured;
mod shard;
mod shutdown;
mod slow_ledger;
mod steering;
mod support;
mod target_config;
mod target_downlink;
mod target_faults;
mod target_metrics;
mod target_rest;
mod target_tls;
mod target_wire;
mod telemetry;
mod terminal;
mod timeline;
mod transport_hostile;
mod transport_peers;
mod transport_tls;
mod validity;
