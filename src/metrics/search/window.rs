//! The measured devices of one trial.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::aggregate::Aggregate;
use super::super::finish::{per_second, to_micro};
use super::super::latency::LagFigures;
use super::super::recorder::Recorder;
use super::super::setting::{Ending, Setting};
use super::super::summary::Summary;
use super::super::threshold::ThresholdResult;
use super::super::validity::{Evidence, GeneratorVerdict};
use super::TrialSummary;
use crate::model::{Phase, TrialPurpose, TrialVerdict};

/// A trial, as it was begun.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tried {
    /// From 1.
    pub trial: u32,
    /// Why it is made.
    pub purpose: TrialPurpose,
    /// Devices per second.
    pub rate: f64,
    /// When its first device is due, since the start of the run.
    pub begins: Duration,
    /// For how long its devices count.
    pub hold: Duration,
    /// The position of its first device in the list, from 0.
    pub first: u32,
    /// Devices before those that count.
    pub warm_up: u32,
    /// Devices that count.
    pub measured: u32,
}

/// What the measured devices of one trial leave.
#[derive(Debug)]
pub struct Window {
    tried: Tried,
    sum: Aggregate,
}

impl Window {
    /// Nothing yet. `dealt`: how many of the measured devices each cohort has.
    pub fn new(run: &Setting, dealt: &[u64], tried: Tried) -> Self {
        let mut setting = run.clone();
        for (cohort, listed) in setting.cohorts.iter_mut().zip(dealt) {
            cohort.listed = *listed;
        }
        setting.listed = dealt.iter().sum();
        setting.planned = setting.listed;
        Self {
            tried,
            sum: Aggregate::new(setting),
        }
    }

    /// Adds what a worker recorded of them.
    pub fn add(&mut self, delta: &Recorder) {
        self.sum.add(delta);
    }

    /// Judges it, when each of its devices has an outcome: `provisioned` devices were, warm-up
    /// included, while the measured ones were due, and `evidence` is of its time alone.
    pub fn judge(mut self, provisioned: u64, evidence: Evidence, ending: Ending) -> TrialSummary {
        self.sum.set_evidence(evidence);
        let kept_up = self.sum.kept_up();
        let without_thresholds = self.sum.setting.thresholds.is_empty();
        let (tried, sum) = (self.tried, self.sum);
        let summary = sum.finish(ending);
        let mut conditions = if without_thresholds {
            vec![answered(&summary)]
        } else {
            summary.thresholds.clone()
        };
        conditions.push(keeps_up(&summary, provisioned, tried.hold));
        let held = conditions.iter().all(|condition| condition.passed);
        let verdict = match (held, summary.generator.verdict) {
            (_, GeneratorVerdict::Invalid) => TrialVerdict::Generator,
            // Times count from when devices were due: a late start can only have made them worse.
            (true, _) => TrialVerdict::Held,
            (false, _) if kept_up => TrialVerdict::Broken,
            (false, _) => TrialVerdict::Generator,
        };
        let whole = summary.phases.get(&Phase::TimeToProvision);
        TrialSummary {
            devices: Some(summary.devices),
            achieved_per_s: Some(per_second(provisioned, tried.hold)),
            response_us: whole.map(|phase| phase.response_us),
            lag_us: summary.lag_us,
            conditions,
            errors: summary.errors,
            generator: summary.generator.verdict,
            reasons: summary.generator.reasons,
            verdict: Some(verdict),
            ..tried.unfinished()
        }
    }
}

impl Tried {
    /// A trial that was ended before it could be judged.
    pub fn unfinished(self) -> TrialSummary {
        TrialSummary {
            trial: self.trial,
            purpose: self.purpose,
            rate_per_s: to_micro(self.rate),
            begins_s: to_micro(self.begins.as_secs_f64()),
            hold_s: to_micro(self.hold.as_secs_f64()),
            first_device: u64::from(self.first) + 1,
            warm_up_devices: u64::from(self.warm_up),
            measured_devices: u64::from(self.measured),
            devices: None,
            achieved_per_s: None,
            response_us: None,
            lag_us: LagFigures::default(),
            conditions: Vec::new(),
            errors: BTreeMap::new(),
            generator: GeneratorVerdict::Valid,
            reasons: Vec::new(),
            verdict: None,
        }
    }
}

/// The condition of a search without thresholds, after the performance reports of the Kea DHCP server:
/// no more than 2.5 % of the devices go without credentials for longer than 1 s.
fn answered(summary: &Summary) -> ThresholdResult {
    let whole = summary.histograms.phases.get(&Phase::TimeToProvision);
    // Encoded a moment ago by this very program.
    let counts = whole.and_then(|whole| whole.response.counts().ok());
    let in_time = counts.unwrap_or_default();
    let in_time = in_time.iter().filter(|(us, _)| *us <= ANSWERED_US);
    let in_time: u64 = in_time.map(|(_, n)| n).sum();
    let all = summary.devices.listed;
    ThresholdResult {
        expression: "provisioned within 1s >= 97.5%".to_owned(),
        observed: format!("{} ({in_time} of {all})", percent(in_time, all)),
        // Exact: in_time / all >= 975 / 1000.
        passed: all > 0 && in_time * 1000 >= all * 975,
    }
}

/// Whether as many were provisioned as were due meanwhile: else a queue grows somewhere, and the
/// rate holds no longer than that is bearable. One device more or less is chance.
fn keeps_up(summary: &Summary, provisioned: u64, hold: Duration) -> ThresholdResult {
    let due = summary.devices.listed;
    ThresholdResult {
        expression: format!("provisioned per second >= {KEPT_UP}% of the rate"),
        observed: format!(
            "{}/s ({})",
            per_second(provisioned, hold),
            percent(provisioned, due)
        ),
        passed: (provisioned + 1) * 100 >= due * KEPT_UP,
    }
}

/// Two decimals, cut.
fn percent(part: u64, whole: u64) -> String {
    let share = (u128::from(part) * 10_000)
        .checked_div(u128::from(whole))
        .unwrap_or(0);
    format!("{}.{:02}%", share / 100, share % 100)
}

/// The time within which a device must have its credentials where the scenario says nothing.
const ANSWERED_US: u64 = 1_000_000;

/// Percent of the rate that a target must provision while it is on.
const KEPT_UP: u64 = 98;
