//! What is behind a cohort's gateways, as it is meant.

use std::time::Duration;

use crate::inventory::{Inventory, Speaker, Template, TemplateError};
use crate::model::DeviceIx;

/// The devices behind each gateway of a cohort.
#[derive(Clone, Debug)]
pub struct GatewayPlan {
    /// How many there are behind each, 1 to 10,000.
    pub devices: u32,
    /// Their names, by the gateway and `sub`.
    pub name: Template,
    /// Their device profile's name.
    pub kind: String,
    /// Whether the gateway says of each that it is there.
    pub connect: bool,
    /// From one such word to the next.
    pub connect_every: Duration,
    /// How many of them share a message at most, at least 1.
    pub per_message: u32,
    /// How the server acknowledges such a message.
    pub pubacks: Pubacks,
}

/// How a server acknowledges a message with parts of several devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pubacks {
    /// Once for each of them, as ThingsBoard does.
    Each,
    /// Once, as brokers do.
    One,
}

impl GatewayPlan {
    /// The name of a device behind a gateway, from 0.
    pub fn name_of(
        &self,
        inventory: &Inventory,
        gateway: DeviceIx,
        sub: u32,
    ) -> Result<String, TemplateError> {
        let speaker = Speaker::listed(inventory, gateway);
        self.name.render_with(&speaker, &[("sub", sub.into())])
    }

    /// How many acknowledgements a message with so many parts gets.
    pub fn pubacks_of(&self, parts: u32) -> u32 {
        match self.pubacks {
            Pubacks::Each => parts,
            Pubacks::One => 1,
        }
    }
}
