//! How many devices may be brought up at a time: a bound for all, and each closed queue's own load.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use super::clock::Clock;
use super::fleet::Fleet;
use super::shards::Portion;
use crate::arrival::{Pace, PaceSetting, Progress, Queue, part};

/// The places, shared by all workers.
#[derive(Clone, Debug)]
pub(super) struct Places {
    /// `limits.in_flight`.
    bound: Arc<Semaphore>,
    /// One for each closed queue, by the queue's position.
    gates: Vec<(usize, Arc<Gate>)>,
}

/// What a device holds from its start until it is brought up.
#[derive(Debug)]
pub(super) struct Place {
    /// Given back first: whoever waits for the pass needs it, too.
    _bound: OwnedSemaphorePermit,
    /// In the closed model.
    _pass: Option<Pass>,
}

impl Places {
    /// The places that the plan gives.
    pub(super) fn new(
        fleet: &Fleet,
        clock: Clock,
        pace: &watch::Receiver<Arc<Pace>>,
        portion: Portion,
    ) -> Self {
        let queues = fleet.schedule.queues().iter().enumerate();
        let gate = |(n, queue): (usize, &Queue)| {
            let gate = Gate::new(queue, clock, pace.clone(), portion)?;
            Some((n, Arc::new(gate)))
        };
        let bound = part(fleet.plan.limits.in_flight, portion.number, portion.of);
        Self {
            bound: Arc::new(Semaphore::new(bound.max(1) as usize)),
            gates: queues.filter_map(gate).collect(),
        }
    }

    /// The gates of closed queues, by the queues' positions.
    pub(super) fn gates(&self) -> &[(usize, Arc<Gate>)] {
        &self.gates
    }

    /// A place for a device of an open queue, or for one that passed its queue's gate.
    pub(super) async fn take(&self, pass: Option<Pass>) -> Place {
        let bound = Arc::clone(&self.bound).acquire_owned().await;
        Place {
            _bound: bound.expect("nobody closes it"),
            _pass: pass,
        }
    }

    /// Follows all closed queues' stages; returns when the last one is over.
    pub(super) async fn follow(&self) {
        let mut gates = JoinSet::new();
        for (_, gate) in &self.gates {
            let gate = Arc::clone(gate);
            gates.spawn(async move { gate.follow().await });
        }
        gates.join_all().await;
    }

    /// Lets those who wait for a place look again whenever another pace begins to hold. Never returns.
    pub(super) async fn heed(&self, clock: Clock, mut pace: watch::Receiver<Arc<Pace>>) {
        while pace.changed().await.is_ok() {
            let next = || pace.borrow().next_change(clock.elapsed());
            while let Some(at) = next() {
                tokio::time::sleep_until(clock.at(at)).await;
            }
            for (_, gate) in &self.gates {
                gate.look.notify_one();
            }
        }
        std::future::pending::<()>().await;
    }
}

/// A closed queue's entrance: hands out its devices as places are free, whichever worker asks.
#[derive(Debug)]
pub(super) struct Gate {
    /// Of the queue's ordinals the first and how far it is to the next.
    turns: (u32, u32),
    state: Mutex<State>,
    clock: Clock,
    pace: watch::Receiver<Arc<Pace>>,
    /// A waiting worker may look again. One is woken at a time, and wakes the next if there is
    /// more for it.
    look: Notify,
    /// A stage ended by its count.
    staged: Notify,
}

#[derive(Debug)]
struct State {
    progress: Progress,
    in_use: u32,
}

/// What asking for a place comes to.
enum Asked {
    Passed(u32),
    Full,
    /// The stages are over, or nobody is left.
    Shut,
}

impl Gate {
    fn new(
        queue: &Queue,
        clock: Clock,
        pace: watch::Receiver<Arc<Pace>>,
        portion: Portion,
    ) -> Option<Self> {
        let Portion { number, of } = portion;
        let (first, devices) = queue.part(number, of);
        let progress = Progress::new(queue.closed()?.part(number, of), devices);
        let state = State {
            progress,
            in_use: 0,
        };
        Some(Self {
            turns: (first, of),
            state: Mutex::new(state),
            clock,
            pace,
            look: Notify::new(),
            staged: Notify::new(),
        })
    }

