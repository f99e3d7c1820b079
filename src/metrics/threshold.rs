//! Conditions on the figures of a summary. A crossed one fails the run.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::counts::{ReconnectCounts, RotationCounts};
use super::metric::{Certificates, Clock, Figure, Messages, Metric, Sessions};
use super::summary::Summary;
use crate::model::Outcome;

/// A metric, an operator and a bound, such as `time_to_provision.p99 < 500ms`.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    metric: Metric,
    name: String,
    operator: Operator,
    bound: Bound,
    /// As typed, without the operator.
    bound_text: String,
}

/// A threshold after the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ThresholdResult {
    /// Metric, operator and bound.
    pub expression: String,
    /// The figure that was judged, unrounded and in the metric's unit; `no samples` when there
    /// was nothing to judge.
    pub observed: String,
    /// Whether the condition held.
    pub passed: bool,
}

impl ThresholdResult {
    /// The condition that was judged, to be judged again.
    pub fn threshold(&self) -> Result<Threshold, String> {
        let spaces = self.expression.rmatch_indices(' ').map(|(at, _)| at);
        let mut parsed = spaces.map(|at| {
            let (metric, condition) = self.expression.split_at(at);
            Operator::split(condition.trim())?;
            Threshold::parse(metric, condition)
        });
        let unknown = || format!("threshold {:?} is none", self.expression);
        parsed.find_map(Result::ok).ok_or_else(unknown)
    }
}

impl Threshold {
    /// Reads one entry of the scenario's `[thresholds]`: `"time_to_provision.p99"`, `"< 500ms"`.
    /// The error says what is wrong and what to write instead.
    pub fn parse(metric: &str, condition: &str) -> Result<Self, String> {
        let name = metric.trim().to_owned();
        let metric = Metric::parse(&name)?;
        let (operator, bound_text) = Operator::split(condition.trim())?;
        let bound = Bound::parse(&metric, &name, bound_text)?;
        Ok(Self {
            metric,
            name,
            operator,
            bound,
            bound_text: bound_text.to_owned(),
        })
    }

    /// The given thresholds and, when none of them is about `devices.*`, the implicit
    /// `devices.provisioned == 100%`: a run that did not provision everybody does not pass by
    /// silence.
    pub fn with_implicit(thresholds: &[Self]) -> Vec<Self> {
        let mut all = thresholds.to_vec();
        if !all.iter().any(Self::is_about_devices) {
            all.push(Self {
                metric: Metric::Devices(Outcome::Provisioned),
                name: "devices.provisioned".to_owned(),
                operator: Operator::Equal,
                bound: Bound::Share(100 * PERCENT),
                bound_text: "100%".to_owned(),
            });
        }
        all
    }

    /// Whether it says how many devices may end in some way: `devices.*`.
    pub fn is_about_devices(&self) -> bool {
        matches!(self.metric, Metric::Devices(_))
    }

    /// Compares with a finished run. A latency of a phase without samples is never passed.
    pub fn judge(&self, summary: &Summary) -> ThresholdResult {
        let (observed, passed) = self.observe(summary);
        ThresholdResult {
            expression: self.to_string(),
            observed,
            passed,
        }
    }

    fn observe(&self, summary: &Summary) -> (String, bool) {
        let phase = |phase| summary.phases.get(&phase);
        match &self.metric {
            Metric::Latency(p, clock, figure) => match phase(*p).filter(|p| p.count > 0) {
                None => no_samples(),
                Some(phase) => {
                    let figures = match clock {
                        Clock::Response => &phase.response_us,
                        Clock::Service => &phase.service_us,
                    };
                    self.latency(match figure {
                        Figure::P50 => figures.p50 as f64,
                        Figure::P90 => figures.p90 as f64,
                        Figure::P99 => figures.p99 as f64,
                        Figure::P999 => figures.p999 as f64,
                        Figure::Max => figures.max as f64,
                        Figure::Mean => figures.mean,
                    })
                }
            },
            Metric::PhaseCount(p) => self.count(phase(*p).map_or(0, |p| p.count)),
            Metric::PhaseErrors(p) => match phase(*p) {
                None => no_samples(),
                Some(phase) => self.count(phase.errors),
            },
            Metric::PhaseRetries(p) => self.count(phase(*p).map_or(0, |p| p.retries)),
            Metric::Retries => self.count(summary.retries()),
            Metric::DevicesBack if summary.reconnects.devices == 0 => no_samples(),
            Metric::DevicesBack => {
                let counts = &summary.reconnects;
                self.devices(counts.devices_back(), counts.devices)
            }
            Metric::Downlink(name) => self.count(summary.downlink.of(name).unwrap_or(0)),
            Metric::Gateway(CONNECTED) => match summary.gateway.sub_devices {
                0 => no_samples(),
                all => self.devices(summary.gateway.connected, all),
            },
            Metric::Gateway(name) => self.count(summary.gateway.of(name).unwrap_or(0)),
            Metric::Reconnects(which) => self.count(sessions(&summary.reconnects, *which)),
            Metric::Rotations(Certificates::Done) if summary.rotations.due == 0 => no_samples(),
            Metric::Rotations(which) => self.devices(
                certificates(&summary.rotations, *which),
                summary.rotations.due,
            ),
            Metric::Devices(outcome) => {
                self.devices(summary.devices.of(*outcome), summary.devices.listed)
            }
            Metric::Telemetry(Messages::Sent) => self.count(summary.telemetry.counts.sent),
            Metric::Telemetry(Messages::Acked) => self.count(summary.telemetry.counts.acked),
            Metric::Telemetry(Messages::Lost) => self.count(summary.telemetry.counts.lost),
            Metric::Telemetry(Messages::RatePerS) => self.rate(summary.telemetry.rate_per_s),
            Metric::StartsLate => self.count(summary.starts.late),
            Metric::StartsDropped => self.count(summary.starts.dropped),
            Metric::Errors(cause) => self.count(summary.errors.get(cause).copied().unwrap_or(0)),
        }
    }

