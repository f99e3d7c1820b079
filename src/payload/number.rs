//! Numbers as they are sent: whole, rounded to decimals, or as they come.

use serde::Serialize;

use super::error::ModelFault;

/// A number that remembers whether it was written whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// As 7.
    Whole(i64),
    /// As 7.0.
    Real(f64),
}

impl Number {
    /// Its value; whole ones beyond 2^53 are rounded.
    pub fn real(self) -> f64 {
        match self {
            Self::Whole(n) => n as f64,
            Self::Real(x) => x,
        }
    }
}

/// How fine a value is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Grain {
    /// As it comes: up to 17 significant digits.
    #[default]
    Full,
    /// Rounded to so many decimals, 0 to 9.
    Decimals(u8),
    /// A whole number.
    Whole,
}

/// A number as it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(super) enum Grained {
    Whole(i64),
    Real(f64),
}

impl Grain {
    /// Rounds half away from zero.
    pub(super) fn of(self, x: f64) -> Grained {
        match self {
            Self::Full => Grained::Real(x + 0.0),
            Self::Decimals(d) => Grained::Real(rounded(x, d)),
            // Saturates; models are limited to 1e15.
            Self::Whole => Grained::Whole(x.round() as i64),
        }
    }

    /// Whether a bound survives rounding: else rounded values would lie beyond it.
    pub(super) fn keeps(self, bound: f64) -> bool {
        match self {
            Self::Full => true,
            #[expect(clippy::float_cmp, reason = "the same number, not a near one")]
            Self::Decimals(d) => rounded(bound, d) == bound,
            #[expect(clippy::float_cmp, reason = "the same number, not a near one")]
            Self::Whole => bound.round() == bound,
        }
    }

    /// The fault of a bound that does not survive.
    pub(super) fn judge(self, key: &'static str, bound: f64, faults: &mut Vec<ModelFault>) {
        if self.keeps(bound) {
            return;
        }
        let fine = match self {
            Self::Decimals(d) => format!("has more than {d} decimals"),
            _ => "is no whole number".to_owned(),
        };
        let what = format!("`{key}` {fine}, found {bound}");
        let help = "values are rounded, and could come to lie beyond it: round it, too";
        faults.push(ModelFault::new(key, what, help));
    }

    /// The most characters that a value between two bounds takes as JSON.
    pub(super) fn widest(self, low: f64, high: f64) -> usize {
        let whole = |x: f64| format!("{:.0}", x.abs()).len() + usize::from(x < 0.0);
        let most = whole(low).max(whole(high));
        match self {
            Self::Whole => most,
            Self::Decimals(d) if low.abs().max(high.abs()) * 10f64.powi(i32::from(d)) < EXACT => {
                // `-0.5` rounds to `-0` above, and `21.0` has a decimal even with none asked for.
                most + 2 + usize::from(d.max(1))
            }
            _ => WIDEST,
        }
    }
}

fn rounded(x: f64, decimals: u8) -> f64 {
    let scale = POWERS[usize::from(decimals.min(9))];
    // Adding 0 turns -0 into 0.
    (x * scale).round() / scale + 0.0
}

const POWERS: [f64; 10] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

/// Up to here every whole number has a double of its own.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The longest double: `-1.2345678901234567e-308`.
pub(super) const WIDEST: usize = 24;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_rounded_as_asked() {
        for (grain, x, json) in [
            (Grain::Full, 0.1 + 0.2, "0.30000000000000004"),
            (Grain::Full, -0.0, "0.0"),
            (Grain::Decimals(1), 0.1 + 0.2, "0.3"),
            (Grain::Decimals(1), -0.04, "0.0"),
            (Grain::Decimals(0), 21.4, "21.0"),
            (Grain::Decimals(2), 2.345, "2.35"),
            (Grain::Whole, -2.5, "-3"),
            (Grain::Whole, 1e300, "9223372036854775807"),
        ] {
            assert_eq!(serde_json::to_string(&grain.of(x)).unwrap(), json, "{x}");
        }
    }

    proptest! {
        #[test]
        fn nothing_between_the_bounds_is_wider_than_said(
            (low, high) in (-1e15..1e15f64, -1e15..1e15f64),
            share in 0.0..=1.0f64,
            decimals in 0u8..=9,
        ) {
            let (low, high) = (low.min(high), low.max(high));
            for grain in [Grain::Full, Grain::Whole, Grain::Decimals(decimals)] {
                let x = low + (high - low) * share;
                let json = serde_json::to_string(&grain.of(x)).unwrap();
                prop_assert!(json.len() <= grain.widest(low, high), "{grain:?} {x} {json}");
            }
        }
    }
}
