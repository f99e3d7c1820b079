//! The faults of now: what they are, since when their offsets count, and who has to wait for them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::bucket::{Buckets, Load};
use super::dice::{Dice, Fate, Key};
use super::queue::Queue;
use crate::model::{FaultPhase, Faults, Outage, Slow};
use crate::target::pending::{Pending, Ticket};

/// The faults, switchable. While there are none, asking costs a relaxed load.
pub(in crate::target) struct Switch {
    on: AtomicBool,
    /// Whether there is any stall of everything.
    stalls: AtomicBool,
    now: Mutex<Arc<Active>>,
    changed: Notify,
    dice: Dice,
    connections: AtomicU64,
    silent: Arc<Pending>,
}

/// Faults with the state that they come with.
struct Active {
    faults: Faults,
    start: Instant,
    buckets: Option<Buckets>,
    queue: Mutex<Queue>,
}

/// What was drawn for a request, a message or a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::target) struct Trouble {
    pub(in crate::target) fate: Fate,
    /// How long the answer is held back.
    pub(in crate::target) delay: Duration,
}

impl Switch {
    pub(in crate::target) fn new(faults: Faults, seed: u64) -> Self {
        let switch = Self {
            on: AtomicBool::new(false),
            stalls: AtomicBool::new(false),
            now: Mutex::new(Arc::new(Active::new(Faults::default(), Instant::now()))),
            changed: Notify::new(),
            dice: Dice::new(seed),
            connections: AtomicU64::new(0),
            silent: Pending::new(SILENT),
        };
        switch.set(faults);
        switch
    }

    /// Other faults from now on. Buckets are full again and the queue is empty; offsets still count
    /// from the same start, and draws go on where they were.
    pub(in crate::target) fn set(&self, faults: Faults) {
        let start = self.current().start;
        self.replace(Active::new(faults, start));
    }

    /// Makes now the start of all offsets.
    pub(in crate::target) fn begin(&self) {
        let faults = self.current().faults.clone();
        self.replace(Active::new(faults, Instant::now()));
    }

    /// How long ago the start of all offsets was.
    pub(in crate::target) fn age(&self) -> Duration {
        self.current().start.elapsed()
    }

    fn replace(&self, active: Active) {
        let whole = active.faults.stall.iter().any(|s| s.phases.is_empty());
        let on = active.faults != Faults::default();
        *self.now.lock().expect("nothing panics while it is held") = Arc::new(active);
        self.stalls.store(whole, Relaxed);
        self.on.store(on, Relaxed);
        self.changed.notify_waiters();
    }

    fn current(&self) -> Arc<Active> {
        Arc::clone(&self.now.lock().expect("nothing panics while it is held"))
    }

    fn active(&self) -> Option<Arc<Active>> {
        self.on.load(Relaxed).then(|| self.current())
    }

    /// Whether there are any faults.
    pub(in crate::target) fn are_on(&self) -> bool {
        self.on.load(Relaxed)
    }

    /// A number for a connection, by which its troubles are drawn.
    pub(super) fn number(&self) -> u64 {
        self.connections.fetch_add(1, Relaxed)
    }

    /// Draws for whoever comes to a phase; `None` without faults.
    pub(in crate::target) fn trouble(&self, phase: FaultPhase, key: Key<'_>) -> Option<Trouble> {
        let active = self.active()?;
        let (fate, mut delay) = self.dice.cast(&active.faults.of(phase), phase, key);
        if phase == FaultPhase::Provision {
            delay += active.faults.delay;
        }
        let now = Instant::now();
        if let Some(end) = active.stalled_until(now, Some(phase)) {
            delay = delay.max(end - now);
        }
        Some(Trouble { fate, delay })
    }

    /// How long a provision request is in the server's queue.
    pub(in crate::target) fn queued(&self) -> Duration {
        let Some(active) = self.active() else {
            return Duration::ZERO;
        };
        let Some(rate) = active.faults.capacity else {
            return Duration::ZERO;
        };
        let mut queue = active
            .queue
            .lock()
            .expect("nothing panics while it is held");
        queue.enter(Instant::now(), rate)
    }

