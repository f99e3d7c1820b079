//! How long devices take to boot, as a distribution.

use std::f64::consts::TAU;
use std::time::Duration;

use super::draw::uniform;

/// From the event to the moment at which a device can try to connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boot {
    /// Every device takes as long.
    Fixed(Duration),
    /// Anything between the two, evenly.
    Uniform {
        /// The shortest.
        from: Duration,
        /// The longest, not below the shortest.
        to: Duration,
    },
    /// A normal distribution, cut off below 0.
    Normal {
        /// Its mean.
        mean: Duration,
        /// Its standard deviation.
        sd: Duration,
    },
    /// An exponential distribution.
    Exponential {
        /// Its mean.
        mean: Duration,
    },
}

impl Boot {
    /// How long a device boots in the event of that number.
    pub fn time(self, seed: u64, device: &str, event: u32) -> Duration {
        let draw = |n| uniform(seed, "boot", device, [event.into(), n]);
        match self {
            Self::Fixed(time) => time,
            Self::Uniform { from, to } => from + to.saturating_sub(from).mul_f64(draw(0)),
            Self::Normal { mean, sd } => {
                // Box and Muller's; 1 - draw is never 0.
                let length = (-2.0 * (1.0 - draw(0)).ln()).sqrt();
                let off = length * (TAU * draw(1)).cos();
                seconds(mean.as_secs_f64() + sd.as_secs_f64() * off)
            }
            Self::Exponential { mean } => seconds(-mean.as_secs_f64() * (1.0 - draw(0)).ln()),
        }
    }
}

/// A length of time that may have come out below 0.
fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean, standard deviation, least and most of 20,000 devices, in s.
    fn drawn(boot: Boot) -> [f64; 4] {
        let times: Vec<f64> = (0..20_000)
            .map(|n| boot.time(3, &format!("d{n}"), 0).as_secs_f64())
            .collect();
        let n = times.len() as f64;
        let mean = times.iter().sum::<f64>() / n;
        let variance = times.iter().map(|t| (t - mean).powi(2)).sum::<f64>() / n;
        let least = times.iter().copied().fold(f64::INFINITY, f64::min);
        [
            mean,
            variance.sqrt(),
            least,
            times.into_iter().fold(0.0, f64::max),
        ]
    }

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn each_distribution_has_its_mean_and_spread() {
        let [mean, sd, least, most] = drawn(Boot::Uniform {
            from: s(10),
            to: s(40),
        });
        assert!(
            (mean - 25.0).abs() < 0.3 && (sd - 8.66).abs() < 0.2,
            "{mean} {sd}"
        );
        assert!((10.0..10.1).contains(&least) && (39.9..=40.0).contains(&most));
        let [mean, sd, ..] = drawn(Boot::Normal {
            mean: s(30),
            sd: s(5),
        });
        assert!(
            (mean - 30.0).abs() < 0.2 && (sd - 5.0).abs() < 0.1,
            "{mean} {sd}"
        );
        let [mean, sd, ..] = drawn(Boot::Exponential { mean: s(20) });
        assert!(
            (mean - 20.0).abs() < 0.6 && (sd - 20.0).abs() < 0.8,
            "{mean} {sd}"
        );
        assert_eq!(drawn(Boot::Fixed(s(7)))[2..], [7.0, 7.0]);
    }

    #[test]
    fn nobody_boots_in_less_than_no_time() {
        let [_, _, least, _] = drawn(Boot::Normal {
            mean: s(1),
            sd: s(5),
        });
        assert_eq!(least.to_bits(), 0f64.to_bits());
    }

    #[test]
    fn a_boot_time_depends_on_seed_device_and_event_alone() {
        let boot = Boot::Exponential { mean: s(20) };
        let known = boot.time(1, "d", 0);
        assert_eq!(known, boot.time(1, "d", 0));
        for other in [
            boot.time(2, "d", 0),
            boot.time(1, "e", 0),
            boot.time(1, "d", 1),
        ] {
            assert_ne!(known, other);
        }
    }
}
