//! A percentile as users write it.

/// More than 0 and less than 100, in thousandths of a percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Percentile(u32);

impl Percentile {
    pub(super) const P50: Self = Self(50_000);
    pub(super) const P90: Self = Self(90_000);
    pub(super) const P99: Self = Self(99_000);
    pub(super) const P99_9: Self = Self(99_900);

    /// `p50`, `p99.9`, `p99.999`; `p999` is p99.9, as summaries call it.
    pub(super) fn parse(word: &str) -> Option<Self> {
        let number = word.strip_prefix('p')?;
        let (ones, decimals) = match number {
            "999" => ("99", "9"),
            _ => number.split_once('.').unwrap_or((number, "0")),
        };
        let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        if !digits(ones) || !digits(decimals) || ones.len() > 2 || decimals.len() > 3 {
            return None;
        }
        let thousandths: u32 = format!("{ones}{decimals:0<3}").parse().ok()?;
        (thousandths > 0).then_some(Self(thousandths))
    }

    /// Between 0 and 1.
    pub(super) fn quantile(self) -> f64 {
        f64::from(self.0) / 100_000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_between_nothing_and_everything() {
        for (word, quantile) in [
            ("p50", 0.5),
            ("p99", 0.99),
            ("p99.9", 0.999),
            ("p999", 0.999),
            ("p99.999", 0.99999),
            ("p0.5", 0.005),
        ] {
            assert_eq!(
                Percentile::parse(word).map(Percentile::quantile),
                Some(quantile),
                "{word}"
            );
        }
        for word in [
            "p", "p0", "p100", "p9999", "p99.", "p.5", "p99.9999", "p-1", "p1e1", "99", "p9９",
        ] {
            assert_eq!(Percentile::parse(word), None, "{word}");
        }
    }
}
