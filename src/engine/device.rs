//! The heart: one device's life, from its turn to its end, over whichever transport.
//!
//! Due → connect → provision → disconnect → connect with the received credentials → telemetry
//! until told to stop. A failure on the way is an outcome with a cause, never an error of ours.

mod doubt;
mod downlink;
mod gateway;
mod idle;
mod life;
mod misbehaviour;
mod provision_retry;
mod provisioning;
mod questions;
mod reconnect;
mod rotation;
mod telemetry;

use std::borrow::Cow;
use std::time::Duration;

use tokio::time::Instant;

use self::downlink::Downlink;
use self::gateway::Behind;
use self::life::Course;
use self::misbehaviour::Wrong;
use self::provisioning::is_rejection;
use self::reconnect::Away;
use self::rotation::Rotation;
use super::alive::Alive;
use super::beginning::Beginning;
use super::places::Place;
use crate::ledger::{Entry, Fate, Grant};
use crate::metrics::{LiveState, ReplyCounts};
use crate::model::{
    Cause, CohortIx, Credentials, DeviceIx, Expectation, FaultKind, Login, Observed, Outcome,
    Phase, TransportKind,
};
use crate::pki::Identity;
use crate::scenario::Cohort;
use crate::transport::{Connection, Span};

/// A device that is to start.
pub(super) struct Newcomer {
    pub(super) ix: DeviceIx,
    /// When its start was intended.
    pub(super) due: Instant,
    /// What it holds until it is brought up.
    pub(super) place: Place,
}

/// Lives one device's life and leaves exactly one record of its end.
#[expect(
    clippy::manual_async_fn,
    reason = "an async fn holds its arguments twice"
)]
pub(super) fn live(worker: Alive, newcomer: Box<Newcomer>) -> impl Future<Output = ()> {
    async move {
        let mut device = Device::new(&worker, newcomer.ix, newcomer.due);
        tokio::select! {
            biased;
            () = device.live_on(newcomer) => {}
            () = worker.cut_off() => device.cut_off(),
        }
        // Boxed, as in `live_on`.
        Box::pin(device.end()).await;
    }
}

/// What may be on its way to the server when the run cuts a device off.
#[derive(Clone, Copy, PartialEq, Eq)]
enum InFlight {
    Nothing,
    /// A provision request: its loss leaves the outcome unknown.
    Request,
    /// A telemetry message.
    Message,
    /// Client attributes.
    Attributes,
    /// An answer to a call.
    Reply,
    /// What a gateway says for those behind it.
    Posts,
    /// A claim, or a call of the server.
    Question,
}

/// What the server can have heard of a try to be provisioned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// No byte of the request has left.
    Nothing,
    /// The request, or a part of it.
    Perhaps,
}

/// A connection that did not come about.
struct Unopened {
    /// The step that failed.
    step: Phase,
    kind: FaultKind,
}

/// What became of a device's client attributes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Attributes {
    ToSend,
    /// They went out, or there are none.
    Done,
}

/// A device and what is known of it so far.
struct Device<'a> {
    worker: &'a Alive,
    ix: DeviceIx,
    cohort: CohortIx,
    /// When its start was intended.
    due: Instant,
    /// When it really started.
    started: Instant,
    state: LiveState,
    /// The step under way, for the case that the run cuts it off.
    step: Phase,
    in_flight: InFlight,
    /// Borrowed where it had them before it began.
    credentials: Option<Cow<'a, Credentials>>,
    /// The ledger has the credentials.
    kept: bool,
    connection: Option<Connection>,
    outcome: Option<Outcome>,
    cause: Option<Cause>,
    attempts: u32,
    time_to_provision: Option<Duration>,
    time_to_first_telemetry: Option<Duration>,
    telemetry_sent: u32,
    telemetry_acked: u32,
    /// If it does a wrong on purpose.
    wrong: Option<Box<Wrong>>,
    attributes: Attributes,
    /// If it takes part in anything.
    downlink: Option<Box<Downlink>>,
    /// If it is a gateway.
    behind: Option<Box<Behind>>,
    /// It has no connection and should have one.
    away: Option<Box<Away>>,
    /// A new certificate that it does not go on with yet.
    rotation: Option<Box<Rotation>>,
    /// How often it had to come back.
    rounds: u32,
    /// How many sessions it lost.
    losses: u32,
    told: Told,
    /// The server kept it out when it connected.
    rejected: bool,
    /// Nothing more can come of it: its credentials are of no use, or it is kept out as expected.
    stranded: bool,
}

