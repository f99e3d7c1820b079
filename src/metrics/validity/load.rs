//! What share of something was in use: over the run, and in its busiest five seconds.

use std::collections::VecDeque;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Shares of a whole: of a core, of a machine, of time. Sums over threads may be above 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Load {
    /// Over all of the run, ramps included.
    pub mean: f64,
    /// In the busiest five seconds in a row; of shorter runs, the mean.
    pub peak: f64,
}

/// Turns readings of two growing counts into a [`Load`].
#[derive(Clone, Debug, Default)]
pub(super) struct LoadMeter {
    first: Option<Point>,
    /// The newest reading that is a window old, and all since.
    recent: VecDeque<Point>,
    peak: Option<f64>,
}

#[derive(Clone, Copy, Debug)]
struct Point {
    at: Duration,
    used: f64,
    whole: f64,
}

impl LoadMeter {
    /// So much was used of the whole until then. What goes back is ignored.
    pub(super) fn read(&mut self, at: Duration, used: f64, whole: f64) {
        let point = Point { at, used, whole };
        self.first.get_or_insert(point);
        let backwards = |last: &Point| at <= last.at || used < last.used || whole < last.whole;
        if self.recent.back().is_some_and(backwards) {
            return;
        }
        self.recent.push_back(point);
        while self.recent.len() > 2 && self.recent[1].at + WINDOW <= at {
            self.recent.pop_front();
        }
        let start = self.recent[0];
        if start.at + WINDOW <= at {
            let share = share(start, point).unwrap_or(0.0);
            self.peak = Some(self.peak.map_or(share, |peak| peak.max(share)));
        }
    }

    /// `None` before the second reading, and while nothing of the whole has passed.
    pub(super) fn figures(&self) -> Option<Load> {
        let mean = share(self.first?, *self.recent.back()?)?;
        Some(Load {
            mean: rounded(mean),
            peak: rounded(self.peak.unwrap_or(mean)),
        })
    }
}

fn share(old: Point, new: Point) -> Option<f64> {
    let whole = new.whole - old.whole;
    (whole > 0.0).then(|| (new.used - old.used) / whole)
}

/// Four decimals: enough for people, and short enough to be read back as the same number.
fn rounded(share: f64) -> f64 {
    (share * 1e4).round() / 1e4
}

/// Five readings, a second apart; less than five seconds, since timers ring at odd moments.
const WINDOW: Duration = Duration::from_millis(4_500);

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a load of these shares, a second each.
    fn of(shares: &[f64]) -> Option<Load> {
        let mut meter = LoadMeter::default();
        let mut used = 0.0;
        meter.read(Duration::from_secs(9), used, 0.0);
        for (second, share) in (1..).zip(shares) {
            used += share;
            meter.read(Duration::from_secs(9 + second), used, second as f64);
        }
        meter.figures()
    }

    const fn load(mean: f64, peak: f64) -> Load {
        Load { mean, peak }
    }

    #[test]
    fn the_peak_is_that_of_five_seconds_in_a_row_and_not_of_one() {
        let quiet_with_one_busy_second = [0.1, 0.1, 0.1, 1.0, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1];
        assert_eq!(of(&quiet_with_one_busy_second), Some(load(0.19, 0.28)));
        let busy_in_the_middle = [0.0, 0.0, 0.0, 0.9, 0.9, 0.9, 0.9, 0.9, 0.0, 0.0];
        assert_eq!(of(&busy_in_the_middle), Some(load(0.45, 0.9)));
    }

    #[test]
    fn a_short_run_has_its_mean_for_a_peak_and_nothing_has_no_figures() {
        assert_eq!(of(&[1.0, 0.0]), Some(load(0.5, 0.5)));
        assert_eq!(of(&[]), None);
        assert_eq!(LoadMeter::default().figures(), None);
    }

    #[test]
    fn readings_that_go_back_are_ignored_and_memory_is_bounded() {
        let mut meter = LoadMeter::default();
        for second in 0..10_000_u64 {
            let (at, used) = (Duration::from_secs(second), second as f64 / 2.0);
            meter.read(at, used, second as f64);
            meter.read(at, used - 1.0, second as f64);
            meter.read(Duration::ZERO, 1e9, 1e9);
        }
        assert_eq!(meter.figures(), Some(load(0.5, 0.5)));
        assert!(meter.recent.len() <= 7, "{}", meter.recent.len());
    }
}
