//! `[validity]`.

use std::time::Duration;

use super::super::fault::Faults;
use super::super::section::Entry;
use super::super::validity_keys::Validity;
use super::schedule::span;
use super::within;
use crate::metrics::ValidityLimits;

/// By what the generator is judged.
pub(super) fn validity(entry: &Entry<Validity>, faults: &Faults) -> Option<ValidityLimits> {
    let mut limits = ValidityLimits::default();
    let table = match entry {
        Entry::Absent => return Some(limits),
        Entry::Faulty => return None,
        Entry::Given(table, _) => table,
    };
    let read = [
        times(table, &mut limits, faults),
        shares(table, &mut limits, faults),
        failures(table, &mut limits, faults),
    ];
    let overflows = table.udp_overflows.or(limits.udp_overflows);
    let ordered = [
        beyond(
            (&table.lag_p99, limits.lag_p99_us),
            (&table.lag_p99_invalid, &mut limits.lag_p99_invalid_us),
            "lag_p99",
            faults,
        ),
        beyond(
            (&table.message_lag_p99, limits.message_lag_p99_us),
            (
                &table.message_lag_p99_invalid,
                &mut limits.message_lag_p99_invalid_us,
            ),
            "message_lag_p99",
            faults,
        ),
        beyond(
            (&table.dropped_share, limits.dropped_share),
            (
                &table.dropped_share_invalid,
                &mut limits.dropped_share_invalid,
            ),
            "dropped_share",
            faults,
        ),
        beyond(
            (&table.exhausted_share, limits.exhausted_share),
            (
                &table.exhausted_share_invalid,
                &mut limits.exhausted_share_invalid,
            ),
            "exhausted_share",
            faults,
        ),
    ];
    let sound = read.into_iter().chain(ordered).all(|sound| sound);
    limits.udp_overflows = overflows?;
    sound.then_some(limits)
}

fn times(table: &Validity, limits: &mut ValidityLimits, faults: &Faults) -> bool {
    let rows = [
        (&table.lag_p99, "lag_p99", &mut limits.lag_p99_us),
        (
            &table.lag_p99_invalid,
            "lag_p99_invalid",
            &mut limits.lag_p99_invalid_us,
        ),
        (
            &table.message_lag_p99,
            "message_lag_p99",
            &mut limits.message_lag_p99_us,
        ),
        (
            &table.message_lag_p99_invalid,
            "message_lag_p99_invalid",
            &mut limits.message_lag_p99_invalid_us,
        ),
        (&table.clock_step, "clock_step", &mut limits.clock_step_us),
        (&table.pause, "pause", &mut limits.pause_us),
        (&table.suspended, "suspended", &mut limits.suspended_us),
    ];
    let mut sound = true;
    for (entry, key, us) in rows {
        match span(
            entry,
            key,
            Duration::from_micros(*us),
            Duration::ZERO,
            faults,
        ) {
            Some(found) => *us = u64::try_from(found.as_micros()).unwrap_or(u64::MAX),
            None => sound = false,
        }
    }
    sound
}

fn shares(table: &Validity, limits: &mut ValidityLimits, faults: &Faults) -> bool {
    let rows = [
        (&table.late_share, "late_share", &mut limits.late_share),
        (
            &table.dropped_share,
            "dropped_share",
            &mut limits.dropped_share,
        ),
        (
            &table.dropped_share_invalid,
            "dropped_share_invalid",
            &mut limits.dropped_share_invalid,
        ),
        (&table.cpu_share, "cpu_share", &mut limits.cpu_share),
        (
            &table.run_queue_share,
            "run_queue_share",
            &mut limits.run_queue_share,
        ),
        (
            &table.machine_share,
            "machine_share",
            &mut limits.machine_share,
        ),
        (&table.steal_share, "steal_share", &mut limits.steal_share),
        (
            &table.throttled_share,
            "throttled_share",
            &mut limits.throttled_share,
        ),
        (
            &table.memory_share,
            "memory_share",
            &mut limits.memory_share,
        ),
    ];
    numbers(rows, 1.0, faults)
}

/// For each device: some try again and again.
fn failures(table: &Validity, limits: &mut ValidityLimits, faults: &Faults) -> bool {
    let rows = [
        (
            &table.exhausted_share,
            "exhausted_share",
            &mut limits.exhausted_share,
        ),
        (
            &table.exhausted_share_invalid,
            "exhausted_share_invalid",
            &mut limits.exhausted_share_invalid,
        ),
    ];
    numbers(rows, 1_000.0, faults)
}

fn numbers<const N: usize>(
    rows: [(&Entry<f64>, &str, &mut f64); N],
    most: f64,
    faults: &Faults,
) -> bool {
    let mut sound = true;
    for (entry, key, number) in rows {
        match within(entry, key, *number, (0.0, most), faults) {
            Some(found) => *number = found,
            None => sound = false,
        }
    }
    sound
}

/// A limit of `invalid` is not below that of `suspect`; where it is not given, it moves along.
fn beyond<T, V: PartialOrd + Copy>(
    (suspect_entry, suspect): (&Entry<T>, V),
    (entry, invalid): (&Entry<T>, &mut V),
    key: &str,
    faults: &Faults,
) -> bool {
    if matches!(suspect_entry, Entry::Faulty) || *invalid >= suspect {
        return true;
    }
    let Some((_, spot)) = entry.given() else {
        *invalid = suspect;
        return true;
    };
    let title = format!("`{key}_invalid` is below `{key}`");
    faults.add(spot, title, "what is invalid is suspect before");
    false
}

#[cfg(test)]
mod tests {
    use super::super::super::load::plan;
    use super::super::super::{Overrides, schema};
    use super::*;

    /// The limits of a scenario with this section.
    fn limits(section: &str) -> ValidityLimits {
        let text = format!(
            "name = \"n\"\ntarget.embedded = true\ndevices.generate = {{ count = 10 }}\n\
             arrival.stages = [{{ duration = \"1s\", rate = 10 }}]\n{section}"
        );
        let run = Overrides::default();
        let plan = plan("s.toml", text.as_bytes(), &[], &run, &|_| None);
        plan.unwrap().validity
    }

    #[test]
    fn what_is_given_stands_and_the_limit_of_invalid_moves_along() {
        assert_eq!(limits(""), ValidityLimits::default());
        let given = "[validity]\nlag_p99 = \"2s\"\ndropped_share = 0.3\ncpu_share = 1\n\
            udp_overflows = 8\nsuspended = \"1min\"\n";
        let expected = ValidityLimits {
            lag_p99_us: 2_000_000,
            lag_p99_invalid_us: 2_000_000,
            dropped_share: 0.3,
            dropped_share_invalid: 0.3,
            cpu_share: 1.0,
            udp_overflows: 8,
            suspended_us: 60_000_000,
            ..ValidityLimits::default()
        };
        assert_eq!(limits(given), expected);
    }

    #[test]
    fn the_schema_has_the_defaults_that_runs_are_judged_by() {
        let schema: serde_json::Value = serde_json::from_str(&schema()).unwrap();
        let keys = &schema["$defs"]["Validity"]["properties"];
        let known = ValidityLimits::default().keys();
        assert_eq!(keys.as_object().unwrap().len(), known.len());
        for (key, default) in known {
            assert_eq!(keys[key]["default"].to_string(), default, "{key}");
        }
    }
}