impl<'a> Device<'a> {
    fn new(worker: &'a Alive, ix: DeviceIx, due: Instant) -> Self {
        let cohort = worker.fleet.cohort_ix(ix);
        let gateway = worker.fleet.cohort(ix).gateway.as_ref();
        let started = Instant::now();
        let mut recorder = worker.recorder_of(ix);
        if worker.fleet.schedule.can_lag(cohort) && !worker.fleet.goes_on(ix) {
            recorder.start(cohort, started.saturating_duration_since(due));
        } else {
            recorder.start_when_free(cohort);
        }
        recorder.gauge(cohort, LiveState::BringingUp, 1);
        let beginning = worker.fleet.beginning(ix);
        let known = match beginning {
            Some(Beginning::Known(known)) => Some(known),
            _ => None,
        };
        Self {
            worker,
            ix,
            cohort,
            due,
            started,
            state: LiveState::BringingUp,
            step: Phase::TcpConnect,
            in_flight: InFlight::Nothing,
            credentials: known.map(|known| Cow::Borrowed(&known.credentials)),
            kept: known.is_some(),
            connection: None,
            outcome: known.map(|_| Outcome::Provisioned),
            cause: None,
            attempts: beginning.map_or(0, Beginning::attempts),
            time_to_provision: known.and_then(|known| known.time_to_provision),
            time_to_first_telemetry: None,
            telemetry_sent: 0,
            telemetry_acked: 0,
            wrong: worker.fleet.cohort(ix).misbehaviour.map(|_| Box::default()),
            attributes: Attributes::ToSend,
            downlink: worker.fleet.plan.downlink.as_ref().map(|_| Box::default()),
            behind: gateway.map(|plan| Box::new(Behind::new(plan))),
            away: None,
            rotation: None,
            rounds: 0,
            losses: 0,
            told: Told::Nothing,
            rejected: false,
            stranded: false,
        }
    }

    /// From its start to its credentials, and to its place in life if it stays.
    async fn bring_up(&mut self, newcomer: Box<Newcomer>) -> Option<Course> {
        match (self.begin().await, self.worker.fleet.plan.stays()) {
            // The server let in whom it had to refuse: that is seen, and no load to go on with.
            (Ok(()), _) if self.is_impostor() => {}
            (Ok(()), true) => {
                let (ready, next) = self.settle().await;
                drop(newcomer.place);
                self.becomes(LiveState::Live);
                self.join();
                return Some(self.course(ready, next));
            }
            (Ok(()), false) if self.cohort().expected() == Expectation::Rejected => {
                self.disconnect().await;
                self.ensure_connected().await;
            }
            (Ok(()), false) => {}
            (Err((outcome, phase, kind)), _) => {
                self.outcome = Some(outcome);
                self.cause = Some(Cause::At(phase, kind));
                self.worker
                    .recorder_of(self.ix)
                    .phase_error(self.cohort, phase);
            }
        }
        self.disconnect().await;
        None
    }

    /// Hands the credentials to the ledger, once. A cut-off may strike while a slow ledger holds
    /// this back, so the device's end asks for it again.
    async fn keep_credentials(&mut self) {
        if let (Some(credentials), false) = (self.credentials.as_deref(), self.kept) {
            let name = self.alias();
            let grant = Grant {
                issued: self.worker.fleet.issued(self.ix, credentials.clone()),
                attempts: self.attempts,
                time_to_provision: self.time_to_provision,
            };
            let entry = Entry::Provisioned(grant);
            self.worker.note(self.ix, name, entry).await;
            self.kept = true;
        }
    }

    /// Opens a connection and records its steps, each from the end of the one before. With `whole`
    /// they are recorded as that one phase. Returns when the connection was ready.
    async fn connect(
        &mut self,
        login: &Login,
        identity: Option<&Identity>,
        due: Instant,
        whole: Option<Phase>,
    ) -> Result<Instant, Unopened> {
        self.step = whole.unwrap_or(Phase::TcpConnect);
        let begun = Instant::now();
        let dial = self.worker.fleet.dial(self.ix);
        match Connection::open(dial, login, identity, self.ix.0).await {
            Ok(opened) => {
                self.connection = Some(opened.connection);
                let mut ready = due;
                for (phase, span) in [
                    (Phase::TcpConnect, &opened.tcp),
                    (Phase::TlsHandshake, &opened.tls),
                    (Phase::MqttConnect, &opened.mqtt),
                ] {
                    let Some(span) = span else { continue };
                    if whole.is_none() {
                        self.sample(phase, ready, span);
                    }
                    ready = span.done;
                }
                if let Some(phase) = whole {
                    self.sample_span(phase, due, begun, ready);
                }
                // Without any handshake the connection is ready at once.
                Ok(ready.max(begun))
            }
            Err(fault) => {
                let mut ready = due;
                for (phase, span) in [
                    (Phase::TcpConnect, &fault.tcp),
                    (Phase::TlsHandshake, &fault.tls),
                ] {
                    if let (None, Some(span)) = (whole, span) {
                        self.sample(phase, ready, span);
                        ready = span.done;
                    }
                }
                Err(Unopened {
                    step: fault.phase,
                    kind: fault.kind,
                })
            }
        }
    }

    /// What the end of the run makes of a step that was still under way.
    fn cut_off(&mut self) {
        let sending = match self.in_flight {
            InFlight::Message | InFlight::Attributes | InFlight::Reply | InFlight::Question => true,
            InFlight::Posts => self.abandon_posts(),
            InFlight::Nothing | InFlight::Request => false,
        };
        if self.in_flight == InFlight::Reply {
            self.count_replies(SENT_IN_VAIN);
        }
        if self.in_flight == InFlight::Message {
            self.count_telemetry(1, 0, 1);
        }
        if self.outcome.is_none() {
            let outcome = if self.in_flight == InFlight::Request {
                Outcome::Unknown
            } else {
                Outcome::Unfinished
            };
            self.outcome = Some(outcome);
            self.cause = Some(Cause::At(self.step, FaultKind::CutOff));
        } else if sending || matches!(self.step, Phase::Reconnect | Phase::Rotate) {
            self.trouble(self.step, FaultKind::CutOff);
        }
    }

