//! What this process used: CPU time, memory, files.

use std::fs;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};

use super::number_after;

/// User and system time of the process so far.
pub(in crate::engine) fn cpu() -> Duration {
    cpu_of(UsageWho::RUSAGE_SELF)
}

/// The same of all processes that it started and that are over.
pub(in crate::engine) fn cpu_of_children() -> Duration {
    cpu_of(UsageWho::RUSAGE_CHILDREN)
}

fn cpu_of(who: UsageWho) -> Duration {
    let Ok(usage) = getrusage(who) else {
        return Duration::ZERO;
    };
    let span = |time: nix::sys::time::TimeVal| {
        Duration::from_micros(
            u64::try_from(time.tv_sec() * 1_000_000 + time.tv_usec()).unwrap_or(0),
        )
    };
    span(usage.user_time()) + span(usage.system_time())
}

/// The most memory that was ever resident, in bytes; 0 where the system does not tell.
///
/// Not getrusage's `ru_maxrss`: that starts at what the parent process had when it forked, so that
/// a run under `cargo run` would be billed for cargo.
pub(in crate::engine) fn peak_rss_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    number_after(&status, "VmHWM").map_or(0, |kibibytes| kibibytes.saturating_mul(1024))
}

/// Open file descriptors. From Linux 6.2 on the directory's size says it; before, all are counted.
pub(super) fn open_files() -> Option<u64> {
    let told = fs::metadata("/proc/self/fd").ok()?.len();
    if told > 0 {
        return Some(told);
    }
    let counted = fs::read_dir("/proc/self/fd").ok()?.count();
    u64::try_from(counted).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_open_file_counts() {
        let before = open_files().unwrap();
        let held: Vec<_> = (0..50)
            .map(|_| fs::File::open("/dev/null").unwrap())
            .collect();
        // Other tests of this process open and close some meanwhile.
        let more = open_files().unwrap().saturating_sub(before);
        assert!((30..500).contains(&more), "{more} of {}", held.len());
    }

    #[test]
    fn memory_counts_what_was_touched_in_bytes() {
        let block = vec![1_u8; 64 << 20];
        assert!(block.iter().all(|byte| *byte == 1));
        let peak = peak_rss_bytes();
        assert!(
            (64 << 20..64 << 30).contains(&peak),
            "{peak} bytes with a block of 64 MiB"
        );
    }
}