    /// Whether the rate limits let a device's message pass.
    pub(in crate::target) fn pass(&self, device: u32, load: Load) -> bool {
        let active = self.active();
        let buckets = active.as_ref().and_then(|active| active.buckets.as_ref());
        buckets.is_none_or(|buckets| buckets.pass(device, load, Instant::now()))
    }

    /// Whether the rate limit of the REST API lets a request pass.
    pub(in crate::target) fn pass_rest(&self) -> bool {
        let active = self.active();
        let buckets = active.as_ref().and_then(|active| active.buckets.as_ref());
        buckets.is_none_or(|buckets| buckets.pass_rest(Instant::now()))
    }

    /// What a device's three rate limits are, as the platform tells devices.
    pub(in crate::target) fn limits_of_devices(&self) -> [String; 3] {
        let Some(active) = self.active() else {
            return Default::default();
        };
        let limits = &active.faults.rate_limits;
        [
            limits.device_msg.to_string(),
            limits.device_telemetry_msg.to_string(),
            limits.device_telemetry_data_points.to_string(),
        ]
    }

    /// Bytes per second at which a connection is read and written, where slowed.
    pub(super) fn slowed(&self, number: u64) -> [Option<u32>; 2] {
        let Some(active) = self.active() else {
            return [None; 2];
        };
        let drawn = |slow: Option<Slow>, purpose| {
            slow.filter(|slow| self.dice.once(purpose, slow.share, number))
                .map(|slow| slow.rate)
        };
        [
            drawn(active.faults.slow_reader, "slow reader"),
            drawn(active.faults.slow_writer, "slow writer"),
        ]
    }

    /// A draw by a number that no other has.
    pub(in crate::target) fn once(&self, share: f64, number: u64) -> bool {
        self.dice.once("once", share, number)
    }

    /// A place among the connections that fell silent.
    pub(in crate::target) fn silence(&self) -> Option<Ticket> {
        self.silent.ticket()
    }

    /// A time limit of the target's own, with what faults on purpose may add to it.
    pub(in crate::target) fn patience(&self, limit: Duration) -> Duration {
        let Some(active) = self.active() else {
            return limit;
        };
        let faults = &active.faults;
        let stalls = faults.stall.iter().map(|stall| stall.when.length);
        let slow = faults.slow_reader.is_some() || faults.slow_writer.is_some();
        let slow = if slow { SLOW } else { Duration::ZERO };
        stalls.fold(limit + slow, Duration::saturating_add)
    }

    /// Whether nothing is to be read or written now.
    pub(in crate::target) fn is_stalled(&self) -> bool {
        self.stalls.load(Relaxed) && self.current().stalled_until(Instant::now(), None).is_some()
    }

    /// Waits until reading and writing go on; at once while nothing stalls.
    pub(in crate::target) async fn open(&self) {
        while self.is_stalled() {
            self.wait(|active| {
                let end = active.stalled_until(Instant::now(), None);
                end.unwrap_or_else(Instant::now)
            })
            .await;
        }
    }

    /// Waits until the target has to go down.
    pub(in crate::target) async fn down(&self) {
        while self.current().down_until(Instant::now()).is_none() {
            self.wait(Active::next_outage).await;
        }
    }

    /// Waits until the target may come up.
    pub(in crate::target) async fn up(&self) {
        while self.current().down_until(Instant::now()).is_some() {
            self.wait(|active| {
                let end = active.down_until(Instant::now());
                end.unwrap_or_else(Instant::now)
            })
            .await;
        }
    }

    /// Waits for a time that the faults give, or for other faults.
    async fn wait(&self, until: impl FnOnce(&Active) -> Instant) {
        // Registered before the look, so that no change falls between.
        let changed = self.changed.notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        let until = until(&self.current());
        tokio::select! {
            () = sleep_until(until) => {}
            () = changed => {}
        }
    }
}

