//! How a device gets its credentials: by a provision request, or by its certificate's chain.

use std::borrow::Cow;

use tokio::time::Instant;

use super::{Device, InFlight, Told, Unopened};
use crate::dialect::{Answer, ThingsBoard};
use crate::model::{Credentials, FaultKind, Outcome, Phase, Request};
use crate::scenario::CredentialsPlan;
use crate::transport::{Exchanged, Fault};

/// How a device's provisioning ended without credentials: outcome, phase and fault.
pub(super) type Ended = (Outcome, Phase, FaultKind);

/// Credentials, and the exchange that brought them.
pub(super) type Granted = (Credentials, Exchanged);

impl Device<'_> {
    /// Connects, which was due then, and asks; `Ok` once the credentials are in the ledger's hands.
    pub(super) async fn provision_once(&mut self, due: Instant) -> Result<(), Ended> {
        match self.cohort().credentials {
            CredentialsPlan::X509Chain(_) => self.by_chain(due).await,
            _ => self.by_request(due).await,
        }
    }

    /// Sends a request for that name over the open connection, and judges what comes back.
    pub(super) async fn ask(
        &mut self,
        dialect: &ThingsBoard,
        name: &str,
        request: &Request,
    ) -> Result<Granted, Ended> {
        self.step = Phase::Provision;
        self.intend(name).await?;
        self.in_flight = InFlight::Request;
        self.attempts += 1;
        let connection = self.connection.as_mut().expect("connected before");
        let exchanged = connection.exchange(request).await;
        self.in_flight = InFlight::Nothing;
        if exchanged.as_ref().map_or_else(|fault| fault.sent, |_| true) {
            self.told = Told::Perhaps;
        }
        judged(dialect, exchanged)
    }

    /// Nothing is asked that the ledger does not know of.
    pub(super) async fn intend(&self, name: &str) -> Result<(), Ended> {
        let files = self.worker.fleet.own_files(self.ix);
        if self.worker.intend(self.ix, name, files).await {
            Ok(())
        } else {
            Err((Outcome::Unfinished, self.step, FaultKind::CutOff))
        }
    }

    /// Opens the provisioning connection, in place of one that may be open. Returns when it was
    /// ready.
    pub(super) async fn connect_to_ask(&mut self, due: Instant) -> Result<Instant, Ended> {
        let fleet = &self.worker.fleet;
        let login = fleet.dialect(self.ix).provision_login(fleet.name(self.ix));
        self.connect(&login, None, due, None)
            .await
            .map_err(|broken| (Outcome::Failed, broken.step, broken.kind))
    }

    /// The handshake is the request and CONNACK its answer (section 5 of the wire specification).
    async fn by_chain(&mut self, due: Instant) -> Result<(), Ended> {
        let fleet = &self.worker.fleet;
        let identity = fleet
            .identity(self.ix)
            .expect("a chain's devices were equipped");
        let credentials = Credentials::X509 {
            certificate: identity.leaf_base64(),
        };
        let login = fleet
            .dialect(self.ix)
            .device_login(fleet.name(self.ix), &credentials);
        self.intend(fleet.name(self.ix)).await?;
        self.attempts += 1;
        self.in_flight = InFlight::Request;
        let connected = self.connect(&login, Some(identity), due, None).await;
        self.in_flight = InFlight::Nothing;
        match connected {
            Ok(ready) => {
                self.provisioned(credentials, ready).await;
                Ok(())
            }
            Err(Unopened { step: phase, kind }) => {
                // From the handshake on, the certificate may have been seen.
                if phase != Phase::TcpConnect {
                    self.told = Told::Perhaps;
                }
                self.rejected = is_rejection(kind);
                Err((chain_outcome(phase, kind), phase, kind))
            }
        }
    }

    pub(super) async fn provisioned(&mut self, credentials: Credentials, done: Instant) {
        // Counted before the first await: a cut-off from here on cannot take it back.
        self.count_provisioned();
        self.time_to_provision = Some(done - self.due);
        if let Some(round) = &*self.worker.round.borrow() {
            round.note_provisioned(self.worker.clock.offset(done));
        }
        self.sample_span(Phase::TimeToProvision, self.due, self.started, done);
        self.credentials = Some(Cow::Owned(credentials));
        self.keep_credentials().await;
    }

    pub(super) fn count_provisioned(&mut self) {
        self.outcome = Some(Outcome::Provisioned);
        self.worker
            .recorder_of(self.ix)
            .outcome(self.cohort, Outcome::Provisioned, None);
    }
}

