//! What monitoring systems see of a run while it goes on: a Prometheus endpoint.
//!
//! Labels are bounded: scenario, cohort, transport, phase, outcome, cause and the like, never a
//! device's name. A scraper costs the run nothing: pages are drawn from what the coordinator
//! published last, and only so many connections are served at a time.

mod families;
mod page;
mod server;

pub use families::{FAMILIES, Family, Kind};
pub use page::page;
pub use server::serve;
