//! The heart: one device's life, from its turn to its end, over whichever transport.
//!
//! Due → connect → provision → disconnect → connect with the received credentials → telemetry
//! until told to stop. A failure on the way is an outcome with a cause, never an error of ours.

use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::shutdown::{Stop, reached};
use super::worker::Alive;
use crate::dialect::Answer;
use crate::ledger::{Entry, Fate};
use crate::metrics::LiveState;
use crate::model::{
    Cause, CohortIx, Credentials, DeviceIx, FaultKind, Login, Outcome, Phase, Protocol,
    TransportKind,
};
use crate::scenario::TelemetryPlan;
use crate::transport::{Connection, Span};

/// Lives one device's life and leaves exactly one record of its end.
pub(super) async fn live(worker: Alive, ix: DeviceIx, due: Instant, permit: OwnedSemaphorePermit) {
    let mut now = worker.stop.clone();
    let mut device = Device::new(&worker, ix, due);
    tokio::select! {
        biased;
        () = device.run(permit) => {}
        () = reached(&mut now, Stop::Now) => device.cut_off(),
    }
    device.end().await;
}

/// What may be on its way to the server when the run cuts a device off.
#[derive(Clone, Copy, PartialEq, Eq)]
enum InFlight {
    Nothing,
    /// A provision request: its loss leaves the outcome unknown.
    Request,
    /// A telemetry message.
    Message,
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
    credentials: Option<Credentials>,
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
    /// Its credentials are of no use on its transport: it can do nothing more.
    stranded: bool,
}

impl<'a> Device<'a> {
    fn new(worker: &'a Alive, ix: DeviceIx, due: Instant) -> Self {
        let cohort = worker.fleet.cohort_ix(ix);
        let started = Instant::now();
        let mut recorder = worker.recorder.borrow_mut();
        recorder.start(cohort, started.saturating_duration_since(due));
        recorder.gauge(cohort, LiveState::BringingUp, 1);
        Self {
            worker,
            ix,
            cohort,
            due,
            started,
            state: LiveState::BringingUp,
            step: Phase::TcpConnect,
            in_flight: InFlight::Nothing,
            credentials: None,
            kept: false,
            connection: None,
            outcome: None,
            cause: None,
            attempts: 0,
            time_to_provision: None,
            time_to_first_telemetry: None,
            telemetry_sent: 0,
            telemetry_acked: 0,
            stranded: false,
        }
    }

    async fn run(&mut self, permit: OwnedSemaphorePermit) {
        // Boxed, so that a long-living device does not keep the room of its first second.
        let provisioned = Box::pin(self.provision()).await;
        match (provisioned, &self.worker.fleet.plan.telemetry) {
            (Ok(()), Some(telemetry)) => {
                let first = Box::pin(self.first_telemetry(telemetry)).await;
                drop(permit);
                self.becomes(LiveState::Live);
                self.report(telemetry, first).await;
            }
            (Ok(()), None) => {}
            (Err((outcome, phase, kind)), _) => {
                self.outcome = Some(outcome);
                self.cause = Some(Cause::At(phase, kind));
                self.worker
                    .recorder
                    .borrow_mut()
                    .phase_error(self.cohort, phase);
            }
        }
        self.disconnect().await;
    }

    /// Connects and asks; `Ok` once the credentials are in the ledger's hands.
    async fn provision(&mut self) -> Result<(), (Outcome, Phase, FaultKind)> {
        let fleet = &self.worker.fleet;
        let token = fleet.token(self.ix).map_err(|_| {
            (
                Outcome::Failed,
                Phase::Provision,
                FaultKind::CredentialsUnusable,
            )
        })?;
        let login = fleet.dialect().provision_login(fleet.name(self.ix));
        let connected = self
            .connect(&login, self.due, None)
            .await
            .map_err(|(phase, kind)| (Outcome::Failed, phase, kind))?;

        let request = fleet.dialect().provision_request(
            self.transport(),
            fleet.name(self.ix),
            token.as_ref(),
        );
        (self.step, self.in_flight) = (Phase::Provision, InFlight::Request);
        self.attempts += 1;
        let connection = self.connection.as_mut().expect("connected above");
        let exchanged = connection.exchange(&request).await.map_err(|fault| {
            let outcome = if fault.sent {
                Outcome::Unknown
            } else {
                Outcome::Failed
            };
            (outcome, Phase::Provision, fault.kind)
        })?;
        match fleet.dialect().provision_answer(&exchanged.reply) {
            Answer::Provisioned(credentials) => {
                self.sample(Phase::Provision, connected, &exchanged.span);
                self.provisioned(credentials, exchanged.span.done).await;
                Ok(())
            }
            Answer::Refused(kind) => Err((Outcome::Refused, Phase::Provision, kind)),
            Answer::Unusable { kind, in_doubt } => {
                let outcome = if in_doubt {
                    Outcome::Unknown
                } else {
                    Outcome::Failed
                };
                Err((outcome, Phase::Provision, kind))
            }
        }
    }