    fn latency(&self, us: f64) -> (String, bool) {
        let Bound::Latency(bound) = self.bound else {
            unreachable!("parse pairs latencies with durations")
        };
        // Whole µs and bounds of up to 285 years are exact in a float.
        let passed = self.operator.holds(us, bound.as_nanos() as f64 / 1e3);
        (format!("{}ms", us / 1e3), passed)
    }

    fn count(&self, n: u64) -> (String, bool) {
        let Bound::Count(bound) = self.bound else {
            unreachable!("parse pairs counts with whole numbers")
        };
        (n.to_string(), self.operator.holds(n, bound))
    }

    fn rate(&self, per_second: f64) -> (String, bool) {
        let Bound::Rate(bound) = self.bound else {
            unreachable!("parse pairs rates with numbers")
        };
        (
            format!("{per_second}/s"),
            self.operator.holds(per_second, bound),
        )
    }

    fn devices(&self, n: u64, listed: u64) -> (String, bool) {
        match self.bound {
            Bound::Share(_) if listed == 0 => ("no devices".to_owned(), false),
            Bound::Share(bound) => {
                // Exact: n / listed against bound / (100 · PERCENT), both sides multiplied out.
                let (n, listed) = (u128::from(n), u128::from(listed));
                let whole = u128::from(100 * PERCENT);
                let passed = self.operator.holds(n * whole, listed * u128::from(bound));
                (
                    format!("{} ({n} of {listed})", cut_percent(n * whole / listed)),
                    passed,
                )
            }
            _ => self.count(n),
        }
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {}",
            self.name,
            self.operator.as_str(),
            self.bound_text
        )
    }
}

fn sessions(counts: &ReconnectCounts, which: Sessions) -> u64 {
    match which {
        Sessions::Lost => counts.lost,
        Sessions::Back => counts.back,
        Sessions::NotBack => counts.devices_not_back(),
        Sessions::GivenUp => counts.given_up,
        Sessions::Takeovers => counts.takeovers,
        Sessions::TakenOver => counts.taken_over,
    }
}

fn certificates(counts: &RotationCounts, which: Certificates) -> u64 {
    match which {
        Certificates::Due => counts.due,
        Certificates::Done => counts.done,
        Certificates::Failed => counts.failed,
        Certificates::InDoubt => counts.in_doubt,
        Certificates::OldRefused => counts.old_refused,
        Certificates::OldAccepted => counts.old_accepted,
    }
}

fn no_samples() -> (String, bool) {
    ("no samples".to_owned(), false)
}

/// Millionths of a percent as `99.9412%`: cut, never rounded up.
fn cut_percent(share: u128) -> String {
    let percent = u128::from(PERCENT);
    let text = format!("{}.{:06}", share / percent, share % percent);
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
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

    fn as_str(self) -> &'static str {
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
    fn split(condition: &str) -> Result<(Self, &str), String> {
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

    fn holds<T: PartialOrd + Copy>(self, observed: T, bound: T) -> bool {
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

#[derive(Clone, Copy, Debug, PartialEq)]
enum Bound {
    Latency(Duration),
    Count(u64),
    /// Millionths of a percent.
    Share(u64),
    Rate(f64),
}

impl Bound {
    fn parse(metric: &Metric, name: &str, text: &str) -> Result<Self, String> {
        let fault = |needs: &str, example: &str| {
            let found = if text.is_empty() {
                "nothing was found".to_owned()
            } else {
                format!("found `{text}`")
            };
            format!(
                "`{name}` is compared with {needs}, {found}; help: write, for example, \"{example}\""
            )
        };
        match metric {
            Metric::Latency(..) => humantime::parse_duration(text)
                .map(Self::Latency)
                .map_err(|_| fault("a time with its unit", "< 500ms")),
            Metric::Devices(_)
            | Metric::DevicesBack
            | Metric::Rotations(_)
            | Metric::Gateway(CONNECTED) => match text.strip_suffix('%') {
                Some(percent) => share(percent.trim()).map(Self::Share),
                None => whole(text).map(Self::Count),
            }
            .ok_or_else(|| {
                fault(
                    "a whole number, or a percentage of the listed devices (0% to 100%, at most \
                     6 decimals)",
                    ">= 99.9%",
                )
            }),
            Metric::Telemetry(Messages::RatePerS) => text
                .strip_suffix("/s")
                .unwrap_or(text)
                .trim()
                .parse()
                .ok()
                .filter(|rate: &f64| rate.is_finite() && *rate >= 0.0)
                .map(Self::Rate)
                .ok_or_else(|| fault("a number per second", ">= 200/s")),
            _ => whole(text)
                .map(Self::Count)
                .ok_or_else(|| fault("a whole number", "== 0")),
        }
    }
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

/// The count of gateways' devices that may also be compared as a share of all of them.
const CONNECTED: &str = "connected";

/// One percent, in the unit in which shares are kept.
const PERCENT: u64 = 1_000_000;

#[cfg(test)]
mod tests;
