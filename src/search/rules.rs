//! What a search is to do, and how many devices that takes.

use std::time::Duration;

use super::history::{Next, Search, Trial};
use crate::model::{TrialPurpose, TrialVerdict};

/// `[search]`, checked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SearchRules {
    /// The first rate, devices per second.
    pub from: f64,
    /// The highest rate that is tried, devices per second; at least `from`.
    pub to: f64,
    /// From one step to the next: a factor above 1.
    pub step: f64,
    /// How far apart the bracket's ends may be at the end, as a share of the lower one.
    pub precision: f64,
    /// How long a trial's rate is on before its devices count.
    pub warm_up: Duration,
    /// For how long its devices count.
    pub hold: Duration,
    /// From the end of a trial's last device to the next trial.
    pub cool_down: Duration,
    /// How often the rate that was found is confirmed; 0: neither end is tried again.
    pub confirm: u32,
    /// The rate that is needed, devices per second.
    pub need: Option<f64>,
    /// The most trials.
    pub trials: u32,
}

impl SearchRules {
    /// How long the devices of such a trial count.
    pub fn hold_of(&self, purpose: TrialPurpose) -> Duration {
        match purpose {
            TrialPurpose::Confirm => self.hold * CONFIRM_HOLDS,
            _ => self.hold,
        }
    }

    /// How many devices a trial starts before those that count.
    pub fn warm_up_devices(&self, rate: f64) -> u32 {
        devices(rate, self.warm_up)
    }

    /// How many devices of a trial count.
    pub fn measured_devices(&self, trial: &Trial) -> u32 {
        devices(trial.rate, self.hold_of(trial.purpose))
    }

    /// How many devices a trial takes.
    pub fn devices_of(&self, trial: &Trial) -> u32 {
        let warm_up = self.warm_up_devices(trial.rate);
        warm_up.saturating_add(self.measured_devices(trial))
    }

    /// How many devices a search takes at most, as long as no rate breaks by chance: that of the
    /// server, of all those with a hard limit, for which it is longest.
    pub fn devices_needed(&self) -> u64 {
        let span = (self.to / self.from).ln().max(0.0);
        let limit = |n: u32| self.from * (span * f64::from(n) / f64::from(LIMITS)).exp();
        // Below the first rate, at each of many rates on the way, and above the last.
        let limits = (0..=LIMITS).map(limit);
        let all = [self.from / 2.0, self.to * 2.0].into_iter().chain(limits);
        all.map(|limit| self.devices_for(limit)).max().unwrap_or(0)
    }

    /// A list that also has enough for a few rates that break by chance.
    pub fn devices_with_reserve(&self) -> u64 {
        let needed = self.devices_needed();
        needed.saturating_add(needed / RESERVE)
    }

    fn devices_for(&self, limit: f64) -> u64 {
        let mut search = Search::new(*self);
        let mut devices = 0;
        while let Next::Trial(trial) = search.next() {
            devices += u64::from(self.devices_of(&trial));
            search.took(if trial.rate <= limit {
                TrialVerdict::Held
            } else {
                TrialVerdict::Broken
            });
        }
        devices
    }
}

#[expect(clippy::cast_sign_loss, reason = "rates are positive")]
fn devices(rate: f64, over: Duration) -> u32 {
    (rate * over.as_secs_f64()).ceil() as u32
}

/// A confirmation takes so many times as long as another trial.
pub const CONFIRM_HOLDS: u32 = 2;

/// One device in reserve for so many needed.
const RESERVE: u64 = 3;

/// How many limits are tried to find the longest search.
const LIMITS: u32 = 500;
