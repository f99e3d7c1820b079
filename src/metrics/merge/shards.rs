//! Shards of one run: which may be added up, and what is to be said of them together.

use std::time::Duration;

use super::super::shard::{INCOMPLETE, ShardSummary};
use super::super::summary::{RunPart, Summary};
use super::{MergeError, began};

/// Refuses shards that are not of one run, or beside what is no shard. A run's shards are each given once.
pub(super) fn check(parts: &[RunPart]) -> Result<(), MergeError> {
    let Some((first, whole)) = parts.iter().find_map(of_shard) else {
        return Ok(());
    };
    let mut seen = Vec::with_capacity(parts.len());
    for part in parts {
        let Some((_, shard)) = of_shard(part) else {
            return Err(MergeError::Shards(format!(
                "the run of {} is whole, and that of {} is shard {}",
                part.started_at, first.started_at, whole.shard
            )));
        };
        let alike = |shard: &ShardSummary, part: &RunPart| {
            let digest = shard.schedule_digest.clone();
            (shard.shard.of, shard.listed, digest, part.seed)
        };
        if alike(shard, part) != alike(whole, first) {
            return Err(MergeError::Shards(format!(
                "shard {} and shard {} are not of one run: they have other lists, schedules or seeds",
                whole.shard, shard.shard
            )));
        }
        if seen.contains(&shard.shard.number) {
            return Err(MergeError::Shards(format!(
                "shard {} is given twice: its devices would be counted twice",
                shard.shard
            )));
        }
        seen.push(shard.shard.number);
    }
    Ok(())
}

fn of_shard(part: &RunPart) -> Option<(&RunPart, &ShardSummary)> {
    Some((part, part.shard.as_ref()?))
}

/// Whether a note was made of the shards that there were, which may be others now.
pub(super) fn is_note(note: &str) -> bool {
    note.starts_with(INCOMPLETE) || note.starts_with(APART)
}

/// Notes what is missing, and whether the shards were one load at all.
pub(super) fn note(sum: &mut Summary) -> Result<(), MergeError> {
    let missing = sum.missing_shards().map(|missing| missing.note());
    let mut begun = Vec::new();
    for part in &sum.runs {
        if let Some((part, shard)) = of_shard(part) {
            begun.push((began(part)?, shard.shard));
        }
    }
    let first = begun.iter().min_by_key(|(at, _)| *at);
    let last = begun.iter().max_by_key(|(at, _)| *at);
    let apart = first.zip(last).and_then(|(first, last)| {
        let apart = last.0.saturating_sub(first.0);
        (apart > TOGETHER).then(|| {
            format!(
                "{APART}shard {} began {:.1} s after shard {}: together they made other arrivals than one \
                 run does",
                last.1,
                apart.as_secs_f64(),
                first.1
            )
        })
    });
    let own: Vec<String> = missing.into_iter().chain(apart).collect();
    sum.notes.splice(0..0, own);
    Ok(())
}

const APART: &str = "not side by side: ";

/// Machines whose clocks are kept begin closer than this.
const TOGETHER: Duration = Duration::from_secs(1);
