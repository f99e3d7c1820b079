//! When an operator pushes something to devices in the middle of a run, and to which.

use std::time::Duration;

use super::draw::uniform;

/// Pushes of one kind, over the run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PushSchedule {
    /// When.
    pub when: PushTime,
    /// Which part of the devices gets them, more than 0 and up to 1.
    pub share: f64,
    /// Its position among the run's pushes, from 0: what is drawn for it is drawn by this.
    pub number: u32,
    /// Of all randomness.
    pub seed: u64,
}

/// At which offsets from the start of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushTime {
    /// Once for each device, within a stretch of time.
    Once {
        /// Its begin.
        at: Duration,
        /// Its length; 0: all at one moment.
        over: Duration,
    },
    /// Again and again.
    Every {
        /// From one push to a device to its next, more than 0.
        period: Duration,
        /// Over which part of the period the devices are spread, at most all of it.
        over: Duration,
    },
}

impl PushSchedule {
    /// Whether a device gets them: each draws for itself.
    pub fn strikes(&self, device: &str) -> bool {
        self.share >= 1.0
            || uniform(self.seed, "push", device, [self.number.into(), 0]) < self.share
    }

    /// When the `nth` push to a device is due, counted from 0; `None`: there are not so many.
    pub fn due(&self, device: &str, nth: u32) -> Option<Duration> {
        let part = |over: Duration| {
            over.mul_f64(uniform(self.seed, "push", device, [self.number.into(), 1]))
        };
        match self.when {
            PushTime::Once { at, over } => (nth == 0).then(|| at + part(over)),
            PushTime::Every { period, over } => Some(part(over) + period.checked_mul(nth)?),
        }
    }

    /// The first push to a device that is due at `from` or later.
    pub fn first_from(&self, device: &str, from: Duration) -> Option<u32> {
        let first = self.due(device, 0)?;
        let nth = match self.when {
            _ if first >= from => 0,
            PushTime::Once { .. } => return None,
            PushTime::Every { period, .. } => {
                let late = from.saturating_sub(first);
                let periods = late.as_nanos().div_ceil(period.as_nanos());
                u32::try_from(periods).ok()?
            }
        };
        self.due(device, nth).map(|_| nth)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn schedule(when: PushTime) -> PushSchedule {
        PushSchedule {
            when,
            share: 1.0,
            number: 0,
            seed: 8,
        }
    }

    #[test]
    fn once_is_once_within_its_stretch() {
        let once = schedule(PushTime::Once {
            at: 10 * SECOND,
            over: 5 * SECOND,
        });
        let mut seconds = [0_u32; 5];
        for n in 0..5_000 {
            let due = once.due(&format!("d{n}"), 0).unwrap();
            seconds[due.as_secs() as usize - 10] += 1;
        }
        // 1,000 each, with a standard deviation of 28.
        assert!(
            seconds.iter().all(|n| n.abs_diff(1_000) < 150),
            "{seconds:?}"
        );
        assert_eq!(once.due("d", 1), None);
        assert_eq!(once.first_from("d", 9 * SECOND), Some(0));
        assert_eq!(once.first_from("d", 15 * SECOND), None);
    }

    #[test]
    fn at_one_moment_is_at_that_moment() {
        let once = schedule(PushTime::Once {
            at: 10 * SECOND,
            over: Duration::ZERO,
        });
        assert_eq!(once.due("any", 0), Some(10 * SECOND));
        assert_eq!(once.first_from("any", 10 * SECOND), Some(0));
    }

    #[test]
    fn each_kind_of_push_strikes_others() {
        let half = PushSchedule {
            share: 0.5,
            ..schedule(PushTime::Every {
                period: SECOND,
                over: SECOND,
            })
        };
        let struck = |schedule: PushSchedule| {
            (0..10_000)
                .map(|n| schedule.strikes(&format!("d{n}")))
                .collect::<Vec<_>>()
        };
        let first = struck(half);
        let n = first.iter().filter(|struck| **struck).count();
        assert!(n.abs_diff(5_000) < 250, "{n}");
        assert_ne!(first, struck(PushSchedule { number: 1, ..half }));
    }

    proptest! {
        #[test]
        fn pushes_come_by_the_period_and_the_first_is_the_first(
            ms in 1..100_000_u64, share in 0.0..=1.0_f64, from_ms in 0..10_000_000_u64, seed: u64,
        ) {
            let period = Duration::from_millis(ms);
            let every = PushSchedule {
                seed,
                ..schedule(PushTime::Every { period, over: period.mul_f64(share) })
            };
            let from = Duration::from_millis(from_ms);
            let nth = every.first_from("d", from).unwrap();
            let due = every.due("d", nth).unwrap();
            prop_assert!(due >= from);
            if nth > 0 {
                let before = every.due("d", nth - 1).unwrap();
                prop_assert!(before < from);
                prop_assert_eq!(due, before + period);
            }
            prop_assert!(every.due("d", 0).unwrap() <= period);
        }
    }
}
