//! All tests that look at fleetcall from outside, in one binary.

mod docs;
mod end_to_end;
mod floors;
mod peers_against_target;
mod shutdown;
mod support;
mod target_wire;
mod terminal;
mod transport_hostile;
mod transport_peers;