    /// A fault after provisioning: counted, and the device's first one remembered.
    fn trouble(&mut self, phase: Phase, kind: FaultKind) {
        let cause = Cause::At(phase, kind);
        let mut recorder = self.worker.recorder_of(self.ix);
        recorder.phase_error(self.cohort, phase);
        recorder.error(cause);
        self.cause.get_or_insert(cause);
        // A device whose new certificate is turned down has its old one to go on with.
        self.rejected |= is_rejection(kind) && phase != Phase::Rotate;
        self.stranded |= kind == FaultKind::CredentialsUnusable
            || (self.rejected && self.cohort().expected() == Expectation::Rejected);
    }

    /// Whether it holds credentials that it should not have been given.
    fn is_impostor(&self) -> bool {
        self.offence().is_none() && self.cohort().expected() == Expectation::Refused
    }

    /// What was seen of it, to be held against what must happen.
    fn observed(&self, outcome: Outcome) -> Observed {
        match (self.offence(), outcome) {
            (Some(seen), _) => seen,
            (None, Outcome::Provisioned | Outcome::Refused | Outcome::Failed) if self.rejected => {
                Observed::Rejected
            }
            (None, Outcome::Provisioned) => Observed::Provisioned,
            (None, Outcome::Refused) => Observed::Refused,
            (None, Outcome::Failed) => Observed::Failed,
            (None, Outcome::Unknown) => Observed::Unknown,
            (None, Outcome::Unfinished) => Observed::Unfinished,
        }
    }

    fn becomes(&mut self, state: LiveState) {
        let mut recorder = self.worker.recorder_of(self.ix);
        recorder.gauge(self.cohort, self.state, -1);
        recorder.gauge(self.cohort, state, 1);
        self.state = state;
    }

    fn count_telemetry(&mut self, sent: u32, acked: u32, lost: u32) {
        self.telemetry_sent += sent;
        self.telemetry_acked += acked;
        self.worker.recorder_of(self.ix).telemetry(
            self.cohort,
            u64::from(sent),
            u64::from(acked),
            u64::from(lost),
        );
    }

    fn sample(&self, phase: Phase, due: Instant, span: &Span) {
        self.sample_span(phase, due, span.sent, span.done);
    }

    fn sample_span(&self, phase: Phase, due: Instant, sent: Instant, done: Instant) {
        self.worker.sample(self.ix, phase, due, sent, done);
    }

    fn cohort(&self) -> &'_ Cohort {
        self.worker.fleet.cohort(self.ix)
    }

    fn transport(&self) -> TransportKind {
        self.cohort().transport
    }

    async fn disconnect(&mut self) {
        self.hear_the_rest();
        if let Some(connection) = self.connection.take() {
            // Boxed: it is for the end, and devices wait for long.
            Box::pin(connection.close()).await;
        }
    }

    /// The device's one record.
    async fn end(mut self) {
        self.hear_the_rest();
        self.end_pushes();
        self.keep_credentials().await;
        self.keep_besides().await;
        Box::pin(self.give_up_rotation()).await;
        let outcome = self
            .outcome
            .expect("live_on and cut_off both decide the outcome");
        {
            let mut recorder = self.worker.recorder_of(self.ix);
            recorder.gauge(self.cohort, self.state, -1);
            if self.away.as_ref().is_some_and(|away| away.lost()) {
                recorder.phase_error(self.cohort, Phase::TimeToReconnect);
            }
            if outcome != Outcome::Provisioned {
                recorder.outcome(self.cohort, outcome, self.cause);
            }
        }
        let asked_for = self.cohort().credentials.type_name();
        let fate = Fate {
            outcome,
            observed: self.observed(outcome),
            credentials_type: self
                .credentials
                .as_deref()
                .map_or(asked_for, Credentials::type_name),
            cause: self.cause,
            attempts: self.attempts,
            time_to_provision: self.time_to_provision,
            time_to_first_telemetry: self.time_to_first_telemetry,
            telemetry_sent: self.telemetry_sent,
            telemetry_acked: self.telemetry_acked,
        };
        self.worker.note(self.ix, None, Entry::Ended(fate)).await;
    }
}

/// An answer that was sent, and whose acknowledgement does not come.
const SENT_IN_VAIN: ReplyCounts = ReplyCounts {
    due: 0,
    sent: 1,
    acked: 0,
    lost: 1,
};

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_future<A, B, F: Future>(_: fn(A, B) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn an_idle_device_stays_small() {
        let size = size_of_future(live);
        println!(
            "device future {size} B, device {} B",
            size_of::<Device<'_>>()
        );
        // tokio's task around it is 184 B, and grows in steps of 128 B.
        assert!(size <= 768 - 184, "{size}");
    }
}
