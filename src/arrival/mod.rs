//! When: the offset from the start of the run at which the n-th device is due.
//!
//! Pure functions of the ordinal: no clock. A [`Schedule`] lines a fleet's cohorts up behind the
//! arrivals that they follow; worker `w` of `n` takes the numbers `w, w + n, w + 2n …`, so that the
//! same arithmetic splits threads, processes and hosts.

mod closed;
mod open;
mod pace;
mod poisson;
mod progress;
mod schedule;
mod stage;

use std::time::Duration;

pub use closed::{Closed, ClosedStage, StageEnd, part};
pub use open::Open;
pub use pace::{CHANGES_MAX, Pace, PaceSetting};
pub use progress::Progress;
pub use schedule::{Follower, Queue, Schedule, StartingPlace, Turns};
pub use stage::{Batches, OpenStage};

/// A load model with its stages.
#[derive(Clone, Debug, PartialEq)]
pub enum Arrival {
    /// Devices arrive at a rate, whatever the server does.
    Open(Open),
    /// A number of devices is being brought up at a time.
    Closed(Closed),
}

/// When a device's turn is; the earlier is the lesser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    /// At this offset from the start of the run.
    At(Duration),
    /// As soon as one of the closed model's places is free.
    WhenFree,
    /// Not in this run: the stages are over and the list is truncated.
    Never,
}

impl Arrival {
    /// Draws what is random in it for a list of so many devices; to be done before [`Self::due`]
    /// is asked.
    fn draw(&mut self, seed: u64, devices: u32) {
        if let Self::Open(open) = self
            && open.is_poisson()
        {
            *open = open.clone().poisson(seed, devices);
        }
    }

    /// The turn of the n-th device, counted from 0. Never decreases in `n`.
    pub fn due(&self, n: u32) -> Due {
        match self {
            Self::Open(open) => open.due(n),
            Self::Closed(closed) => closed.due(n),
        }
    }

    /// The length of all stages together, as far as it is known beforehand.
    pub fn span(&self) -> Duration {
        match self {
            Self::Open(open) => open.span(),
            Self::Closed(closed) => closed.span(),
        }
    }

    /// Whether all stages have their lengths beforehand.
    pub fn is_timed(&self) -> bool {
        match self {
            Self::Open(_) => true,
            Self::Closed(closed) => closed.is_timed(),
        }
    }

    /// The model's name in reports.
    pub fn model(&self) -> &'static str {
        match self {
            Self::Open(_) => "open",
            Self::Closed(_) => "closed",
        }
    }
}
