//! The devices' keys and certificates before a run, and how far their making has come.

use super::Failure;
use crate::engine::{Authorities, Dealing, Equipment};
use crate::inventory::Inventory;
use crate::scenario::Plan;

/// Reads or makes the devices' keys and certificates.
pub(super) fn equip(
    plan: &Plan,
    inventory: &Inventory,
    dealing: &Dealing,
    authorities: &Authorities,
) -> Result<Equipment, Failure> {
    let bar = indicatif::ProgressBar::new(0).with_style(
        indicatif::ProgressStyle::with_template("{bar:30} {pos} of {len} certificates")
            .expect("the template is sound"),
    );
    let progress = |done: usize, all: usize| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    };
    let made = Equipment::prepare(plan, inventory, dealing, authorities, &progress);
    bar.finish_and_clear();
    made.map_err(Failure::usage)
}
