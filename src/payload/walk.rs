//! A random walk that can be asked for any tick without the ticks before it.
//!
//! W(0) = 0, and the differences of consecutive ticks are independent and normal with variance 1.
//! It is built as Paul Lévy built Brownian motion: W at powers of two by independent increments,
//! between them by halving: given both ends of a stretch of length n, its middle is normal around
//! their mean with variance n/4. Each tick has one draw of its own, and W(t) needs those of at most
//! 2·log2(t) + 2 ticks, so a walk costs no memory and no time that grows with the run.

use rand_distr::{Distribution, StandardNormal};

use super::draw::Stream;

/// W(tick), in steps of standard deviation 1.
pub(super) fn walked(stream: Stream, tick: u64) -> f64 {
    let normal = |tick: u64| -> f64 { StandardNormal.sample(&mut stream.at(tick)) };
    if tick == 0 {
        return 0.0;
    }
    let (mut low, mut at_low) = (1u64, normal(1));
    // Up to the last power of two that is not beyond the tick.
    while low.checked_mul(2).is_some_and(|next| next <= tick) {
        at_low += (low as f64).sqrt() * normal(low * 2);
        low *= 2;
    }
    let mut high = low.saturating_mul(2);
    let mut at_high = at_low + (low as f64).sqrt() * normal(high);
    while low < tick {
        let length = high - low;
        let middle = low + length / 2;
        let at_middle =
            f64::midpoint(at_low, at_high) + (length as f64).sqrt() / 2.0 * normal(middle);
        if middle <= tick {
            (low, at_low) = (middle, at_middle);
        } else {
            (high, at_high) = (middle, at_middle);
        }
    }
    at_low
}

/// Folds a value into bounds, as mirrors there would. A walk with symmetric steps that is folded is
/// the walk that turns back at its bounds.
pub(super) fn reflected(x: f64, min: f64, max: f64) -> f64 {
    let span = max - min;
    if span <= 0.0 {
        return min;
    }
    let along = (x - min).rem_euclid(2.0 * span);
    let back = if along > span {
        2.0 * span - along
    } else {
        along
    };
    (min + back).clamp(min, max)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::fnv;

    fn stream(device: u64) -> Stream {
        Stream::new(7, fnv("walk"), device)
    }

    /// Mean and variance of differences over a stretch, and the correlation of neighbours.
    #[test]
    fn steps_are_independent_and_of_deviation_1_at_any_distance() {
        for lag in [1u64, 2, 7, 64, 100] {
            let mut steps = Vec::new();
            for device in 0..400 {
                let at = |tick| walked(stream(device), tick);
                steps.extend(
                    (0..25).map(|n| (at((n + 1) * lag) - at(n * lag)) / (lag as f64).sqrt()),
                );
            }
            let n = steps.len() as f64;
            let mean = steps.iter().sum::<f64>() / n;
            let variance = steps.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
            let neighbours = steps
                .chunks(25)
                .flat_map(|walk| walk.windows(2).map(|pair| pair[0] * pair[1]))
                .sum::<f64>()
                / (n * 24.0 / 25.0);
            // 10,000 samples: standard errors are 0.01, 0.014 and 0.01.
            assert!(mean.abs() < 0.045, "lag {lag}: mean {mean}");
            assert!(
                (variance - 1.0).abs() < 0.06,
                "lag {lag}: variance {variance}"
            );
            assert!(
                neighbours.abs() < 0.045,
                "lag {lag}: correlation {neighbours}"
            );
        }
    }

    #[test]
    fn the_last_tick_of_all_has_a_value() {
        assert!(walked(stream(1), u64::MAX / 2).is_finite());
        assert_eq!(walked(stream(1), 0).to_bits(), 0);
    }

    proptest! {
        #[test]
        fn a_reflected_value_is_within_bounds_and_steps_are_no_longer_than_before(
            x in -1e6..1e6f64, step in -50.0..50.0f64, min in -1e3..1e3f64, span in 0.0..1e3f64,
        ) {
            let (from, to) = (reflected(x, min, min + span), reflected(x + step, min, min + span));
            prop_assert!((min..=min + span).contains(&from));
            prop_assert!((to - from).abs() <= step.abs() + 1e-6);
        }

        #[test]
        fn a_value_within_bounds_stays_where_it_is(share in 0.0..=1.0f64) {
            let x = 10.0 + 5.0 * share;
            prop_assert!((reflected(x, 10.0, 15.0) - x).abs() < 1e-9);
        }
    }
}
