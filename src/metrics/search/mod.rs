//! A capacity search as it stands in the result: its trials, the bracket, what broke first.
//!
//! A [`Window`] gathers what the measured devices of one trial left, and judges it as if it were a
//! run of its own; the rest follows from the trials.

mod window;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::window::{Tried, Window};
use super::counts::DeviceCounts;
use super::finish::to_micro;
use super::latency::{LagFigures, LatencyFigures};
use super::threshold::ThresholdResult;
use super::validity::GeneratorVerdict;
use crate::model::{DeviceIx, SearchEnd, TrialPurpose, TrialVerdict};

/// What a capacity search found: the highest arrival rate at which every condition held.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SearchSummary {
    /// How it ended.
    pub ended: SearchEnd,
    /// The highest rate that held and was confirmed, devices per second; `null` when the search ended
    /// before one was, or when that rate is not the target's limit.
    pub capacity_per_s: Option<f64>,
    /// Where the limit is, as far as is known.
    pub bracket: BracketSummary,
    /// The rate that the scenario needs, devices per second; absent when it names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub need_per_s: Option<f64>,
    /// What the capacity is above the need, as a share of it: 0.5 is half as much again, and less than
    /// 0 is too little. Absent without a need or a capacity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head_room: Option<f64>,
    /// What did not hold at the lowest rate that broke; absent when none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broke_first: Option<BrokeFirst>,
    /// The highest rate of a trial that says something about the target, devices per second: this
    /// generator can drive at least that.
    pub generator_drove_per_s: Option<f64>,
    /// In the order in which they were made.
    pub trials: Vec<TrialSummary>,
}

/// The ends of the interval in which the limit is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BracketSummary {
    /// The highest rate that held, below all that did not, devices per second.
    pub held_per_s: Option<f64>,
    /// The lowest rate that did not hold, whosever doing that was, devices per second.
    pub broken_per_s: Option<f64>,
}

/// What did not hold at the lowest rate that broke.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BrokeFirst {
    /// The trial's number.
    pub trial: u32,
    /// Its rate, devices per second.
    pub rate_per_s: f64,
    /// The conditions that did not hold.
    pub conditions: Vec<ThresholdResult>,
    /// What struck its measured devices, by cause.
    pub errors: BTreeMap<String, u64>,
}

/// One rate, tried once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TrialSummary {
    /// From 1.
    pub trial: u32,
    /// Why it was made.
    pub purpose: TrialPurpose,
    /// Devices per second that were due.
    pub rate_per_s: f64,
    /// When its first device was due, since the start of the run.
    pub begins_s: f64,
    /// For how long its devices counted.
    pub hold_s: f64,
    /// The position of its first device in the list, from 1; the others follow in list order.
    pub first_device: u64,
    /// Devices before those that counted.
    pub warm_up_devices: u64,
    /// Devices that counted.
    pub measured_devices: u64,
    /// Its measured devices by outcome; `null` when the search was ended before it was.
    pub devices: Option<DeviceCounts>,
    /// How many devices (warm-up included) were provisioned per second while the measured ones were
    /// due.
    pub achieved_per_s: Option<f64>,
    /// Time to provision of its measured devices, from when they were due; absent when none was
    /// provisioned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_us: Option<LatencyFigures>,
    /// How late its measured devices started.
    pub lag_us: LagFigures,
    /// What was asked of it; the last is that the target keeps up with the rate.
    pub conditions: Vec<ThresholdResult>,
    /// What struck its measured devices, by cause.
    pub errors: BTreeMap<String, u64>,
    /// Whether the generator kept up in it, by its own figures.
    pub generator: GeneratorVerdict,
    /// Why not.
    pub reasons: Vec<String>,
    /// What came of it; `null` when the search was ended before it was.
    pub verdict: Option<TrialVerdict>,
}

impl TrialSummary {
    /// How many devices it took.
    pub fn all_devices(&self) -> u64 {
        self.warm_up_devices.saturating_add(self.measured_devices)
    }

