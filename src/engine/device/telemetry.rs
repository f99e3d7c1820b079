//! What a provisioned device says: its attributes once, and a message; `life` says when.

use tokio::time::Instant;

use super::{Attributes, Device, InFlight};
use crate::inventory::Speaker;
use crate::model::{Credentials, FaultKind, Phase, Protocol};
use crate::scenario::TelemetryPlan;

impl Device<'_> {
    /// Comes back with the received credentials and says what is to be said at once. Returns when
    /// it was ready for its first message, the anchor of all others, and the next message's number.
    pub(super) async fn settle(&mut self) -> (Instant, u32) {
        let by_certificate = matches!(self.credentials.as_deref(), Some(Credentials::X509 { .. }));
        if self.transport().protocol() != Protocol::Coap || by_certificate {
            // CoAP has no connection: its socket serves on, unless a certificate is to be shown.
            self.disconnect().await;
        }
        let serves_on = self.connection.is_some();
        let mut ready = self.ensure_connected().await;
        if serves_on {
            ready = self.greet(ready).await;
        }
        let Some(telemetry) = self.telemetry() else {
            return (ready, 0);
        };
        if let Some(described) = self.describe(telemetry, ready).await {
            ready = described;
        }
        if !telemetry.rhythm.phase(self.name()).is_zero() {
            return (ready, 0);
        }
        if self.connection.is_some() && !self.stranded {
            self.send(telemetry, (0, ready), ready).await;
        }
        (ready, 1)
    }

    /// Sends the device's attributes, unless that is done. Returns when they were answered, or
    /// `None` when nothing was sent.
    pub(super) async fn describe(
        &mut self,
        telemetry: &TelemetryPlan,
        due: Instant,
    ) -> Option<Instant> {
        let attributes = telemetry.attributes.as_ref();
        if self.attributes == Attributes::Done || attributes.is_none() {
            self.attributes = Attributes::Done;
            return None;
        }
        self.connection.as_ref()?;
        if self.behind.is_some() {
            return Box::pin(self.describe_behind(attributes?, due)).await;
        }
        let fleet = &self.worker.fleet;
        let (dialect, credentials) = (fleet.dialect(self.ix), self.credentials.as_deref()?);
        let sent = self.worker.clock.unix_ms(due);
        let Ok(payload) = attributes?.at(&Speaker::listed(&fleet.inventory, self.ix), 0, sent)
        else {
            self.attributes = Attributes::Done;
            self.trouble(Phase::Attributes, FaultKind::PayloadUnusable);
            return None;
        };
        let request =
            dialect.attributes_request(self.transport(), credentials, telemetry.qos, payload);
        let Some(request) = request else {
            self.trouble(Phase::Attributes, FaultKind::CredentialsUnusable);
            return None;
        };
        (self.step, self.in_flight) = (Phase::Attributes, InFlight::Attributes);
        let exchanged = self.connection.as_mut()?.exchange(&request).await;
        self.in_flight = InFlight::Nothing;
        match exchanged {
            Ok(exchanged) => {
                self.attributes = Attributes::Done;
                match dialect.telemetry_answer(&exchanged.reply) {
                    Ok(true) => self.sample(Phase::Attributes, due, &exchanged.span),
                    Ok(false) => {}
                    Err(kind) => self.not_taken(Phase::Attributes, kind),
                }
            }
            Err(fault) => {
                if fault.sent {
                    // What may have arrived is not sent twice.
                    self.attributes = Attributes::Done;
                }
                self.trouble(Phase::Attributes, fault.kind);
                self.lose();
            }
        }
        Some(Instant::now())
    }

    /// Sends one message, its number and due time, over the open connection and waits for its
    /// acknowledgement. Nothing but the generator held it back from `since` on.
    pub(super) async fn send(
        &mut self,
        telemetry: &TelemetryPlan,
        (number, due): (u32, Instant),
        since: Instant,
    ) {
        if self.behind.is_some() {
            return Box::pin(self.speak(telemetry, (number, due), since)).await;
        }
        let fleet = &self.worker.fleet;
        let dialect = fleet.dialect(self.ix);
        let credentials = self
            .credentials
            .as_deref()
            .expect("only provisioned devices send");
        let sent = self.worker.clock.unix_ms(due);
        let payload =
            telemetry
                .payload
                .at(&Speaker::listed(&fleet.inventory, self.ix), number, sent);
        let Ok(payload) = payload else {
            self.trouble(Phase::Telemetry, FaultKind::PayloadUnusable);
            return;
        };
        let Some(request) =
            dialect.telemetry_request(self.transport(), credentials, telemetry.qos, payload)
        else {
            self.trouble(Phase::Telemetry, FaultKind::CredentialsUnusable);
            return;
        };
        (self.step, self.in_flight) = (Phase::Telemetry, InFlight::Message);
        let lag = since.elapsed();
        self.worker.recorder_of(self.ix).message_lag(lag);
        let connection = self.connection.as_mut().expect("asked for by the caller");
        let exchanged = connection.exchange(&request).await;
        self.in_flight = InFlight::Nothing;
        match exchanged {
            Ok(exchanged) => match dialect.telemetry_answer(&exchanged.reply) {
                Ok(true) => {
                    self.count_telemetry(1, 1, 0);
                    self.sample(Phase::Telemetry, due, &exchanged.span);
                    self.first_acknowledged(exchanged.span.done);
                }
                Ok(false) => self.count_telemetry(1, 0, 0),
                Err(kind) => {
                    self.count_telemetry(1, 0, 1);
                    self.not_taken(Phase::Telemetry, kind);
                }
            },
            Err(fault) => {
                let sent = u32::from(fault.sent);
                self.count_telemetry(sent, 0, sent);
                self.trouble(Phase::Telemetry, fault.kind);
                self.lose();
            }
        }
    }

    /// The server answered, and not with a yes.
    fn not_taken(&mut self, phase: Phase, kind: FaultKind) {
        // For a certificate that it does not know, the server has no path without a token: it says
        // 4.00 (section 6.3 of the wire specification).
        self.rejected |= kind == FaultKind::CoapCode(0x80)
            && matches!(self.credentials.as_deref(), Some(Credentials::X509 { .. }));
        self.trouble(phase, kind);
    }

    /// A message was acknowledged, which is a moment if it is the first.
    pub(super) fn first_acknowledged(&mut self, done: Instant) {
        let Some(telemetry) = self.telemetry() else {
            return;
        };
        if self.time_to_first_telemetry.is_some() {
            return;
        }
        // What the scenario makes it wait is nobody's latency.
        let wait = telemetry.rhythm.phase(self.name());
        let (due, started) = (self.due + wait, self.started + wait);
        self.time_to_first_telemetry = Some(done.saturating_duration_since(due));
        if !self.worker.fleet.goes_on(self.ix) {
            self.sample_span(Phase::TimeToFirstTelemetry, due, started, done);
        }
    }

    pub(super) fn name(&self) -> &'_ str {
        self.worker.fleet.name(self.ix)
    }
}
