//! How fleetcall ends: one enum for the exit codes, one type for what a person is told.

use std::fmt::Display;
use std::process::ExitCode;

use crate::metrics::{RunResult, Summary};

/// The documented exit codes. After every one but `Bug` and `Usage` the reports are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Passed.
    Passed = 0,
    /// A bug, or something unforeseen.
    Bug = 1,
    /// The usage, the scenario or the list is invalid.
    Usage = 2,
    /// A threshold was crossed, or a device was not treated as expected.
    Threshold = 3,
    /// The generator itself was the limit: its figures may not be quoted.
    Invalid = 4,
    /// The target is unreachable.
    Unreachable = 5,
    /// Interrupted.
    Interrupted = 130,
}

impl Exit {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 7] = [
        Self::Passed,
        Self::Bug,
        Self::Usage,
        Self::Threshold,
        Self::Invalid,
        Self::Unreachable,
        Self::Interrupted,
    ];

    /// That of a run with this result; with `allow_invalid` an invalid one ends by its thresholds.
    pub(super) fn of(summary: &Summary, allow_invalid: bool) -> Self {
        match summary.result {
            RunResult::Passed => Self::Passed,
            RunResult::Invalid if !allow_invalid => Self::Invalid,
            RunResult::Invalid if summary.holds() => Self::Passed,
            RunResult::Failed | RunResult::Invalid => Self::Threshold,
            RunResult::Interrupted => Self::Interrupted,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not get as far as a result.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// For standard error; names the place, what is wrong and the way out.
    pub message: String,
}

impl Failure {
    /// The user's input does not do: exit code 2.
    pub fn usage(message: impl Display) -> Self {
        Self {
            exit: Exit::Usage,
            message: message.to_string(),
        }
    }

    /// Something that should not happen: exit code 1.
    pub fn bug(message: impl Display) -> Self {
        Self {
            exit: Exit::Bug,
            message: message.to_string(),
        }
    }
}
