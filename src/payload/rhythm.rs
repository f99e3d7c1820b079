//! When a device's messages are due, counted from when it was ready for its first.

use std::time::Duration;

use rand::RngExt;

use super::draw::{NO_TICK, Stream};
use crate::model::fnv;

/// The rhythm of each device's messages; pure in seed, device and message number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rhythm {
    /// From one message to the next.
    pub interval: Duration,
    /// Up to this share of the interval, 0 to 0.5, a message is early or late.
    pub jitter: f64,
    /// When the first message comes.
    pub spread: Spread,
    /// Of all randomness.
    pub seed: u64,
}

/// When devices send their first message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spread {
    /// As soon as they can.
    #[default]
    None,
    /// After a part of the interval that is each device's own.
    Interval,
}

impl Rhythm {
    /// A message each interval, the first at once.
    pub fn every(interval: Duration) -> Self {
        Self {
            interval,
            jitter: 0.0,
            spread: Spread::None,
            seed: 0,
        }
    }

    /// How long a device waits before its first message: less than an interval.
    pub fn phase(&self, device: &str) -> Duration {
        match self.spread {
            Spread::None => Duration::ZERO,
            Spread::Interval => {
                let share: f64 = self.stream(device).at(NO_TICK).random();
                self.interval.mul_f64(share)
            }
        }
    }

    /// When a message is due, from when the device was ready for its first. Never before the
    /// message before it; the first has no jitter.
    pub fn due(&self, device: &str, message: u32) -> Duration {
        let regular = self.phase(device) + self.interval * message;
        if self.jitter == 0.0 || message == 0 {
            return regular;
        }
        let draw: f64 = self.stream(device).at(u64::from(message)).random();
        // From the second message on, an interval has passed, and jitter is half of one at most.
        let early = self.interval.mul_f64(self.jitter);
        let late = self.interval.mul_f64(self.jitter * 2.0 * draw);
        (regular + late).saturating_sub(early)
    }

    fn stream(&self, device: &str) -> Stream {
        Stream::new(self.seed, fnv("rhythm"), fnv(device))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn without_spread_and_jitter_messages_come_by_the_interval() {
        let rhythm = Rhythm::every(Duration::from_millis(250));
        for message in [0, 1, 2, 1_000_000, u32::MAX] {
            let due = Duration::from_millis(250) * message;
            assert_eq!(rhythm.due("any", message), due);
        }
    }

    #[test]
    fn first_messages_are_spread_evenly_over_the_interval() {
        let rhythm = Rhythm {
            spread: Spread::Interval,
            ..Rhythm::every(Duration::from_secs(10))
        };
        let mut seconds = [0u32; 10];
        for n in 0..10_000 {
            seconds[rhythm.phase(&format!("d{n}")).as_secs() as usize] += 1;
        }
        // 1,000 each, with a standard deviation of 30.
        assert!(
            seconds.iter().all(|n| n.abs_diff(1_000) < 150),
            "{seconds:?}"
        );
    }

    proptest! {
        #[test]
        fn jitter_keeps_order_and_its_share(
            jitter in 0.0..=0.5f64, seed: u64, message in 1..100_000u32, ms in 10..100_000u64,
        ) {
            let interval = Duration::from_millis(ms);
            let rhythm = Rhythm { jitter, seed, spread: Spread::Interval, ..Rhythm::every(interval) };
            let due = |message| rhythm.due("d", message);
            prop_assert!(due(message) >= due(message - 1));
            let regular = rhythm.phase("d") + interval * message;
            let off = due(message).abs_diff(regular);
            prop_assert!(off <= interval.mul_f64(jitter) + Duration::from_nanos(2));
        }
    }
}
