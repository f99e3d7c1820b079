//! Whether a search has the devices that it needs.

use super::Failure;
use crate::scenario::Plan;

/// A search takes fresh devices for each trial, since none can be provisioned twice.
/// Whoever has been provisioned is of no use to it.
pub(super) fn for_search(plan: &Plan, listed: u32, provisioned: bool) -> Result<(), Failure> {
    let Some(rules) = &plan.search else {
        return Ok(());
    };
    if provisioned {
        return Err(Failure::usage(
            "[search] measures how devices are provisioned, and some of these have been\n\
             help: begin a search of its own with others; what an earlier one found is in its summary.json",
        ));
    }
    let needed = rules.devices_needed();
    if u64::from(listed) >= needed {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "[search] takes fresh devices for each trial: up to {needed}, and the list has {listed}\n\
         help: add devices, lower `search.to` or `search.hold`, or raise `search.precision`; \
         `devices.generate` without `count` makes enough"
    )))
}
