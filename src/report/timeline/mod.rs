//! `timeline.jsonl`: written line by line as the run goes on, read back for reports.
//!
//! A thread of its own writes, so that a slow disk delays nobody. When the intervals become wider,
//! the file is replaced by one whose earlier intervals are merged; it never has more than
//! [`INTERVALS_MAX`](crate::metrics::timeline::INTERVALS_MAX). What was written stays readable when
//! the program is killed.

mod read;
#[cfg(test)]
mod tests;
mod write;

pub use read::{Timeline, TimelineError, read_timeline};
pub use write::TimelineFile;
