//! When a run winds down, when it is cut off, and what its end is made of.

use std::time::Duration;

use tokio::time::Instant;

use super::clock::Clock;
use super::crew::Crew;
use super::fleet::Fleet;
use super::shutdown::{Stop, StopSwitch};
use super::usage;
use crate::arrival::Pace;
use crate::metrics::{Aborted, Aggregate, Ending};

/// When the run winds down, and when its grace is over.
pub(super) struct Course {
    clock: Clock,
    pub(super) stop: StopSwitch,
    /// Devices that stay go on until the stages are over, here those of open arrivals by their own clock;
    /// without them there is nothing to wait for.
    end: Option<Duration>,
    grace: Duration,
    workers: usize,
    /// Those that start devices.
    processes: usize,
    /// The embedded target has threads of this process.
    with_target: bool,
    pub(super) started: usize,
    /// All stages of closed queues are over.
    pub(super) places_final: bool,
    pub(super) winding: bool,
    dropped: u64,
    /// The threshold that ended it.
    aborted: Option<Aborted>,
    /// When grace is over, once winding.
    cut: Option<Instant>,
}

impl Course {
    pub(super) fn new(fleet: &Fleet, clock: Clock, stop: StopSwitch, crew: &Crew) -> Self {
        let plan = &fleet.plan;
        let end = plan.stays().then(|| fleet.schedule.open_span());
        Self {
            clock,
            stop,
            end,
            grace: plan.limits.grace,
            workers: crew.workers,
            processes: crew.processes,
            with_target: crew.with_target,
            started: 0,
            // Places of processes are theirs.
            places_final: crew.links.is_some(),
            winding: false,
            dropped: 0,
            aborted: None,
            cut: None,
        }
    }

    /// A worker has started all its devices, but for those that it had to drop; how many those are by now.
    pub(super) fn all_started(&mut self, dropped: u64) -> u64 {
        self.started += 1;
        self.dropped += dropped;
        self.dropped
    }

    /// Since the start of the run.
    pub(super) fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    /// Of so many workers of a process that died, all devices have to be looked at again.
    pub(super) fn start_again(&mut self, workers: usize, dropped: u64) {
        self.started -= workers;
        self.dropped -= dropped;
    }

    /// Resolves when the next step is to be taken: winding down, or cutting off.
    pub(super) async fn next_step(&self, pace: &Pace) {
        if let Some(cut) = self.cut {
            tokio::time::sleep_until(cut).await;
        } else if self.winding || self.started < self.workers {
            std::future::pending::<()>().await;
        } else if let Some(end) = self.end {
            match pace.open_at(end).filter(|_| self.places_final) {
                Some(end) => tokio::time::sleep_until(self.clock.at(end)).await,
                // Until places or pace change.
                None => std::future::pending().await,
            }
        }
    }

    pub(super) fn take_step(&mut self) {
        if self.cut.take().is_some() {
            self.stop.raise_to(Stop::Now);
        } else {
            self.stop.raise_to(Stop::Winding);
        }
    }

    /// Winds the run down when it cannot pass any more, and says by which threshold.
    pub(super) fn gives_up(
        &mut self,
        aggregate: &Aggregate,
        elapsed: Duration,
    ) -> Option<&Aborted> {
        if self.winding || self.aborted.is_some() {
            return None;
        }
        self.aborted = aggregate.hopeless(elapsed);
        let by = self.aborted.as_ref()?;
        tracing::warn!("{}", by.words());
        self.stop.raise_to(Stop::Winding);
        Some(by)
    }

    /// `memory`: what the other processes of the run took at most, in bytes.
    pub(super) fn ending(self, elapsed: Duration, cpu: Duration, memory: u64) -> Ending {
        Ending {
            elapsed,
            interrupted: self.stop.was_raised(),
            aborted: self.aborted,
            search: None,
            dropped: self.dropped,
            cpu_s: cpu.as_secs_f64(),
            peak_rss_bytes: usage::peak_rss_bytes() + memory,
            workers: self.workers,
            processes: self.processes,
            generator_includes_target: self.with_target,
        }
    }

    pub(super) fn wound_down(&mut self) {
        self.winding = true;
        self.cut = Some(Instant::now() + self.grace);
    }
}
