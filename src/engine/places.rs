//! How many devices may be brought up at a time: a bound for all, and each closed queue's own load.

use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use super::clock::Clock;
use super::fleet::Fleet;
use crate::arrival::{Progress, Queue};

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
    pub(super) fn new(fleet: &Fleet, clock: Clock) -> Self {
        let queues = fleet.schedule.queues().iter().enumerate();
        let gate = |(n, queue): (usize, &Queue)| Some((n, Arc::new(Gate::new(queue, clock)?)));
        Self {
            bound: Arc::new(Semaphore::new(fleet.plan.limits.in_flight as usize)),
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
}

/// A closed queue's entrance: hands out its devices as places are free, whichever worker asks.
#[derive(Debug)]
pub(super) struct Gate {
    state: Mutex<State>,
    clock: Clock,
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
    fn new(queue: &Queue, clock: Clock) -> Option<Self> {
        let progress = Progress::new(queue.closed()?.clone(), queue.len());
        let state = State {
            progress,
            in_use: 0,
        };
        Some(Self {
            state: Mutex::new(state),
            clock,
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
                    return Some((ordinal, Pass(Arc::clone(self))));
                }
                Asked::Full => self.look.notified().await,
                Asked::Shut => return None,
            }
        }
    }

    /// The next device that is not to start.
    pub(super) fn pass_over(&self) -> Option<u32> {
        self.state().progress.pass_over()
    }

    fn ask(&self) -> Asked {
        let now = self.clock.elapsed();
        let mut state = self.state();
        state.progress.settle(now);
        let (Some(places), true) = (state.progress.places(), state.progress.has_left()) else {
            return Asked::Shut;
        };
        if state.in_use >= places {
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

    /// Wakes waiting workers as the places change; returns when the stages are over.
    async fn follow(&self) {
        loop {
            let ends_at = {
                let mut state = self.state();
                state.progress.settle(self.clock.elapsed());
                let over = state.progress.is_over();
                (!over).then(|| state.progress.ends_at())
            };
            self.look.notify_one();
            let Some(ends_at) = ends_at else { return };
            let next = async {
                match ends_at {
                    Some(at) => tokio::time::sleep_until(self.clock.at(at)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = next => {}
                () = self.staged.notified() => {}
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while holding it")
    }
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
