//! Student's t distribution.

use puruspe::betai;

/// The value below which the share `p` of the distribution with `df` degrees of freedom lies; both
/// are positive, `p` is below 1. What is beyond 10^9 is taken for that.
pub fn t_quantile(p: f64, df: f64) -> f64 {
    if p < 0.5 {
        return -t_quantile(1.0 - p, df);
    }
    let (mut low, mut high) = (0.0, 1.0);
    while high < GREAT && t_tail(high, df) > 1.0 - p {
        (low, high) = (high, high * 2.0);
    }
    // Bisection down to the last bit but few: the tail is monotone.
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if t_tail(middle, df) > 1.0 - p {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

/// The share of the distribution above `t` (Abramowitz and Stegun, 26.7.1).
pub fn t_tail(t: f64, df: f64) -> f64 {
    // Beyond this it is the normal distribution to 6 digits.
    let df = df.clamp(1e-3, 1e6);
    let half = betai(df / 2.0, 0.5, df / (df + t * t)) / 2.0;
    if t < 0.0 { 1.0 - half } else { half }
}

const GREAT: f64 = 1e9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distribution_is_that_of_the_tables() {
        for (p, df, t) in [
            (0.975, 1.0, 12.706_205),
            (0.975, 4.0, 2.776_445),
            (0.95, 10.0, 1.812_461),
            (0.999_2, 14.0, 3.900_556_8),
            (0.975, 1e9, 1.959_964),
        ] {
            let found = t_quantile(p, df);
            assert!((found / t - 1.0).abs() < 1e-4, "{found} for {p}, {df}");
            let tail = t_tail(t, df);
            assert!(
                (tail / (1.0 - p) - 1.0).abs() < 1e-3,
                "{tail} for {t}, {df}"
            );
        }
    }
}
