//! What a device asks of the server: to be claimed, once, and calls of its own (client-side RPC).

use tokio::time::Instant;

use super::{Device, InFlight};
use crate::inventory::Speaker;
use crate::life::request_due;
use crate::model::{FaultKind, Phase, Request};
use crate::transport::{Exchanged, Fault};

impl Device<'_> {
    /// What it does first over a new connection that was ready then: asks for what the server has,
    /// says who is behind it, and that it may be claimed. Returns when that was done.
    pub(super) async fn greet(&mut self, ready: Instant) -> Instant {
        let listens = self.listen(ready).await;
        let introduced = self.introduce(listens).await;
        self.claim(introduced).await
    }

    /// When its next call of the server is due, if it makes any; gateways make none. `ready` is when
    /// it was live.
    pub(super) fn call_due(&self, ready: Instant) -> Option<Instant> {
        let plan = self.downlink_plan()?.request.as_ref()?;
        if self.behind.is_some() {
            return None;
        }
        let asked = self.downlink.as_ref()?.asked;
        let seed = self.worker.fleet.plan.seed;
        Some(ready + request_due(plan.interval, seed, self.name(), asked))
    }

    /// The next call of the server has its turn. One that cannot be made is not made up for.
    pub(super) async fn call(&mut self, due: Instant, asleep: bool) {
        let Some(own) = &mut self.downlink else {
            return;
        };
        let number = own.asked;
        own.asked = number.saturating_add(1);
        if asleep || self.away.as_ref().is_some_and(|away| away.waits()) {
            return;
        }
        self.ensure_connected().await;
        let (Some(plan), Some(credentials)) = (
            self.downlink_plan().and_then(|plan| plan.request.as_ref()),
            self.credentials.as_deref(),
        ) else {
            return;
        };
        if self.connection.is_none() || self.stranded {
            return;
        }
        let fleet = &self.worker.fleet;
        let sent = self.worker.clock.unix_ms(due);
        let params = plan
            .params
            .at(&Speaker::listed(&fleet.inventory, self.ix), number, sent)
            .ok();
        let params = params.as_deref().and_then(|p| std::str::from_utf8(p).ok());
        let Some(params) = params else {
            return self.trouble(Phase::ClientRpc, FaultKind::PayloadUnusable);
        };
        let (dialect, over) = (fleet.dialect(self.ix), self.transport());
        let request = dialect.call_request(over, credentials, number, &plan.method, params);
        match self.say(Phase::ClientRpc, request).await {
            Some(Ok(exchanged)) => match dialect.call_answer(&exchanged.reply) {
                Ok(()) => self.sample(Phase::ClientRpc, due, &exchanged.span),
                Err(kind) => self.trouble(Phase::ClientRpc, kind),
            },
            // Who waits in vain for an answer has lost nothing else.
            Some(Err(fault)) if fault.kind != FaultKind::Timeout => self.lose(),
            Some(Err(_)) | None => {}
        }
    }

    /// Says that it may be claimed, unless it did; gateways do not. Returns when that was done.
    async fn claim(&mut self, ready: Instant) -> Instant {
        let (Some(plan), Some(own), Some(credentials)) = (
            self.downlink_plan().and_then(|plan| plan.claim.as_ref()),
            self.downlink.as_ref(),
            self.credentials.as_deref(),
        ) else {
            return ready;
        };
        if own.claimed || self.behind.is_some() || self.connection.is_none() {
            return ready;
        }
        let fleet = &self.worker.fleet;
        let key = plan.secret_key.as_ref();
        let key = key.map(|key| key.render(&fleet.inventory, self.ix));
        let Ok(key) = key.transpose() else {
            self.has_claimed(true);
            self.trouble(Phase::Claim, FaultKind::PayloadUnusable);
            return ready;
        };
        let key = key.map(Into::into);
        let (dialect, over) = (fleet.dialect(self.ix), self.transport());
        let request = dialect.claim_request(over, credentials, key.as_ref(), plan.duration);
        // What may have arrived is not said twice, even if this is broken off.
        self.has_claimed(true);
        match self.say(Phase::Claim, request).await {
            Some(Ok(exchanged)) => match dialect.telemetry_answer(&exchanged.reply) {
                Ok(true) => self.sample(Phase::Claim, ready, &exchanged.span),
                Ok(false) => {}
                Err(kind) => self.trouble(Phase::Claim, kind),
            },
            Some(Err(fault)) => {
                self.has_claimed(fault.sent);
                self.lose();
            }
            None => {}
        }
        Instant::now()
    }

    fn has_claimed(&mut self, claimed: bool) {
        if let Some(own) = &mut self.downlink {
            own.claimed = claimed;
        }
    }

    /// Asks over its connection. A fault is recorded; so is a request that cannot be made, which is
    /// `None`.
    async fn say(
        &mut self,
        phase: Phase,
        request: Option<Request>,
    ) -> Option<Result<Exchanged, Fault>> {
        let Some(request) = request else {
            self.trouble(phase, FaultKind::CredentialsUnusable);
            return None;
        };
        let connection = self.connection.as_mut()?;
        (self.step, self.in_flight) = (phase, InFlight::Question);
        let exchanged = connection.exchange(&request).await;
        (self.step, self.in_flight) = (Phase::Telemetry, InFlight::Nothing);
        if let Err(fault) = &exchanged {
            self.trouble(phase, fault.kind);
        }
        Some(exchanged)
    }
}
