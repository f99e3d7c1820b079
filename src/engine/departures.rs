//! Who of a worker's devices leaves, and when: those that wait for nothing else a few at a time once
//! the run winds down, and all that are left at once when it is cut off.
//!
//! Nothing in here leaves the worker's thread. A living device has a seat, which is all that it
//! costs to be called: waiting allocates nothing and takes no lock.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// The living devices of a worker, and whose turn it is to leave.
#[derive(Debug, Default)]
pub(super) struct Departures {
    seats: RefCell<Vec<Seat>>,
    /// Seats that nobody has.
    vacant: RefCell<Vec<SeatIx>>,
    /// Once the run winds down, those who wait, the next one first; a seat is in it once at most.
    queue: RefCell<VecDeque<SeatIx>>,
    /// Turns that nobody has; `None` before the run winds down.
    turns: Cell<Option<usize>>,
    cut_off: Cell<bool>,
}

/// A living device's place among the seats.
pub(super) type SeatIx = u32;

#[derive(Debug, Default)]
struct Seat {
    /// The device's task, from its first wait on.
    waker: Option<Waker>,
    standing: Standing,
    queued: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Standing {
    #[default]
    Busy,
    /// For its turn.
    Waits,
    /// It has its turn, and does not know yet.
    Called,
}

impl Departures {
    /// A seat for a device that begins to live, to be [given back](Self::give_back).
    pub(super) fn seat(&self) -> SeatIx {
        if let Some(seat) = self.vacant.borrow_mut().pop() {
            return seat;
        }
        let mut seats = self.seats.borrow_mut();
        seats.push(Seat::default());
        SeatIx::try_from(seats.len() - 1).expect("there are fewer devices")
    }

    /// A device has ended.
    pub(super) fn give_back(&self, seat: SeatIx) {
        // Not dropped while the seats are borrowed.
        let _waker = self.seats.borrow_mut()[seat as usize].waker.take();
        self.vacant.borrow_mut().push(seat);
    }

    /// The run winds down: from now on, so many devices leave at a time.
    pub(super) fn wind_down(&self, at_a_time: usize) {
        self.turns.set(Some(0));
        for (seat, ix) in self.seats.borrow_mut().iter_mut().zip(0..) {
            seat.queued = seat.standing == Standing::Waits;
            if seat.queued {
                self.queue.borrow_mut().push_back(ix);
            }
        }
        for _ in 0..at_a_time {
            self.pass_on();
        }
    }

    /// Whoever is still there has its end now.
    pub(super) fn cut_off(&self) {
        self.cut_off.set(true);
        for waker in self.seats.borrow().iter().filter_map(|s| s.waker.as_ref()) {
            waker.wake_by_ref();
        }
    }

    pub(super) fn is_cut_off(&self) -> bool {
        self.cut_off.get()
    }

    /// Whether the run is cut off; the device's task is woken once it is.
    pub(super) fn poll_cut_off(&self, seat: SeatIx, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_cut_off() {
            return Poll::Ready(());
        }
        self.seats.borrow_mut()[seat as usize].wake_by(cx);
        Poll::Pending
    }

    /// Waits for a device's turn to leave. Cancel-safe.
    pub(super) fn turn(&self, seat: SeatIx) -> Waiting<'_> {
        Waiting {
            departures: self,
            seat,
        }
    }

    /// A turn is free, for the next who waits or who comes.
    fn pass_on(&self) {
        let mut seats = self.seats.borrow_mut();
        while let Some(next) = self.queue.borrow_mut().pop_front() {
            let seat = &mut seats[next as usize];
            seat.queued = false;
            if let (Standing::Waits, Some(waker)) = (seat.standing, &seat.waker) {
                seat.standing = Standing::Called;
                waker.wake_by_ref();
                return;
            }
        }
        self.turns.set(self.turns.get().map(|free| free + 1));
    }
}

impl Seat {
    /// A task has one waker as long as it lives: this is nearly always but a comparison.
    fn wake_by(&mut self, cx: &Context<'_>) {
        match &mut self.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
    }
}

/// A device that waits for its turn to leave.
pub(super) struct Waiting<'a> {
    departures: &'a Departures,
    seat: SeatIx,
}

impl<'a> Future for Waiting<'a> {
    type Output = Turn<'a>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Turn<'a>> {
        let departures = self.departures;
        let seat = &mut departures.seats.borrow_mut()[self.seat as usize];
        let free = departures.turns.get();
        if seat.standing == Standing::Called {
            seat.standing = Standing::Busy;
            return Poll::Ready(Turn(departures));
        }
        if let Some(left) = free.and_then(|free| free.checked_sub(1)) {
            seat.standing = Standing::Busy;
            departures.turns.set(Some(left));
            return Poll::Ready(Turn(departures));
        }
        seat.wake_by(cx);
        seat.standing = Standing::Waits;
        if free.is_some() && !seat.queued {
            seat.queued = true;
            departures.queue.borrow_mut().push_back(self.seat);
        }
        Poll::Pending
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let seat = self.seat as usize;
        let before = std::mem::take(&mut self.departures.seats.borrow_mut()[seat].standing);
        if before == Standing::Called {
            self.departures.pass_on();
        }
    }
}

