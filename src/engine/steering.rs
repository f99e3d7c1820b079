//! How a person steers a run: orders come in, the pace goes out to the workers, each change is recorded.
//!
//! A change holds from a moment that is still to come, so that every worker knows of it by then: each
//! start is made, and judged, by one pace.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::clock::Clock;
use super::shutdown::{Stop, StopSwitch};
use crate::arrival::{Pace, PaceSetting, Schedule};
use crate::metrics::{Steered, Steering, SteeringAction};

/// What somebody wants of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Double the factor, up to [`FACTOR_MAX`].
    Faster,
    /// Halve it, down to its inverse.
    Slower,
    /// The factor is 1 again.
    AsPlanned,
    /// Pause arrivals, or go on with them.
    PauseOrResume,
    /// One step further to the end, as Ctrl-C.
    Further,
    /// Wind down.
    Stop,
    /// Cut off what is under way.
    StopNow,
}

/// Where orders are given; clones steer the same run.
#[derive(Clone, Debug)]
pub struct Helm {
    orders: mpsc::Sender<Order>,
    stop: StopSwitch,
}

/// What a run is told while it goes on.
#[derive(Debug)]
pub struct Controls {
    /// Ends it.
    pub stop: StopSwitch,
    orders: mpsc::Receiver<Order>,
}

impl Controls {
    /// A run's controls, and the helm that turns them.
    pub fn new(stop: StopSwitch) -> (Self, Helm) {
        let (sender, orders) = mpsc::channel(ORDERS_MAX);
        let helm = Helm {
            orders: sender,
            stop: stop.clone(),
        };
        (Self { stop, orders }, helm)
    }

    /// Only with a switch: nobody is at the helm.
    pub fn unsteered(stop: StopSwitch) -> Self {
        Self::new(stop).0
    }
}

impl Helm {
    /// Gives an order; never blocks. An end is in force at once, whatever else there is to do; more orders
    /// than a run can take in are dropped.
    pub fn give(&self, order: Order) {
        match order {
            Order::Further => self.stop.raise(),
            Order::Stop => self.stop.raise_by_hand_to(Stop::Winding),
            Order::StopNow => self.stop.raise_by_hand_to(Stop::Now),
            Order::Faster | Order::Slower | Order::AsPlanned | Order::PauseOrResume => {}
        }
        let _ = self.orders.try_send(order);
    }
}

/// The coordinator's side.
pub(super) struct Wheel {
    clock: Clock,
    stop: StopSwitch,
    orders: mpsc::Receiver<Order>,
    pace: watch::Sender<Arc<Pace>>,
    changes: watch::Sender<Vec<Steered>>,
    /// From an order to the moment from which on it holds.
    notice: Duration,
    /// A search has rates of its own: it can be ended, and nothing else.
    searches: bool,
}

impl Wheel {
    pub(super) fn new(controls: Controls, clock: Clock, searches: bool) -> Self {
        Self {
            clock,
            stop: controls.stop,
            orders: controls.orders,
            pace: watch::Sender::new(Arc::new(Pace::planned())),
            changes: watch::Sender::default(),
            notice: NOTICE,
            searches,
        }
    }

    /// Goes on with what was steered before this process led the run, and gives those who follow so much notice.
    pub(super) fn take_over(&mut self, pace: Pace, changes: Vec<Steered>, notice: Duration) {
        self.pace.send_replace(Arc::new(pace));
        self.changes.send_replace(changes);
        self.notice = notice;
    }

    /// All changes so far, now and from now on.
    pub(super) fn changes(&self) -> watch::Receiver<Vec<Steered>> {
        self.changes.subscribe()
    }

    /// For those who start devices.
    pub(super) fn follow(&self) -> watch::Receiver<Arc<Pace>> {
        self.pace.subscribe()
    }

    pub(super) fn pace(&self) -> Arc<Pace> {
        Arc::clone(&self.pace.borrow())
    }

    /// Waits for the next order that changes something, and carries it out.
    pub(super) async fn turn(&mut self) -> Steered {
        loop {
            let Some(order) = self.orders.recv().await else {
                std::future::pending().await
            };
            if let Some(change) = self.carry_out(order) {
                tracing::warn!(
                    at_s = change.at_s,
                    action = change.action.as_str(),
                    "steered: {}",
                    change.effect
                );
                self.changes
                    .send_modify(|changes| changes.push(change.clone()));
                return change;
            }
        }
    }

    fn carry_out(&mut self, order: Order) -> Option<Steered> {
        let before = self.pace.borrow().latest();
        let (action, wanted) = match order {
            Order::Faster => (SteeringAction::Rate, factor(before, before.factor * 2.0)),
            Order::Slower => (SteeringAction::Rate, factor(before, before.factor / 2.0)),
            Order::AsPlanned => (SteeringAction::Rate, factor(before, 1.0)),
            Order::PauseOrResume => {
                let paused = !before.paused;
                let action = if paused {
                    SteeringAction::Pause
                } else {
                    SteeringAction::Resume
                };
                (action, PaceSetting { paused, ..before })
            }
            Order::Further if self.stop.now() == Stop::Now => (SteeringAction::StopNow, before),
            Order::Further | Order::Stop => (SteeringAction::Stop, before),
            Order::StopNow => (SteeringAction::StopNow, before),
        };
        let moves = action.moves_the_schedule();
        let done = |change: &Steered| change.action == action;
        if !moves && self.changes.borrow().iter().any(done) {
            return None;
        }
        let mut at = self.clock.elapsed();
        if moves {
            if self.searches {
                tracing::warn!("not steered: a search has rates of its own");
                return None;
            }
            // Once it winds down, no device is due any more.
            if wanted == before || self.stop.now() != Stop::Running {
                return None;
            }
            at += self.notice;
            let mut pace = Pace::clone(&self.pace.borrow());
            if !pace.change(at, wanted) {
                tracing::warn!("not steered: a run takes no more changes");
                return None;
            }
            self.pace.send_replace(Arc::new(pace));
        }
        Some(Steered {
            at_s: at.as_secs_f64(),
            action,
            factor: wanted.factor,
            effect: effect(action, before, wanted),
        })
    }

