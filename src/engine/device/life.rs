//! The life of a provisioned device: its next message, answer, attempt, nap or event, whichever is
//! first, and what it hears in between.

use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::super::shutdown::Stop;
use super::idle::Idle;
use super::{Attributes, Device, InFlight, Newcomer, SENT_IN_VAIN};
use crate::life::{Awake, Duty, Event, EventKind};
use crate::metrics::ReconnectCounts;
use crate::model::{FaultKind, Phase, Protocol};
use crate::scenario::TelemetryPlan;

/// Where a device stands.
pub(super) struct Course {
    /// When it was ready for its first message: the anchor of all others.
    ready: Instant,
    /// When it was done with the step before.
    free: Instant,
    /// The next message's number.
    next: u32,
    /// The last event that had its turn: its moment and number. Boxed, as few runs have events.
    past: Option<Box<(Duration, u32)>>,
    /// Of devices that sleep.
    nap: Option<Box<Nap>>,
}

/// Where a device stands that sleeps and wakes.
struct Nap {
    asleep: bool,
    /// The anchor of the messages of this time awake.
    anchor: Instant,
    /// How many of them have had their turn.
    said: u32,
    /// The number of the next wake-up.
    wakes: u32,
}

/// What a device does next.
#[derive(Clone, Copy)]
enum Step {
    Message,
    Reply,
    Call,
    Attempt,
    Wake,
    Sleep,
    Event,
}

impl<'a> Device<'a> {
    /// Comes to life, and does whatever is due until the run winds down.
    pub(super) async fn live_on(&mut self, newcomer: Box<Newcomer>) {
        // Boxed, so that a long-living device does not keep the room of its first second.
        let Some(mut course) = Box::pin(self.bring_up(newcomer)).await else {
            return;
        };
        let worker = self.worker;
        let (mut winding, mut heard) = (false, 0);
        while !self.stranded && course.next < u32::MAX {
            course.free = Instant::now();
            // Who winds down has no more to say: its turn to leave is still to come.
            let step = if winding {
                None
            } else {
                self.next_step(&course)
            };
            let (step, due) = match step {
                Some((step, due)) => (Some(step), due),
                None => (None, Instant::now() + NOTHING_DUE),
            };
            let mut idle = {
                let (mut turn, mut timer) = (worker.turn(), pin!(sleep_until(due)));
                poll_fn(|cx| self.poll_idle(due, (&mut turn, timer.as_mut()), cx)).await
            };
            if matches!(idle, Idle::Renews) {
                idle = Box::pin(self.renew(due)).await;
            }
            if let Idle::Called(turn) = idle {
                if self.is_quiet() {
                    return self.disconnect().await;
                }
                // Others may leave meanwhile.
                drop(turn);
                Box::pin(self.linger()).await;
                continue;
            }
            winding = *worker.stop.borrow() != Stop::Running;
            // Whoever floods a device must not keep it from what is due.
            let goes_on = match idle {
                Idle::Heard => {
                    heard += 1;
                    heard < HEARD_AT_A_TIME || Instant::now() < due
                }
                _ => matches!(idle, Idle::Broke),
            };
            if winding || goes_on {
                continue;
            }
            heard = 0;
            let Some(step) = step else { continue };
            // Boxed: its room is taken while something is under way, and not by those that wait.
            match self.next_power_loss(&course) {
                None => Box::pin(self.take(step, due, &mut course)).await,
                Some(dark) => Box::pin(self.take_until(dark, step, due, &mut course)).await,
            }
        }
        self.disconnect().await;
    }

