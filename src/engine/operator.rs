//! An operator at work: has pushes made over the REST API when they are due, for the devices of its
//! worker, so that both ends of a push are on one clock.
//!
//! Bounded: so many requests under way at a time, so many that wait; what finds no room is counted
//! as skipped. No push is sent twice.

use std::cell::{Cell, RefCell};
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::rc::{Rc, Weak};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;

use super::clock::Alarm;
use super::fleet::Fleet;
use super::pushes::{self, Account, Pushes, Verdict};
use super::shutdown::{Stop, reached};
use super::worker::Worker;
use crate::dialect::numbered;
use crate::inventory::Speaker;
use crate::metrics::DownlinkCounts;
use crate::model::{Cause, CohortIx, DeviceIx, FaultKind, Phase};
use crate::rest::{Begun, Client, Once, Push};
use crate::scenario::{PushKind, PushPlan};

/// One for each worker of a run with pushes.
pub(super) struct Operator {
    client: Client,
    /// The next push of each kind to each device.
    turns: RefCell<BinaryHeap<Reverse<Turn>>>,
    joined: Notify,
    /// Requests that may be under way.
    places: Semaphore,
    waiting: Cell<u32>,
    /// How long an answer may take, on top of what a call may.
    patience: Duration,
}

/// A push of one kind that is to come for a device.
struct Turn {
    due: Instant,
    /// Its kind's position in the plan.
    push: usize,
    /// How many of its kind came before it.
    nth: u32,
    /// Whom behind the device it is for, if that is a gateway.
    sub: Option<u32>,
    to: Weak<Pushes>,
}

impl Operator {
    /// The operator of one of so many workers, if the fleet has pushes; asks nothing yet.
    pub(super) fn of(fleet: &Fleet, workers: u32) -> Option<Rc<Self>> {
        let (server, plan) = (fleet.rest.as_ref()?, fleet.plan.rest.as_ref()?);
        Some(Rc::new(Self {
            client: Client::new(server.clone()).expect("tried before the run"),
            turns: RefCell::default(),
            joined: Notify::new(),
            places: Semaphore::new(plan.connections.div_ceil(workers).max(1) as usize),
            waiting: Cell::new(0),
            patience: fleet.plan.limits.answer_timeout,
        }))
    }

    /// A device is live. Returns where its pushes meet it, if it gets any.
    pub(super) fn join(self: &Rc<Self>, worker: &Rc<Worker>, ix: DeviceIx) -> Option<Rc<Pushes>> {
        let fleet = &worker.fleet;
        let origin = worker.clock.unix_ms(worker.clock.at(Duration::ZERO));
        let gateway = fleet.cohort(ix).gateway.as_ref();
        let behind = gateway.map(|plan| plan.devices);
        let device = Pushes::new(ix, fleet.cohort_ix(ix), origin, behind);
        // To a gateway itself nothing is pushed.
        let mut all: Vec<_> = match behind {
            None => vec![None],
            Some(behind) => (0..behind).map(Some).collect(),
        };
        all.retain(|sub| self.plan_turns(worker, &device, *sub));
        if all.is_empty() {
            return None;
        }
        self.joined.notify_one();
        let (operator, worker) = (Rc::clone(self), Rc::clone(worker));
        let asked = Rc::clone(&device);
        // Before its first push is due, if there is time. What goes wrong shows then.
        tokio::task::spawn_local(async move {
            for sub in all {
                let _place = operator.places.acquire().await;
                if asked.has_ended() || *worker.stop.borrow() != Stop::Running {
                    break;
                }
                let _ = operator.id(&worker, &asked, sub).await;
            }
        });
        Some(device)
    }

