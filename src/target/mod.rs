//! The embedded server: what a ThingsBoard-compatible platform does on the wire, on one's own
//! machine, for MQTT 3.1, 3.1.1 and 5, HTTP/1.1 and CoAP.
//!
//! It is an independent witness: it shares no line with `dialect` or `transport`, so that a
//! mistake on one side cannot cancel out on the other. Both are held to `fixtures/wire/`, and the
//! target also to clients that are not ours. It refuses to be a platform: no rules, no storage of
//! telemetry (only counts), no user interface. Behaviour follows ThingsBoard 4.2; where releases
//! differ, `TargetConfig` has a switch.

mod accounts;
mod administered;
mod answer;
mod attributes;
mod backend;
mod bugs;
mod chain;
mod client_certificate;
mod coap;
mod config;
mod connections;
mod counts;
mod credentials;
mod device;
mod door;
mod downlink;
mod faults;
mod gson;
mod http;
mod mqtt;
mod pending;
mod profiles;
mod protobuf;
mod registry;
mod request;
mod rules;
mod server;
mod store;
mod telemetry;
mod tls;

pub use config::{Chain, Limits, Listed, Profile, Repeat, Rest, TargetConfig, TargetError};
pub use counts::{Connections, Counts};
pub use credentials::{client_and_user_id, sha3_hex, trim_certificate};
pub use server::{DeviceView, Meter, Target};
