//! A single server with a fixed time for each request, as an order of departures: who comes while
//! another is served waits for all before. It holds nothing: who waits is the transport's business,
//! and how many may is its `pending` limit.

use std::time::Duration;

use tokio::time::Instant;

/// When the server is free.
#[derive(Debug, Default)]
pub(super) struct Queue {
    free: Option<Instant>,
}

impl Queue {
    /// How long after its arrival the next request leaves, at `rate` requests per second.
    pub(super) fn enter(&mut self, now: Instant, rate: f64) -> Duration {
        let service = Duration::try_from_secs_f64(1.0 / rate).unwrap_or(LONGEST);
        let begun = self.free.map_or(now, |free| free.max(now));
        let left = begun + service.min(LONGEST);
        // A queue of more than a day is one of a day: the sum of times stays far from overflow.
        let left = left.min(now + LONGEST);
        self.free = Some(left);
        left - now
    }
}

const LONGEST: Duration = Duration::from_hours(24);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn requests_leave_one_after_another_and_an_idle_server_saves_nothing_up() {
        let (now, ms) = (Instant::now(), Duration::from_millis);
        let mut queue = Queue::default();
        let waits = [0, 0, 0, 5, 1000, 1000].map(|at| queue.enter(now + ms(at), 100.0));
        assert_eq!(waits, [10, 20, 30, 35, 10, 20].map(ms));
    }

    #[tokio::test]
    async fn a_server_that_hardly_serves_is_no_overflow() {
        let mut queue = Queue::default();
        let now = Instant::now();
        for _ in 0..3 {
            assert!(queue.enter(now, f64::MIN_POSITIVE) <= LONGEST);
        }
    }
}