    /// Plans the first push of each kind to a device, or to one behind it. Whether it gets any.
    fn plan_turns(&self, worker: &Worker, device: &Rc<Pushes>, sub: Option<u32>) -> bool {
        let fleet = &worker.fleet;
        let Some(name) = fleet.name_of(device.ix, sub) else {
            return false;
        };
        let (now, mut any) = (worker.clock.elapsed(), false);
        for (push, plan) in fleet.plan.pushes.iter().enumerate() {
            let schedule = &plan.schedule;
            let first = schedule
                .strikes(&name)
                .then(|| schedule.first_from(&name, now));
            if let Some(nth) = first.flatten()
                && let Some(due) = schedule.due(&name, nth)
            {
                any = true;
                self.turns.borrow_mut().push(Reverse(Turn {
                    due: worker.clock.at(due),
                    push,
                    nth,
                    sub,
                    to: Rc::downgrade(device),
                }));
            }
        }
        any
    }

    /// Has each push made when it is due, until the run winds down.
    pub(super) async fn work(self: Rc<Self>, worker: Rc<Worker>) {
        let alarm = Alarm::new().expect("limits were checked: a timer needs one file");
        let mut winding = worker.stop.clone();
        loop {
            let next = self.turns.borrow().peek().map(|Reverse(turn)| turn.due);
            let ring = async {
                match next {
                    Some(due) => alarm.until(due).await.expect("a timer of our own"),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = reached(&mut winding, Stop::Winding) => return,
                () = self.joined.notified() => {}
                () = ring => self.take_turn(&worker),
            }
        }
    }

    fn take_turn(self: &Rc<Self>, worker: &Rc<Worker>) {
        let Some(Reverse(turn)) = self.turns.borrow_mut().pop() else {
            return;
        };
        let Some(device) = turn.to.upgrade().filter(|device| !device.has_ended()) else {
            return;
        };
        let plan = &worker.fleet.plan.pushes[turn.push];
        let name = worker.fleet.name_of(device.ix, turn.sub);
        if let (Some(nth), Some(name)) = (turn.nth.checked_add(1), name)
            && let Some(due) = plan.schedule.due(&name, nth)
        {
            let due = worker.clock.at(due);
            self.turns.borrow_mut().push(Reverse(Turn {
                due,
                nth,
                ..turn.clone()
            }));
        }
        let room = self.waiting.get() < WAITING_LIMIT;
        let added = room.then(|| device.add(turn.sub, plan.kind, turn.due, plan.timeout));
        let Some((number, begun)) = added.flatten() else {
            let mut counts = DownlinkCounts::default();
            let pushes = pushes::pushes(&mut counts, plan.kind);
            (pushes.due, pushes.skipped) = (1, 1);
            worker
                .recorder
                .borrow_mut()
                .downlink(device.cohort, &counts);
            return;
        };
        self.waiting.set(self.waiting.get() + 1);
        let (operator, worker) = (Rc::clone(self), Rc::clone(worker));
        tokio::task::spawn_local(async move {
            let verdict = operator.make(&worker, &turn, &device, number, &begun).await;
            let Some((verdict, done)) = verdict else {
                return;
            };
            let account = device.answered(number, &verdict);
            worker.account(device.cohort, &account);
            if let Some((due, begun)) = account.round_trip {
                worker.sample(device.ix, Phase::RpcRoundTrip, due, begun, done);
            }
        });
    }

    /// Makes a push when there is a place for its request: what the server made of it, and when
    /// that was known. `None` when it is counted elsewhere.
    async fn make(
        &self,
        worker: &Worker,
        turn: &Turn,
        device: &Pushes,
        number: u64,
        begun: &Begun,
    ) -> Option<(Verdict, Instant)> {
        let place = self.places.acquire().await;
        self.waiting.set(self.waiting.get() - 1);
        let _place = place.ok()?;
        // Who winds down begins nothing; the device counts it when it ends.
        if *worker.stop.borrow() != Stop::Running || !device.ask(number) {
            return None;
        }
        let plan = &worker.fleet.plan.pushes[turn.push];
        let id = match self.id(worker, device, turn.sub).await {
            Ok(id) => id,
            Err(kind) => return Some((Verdict::NotSent(kind), Instant::now())),
        };
        let Some(push) = message(worker, plan, (device.ix, turn.sub), turn.nth, number) else {
            let unusable = Verdict::NotSent(FaultKind::PayloadUnusable);
            return Some((unusable, Instant::now()));
        };
        let patience = match plan.kind {
            PushKind::Attributes => self.patience,
            PushKind::Rpc | PushKind::RpcOneway => self.patience + plan.timeout,
        };
        let once = self.client.push(&id, &push, patience, begun).await;
        let done = once.done;
        Some((verdict(once), done))
    }

    /// The id on the server of the device, or of one behind it, asked for once.
    async fn id(
        &self,
        worker: &Worker,
        device: &Pushes,
        sub: Option<u32>,
    ) -> Result<Rc<str>, FaultKind> {
        let found = device.id_of(sub).get_or_try_init(|| async {
            let name = worker.fleet.name_of(device.ix, sub);
            let name = name.ok_or(FaultKind::PayloadUnusable)?;
            match self.client.device_named(&name).await {
                Ok(Some(found)) => Ok(Rc::from(found.id.as_str())),
                Ok(None) => Err(FaultKind::HttpStatus(404)),
                Err(error) => Err(error.kind()),
            }
        });
        found.await.map(Rc::clone)
    }
}

impl Worker {
    /// Records what became of a push.
    pub(super) fn account(&self, cohort: CohortIx, account: &Account) {
        let mut recorder = self.recorder.borrow_mut();
        recorder.downlink(cohort, &account.counts);
        for (phase, kind) in &account.troubles {
            recorder.phase_error(cohort, *phase);
            recorder.error(Cause::At(*phase, *kind));
        }
    }
}

/// What is sent to a device; `None` when its payload has no value.
fn message(
    worker: &Worker,
    plan: &PushPlan,
    (ix, sub): (DeviceIx, Option<u32>),
    nth: u32,
    number: u64,
) -> Option<Push> {
    let sent = worker.clock.unix_ms(Instant::now());
    let name = worker.fleet.name_of(ix, sub)?;
    let speaker = Speaker {
        inventory: &worker.fleet.inventory,
        ix,
        name: &name,
        sub,
    };
    let object = plan.payload.at(&speaker, nth, sent).ok()?;
    let object = numbered(std::str::from_utf8(&object).ok()?, number)?;
    Some(match plan.kind {
        PushKind::Attributes => Push::Attributes(object),
        kind => Push::Rpc {
            two_way: kind == PushKind::Rpc,
            method: plan.method.clone(),
            params: object,
            timeout: plan.timeout,
        },
    })
}

/// What an answer says of the push. Servers say 408 and 504 of calls that they passed on and nobody
/// answered; other statuses below 500 and 503 are a no. What else went wrong may have happened after
/// the push.
fn verdict(once: Once) -> Verdict {
    match once.answer {
        Ok((status, body)) if status.is_success() => Verdict::Taken(body.to_vec()),
        Ok((status, _)) => {
            let kind = FaultKind::HttpStatus(status.as_u16());
            match status.as_u16() {
                408 | 504 => Verdict::Unanswered(kind),
                ..500 | 503 => Verdict::Refused(kind),
                _ => Verdict::Unknown(kind),
            }
        }
        Err(kind) if once.sent.is_none() => Verdict::NotSent(kind),
        Err(kind) => Verdict::Unknown(kind),
    }
}

impl Clone for Turn {
    fn clone(&self) -> Self {
        Self {
            to: Weak::clone(&self.to),
            ..*self
        }
    }
}

impl PartialEq for Turn {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Turn {}

impl PartialOrd for Turn {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Turn {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.due, self.push, self.nth).cmp(&(other.due, other.push, other.nth))
    }
}

/// Pushes that may wait for a place; more would only ever be late.
const WAITING_LIMIT: u32 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_a_push_to_come_stays_small() {
        // One for each kind of push and each device, also of those behind gateways.
        assert!(size_of::<Turn>() <= 48, "{}", size_of::<Turn>());
    }
}
