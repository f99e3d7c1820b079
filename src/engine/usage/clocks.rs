//! The clocks: how far the wall clock and the time since boot are from the monotonic one.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use crate::metrics::Clocks;

/// The monotonic clock.
pub fn monotonic() -> Duration {
    read(ClockId::CLOCK_MONOTONIC).unwrap_or_default()
}

/// Read one after the other between two looks at the monotonic clock; the tightest of a few tries
/// counts, so that a thread that lost its core in between sees no step.
pub(super) fn offsets() -> Option<Clocks> {
    let tries = (0..TRIES).filter_map(|_| {
        let before = read(ClockId::CLOCK_MONOTONIC)?;
        let wall = read(ClockId::CLOCK_REALTIME)?;
        let boot = read(ClockId::CLOCK_BOOTTIME)?;
        let after = read(ClockId::CLOCK_MONOTONIC)?;
        let taken = after.checked_sub(before)?;
        let middle = micros(before + taken / 2)?;
        let clocks = Clocks {
            wall_us: micros(wall)?.checked_sub(middle)?,
            boot_us: micros(boot)?.checked_sub(middle)?,
        };
        Some((taken, clocks))
    });
    let tightest = tries.min_by_key(|(taken, _)| *taken);
    tightest.map(|(_, clocks)| clocks)
}

fn read(clock: ClockId) -> Option<Duration> {
    // A wall clock before 1970 is none.
    let time = clock_gettime(clock).ok()?;
    let nanos = u32::try_from(time.tv_nsec()).ok()?;
    Some(Duration::new(u64::try_from(time.tv_sec()).ok()?, nanos))
}

fn micros(span: Duration) -> Option<i64> {
    i64::try_from(span.as_micros()).ok()
}

const TRIES: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clocks_of_a_machine_that_is_awake_stay_where_they_are() {
        let (one, two) = (offsets().unwrap(), offsets().unwrap());
        assert!(one.wall_us > 0 && one.boot_us >= -1_000, "{one:?}");
        // No step between two looks, unless somebody sets the clock at this very moment.
        assert!(
            two.boot_us.abs_diff(one.boot_us) < 1_000_000,
            "{one:?} {two:?}"
        );
    }
}