    /// What it reports, if it reports.
    pub(super) fn telemetry(&self) -> Option<&'a TelemetryPlan> {
        self.worker.fleet.plan.telemetry.as_ref()
    }

    /// A device's course from when it was ready on; `next` is the next message's number.
    pub(super) fn course(&self, ready: Instant, next: u32) -> Course {
        let life = &self.worker.fleet.plan.life;
        let now = self.worker.clock.elapsed();
        Course {
            ready,
            free: ready,
            next,
            // What happened before it was live is not its concern.
            past: (!life.events.is_empty()).then(|| Box::new((now, 0))),
            nap: life.duty.map(|_| {
                Box::new(Nap {
                    asleep: false,
                    anchor: ready,
                    said: next,
                    wakes: 0,
                })
            }),
        }
    }

    fn next_step(&self, course: &Course) -> Option<(Step, Instant)> {
        let duty = self.worker.fleet.plan.life.duty.as_ref();
        let mut next = match (&course.nap, duty, self.telemetry()) {
            (Some(nap), Some(duty), _) if nap.asleep => Some((
                Step::Wake,
                course.ready + duty.wakes(self.name(), nap.wakes),
            )),
            (Some(nap), Some(duty), Some(telemetry)) => {
                Some(nap.step(duty, telemetry.rhythm.interval))
            }
            (_, _, Some(telemetry)) => {
                let due = telemetry.rhythm.due(self.name(), course.next);
                Some((Step::Message, course.ready + due))
            }
            (_, _, None) => None,
        };
        let attempt = self.away.as_ref().and_then(|away| away.next());
        for (step, at) in [
            (Step::Attempt, attempt),
            (Step::Reply, self.reply_due()),
            (Step::Call, self.call_due(course.ready)),
        ] {
            if let Some(at) = at
                && next.is_none_or(|(_, next)| at < next)
            {
                next = Some((step, at));
            }
        }
        if let Some((_, event)) = self.next_event(course)
            && next.is_none_or(|(_, next)| event <= next)
        {
            next = Some((Step::Event, event));
        }
        next
    }

    /// The next event that strikes this device, and when.
    fn next_event(&self, course: &Course) -> Option<(&'_ Event, Instant)> {
        let events = &self.worker.fleet.plan.life.events;
        let (event, (moment, _)) = Event::next(events, self.name(), course.past())?;
        Some((event, self.worker.clock.at(moment)))
    }

    /// When it loses its power, as far as that is ahead.
    fn next_power_loss(&self, course: &Course) -> Option<Instant> {
        let mut past = course.past();
        let events = &self.worker.fleet.plan.life.events;
        while let Some((event, struck)) = Event::next(events, self.name(), past) {
            if event.kind == EventKind::PowerLoss {
                return Some(self.worker.clock.at(struck.0));
            }
            past = Some(struck);
        }
        None
    }

    /// Takes a step, unless the device loses its power before that is done.
    async fn take_until(&mut self, dark: Instant, step: Step, due: Instant, course: &mut Course) {
        let lost_power = tokio::select! {
            biased;
            () = self.take(step, due, course) => false,
            () = sleep_until(dark) => true,
        };
        if !lost_power {
            return;
        }
        match self.in_flight {
            InFlight::Message => self.count_telemetry(1, 0, 1),
            // What may have arrived is not sent twice.
            InFlight::Attributes => self.attributes = Attributes::Done,
            InFlight::Reply => self.count_replies(SENT_IN_VAIN),
            InFlight::Posts => {
                self.abandon_posts();
            }
            InFlight::Nothing | InFlight::Request | InFlight::Question => {}
        }
        (self.step, self.in_flight) = (Phase::Telemetry, InFlight::Nothing);
    }

    async fn take(&mut self, step: Step, due: Instant, course: &mut Course) {
        match step {
            Step::Message => {
                // A message that could not be sent is not made up for: its number goes with the
                // time.
                let number = course.next;
                course.said();
                let since = course.free.max(due);
                if let Some(telemetry) = self.telemetry() {
                    self.message(telemetry, (number, due), since).await;
                }
            }
            Step::Reply => self.answer().await,
            Step::Call => {
                let asleep = course.nap.as_ref().is_some_and(|nap| nap.asleep);
                self.call(due, asleep).await;
            }
            Step::Attempt => {
                self.come_back(due).await;
            }
            Step::Wake => self.wake(due, course).await,
            Step::Sleep => self.sleep(course).await,
            Step::Event => Box::pin(self.happens(course)).await,
        }
    }

    /// Sends the message of that number, due then, which nothing of the device's own held back from
    /// `since` on.
    async fn message(
        &mut self,
        telemetry: &TelemetryPlan,
        message: (u32, Instant),
        mut since: Instant,
    ) {
        if self.away.as_ref().is_some_and(|away| away.waits()) {
            return;
        }
        if self.connection.is_none() || self.attributes == Attributes::ToSend {
            let ready = self.ensure_connected().await;
            let described = Box::pin(self.describe(telemetry, ready)).await;
            since = described.unwrap_or(ready);
        }
        if self.behind.is_some() {
            Box::pin(self.introduce_again()).await;
        }
        if self.connection.is_some() && !self.stranded {
            self.send(telemetry, message, since).await;
        }
    }

    async fn wake(&mut self, due: Instant, course: &mut Course) {
        let Some(nap) = &mut course.nap else { return };
        // Should it not come back, its first message's turn is over.
        (nap.asleep, nap.anchor, nap.said) = (false, due, 1);
        self.away_anew(due);
        let ready = self.come_back(due).await;
        if self.connection.is_some() {
            (nap.anchor, nap.said) = (ready, 0);
        }
    }

    async fn sleep(&mut self, course: &mut Course) {
        let (Some(nap), Some(duty)) = (&mut course.nap, &self.worker.fleet.plan.life.duty) else {
            return;
        };
        nap.asleep = true;
        self.away_anew(Instant::now());
        self.disconnect().await;
        let now = Instant::now();
        let wakes = |nth| course.ready + duty.wakes(self.worker.fleet.name(self.ix), nth);
        while wakes(nap.wakes) <= now && nap.wakes < u32::MAX {
            nap.wakes += 1;
        }
    }

    /// The next event.
    async fn happens(&mut self, course: &mut Course) {
        let events = &self.worker.fleet.plan.life.events;
        let Some((event, struck)) = Event::next(events, self.name(), course.past()) else {
            return;
        };
        course.past = Some(Box::new(struck));
        let at = self.worker.clock.at(struck.0);
        if course.nap.as_ref().is_some_and(|nap| nap.asleep) {
            return;
        }
        let over = self.worker.clock.at(event.over(self.name()));
        match event.kind {
            EventKind::PowerLoss => {
                self.hear_the_rest();
                self.forget_calls();
                let connection = self.connection.take();
                self.go_away_until(over, connection.is_some());
                if let Some(connection) = connection {
                    connection.sever();
                }
            }
            EventKind::Disconnect if self.connection.is_some() => {
                self.disconnect().await;
                self.go_away_until(over, true);
            }
            EventKind::Disconnect => {}
            EventKind::Takeover => self.take_over(at).await,
            EventKind::Rotate => self.rotate(event, at).await,
        }
    }

    /// Opens a second session beside the first, for which the server has to close the first.
    async fn take_over(&mut self, due: Instant) {
        if self.transport().protocol() != Protocol::Mqtt {
            return;
        }
        let Some(mut first) = self.connection.take() else {
            return;
        };
        let one = ReconnectCounts::default();
        self.count_reconnects(&ReconnectCounts {
            takeovers: 1,
            ..one
        });
        if self.attempt(due).await.is_none() {
            // Nobody took it over.
            self.connection = Some(first);
            return;
        }
        let patience = Instant::now() + self.worker.fleet.plan.limits.answer_timeout;
        let ended = loop {
            match first.idle_until(patience).await {
                Ok(Some(delivery)) => self.hear(&delivery),
                Ok(None) => break Ok(()),
                Err(fault) => break Err(fault),
            }
        };
        match ended {
            Ok(()) => first.close().await,
            Err(fault) if is_taken_over(fault.kind) => {
                self.count_reconnects(&ReconnectCounts {
                    taken_over: 1,
                    ..one
                });
            }
            Err(fault) => self.trouble(Phase::Telemetry, fault.kind),
        }
    }
}

