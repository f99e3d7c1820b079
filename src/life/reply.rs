//! How long a device takes before it answers a call, and when it makes calls of its own.

use std::time::Duration;

use super::draw::uniform;
use crate::model::Delay;

/// What a device takes for its `nth` call, counted from 0.
pub fn reply_delay(delay: Delay, seed: u64, device: &str, nth: u32) -> Duration {
    let draw = |n| uniform(seed, "reply", device, [nth.into(), n]);
    delay.drawn(draw(0), draw(1))
}

/// When a device's `nth` call of the server is due, counted from 0, from when it is live on. The
/// first ones are spread over the interval, more than 0.
pub fn request_due(interval: Duration, seed: u64, device: &str, nth: u32) -> Duration {
    let first = interval.mul_f64(uniform(seed, "request", device, [0, 0]));
    first.saturating_add(interval.saturating_mul(nth))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_the_server_come_by_the_interval_and_begin_anywhere_in_it() {
        let interval = Duration::from_secs(10);
        let due = |device: &str, nth| request_due(interval, 1, device, nth);
        assert_eq!(due("d", 3), due("d", 0) + 3 * interval);
        let mut seconds = [0_u32; 10];
        for n in 0..5_000 {
            seconds[due(&format!("d{n}"), 0).as_secs() as usize] += 1;
        }
        // 500 each, with a standard deviation of 21.
        assert!(seconds.iter().all(|n| n.abs_diff(500) < 110), "{seconds:?}");
    }

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