/// What an exchange of a provision request came to.
pub(super) fn judged(
    dialect: &ThingsBoard,
    exchanged: Result<Exchanged, Fault>,
) -> Result<Granted, Ended> {
    let in_doubt = |doubt| {
        if doubt {
            Outcome::Unknown
        } else {
            Outcome::Failed
        }
    };
    let exchanged =
        exchanged.map_err(|fault| (in_doubt(fault.sent), Phase::Provision, fault.kind))?;
    match dialect.provision_answer(&exchanged.reply) {
        Answer::Provisioned(credentials) => Ok((credentials, exchanged)),
        Answer::Refused(kind) => Err((Outcome::Refused, Phase::Provision, kind)),
        Answer::Unusable {
            kind,
            in_doubt: doubt,
        } => Err((in_doubt(doubt), Phase::Provision, kind)),
    }
}

/// Whether the server keeps a device out for what it is, and not because of some trouble.
pub(super) fn is_rejection(kind: FaultKind) -> bool {
    match kind {
        FaultKind::Connack(code) => matches!(code, 2 | 4 | 5),
        // Client identifier not valid, bad user name or password, not authorized, banned.
        FaultKind::ConnackReason(code) => matches!(code, 0x85 | 0x86 | 0x87 | 0x8a),
        // RFC 8446 section 6.2: what is said of a certificate, and access_denied.
        FaultKind::TlsAlert(number) => matches!(number, 41..=46 | 48 | 49 | 116),
        FaultKind::HttpStatus(status) => status == 401,
        FaultKind::CoapCode(code) => code == 0x81,
        _ => false,
    }
}

/// The server provisions within the handshake, before it says anything of it at CONNACK: what
/// breaks off in between leaves doubt.
fn chain_outcome(phase: Phase, kind: FaultKind) -> Outcome {
    match (phase, kind) {
        (_, FaultKind::Connack(_) | FaultKind::ConnackReason(_)) if is_rejection(kind) => {
            Outcome::Refused
        }
        (_, FaultKind::TlsAlert(_) | FaultKind::TlsServerUntrusted | FaultKind::TlsProtocol)
        | (Phase::TcpConnect, _) => Outcome::Failed,
        _ => Outcome::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_break_within_the_handshake_leaves_doubt_about_a_chain() {
        use FaultKind::*;
        for (phase, kind, outcome) in [
            (Phase::TcpConnect, ConnectionRefused, Outcome::Failed),
            (Phase::TlsHandshake, TlsServerUntrusted, Outcome::Failed),
            (Phase::TlsHandshake, TlsAlert(42), Outcome::Failed),
            (Phase::TlsHandshake, Timeout, Outcome::Unknown),
            (Phase::MqttConnect, ConnectionClosed, Outcome::Unknown),
            (Phase::MqttConnect, Connack(3), Outcome::Unknown),
            (Phase::MqttConnect, ConnackReason(0x88), Outcome::Unknown),
            (Phase::MqttConnect, Connack(5), Outcome::Refused),
            (Phase::MqttConnect, ConnackReason(0x87), Outcome::Refused),
        ] {
            assert_eq!(chain_outcome(phase, kind), outcome, "{phase:?} {kind}");
        }
    }

    #[test]
    fn only_a_judgement_of_the_device_is_a_rejection() {
        for kind in [
            FaultKind::Connack(5),
            FaultKind::ConnackReason(0x87),
            FaultKind::TlsAlert(48),
            FaultKind::HttpStatus(401),
            FaultKind::CoapCode(0x81),
        ] {
            assert!(is_rejection(kind), "{kind}");
        }
        for kind in [
            FaultKind::Connack(3),
            FaultKind::ConnackReason(0x9f),
            FaultKind::TlsAlert(80),
            FaultKind::HttpStatus(500),
            FaultKind::Timeout,
        ] {
            assert!(!is_rejection(kind), "{kind}");
        }
    }
}
