//! How a device comes back after its session is gone: each attempt, the waits between them, and
//! what is counted of it.

use tokio::time::Instant;

use super::super::shutdown::Stop;
use super::Device;
use crate::metrics::ReconnectCounts;
use crate::model::{Credentials, FaultKind, Phase, Protocol};

/// A device without the connection that it should have. Boxed: few devices are away at a time.
#[derive(Debug)]
pub(super) struct Away {
    /// From when the time to reconnect counts: the loss, or the end of what keeps it away.
    since: Instant,
    /// When the next attempt is due. `None`: with the next message, or never.
    next: Option<Instant>,
    /// When the first attempt began.
    begun: Option<Instant>,
    attempts: u32,
    waits: u32,
    /// There was a session to lose.
    lost: bool,
    gave_up: bool,
}

impl Away {
    fn new(since: Instant, lost: bool) -> Self {
        Self {
            since,
            next: None,
            begun: None,
            attempts: 0,
            waits: 0,
            lost,
            gave_up: false,
        }
    }

    /// When the next attempt is due, if that is known.
    pub(super) fn next(&self) -> Option<Instant> {
        self.next
    }

    /// It does not try with the next message.
    pub(super) fn waits(&self) -> bool {
        self.next.is_some() || self.gave_up
    }

    /// There was a session to lose, and there is none yet.
    pub(super) fn lost(&self) -> bool {
        self.lost
    }
}

impl Device<'_> {
    /// The connection broke, or is out of step: the device has to come back.
    pub(super) fn lose(&mut self) {
        self.hear_the_rest();
        let had_session = self.connection.take().is_some();
        let now = Instant::now();
        self.go_away(now, had_session);
        self.wait_for_next(now);
    }

    /// An event of the scenario took the connection: it can come back from `over` on, and then
    /// tries at once.
    pub(super) fn go_away_until(&mut self, over: Instant, had_session: bool) {
        self.go_away(over, had_session);
        if let Some(away) = &mut self.away {
            away.next = Some(over);
        }
    }

    fn go_away(&mut self, since: Instant, had_session: bool) {
        // A session that ends with the run is no loss, and CoAP in the open has none.
        let counts = had_session
            && *self.worker.stop.borrow() == Stop::Running
            && (self.transport().protocol() != Protocol::Coap || self.transport().is_secure());
        let lost = match self.away.take() {
            Some(away) => away.lost,
            None => counts,
        };
        if counts {
            let devices = u64::from(self.losses == 0);
            self.losses = self.losses.saturating_add(1);
            self.count_reconnects(&ReconnectCounts {
                lost: 1,
                devices,
                ..ReconnectCounts::default()
            });
        }
        self.rounds = self.rounds.wrapping_add(1);
        self.away = Some(Box::new(Away::new(since, lost)));
    }

    /// After a nap, whatever happened before it is forgotten, but for the loss of a session.
    pub(super) fn away_anew(&mut self, since: Instant) {
        let lost = self.away.take().is_some_and(|away| away.lost);
        if lost {
            self.away = Some(Box::new(Away::new(since, lost)));
        }
    }

    /// Connects with the device's own credentials unless connected. Returns when it was ready.
    pub(super) async fn ensure_connected(&mut self) -> Instant {
        self.come_back(Instant::now()).await
    }

    /// The same, by an attempt that was due then. When it fails, the next one is set.
    pub(super) async fn come_back(&mut self, due: Instant) -> Instant {
        let begun = Instant::now();
        if self.connection.is_some() {
            return begun;
        }
        if let Some(ready) = self.attempt(due).await {
            return ready;
        }
        let failed = Instant::now();
        self.away.get_or_insert_with(|| {
            // The very first: there was nothing to lose.
            let mut away = Box::new(Away::new(due, false));
            (away.begun, away.attempts) = (Some(begun), 1);
            away
        });
        self.wait_for_next(failed);
        failed
    }

    /// Connects with the device's own credentials. Returns when it was ready, if it was.
    pub(super) async fn attempt(&mut self, due: Instant) -> Option<Instant> {
        let fleet = &self.worker.fleet;
        let (credentials, phase) = self.tried();
        let credentials = credentials.expect("only provisioned devices come back");
        let login = fleet
            .dialect(self.ix)
            .device_login(fleet.name(self.ix), credentials);
        let identity = match credentials {
            Credentials::X509 { certificate } => {
                let own = fleet.identity_with(self.ix, certificate);
                if own.is_none() || !self.transport().is_secure() {
                    // The server holds a certificate whose key is not here.
                    self.trouble(Phase::Reconnect, FaultKind::CredentialsUnusable);
                    return None;
                }
                own
            }
            _ => None,
        };
        self.tries(Instant::now(), phase);
        let shown = (phase == Phase::Rotate).then(|| self.shows_new()).flatten();
        let whole = Some(phase);
        // Boxed, so that a device does not keep the room of an attempt while it is connected.
        let connected = Box::pin(self.connect(&login, identity, due, whole)).await;
        // No longer under way, should the run end now.
        self.step = Phase::Telemetry;
        match connected {
            Ok(ready) => {
                self.is_back(ready);
                if shown.is_some() {
                    Box::pin(self.rotation_done()).await;
                }
                Some(Box::pin(self.greet(ready)).await)
            }
            Err(broken) => {
                self.trouble(phase, broken.kind);
                if let Some(before) = shown {
                    Box::pin(self.rotation_failed(before, &broken)).await;
                }
                None
            }
        }
    }

    fn tries(&mut self, begun: Instant, phase: Phase) {
        let Some(away) = &mut self.away else { return };
        if away.attempts > 0 {
            let mut recorder = self.worker.recorder_of(self.ix);
            recorder.retry(self.cohort, phase);
        }
        away.attempts = away.attempts.saturating_add(1);
        away.begun.get_or_insert(begun);
        away.next = None;
    }

    fn is_back(&mut self, ready: Instant) {
        let Some(away) = self.away.take().filter(|away| away.lost) else {
            return;
        };
        self.count_reconnects(&ReconnectCounts {
            back: 1,
            ..ReconnectCounts::default()
        });
        let begun = away.begun.unwrap_or(ready);
        self.sample_span(Phase::TimeToReconnect, away.since, begun, ready);
    }

    /// Sets when the next attempt is due, after a loss or a failed one.
    fn wait_for_next(&mut self, from: Instant) {
        let (Some(away), Some(backoff)) = (&mut self.away, &self.worker.fleet.plan.life.reconnect)
        else {
            return;
        };
        if !backoff.allows(away.attempts) {
            away.gave_up = true;
            self.count_reconnects(&ReconnectCounts {
                given_up: 1,
                ..ReconnectCounts::default()
            });
            return;
        }
        away.waits = away.waits.saturating_add(1);
        let name = self.worker.fleet.name(self.ix);
        away.next = Some(from + backoff.wait(name, self.rounds, away.waits));
    }

    pub(super) fn count_reconnects(&self, counts: &ReconnectCounts) {
        let mut recorder = self.worker.recorder_of(self.ix);
        recorder.reconnects(self.cohort, counts);
    }
}
