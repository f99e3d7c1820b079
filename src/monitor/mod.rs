//! What monitoring systems see of a run, or of a target, while it goes on: a Prometheus endpoint, and
//! pushes to InfluxDB.
//!
//! Labels are bounded: scenario, cohort, transport, phase, outcome, cause and the like, never a
//! device's name. Neither scrapers nor servers that are pushed to cost the run anything: all is drawn
//! from what was published last, so many connections are served at a time, one push is under way.

mod families;
mod figures;
mod influx;
mod line;
mod page;
mod push;
mod run;
mod server;

pub use families::{FAMILIES, Family, Kind};
pub use figures::{Figures, Series, Value};
pub use influx::Influx;
pub use page::page;
pub use push::{Pushed, Pusher};
pub use run::figures;
pub use server::serve;
