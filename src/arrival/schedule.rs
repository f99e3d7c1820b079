//! The whole fleet's schedule: which arrival each device follows, and which of its devices it is.
//!
//! Devices that follow one arrival stand in one queue, in list order, and ordinals count within it.
//! Laid end to end, the queues number all devices; worker `w` of `n` takes `w, w + n, w + 2n …`, so
//! that it has its part of each queue.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::{Arrival, Closed, Due};
use crate::model::{CohortIx, DeviceIx, Shard, fnv};

/// A cohort, as a schedule sees it.
#[derive(Clone, Copy, Debug)]
pub struct Follower<'a> {
    /// Its name, which tells its chance from that of others.
    pub cohort: &'a str,
    /// Its own arrival, if it does not follow the shared one.
    pub own: Option<&'a Arrival>,
}

/// Where a device stands in its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartingPlace {
    /// Among the first ones, which are all where a run begins.
    Ahead,
    /// Behind those.
    Behind,
    /// Nowhere: it does not start.
    None,
}

/// When each device of a list has its turn.
#[derive(Clone, Debug)]
pub struct Schedule {
    queues: Vec<Queue>,
    /// For each cohort, the position of its queue.
    queue_of: Vec<usize>,
}

/// The devices that follow one arrival.
#[derive(Clone, Debug)]
pub struct Queue {
    arrival: Arrival,
    /// Those that start: first those ahead, then those behind, both in list order. `None`: the
    /// whole list.
    members: Option<Vec<DeviceIx>>,
    /// How many of the members are ahead.
    ahead: usize,
    len: u32,
    /// How many devices the queues before it have.
    before: u32,
    /// Which of the arrival's turns are theirs.
    stripe: Stripe,
}

/// Every so many-th turn of an arrival, from one on.
#[derive(Clone, Copy, Debug)]
struct Stripe {
    first: u32,
    step: u32,
}

impl Stripe {
    const WHOLE: Self = Self { first: 0, step: 1 };

    /// A shard's turns in a queue that stands behind so many devices.
    fn of(shard: Option<Shard>, before: u32) -> Self {
        shard.map_or(Self::WHOLE, |shard| Self {
            first: first_of(shard.position(), shard.of, before),
            step: shard.of,
        })
    }
}

/// The first ordinal in a queue behind so many devices that part `number` of `of` has.
fn first_of(number: u32, of: u32, before: u32) -> u32 {
    (number + of - before % of) % of
}

impl Schedule {
    /// Lines up the devices of a list that start, of which `cohort_of` has each one's cohort, and
    /// draws by the seed what is random in the arrivals. A shard has, of each arrival, every `of`-th turn
    /// that the whole list has: `place` is to leave the devices of others out.
    ///
    /// # Panics
    /// When there is no shared arrival for a cohort without its own: scenarios are checked before.
    pub fn new(
        shared: Option<&Arrival>,
        followers: &[Follower<'_>],
        cohort_of: &[u16],
        place: &dyn Fn(DeviceIx) -> StartingPlace,
        (seed, own): (u64, Option<Shard>),
    ) -> Self {
        let (arrivals, queue_of) = arrivals(shared, followers, seed);
        let mut members = vec![Vec::new(); arrivals.len()];
        let mut ahead = vec![0; arrivals.len()];
        let listed = || (0..).map(DeviceIx).zip(cohort_of);
        let all_ahead = || listed().all(|(ix, _)| place(ix) == StartingPlace::Ahead);
        let whole = arrivals.len() == 1 && all_ahead();
        if !whole {
            for wanted in [StartingPlace::Ahead, StartingPlace::Behind] {
                for (ix, cohort) in listed().filter(|(ix, _)| place(*ix) == wanted) {
                    let queue = queue_of[usize::from(*cohort)];
                    members[queue].push(ix);
                    ahead[queue] += usize::from(wanted == StartingPlace::Ahead);
                }
            }
        }
        let mut all = vec![0u32; arrivals.len()];
        for cohort in cohort_of {
            all[queue_of[usize::from(*cohort)]] += 1;
        }
        let (mut before, mut all_before) = (0, 0);
        let queues = arrivals
            .into_iter()
            .zip(all)
            .zip(members.into_iter().zip(ahead));
        let line_up = |(((mut arrival, seed), all), (members, ahead)): (_, (Vec<_>, usize))| {
            let len = if whole {
                all
            } else {
                u32::try_from(members.len()).expect("lists are shorter")
            };
            let stripe = Stripe::of(own, all_before);
            // A shard's last turn may be the list's.
            Arrival::draw(&mut arrival, seed, if own.is_some() { all } else { len });
            if let (Arrival::Closed(closed), Some(own)) = (&mut arrival, own) {
                *closed = closed.striped(own.position(), (stripe.first, stripe.step));
            }
            let queue = Queue {
                arrival,
                members: (!whole).then_some(members),
                ahead,
                len,
                before,
                stripe,
            };
            before += len;
            all_before += all;
            queue
        };
        Self {
            queues: queues.map(line_up).collect(),
            queue_of,
        }
    }

    /// The turn of a cohort's device.
    pub fn due(&self, cohort: CohortIx, device: DeviceIx) -> Due {
        let queue = self.queue(cohort);
        let ordinal = queue.ordinal(device);
        ordinal.map_or(Due::Never, |ordinal| queue.due(ordinal))
    }

    /// The queue that a cohort's devices stand in.
    pub fn queue(&self, cohort: CohortIx) -> &Queue {
        &self.queues[self.queue_of[cohort.get()]]
    }

    /// All queues, the shared one first, then those of cohorts in the scenario's order.
    pub fn queues(&self) -> &[Queue] {
        &self.queues
    }

    /// Worker `number` of `of` starts these devices of open queues, in the order in which they are
    /// due; those that have no turn come last. Closed queues hand their devices out as places come.
    pub fn turns(&self, number: u32, of: u32) -> Turns<'_> {
        let mut turns = Turns {
            queues: &self.queues,
            of,
            next: BinaryHeap::new(),
        };
        for (position, queue) in self.queues.iter().enumerate() {
            if matches!(queue.arrival, Arrival::Open(_)) {
                // The first of the worker's numbers that is not before the queue.
                let first = first_of(number, of, queue.before);
                turns.push(position, u64::from(first));
            }
        }
        turns
    }

