//! What a server would do with a device list: every problem of the table of list problems (spec,
//! list-problems.md) that a file can show, with its place, and the repairs that have one answer.
//!
//! A list is read once, row by row, in memory bounded by its names. Nothing is sent, and the input
//! is never written to. What belongs to one rule is in one file: its finding and, if it has one,
//! its repair, so that the two cannot disagree.

mod catalogue;
mod cells;
mod check;
mod columns;
mod file;
mod finding;
mod fix;
pub mod format;
mod mend;
mod names;
mod options;
mod record;
mod rule;

pub use check::{Checked, LintError, List, check};
pub use finding::{Finding, Place, Severity};
pub use fix::{FixError, Fixed, Parted, fix, split};
pub use options::Options;
pub use rule::{Repair, Rule, RuleSet, UnknownRule};
