//! The schedule's fingerprint: two runs with the same one had the same devices due at the same
//! nanoseconds, whatever the number of workers.

use std::fmt::Write as _;
use std::time::Duration;

use ring::digest::{Context, SHA256};

use super::fleet::Fleet;
use crate::arrival::{Arrival, Closed, Due, StageEnd};

/// SHA-256 in lower-case hexadecimal. Over each device in list order: its ordinal in the list (u32),
/// its name's length (u32) and name, its cohort's name's length (u32) and name, and when it is due in
/// ns (u64; all ones for never, all ones less one for when a place is free).
///
/// Then over each closed arrival: `[arrival]`, and those of cohorts in the scenario's order, each of
/// them behind its cohort's name's length (u32) and name. Where all stages have a length: each change's
/// offset in ns (u64), the start included, and the places from then on (u32). Otherwise, each stage's
/// length in ns (u64; all ones less one where a count ends it), count (u32; 0 for none) and places
/// (u32), and the places after the last (u32). No places are 0. Numbers are little-endian.
///
/// Empty for a search, whose schedule follows from what its trials come to.
pub fn schedule_digest(fleet: &Fleet) -> String {
    if fleet.plan.search.is_some() {
        return String::new();
    }
    let mut context = Context::new(&SHA256);
    let mut record = Vec::with_capacity(128);
    for ix in fleet.listed() {
        record.clear();
        record.extend_from_slice(&ix.0.to_le_bytes());
        for text in [fleet.name(ix), &fleet.cohort(ix).name] {
            put_text(&mut record, text);
        }
        let due = match fleet.due(ix) {
            Due::At(at) => nanos(at),
            Due::WhenFree => WHEN_FREE,
            Due::Never => NEVER,
        };
        record.extend_from_slice(&due.to_le_bytes());
        context.update(&record);
    }
    record.clear();
    let shared = fleet.plan.arrival.iter().map(|arrival| (None, arrival));
    let own = fleet.plan.cohorts.iter().filter_map(|cohort| {
        let arrival = cohort.arrival.as_ref()?;
        Some((Some(cohort.name.as_str()), arrival))
    });
    for (cohort, arrival) in shared.chain(own) {
        if let Arrival::Closed(closed) = arrival {
            if let Some(cohort) = cohort {
                put_text(&mut record, cohort);
            }
            put_places(&mut record, closed);
        }
    }
    context.update(&record);
    let mut hex = String::with_capacity(64);
    for byte in context.finish().as_ref() {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

fn put_text(record: &mut Vec<u8>, text: &str) {
    record.extend_from_slice(&(text.len() as u32).to_le_bytes());
    record.extend_from_slice(text.as_bytes());
}

/// A closed arrival's places over time.
fn put_places(record: &mut Vec<u8>, closed: &Closed) {
    let after = closed.places_after().unwrap_or(0);
    let mut at = Duration::ZERO;
    for stage in closed.stages() {
        match stage.end {
            StageEnd::After(length) if closed.is_timed() => {
                record.extend_from_slice(&nanos(at).to_le_bytes());
                at += length;
            }
            StageEnd::After(length) => {
                record.extend_from_slice(&nanos(length).to_le_bytes());
                record.extend_from_slice(&0u32.to_le_bytes());
            }
            StageEnd::Started(count) => {
                record.extend_from_slice(&WHEN_FREE.to_le_bytes());
                record.extend_from_slice(&count.to_le_bytes());
            }
        }
        record.extend_from_slice(&stage.concurrency.to_le_bytes());
    }
    if closed.is_timed() {
        record.extend_from_slice(&nanos(at).to_le_bytes());
    }
    record.extend_from_slice(&after.to_le_bytes());
}

fn nanos(at: Duration) -> u64 {
    u64::try_from(at.as_nanos()).unwrap_or(LATEST)
}

const NEVER: u64 = u64::MAX;

const WHEN_FREE: u64 = u64::MAX - 1;

/// Later than 584 years.
const LATEST: u64 = u64::MAX - 2;
