//! Duty cycles: devices that sleep, wake, say something and sleep again.

use std::time::Duration;

use super::draw::uniform;

/// When devices wake, and for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Duty {
    /// From one wake-up to the next.
    pub wake: Duration,
    /// How long they then stay awake.
    pub awake: Awake,
    /// Up to this share of the period, 0 to 0.5, a wake-up is early or late.
    pub jitter: f64,
    /// Of all randomness.
    pub seed: u64,
}

/// How long a device stays awake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awake {
    /// For so many messages, at least 1.
    Messages(u32),
    /// For so long.
    For(Duration),
}

impl Duty {
    /// When a device wakes for the `nth` time, counted from 0, from when it was ready after it
    /// was provisioned. The first wake-ups are spread over a period. Never before the wake-up
    /// before it.
    pub fn wakes(&self, device: &str, nth: u32) -> Duration {
        let draw = |number: u64| uniform(self.seed, "duty", device, [number, 0]);
        let regular = self.wake.mul_f64(draw(0)) + self.wake * nth;
        let early = self.wake.mul_f64(self.jitter);
        let late = self
            .wake
            .mul_f64(self.jitter * 2.0 * draw(u64::from(nth) + 1));
        (regular + late).saturating_sub(early)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn first_wake_ups_are_spread_evenly_over_the_period() {
        let duty = Duty {
            wake: Duration::from_secs(10),
            awake: Awake::Messages(1),
            jitter: 0.0,
            seed: 9,
        };
        let mut seconds = [0u32; 10];
        for n in 0..10_000 {
            seconds[duty.wakes(&format!("d{n}"), 0).as_secs() as usize] += 1;
        }
        // 1,000 each, with a standard deviation of 30.
        assert!(
            seconds.iter().all(|n| n.abs_diff(1_000) < 150),
            "{seconds:?}"
        );
    }

    proptest! {
        #[test]
        fn wake_ups_keep_their_order_and_their_share_of_jitter(
            jitter in 0.0..=0.5f64, seed: u64, nth in 0..10_000u32, ms in 100..10_000_000u64,
        ) {
            let wake = Duration::from_millis(ms);
            let duty = Duty { wake, awake: Awake::Messages(1), jitter, seed };
            prop_assert!(duty.wakes("d", nth) <= duty.wakes("d", nth + 1));
            let regular = Duty { jitter: 0.0, ..duty }.wakes("d", nth);
            let off = duty.wakes("d", nth).abs_diff(regular);
            prop_assert!(off <= wake.mul_f64(jitter) + Duration::from_nanos(2));
            prop_assert_eq!(duty.wakes("d", nth), duty.wakes("d", nth));
        }
    }
}
