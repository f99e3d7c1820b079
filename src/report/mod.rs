//! What remains of a run: its time line, its tables, and the reports.
//!
//! Reports are pure functions of [`Results`], which are read back from a run's directory, so that an
//! old run can be drawn again and several can be drawn as one. Files are written whole or not at
//! all, but for the time line, which grows as the run goes on. Nothing here knows the engine or the
//! scenario.

mod csv_tables;
mod downlink;
mod expectations;
mod failures;
mod files;
#[cfg(test)]
mod fixture;
mod gateway;
mod generator;
mod hlog;
mod html;
mod json;
mod junit;
mod markdown;
mod reconnects;
mod results;
mod rotations;
mod rows;
mod search;
mod slowest;
mod style;
mod tables;
mod text;
mod timeline;

pub use csv_tables::{phases_csv, timeline_csv};
pub use failures::{DevicesError, FailureRow, Failures, NAMED_MAX};
pub use files::{FileError, write_text};
pub use hlog::hlog;
pub use html::html;
pub use json::{ReadError, read_summary, summary_json};
pub use junit::junit;
pub use markdown::markdown;
pub(crate) use markdown::{code, inert};
pub use results::{Results, ResultsError};
pub use slowest::{SLOWEST_MAX, SlowRow, Slowest};
pub use style::Style;
pub(crate) use style::wrap;
pub use tables::{DeviceRow, Written, write_devices};
pub use text::{text, text_files};
pub use timeline::{Timeline, TimelineError, TimelineFile, read_timeline};