    /// The ordinal of the next device that may start, as soon as one may; `None` when no other
    /// will. A device belongs to whoever got its pass, and must be started or written off.
    pub(super) async fn pass(self: &Arc<Self>) -> Option<(u32, Pass)> {
        loop {
            let asked = self.ask();
            if !matches!(asked, Asked::Full) {
                self.look.notify_one();
            }
            match asked {
                Asked::Passed(ordinal) => {
                    return Some((self.of_the_queue(ordinal), Pass(Arc::clone(self))));
                }
                Asked::Full => self.look.notified().await,
                Asked::Shut => return None,
            }
        }
    }

    /// The next device that is not to start.
    pub(super) fn pass_over(&self) -> Option<u32> {
        let passed = self.state().progress.pass_over();
        passed.map(|ordinal| self.of_the_queue(ordinal))
    }

    /// An ordinal among the whole queue's. Processes are dealt its devices in turn.
    fn of_the_queue(&self, ordinal: u32) -> u32 {
        let (first, step) = self.turns;
        first + ordinal * step
    }

    fn ask(&self) -> Asked {
        let (now, setting) = self.now();
        let mut state = self.state();
        state.progress.settle(now);
        let (Some(places), true) = (state.progress.places(), state.progress.has_left()) else {
            return Asked::Shut;
        };
        if state.in_use >= places_at(places, setting) {
            return Asked::Full;
        }
        let before = state.progress.ends_at();
        let Some(ordinal) = state.progress.start(now) else {
            return Asked::Shut;
        };
        state.in_use += 1;
        if state.progress.ends_at() != before || state.progress.is_over() {
            self.staged.notify_one();
        }
        Asked::Passed(ordinal)
    }

    /// What the schedule's clock shows now, and what somebody set.
    fn now(&self) -> (Duration, PaceSetting) {
        let (now, pace) = (self.clock.elapsed(), self.pace.borrow());
        (pace.closed_shows(now), pace.setting(now))
    }

    /// Wakes waiting workers as the places change; returns when the stages are over.
    async fn follow(&self) {
        let mut pace = self.pace.clone();
        loop {
            let ends_at = {
                let (now, _) = self.now();
                let mut state = self.state();
                state.progress.settle(now);
                let over = state.progress.is_over();
                (!over).then(|| state.progress.ends_at())
            };
            self.look.notify_one();
            let Some(ends_at) = ends_at else { return };
            let ends_at = ends_at.and_then(|shows| pace.borrow_and_update().closed_at(shows));
            let next = async {
                match ends_at {
                    Some(at) => tokio::time::sleep_until(self.clock.at(at)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = next => {}
                () = self.staged.notified() => {}
                Ok(()) = pace.changed() => {}
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while holding it")
    }
}

/// Places at a pace: at least one, none in a pause.
fn places_at(planned: u32, setting: PaceSetting) -> u32 {
    if setting.paused {
        return 0;
    }
    #[expect(clippy::cast_sign_loss, reason = "factors are positive")]
    let scaled = (f64::from(planned) * setting.factor).round() as u32;
    scaled.max(1)
}

/// A device's leave to start; its place is free again once this is dropped.
#[derive(Debug)]
pub(super) struct Pass(Arc<Gate>);

impl Drop for Pass {
    fn drop(&mut self) {
        self.0.state().in_use -= 1;
        self.0.look.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_scaled_and_there_is_always_one_but_in_a_pause() {
        let places = |planned, factor, paused| places_at(planned, PaceSetting { factor, paused });
        assert_eq!(places(10, 1.0, false), 10);
        assert_eq!(places(10, 2.0, false), 20);
        assert_eq!(places(3, 0.5, false), 2);
        assert_eq!(places(3, 0.0625, false), 1);
        assert_eq!(places(10, 2.0, true), 0);
    }
}
