//! Memory: what this process holds, and what the machine and its control groups leave it.

use std::fs;
use std::path::Path;

use super::cgroup::{self, Controller};
use super::number_after;
use crate::metrics::Memory;

/// Resident now, in bytes.
pub(super) fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    number_after(&status, "VmRSS")?.checked_mul(KIB)
}

/// The tightest of the machine and the control groups.
pub(super) fn left() -> Option<Memory> {
    let machine = fs::read_to_string("/proc/meminfo").ok();
    let machine = machine.as_deref().and_then(of_machine);
    let levels = cgroup::levels(Controller::Memory);
    let groups = levels.iter().filter_map(|level| of_group(level));
    // A group may allow more than there is.
    machine
        .into_iter()
        .chain(groups)
        .min_by_key(|memory| memory.available)
}

fn of_machine(meminfo: &str) -> Option<Memory> {
    Some(Memory {
        available: number_after(meminfo, "MemAvailable")?.checked_mul(KIB)?,
        total: number_after(meminfo, "MemTotal")?.checked_mul(KIB)?,
    })
}

/// A group's limit less what it holds, but for file pages that nobody has used lately: those are
/// given back on demand.
fn of_group(level: &Path) -> Option<Memory> {
    let read = |name: &str| fs::read_to_string(level.join(name)).ok();
    let number = |name: &str| read(name)?.trim().parse::<u64>().ok();
    // "max" is no number: no limit.
    let (total, held, reclaimable) = match number("memory.max") {
        Some(limit) => (limit, number("memory.current")?, "inactive_file"),
        None => (
            number("memory.limit_in_bytes").filter(|limit| *limit < NO_LIMIT)?,
            number("memory.usage_in_bytes")?,
            "total_inactive_file",
        ),
    };
    let reclaimable = read("memory.stat").and_then(|stat| number_after(&stat, reclaimable));
    let held = held.saturating_sub(reclaimable.unwrap_or(0));
    Some(Memory {
        available: total.saturating_sub(held),
        total,
    })
}

const KIB: u64 = 1024;

/// Version 1 writes "no limit" as the largest number of whole pages.
const NO_LIMIT: u64 = 1 << 62;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machines_memory_is_read_in_bytes() {
        let text = "MemTotal:       24684092 kB\nMemFree:         1364168 kB\n\
                    MemAvailable:   24056456 kB\n";
        let expected = Memory {
            available: 24_056_456 * 1024,
            total: 24_684_092 * 1024,
        };
        assert_eq!(of_machine(text), Some(expected));
        let huge = "MemTotal: 18446744073709551615 kB\nMemAvailable: 18446744073709551615 kB\n";
        for text in [
            "",
            "MemTotal: 5 kB\n",
            "MemAvailable: x kB\nMemTotal: 5 kB\n",
            huge,
        ] {
            assert_eq!(of_machine(text), None, "{text:?}");
        }
    }

    fn group(files: &[(&str, &str)]) -> Option<Memory> {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        of_group(dir.path())
    }

    #[test]
    fn a_groups_limit_counts_in_either_version() {
        let expected = Some(Memory {
            available: 700,
            total: 1_000,
        });
        let two = group(&[
            ("memory.max", "1000\n"),
            ("memory.current", "500\n"),
            ("memory.stat", "anon 300\ninactive_file 200\n"),
        ]);
        assert_eq!(two, expected);
        let one = group(&[
            ("memory.limit_in_bytes", "1000\n"),
            ("memory.usage_in_bytes", "500\n"),
            ("memory.stat", "inactive_file 7\ntotal_inactive_file 200\n"),
        ]);
        assert_eq!(one, expected);
    }

    #[test]
    fn no_limit_and_hostile_texts_are_none() {
        assert_eq!(group(&[]), None);
        assert_eq!(
            group(&[("memory.max", "max\n"), ("memory.current", "5\n")]),
            None
        );
        assert_eq!(
            group(&[("memory.max", "1000\n"), ("memory.current", "-5")]),
            None
        );
        let unlimited = [
            ("memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory.usage_in_bytes", "5\n"),
        ];
        assert_eq!(group(&unlimited), None);
        let over = group(&[("memory.max", "10"), ("memory.current", "500")]);
        assert_eq!(over.map(|memory| memory.available), Some(0));
    }

    #[test]
    fn this_machine_is_read_as_it_is() {
        let left = left().expect("Linux has /proc/meminfo");
        assert!(left.available <= left.total);
        assert!(resident_bytes().is_some_and(|bytes| bytes > 1 << 20));
    }
}
