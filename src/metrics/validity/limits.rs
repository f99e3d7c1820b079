//! Beyond what the generator's own part in the figures is too large: `[validity]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The limits that a run is judged by: crossed only beyond them. The table in `docs/metrics.md` has
/// their defaults and the reason of each.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ValidityLimits {
    /// The start lag's 99th percentile: suspect.
    pub lag_p99_us: u64,
    /// The same: invalid.
    pub lag_p99_invalid_us: u64,
    /// The 99th percentile of the lag of messages: suspect.
    pub message_lag_p99_us: u64,
    /// The same: invalid.
    pub message_lag_p99_invalid_us: u64,
    /// Late starts, of all started: suspect.
    pub late_share: f64,
    /// Dropped starts, of all planned: suspect.
    pub dropped_share: f64,
    /// The same: invalid.
    pub dropped_share_invalid: f64,
    /// Failures for want of local ports or files, for each started device: suspect.
    pub exhausted_share: f64,
    /// The same: invalid.
    pub exhausted_share_invalid: f64,
    /// The busiest worker's share of a core in its busiest five seconds: suspect.
    pub cpu_share: f64,
    /// The share of time in which a worker was ready and had no core, in the worst five seconds:
    /// suspect.
    pub run_queue_share: f64,
    /// The share of the machine's time that was not idle in its busiest five seconds: suspect.
    pub machine_share: f64,
    /// The share of the machine's time that the hypervisor took, in the worst five seconds:
    /// suspect.
    pub steal_share: f64,
    /// The share of a CPU quota's periods in which it was used up, in the worst five seconds:
    /// suspect.
    pub throttled_share: f64,
    /// The share of memory that was in use: suspect.
    pub memory_share: f64,
    /// UDP datagrams that came and were dropped: suspect.
    pub udp_overflows: u64,
    /// A step of the wall clock: suspect.
    pub clock_step_us: u64,
    /// How long nothing of the process ran: suspect.
    pub pause_us: u64,
    /// How long the machine was suspended: invalid.
    pub suspended_us: u64,
}

impl Default for ValidityLimits {
    fn default() -> Self {
        Self {
            lag_p99_us: 20_000,
            lag_p99_invalid_us: 1_000_000,
            message_lag_p99_us: 20_000,
            message_lag_p99_invalid_us: 1_000_000,
            late_share: 0.01,
            dropped_share: 0.0,
            dropped_share_invalid: 0.1,
            exhausted_share: 0.0,
            exhausted_share_invalid: 0.05,
            cpu_share: 0.9,
            run_queue_share: 0.1,
            machine_share: 0.95,
            steal_share: 0.05,
            throttled_share: 0.05,
            memory_share: 0.95,
            udp_overflows: 0,
            clock_step_us: 100_000,
            pause_us: 1_000_000,
            suspended_us: 10_000,
        }
    }
}

impl ValidityLimits {
    /// Each limit by its key in `[validity]`, as one would type it, in the table's order.
    pub fn keys(&self) -> Vec<(&'static str, String)> {
        let time = |us: u64| {
            let span = std::time::Duration::from_micros(us);
            format!("{:?}", humantime::format_duration(span).to_string())
        };
        vec![
            ("lag_p99", time(self.lag_p99_us)),
            ("lag_p99_invalid", time(self.lag_p99_invalid_us)),
            ("message_lag_p99", time(self.message_lag_p99_us)),
            (
                "message_lag_p99_invalid",
                time(self.message_lag_p99_invalid_us),
            ),
            ("late_share", self.late_share.to_string()),
            ("dropped_share", self.dropped_share.to_string()),
            (
                "dropped_share_invalid",
                self.dropped_share_invalid.to_string(),
            ),
            ("exhausted_share", self.exhausted_share.to_string()),
            (
                "exhausted_share_invalid",
                self.exhausted_share_invalid.to_string(),
            ),
            ("cpu_share", self.cpu_share.to_string()),
            ("run_queue_share", self.run_queue_share.to_string()),
            ("machine_share", self.machine_share.to_string()),
            ("steal_share", self.steal_share.to_string()),
            ("throttled_share", self.throttled_share.to_string()),
            ("memory_share", self.memory_share.to_string()),
            ("udp_overflows", self.udp_overflows.to_string()),
            ("clock_step", time(self.clock_step_us)),
            ("pause", time(self.pause_us)),
            ("suspended", time(self.suspended_us)),
        ]
    }

    /// The keys of limits that are not the default: a verdict by other limits says less.
    pub fn changed(&self) -> Vec<&'static str> {
        let defaults = Self::default().keys();
        let pairs = self.keys().into_iter().zip(defaults);
        pairs
            .filter(|(own, default)| own != default)
            .map(|((key, _), _)| key)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_handbook_has_each_limit_with_its_default_and_no_other() {
        let text = include_str!("../../../docs/metrics.md");
        let (_, table) = text
            .split_once("<!-- validity: read by src/metrics/validity/limits.rs -->")
            .expect("the mark above the table");
        let rows = table
            .lines()
            .skip_while(|line| !line.starts_with('|'))
            .take_while(|line| line.starts_with('|'))
            .skip(2);
        let cell = |row: &str, n: usize| {
            let cell = row.split('|').nth(n).expect("a cell").trim();
            cell.trim_matches('`').to_owned()
        };
        let documented: Vec<_> = rows.map(|row| (cell(row, 1), cell(row, 2))).collect();
        let keys = ValidityLimits::default().keys();
        let known: Vec<_> = keys
            .into_iter()
            .map(|(key, text)| (key.to_owned(), text))
            .collect();
        assert_eq!(documented, known);
    }

    #[test]
    fn a_changed_limit_is_known_by_its_key() {
        let limits = ValidityLimits {
            pause_us: 2_000_000,
            cpu_share: 1.0,
            ..ValidityLimits::default()
        };
        assert_eq!(limits.changed(), ["cpu_share", "pause"]);
        assert!(ValidityLimits::default().changed().is_empty());
    }
}
