//! How fast the schedule's own clock runs: as the run's, until somebody steers.
//!
//! Pure: a list of changes, each at its moment. A device that the plan has due at an offset is due
//! when the schedule's clock shows it, whenever that is asked: changes never move what was due before.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The schedule's clock against the run's. Two of them: the open model's runs at the factor, the closed
/// model's at the plan's speed, since there the factor is one of places; both stand in a pause.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pace {
    /// Ascending; the first is the start of the run.
    stretches: Vec<Stretch>,
}

/// From one change to the next.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Stretch {
    /// Since the start of the run.
    from: Duration,
    /// What the open model's clock shows then.
    open: Duration,
    /// What the closed model's clock shows then.
    closed: Duration,
    setting: PaceSetting,
}

/// What somebody steers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PaceSetting {
    /// Of the open model's rates and the closed model's places; > 0.
    pub factor: f64,
    /// No device becomes due.
    pub paused: bool,
}

impl PaceSetting {
    /// As planned.
    pub const PLANNED: Self = Self {
        factor: 1.0,
        paused: false,
    };

    fn open(self) -> f64 {
        if self.paused { 0.0 } else { self.factor }
    }

    fn closed(self) -> f64 {
        if self.paused { 0.0 } else { 1.0 }
    }
}

impl Pace {
    /// As planned, from the start on.
    pub fn planned() -> Self {
        let start = Stretch {
            from: Duration::ZERO,
            open: Duration::ZERO,
            closed: Duration::ZERO,
            setting: PaceSetting::PLANNED,
        };
        Self {
            stretches: vec![start],
        }
    }

    /// Holds from this moment on, which must not be before an earlier change; `false` when there have
    /// been [`CHANGES_MAX`].
    pub fn change(&mut self, at: Duration, setting: PaceSetting) -> bool {
        if self.stretches.len() > CHANGES_MAX {
            return false;
        }
        let from = at.max(self.last().from);
        let stretch = Stretch {
            from,
            open: self.open_shows(from),
            closed: self.closed_shows(from),
            setting,
        };
        self.stretches.push(stretch);
        true
    }

    /// What was set last, whether it holds already or will in a moment.
    pub fn latest(&self) -> PaceSetting {
        self.last().setting
    }

    /// What holds at a moment of the run.
    pub fn setting(&self, at: Duration) -> PaceSetting {
        self.stretch(at).setting
    }

    /// The next change after a moment of the run.
    pub fn next_change(&self, after: Duration) -> Option<Duration> {
        let mut starts = self.stretches.iter().map(|stretch| stretch.from);
        starts.find(|from| *from > after)
    }

    /// What the open model's clock shows at a moment of the run.
    pub fn open_shows(&self, at: Duration) -> Duration {
        let stretch = self.stretch(at);
        let since = at.saturating_sub(stretch.from);
        stretch.open + scaled(since, stretch.setting.open())
    }

    /// What the closed model's clock shows at a moment of the run.
    pub fn closed_shows(&self, at: Duration) -> Duration {
        let stretch = self.stretch(at);
        let since = at.saturating_sub(stretch.from);
        stretch.closed + scaled(since, stretch.setting.closed())
    }

    /// The moment of the run at which the open model's clock shows an offset; `None` while it will not,
    /// as far as is known.
    pub fn open_at(&self, shows: Duration) -> Option<Duration> {
        self.at(shows, |stretch| (stretch.open, stretch.setting.open()))
    }

    /// The same of the closed model's clock.
    pub fn closed_at(&self, shows: Duration) -> Option<Duration> {
        self.at(shows, |stretch| (stretch.closed, stretch.setting.closed()))
    }

    fn at(&self, shows: Duration, of: impl Fn(&Stretch) -> (Duration, f64)) -> Option<Duration> {
        // Later stretches show more: the last that began before it, or the first of those that began
        // with it, since a clock that stands shows it from then on.
        let after = self
            .stretches
            .partition_point(|stretch| of(stretch).0 < shows);
        let candidate = match self.stretches.get(after) {
            Some(stretch) if of(stretch).0 == shows => return Some(stretch.from),
            _ => &self.stretches[after.checked_sub(1)?],
        };
        let (start, speed) = of(candidate);
        let missing = shows.saturating_sub(start);
        if speed <= 0.0 {
            return None;
        }
        candidate.from.checked_add(scaled(missing, 1.0 / speed))
    }

