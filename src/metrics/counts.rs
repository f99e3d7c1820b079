//! Plain counters of devices, starts and telemetry.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::Outcome;

/// Devices by outcome. `listed` is the sum of the others once the run is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeviceCounts {
    /// In the device list.
    pub listed: u64,
    /// The server said SUCCESS.
    pub provisioned: u64,
    /// The server said no.
    pub refused: u64,
    /// Network, protocol or time-out.
    pub failed: u64,
    /// Request sent, answer lost.
    pub unknown: u64,
    /// Not started, or cut off by the end of the run.
    pub unfinished: u64,
}

impl DeviceCounts {
    /// How many ended so.
    pub fn of(&self, outcome: Outcome) -> u64 {
        match outcome {
            Outcome::Provisioned => self.provisioned,
            Outcome::Refused => self.refused,
            Outcome::Failed => self.failed,
            Outcome::Unknown => self.unknown,
            Outcome::Unfinished => self.unfinished,
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.listed = self.listed.saturating_add(other.listed);
        self.provisioned = self.provisioned.saturating_add(other.provisioned);
        self.refused = self.refused.saturating_add(other.refused);
        self.failed = self.failed.saturating_add(other.failed);
        self.unknown = self.unknown.saturating_add(other.unknown);
        self.unfinished = self.unfinished.saturating_add(other.unfinished);
    }

    /// How many have an outcome.
    pub fn decided(&self) -> u64 {
        Outcome::ALL
            .iter()
            .fold(0, |sum, outcome| self.of(*outcome).saturating_add(sum))
    }

    pub(super) fn new(listed: u64, outcomes: &[u64; Outcome::ALL.len()]) -> Self {
        let [provisioned, refused, failed, unknown, unfinished] = *outcomes;
        Self {
            listed,
            provisioned,
            refused,
            failed,
            unknown,
            unfinished,
        }
    }
}

/// Devices by how their provisioning ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OutcomeCounts {
    /// The server said SUCCESS.
    pub provisioned: u64,
    /// The server said no.
    pub refused: u64,
    /// Network, protocol or time-out.
    pub failed: u64,
    /// Request sent, answer lost.
    pub unknown: u64,
    /// Not started, or cut off by the end of the run.
    pub unfinished: u64,
}

impl OutcomeCounts {
    /// How many ended so.
    pub fn of(&self, outcome: Outcome) -> u64 {
        match outcome {
            Outcome::Provisioned => self.provisioned,
            Outcome::Refused => self.refused,
            Outcome::Failed => self.failed,
            Outcome::Unknown => self.unknown,
            Outcome::Unfinished => self.unfinished,
        }
    }

    pub(super) fn new(outcomes: &[u64; Outcome::ALL.len()]) -> Self {
        let [provisioned, refused, failed, unknown, unfinished] = *outcomes;
        Self {
            provisioned,
            refused,
            failed,
            unknown,
            unfinished,
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.provisioned = self.provisioned.saturating_add(other.provisioned);
        self.refused = self.refused.saturating_add(other.refused);
        self.failed = self.failed.saturating_add(other.failed);
        self.unknown = self.unknown.saturating_add(other.unknown);
        self.unfinished = self.unfinished.saturating_add(other.unfinished);
    }
}

/// What a device is doing now; the rest are waiting for their turn or done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LiveState {
    /// Started, and not yet ready for telemetry or given up.
    BringingUp,
    /// Provisioned, connected and sending telemetry.
    Live,
}

/// Devices by what they are doing now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LiveCounts {
    /// Their turn has not come.
    pub waiting: u64,
    /// See [`LiveState::BringingUp`].
    pub bringing_up: u64,
    /// See [`LiveState::Live`].
    pub live: u64,
}

impl LiveCounts {
    pub(super) fn add(&mut self, other: &Self) {
        self.waiting = self.waiting.saturating_add(other.waiting);
        self.bringing_up = self.bringing_up.saturating_add(other.bringing_up);
        self.live = self.live.saturating_add(other.live);
    }
}

/// Starts of devices against the schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StartCounts {
    /// The schedule gives a turn to so many.
    pub planned: u64,
    /// Were started.
    pub started: u64,
    /// Started later than due by more than [`LATE_AFTER`](super::LATE_AFTER).
    pub late: u64,
    /// Were due, and the generator could not start them.
    pub dropped: u64,
}

