//! The tenant administrator's REST API, as far as device lists need it (section 8): log in, device
//! profiles, devices and their credentials, bulk import, attributes, latest telemetry, calls.
//!
//! It answers with the platform's errors and has the platform's traps. What it does not know is
//! 404, never a guess. Ids are made from a device's position and a number of this target's own, so
//! that they take no room.

mod attributes;
mod call;
mod cast;
mod credentials;
mod devices;
mod ids;
mod import;
mod profiles;
mod row;
mod rpc;

pub(super) use call::{Call, answer};
