//! The live view of a run: a full-screen dashboard on a terminal, one line elsewhere.
//!
//! It draws [`Snapshot`](crate::metrics::Snapshot)s from a watch channel at its own pace, so that
//! a slow terminal loses frames and never samples. It knows nothing of the engine: what is wanted of
//! the run goes out through a closure. The terminal is restored on return, on a panic of any thread,
//! and by [`restore`], which the owner of the signals calls.

mod keys;
mod log;
mod plain;
mod run;
mod screen;
mod state;
pub mod view;

pub use keys::Key;
pub use log::{COLUMNS_MAX, LINES_MAX, LogTail, LogView};
pub use plain::{plain_line, plain_notes};
pub use run::run;
pub use screen::restore;
pub use state::{Options, State, Tab, Wish};
