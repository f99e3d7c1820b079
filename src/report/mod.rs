//! What remains of a run: the text at its end, `summary.json`, and the two tables.
//!
//! Text and JSON are pure functions of a [`Summary`](crate::metrics::Summary), so that an old
//! run can be drawn again. Files are written whole or not at all. Nothing here knows the engine
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

pub use files::{FileError, write_text};
pub use json::{ReadError, read_summary, summary_json};
pub use style::Style;
pub use tables::{DeviceRow, Written, write_devices};
pub use text::{text, text_files};