    async fn provisioned(&mut self, credentials: Credentials, done: Instant) {
        // Counted before the first await: a cut-off from here on cannot take it back.
        self.outcome = Some(Outcome::Provisioned);
        self.in_flight = InFlight::Nothing;
        self.worker
            .recorder
            .borrow_mut()
            .outcome(self.cohort, Outcome::Provisioned, None);
        self.time_to_provision = Some(done - self.due);
        self.sample_span(Phase::TimeToProvision, self.due, self.started, done);
        self.credentials = Some(credentials);
        self.keep_credentials().await;
    }

    /// Hands the credentials to the ledger, once. A cut-off may strike while a slow ledger holds
    /// this back, so the device's end asks for it again.
    async fn keep_credentials(&mut self) {
        if let (Some(credentials), false) = (&self.credentials, self.kept) {
            let entry = Entry::Provisioned(credentials.clone());
            self.worker.note(self.ix, entry).await;
            self.kept = true;
        }
    }

    /// Opens a connection and records its steps, each from the end of the one before. With `whole`
    /// they are recorded as that one phase. Returns when the connection was ready.
    async fn connect(
        &mut self,
        login: &Login,
        due: Instant,
        whole: Option<Phase>,
    ) -> Result<Instant, (Phase, FaultKind)> {
        self.step = whole.unwrap_or(Phase::TcpConnect);
        let begun = Instant::now();
        let dial = self.worker.fleet.dial(self.ix);
        match Connection::open(dial, login, None, self.ix.0).await {
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
                if let (None, Some(span)) = (whole, &fault.tcp) {
                    self.sample(Phase::TcpConnect, due, span);
                }
                Err((whole.unwrap_or(fault.phase), fault.kind))
            }
        }
    }

    /// Comes back with the received credentials and sends the first message. Returns when that
    /// was due: the anchor of all later ones.
    async fn first_telemetry(&mut self, telemetry: &TelemetryPlan) -> Instant {
        if self.transport().protocol() != Protocol::Coap {
            // CoAP has no connection: its socket serves on.
            self.disconnect().await;
        }
        let due = self.ensure_connected().await;
        if self.connection.is_some() {
            self.send(telemetry, due).await;
        }
        due
    }

    /// Sends a message each interval until the run winds down.
    async fn report(&mut self, telemetry: &TelemetryPlan, first: Instant) {
        let worker = self.worker;
        let mut due = first;
        while !self.stranded {
            due += telemetry.interval;
            tokio::select! {
                biased;
                _turn = worker.leaving.acquire() => return self.disconnect().await,
                () = self.idle(due) => {}
            }
            if *worker.stop.borrow() != Stop::Running {
                // Its turn to leave is still to come; it has no more to say.
                due = Instant::now();
                continue;
            }
            self.ensure_connected().await;
            if self.connection.is_some() {
                self.send(telemetry, due).await;
            }
        }
    }

    /// Lets the connection look after itself until a message is due. Cancel-safe.
    async fn idle(&mut self, due: Instant) {
        if let Some(connection) = &mut self.connection
            && let Err(fault) = connection.idle_until(due).await
        {
            self.trouble(Phase::Telemetry, fault.kind);
            self.connection = None;
        }
        tokio::time::sleep_until(due).await;
    }

    /// Connects with the device's own credentials unless connected. Returns when it was ready.
    async fn ensure_connected(&mut self) -> Instant {
        let due = Instant::now();
        if self.connection.is_some() {
            return due;
        }
        let fleet = &self.worker.fleet;
        let credentials = self
            .credentials
            .as_ref()
            .expect("only provisioned devices come back");
        let Some(login) = fleet
            .dialect()
            .device_login(fleet.name(self.ix), credentials)
        else {
            self.trouble(Phase::Reconnect, FaultKind::CredentialsUnusable);
            return due;
        };
        match self.connect(&login, due, Some(Phase::Reconnect)).await {
            Ok(ready) => ready,
            Err((phase, kind)) => {
                self.trouble(phase, kind);
                Instant::now()
            }
        }
    }

    /// Sends one message over the open connection and waits for its acknowledgement.
    async fn send(&mut self, telemetry: &TelemetryPlan, due: Instant) {
        let dialect = self.worker.fleet.dialect();
        let credentials = self
            .credentials
            .as_ref()
            .expect("only provisioned devices send");
        let payload = telemetry.payload.clone();
        let Some(request) =
            dialect.telemetry_request(self.transport(), credentials, telemetry.qos, payload)
        else {
            self.trouble(Phase::Telemetry, FaultKind::CredentialsUnusable);
            return;
        };
        (self.step, self.in_flight) = (Phase::Telemetry, InFlight::Message);
        let connection = self.connection.as_mut().expect("asked for by the caller");
        let exchanged = connection.exchange(&request).await;
        self.in_flight = InFlight::Nothing;
        match exchanged {
            Ok(exchanged) => match dialect.telemetry_answer(&exchanged.reply) {
                Ok(true) => {
                    self.count_telemetry(1, 1, 0);
                    self.sample(Phase::Telemetry, due, &exchanged.span);
                    self.acknowledged(exchanged.span.done);
                }
                Ok(false) => self.count_telemetry(1, 0, 0),
                Err(kind) => {
                    self.count_telemetry(1, 0, 1);
                    self.trouble(Phase::Telemetry, kind);
                }
            },
            Err(fault) => {
                let sent = u32::from(fault.sent);
                self.count_telemetry(sent, 0, sent);
                self.trouble(Phase::Telemetry, fault.kind);
                self.connection = None;
            }
        }
    }

    fn acknowledged(&mut self, done: Instant) {
        if self.time_to_first_telemetry.is_none() {
            self.time_to_first_telemetry = Some(done - self.due);
            self.sample_span(Phase::TimeToFirstTelemetry, self.due, self.started, done);
        }
    }

    /// What the end of the run makes of a step that was still under way.
    fn cut_off(&mut self) {
        let sending = self.in_flight == InFlight::Message;
        if sending {
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
        } else if sending || self.step == Phase::Reconnect {
            self.trouble(self.step, FaultKind::CutOff);
        }
    }

    /// A fault after provisioning: counted, and the device's first one remembered.
    fn trouble(&mut self, phase: Phase, kind: FaultKind) {
        let cause = Cause::At(phase, kind);
        let mut recorder = self.worker.recorder.borrow_mut();
        recorder.phase_error(self.cohort, phase);
        recorder.error(cause);
        self.cause.get_or_insert(cause);
        self.stranded |= kind == FaultKind::CredentialsUnusable;
    }

    fn becomes(&mut self, state: LiveState) {
        let mut recorder = self.worker.recorder.borrow_mut();
        recorder.gauge(self.cohort, self.state, -1);
        recorder.gauge(self.cohort, state, 1);
        self.state = state;
    }

    fn count_telemetry(&mut self, sent: u32, acked: u32, lost: u32) {
        self.telemetry_sent += sent;
        self.telemetry_acked += acked;
        self.worker.recorder.borrow_mut().telemetry(
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
        // A step can be sent a little before it was due only by the timer's grain.
        let response = done.saturating_duration_since(due);
        let service = done.saturating_duration_since(sent);
        self.worker
            .recorder
            .borrow_mut()
            .sample(self.cohort, phase, response, service);
    }

    fn transport(&self) -> TransportKind {
        self.worker.fleet.cohort(self.ix).transport
    }

    async fn disconnect(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.close().await;
        }
    }

    /// The device's one record.
    async fn end(mut self) {
        self.keep_credentials().await;
        let outcome = self
            .outcome
            .expect("run and cut_off both decide the outcome");
        {
            let mut recorder = self.worker.recorder.borrow_mut();
            recorder.gauge(self.cohort, self.state, -1);
            if outcome != Outcome::Provisioned {
                recorder.outcome(self.cohort, outcome, self.cause);
            }
        }
        let asked_for = self.worker.fleet.cohort(self.ix).credentials.type_name();
        let fate = Fate {
            outcome,
            credentials_type: self
                .credentials
                .as_ref()
                .map_or(asked_for, Credentials::type_name),
            cause: self.cause,
            attempts: self.attempts,
            time_to_provision: self.time_to_provision,
            time_to_first_telemetry: self.time_to_first_telemetry,
            telemetry_sent: self.telemetry_sent,
            telemetry_acked: self.telemetry_acked,
        };
        self.worker.note(self.ix, Entry::Ended(fate)).await;
    }
}
