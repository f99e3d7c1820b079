//! fleetcall: bulk provisioning and fleet simulation against ThingsBoard-compatible servers.
//!
//! A list of names becomes devices; devices follow a schedule; each device holds one conversation
//! over one transport; each step leaves one outcome in the ledger and one latency in a histogram;
//! everything that a person or a CI job sees is drawn from those two. `docs/architecture.md` is
//! the map; a module imports only from the floors below it (held by a test).

// Floor 0: plain words.
pub mod model;
pub mod pki;
pub mod statistics;

// Floor 1: rules, without socket, clock or runtime.
pub mod arrival;
pub mod dialect;
pub mod inventory;
pub mod life;
pub mod metrics;
pub mod payload;
pub mod search;

// Floor 2: what the user meant.
pub mod lint;
pub mod scenario;

// Floor 3: edges, each touching one outside thing.
#[cfg(feature = "cluster")]
pub mod cluster;
pub mod dashboard;
pub mod ledger;
pub mod monitor;
pub mod report;
pub mod rest;
pub mod target;
pub mod transport;

// Floor 3½: what is made of several runs.
pub mod compare;

// Floor 4: the run, and a server seen by its administrator.
pub mod admin;
pub mod engine;

// Floor 5: the face.
pub mod cli;
