//! A device of which nobody knows whether the server provisioned it: its credentials, which it
//! would have brought itself, are shown, and the server says.

use std::borrow::Cow;

use tokio::time::Instant;

use super::provisioning::{Ended, is_rejection};
use super::{Device, InFlight};
use crate::engine::beginning::{ANSWER_LOST, Beginning};
use crate::model::{Credentials, FaultKind, Outcome, Phase};

/// What the server says of credentials.
enum Word {
    LetIn,
    KeptOut,
    /// Nothing that tells.
    None(Phase, FaultKind),
}

impl Device<'_> {
    /// Gets its credentials in the way that its beginning leaves: they may be here already.
    pub(super) async fn begin(&mut self) -> Result<(), Ended> {
        let beginning = self.worker.fleet.beginning(self.ix);
        match beginning {
            Some(Beginning::Known(_)) => Ok(()),
            Some(Beginning::InDoubt { credentials, .. }) => self.resolve(credentials).await,
            Some(Beginning::AsksAgain { .. }) => {
                self.provision().await.map_err(|ended| match ended {
                    // An earlier request was granted, and its answer is lost.
                    (Outcome::Refused, phase, FaultKind::Failure) => {
                        (Outcome::Unknown, phase, FaultKind::Failure)
                    }
                    ended => ended,
                })
            }
            Some(Beginning::Settled(_)) | None => self.provision().await,
        }
    }

    async fn resolve(&mut self, credentials: &Credentials) -> Result<(), Ended> {
        // Should the run end in between, all is as before.
        (self.outcome, self.cause) = (Some(Outcome::Unknown), Some(ANSWER_LOST));
        match self.shows(credentials).await {
            Word::LetIn => {
                self.cause = None;
                self.count_provisioned();
                self.credentials = Some(Cow::Owned(credentials.clone()));
                self.keep_credentials().await;
                Ok(())
            }
            Word::KeptOut => {
                (self.outcome, self.cause) = (None, None);
                self.disconnect().await;
                self.provision().await
            }
            Word::None(phase, kind) => Err((Outcome::Unknown, phase, kind)),
        }
    }

    async fn shows(&mut self, credentials: &Credentials) -> Word {
        let fleet = &self.worker.fleet;
        let dialect = fleet.dialect(self.ix);
        let login = dialect.device_login(fleet.name(self.ix), credentials);
        let identity = match credentials {
            Credentials::X509 { certificate } => {
                let own = fleet.identity_with(self.ix, certificate);
                if own.is_none() || !self.transport().is_secure() {
                    return Word::None(Phase::Reconnect, FaultKind::CredentialsUnusable);
                }
                own
            }
            _ => None,
        };
        let Ok(question) = dialect.presence_request(self.transport(), credentials) else {
            return Word::None(Phase::Reconnect, FaultKind::CredentialsUnusable);
        };
        let whole = Some(Phase::Reconnect);
        let connected = self
            .connect(&login, identity, Instant::now(), whole)
            .await
            .map_err(|broken| broken.kind);
        let kept_out = |kind| {
            if is_rejection(kind) {
                Word::KeptOut
            } else {
                Word::None(Phase::Reconnect, kind)
            }
        };
        if let Err(kind) = connected {
            return kept_out(kind);
        }
        let (Some(question), Some(connection)) = (question, &mut self.connection) else {
            return Word::LetIn;
        };
        self.in_flight = InFlight::Question;
        let answer = connection.exchange(&question).await;
        self.in_flight = InFlight::Nothing;
        match answer {
            Ok(exchanged) => match dialect.telemetry_answer(&exchanged.reply) {
                Ok(_) => Word::LetIn,
                Err(kind) => kept_out(kind),
            },
            Err(fault) => Word::None(Phase::Reconnect, fault.kind),
        }
    }
}
