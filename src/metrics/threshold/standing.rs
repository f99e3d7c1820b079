//! How thresholds stand while a run goes on.

use std::time::Duration;

use super::super::aggregate::Aggregate;
use super::bound::Operator;
use super::scene::{Observed, Scene};
use super::{Threshold, effective};

/// How a threshold stands while a run goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It does not hold yet, and still may; or there is nothing to judge yet.
    Pending,
    /// It holds by what was seen so far.
    Holding,
    /// Nothing that may still come makes it hold; or, of a figure that goes up and down, it does not
    /// hold by what was seen so far.
    Broken,
}

impl Standing {
    /// Its word on screens.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Holding => "holding",
            Self::Broken => "broken",
        }
    }
}

/// A threshold while the run goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThresholdRow {
    /// Metric, operator and bound.
    pub expression: String,
    /// What was seen so far, as a summary would say it.
    pub observed: String,
    /// How it stands.
    pub standing: Standing,
}

impl Threshold {
    fn stands(&self, scene: &Scene<'_>) -> ThresholdRow {
        let observed = scene.observe(&self.metric);
        // A rate climbs at the start, and who lost a session may come back.
        let climbs = matches!(observed, Observed::PerSecond(_))
            && matches!(
                self.operator,
                Operator::Greater | Operator::GreaterOrEqual | Operator::Equal
            );
        let may_turn = climbs || self.is_in_doubt().is_some();
        let standing = if !may_turn && self.hopeless(scene).is_some() {
            Standing::Broken
        } else if self.holds(self.operator, observed) {
            Standing::Holding
        } else {
            Standing::Pending
        };
        ThresholdRow {
            expression: self.to_string(),
            observed: self.text(observed),
            standing,
        }
    }
}

impl Aggregate {
    /// How the thresholds stand that the summary will judge, in its order.
    pub(in super::super) fn threshold_rows(&self, elapsed: Duration) -> Vec<ThresholdRow> {
        let row = |threshold: &Threshold| {
            let scene = Scene::running(self, threshold.cohort.as_deref(), elapsed)?;
            Some(threshold.stands(&scene))
        };
        effective(&self.setting).iter().filter_map(row).collect()
    }
}