    fn stretch(&self, at: Duration) -> &Stretch {
        let after = self.stretches.partition_point(|stretch| stretch.from <= at);
        &self.stretches[after.saturating_sub(1)]
    }

    fn last(&self) -> &Stretch {
        self.stretches.last().expect("the start is always there")
    }
}

/// As planned to the nanosecond, where nobody steers.
fn scaled(span: Duration, by: f64) -> Duration {
    if (by - 1.0).abs() < f64::EPSILON {
        return span;
    }
    Duration::try_from_secs_f64(span.as_secs_f64() * by).unwrap_or(Duration::MAX / 4)
}

/// Changes that a run takes; later ones are refused.
pub const CHANGES_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn s(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    fn set(factor: f64, paused: bool) -> PaceSetting {
        PaceSetting { factor, paused }
    }

    #[test]
    fn unsteered_both_clocks_are_the_runs_to_the_nanosecond() {
        let pace = Pace::planned();
        for ns in [0, 1, 999_999_937, 86_400_000_000_001] {
            let at = Duration::from_nanos(ns);
            assert_eq!((pace.open_shows(at), pace.open_at(at)), (at, Some(at)));
            assert_eq!((pace.closed_shows(at), pace.closed_at(at)), (at, Some(at)));
        }
    }

    #[test]
    fn twice_as_fast_halves_the_gaps_of_what_is_still_to_come() {
        let mut pace = Pace::planned();
        pace.change(s(10.0), set(2.0, false));
        for (planned, due) in [(4.0, 4.0), (10.0, 10.0), (12.0, 11.0), (30.0, 20.0)] {
            assert_eq!(pace.open_at(s(planned)), Some(s(due)), "{planned}");
        }
        assert_eq!(
            pace.closed_at(s(30.0)),
            Some(s(30.0)),
            "places are doubled, not time"
        );
        assert_eq!(pace.setting(s(9.9)), PaceSetting::PLANNED);
        assert_eq!(pace.next_change(s(9.9)), Some(s(10.0)));
        assert_eq!(pace.next_change(s(10.0)), None);
    }

    #[test]
    fn in_a_pause_nothing_becomes_due_and_afterwards_nothing_is_late() {
        let mut pace = Pace::planned();
        pace.change(s(10.0), set(1.0, true));
        assert_eq!(pace.open_at(s(9.0)), Some(s(9.0)), "it was due before");
        assert_eq!(pace.open_at(s(10.0)), Some(s(10.0)), "at the very moment");
        assert_eq!(pace.open_at(s(10.1)), None);
        assert_eq!(pace.closed_at(s(10.1)), None);
        assert_eq!(pace.open_shows(s(500.0)), s(10.0));
        pace.change(s(60.0), set(1.0, false));
        assert_eq!(pace.open_at(s(10.5)), Some(s(60.5)));
        assert_eq!(pace.closed_at(s(10.5)), Some(s(60.5)));
    }

    #[test]
    fn changes_are_bounded() {
        let mut pace = Pace::planned();
        for n in 0..CHANGES_MAX {
            assert!(pace.change(s(n as f64), set(2.0, false)));
        }
        assert!(!pace.change(s(9_999.0), set(4.0, false)));
        assert_eq!(pace.latest(), set(2.0, false));
    }

    proptest! {
        #[test]
        fn the_two_directions_agree_and_due_times_never_decrease(
            changes in prop::collection::vec((0.0f64..5.0, 0u32..9, any::<bool>()), 0..8),
            mut offsets in prop::collection::vec(0.0f64..60.0, 1..40),
        ) {
            let mut pace = Pace::planned();
            let mut at = 0.0;
            for (gap, power, paused) in changes {
                at += gap;
                pace.change(s(at), set(f64::from(1u32 << power) / 16.0, paused));
            }
            offsets.sort_by(f64::total_cmp);
            let mut last = Duration::ZERO;
            for offset in offsets {
                let Some(due) = pace.open_at(s(offset)) else {
                    prop_assert!(pace.latest().paused);
                    continue;
                };
                prop_assert!(due + Duration::from_nanos(10) >= last);
                last = due;
                let back = pace.open_shows(due).as_secs_f64();
                prop_assert!((back - offset).abs() < 1e-6, "{offset} at {due:?} shows {back}");
            }
        }
    }
}
