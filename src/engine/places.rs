//! How many devices may be brought up at a time: the open model's bound, the closed model's load.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::clock::Clock;
use crate::arrival::Arrival;
use crate::scenario::Plan;

/// The places, shared by all workers; a device holds one from its start until it is brought up.
#[derive(Clone, Debug)]
pub(super) struct Places {
    semaphore: Arc<Semaphore>,
}

impl Places {
    /// The places that the plan gives at the start.
    pub(super) fn new(plan: &Plan) -> Self {
        let bound = plan.limits.in_flight;
        let first = match &plan.arrival {
            Arrival::Open(_) => bound,
            Arrival::Closed(closed) => closed
                .places(std::time::Duration::ZERO)
                .unwrap_or(0)
                .min(bound),
        };
        Self {
            semaphore: Arc::new(Semaphore::new(first as usize)),
        }
    }

    pub(super) fn semaphore(&self) -> Arc<Semaphore> {
        Arc::clone(&self.semaphore)
    }

    /// Follows a closed schedule's stages; returns when the last one began, or at the end of a
    /// truncated schedule, after which there is no place left to take.
    pub(super) async fn follow(&self, plan: &Plan, clock: Clock) {
        let Arrival::Closed(closed) = &plan.arrival else {
            return;
        };
        let mut places = closed.places(std::time::Duration::ZERO).unwrap_or(0);
        for change in closed.changes() {
            tokio::time::sleep_until(clock.at(change)).await;
            let Some(wanted) = closed.places(change) else {
                self.semaphore.close();
                return;
            };
            let (now, next) = (
                places.min(plan.limits.in_flight),
                wanted.min(plan.limits.in_flight),
            );
            places = wanted;
            self.semaphore
                .add_permits(next.saturating_sub(now) as usize);
            for _ in next..now {
                // One at a time: waiting for several at once would hold every start back.
                if let Ok(permit) = self.semaphore.acquire().await {
                    permit.forget();
                }
            }
        }
    }
}
