//! Whether the generator kept its own schedule: figures of one that did not may not be quoted.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::counts::StartCounts;
use super::latency::LagFigures;
use super::setting::Ending;
use crate::model::units;

/// Suspect above: a start lag of 20 ms at the 99th percentile blurs latencies of that size.
pub const LAG_P99_SUSPECT: Duration = Duration::from_millis(20);
/// Invalid above: a generator that is a second late measures itself.
pub const LAG_P99_INVALID: Duration = Duration::from_secs(1);
/// Suspect above this share of late starts (0..=1).
pub const LATE_SHARE_SUSPECT: f64 = 0.01;

/// Whether the figures may be quoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GeneratorVerdict {
    /// The generator kept its schedule.
    Valid,
    /// It fell short somewhere: look at the reasons before quoting.
    Suspect,
    /// It was itself the limit.
    Invalid,
}

impl GeneratorVerdict {
    /// Its word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Suspect => "suspect",
            Self::Invalid => "invalid",
        }
    }
}

/// What the generator itself took, and whether it kept up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GeneratorSummary {
    /// CPU time, user and system.
    pub cpu_s: f64,
    /// Wall-clock time of the run.
    pub wall_s: f64,
    /// Largest resident memory.
    pub peak_rss_bytes: u64,
    /// Worker threads.
    pub workers: usize,
    /// Processes.
    pub processes: usize,
    /// The embedded target's CPU time and memory are in these figures.
    pub includes_target: bool,
    /// The judgement.
    pub verdict: GeneratorVerdict,
    /// Why it is not `valid`, in words with figures.
    pub reasons: Vec<String>,
}

/// Judges the starts against the documented limits.
pub(super) fn judge(
    starts: &StartCounts,
    lag: &LagFigures,
    end: &Ending,
) -> (GeneratorVerdict, Vec<String>) {
    let mut verdict = of_lag(lag);
    let mut reasons = Vec::new();
    let crossed = match verdict {
        GeneratorVerdict::Valid => None,
        GeneratorVerdict::Suspect => Some(LAG_P99_SUSPECT),
        GeneratorVerdict::Invalid => Some(LAG_P99_INVALID),
    };
    if let Some(limit) = crossed {
        reasons.push(format!(
            "1 % of the starts were {} or more behind their due time (limit {})",
            units::micros(lag.p99),
            units::micros(limit.as_micros() as u64),
        ));
    }
    if starts.late as f64 > starts.started as f64 * LATE_SHARE_SUSPECT {
        verdict = at_least_suspect(verdict);
        reasons.push(format!(
            "{} of {} starts ({}) were late (limit {:.0} %)",
            units::count(starts.late),
            units::count(starts.started),
            units::percent(starts.late, starts.started),
            LATE_SHARE_SUSPECT * 100.0,
        ));
    }
    if starts.dropped > 0 && !end.interrupted {
        verdict = at_least_suspect(verdict);
        reasons.push(format!(
            "{} of {} planned starts were dropped",
            units::count(starts.dropped),
            units::count(starts.planned),
        ));
    }
    (verdict, reasons)
}

/// The part of the verdict that the start lag decides.
pub(super) fn of_lag(lag: &LagFigures) -> GeneratorVerdict {
    let p99 = Duration::from_micros(lag.p99);
    if p99 > LAG_P99_INVALID {
        GeneratorVerdict::Invalid
    } else if p99 > LAG_P99_SUSPECT {
        GeneratorVerdict::Suspect
    } else {
        GeneratorVerdict::Valid
    }
}

fn at_least_suspect(verdict: GeneratorVerdict) -> GeneratorVerdict {
    match verdict {
        GeneratorVerdict::Valid => GeneratorVerdict::Suspect,
        worse => worse,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(
        late: u64,
        dropped: u64,
        lag_p99_us: u64,
        interrupted: bool,
    ) -> (GeneratorVerdict, usize) {
        let starts = StartCounts {
            planned: 1_000,
            started: 1_000,
            late,
            dropped,
        };
        let lag = LagFigures {
            p50: 0,
            p99: lag_p99_us,
            max: lag_p99_us,
        };
        let end = Ending {
            elapsed: Duration::from_secs(10),
            interrupted,
            dropped,
            cpu_s: 1.0,
            peak_rss_bytes: 1,
            workers: 1,
            processes: 1,
            generator_includes_target: false,
        };
        let (verdict, reasons) = judge(&starts, &lag, &end);
        (verdict, reasons.len())
    }

    #[test]
    fn limits_are_crossed_only_beyond_them() {
        use GeneratorVerdict::{Invalid, Suspect, Valid};
        for (name, got, expected) in [
            ("on time", judged(0, 0, 900, false), (Valid, 0)),
            ("at the lag limit", judged(0, 0, 20_000, false), (Valid, 0)),
            ("beyond it", judged(0, 0, 20_001, false), (Suspect, 1)),
            ("at a second", judged(0, 0, 1_000_000, false), (Suspect, 1)),
            (
                "beyond a second",
                judged(0, 0, 1_000_001, false),
                (Invalid, 1),
            ),
            ("1 % late", judged(10, 0, 0, false), (Valid, 0)),
            ("1.1 % late", judged(11, 0, 0, false), (Suspect, 1)),
            ("dropped", judged(0, 1, 0, false), (Suspect, 1)),
            (
                "dropped by interruption",
                judged(0, 900, 0, true),
                (Valid, 0),
            ),
            ("all of it", judged(990, 5, 2_000_000, false), (Invalid, 3)),
        ] {
            assert_eq!(got, expected, "{name}");
        }
    }

    #[test]
    fn reasons_carry_their_figures() {
        let starts = StartCounts {
            planned: 2_000,
            started: 1_500,
            late: 300,
            dropped: 500,
        };
        let lag = LagFigures {
            p50: 10,
            p99: 45_300,
            max: 80_000,
        };
        let end = Ending {
            elapsed: Duration::from_secs(10),
            interrupted: false,
            dropped: 500,
            cpu_s: 1.0,
            peak_rss_bytes: 1,
            workers: 1,
            processes: 1,
            generator_includes_target: false,
        };
        assert_eq!(
            judge(&starts, &lag, &end).1,
            [
                "1 % of the starts were 45.3 ms or more behind their due time (limit 20.0 ms)",
                "300 of 1,500 starts (20.0 %) were late (limit 1 %)",
                "500 of 2,000 planned starts were dropped",
            ]
        );
    }
}
