//! What is counted for a cohort, or for all of them.

use serde::{Deserialize, Serialize};

use super::counts::{ReconnectCounts, RotationCounts, TelemetryCounts};
use super::downlink::{AskCounts, DownlinkCounts};
use super::gateway::GatewayCounts;
use super::latency::Latency;
use super::roll::RollRow;
use super::timeline::StepCounts;
use crate::model::{Outcome, Phase};

/// What is counted for a cohort.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Tally {
    pub(super) outcomes: [u64; Outcome::ALL.len()],
    pub(super) started: u64,
    pub(super) late: u64,
    /// Of the unfinished ones, those whose turn never came.
    pub(super) never_started: u64,
    pub(super) bringing_up: i64,
    pub(super) live: i64,
    pub(super) telemetry: TelemetryCounts,
    pub(super) reconnects: ReconnectCounts,
    pub(super) rotations: RotationCounts,
    pub(super) downlink: DownlinkCounts,
    pub(super) gateway: GatewayCounts,
    /// Between processes they travel apart.
    #[serde(skip)]
    pub(super) phases: [PhaseTally; Phase::COUNT],
}

impl Tally {
    pub(super) fn add(&mut self, other: &Self) {
        for (sum, n) in self.outcomes.iter_mut().zip(other.outcomes) {
            *sum = sum.saturating_add(n);
        }
        self.started = self.started.saturating_add(other.started);
        self.late = self.late.saturating_add(other.late);
        self.never_started = self.never_started.saturating_add(other.never_started);
        self.bringing_up = self.bringing_up.saturating_add(other.bringing_up);
        self.live = self.live.saturating_add(other.live);
        self.telemetry.add(&other.telemetry);
        self.reconnects.add(&other.reconnects);
        self.rotations.add(&other.rotations);
        self.downlink.add(&other.downlink);
        self.gateway.add(&other.gateway);
        for (sum, phase) in self.phases.iter_mut().zip(&other.phases) {
            sum.add(phase);
        }
    }

    /// What devices were sent, with what they asked themselves, which is known from their steps.
    pub(super) fn downlink(&self) -> DownlinkCounts {
        let asked = |phase: Phase| {
            let steps = self.phases[phase as usize].steps();
            AskCounts {
                answered: steps.count,
                failed: steps.errors,
            }
        };
        DownlinkCounts {
            client_rpc: asked(Phase::ClientRpc),
            claims: asked(Phase::Claim),
            ..self.downlink
        }
    }

    /// Corrects it by what a process that died left unsaid, or said too much.
    pub(super) fn mend(&mut self, by: &RollRow) {
        for (n, by) in self.outcomes.iter_mut().zip(by.outcomes) {
            *n = n.saturating_add_signed(by);
        }
        self.never_started = self.never_started.saturating_add_signed(by.never_started);
        self.started = self.started.saturating_add_signed(by.started);
        self.late = self.late.saturating_add_signed(by.late);
        self.bringing_up = self.bringing_up.saturating_add(by.bringing_up);
        self.live = self.live.saturating_add(by.live);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.outcomes.iter().all(|n| *n == 0)
            && (self.started, self.bringing_up, self.live) == (0, 0, 0)
            && self.telemetry == TelemetryCounts::default()
            && self.reconnects.is_empty()
            && self.rotations.is_empty()
            && self.downlink.is_empty()
            && self.gateway.is_empty()
            && self.phases.iter().all(PhaseTally::is_empty)
    }

    pub(super) fn clear(&mut self) {
        let mut phases = std::mem::take(&mut self.phases);
        phases.iter_mut().for_each(PhaseTally::clear);
        *self = Self {
            phases,
            ..Self::default()
        };
    }
}

/// What is counted for a cohort's phase.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct PhaseTally {
    pub(super) errors: u64,
    pub(super) retries: u64,
    pub(super) latency: Option<Box<Latency>>,
}

impl PhaseTally {
    pub(super) fn steps(&self) -> StepCounts {
        StepCounts {
            count: self.count(),
            errors: self.errors,
            retries: self.retries,
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.latency.as_ref().map_or(0, |latency| latency.count())
    }

    pub(super) fn is_empty(&self) -> bool {
        (self.errors, self.retries) == (0, 0) && self.count() == 0
    }

    fn add(&mut self, other: &Self) {
        self.errors = self.errors.saturating_add(other.errors);
        self.retries = self.retries.saturating_add(other.retries);
        if let Some(latency) = other.latency.as_ref().filter(|l| l.count() > 0) {
            self.latency
                .get_or_insert_with(|| Box::new(Latency::new()))
                .add(latency);
        }
    }

    fn clear(&mut self) {
        (self.errors, self.retries) = (0, 0);
        if let Some(latency) = &mut self.latency {
            latency.clear();
        }
    }
}
