//! All tests that look at fleetcall from outside, in one binary.

mod peers_against_target;
mod support;
mod target_wire;
mod transport_hostile;
mod transport_peers;
