//! Times of this process's threads, by `/proc/self/task/*/stat` and `schedstat`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::metrics::{ThreadTimes, Whose};

/// The threads that are told apart: workers, and those of an embedded target.
pub(super) fn threads() -> Vec<ThreadTimes> {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else {
        return Vec::new();
    };
    // A thread may end while it is looked at.
    tasks
        .filter_map(|task| thread(&task.ok()?.path()))
        .collect()
}

fn thread(task: &Path) -> Option<ThreadTimes> {
    let stat = fs::read_to_string(task.join("stat")).ok()?;
    let (name, ticks) = name_and_ticks(&stat)?;
    let whose = whose(name)?;
    let schedstat = fs::read_to_string(task.join("schedstat")).ok();
    let times = schedstat.as_deref().and_then(ran_and_waited);
    Some(ThreadTimes {
        whose,
        // The scheduler's own count is finer than ticks.
        ran: times.map_or(ticks, |(ran, _)| ran),
        waited: times.map(|(_, waited)| waited),
    })
}

fn whose(name: &str) -> Option<Whose> {
    if let Some(number) = name.strip_prefix("worker-") {
        return number.parse().ok().map(Whose::Worker);
    }
    name.starts_with("target-").then_some(Whose::Target)
}

/// The name, which may hold anything, and user and system time (fields 14 and 15).
fn name_and_ticks(stat: &str) -> Option<(&str, Duration)> {
    let (before, rest) = stat.rsplit_once(')')?;
    let (_, name) = before.split_once('(')?;
    let mut fields = rest.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    let ticks = ticks()?.checked_add(ticks()?)?;
    Some((name, Duration::from_millis(ticks.checked_mul(TICK_MS)?)))
}

/// Nanoseconds on a core, and ready without one.
fn ran_and_waited(schedstat: &str) -> Option<(Duration, Duration)> {
    let mut fields = schedstat.split_whitespace();
    let mut span = || fields.next()?.parse().ok().map(Duration::from_nanos);
    Some((span()?, span()?))
}

/// Linux tells user space of hundredths of a second, whatever its own tick.
const TICK_MS: u64 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "24011 (worker-3) R 24007 24007 20215 0 -1 4194304 127 0 0 0 250 31 0 0 20 0 \
        1 0 151095 3133440 381 18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0\n";

    #[test]
    fn a_threads_name_and_times_are_read() {
        let ms = Duration::from_millis;
        assert_eq!(name_and_ticks(STAT), Some(("worker-3", ms(2_810))));
        let nanos = Duration::from_nanos;
        let read = ran_and_waited("535436 12 1\n");
        assert_eq!(read, Some((nanos(535_436), nanos(12))));
    }

    #[test]
    fn a_name_may_hold_anything() {
        let stat = STAT.replace("worker-3", "a) R (b 1 2");
        let (name, ticks) = name_and_ticks(&stat).unwrap();
        assert_eq!((name, ticks.as_millis()), ("a) R (b 1 2", 2_810));
    }

    #[test]
    fn hostile_texts_are_nothing_and_no_panic() {
        for text in [
            "",
            ")",
            "()",
            "1 (x) R",
            "1 (x) R 1 2 3 4 5 6 7 8 9 10 a b",
            ") (",
            "\0",
        ] {
            assert_eq!(name_and_ticks(text), None, "{text:?}");
        }
        let huge = STAT.replace("250 31", "18446744073709551615 18446744073709551615");
        assert_eq!(name_and_ticks(&huge), None);
        for text in ["", "1", "-1 2 3", "1 x", "99999999999999999999 1 1"] {
            assert_eq!(ran_and_waited(text), None, "{text:?}");
        }
    }

    #[test]
    fn workers_and_the_target_are_known_by_their_names() {
        assert_eq!(whose("worker-0"), Some(Whose::Worker(0)));
        assert_eq!(whose("worker-1023"), Some(Whose::Worker(1_023)));
        assert_eq!(whose("target-1"), Some(Whose::Target));
        for other in [
            "worker-",
            "worker--1",
            "worker-1x",
            "fleetcall",
            "targets",
            "",
        ] {
            assert_eq!(whose(other), None, "{other}");
        }
    }

    #[test]
    fn this_process_is_read_as_it_is() {
        let (ended, end) = std::sync::mpsc::channel::<()>();
        let named = std::thread::Builder::new().name("worker-77".to_owned());
        let thread = named.spawn(move || end.recv()).unwrap();
        // A new thread names itself: it may not have got so far.
        let found = loop {
            let mine = |times: &&ThreadTimes| times.whose == Whose::Worker(77);
            if let Some(times) = threads().iter().find(mine) {
                break *times;
            }
        };
        assert!(found.waited.is_some(), "Linux with CONFIG_SCHED_INFO");
        drop(ended);
        thread.join().unwrap().unwrap_err();
    }
}
