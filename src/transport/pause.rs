//! How long a device waits before it asks anew for what it was refused.

use std::time::Duration;

/// Waits that double, from a second to half a minute.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pause {
    failures: u32,
}

impl Pause {
    /// The next wait.
    pub(super) fn next(&mut self) -> Duration {
        let wait = FIRST * (1 << self.failures.min(DOUBLINGS));
        self.failures = self.failures.saturating_add(1);
        wait
    }

    /// It was not refused: the next wait is the first again.
    pub(super) fn end(&mut self) {
        self.failures = 0;
    }
}

const FIRST: Duration = Duration::from_secs(1);

const DOUBLINGS: u32 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_begin_anew() {
        let mut pause = Pause::default();
        let waits: Vec<_> = (0..8).map(|_| pause.next().as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 32, 32]);
        pause.end();
        assert_eq!(pause.next(), FIRST);
    }
}
