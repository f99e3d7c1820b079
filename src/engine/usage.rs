//! What the generator itself used: CPU time and memory of this process.

use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};

/// User and system time of the process so far.
pub(super) fn cpu() -> Duration {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else {
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
pub(super) fn peak_rss_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"))
        .and_then(|kibibytes| kibibytes.parse::<u64>().ok())
        .unwrap_or(0)
        * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

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
