//! What happened within one interval, and how intervals add up.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::counts::{
    LiveCounts, OutcomeCounts, ReconnectCounts, RotationCounts, TelemetryCounts,
};
use super::super::downlink::DownlinkCounts;
use super::super::gateway::GatewayCounts;
use super::super::latency::{CarriedError, CarriedHistogram, put};
use super::super::summary::PhaseHistograms;
use crate::model::Phase;

/// What happened from one moment to another. Counts are of this interval alone; `live` is how
/// things stood at its end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Interval {
    /// Since the start of the run.
    pub from_s: f64,
    /// Since the start of the run.
    pub to_s: f64,
    /// Starts of devices.
    pub starts: IntervalStarts,
    /// Devices whose provisioning ended, by outcome.
    pub devices: OutcomeCounts,
    /// Devices by what they were doing at the interval's end.
    pub live: LiveCounts,
    /// Messages.
    pub telemetry: TelemetryCounts,
    /// Sessions lost and found again; absent when none was.
    #[serde(default, skip_serializing_if = "ReconnectCounts::is_empty")]
    pub reconnects: ReconnectCounts,
    /// Certificates replaced; absent when none was.
    #[serde(default, skip_serializing_if = "RotationCounts::is_empty")]
    pub rotations: RotationCounts,
    /// What devices were sent unasked, and what they asked; absent when that was nothing.
    #[serde(default, skip_serializing_if = "DownlinkCounts::is_empty")]
    pub downlink: DownlinkCounts,
    /// Gateways and those behind them; absent when nothing came to be counted.
    #[serde(default, skip_serializing_if = "GatewayCounts::is_empty")]
    pub gateway: GatewayCounts,
    /// How often each cause struck, by the words of `summary.json`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub errors: BTreeMap<String, u64>,
    /// How late devices started, in µs; absent when none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_lag: Option<CarriedHistogram>,
    /// How late messages were handed to their connections, in µs; absent when none was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_lag: Option<CarriedHistogram>,
    /// Those that occurred.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub phases: BTreeMap<Phase, IntervalPhase>,
    /// By name; without those in which nothing happened and no device is left.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cohorts: BTreeMap<String, IntervalCohort>,
}

/// Starts of devices against the schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IntervalStarts {
    /// Devices of open arrivals that were due, until the run wound down; absent where all are
    /// closed, and a device is due when a place is free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<u64>,
    /// Devices that started.
    pub started: u64,
    /// Of these, those that started more than 10 ms after they were due.
    pub late: u64,
}

/// A step of all devices together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IntervalPhase {
    /// How many.
    #[serde(flatten)]
    pub steps: StepCounts,
    /// The times of those that completed; absent when none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub histograms: Option<PhaseHistograms>,
}

/// How often a step was taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepCounts {
    /// Completed.
    pub count: u64,
    /// Begun and not completed.
    pub errors: u64,
    /// Attempts after a first one that failed.
    pub retries: u64,
}

/// A cohort's part of an interval.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IntervalCohort {
    /// Devices that started.
    pub started: u64,
    /// Of these, those that started more than 10 ms after they were due.
    pub late: u64,
    /// Devices whose provisioning ended, by outcome.
    pub devices: OutcomeCounts,
    /// Devices by what they were doing at the interval's end.
    pub live: LiveCounts,
    /// Messages.
    pub telemetry: TelemetryCounts,
    /// Sessions lost and found again; absent when none was.
    #[serde(default, skip_serializing_if = "ReconnectCounts::is_empty")]
    pub reconnects: ReconnectCounts,
    /// Certificates replaced; absent when none was.
    #[serde(default, skip_serializing_if = "RotationCounts::is_empty")]
    pub rotations: RotationCounts,
    /// What devices were sent unasked, and what they asked; absent when that was nothing.
    #[serde(default, skip_serializing_if = "DownlinkCounts::is_empty")]
    pub downlink: DownlinkCounts,
    /// Gateways and those behind them; absent when nothing came to be counted.
    #[serde(default, skip_serializing_if = "GatewayCounts::is_empty")]
    pub gateway: GatewayCounts,
    /// Those that occurred.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub phases: BTreeMap<Phase, StepCounts>,
}

