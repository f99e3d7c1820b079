//! A latency distribution as a few bars of equal width on a logarithmic scale.

use hdrhistogram::Histogram;

/// So many bars, 10 per decade, cover 1 µs to 1 h.
pub const BARS: usize = 96;

/// Counts of samples per bar: bar `i` holds those from [`bar_floor_us`]`(i)` up to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bars(pub [u64; BARS]);

impl Bars {
    /// Every sample of a histogram in µs.
    pub fn of(histogram: &Histogram<u64>) -> Self {
        let mut bars = [0; BARS];
        for step in histogram.iter_recorded() {
            // A bucket goes whole into the bar of its middle: it is at most 0.1 % wide, a bar 26 %.
            let value = histogram.median_equivalent(step.value_iterated_to());
            bars[bar_of(value)] += step.count_since_last_iteration();
        }
        Self(bars)
    }

    /// From the first to the last bar that holds something; `None` without a sample.
    pub fn occupied(&self) -> Option<std::ops::RangeInclusive<usize>> {
        let first = self.0.iter().position(|n| *n > 0)?;
        let last = self.0.iter().rposition(|n| *n > 0)?;
        Some(first..=last)
    }
}

impl Default for Bars {
    fn default() -> Self {
        Self([0; BARS])
    }
}

/// The lower edge of a bar in µs: 10^(i/10), thus 1, 1.26, 1.58, 2.0, 2.51, 3.16 … 10 …
pub fn bar_floor_us(bar: usize) -> f64 {
    10f64.powf(bar as f64 / 10.0)
}

fn bar_of(us: u64) -> usize {
    // A millionth is added since log10(1000) × 10 may fall short of 30 in floating point.
    let position = (us.max(1) as f64).log10() * 10.0 + 1e-6;
    #[expect(
        clippy::cast_sign_loss,
        reason = "the logarithm of at least 1 is not negative"
    )]
    let bar = position as usize;
    bar.min(BARS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::latency::histogram;

    #[test]
    fn each_sample_is_in_the_bar_that_spans_it() {
        for (us, bar) in [
            (0, 0),
            (1, 0),
            (2, 3),
            (10, 10),
            (999, 29),
            (1_000, 30),
            (u64::MAX, 95),
        ] {
            assert_eq!(bar_of(us), bar, "{us} µs");
        }
        for bar in [10, 25, 60] {
            let floor = bar_floor_us(bar);
            let inside = (10u32..2_000_000)
                .find(|us| f64::from(*us) > floor)
                .expect("bar 60 begins at 1 s");
            assert_eq!(bar_of(u64::from(inside)), bar, "{inside} µs");
        }
    }

    #[test]
    fn bars_hold_every_sample() {
        let mut all = histogram();
        for us in (1..3_000_000).step_by(997) {
            all.saturating_record(us);
        }
        let bars = Bars::of(&all);
        assert_eq!(bars.0.iter().sum::<u64>(), all.len());
        assert_eq!(bars.occupied(), Some(0..=64));
        assert_eq!(Bars::of(&histogram()).occupied(), None);
    }
}
