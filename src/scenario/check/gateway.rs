//! `[cohort.gateway]`.

use std::time::Duration;

use super::super::gateway_keys::Gateway;
use super::super::leaf::{Choice, Span};
use super::super::plan::{GatewayPlan, Pubacks};
use super::super::section::Entry;
use super::super::tree::Spot;
use super::credentials::Setting;
use super::telemetry::ranged;
use super::{filled, required};
use crate::inventory::Template;
use crate::model::{Protocol, TransportKind};

impl Setting<'_> {
    /// What is behind the cohort's devices, if they are gateways.
    #[expect(clippy::option_option, reason = "faulty, or not there")]
    pub(super) fn gateway(&self, transport: Option<TransportKind>) -> Option<Option<GatewayPlan>> {
        let (table, at) = match &self.table.gateway {
            Entry::Absent => return Some(None),
            Entry::Faulty => return None,
            Entry::Given(table, at) => (table, at),
        };
        if let Some(transport) = transport.filter(|kind| kind.protocol() != Protocol::Mqtt) {
            let word = transport.as_str();
            let title = format!("gateways speak MQTT, and this cohort talks {word}");
            self.faults
                .add(at, title, "take transport = \"mqtt\" or \"mqtts\"");
        }
        if self.file.telemetry.is_absent() && self.file.downlink.is_absent() {
            let title = "what is behind a gateway has nothing to say and nothing to hear";
            self.faults.add(at, title, "add [telemetry] or [downlink]");
        }
        let devices = self.behind(table, at);
        let name = match &table.name {
            Entry::Absent => {
                Some(Template::compile_knowing(NAME, &["sub"]).expect("the default is sound"))
            }
            Entry::Faulty => None,
            Entry::Given(text, spot) => self.template_knowing(text, "name", spot, &["sub"]),
        };
        let kind = match &table.r#type {
            Entry::Absent => Some("default".to_owned()),
            Entry::Faulty => None,
            Entry::Given(text, spot) => filled(text, "type", spot, self.faults),
        };
        let connect = table.connect.or(true);
        let every = table.connect_every.or(Span(Duration::ZERO));
        if let (Some(false), Some(spot)) = (connect, table.connect_every.spot()) {
            let title = "`connect_every` is for gateways that connect their devices";
            self.faults
                .add(spot, title, "remove it, or `connect = false`");
        }
        let per_message = match &table.per_message {
            Entry::Absent => Some(u32::MAX),
            entry => ranged(entry, "per_message", 1, MOST, self.faults),
        };
        let pubacks = table.pubacks.or(Choice(Pubacks::Each));
        Some(Some(GatewayPlan {
            devices: devices?,
            name: name?,
            kind: kind?,
            connect: connect?,
            connect_every: every?.0,
            per_message: per_message?,
            pubacks: pubacks?.0,
        }))
    }

    fn behind(&self, table: &Gateway, at: &Spot) -> Option<u32> {
        required(&table.devices, "devices", at, "devices = 20", self.faults)?;
        ranged(&table.devices, "devices", 1, MOST, self.faults)
    }
}

const NAME: &str = "{{ name }}-{{ sub }}";

/// Devices behind one gateway.
const MOST: u32 = 10_000;
