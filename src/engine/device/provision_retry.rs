//! Trying to be provisioned again, where the server cannot have heard of the first try.

use tokio::time::Instant;

use super::super::shutdown::{Stop, reached};
use super::provisioning::Ended;
use super::{Device, Told};
use crate::model::{Cause, Outcome, Phase};

impl Device<'_> {
    /// Connects and asks, again where the scenario allows it; `Ok` once the credentials are in the
    /// ledger's hands.
    ///
    /// Provisioning is not idempotent: only a try that failed before any byte of its request was
    /// sent has a next one.
    pub(super) async fn provision(&mut self) -> Result<(), Ended> {
        let mut due = self.due;
        let mut tries = 0;
        loop {
            let asked = self.attempts;
            self.told = Told::Nothing;
            let Err(ended) = self.provision_once(due).await else {
                return Ok(());
            };
            let Some(retry) = &self.worker.fleet.plan.life.provision_retry else {
                return Err(ended);
            };
            tries += 1;
            // A try that did not come to its request is one, too.
            self.attempts = self.attempts.max(asked + 1);
            let (outcome, phase, kind) = ended;
            if outcome != Outcome::Failed || self.told == Told::Perhaps || !retry.allows(tries) {
                return Err(ended);
            }
            self.disconnect().await;
            due = Instant::now() + retry.wait(self.name(), 0, tries);
            let mut winding = self.worker.stop.clone();
            tokio::select! {
                biased;
                () = reached(&mut winding, Stop::Winding) => return Err(ended),
                () = tokio::time::sleep_until(due) => {}
            }
            // It failed, and is not how the device ends.
            let mut recorder = self.worker.recorder_of(self.ix);
            recorder.phase_error(self.cohort, phase);
            recorder.error(Cause::At(phase, kind));
            recorder.retry(self.cohort, Phase::Provision);
        }
    }
}
