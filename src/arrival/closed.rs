//! The closed model: so many devices are brought up at a time; the next waits for a free place.

use std::time::Duration;

/// One stretch of a closed schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClosedStage {
    /// Its length.
    pub duration: Duration,
    /// Devices being brought up at a time, ≥ 1.
    pub concurrency: u32,
}

/// The stages of a closed schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    stages: Vec<ClosedStage>,
    truncate: bool,
}

impl Closed {
    /// A schedule of at least one stage. With `truncate` no device starts after the last stage;
    /// else the list goes on with the last stage's places.
    ///
    /// # Panics
    /// Without a stage: scenarios are checked before.
    pub fn new(stages: Vec<ClosedStage>, truncate: bool) -> Self {
        assert!(!stages.is_empty(), "a schedule needs a stage");
        Self { stages, truncate }
    }

    /// The places at this offset from the start; `None` when the schedule is over.
    pub fn places(&self, at: Duration) -> Option<u32> {
        let mut end = Duration::ZERO;
        for stage in &self.stages {
            end += stage.duration;
            if at < end {
                return Some(stage.concurrency);
            }
        }
        let last = self
            .stages
            .last()
            .expect("checked by new: there is a stage");
        (!self.truncate).then_some(last.concurrency)
    }

    /// The highest number of places in any stage.
    pub fn most_places(&self) -> u32 {
        self.stages
            .iter()
            .map(|stage| stage.concurrency)
            .max()
            .unwrap_or(0)
    }

    /// The offsets at which the number of places changes, in order.
    pub fn changes(&self) -> impl Iterator<Item = Duration> + '_ {
        self.stages.iter().scan(Duration::ZERO, |end, stage| {
            *end += stage.duration;
            Some(*end)
        })
    }

    /// The length of all stages together.
    pub fn span(&self) -> Duration {
        self.stages.iter().map(|stage| stage.duration).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn stage(seconds: u64, concurrency: u32) -> ClosedStage {
        ClosedStage {
            duration: Duration::from_secs(seconds),
            concurrency,
        }
    }

    #[test]
    fn places_follow_the_stages_and_then_the_last() {
        let closed = Closed::new(vec![stage(10, 5), stage(10, 20)], false);
        for (at, places) in [(0, 5), (9, 5), (10, 20), (19, 20), (500, 20)] {
            assert_eq!(
                closed.places(Duration::from_secs(at)),
                Some(places),
                "at {at} s"
            );
        }
    }

    #[test]
    fn a_truncated_schedule_has_an_end() {
        let closed = Closed::new(vec![stage(10, 5)], true);
        assert_eq!(closed.places(Duration::from_secs(10)), None);
    }
}