    /// Which of `of` workers starts a cohort's device; `None`: it does not start.
    pub fn worker_of(&self, cohort: CohortIx, device: DeviceIx, of: u32) -> Option<u32> {
        let queue = self.queue(cohort);
        let ordinal = queue.ordinal(device)?;
        Some((queue.before % of + ordinal % of) % of)
    }

    /// How many devices have a turn.
    pub fn planned(&self) -> u32 {
        self.queues.iter().map(Queue::planned).sum()
    }

    /// How many devices of open arrivals are due before an offset; `None` when all are closed, where
    /// a device is due when a place is free.
    pub fn due_before(&self, offset: Duration) -> Option<u64> {
        let open = self.queues.iter().filter(|queue| queue.closed().is_none());
        let due = open
            .map(|queue| u64::from(queue.first(|due| !matches!(due, Due::At(at) if at < offset))));
        due.reduce(|sum, due| sum + due)
    }

    /// The length of the longest arrival's stages together, as far as it is known beforehand.
    pub fn span(&self) -> Duration {
        let spans = self.queues.iter().map(|queue| queue.arrival.span());
        spans.max().unwrap_or_default()
    }

    /// The same of open arrivals alone.
    pub fn open_span(&self) -> Duration {
        let open = self.queues.iter().filter(|queue| queue.closed().is_none());
        open.map(|queue| queue.arrival.span())
            .max()
            .unwrap_or_default()
    }

    /// How long it is meant to take; zero when nobody can tell. With `to_the_end`, devices stay
    /// until the stages are over.
    pub fn expected_span(&self, to_the_end: bool) -> Duration {
        let mut span = Duration::ZERO;
        for queue in &self.queues {
            let last = match queue.due(queue.planned().saturating_sub(1)) {
                Due::At(offset) => offset,
                Due::WhenFree if !to_the_end => return Duration::ZERO,
                Due::WhenFree | Due::Never => Duration::ZERO,
            };
            span = span.max(last);
        }
        if to_the_end {
            span = span.max(self.span());
        }
        span
    }

    /// Whether a cohort's devices have start lags to tell of: in the closed model a device is due when
    /// it starts, and where both models occur, its zeros would hide the lags of the others.
    pub fn can_lag(&self, cohort: CohortIx) -> bool {
        let mixed = self.queues.iter().any(|queue| queue.closed().is_none());
        !mixed || self.queue(cohort).closed().is_none()
    }

