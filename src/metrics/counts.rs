//! Plain counters of devices, starts and telemetry.

use serde::{Deserialize, Serialize};

use crate::model::Outcome;

/// Devices by outcome. `listed` is the sum of the others once the run is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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

    /// How many have an outcome.
    pub fn decided(&self) -> u64 {
        Outcome::ALL.iter().map(|outcome| self.of(*outcome)).sum()
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

/// What a device is doing now; the rest are waiting for their turn or done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LiveState {
    /// Started, and not yet ready for telemetry or given up.
    BringingUp,
    /// Provisioned, connected and sending telemetry.
    Live,
}

/// Devices by what they are doing now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LiveCounts {
    /// Their turn has not come.
    pub waiting: u64,
    /// See [`LiveState::BringingUp`].
    pub bringing_up: u64,
    /// See [`LiveState::Live`].
    pub live: u64,
}

/// Starts of devices against the schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
        self.sent += other.sent;
        self.acked += other.acked;
        self.lost += other.lost;
    }
}

/// Sessions of provisioned devices that were lost, and what became of them. Good-byes of duty
/// cycles and of the end of the run are no losses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
        self.lost += other.lost;
        self.back += other.back;
        self.devices += other.devices;
        self.given_up += other.given_up;
        self.takeovers += other.takeovers;
        self.taken_over += other.taken_over;
    }
}
