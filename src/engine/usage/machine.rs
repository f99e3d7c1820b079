//! The machine's CPU times, by `/proc/stat`, and the quota of a control group.

use std::fs;

use super::cgroup::{self, Controller};
use super::number_after;
use crate::metrics::{MachineTimes, Quota};

/// Over all cores, since boot.
pub(super) fn times() -> Option<MachineTimes> {
    all_cores(&fs::read_to_string("/proc/stat").ok()?)
}

/// Of the innermost group with a quota.
pub(super) fn quota() -> Option<Quota> {
    let levels = cgroup::levels(Controller::Cpu);
    levels.iter().find_map(|level| {
        let stat = fs::read_to_string(level.join("cpu.stat")).ok()?;
        periods(&stat)
    })
}

/// `cpu user nice system idle iowait irq softirq steal guest guest_nice`; guests' time is in
/// user and nice. Old kernels end earlier.
fn all_cores(stat: &str) -> Option<MachineTimes> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let read: Result<Vec<u64>, _> = line.split_whitespace().take(8).map(str::parse).collect();
    let fields = read.ok().filter(|fields| fields.len() >= 4)?;
    let field = |n: usize| fields.get(n).copied().unwrap_or(0);
    let all = fields
        .iter()
        .try_fold(0, |sum: u64, n| sum.checked_add(*n))?;
    let (nice, idle, iowait, stolen) = (field(1), field(3), field(4), field(7));
    Some(MachineTimes {
        all,
        busy: all - nice - idle - iowait,
        stolen,
    })
}

/// Both versions of control groups use these words; without a quota there are no periods.
fn periods(stat: &str) -> Option<Quota> {
    let periods = number_after(stat, "nr_periods").filter(|periods| *periods > 0)?;
    Some(Quota {
        periods,
        throttled: number_after(stat, "nr_throttled")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_is_what_is_neither_idle_nor_nice() {
        let stat = "cpu  100 20 30 400 50 6 7 8 9 10\ncpu0 1 2 3 4\nintr 5\n";
        let expected = MachineTimes {
            all: 621,
            busy: 151,
            stolen: 8,
        };
        assert_eq!(all_cores(stat), Some(expected));
        let old = MachineTimes {
            all: 10,
            busy: 4,
            stolen: 0,
        };
        assert_eq!(all_cores("cpu 1 2 3 4\n"), Some(old));
    }

    #[test]
    fn hostile_texts_are_nothing_and_no_panic() {
        let huge = "cpu 18446744073709551615 1 1 1\n";
        for text in [
            "",
            "cpu",
            "cpu \n",
            "cpu 1 2 3\n",
            "cpu 1 x 3 4\n",
            "cpu -1 2 3 4\n",
            huge,
        ] {
            assert_eq!(all_cores(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_group_without_a_quota_has_none() {
        let with = "usage_usec 5\nnr_periods 40\nnr_throttled 3\nthrottled_usec 77\n";
        let expected = Quota {
            periods: 40,
            throttled: 3,
        };
        assert_eq!(periods(with), Some(expected));
        for without in ["", "nr_periods 0\nnr_throttled 0\n", "nr_periods 4\n"] {
            assert_eq!(periods(without), None, "{without:?}");
        }
    }

    #[test]
    fn this_machine_is_read_as_it_is() {
        let times = times().expect("Linux has /proc/stat");
        assert!(times.busy > 0 && times.busy < times.all);
    }
}