    /// The model's name in reports: `open` as soon as one arrival is, since starts can then be late.
    pub fn model(&self) -> &'static str {
        let open = |queue: &&Queue| matches!(queue.arrival, Arrival::Open(_));
        let shown = self.queues.iter().find(open).or(self.queues.first());
        shown.map_or("open", |queue| queue.arrival.model())
    }
}

impl Queue {
    /// The arrival that its devices follow.
    pub fn arrival(&self) -> &Arrival {
        &self.arrival
    }

    /// Its places over time, if it is a closed one.
    pub fn closed(&self) -> Option<&Closed> {
        match &self.arrival {
            Arrival::Open(_) => None,
            Arrival::Closed(closed) => Some(closed),
        }
    }

    /// The first ordinal that part `number` of `of` starts, of the devices of all queues laid end to end,
    /// and how many it starts: every `of`-th from there.
    pub fn part(&self, number: u32, of: u32) -> (u32, u32) {
        let first = first_of(number, of, self.before);
        (first, self.len.saturating_sub(first).div_ceil(of))
    }

    /// How many devices stand in it.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether nobody does.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The device of that ordinal.
    ///
    /// # Panics
    /// When the queue is shorter.
    pub fn device(&self, ordinal: u32) -> DeviceIx {
        assert!(ordinal < self.len, "the queue is shorter");
        match &self.members {
            None => DeviceIx(ordinal),
            Some(members) => members[ordinal as usize],
        }
    }

    /// The turn of that ordinal's device.
    fn due(&self, ordinal: u32) -> Due {
        match &self.arrival {
            Arrival::Open(open) => open.due(self.stripe.first + ordinal * self.stripe.step),
            // Striped already.
            Arrival::Closed(closed) => closed.due(ordinal),
        }
    }

    /// Where it stands, if it starts.
    fn ordinal(&self, device: DeviceIx) -> Option<u32> {
        match &self.members {
            None => Some(device.0),
            Some(members) => {
                let (ahead, behind) = members.split_at(self.ahead);
                let behind = || behind.binary_search(&device).map(|at| self.ahead + at);
                let found = ahead.binary_search(&device).or_else(|_| behind());
                found.ok().map(|found| found as u32)
            }
        }
    }

    /// How many of its devices have a turn.
    fn planned(&self) -> u32 {
        self.first(|due| due == Due::Never)
    }

    /// The first ordinal whose turn fulfils what all later ones' do as well.
    fn first(&self, fulfils: impl Fn(Due) -> bool) -> u32 {
        let (mut low, mut high) = (0, self.len);
        while low < high {
            let middle = low + (high - low) / 2;
            if fulfils(self.due(middle)) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        low
    }
}

/// The arrivals that devices follow, each with its chance, and for each cohort the position of its own.
fn arrivals(
    shared: Option<&Arrival>,
    followers: &[Follower<'_>],
    seed: u64,
) -> (Vec<(Arrival, u64)>, Vec<usize>) {
    let mut arrivals: Vec<(Arrival, u64)> = Vec::new();
    if followers.iter().any(|follower| follower.own.is_none()) {
        let shared = shared.expect("a cohort follows it");
        arrivals.push((shared.clone(), seed));
    }
    let queue_of = followers.iter().map(|follower| match follower.own {
        None => 0,
        Some(own) => {
            arrivals.push((own.clone(), seed ^ fnv(follower.cohort)));
            arrivals.len() - 1
        }
    });
    let queue_of = queue_of.collect();
    (arrivals, queue_of)
}

/// One worker's devices of open queues.
#[derive(Debug)]
pub struct Turns<'s> {
    queues: &'s [Queue],
    of: u32,
    /// Each queue's next: when it is due, the queue's position, its ordinal.
    next: BinaryHeap<Reverse<(Due, usize, u32)>>,
}

impl Turns<'_> {
    /// Puts a queue's next device among the others.
    fn push(&mut self, position: usize, ordinal: u64) {
        let queue = &self.queues[position];
        if ordinal < u64::from(queue.len) {
            let ordinal = ordinal as u32;
            let due = queue.due(ordinal);
            self.next.push(Reverse((due, position, ordinal)));
        }
    }
}

impl Iterator for Turns<'_> {
    type Item = (DeviceIx, Due);

    fn next(&mut self) -> Option<Self::Item> {
        let Reverse((due, position, ordinal)) = self.next.pop()?;
        self.push(position, u64::from(ordinal) + u64::from(self.of));
        Some((self.queues[position].device(ordinal), due))
    }
}

#[cfg(test)]
mod tests;
