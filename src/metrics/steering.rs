//! What a person changed in a run that went on, and what holds since.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One change, made by hand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Steered {
    /// From when on it holds, since the start of the run.
    pub at_s: f64,
    /// What was done.
    pub action: SteeringAction,
    /// The factor from then on: of the rates of open arrivals, of the places of closed ones. In a pause it
    /// is what will hold after it.
    pub factor: f64,
    /// What that does, in words.
    pub effect: String,
}

/// What a [`Steered`] did.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum SteeringAction {
    /// Another factor.
    Rate,
    /// No device becomes due any more.
    Pause,
    /// Devices become due again.
    Resume,
    /// The run was asked to wind down.
    Stop,
    /// What was under way was to be cut off.
    StopNow,
}

impl SteeringAction {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 5] = [
        Self::Rate,
        Self::Pause,
        Self::Resume,
        Self::Stop,
        Self::StopNow,
    ];

    /// Its word in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Stop => "stop",
            Self::StopNow => "stop_now",
        }
    }

    /// Whether other devices are due at other times than planned.
    pub fn moves_the_schedule(self) -> bool {
        matches!(self, Self::Rate | Self::Pause | Self::Resume)
    }
}

/// What holds at a moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Steering {
    /// Of the rates of open arrivals, of the places of closed ones.
    pub factor: f64,
    /// No device becomes due.
    pub paused: bool,
    /// No device starts any more, whoever wanted it so.
    pub winding: bool,
    /// What the schedule's own clock shows; `None` where it is the run's.
    pub shows: Option<Duration>,
    /// All changes so far.
    pub changes: Vec<Steered>,
}

impl Steering {
    /// How fast the schedule's clock runs against the run's.
    pub(super) fn speed(&self) -> f64 {
        if self.paused { 0.0 } else { self.factor }
    }
}

impl Default for Steering {
    fn default() -> Self {
        Self {
            factor: 1.0,
            paused: false,
            winding: false,
            shows: None,
            changes: Vec::new(),
        }
    }
}

/// The fingerprint of a schedule that was steered: it says so, before that of the plan.
pub(super) fn digest(planned: &str, changes: &[Steered]) -> String {
    let moved = changes
        .iter()
        .any(|change| change.action.moves_the_schedule());
    if moved {
        format!("{STEERED}{planned}")
    } else {
        planned.to_owned()
    }
}

/// Whether a schedule's fingerprint is one of a steered run.
pub fn is_steered(digest: &str) -> bool {
    digest.starts_with(STEERED)
}

/// The plan's fingerprint, whether it was kept to or not.
pub fn planned_digest(digest: &str) -> &str {
    digest.strip_prefix(STEERED).unwrap_or(digest)
}

const STEERED: &str = "steered:";

#[cfg(test)]
mod tests {
    use super::*;

    const DOC: &str = include_str!("../../docs/dashboard.md");

    fn change(action: SteeringAction) -> Steered {
        Steered {
            at_s: 1.0,
            action,
            factor: 1.0,
            effect: String::new(),
        }
    }

    #[test]
    fn every_action_is_documented_and_written_by_its_word() {
        for action in SteeringAction::ALL {
            let json = serde_json::to_value(action).expect("a word");
            assert_eq!(json, action.as_str());
            let row = format!("| `{}` | ", action.as_str());
            assert!(DOC.contains(&row), "docs/dashboard.md lacks {row}");
        }
    }

    #[test]
    fn a_steered_schedule_says_so_and_an_end_alone_is_none() {
        let stopped = [
            change(SteeringAction::Stop),
            change(SteeringAction::StopNow),
        ];
        assert_eq!(digest("c0ffee", &stopped), "c0ffee");
        let steered = digest("c0ffee", &[change(SteeringAction::Pause)]);
        assert_eq!(steered, "steered:c0ffee");
        assert!(is_steered(&steered) && !is_steered("c0ffee"));
        assert_eq!(planned_digest(&steered), "c0ffee");
        assert_eq!(planned_digest("c0ffee"), "c0ffee");
    }
}