/// Leave to leave; the next one's once this is dropped.
pub(super) struct Turn<'a>(&'a Departures);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.pass_on();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::Wake;

    use super::*;

    /// A task that counts how often it is woken.
    #[derive(Default)]
    struct Task(AtomicU32);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn poll<'a>(task: &Arc<Task>, waiting: &mut Waiting<'a>) -> Poll<Turn<'a>> {
        let waker = Waker::from(Arc::clone(task));
        Pin::new(waiting).poll(&mut Context::from_waker(&waker))
    }

    fn woken(task: &Arc<Task>) -> u32 {
        task.0.swap(0, Ordering::Relaxed)
    }

    fn three() -> (Departures, [SeatIx; 3], [Arc<Task>; 3]) {
        let departures = Departures::default();
        let seats = [(); 3].map(|()| departures.seat());
        (departures, seats, Default::default())
    }

    #[test]
    fn those_who_wait_leave_one_after_another_once_the_run_winds_down() {
        let (departures, seats, tasks) = three();
        let mut waiting = seats.map(|seat| departures.turn(seat));
        for (task, waiting) in tasks.iter().zip(&mut waiting) {
            assert!(poll(task, waiting).is_pending());
        }
        departures.wind_down(1);
        assert_eq!(tasks.each_ref().map(woken), [1, 0, 0]);
        assert!(poll(&tasks[1], &mut waiting[1]).is_pending());
        let first = poll(&tasks[0], &mut waiting[0]);
        assert!(first.is_ready());
        assert_eq!(tasks.each_ref().map(woken), [0, 0, 0]);
        drop(first);
        assert_eq!(tasks.each_ref().map(woken), [0, 1, 0]);
        drop(poll(&tasks[1], &mut waiting[1]));
        drop(poll(&tasks[2], &mut waiting[2]));
        assert_eq!(departures.turns.get(), Some(1));
    }

    #[test]
    fn who_was_busy_is_passed_over_and_has_its_turn_when_it_waits() {
        let (departures, seats, tasks) = three();
        let mut first = departures.turn(seats[0]);
        assert!(poll(&tasks[0], &mut first).is_pending());
        drop(first);
        departures.wind_down(1);
        assert_eq!(woken(&tasks[0]), 0, "it waits no more");
        let held = poll(&tasks[1], &mut departures.turn(seats[1]));
        assert!(held.is_ready());
        // In and out of the queue, in which it is once at most.
        for _ in 0..3 {
            let mut again = departures.turn(seats[0]);
            assert!(poll(&tasks[0], &mut again).is_pending());
        }
        assert_eq!(departures.queue.borrow().len(), 1);
        drop(held);
        assert_eq!(woken(&tasks[0]), 0);
        assert!(poll(&tasks[0], &mut departures.turn(seats[0])).is_ready());
    }

    #[test]
    fn a_turn_that_comes_too_late_for_its_device_is_the_next_ones() {
        let (departures, seats, tasks) = three();
        let mut waiting = seats.map(|seat| Some(departures.turn(seat)));
        for (task, waiting) in tasks.iter().zip(&mut waiting) {
            assert!(poll(task, waiting.as_mut().unwrap()).is_pending());
        }
        departures.wind_down(1);
        waiting[0] = None;
        assert_eq!(tasks.each_ref().map(woken), [1, 1, 0]);
        departures.give_back(seats[0]);
        assert!(poll(&tasks[1], waiting[1].as_mut().unwrap()).is_ready());
    }

    #[test]
    fn a_cut_off_wakes_every_device_that_lives_and_no_other() {
        let (departures, seats, tasks) = three();
        for (seat, task) in seats.iter().zip(&tasks) {
            let waker = Waker::from(Arc::clone(task));
            let mut cx = Context::from_waker(&waker);
            assert!(departures.poll_cut_off(*seat, &mut cx).is_pending());
        }
        departures.give_back(seats[1]);
        departures.cut_off();
        assert_eq!(tasks.each_ref().map(woken), [1, 0, 1]);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(departures.poll_cut_off(seats[0], &mut cx).is_ready());
        assert_eq!(departures.seat(), seats[1], "seats are given anew");
    }

    #[test]
    fn a_seat_stays_small() {
        assert!(size_of::<Seat>() <= 24);
    }
}
