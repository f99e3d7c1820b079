//! A latency distribution as its percentiles, evenly spaced on a logarithmic axis of what is slower.

use std::sync::LazyLock;

use hdrhistogram::Histogram;

/// So many percentiles, from the median up to [`TOP`], each with the same factor to the next in the
/// share of samples that are slower.
pub const SPECTRUM: usize = 49;

/// The highest percentile, as a share: one sample in 10,000 is slower.
pub const TOP: f64 = 0.9999;

/// Percentiles in µs at [`spectrum_share`]`(0..SPECTRUM)`; all 0 without samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spectrum(pub [u64; SPECTRUM]);

impl Spectrum {
    /// The percentiles of a histogram in µs, in one pass over it.
    pub fn of(histogram: &Histogram<u64>) -> Self {
        static SHARES: LazyLock<[f64; SPECTRUM]> =
            LazyLock::new(|| std::array::from_fn(spectrum_share));
        if histogram.is_empty() {
            return Self::default();
        }
        let mut values = histogram.value_at_quantiles(SHARES.iter().copied());
        Self([0; SPECTRUM].map(|_| values.next().unwrap_or_default()))
    }

    /// The longest of them, in µs.
    pub fn highest(&self) -> u64 {
        self.0[SPECTRUM - 1]
    }
}

impl Default for Spectrum {
    fn default() -> Self {
        Self([0; SPECTRUM])
    }
}

/// The share of samples that are not slower than the n-th percentile: 0.5 … [`TOP`].
pub fn spectrum_share(n: usize) -> f64 {
    1.0 - 0.5 * ((1.0 - TOP) / 0.5).powf(n as f64 / (SPECTRUM - 1) as f64)
}

/// Where a share stands on the axis: 0 for the median, 1 for [`TOP`].
pub fn spectrum_position(share: f64) -> f64 {
    ((1.0 - share) / 0.5).ln() / ((1.0 - TOP) / 0.5).ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::latency::histogram;

    #[test]
    fn percentiles_are_those_of_the_histogram_and_rise() {
        let mut all = histogram();
        for us in 1..=100_000 {
            all.saturating_record(us);
        }
        let Spectrum(values) = Spectrum::of(&all);
        assert!(values.is_sorted(), "{values:?}");
        for (n, value) in values.into_iter().enumerate() {
            assert_eq!(value, all.value_at_quantile(spectrum_share(n)), "{n}");
        }
        assert_eq!(values[0], all.value_at_quantile(0.5));
        assert_eq!(Spectrum::of(&histogram()), Spectrum::default());
    }

    #[test]
    fn the_axis_goes_from_the_median_to_the_top_in_even_steps() {
        for n in 0..SPECTRUM {
            let position = spectrum_position(spectrum_share(n));
            let even = n as f64 / (SPECTRUM - 1) as f64;
            assert!((position - even).abs() < 1e-9, "{n}: {position}");
        }
        assert!((spectrum_share(SPECTRUM - 1) - TOP).abs() < 1e-12);
    }
}