/// Telemetry messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TelemetryCounts {
    /// Written to the connection.
    pub sent: u64,
    /// Acknowledged by the server; QoS 0 never is.
    pub acked: u64,
    /// Sent, and known to have stayed without acknowledgement.
    pub lost: u64,
}

impl TelemetryCounts {
    pub(super) fn add(&mut self, other: &Self) {
        self.sent = self.sent.saturating_add(other.sent);
        self.acked = self.acked.saturating_add(other.acked);
        self.lost = self.lost.saturating_add(other.lost);
    }

    /// What came since an earlier state of the same counts.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        Self {
            sent: self.sent - earlier.sent,
            acked: self.acked - earlier.acked,
            lost: self.lost - earlier.lost,
        }
    }
}

/// Certificates that devices got in mid-run, and what became of them. Once the run is over, `due`
/// is the sum of `done`, `failed` and `in_doubt`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RotationCounts {
    /// Devices got a new certificate.
    pub due: u64,
    /// The server took it: the device goes on with it.
    pub done: u64,
    /// The server said no, or cannot have seen it: the device has its old one.
    pub failed: u64,
    /// The server may have seen it, and the run ended before it said so.
    pub in_doubt: u64,
    /// Of those done, the ones whose old certificate was shown once more and refused.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub old_refused: u64,
    /// Of those done, the ones whose old certificate still let the device in.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub old_accepted: u64,
}

impl RotationCounts {
    /// Nobody got a new certificate.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.due = self.due.saturating_add(other.due);
        self.done = self.done.saturating_add(other.done);
        self.failed = self.failed.saturating_add(other.failed);
        self.in_doubt = self.in_doubt.saturating_add(other.in_doubt);
        self.old_refused = self.old_refused.saturating_add(other.old_refused);
        self.old_accepted = self.old_accepted.saturating_add(other.old_accepted);
    }

    /// What came since an earlier state of the same counts.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        Self {
            due: self.due - earlier.due,
            done: self.done - earlier.done,
            failed: self.failed - earlier.failed,
            in_doubt: self.in_doubt - earlier.in_doubt,
            old_refused: self.old_refused - earlier.old_refused,
            old_accepted: self.old_accepted - earlier.old_accepted,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// Sessions of provisioned devices that were lost, and what became of them. Good-byes of duty
/// cycles and of the end of the run are no losses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReconnectCounts {
    /// Sessions lost: broken, or ended by an event of the scenario.
    pub lost: u64,
    /// Of these, the ones after which the device was ready again: `time_to_reconnect`'s samples.
    pub back: u64,
    /// Devices that lost a session at least once.
    pub devices: u64,
    /// Times that a device used up its `budget` of attempts.
    pub given_up: u64,
    /// Second sessions opened by take-over events.
    pub takeovers: u64,
    /// Of these, the ones for which the server closed the first session.
    pub taken_over: u64,
}

impl ReconnectCounts {
    /// Devices without a session at the end of the run: each has one open loss at most.
    pub fn devices_not_back(&self) -> u64 {
        self.lost.saturating_sub(self.back)
    }

    /// Of the devices that lost a session, those that have one at the end of the run.
    pub fn devices_back(&self) -> u64 {
        self.devices.saturating_sub(self.devices_not_back())
    }

    /// Nothing was lost and nothing taken over.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.lost = self.lost.saturating_add(other.lost);
        self.back = self.back.saturating_add(other.back);
        self.devices = self.devices.saturating_add(other.devices);
        self.given_up = self.given_up.saturating_add(other.given_up);
        self.takeovers = self.takeovers.saturating_add(other.takeovers);
        self.taken_over = self.taken_over.saturating_add(other.taken_over);
    }

    /// What came since an earlier state of the same counts.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        Self {
            lost: self.lost - earlier.lost,
            back: self.back - earlier.back,
            devices: self.devices - earlier.devices,
            given_up: self.given_up - earlier.given_up,
            takeovers: self.takeovers - earlier.takeovers,
            taken_over: self.taken_over - earlier.taken_over,
        }
    }
}
