//! Resampling a series whose neighbours are alike: in blocks.

use rand::{Rng, RngExt};

/// How often each of `cells` is drawn when they are resampled in blocks of `length` neighbours, laid
/// around a circle (Politis and Romano, 1992). The sum is `cells`.
pub fn resampled(cells: usize, length: usize, random: &mut impl Rng) -> Vec<u32> {
    let mut times = vec![0; cells];
    let mut drawn = 0;
    while drawn < cells {
        let start = random.random_range(0..cells);
        for step in 0..length.clamp(1, cells - drawn) {
            times[(start + step) % cells] += 1;
            drawn += 1;
        }
    }
    times
}

/// How a series is cut into blocks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Blocks {
    /// Cells of a block.
    pub length: usize,
    /// By how much the variance of a mean is greater than blocks of this length show, at least 1:
    /// they lose what reaches over their ends.
    pub lost: f64,
}

/// How long blocks of this series are to be: by Politis and White (2004, corrected 2009), for the
/// circular bootstrap, not below n^⅓ since a short series hides its memory, and not above n/4 since
/// there must be several.
pub fn blocks(series: &[f64]) -> Blocks {
    let n = series.len();
    if n < 8 {
        return Blocks {
            length: 1,
            lost: 1.0,
        };
    }
    let covariances = autocovariances(series);
    let density = Density::of(&covariances, n);
    #[expect(clippy::cast_sign_loss, reason = "neither is negative")]
    let length = (n as f64).cbrt().max(density.optimal(n)).round() as usize;
    let length = length.clamp(1, n / 4);
    Blocks {
        length,
        lost: density.lost(&covariances, length),
    }
}

/// For lags from 0 to the greatest that is looked at.
fn autocovariances(series: &[f64]) -> Vec<f64> {
    let n = series.len();
    let mean = series.iter().sum::<f64>() / n as f64;
    let lags = n.isqrt() + NEAR_ZERO_LAGS;
    let at = |lag| {
        let pairs = series.iter().zip(&series[lag..]);
        pairs.map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>() / n as f64
    };
    (0..lags.min(n - 1)).map(at).collect()
}

/// The spectral density at 0, and its derivative's part, both by a flat-top window.
struct Density {
    at_zero: f64,
    slope: f64,
}

impl Density {
    fn of(covariances: &[f64], n: usize) -> Self {
        let mut found = Self {
            at_zero: covariances[0],
            slope: 0.0,
        };
        let size = n as f64;
        let bound = 2.0 * (size.log10() / size).sqrt() * covariances[0];
        let small = |lag: usize| covariances[lag].abs() < bound;
        let last = covariances.len() - 1;
        // The lag behind which several in a row cannot be told from 0.
        let memory = (0..=last)
            .find(|m| (m + 1..=last.min(m + NEAR_ZERO_LAGS)).all(small))
            .unwrap_or(last);
        let reach = (2 * memory).clamp(1, last);
        for (lag, covariance) in covariances.iter().enumerate().take(reach + 1).skip(1) {
            // 1 up to the middle, then down to 0.
            let window = (2.0 * (1.0 - lag as f64 / reach as f64)).clamp(0.0, 1.0);
            found.slope += 2.0 * window * lag as f64 * covariance;
            found.at_zero += 2.0 * window * covariance;
        }
        found
    }

    /// b = (2 G² / D)^⅓ n^⅓ with D = 4/3 g(0)².
    fn optimal(&self, n: usize) -> f64 {
        if self.at_zero <= 0.0 {
            return 1.0;
        }
        (1.5 * (self.slope / self.at_zero).powi(2) * n as f64).cbrt()
    }

    /// Blocks weigh a lag by 1 − lag/length.
    fn lost(&self, covariances: &[f64], length: usize) -> f64 {
        let lags = covariances.iter().enumerate().take(length).skip(1);
        let seen = lags.fold(covariances[0], |sum, (lag, covariance)| {
            sum + 2.0 * (1.0 - lag as f64 / length as f64) * covariance
        });
        if seen > 0.0 {
            (self.at_zero / seen).clamp(1.0, LOST_MAX)
        } else {
            1.0
        }
    }
}

/// More than this is an accident of a short series.
const LOST_MAX: f64 = 3.0;

/// So many lags in a row must be near 0.
const NEAR_ZERO_LAGS: usize = 5;

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_pcg::Pcg64;

    use super::*;

    #[test]
    fn as_many_are_drawn_as_there_are_and_neighbours_together() {
        let mut random = Pcg64::seed_from_u64(1);
        for (cells, length) in [(1, 1), (2, 5), (10, 3), (64, 4)] {
            let times = resampled(cells, length, &mut random);
            assert_eq!(
                times.iter().sum::<u32>() as usize,
                cells,
                "{cells} {length}"
            );
        }
        let whole = resampled(12, 12, &mut random);
        assert!(whole.iter().all(|n| *n == 1), "{whole:?}");
    }

    #[test]
    fn every_cell_is_drawn_equally_often_those_at_the_ends_too() {
        let mut random = Pcg64::seed_from_u64(2);
        let mut sums = [0u32; 9];
        for _ in 0..10_000 {
            for (sum, n) in sums.iter_mut().zip(resampled(9, 4, &mut random)) {
                *sum += n;
            }
        }
        assert!(sums.iter().all(|n| (9_600..10_400).contains(n)), "{sums:?}");
    }

    #[test]
    fn a_series_with_a_memory_gets_longer_blocks() {
        let mut random = Pcg64::seed_from_u64(3);
        let mut series = |memory: f64| {
            let mut at = 0.0;
            let steps = (0..512).map(|_| {
                at = memory * at + random.random::<f64>() - 0.5;
                at
            });
            blocks(&steps.collect::<Vec<_>>())
        };
        let short = series(0.0);
        assert_eq!(short.length, 8, "n^⅓ of 512");
        assert!(short.lost < 1.5, "{short:?}");
        let long = series(0.9);
        assert!((16..=128).contains(&long.length), "{long:?}");
        assert!(long.lost > 1.05, "{long:?}");
        assert_eq!(blocks(&[1.0; 60]).length, 4, "a constant");
        assert_eq!(blocks(&[1.0, 2.0]).length, 1);
    }
}
