//! How long a device takes before it answers a call.

use std::time::Duration;

use super::draw::uniform;
use crate::model::Delay;

/// What a device takes for its `nth` call, counted from 0.
pub fn reply_delay(delay: Delay, seed: u64, device: &str, nth: u32) -> Duration {
    let draw = |n| uniform(seed, "reply", device, [nth.into(), n]);
    delay.drawn(draw(0), draw(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_of_each_device_takes_its_own_time() {
        let delay = Delay::Exponential(Duration::from_secs(1));
        let known = reply_delay(delay, 1, "d", 0);
        assert_eq!(known, reply_delay(delay, 1, "d", 0));
        for other in [
            reply_delay(delay, 2, "d", 0),
            reply_delay(delay, 1, "e", 0),
            reply_delay(delay, 1, "d", 1),
        ] {
            assert_ne!(known, other);
        }
        let times: Vec<f64> = (0..5_000)
            .map(|n| reply_delay(delay, 1, "d", n).as_secs_f64())
            .collect();
        let mean = times.iter().sum::<f64>() / times.len() as f64;
        assert!((mean - 1.0).abs() < 0.1, "{mean}");
    }
}
