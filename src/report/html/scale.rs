//! Axes: where their marks stand, and what they say.

use serde::Serialize;

use crate::model::units;

/// What lies on the horizontal axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum X {
    /// Seconds since the start of the run.
    Time,
    /// Milliseconds, equal steps for equal factors.
    Latency,
    /// −log10 of the share that took longer: 0 is nobody, 1 is 90 %, 2 is 99 %.
    Percentile,
    /// Devices due per second.
    Rate,
}

/// What lies on the vertical axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Unit {
    PerSecond,
    Devices,
    Millis,
    /// Of all samples, in percent.
    Percent,
}

impl Unit {
    /// A value as one reads it.
    pub(super) fn text(self, value: f64) -> String {
        match self {
            Self::PerSecond => format!("{}/s", plain(value)),
            Self::Devices => plain(value),
            Self::Millis => millis(value),
            Self::Percent => format!("{} %", plain(value)),
        }
    }
}

impl X {
    pub(super) fn text(self, value: f64) -> String {
        match self {
            Self::Time => seconds(value),
            Self::Latency => millis(value),
            Self::Percentile => percentile(value),
            Self::Rate => format!("{}/s", plain(value)),
        }
    }
}

/// Milliseconds in the unit that suits.
fn millis(ms: f64) -> String {
    if ms < 0.9995 {
        format!("{} µs", plain(ms * 1e3))
    } else if ms < 999.5 {
        format!("{} ms", plain(ms))
    } else {
        format!("{} s", plain(ms / 1e3))
    }
}

fn seconds(s: f64) -> String {
    if s < 60.0 {
        return format!("{} s", plain(s));
    }
    let span = std::time::Duration::try_from_secs_f64(s).unwrap_or_default();
    units::clock(span)
}

/// 0 %, 90 %, 99 %, 99.9 %.
fn percentile(nines: f64) -> String {
    let share = 100.0 - 10f64.powf(2.0 - nines);
    #[expect(clippy::cast_sign_loss, reason = "clamped")]
    let decimals = (nines.ceil() - 2.0).clamp(0.0, 6.0) as usize;
    format!("{share:.decimals$} %")
}

/// As few digits as it needs, thousands apart.
#[expect(clippy::cast_sign_loss, reason = "no value on an axis is negative")]
fn plain(value: f64) -> String {
    if value >= 1_000.0 {
        return units::count(value.round() as u64);
    }
    let text = match value {
        0.0..10.0 => format!("{value:.2}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    };
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// At most some five round values from 0 to `most`, and a round end.
pub(super) fn linear(most: f64) -> (Vec<f64>, f64) {
    let most = if most > 0.0 { most } else { 1.0 };
    let rough = most / 4.0;
    let scale = 10f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 2.5, 5.0, 10.0].map(|step| step * scale);
    let step = steps
        .into_iter()
        .find(|step| *step >= rough)
        .unwrap_or(rough);
    #[expect(clippy::cast_sign_loss, reason = "at least 1")]
    let count = (most / step).ceil().max(1.0) as usize;
    let ticks: Vec<f64> = (0..=count).map(|n| n as f64 * step).collect();
    (ticks, count as f64 * step)
}

/// Powers of ten that enclose a range, at most some seven.
pub(super) fn decades(least: f64, most: f64) -> (Vec<f64>, f64, f64) {
    let from = least.max(1e-4).log10().floor() as i32;
    let to = (most.max(1e-4).log10().ceil() as i32).max(from + 1);
    let ticks = (from..=to).map(|power| 10f64.powi(power)).collect();
    (ticks, 10f64.powi(from), 10f64.powi(to))
}

/// At most some seven round moments of a run of so many seconds.
pub(super) fn moments(end: f64) -> Vec<f64> {
    let end = if end > 0.0 { end } else { 1.0 };
    let step = MOMENTS.into_iter().find(|step| end / step <= 7.0);
    let step = step.unwrap_or_else(|| {
        let days = (end / 7.0 / 86_400.0).ceil();
        days * 86_400.0
    });
    let mut ticks = vec![0.0];
    while ticks.last().is_some_and(|last| last + step <= end) {
        ticks.push(ticks.len() as f64 * step);
    }
    ticks
}

const MOMENTS: [f64; 17] = [
    0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_200.0, 1_800.0, 3_600.0,
    7_200.0, 14_400.0, 43_200.0,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_have_few_round_marks() {
        assert_eq!(linear(87.0).0, [0.0, 25.0, 50.0, 75.0, 100.0]);
        assert_eq!(linear(0.0).0, [0.0, 0.25, 0.5, 0.75, 1.0]);
        assert_eq!(moments(60.25), [0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0]);
        assert!(moments(1e7).len() <= 8);
        assert_eq!(decades(0.3, 42.0).0, [0.1, 1.0, 10.0, 100.0]);
    }

    #[test]
    fn marks_say_their_unit() {
        assert_eq!(Unit::Millis.text(0.25), "250 µs");
        assert_eq!(Unit::Millis.text(1_500.0), "1.5 s");
        assert_eq!(Unit::PerSecond.text(1_200.0), "1,200/s");
        assert_eq!(X::Time.text(90.0), "1:30");
        let shown = [0.0, 1.0, 2.0, 3.0].map(|nines| X::Percentile.text(nines));
        assert_eq!(shown, ["0 %", "90 %", "99 %", "99.9 %"]);
    }
}