/// How two intervals lie to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// The second follows the first in the same run: its gauges hold at the end of both.
    Next,
    /// They are of different runs: their gauges add up.
    Beside,
}

impl Interval {
    /// Adds another interval's counts and histograms. Fails only on a damaged histogram, and the
    /// sum is then to be thrown away.
    pub fn add(&mut self, other: &Self, join: Join) -> Result<(), CarriedError> {
        self.from_s = self.from_s.min(other.from_s);
        self.to_s = self.to_s.max(other.to_s);
        self.starts.due = match (self.starts.due, other.starts.due) {
            (Some(one), Some(two)) => Some(one.saturating_add(two)),
            _ => None,
        };
        self.starts.started = self.starts.started.saturating_add(other.starts.started);
        self.starts.late = self.starts.late.saturating_add(other.starts.late);
        self.devices.add(&other.devices);
        self.telemetry.add(&other.telemetry);
        self.reconnects.add(&other.reconnects);
        self.rotations.add(&other.rotations);
        self.downlink.add(&other.downlink);
        self.gateway.add(&other.gateway);
        for (cause, n) in &other.errors {
            let sum = self.errors.entry(cause.clone()).or_default();
            *sum = sum.saturating_add(*n);
        }
        for (sum, lag) in [
            (&mut self.start_lag, &other.start_lag),
            (&mut self.message_lag, &other.message_lag),
        ] {
            put(sum, lag.as_ref(), CarriedHistogram::add)?;
        }
        for (phase, other) in &other.phases {
            self.phases.entry(*phase).or_default().add(other)?;
        }
        join.live(&mut self.live, &other.live);
        if join == Join::Next {
            // One that is missing from the later interval has no device left.
            for (name, cohort) in &mut self.cohorts {
                if !other.cohorts.contains_key(name) {
                    cohort.live = LiveCounts::default();
                }
            }
        }
        for (name, other) in &other.cohorts {
            self.cohorts
                .entry(name.clone())
                .or_default()
                .add(other, join);
        }
        Ok(())
    }

    /// Its length in seconds.
    pub fn seconds(&self) -> f64 {
        self.to_s - self.from_s
    }
}

impl IntervalPhase {
    fn add(&mut self, other: &Self) -> Result<(), CarriedError> {
        self.steps.add(&other.steps);
        put(
            &mut self.histograms,
            other.histograms.as_ref(),
            PhaseHistograms::add,
        )
    }
}

impl StepCounts {
    /// Nothing was done.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn add(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.errors = self.errors.saturating_add(other.errors);
        self.retries = self.retries.saturating_add(other.retries);
    }
}

impl IntervalCohort {
    fn add(&mut self, other: &Self, join: Join) {
        self.started = self.started.saturating_add(other.started);
        self.late = self.late.saturating_add(other.late);
        self.devices.add(&other.devices);
        self.telemetry.add(&other.telemetry);
        self.reconnects.add(&other.reconnects);
        self.rotations.add(&other.rotations);
        self.downlink.add(&other.downlink);
        self.gateway.add(&other.gateway);
        join.live(&mut self.live, &other.live);
        for (phase, other) in &other.phases {
            self.phases.entry(*phase).or_default().add(other);
        }
    }
}

impl Join {
    fn live(self, live: &mut LiveCounts, other: &LiveCounts) {
        match self {
            Self::Next => *live = *other,
            Self::Beside => live.add(other),
        }
    }
}

/// Merges the intervals of one run, in their order, into such of at least this width: those that
/// begin within the same multiple of it.
pub fn coarsen(intervals: &[Interval], width: Duration) -> Result<Vec<Interval>, CarriedError> {
    let mut wide: Vec<Interval> = Vec::new();
    for interval in intervals {
        match wide.last_mut() {
            Some(last) if slot(last, width) == slot(interval, width) => {
                last.add(interval, Join::Next)?;
            }
            _ => wide.push(interval.clone()),
        }
    }
    Ok(wide)
}

/// In which multiple of the width an interval begins.
pub(super) fn slot(interval: &Interval, width: Duration) -> u64 {
    // Boundaries are whole seconds, hence exact; a damaged file's are whatever they are.
    #[expect(clippy::cast_sign_loss, reason = "a float below 0 is cast to 0")]
    let from = interval.from_s as u64;
    from / width.as_secs().max(1)
}
