//! What remains of a run: the text at its end, `summary.json`, its time line, and the tables.
//!
//! Text and JSON are pure functions of a [`Summary`](crate::metrics::Summary), so that an old
//! run can be drawn again. Files are written whole or not at all,
//! but for the time line, which grows as the run goes on. Nothing here knows the engine
//! or the scenario.

mod expectations;
mod files;
mod generator;
mod json;
mod reconnects;
mod rows;
mod style;
mod tables;
mod text;
mod timeline;

pub use files::{FileError, write_text};
pub use json::{ReadError, read_summary, summary_json};
pub use style::Style;
pub use tables::{DeviceRow, Written, write_devices};
pub use text::{text, text_files};
pub use timeline::{Timeline, TimelineError, TimelineFile, read_timeline};
