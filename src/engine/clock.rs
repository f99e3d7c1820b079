//! The run's clock: offsets from its start on one side, instants and exact waiting on the other.

use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::{Duration, SystemTime};

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;

use super::usage;

/// When the run began; copied to every worker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    origin: Instant,
    /// The same on the wall clock, in milliseconds since 1970. It is read once: what the wall clock
    /// is set to later moves no device's time.
    unix_ms: i64,
}

impl Clock {
    /// A clock whose offset 0 is `origin`.
    pub(super) fn starting_at(origin: Instant) -> Self {
        let now = Instant::now();
        // One that takes another's place begins in the past.
        let (ahead, behind) = (
            origin.saturating_duration_since(now),
            now.saturating_duration_since(origin),
        );
        let wall = SystemTime::now() + ahead - behind;
        let since = wall.duration_since(SystemTime::UNIX_EPOCH);
        Self {
            origin,
            unix_ms: millis(since.unwrap_or_default()),
        }
    }

    /// An instant of the run on the wall clock, in milliseconds since 1970.
    pub(super) fn unix_ms(self, at: Instant) -> i64 {
        let since = at.saturating_duration_since(self.origin);
        self.unix_ms.saturating_add(millis(since))
    }

    pub(super) fn at(self, offset: Duration) -> Instant {
        self.origin + offset
    }

    /// How long after the start of the run an instant is.
    pub(super) fn offset(self, at: Instant) -> Duration {
        at.saturating_duration_since(self.origin)
    }

    pub(super) fn elapsed(self) -> Duration {
        self.origin.elapsed()
    }
}

/// A moment of the machine's monotonic clock. One that is past is as it was: what has been due since
/// is late.
pub(super) fn instant(monotonic: Duration) -> Instant {
    let (now, here) = (usage::monotonic(), Instant::now());
    let past = here.checked_sub(now.saturating_sub(monotonic));
    past.unwrap_or(here) + monotonic.saturating_sub(now)
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// A timer for starts. Tokio's own goes by whole milliseconds, which would make every start of an
/// open schedule up to 1 ms late, and every response time with it.
pub(super) struct Alarm(AsyncFd<Timer>);

impl Alarm {
    /// One file descriptor, on the current runtime.
    #[expect(
        unsafe_code,
        reason = "tokio has no safe way to watch a descriptor of another crate"
    )]
    pub(super) fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = Timer(TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?);
        // SAFETY: `Timer` owns its descriptor, gives out the same one each time, and closes it
        // only when it is dropped, which is after `AsyncFd` has let go of it.
        Ok(Self(unsafe {
            AsyncFd::register_with_interest(timer, Interest::READABLE)?
        }))
    }

    /// Returns when it is `at`. Cancel-safe: the next call sets the timer anew.
    pub(super) async fn until(&self, at: Instant) -> io::Result<()> {
        loop {
            let wait = at.saturating_duration_since(Instant::now());
            if wait.is_zero() {
                return Ok(());
            }
            let once = Expiration::OneShot(TimeSpec::from_duration(wait));
            self.0.get_ref().0.set(once, TimerSetTimeFlags::empty())?;
            let mut ready = self.0.readable().await?;
            // Setting the timer takes back what it had expired before.
            ready.clear_ready();
        }
    }
}

struct Timer(TimerFd);

impl AsRawFd for Timer {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_instant_is_found_on_the_wall_clock() {
        let clock = Clock::starting_at(Instant::now() + Duration::from_hours(2));
        let start = clock.unix_ms(clock.at(Duration::ZERO));
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let ahead = start - millis(now.unwrap());
        // Two hours, less what passed since.
        assert!((7_000_000..=7_200_000).contains(&ahead), "{ahead}");
        assert_eq!(
            clock.unix_ms(clock.at(Duration::from_secs(5))),
            start + 5000
        );
    }

    #[tokio::test]
    async fn an_alarm_never_rings_early_even_after_one_that_was_given_up() {
        let alarm = Alarm::new().unwrap();
        let soon = Instant::now() + Duration::from_millis(1);
        tokio::select! {
            biased;
            () = std::future::ready(()) => {}
            _ = alarm.until(soon) => {}
        }
        tokio::time::sleep_until(soon + Duration::from_millis(2)).await;
        let later = Instant::now() + Duration::from_millis(5);
        alarm.until(later).await.unwrap();
        assert!(Instant::now() >= later);
    }
}
