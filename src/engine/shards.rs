//! A run over several processes, where one may not open as many files as the fleet needs.
//!
//! The process that was started keeps the ledger, the sums, the screen and the clock, and starts no
//! device itself; each of the others starts its portion, striped as among workers, and tells over a
//! pipe what comes of it (`message`). One that dies is started again on what the ledger leaves it.

mod message;
mod processes;
mod rejoin;
mod serve;

pub use processes::{Instruct, ProcessError, Processes};
pub use serve::serve;

pub(super) use processes::{Links, Ways};

/// Which of a run's processes this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Portion {
    /// From 0.
    pub number: u32,
    /// How many there are, ≥ 1.
    pub of: u32,
}

impl Portion {
    /// The whole run.
    pub const WHOLE: Self = Self { number: 0, of: 1 };
}
