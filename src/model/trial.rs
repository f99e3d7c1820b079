//! The words of a capacity search: why a rate is tried, what came of it, how the search ended.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a rate is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TrialPurpose {
    /// The next rate upwards.
    Step,
    /// Between the highest rate that held and the lowest that did not.
    Bisect,
    /// The lowest rate that broke, once more: did it break by chance?
    Recheck,
    /// The highest rate that held, for twice as long.
    Confirm,
}

impl TrialPurpose {
    /// Its word in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Bisect => "bisect",
            Self::Recheck => "recheck",
            Self::Confirm => "confirm",
        }
    }
}

/// What came of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TrialVerdict {
    /// Every condition held.
    Held,
    /// A condition did not hold, and the generator had kept its schedule: the target's doing.
    Broken,
    /// The generator did not keep up: says nothing about the target.
    Generator,
}

impl TrialVerdict {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Held, Self::Broken, Self::Generator];

    /// Its word in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Broken => "broken",
            Self::Generator => "generator",
        }
    }
}

/// How a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SearchEnd {
    /// The highest rate that holds is known to the precision asked for, and was confirmed.
    Found,
    /// Even `search.to` held: the target can do at least that.
    HeldAtTo,
    /// Even `search.from` broke: the target can do less than that.
    BrokenAtFrom,
    /// The generator was the limit, not the target.
    GeneratorLimited,
    /// `search.trials` were made before the bracket was narrow enough and confirmed.
    TrialsUsedUp,
    /// The list had too few devices left for the next trial.
    ListUsedUp,
    /// Ended from outside.
    Interrupted,
}

impl SearchEnd {
    /// Its word in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::HeldAtTo => "held_at_to",
            Self::BrokenAtFrom => "broken_at_from",
            Self::GeneratorLimited => "generator_limited",
            Self::TrialsUsedUp => "trials_used_up",
            Self::ListUsedUp => "list_used_up",
            Self::Interrupted => "interrupted",
        }
    }

    /// Whether a rate stands at the end that was confirmed, and is the target's.
    pub const fn is_conclusive(self) -> bool {
        matches!(self, Self::Found | Self::HeldAtTo)
    }
}
