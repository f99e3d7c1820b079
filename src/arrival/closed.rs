//! The closed model: so many devices are brought up at a time; the next waits for a free place.

use std::time::Duration;

use super::Due;

/// One stretch of a closed schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClosedStage {
    /// When it is over.
    pub end: StageEnd,
    /// Devices being brought up at a time, ≥ 1.
    pub concurrency: u32,
}

/// What ends a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StageEnd {
    /// Its length.
    After(Duration),
    /// So many devices have started in it, ≥ 1, or nobody is left to start.
    Started(u32),
}

/// How much of `n` is that process's, as even as it goes.
#[must_use]
pub fn part(n: u32, number: u32, of: u32) -> u32 {
    let up_to = |number: u32| u64::from(n) * u64::from(number) / u64::from(of);
    u32::try_from(up_to(number + 1) - up_to(number)).expect("no more than the whole")
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

    /// The part of process `number` of `of`: the parts' places and counts add up to the whole's. A
    /// stage with fewer places than processes leaves some of them none.
    #[must_use]
    pub fn part(&self, number: u32, of: u32) -> Self {
        let part = |n: u32| part(n, number, of);
        let stages = self.stages.iter().map(|stage| ClosedStage {
            end: match stage.end {
                StageEnd::Started(count) => StageEnd::Started(part(count)),
                after @ StageEnd::After(_) => after,
            },
            concurrency: part(stage.concurrency),
        });
        Self {
            stages: stages.collect(),
            truncate: self.truncate,
        }
    }

    /// What is left of it where only the devices `first, first + step …` start, by machine `number` of
    /// `step`: the places are shared as among processes, and a stage's count is that of the devices
    /// which it starts of these.
    #[must_use]
    pub fn striped(&self, number: u32, (first, step): (u32, u32)) -> Self {
        let up_to = |n: u64| n.saturating_sub(u64::from(first)).div_ceil(u64::from(step));
        let mut before = 0u64;
        let stages = self.stages.iter().map(|stage| ClosedStage {
            end: match stage.end {
                StageEnd::Started(count) => {
                    let skipped = up_to(before);
                    before += u64::from(count);
                    let own = up_to(before) - skipped;
                    StageEnd::Started(u32::try_from(own).expect("no more than the whole"))
                }
                after @ StageEnd::After(_) => after,
            },
            concurrency: part(stage.concurrency, number, step),
        });
        Self {
            stages: stages.collect(),
            truncate: self.truncate,
        }
    }

    /// The turn of the n-th device (from 0): known beforehand only where the stages start a number
    /// of devices and no more.
    pub fn due(&self, n: u32) -> Due {
        let counted = self.stages.iter().map(|stage| match stage.end {
            StageEnd::After(_) => None,
            StageEnd::Started(count) => Some(u64::from(count)),
        });
        match counted.sum::<Option<u64>>() {
            Some(all) if self.truncate && u64::from(n) >= all => Due::Never,
            _ => Due::WhenFree,
        }
    }

    /// The stages.
    pub fn stages(&self) -> &[ClosedStage] {
        &self.stages
    }

    /// The places once the stages are over; `None`: no device starts any more.
    pub fn places_after(&self) -> Option<u32> {
        let last = self.stages.last().filter(|_| !self.truncate);
        last.map(|stage| stage.concurrency)
    }

    /// The length of all stages together; those that end by count have none beforehand.
    pub fn span(&self) -> Duration {
        let length = |stage: &ClosedStage| match stage.end {
            StageEnd::After(length) => length,
            StageEnd::Started(_) => Duration::ZERO,
        };
        self.stages.iter().map(length).sum()
    }

    /// Whether [`Self::span`] is all there is.
    pub fn is_timed(&self) -> bool {
        let timed = |stage: &ClosedStage| matches!(stage.end, StageEnd::After(_));
        self.stages.iter().all(timed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(truncate: bool, more: Option<StageEnd>) -> Closed {
        let ends = [StageEnd::Started(20), StageEnd::Started(30)];
        let stages = ends.into_iter().chain(more).map(|end| ClosedStage {
            end,
            concurrency: 5,
        });
        Closed::new(stages.collect(), truncate)
    }

    #[test]
    fn a_truncated_schedule_of_counts_has_turns_for_just_so_many() {
        assert_eq!(counted(true, None).due(49), Due::WhenFree);
        assert_eq!(counted(true, None).due(50), Due::Never);
        assert_eq!(counted(false, None).due(50), Due::WhenFree);
    }

    #[test]
    fn nobody_knows_how_many_devices_a_stage_of_time_starts() {
        let second = StageEnd::After(Duration::from_secs(1));
        assert_eq!(counted(true, Some(second)).due(50), Due::WhenFree);
    }
}