    /// What holds now, for whoever looks at the run.
    pub(super) fn standing(&self, schedule: &Schedule) -> Steering {
        let (now, pace) = (self.clock.elapsed(), self.pace.borrow());
        let PaceSetting { factor, paused } = pace.setting(now);
        let shows = if schedule.model() == "open" {
            pace.open_shows(now)
        } else {
            pace.closed_shows(now)
        };
        let changes = self.changes.borrow().clone();
        let moved = changes
            .iter()
            .any(|change| change.action.moves_the_schedule());
        Steering {
            factor,
            paused,
            winding: self.stop.now() >= Stop::Winding,
            shows: moved.then_some(shows),
            changes,
        }
    }
}

fn factor(before: PaceSetting, factor: f64) -> PaceSetting {
    PaceSetting {
        factor: factor.clamp(1.0 / FACTOR_MAX, FACTOR_MAX),
        ..before
    }
}

fn effect(action: SteeringAction, before: PaceSetting, wanted: PaceSetting) -> String {
    let (from, to) = (before.factor, wanted.factor);
    match action {
        SteeringAction::Rate => format!(
            "rate ×{from} to ×{to}: open arrivals at {to} times the plan's rate, closed ones with {to} times its places"
        ),
        SteeringAction::Pause => "arrivals paused: no device becomes due".to_owned(),
        SteeringAction::Resume => format!("arrivals go on at ×{to}"),
        SteeringAction::Stop => "wind down: no device starts any more".to_owned(),
        SteeringAction::StopNow => "stop now: what is under way is cut off".to_owned(),
    }
}

/// The factor goes up to this, and down to its inverse.
pub const FACTOR_MAX: f64 = 16.0;

/// By when every thread and process of this machine knows of an order.
const NOTICE: Duration = Duration::from_millis(50);

/// Orders that wait to be carried out.
const ORDERS_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    fn wheel() -> (Wheel, Helm) {
        let (controls, helm) = Controls::new(StopSwitch::new());
        (
            Wheel::new(controls, Clock::starting_at(Instant::now()), false),
            helm,
        )
    }

    #[tokio::test]
    async fn orders_change_the_pace_from_a_moment_to_come_and_leave_a_record() {
        let (mut wheel, helm) = wheel();
        let follow = wheel.follow();
        for order in [
            Order::AsPlanned,
            Order::Faster,
            Order::PauseOrResume,
            Order::Slower,
            Order::PauseOrResume,
        ] {
            helm.give(order);
        }
        let mut words = Vec::new();
        for _ in 0..4 {
            let change = wheel.turn().await;
            words.push((change.action.as_str(), change.factor));
        }
        let expected = [
            ("rate", 2.0),
            ("pause", 2.0),
            ("rate", 1.0),
            ("resume", 1.0),
        ];
        assert_eq!(words, expected, "what changes nothing is no change");
        assert_eq!(follow.borrow().latest(), PaceSetting::PLANNED);
        let changes = wheel.changes.borrow();
        assert!(changes.is_sorted_by_key(|change| change.at_s));
        assert!(changes[0].at_s >= NOTICE.as_secs_f64());
    }

    #[tokio::test]
    async fn the_factor_stays_within_its_bounds() {
        let (mut wheel, _helm) = wheel();
        let factors = |order, wheel: &mut Wheel| {
            std::iter::from_fn(|| wheel.carry_out(order).map(|change| change.factor)).last()
        };
        assert_eq!(factors(Order::Faster, &mut wheel), Some(FACTOR_MAX));
        assert_eq!(factors(Order::Slower, &mut wheel), Some(1.0 / FACTOR_MAX));
    }

    #[tokio::test]
    async fn a_search_can_be_ended_and_not_steered() {
        let (mut wheel, _helm) = wheel();
        wheel.searches = true;
        for order in [Order::Faster, Order::Slower, Order::PauseOrResume] {
            assert_eq!(wheel.carry_out(order), None, "{order:?}");
        }
        assert!(wheel.carry_out(Order::Stop).is_some());
    }

    #[tokio::test]
    async fn an_end_is_in_force_at_once_and_nothing_is_steered_afterwards() {
        let (mut wheel, helm) = wheel();
        helm.give(Order::Stop);
        assert_eq!(wheel.stop.now(), Stop::Winding);
        assert!(wheel.stop.was_raised());
        assert_eq!(wheel.turn().await.action, SteeringAction::Stop);
        assert_eq!(wheel.carry_out(Order::Faster), None);
        helm.give(Order::StopNow);
        assert_eq!(wheel.stop.now(), Stop::Now);
        assert_eq!(wheel.turn().await.action, SteeringAction::StopNow);
    }
}
