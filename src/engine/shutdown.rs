//! How a run is told to stop. The caller raises the switch; everything else only looks at it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// How far a run has come towards its end. Only ever grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Stop {
    /// Devices start when they are due.
    Running,
    /// No new starts; what is in flight has the scenario's grace.
    Winding,
    /// Whatever is still in flight is cut off.
    Now,
}

/// The one switch of a run; clones turn the same one.
#[derive(Clone, Debug)]
pub struct StopSwitch(Arc<Switch>);

#[derive(Debug)]
struct Switch {
    stop: watch::Sender<Stop>,
    asked: AtomicBool,
}

impl StopSwitch {
    /// A switch that says `Running`.
    pub fn new() -> Self {
        Self(Arc::new(Switch {
            stop: watch::Sender::new(Stop::Running),
            asked: AtomicBool::new(false),
        }))
    }

    /// One step further, because a person or a signal asks for it: what a Ctrl-C means.
    pub fn raise(&self) {
        self.0.asked.store(true, Ordering::Relaxed);
        self.0.stop.send_modify(|stop| {
            *stop = if *stop == Stop::Running {
                Stop::Winding
            } else {
                Stop::Now
            };
        });
    }

    /// At least so far, because a person asks for it.
    pub fn raise_by_hand_to(&self, least: Stop) {
        self.0.asked.store(true, Ordering::Relaxed);
        self.raise_to(least);
    }

    /// At least so far, by the run's own course.
    pub fn raise_to(&self, least: Stop) {
        self.0.stop.send_if_modified(|stop| {
            let raised = *stop < least;
            *stop = least.max(*stop);
            raised
        });
    }

    /// Whether the run was interrupted: somebody raised the switch.
    pub fn was_raised(&self) -> bool {
        self.0.asked.load(Ordering::Relaxed)
    }

    /// For watching it.
    pub fn subscribe(&self) -> watch::Receiver<Stop> {
        self.0.stop.subscribe()
    }

    /// Where it stands.
    pub fn now(&self) -> Stop {
        *self.0.stop.borrow()
    }
}

impl Default for StopSwitch {
    fn default() -> Self {
        Self::new()
    }
}

/// Resolves once the switch stands at `least` or further.
pub async fn reached(stop: &mut watch::Receiver<Stop>, least: Stop) {
    // A dropped switch means that nobody can stop the run any more: wait for ever.
    if stop.wait_for(|now| *now >= least).await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_switch_only_ever_goes_on() {
        let switch = StopSwitch::new();
        switch.raise_to(Stop::Running);
        assert!(!switch.was_raised());
        switch.raise();
        assert_eq!(switch.now(), Stop::Winding);
        assert!(switch.was_raised());
        switch.raise_to(Stop::Winding);
        switch.raise();
        assert_eq!(switch.now(), Stop::Now);
        switch.raise_to(Stop::Winding);
        switch.raise();
        assert_eq!(switch.now(), Stop::Now);
    }
}