impl Course {
    fn past(&self) -> Option<(Duration, u32)> {
        self.past.as_deref().copied()
    }

    /// A message had its turn.
    fn said(&mut self) {
        self.next = self.next.saturating_add(1);
        if let Some(nap) = &mut self.nap {
            nap.said = nap.said.saturating_add(1);
        }
    }
}

impl Nap {
    /// The next message, or going to sleep.
    fn step(&self, duty: &Duty, interval: Duration) -> (Step, Instant) {
        let message = self.anchor + interval * self.said;
        match duty.awake {
            Awake::Messages(all) if self.said >= all => (Step::Sleep, Instant::now()),
            Awake::For(long) if message >= self.anchor + long => (Step::Sleep, self.anchor + long),
            _ => (Step::Message, message),
        }
    }
}

/// How long a device sleeps that has nothing to do.
const NOTHING_DUE: Duration = Duration::from_mins(10);

/// Messages that a device takes in, one after another, while something else is due.
const HEARD_AT_A_TIME: u32 = 32;

/// MQTT 5 has a reason for it; otherwise the server closes without a word (section 4.3 of the wire
/// specification).
fn is_taken_over(kind: FaultKind) -> bool {
    matches!(
        kind,
        FaultKind::DisconnectReason(0x8e)
            | FaultKind::ConnectionClosed
            | FaultKind::ConnectionReset
    )
}
