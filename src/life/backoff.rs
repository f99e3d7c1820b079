//! Exponential back-off with jitter and a budget: how long a device waits before it tries again.
//!
//! The three kinds of jitter are those of "Exponential Backoff And Jitter" (AWS Architecture Blog).

use std::time::Duration;

use super::draw::uniform;

/// How a device tries again.
#[derive(Clone, Debug, PartialEq)]
pub struct Backoff {
    /// The first wait's ceiling, at least 1 ms.
    pub initial: Duration,
    /// By what the ceiling grows from one wait to the next, at least 1.
    pub factor: f64,
    /// What no wait is longer than.
    pub max: Duration,
    /// Which part of the ceiling is waited.
    pub jitter: Jitter,
    /// Attempts, the first included; `None`: as many as the run has time for.
    pub budget: Option<u32>,
    /// Of all randomness.
    pub seed: u64,
}

/// Which part of the ceiling a wait has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Jitter {
    /// Anything from nothing to all of it, evenly.
    #[default]
    Full,
    /// Anything from half to all of it, evenly.
    Equal,
    /// All of it.
    None,
}

impl Backoff {
    /// The `nth` wait, counted from 1, of a device in its `round`: each time that it lost its
    /// session is a round of its own.
    pub fn wait(&self, device: &str, round: u32, nth: u32) -> Duration {
        let ceiling = self.ceiling(nth);
        let draw = || uniform(self.seed, "backoff", device, [round.into(), nth.into()]);
        let share = match self.jitter {
            Jitter::Full => draw(),
            Jitter::Equal => f64::midpoint(1.0, draw()),
            Jitter::None => return ceiling,
        };
        ceiling.mul_f64(share)
    }

    /// Whether a device that made so many attempts may make another.
    pub fn allows(&self, attempts: u32) -> bool {
        self.budget.is_none_or(|budget| attempts < budget)
    }

    /// `initial × factor^(nth - 1)`, at most `max`.
    fn ceiling(&self, nth: u32) -> Duration {
        let exponent = i32::try_from(nth.saturating_sub(1)).unwrap_or(i32::MAX);
        let seconds = self.initial.as_secs_f64() * self.factor.powi(exponent);
        // What is no length of time any more is beyond the longest wait.
        Duration::try_from_secs_f64(seconds).map_or(self.max, |ceiling| ceiling.min(self.max))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn backoff(jitter: Jitter) -> Backoff {
        Backoff {
            initial: Duration::from_secs(1),
            factor: 2.0,
            max: Duration::from_mins(1),
            jitter,
            budget: None,
            seed: 42,
        }
    }

    #[test]
    fn without_jitter_waits_double_up_to_the_longest() {
        let backoff = backoff(Jitter::None);
        let waits: Vec<u64> = (1..=9)
            .map(|nth| backoff.wait("d", 0, nth).as_secs())
            .collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(backoff.wait("d", 0, u32::MAX), Duration::from_mins(1));
    }

    /// Worked out by a Python program after the words of docs/scenario.md.
    #[test]
    fn another_program_draws_the_same_waits() {
        for (jitter, device, round, waits) in GOLDEN {
            let backoff = backoff(jitter);
            for (nth, wait) in (1..).zip(waits) {
                let found = backoff.wait(device, round, nth);
                assert_eq!(found.as_micros(), wait, "{jitter:?} {device} {round} {nth}");
            }
        }
    }

    const GOLDEN: [(Jitter, &str, u32, [u128; 4]); 3] = [
        (
            Jitter::Full,
            "AA:BB:CC:00:00:01",
            1,
            [208_439, 1_300_635, 1_467_956, 3_192_771],
        ),
        (
            Jitter::Full,
            "AA:BB:CC:00:00:01",
            2,
            [262_315, 319_064, 1_967_624, 3_024_284],
        ),
        (
            Jitter::Equal,
            "AA:BB:CC:00:00:02",
            1,
            [521_430, 1_742_945, 3_572_647, 7_591_559],
        ),
    ];

    #[test]
    fn a_budget_is_the_number_of_attempts() {
        let budget = |budget| Backoff {
            budget,
            ..backoff(Jitter::Full)
        };
        assert!(budget(Some(3)).allows(0) && budget(Some(3)).allows(2));
        assert!(!budget(Some(3)).allows(3));
        assert!(budget(None).allows(u32::MAX));
    }

    proptest! {
        #[test]
        fn no_wait_is_beyond_its_bounds(
            seed: u64, round in 0..100u32, nth in 1..2_000u32, factor in 1.0..20.0f64,
            ms in 1..100_000u64, max_ms in 1..1_000_000u64,
        ) {
            let of = |jitter| Backoff {
                initial: Duration::from_millis(ms),
                max: Duration::from_millis(max_ms),
                factor,
                seed,
                ..backoff(jitter)
            };
            let ceiling = of(Jitter::None).wait("d", round, nth);
            prop_assert!(ceiling <= Duration::from_millis(max_ms));
            prop_assert!(ceiling >= Duration::from_millis(ms.min(max_ms)));
            let full = of(Jitter::Full).wait("d", round, nth);
            prop_assert!(full <= ceiling);
            let equal = of(Jitter::Equal).wait("d", round, nth);
            prop_assert!(equal <= ceiling && equal >= ceiling.mul_f64(0.499_999));
            prop_assert_eq!(full, of(Jitter::Full).wait("d", round, nth));
        }

        #[test]
        fn ceilings_never_shrink(factor in 1.0..5.0f64, nth in 1..500u32) {
            let backoff = Backoff { factor, ..backoff(Jitter::None) };
            prop_assert!(backoff.wait("d", 0, nth) <= backoff.wait("d", 0, nth + 1));
        }
    }

    #[test]
    fn full_jitter_uses_the_whole_range_and_equal_its_upper_half() {
        for (jitter, least) in [(Jitter::Full, 0.0), (Jitter::Equal, 0.5)] {
            let backoff = backoff(jitter);
            let waits: Vec<f64> = (0..5_000)
                .map(|n| backoff.wait(&format!("d{n}"), 1, 1).as_secs_f64())
                .collect();
            let mean = waits.iter().sum::<f64>() / waits.len() as f64;
            let middle = f64::midpoint(least, 1.0);
            assert!((mean - middle).abs() < 0.02, "{jitter:?}: {mean}");
            let lowest = waits.iter().copied().fold(1.0, f64::min);
            assert!((lowest - least).abs() < 0.01, "{jitter:?}: {lowest}");
        }
    }
}
