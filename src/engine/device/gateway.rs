//! A gateway's life besides any device's: it says who is behind it, and speaks for these.
//!
//! Nothing runs for a device behind a gateway, and nothing is kept of it but where it stands: its
//! name and what it says follow from seed, gateway and position.

mod heard;
mod posts;

use std::borrow::Cow;

use tokio::time::Instant;

use self::posts::{Round, Saying};
use super::super::shutdown::Stop;
use super::{Attributes, Device};
use crate::dialect::{Parts, Report};
use crate::inventory::Speaker;
use crate::metrics::GatewayCounts;
use crate::model::{FaultKind, Phase};
use crate::payload::Payload;
use crate::scenario::{GatewayPlan, TelemetryPlan};

/// What a gateway holds for those behind it. Boxed: other devices hold nothing.
pub(super) struct Behind {
    /// Of each, by its position.
    standing: Box<[Standing]>,
    /// Their positions by the hashes of their names, sorted; empty until one is looked for.
    index: Box<[(u64, u32)]>,
    /// What is under way.
    saying: Option<Saying>,
    /// How many had their attributes sent.
    described: u32,
    /// It has spoken in a session.
    came_up: bool,
    /// A server acknowledged something that it said as a gateway.
    known: bool,
}

/// Where a device behind a gateway stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// No server has acknowledged that it is there.
    Unknown,
    /// One has, and not in this session, or it was let go since.
    Away,
    /// In this session.
    Connected,
}

impl Behind {
    /// Those behind a gateway, none of whom is known to a server.
    pub(super) fn new(plan: &GatewayPlan) -> Self {
        Self {
            standing: vec![Standing::Unknown; plan.devices as usize].into(),
            index: Box::default(),
            saying: None,
            described: 0,
            came_up: false,
            known: false,
        }
    }
}

