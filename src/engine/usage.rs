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

/// The most memory that was ever resident, in bytes.
pub(super) fn peak_rss_bytes() -> u64 {
    // Linux counts ru_maxrss in KiB (getrusage(2)).
    getrusage(UsageWho::RUSAGE_SELF)
        .ok()
        .and_then(|usage| u64::try_from(usage.max_rss()).ok())
        .unwrap_or(0)
        * 1024
}
