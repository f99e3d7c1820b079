//! What monitoring systems see of a run, or of a target, while it goes on: a Prometheus endpoint, and
//! pushes to InfluxDB and OpenTelemetry collectors.
//!
//! Labels are bounded: scenario, cohort, transport, phase, outcome, cause and the like, never a
//! device's name. Neither scrapers nor servers that are pushed to cost the run anything: all is drawn
//! from what was published last, so many connections are served at a time, one push is under way.

mod families;
mod figures;
mod influx;
mod line;
#[cfg(feature = "otlp")]
mod otlp;
mod page;
mod push;
mod run;
mod server;
mod sink;
mod target;

pub use families::{FAMILIES, Family, Kind, TARGET_FAMILIES};
pub use figures::{Figures, Series, Value};
pub use influx::Influx;
#[cfg(feature = "otlp")]
pub use otlp::Otlp;
pub use page::page;
pub use push::{Pushed, Pusher};
pub use run::figures;
pub use server::serve;
pub use sink::Sink;
pub use target::target_figures;
