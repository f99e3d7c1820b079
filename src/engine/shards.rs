//! A run over several processes, where one may not open as many files as the fleet needs.
//!
//! The process that was started keeps the ledger, the sums, the screen and the clock, and starts no
//! device itself; each of the others starts its portion, striped as among workers, and tells over a
//! pipe what comes of it (`message`). One that dies is started again on what the ledger leaves it.

mod account;
mod afar;
mod ahead;
mod hold;
mod message;
mod process;
mod processes;
mod rejoin;
mod serve;

use std::fmt;

pub use afar::{Afar, Steered, Told};
pub use hold::{Held, Holding};
pub use message::Saying;
pub use process::ProcessError;
pub use processes::{Instruct, Processes};
pub use serve::serve;

pub(super) use account::{Used, Ways};
pub(super) use processes::Links;

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

    /// What it is called where workers pass it on.
    fn shard(self) -> String {
        format!("shard {} of {}", self.number + 1, self.of)
    }
}

impl fmt::Display for Portion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} of {}", self.number + 1, self.of)
    }
}
