//! In whose name something is said.

use super::list::Inventory;
use crate::model::DeviceIx;

/// A listed device, or one behind a gateway: what templates and payloads are worked out for.
#[derive(Clone, Copy, Debug)]
pub struct Speaker<'a> {
    /// The list.
    pub inventory: &'a Inventory,
    /// The listed device: itself, or its gateway, whose row and index it has.
    pub ix: DeviceIx,
    /// Its own name.
    pub name: &'a str,
    /// Its position behind its gateway, from 0; `None` for a listed device.
    pub sub: Option<u32>,
}

impl<'a> Speaker<'a> {
    /// A device of the list.
    pub fn listed(inventory: &'a Inventory, ix: DeviceIx) -> Self {
        Self {
            inventory,
            ix,
            name: inventory.name(ix),
            sub: None,
        }
    }

    /// A device behind a listed one.
    pub fn behind(inventory: &'a Inventory, gateway: DeviceIx, name: &'a str, sub: u32) -> Self {
        Self {
            inventory,
            ix: gateway,
            name,
            sub: Some(sub),
        }
    }
}
