//! What happens at a moment and is worth a line across a chart.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something that happened, or began to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Mark {
    /// Since the start of the run.
    pub at_s: f64,
    /// When it was over, where it lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_s: Option<f64>,
    /// What.
    pub kind: MarkKind,
    /// In words, for people; without secrets.
    pub text: String,
}

/// What a [`Mark`] is about.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum MarkKind {
    /// An event of the scenario: devices lost their power.
    PowerLoss,
    /// An event of the scenario: devices said good-bye and came back.
    Disconnect,
    /// An event of the scenario: devices opened second sessions.
    Takeover,
    /// An event of the scenario: devices got new certificates.
    Rotate,
    /// The embedded target read or answered nothing.
    TargetStall,
    /// The embedded target was down.
    TargetRestart,
    /// A trial of a search began.
    Trial,
    /// A threshold that ends a run was crossed.
    ThresholdCrossed,
    /// A process of the run died, and another took its place.
    ProcessDied,
    /// Somebody changed the run by hand.
    Steered,
    /// No device starts from here on: the plan is over, a threshold ended the run, or somebody asked for the end.
    WindingDown,
    /// What was still under way was cut off.
    CutOff,
}

impl MarkKind {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 12] = [
        Self::PowerLoss,
        Self::Disconnect,
        Self::Takeover,
        Self::Rotate,
        Self::TargetStall,
        Self::TargetRestart,
        Self::Trial,
        Self::ThresholdCrossed,
        Self::ProcessDied,
        Self::Steered,
        Self::WindingDown,
        Self::CutOff,
    ];

    /// Its word in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PowerLoss => "power_loss",
            Self::Disconnect => "disconnect",
            Self::Takeover => "takeover",
            Self::Rotate => "rotate",
            Self::TargetStall => "target_stall",
            Self::TargetRestart => "target_restart",
            Self::Trial => "trial",
            Self::ThresholdCrossed => "threshold_crossed",
            Self::ProcessDied => "process_died",
            Self::Steered => "steered",
            Self::WindingDown => "winding_down",
            Self::CutOff => "cut_off",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOC: &str = include_str!("../../../docs/reports.md");

    #[test]
    fn every_kind_is_documented_and_written_by_its_word() {
        for kind in MarkKind::ALL {
            let json = serde_json::to_value(kind).expect("a word");
            assert_eq!(json, kind.as_str());
            let row = format!("| `{}` | ", kind.as_str());
            assert!(
                DOC.contains(&row),
                "docs/reports.md lacks {}",
                kind.as_str()
            );
        }
    }
}