    /// Those conditions that did not hold.
    pub fn broken(&self) -> impl Iterator<Item = &ThresholdResult> {
        self.conditions.iter().filter(|judged| !judged.passed)
    }
}

impl SearchSummary {
    /// The trials put together: `held` and `broken` are the bracket's ends.
    pub fn new(
        ended: SearchEnd,
        (held, broken): (Option<f64>, Option<f64>),
        need: Option<f64>,
        trials: Vec<TrialSummary>,
    ) -> Self {
        let capacity = held.filter(|_| ended.is_conclusive()).map(to_micro);
        let kept = trials.iter().filter(
            |trial| matches!(trial.verdict, Some(verdict) if verdict != TrialVerdict::Generator),
        );
        Self {
            ended,
            capacity_per_s: capacity,
            bracket: BracketSummary {
                held_per_s: held.map(to_micro),
                broken_per_s: broken.map(to_micro),
            },
            need_per_s: need,
            head_room: capacity
                .zip(need)
                .map(|(capacity, need)| to_micro(capacity / need - 1.0)),
            broke_first: broken.and_then(|rate| broke_first(&trials, to_micro(rate))),
            generator_drove_per_s: kept.map(|t| t.rate_per_s).max_by(f64::total_cmp),
            trials,
        }
    }

    /// The number of the trial that a device was started for.
    pub fn trial_of(&self, ix: DeviceIx) -> Option<u32> {
        let position = u64::from(ix.0) + 1;
        let after = self.trials.partition_point(|t| t.first_device <= position);
        let trial = self.trials.get(after.checked_sub(1)?)?;
        (position - trial.first_device < trial.all_devices()).then_some(trial.trial)
    }

    /// Whether there is a capacity, and enough of it.
    pub fn holds(&self) -> bool {
        let enough = self.head_room.is_none_or(|room| room >= 0.0);
        self.ended.is_conclusive() && enough
    }

    /// The gravest verdict on the generator of the trials that the statement rests on, and why.
    pub fn generator(&self) -> (GeneratorVerdict, Vec<String>) {
        let limited = self.ended == SearchEnd::GeneratorLimited;
        let ends = [self.bracket.held_per_s, self.bracket.broken_per_s];
        let (mut gravest, mut reasons) = (GeneratorVerdict::Valid, Vec::new());
        for trial in &self.trials {
            let borne = match trial.verdict {
                Some(TrialVerdict::Generator) => limited,
                Some(_) => true,
                None => false,
            };
            let is_end = ends.contains(&Some(trial.rate_per_s));
            if !(borne && is_end) {
                continue;
            }
            gravest = gravest.max(trial.generator);
            let (number, rate) = (trial.trial, trial.rate_per_s);
            let told = trial.reasons.iter();
            reasons.extend(told.map(|reason| format!("trial {number} ({rate:.1}/s): {reason}")));
        }
        if limited {
            gravest = GeneratorVerdict::Invalid;
            let kept = self.generator_drove_per_s.map_or_else(String::new, |rate| {
                format!(": it drove up to {rate:.1} devices per second")
            });
            reasons.insert(
                0,
                format!("the generator was the limit of the search, not the target{kept}"),
            );
        }
        (gravest, reasons)
    }
}

/// The first trial at the lowest rate that does not hold, if the target broke there.
fn broke_first(trials: &[TrialSummary], rate: f64) -> Option<BrokeFirst> {
    let broke = trials.iter().find(|trial| {
        trial.verdict == Some(TrialVerdict::Broken) && trial.rate_per_s.total_cmp(&rate).is_eq()
    })?;
    Some(BrokeFirst {
        trial: broke.trial,
        rate_per_s: broke.rate_per_s,
        conditions: broke.broken().cloned().collect(),
        errors: broke.errors.clone(),
    })
}

#[cfg(test)]
mod tests;