impl<'a> Device<'a> {
    /// What is behind it, if it is a gateway.
    fn gateway(&self) -> Option<&'a GatewayPlan> {
        self.worker.fleet.cohort(self.ix).gateway.as_ref()
    }

    /// Says over a new connection, ready then, who is behind it. Returns when that was done.
    pub(super) async fn introduce(&mut self, ready: Instant) -> Instant {
        let (Some(plan), Some(behind)) = (self.gateway(), &mut self.behind) else {
            return ready;
        };
        for standing in &mut behind.standing {
            if *standing == Standing::Connected {
                *standing = Standing::Away;
            }
        }
        let first = !std::mem::replace(&mut behind.came_up, true);
        if first {
            self.count_gateway(&GatewayCounts {
                gateways: 1,
                sub_devices: plan.devices.into(),
                ..GatewayCounts::default()
            });
        }
        let Some(connection) = &mut self.connection else {
            return ready;
        };
        // Servers say unasked whom they let go, and grant no subscription to it.
        if let Err(fault) = connection.subscribe(&[]).await {
            self.trouble(Phase::GatewayConnect, fault.kind);
            self.lose();
            return Instant::now();
        }
        if plan.connect {
            let every = plan.connect_every;
            let anchor = ready;
            self.connect_behind(plan, Saying::Connects { anchor, every })
                .await;
        }
        Instant::now()
    }

    /// Connects those again that the server let go in this session.
    pub(super) async fn introduce_again(&mut self) {
        let (Some(plan), Some(behind)) = (self.gateway(), &self.behind) else {
            return;
        };
        let away = behind.standing.contains(&Standing::Away);
        if plan.connect && away && self.connection.is_some() {
            let anchor = Instant::now();
            let every = std::time::Duration::ZERO;
            self.connect_behind(plan, Saying::Connects { anchor, every })
                .await;
        }
    }

    async fn connect_behind(&mut self, plan: &GatewayPlan, saying: Saying) {
        let mut round = Round::new(saying);
        for sub in 0..plan.devices {
            let standing = self
                .behind
                .as_ref()
                .map(|behind| behind.standing[sub as usize]);
            if standing == Some(Standing::Connected) {
                continue;
            }
            let running = *self.worker.stop.borrow() == Stop::Running;
            if !running || !self.bide(saying.due(sub)).await {
                break;
            }
            let Some(name) = self.name_behind(sub) else {
                continue;
            };
            let dialect = self.worker.fleet.dialect(self.ix);
            let request = dialect.gateway_connect(&name, &plan.kind);
            if !self.post(&mut round, &request, (1, sub)).await {
                break;
            }
        }
        self.finish(round).await;
    }

    /// Sends the message of that number, due then, for all behind it. Nothing but the generator
    /// held it back from `since` on.
    pub(super) async fn speak(
        &mut self,
        telemetry: &TelemetryPlan,
        message: (u32, Instant),
        since: Instant,
    ) {
        let (number, due) = message;
        let mut round = Round::new(Saying::Telemetry { due });
        round.held_until = since;
        let said = (&telemetry.payload, number);
        self.report(Report::Telemetry, said, 0, &mut round).await;
        self.finish(round).await;
    }

    /// Sends the attributes of those behind it, unless that is done. Returns when they were
    /// answered, or `None` when nothing was sent.
    pub(super) async fn describe_behind(
        &mut self,
        payload: &Payload,
        due: Instant,
    ) -> Option<Instant> {
        self.connection.as_ref()?;
        let from = self.behind.as_ref()?.described;
        let mut round = Round::new(Saying::Attributes { due });
        self.report(Report::Attributes, (payload, 0), from, &mut round)
            .await;
        self.finish(round).await;
        let all = self.gateway()?.devices;
        if self.behind.as_ref()?.described >= all {
            self.attributes = Attributes::Done;
        }
        Some(Instant::now())
    }

    /// Says something for all behind it from a position on, as many to a message as may share one.
    async fn report(
        &mut self,
        what: Report,
        (payload, number): (&Payload, u32),
        from: u32,
        round: &mut Round,
    ) {
        let (Some(plan), Some(telemetry)) = (self.gateway(), self.telemetry()) else {
            return;
        };
        let fleet = &self.worker.fleet;
        let sent = self.worker.clock.unix_ms(round.saying.due(0));
        let mut parts = Parts::new(what);
        for sub in from..plan.devices {
            let name = self.name_behind(sub);
            let part = name.as_ref().and_then(|name| {
                let speaker = Speaker::behind(&fleet.inventory, self.ix, name, sub);
                payload.at(&speaker, number, sent).ok()
            });
            match (&name, part) {
                (Some(name), Some(part)) => parts.add(name, &part),
                _ => self.trouble(round.saying.phase(), FaultKind::PayloadUnusable),
            }
            if parts.count() < plan.per_message && sub + 1 < plan.devices {
                continue;
            }
            let full = std::mem::replace(&mut parts, Parts::new(what));
            let posted = self.post_parts(full, plan, telemetry, round).await;
            if let (Some(behind), Report::Attributes, true) = (&mut self.behind, what, posted) {
                behind.described = sub + 1;
            }
            if !posted {
                return;
            }
        }
    }

    async fn post_parts(
        &mut self,
        parts: Parts,
        plan: &GatewayPlan,
        telemetry: &TelemetryPlan,
        round: &mut Round,
    ) -> bool {
        let count = parts.count();
        if !parts.fits() {
            self.trouble(round.saying.phase(), FaultKind::PayloadUnusable);
            return true;
        }
        if count == 0 {
            return true;
        }
        let request = parts.request(telemetry.qos);
        self.post(round, &request, (plan.pubacks_of(count), count))
            .await
    }

    /// The name of one behind it.
    pub(super) fn name_behind(&self, sub: u32) -> Option<Cow<'a, str>> {
        self.worker.fleet.name_of(self.ix, Some(sub))
    }

    fn count_gateway(&self, counts: &GatewayCounts) {
        if !counts.is_empty() {
            let mut recorder = self.worker.recorder_of(self.ix);
            recorder.gateway(self.cohort, counts);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_a_device_behind_a_gateway_is_where_it_stands() {
        assert_eq!(size_of::<Standing>(), 1);
        println!("gateway {} B", size_of::<Behind>());
        assert!(size_of::<Behind>() <= 128);
    }
}
