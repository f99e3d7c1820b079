//! What a figure is compared with, and how.

use std::time::Duration;

use super::metric::{Metric, Unit};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
}

impl Operator {
    /// Longer ones first: `<=` begins with `<`.
    const ALL: [Self; 6] = [
        Self::LessOrEqual,
        Self::GreaterOrEqual,
        Self::Equal,
        Self::NotEqual,
        Self::Less,
        Self::Greater,
    ];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Equal => "==",
            Self::NotEqual => "!=",
        }
    }

    /// The operator and the trimmed rest of a condition.
    pub(super) fn split(condition: &str) -> Result<(Self, &str), String> {
        for operator in Self::ALL {
            if let Some(rest) = condition.strip_prefix(operator.as_str()) {
                return Ok((operator, rest.trim()));
            }
        }
        let (found, instead) = match condition {
            "" => ("nothing was found".to_owned(), "< 500ms".to_owned()),
            _ => match condition.strip_prefix('=') {
                // `=<` and `=>` are slips of `<=` and `>=`, a lone `=` of `==`.
                Some(rest) => {
                    let (turned, bound) = match rest.split_at_checked(1) {
                        Some((sign @ ("<" | ">"), bound)) => (format!("{sign}="), bound),
                        _ => ("==".to_owned(), rest),
                    };
                    (
                        format!("found `{condition}`"),
                        format!("{turned} {}", bound.trim()),
                    )
                }
                None => (format!("found `{condition}`"), format!("< {condition}")),
            },
        };
        Err(format!(
            "a condition begins with <, <=, >, >=, == or !=, {found}; help: write \"{instead}\""
        ))
    }

    pub(super) fn holds<T: PartialOrd + Copy>(self, observed: T, bound: T) -> bool {
        match self {
            Self::Less => observed < bound,
            Self::LessOrEqual => observed <= bound,
            Self::Greater => observed > bound,
            Self::GreaterOrEqual => observed >= bound,
            Self::Equal => observed == bound,
            Self::NotEqual => observed != bound,
        }
    }
}

/// What stands behind the operator.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Bound {
    Time(Duration),
    Count(u64),
    /// Millionths of a percent.
    Share(u64),
    Rate(f64),
}

impl Bound {
    /// Reads the bound of a metric, which is called `name` in the scenario.
    pub(super) fn parse(metric: &Metric, name: &str, text: &str) -> Result<Self, String> {
        let percentage = || {
            text.strip_suffix('%')
                .and_then(|number| share(number.trim()))
        };
        let (read, needs, example) = match metric.unit() {
            Unit::Time => (
                humantime::parse_duration(text).ok().map(Self::Time),
                "a time with its unit".to_owned(),
                "< 500ms",
            ),
            Unit::Rate => (
                rate(text).map(Self::Rate),
                "a number per second".to_owned(),
                ">= 200/s",
            ),
            Unit::Count => (
                whole(text).map(Self::Count),
                "a whole number".to_owned(),
                "== 0",
            ),
            Unit::CountOf(all, example) => (
                percentage()
                    .map(Self::Share)
                    .or_else(|| whole(text).map(Self::Count)),
                format!("a whole number, or a percentage of {all} ({PERCENTAGES})"),
                example,
            ),
            Unit::ShareOf(all) => (
                percentage().map(Self::Share),
                format!("a percentage of {all} ({PERCENTAGES})"),
                "< 1%",
            ),
        };
        read.ok_or_else(|| {
            let found = match text {
                "" => "nothing was found".to_owned(),
                _ => format!("found `{text}`"),
            };
            format!("`{name}` is compared with {needs}, {found}; help: write, for example, \"{example}\"")
        })
    }
}

/// A number per second, with or without its unit.
fn rate(text: &str) -> Option<f64> {
    let number = text.strip_suffix("/s").unwrap_or(text).trim();
    let number: Option<f64> = number.parse().ok();
    number.filter(|rate| rate.is_finite() && *rate >= 0.0)
}

/// A whole number, `_` between digits allowed as in TOML.
fn whole(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    let digits = digits && !text.starts_with('_') && !text.ends_with('_');
    digits.then(|| text.replace('_', "").parse().ok()).flatten()
}

/// A decimal percentage, 0 to 100, in millionths of a percent; exact, hence no float.
fn share(text: &str) -> Option<u64> {
    let (ones, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let all_digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    if !all_digits(ones) || !all_digits(decimals) || decimals.len() > 6 {
        return None;
    }
    let ones: u64 = ones.parse().ok()?;
    let millionths: u64 = format!("{decimals:0<6}").parse().ok()?;
    let share = ones.checked_mul(PERCENT)?.checked_add(millionths)?;
    (share <= 100 * PERCENT).then_some(share)
}

/// One percent, in the unit in which shares are kept.
pub(super) const PERCENT: u64 = 1_000_000;

const PERCENTAGES: &str = "0% to 100%, at most 6 decimals";
