//! What keeps a worker at work: the hold that each of its living devices has on it.

use std::future::poll_fn;
use std::ops::Deref;
use std::rc::Rc;

use super::departures::{SeatIx, Waiting};
use super::worker::Worker;

/// A living device's hold on its worker; given back however the device ends, panics included.
pub(super) struct Alive {
    worker: Rc<Worker>,
    seat: SeatIx,
}

impl Alive {
    pub(super) fn new(worker: Rc<Worker>) -> Self {
        worker.living.set(worker.living.get() + 1);
        let seat = worker.departures.seat();
        Self { worker, seat }
    }

    /// The worker itself, for what outlives the device.
    pub(super) fn shared(&self) -> &Rc<Worker> {
        &self.worker
    }

    /// A hold of its own for something beside the device.
    pub(super) fn again(&self) -> Self {
        Self::new(Rc::clone(&self.worker))
    }

    /// Waits for its turn to leave, once the run winds down. Cancel-safe.
    pub(super) fn turn(&self) -> Waiting<'_> {
        self.departures.turn(self.seat)
    }

    /// Resolves once the run cuts off whatever is in flight.
    pub(super) fn cut_off(&self) -> impl Future<Output = ()> {
        poll_fn(|cx| self.departures.poll_cut_off(self.seat, cx))
    }
}

impl Deref for Alive {
    type Target = Worker;

    fn deref(&self) -> &Worker {
        &self.worker
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.departures.give_back(self.seat);
        self.living.set(self.living.get() - 1);
        if self.living.get() == 0 {
            self.emptied.notify_one();
        }
    }
}
