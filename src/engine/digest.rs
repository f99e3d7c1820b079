//! The schedule's fingerprint: two runs with the same one had the same devices due at the same
//! nanoseconds, whatever the number of workers.

use std::fmt::Write as _;

use ring::digest::{Context, SHA256};

use super::fleet::Fleet;
use crate::arrival::{Arrival, Due};

/// SHA-256 in lower-case hexadecimal. Open model: over each device in list order: its ordinal (u32),
/// its name's length (u32) and name, its cohort's name's length (u32) and name, and when it is due in
/// ns (u64; all ones for never). Closed: the same with all ones less one for the time, then each
/// change's offset in ns (u64) and places from then on (u32). Numbers are little-endian.
pub fn schedule_digest(fleet: &Fleet) -> String {
    let arrival = &fleet.plan.arrival;
    let mut context = Context::new(&SHA256);
    let mut record = Vec::with_capacity(128);
    for ix in fleet.devices() {
        record.clear();
        record.extend_from_slice(&ix.0.to_le_bytes());
        for text in [fleet.name(ix), &fleet.cohort(ix).name] {
            record.extend_from_slice(&(text.len() as u32).to_le_bytes());
            record.extend_from_slice(text.as_bytes());
        }
        let due = match arrival.due(ix.0) {
            Due::At(at) => u64::try_from(at.as_nanos()).unwrap_or(LATEST),
            Due::WhenFree => WHEN_FREE,
            Due::Never => NEVER,
        };
        record.extend_from_slice(&due.to_le_bytes());
        context.update(&record);
    }
    if let Arrival::Closed(closed) = arrival {
        let start = std::iter::once(std::time::Duration::ZERO);
        for at in start.chain(closed.changes()) {
            let nanos = u64::try_from(at.as_nanos()).unwrap_or(LATEST);
            context.update(&nanos.to_le_bytes());
            context.update(&closed.places(at).unwrap_or(0).to_le_bytes());
        }
    }
    let mut hex = String::with_capacity(64);
    for byte in context.finish().as_ref() {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

const NEVER: u64 = u64::MAX;

const WHEN_FREE: u64 = u64::MAX - 1;

/// Later than 584 years.
const LATEST: u64 = u64::MAX - 2;
