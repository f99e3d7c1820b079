//! Several runs laid beside each other, each counted from its own start.

use std::collections::BTreeSet;

use super::super::latency::{CarriedError, put};
use super::interval::{Interval, Join};

/// One time line of several runs' intervals: it is cut where all of them are, or are over, so that
/// no interval is divided.
pub fn beside(runs: &[Vec<Interval>]) -> Result<Vec<Interval>, CarriedError> {
    let all = common_cuts(&runs.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let mut rest: Vec<_> = runs.iter().map(|run| run.iter().peekable()).collect();
    let mut wide = Vec::with_capacity(all.len());
    for end in all {
        let mut sum: Option<Interval> = None;
        for run in &mut rest {
            let mut own: Option<Interval> = None;
            while let Some(interval) = run.next_if(|next| micros(next.to_s) <= end) {
                put(&mut own, Some(interval), |own, more| {
                    own.add(more, Join::Next)
                })?;
            }
            put(&mut sum, own.as_ref(), |sum, own| {
                sum.add(own, Join::Beside)
            })?;
        }
        wide.extend(sum);
    }
    Ok(wide)
}

/// The moments, in µs and ascending, at which each of the runs is cut, or is over.
pub fn common_cuts(runs: &[&[Interval]]) -> Vec<u64> {
    let ends = runs
        .iter()
        .map(|run| run.iter().map(|interval| micros(interval.to_s)).collect());
    let ends: Vec<BTreeSet<u64>> = ends.collect();
    let is_cut = |at: &u64| {
        ends.iter()
            .all(|cuts| cuts.contains(at) || cuts.last().is_none_or(|end| end < at))
    };
    let all: BTreeSet<u64> = ends.iter().flatten().copied().filter(is_cut).collect();
    all.into_iter().collect()
}

/// Whole µs, in which times are written.
pub fn micros(seconds: f64) -> u64 {
    #[expect(clippy::cast_sign_loss, reason = "a float below 0 is cast to 0")]
    let us = (seconds * 1e6).round() as u64;
    us
}
