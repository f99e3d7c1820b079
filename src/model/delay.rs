//! Lengths of time that are drawn from a distribution. The formulas are the textbook's; there is no
//! state.

use std::f64::consts::TAU;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A length of time, fixed or drawn. Draws are cut at 0 and at an hour.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Delay {
    /// Always the same.
    Fixed(Duration),
    /// Any from the first to the second.
    Uniform(Duration, Duration),
    /// Around a mean, with a standard deviation.
    Normal(Duration, Duration),
    /// By its mean.
    Exponential(Duration),
    /// Of this mean and standard deviation, those of the delays and not of their logarithms.
    Lognormal(Duration, Duration),
}

impl Delay {
    /// A delay from two independent draws, each from 0 up to but not 1.
    pub fn drawn(self, u: f64, v: f64) -> Duration {
        let seconds = match self {
            Self::Fixed(delay) => return delay,
            Self::Uniform(from, to) => {
                from.as_secs_f64() + u * (to.as_secs_f64() - from.as_secs_f64())
            }
            Self::Normal(mean, sd) => mean.as_secs_f64() + sd.as_secs_f64() * gauss(u, v),
            // 1 - u is above 0: the logarithm is finite.
            Self::Exponential(mean) => -mean.as_secs_f64() * (1.0 - u).ln(),
            Self::Lognormal(mean, sd) => {
                lognormal(mean.as_secs_f64(), sd.as_secs_f64(), gauss(u, v))
            }
        };
        Duration::from_secs_f64(seconds.clamp(0.0, LONGEST))
    }
}

/// Of the parameters that give this mean and standard deviation.
fn lognormal(mean: f64, sd: f64, gauss: f64) -> f64 {
    if mean <= 0.0 {
        return 0.0;
    }
    let variance = (sd / mean).powi(2).ln_1p();
    (variance.sqrt() * gauss + mean.ln() - variance / 2.0).exp()
}

/// A standard normal value (Box and Muller).
fn gauss(u: f64, v: f64) -> f64 {
    (-2.0 * (1.0 - u).ln()).sqrt() * (TAU * v).cos()
}

/// The longest that is drawn, seconds.
const LONGEST: f64 = 3600.0;

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean and standard deviation over a grid of draws, milliseconds.
    fn moments(model: Delay) -> (f64, f64) {
        let n = 400_u32;
        let at = |k: u32| (f64::from(k) + 0.5) / f64::from(n);
        let draws: Vec<f64> = (0..n * n)
            .map(|k| model.drawn(at(k / n), at(k % n)).as_secs_f64() * 1e3)
            .collect();
        let count = draws.len() as f64;
        let mean = draws.iter().sum::<f64>() / count;
        let square = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>();
        (mean, (square / count).sqrt())
    }

    #[test]
    fn each_model_has_the_mean_and_the_spread_that_it_is_given() {
        let ms = Duration::from_millis;
        for (model, mean, sd) in [
            (Delay::Fixed(ms(20)), 20.0, 0.0),
            (Delay::Uniform(ms(10), ms(40)), 25.0, 30.0 / 12_f64.sqrt()),
            (Delay::Normal(ms(50), ms(5)), 50.0, 5.0),
            (Delay::Exponential(ms(20)), 20.0, 20.0),
            (Delay::Lognormal(ms(20), ms(10)), 20.0, 10.0),
        ] {
            let (seen_mean, seen_sd) = moments(model);
            assert!(
                (seen_mean - mean).abs() < 0.02 * mean,
                "{model:?}: {seen_mean}"
            );
            assert!((seen_sd - sd).abs() <= 0.03 * sd, "{model:?}: {seen_sd}");
        }
    }

    #[test]
    fn no_draw_is_negative_or_without_end() {
        let hour = Duration::from_hours(1);
        for model in [
            Delay::Normal(Duration::ZERO, hour * 5),
            Delay::Exponential(hour * 100),
            Delay::Lognormal(hour, hour * 1000),
            Delay::Lognormal(Duration::ZERO, hour),
        ] {
            for (u, v) in [
                (0.0, 0.0),
                (0.999_999_999, 0.0),
                (0.999_999_999, 0.5),
                (0.5, 0.7),
            ] {
                assert!(model.drawn(u, v) <= hour, "{model:?}");
            }
        }
    }
}
