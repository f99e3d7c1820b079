//! A run that cannot pass any more need not go on.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::aggregate::Aggregate;
use super::Threshold;
use super::bound::{Bound, Operator};
use super::metric::{Certificates, Metric, Sessions};
use super::scene::{Observed, Scene};

/// What ended a run before its plan was over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Aborted {
    /// The condition that could not hold any more, or did not.
    pub expression: String,
    /// What was seen then.
    pub observed: String,
    /// When, since the start of the run.
    pub at_s: f64,
}

impl Aborted {
    /// In words.
    pub fn words(&self) -> String {
        let Self {
            expression,
            observed,
            at_s,
        } = self;
        format!("ended after {at_s:.1} s: {expression}, observed {observed}")
    }
}

impl Threshold {
    /// Lets it end a run that went on for so long, once it is hopeless. The error says why it
    /// cannot.
    pub fn aborting(mut self, after: Duration) -> Result<Self, String> {
        if let Some(doubt) = self.is_in_doubt() {
            return Err(format!(
                "cannot end the run: {doubt}; help: leave `abort` out"
            ));
        }
        self.abort_after = Some(after);
        Ok(self)
    }

    /// Why what is seen so far says nothing of the end, if so.
    pub(super) fn is_in_doubt(&self) -> Option<&'static str> {
        let in_doubt = "what is in doubt may still turn out well";
        match self.metric {
            Metric::DevicesBack | Metric::Reconnects(Sessions::Back | Sessions::NotBack) => {
                Some("devices that lost their session may still come back")
            }
            Metric::Rotations(Certificates::InDoubt) => Some(in_doubt),
            Metric::Downlink(name) if name.ends_with("in_doubt") => Some(in_doubt),
            _ => None,
        }
    }

    /// What was seen, when a run that goes on is hopeless by it. Counts only grow, and a device has
    /// one outcome: such a condition is given up when nothing can make it true any more. Times,
    /// rates and shares of what grows itself are judged by what they are so far.
    pub(super) fn hopeless(&self, scene: &Scene<'_>) -> Option<String> {
        let least = scene.observe(&self.metric);
        let most = match (&self.metric, least) {
            (_, Observed::Nothing | Observed::Of(_, 0)) => return None,
            (Metric::Devices(outcome), Observed::Of(_, listed)) => {
                Observed::Of(scene.devices_at_most(*outcome), listed)
            }
            (_, Observed::Count(_)) => Observed::Count(u64::MAX),
            (_, Observed::Of(_, all)) if matches!(self.bound, Bound::Count(_)) => {
                Observed::Of(u64::MAX, all)
            }
            (_, so_far) => so_far,
        };
        let can_hold = match self.operator {
            Operator::Less | Operator::LessOrEqual => self.holds(self.operator, least),
            Operator::Greater | Operator::GreaterOrEqual => self.holds(self.operator, most),
            Operator::Equal => {
                self.holds(Operator::LessOrEqual, least)
                    && self.holds(Operator::GreaterOrEqual, most)
            }
            Operator::NotEqual => least != most || self.holds(self.operator, least),
        };
        (!can_hold).then(|| self.text(least))
    }
}

impl Aggregate {
    /// The first threshold that ends the run, `elapsed` after its start.
    pub fn hopeless(&self, elapsed: Duration) -> Option<Aborted> {
        let part = self.setting.shard.is_some();
        let thresholds = self.setting.thresholds.iter();
        let mut thresholds = thresholds.filter(|threshold| !(part && threshold.is_of_the_whole()));
        thresholds.find_map(|threshold| {
            threshold.abort_after.filter(|after| elapsed >= *after)?;
            let scene = Scene::running(self, threshold.cohort.as_deref(), elapsed)?;
            Some(Aborted {
                expression: threshold.to_string(),
                observed: threshold.hopeless(&scene)?,
                at_s: elapsed.as_secs_f64(),
            })
        })
    }
}
