//! Rates per second out of a growing count.

use std::collections::VecDeque;
use std::time::Duration;

/// A rate now and how it went.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RateFigures {
    /// Per second, over about the last second.
    pub now: f64,
    /// Per second, one value for each whole second, the oldest first; at most the last 300.
    pub history: Vec<f64>,
}

/// Turns readings of a count into [`RateFigures`].
#[derive(Debug, Default)]
pub(super) struct Meter {
    /// (elapsed, count) of readings in the last second, and the newest one before.
    recent: VecDeque<(Duration, u64)>,
    /// The count at the last whole second.
    mark: (Duration, u64),
    history: VecDeque<f64>,
}

impl Meter {
    /// A meter of a count that begins there.
    pub(super) fn from(count: u64) -> Self {
        Self {
            recent: VecDeque::from([(Duration::ZERO, count)]),
            mark: (Duration::ZERO, count),
            history: VecDeque::new(),
        }
    }

    /// One reading; `elapsed` must not go back (a reading that does is ignored).
    pub(super) fn read(&mut self, elapsed: Duration, count: u64) {
        let last = self.recent.back().copied().unwrap_or_default();
        if elapsed < last.0 {
            return;
        }
        if self.recent.is_empty() {
            self.recent.push_back((Duration::ZERO, 0));
        }
        // Readings closer than this replace each other: the queue stays short whatever the tick.
        if self.recent.len() > 1 && elapsed < self.recent[self.recent.len() - 2].0 + SPACING {
            self.recent.pop_back();
        }
        self.recent.push_back((elapsed, count));
        while self.recent.len() > 2 && elapsed >= self.recent[1].0 + POINT {
            self.recent.pop_front();
        }
        self.push_points(elapsed, count);
    }

    pub(super) fn figures(&self) -> RateFigures {
        let ends = self.recent.front().zip(self.recent.back());
        RateFigures {
            now: ends.map_or(0.0, |(old, new)| per_second(*old, *new)),
            history: self.history.iter().copied().collect(),
        }
    }

    /// One point for each whole second that has passed; a tick longer than a second gives its
    /// mean to each of them.
    fn push_points(&mut self, elapsed: Duration, count: u64) {
        let seconds = (elapsed.as_secs() - self.mark.0.as_secs()).min(HISTORY as u64);
        if seconds == 0 {
            return;
        }
        let rate = per_second(self.mark, (elapsed, count));
        for _ in 0..seconds {
            if self.history.len() == HISTORY {
                self.history.pop_front();
            }
            self.history.push_back(rate);
        }
        self.mark = (elapsed, count);
    }
}

fn per_second(old: (Duration, u64), new: (Duration, u64)) -> f64 {
    let span = new.0.saturating_sub(old.0).as_secs_f64();
    if span > 0.0 {
        new.1.saturating_sub(old.1) as f64 / span
    } else {
        0.0
    }
}

/// Points kept: five minutes.
const HISTORY: usize = 300;
/// The time that a point stands for.
const POINT: Duration = Duration::from_secs(1);
const SPACING: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn a_steady_count_has_a_steady_rate_whatever_the_tick() {
        for tick in [1, 70, 200, 1_000, 5_000] {
            let mut meter = Meter::default();
            for n in 1..=(20_000 / tick) {
                meter.read(ms(n * tick), n * tick / 10);
            }
            let figures = meter.figures();
            assert!(
                (figures.now - 100.0).abs() < 2.0,
                "{tick} ms: {}",
                figures.now
            );
            let seconds = (20_000 / tick * tick / 1_000) as usize;
            assert_eq!(figures.history.len(), seconds, "{tick} ms");
            for rate in &figures.history {
                assert!((rate - 100.0).abs() < 10.0, "{tick} ms: {rate}");
            }
        }
    }

    #[test]
    fn the_rate_falls_to_zero_within_a_second_of_silence() {
        let mut meter = Meter::default();
        meter.read(ms(1_000), 500);
        meter.read(ms(1_600), 500);
        assert!(meter.figures().now > 0.0);
        meter.read(ms(2_100), 500);
        assert!(meter.figures().now < f64::EPSILON);
    }

    #[test]
    fn memory_is_bounded() {
        let mut meter = Meter::default();
        for n in 0..100_000 {
            meter.read(ms(n * 11), n);
        }
        assert!(meter.recent.len() < 64, "{}", meter.recent.len());
        assert_eq!(meter.figures().history.len(), HISTORY);
    }

    #[test]
    fn no_time_and_time_going_back_give_no_nonsense() {
        let mut meter = Meter::default();
        assert_eq!(meter.figures(), RateFigures::default());
        meter.read(ms(0), 7);
        assert!(meter.figures().now.abs() < f64::EPSILON);
        meter.read(ms(500), 7);
        meter.read(ms(100), 9);
        assert!(meter.figures().now.is_finite());
    }
}
