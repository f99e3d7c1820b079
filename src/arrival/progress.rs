//! A closed schedule on its way: its stages follow the clock and the devices that have started.

use std::time::Duration;

use super::closed::{Closed, StageEnd};

/// Where a closed schedule stands. Times are offsets from the start of the run.
#[derive(Clone, Debug)]
pub struct Progress {
    closed: Closed,
    /// How many devices there are.
    devices: u32,
    /// The ordinal of the next.
    next: u32,
    /// The stage's position; as many as there are: all are over.
    stage: usize,
    /// When the stage began, and how many have started in it.
    since: Duration,
    started: u32,
}

impl Progress {
    /// The beginning, for so many devices.
    pub fn new(closed: Closed, devices: u32) -> Self {
        let mut progress = Self {
            closed,
            devices,
            next: 0,
            stage: 0,
            since: Duration::ZERO,
            started: 0,
        };
        progress.settle(Duration::ZERO);
        progress
    }

    /// Goes on to the stage that holds now.
    pub fn settle(&mut self, now: Duration) {
        while let Some(stage) = self.closed.stages().get(self.stage) {
            let over = match stage.end {
                StageEnd::After(length) => Some(self.since + length).filter(|end| *end <= now),
                StageEnd::Started(count) if self.started >= count => Some(now),
                StageEnd::Started(_) => Some(now).filter(|_| !self.has_left()),
            };
            let Some(over) = over else { return };
            self.stage += 1;
            self.since = over;
            self.started = 0;
        }
    }

    /// Starts the next device; its ordinal. `None`: nobody is left.
    pub fn start(&mut self, now: Duration) -> Option<u32> {
        let ordinal = self.pass_over()?;
        self.started += 1;
        self.settle(now);
        Some(ordinal)
    }

    /// The ordinal of the next device, which is not to start.
    pub fn pass_over(&mut self) -> Option<u32> {
        let ordinal = self.next;
        self.next += u32::from(self.has_left());
        (self.next > ordinal).then_some(ordinal)
    }

    /// Whether a device has not had its turn yet.
    pub fn has_left(&self) -> bool {
        self.next < self.devices
    }

    /// The places that the stage gives; `None`: the stages are over, and the list is truncated.
    pub fn places(&self) -> Option<u32> {
        match self.closed.stages().get(self.stage) {
            Some(stage) => Some(stage.concurrency),
            None => self.closed.places_after(),
        }
    }

    /// When the stage is over, if the clock decides.
    pub fn ends_at(&self) -> Option<Duration> {
        match self.closed.stages().get(self.stage)?.end {
            StageEnd::After(length) => Some(self.since + length),
            StageEnd::Started(_) => None,
        }
    }

    /// Whether all stages are over.
    pub fn is_over(&self) -> bool {
        self.stage == self.closed.stages().len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::closed::ClosedStage;
    use super::*;

    const fn lasting(seconds: u64, concurrency: u32) -> ClosedStage {
        ClosedStage {
            end: StageEnd::After(Duration::from_secs(seconds)),
            concurrency,
        }
    }

    const fn counting(count: u32, concurrency: u32) -> ClosedStage {
        ClosedStage {
            end: StageEnd::Started(count),
            concurrency,
        }
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn places_follow_the_stages_and_then_the_last() {
        let closed = Closed::new(vec![lasting(10, 5), lasting(10, 20)], false);
        for (now, places) in [(0, 5), (9, 5), (10, 20), (19, 20), (500, 20)] {
            let mut progress = Progress::new(closed.clone(), 1_000);
            progress.settle(at(now));
            assert_eq!(progress.places(), Some(places), "at {now} s");
        }
    }

    #[test]
    fn a_truncated_schedule_has_an_end() {
        let mut progress = Progress::new(Closed::new(vec![lasting(10, 5)], true), 1_000);
        assert_eq!(progress.ends_at(), Some(at(10)));
        progress.settle(at(10));
        assert_eq!(progress.places(), None);
        assert!(progress.is_over());
    }

    #[test]
    fn a_stage_by_count_gives_way_to_the_next_as_its_last_device_starts() {
        let stages = vec![counting(3, 5), lasting(10, 1)];
        let mut progress = Progress::new(Closed::new(stages, false), 1_000);
        progress.settle(at(70));
        for n in 0..3 {
            assert_eq!(progress.places(), Some(5));
            assert_eq!(progress.start(at(70)), Some(n));
        }
        assert_eq!(
            (progress.places(), progress.ends_at()),
            (Some(1), Some(at(80)))
        );
    }

    #[test]
    fn a_stage_by_count_does_not_wait_for_devices_that_are_not_there() {
        let stages = vec![counting(3, 5), counting(1, 1), lasting(10, 1)];
        let mut progress = Progress::new(Closed::new(stages, false), 2);
        assert_eq!(progress.start(at(1)), Some(0));
        assert_eq!(progress.ends_at(), None);
        assert_eq!(progress.start(at(2)), Some(1));
        assert_eq!(progress.ends_at(), Some(at(12)));
        assert_eq!(progress.start(at(2)), None);
    }

    proptest! {
        #[test]
        fn a_truncated_schedule_of_counts_starts_just_the_devices_that_are_planned(
            counts in prop::collection::vec((1u32..50, 1u32..5), 1..6), devices in 0u32..200,
        ) {
            let stages = counts.iter().map(|(count, places)| counting(*count, *places));
            let closed = Closed::new(stages.collect(), true);
            let planned = (0..devices).filter(|n| closed.due(*n) == super::super::Due::WhenFree);
            let mut progress = Progress::new(closed.clone(), devices);
            let mut started = 0;
            while progress.places().is_some() && progress.start(at(1)).is_some() {
                started += 1;
            }
            prop_assert_eq!(planned.count(), started);
            prop_assert!(progress.is_over() || !progress.has_left());
        }
    }
}