impl Active {
    fn new(faults: Faults, start: Instant) -> Self {
        let limits = &faults.rate_limits;
        let buckets = (!limits.are_none()).then(|| Buckets::new(limits, Instant::now()));
        Self {
            faults,
            start,
            buckets,
            queue: Mutex::default(),
        }
    }

    /// The end of the stall that is under way: of everything, or of a phase's answers.
    fn stalled_until(&self, now: Instant, phase: Option<FaultPhase>) -> Option<Instant> {
        let stalls = self.faults.stall.iter().filter(|stall| match phase {
            None => stall.phases.is_empty(),
            Some(phase) => stall.phases.contains(&phase),
        });
        self.end(stalls.map(|stall| stall.when), now)
    }

    fn down_until(&self, now: Instant) -> Option<Instant> {
        self.end(self.faults.restart.iter().copied(), now)
    }

    fn end(&self, outages: impl Iterator<Item = Outage>, now: Instant) -> Option<Instant> {
        let offset = now.saturating_duration_since(self.start);
        let end = outages.filter_map(|outage| outage.end(offset)).max()?;
        Some(self.start + end.min(FAR))
    }

    fn next_outage(&self) -> Instant {
        let offset = self.start.elapsed();
        let starts = self.faults.restart.iter().map(|outage| outage.at);
        let next = starts.filter(|at| *at > offset).min();
        self.start + next.unwrap_or(FAR).min(FAR)
    }
}

/// Connections that may be silent at a time; one more is closed.
const SILENT: usize = 100_000;

/// What a slowed connection may take longer than others.
const SLOW: Duration = Duration::from_hours(1);

/// Further away than any run is long.
const FAR: Duration = Duration::from_hours(24 * 366 * 3);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Stall;

    fn outage(at: u64, length: u64) -> Outage {
        Outage {
            at: Duration::from_secs(at),
            length: Duration::from_secs(length),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stall_lasts_from_its_offset_for_its_length_and_stalls_add_up() {
        let whole = |at, length| Stall {
            when: outage(at, length),
            phases: Vec::new(),
        };
        let faults = Faults {
            stall: vec![whole(10, 2), whole(11, 3)],
            ..Faults::default()
        };
        let switch = Switch::new(faults, 0);
        let start = Instant::now();
        switch.open().await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        tokio::time::advance(Duration::from_millis(10_500)).await;
        switch.open().await;
        assert!(start.elapsed() >= Duration::from_secs(14));
        assert!(!switch.is_stalled());
        // From here on the offsets count anew.
        switch.begin();
        tokio::time::advance(Duration::from_secs(12)).await;
        assert!(switch.is_stalled());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stall_of_a_phase_holds_its_answers_and_nothing_else() {
        let faults = Faults {
            stall: vec![Stall {
                when: outage(0, 5),
                phases: vec![FaultPhase::Telemetry],
            }],
            ..Faults::default()
        };
        let switch = Switch::new(faults, 0);
        assert!(!switch.is_stalled());
        let delay = |phase| switch.trouble(phase, Key::Name("d")).unwrap().delay;
        assert_eq!(delay(FaultPhase::Provision), Duration::ZERO);
        assert_eq!(delay(FaultPhase::Telemetry), Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_is_woken_by_other_faults() {
        let faults = Faults {
            stall: vec![Stall {
                when: outage(0, 1_000_000),
                phases: Vec::new(),
            }],
            restart: vec![outage(7, 2)],
            ..Faults::default()
        };
        let switch = Arc::new(Switch::new(faults, 0));
        switch.down().await;
        switch.up().await;
        assert!(switch.age() >= Duration::from_secs(9));
        let other = Arc::clone(&switch);
        let waiting = tokio::spawn(async move { other.open().await });
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!waiting.is_finished());
        switch.set(Faults::default());
        waiting.await.unwrap();
        assert!(switch.age() < Duration::from_secs(11));
        assert!(
            switch
                .trouble(FaultPhase::Telemetry, Key::Number(0))
                .is_none()
        );
    }
}
