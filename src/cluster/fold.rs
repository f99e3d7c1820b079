//! What counts of the records of a run: the same for the coordinator, for whoever takes a shard over, and for who
//! reads the logs a month later.

use super::record::{Entry, Kind};

/// What a record is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The shard has a new holder.
    Claimed {
        /// How many it had before.
        earlier: u32,
        /// The last of them.
        from: Option<String>,
    },
    /// Its body counts.
    Counted,
    /// Its body counts, and the shard is over.
    Over,
    /// It is worth nothing.
    Ignored(Why),
}

/// Why a record is worth nothing. Where the servers compare as they promise, none of this is ever stored, except
/// for what others than fleetcall write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// There is no such shard.
    NoShard,
    /// It was there already.
    Repeated,
    /// Others than fleetcall wrote it.
    Foreign,
    /// The shard was over.
    AfterFinal,
    /// Its author was not the shard's holder any more.
    OldEpoch,
    /// Something that counts came between it and what its author knew to be the last.
    Overtaken,
    /// Something is missing before it.
    Gap,
}

/// Where one shard stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Standing {
    /// The last sequence of its log; 0: none.
    pub(super) last: u64,
    /// The last that is worth something; 0: none.
    counted: u64,
    /// Epoch and name of its holder.
    holder: Option<(u64, String)>,
    /// Claims so far.
    pub(super) claims: u32,
    pub(super) over: bool,
}

impl Standing {
    /// Takes the next record of the shard's log.
    pub(super) fn take(&mut self, entry: &Entry) -> Verdict {
        if entry.sequence <= self.last {
            return Verdict::Ignored(Why::Repeated);
        }
        let before = std::mem::replace(&mut self.last, entry.sequence);
        if let Some(why) = self.objection(entry, before) {
            return Verdict::Ignored(why);
        }
        self.counted = entry.sequence;
        match entry.kind {
            Kind::Claim => {
                let earlier = self.claims;
                self.claims = self.claims.saturating_add(1);
                let holder = (entry.epoch, entry.worker.clone());
                let from = self.holder.replace(holder).map(|(_, worker)| worker);
                Verdict::Claimed { earlier, from }
            }
            Kind::Final => {
                self.over = true;
                Verdict::Over
            }
            Kind::Batch | Kind::Foreign => Verdict::Counted,
        }
    }

    fn objection(&self, entry: &Entry, before: u64) -> Option<Why> {
        let held =
            |(epoch, worker): &(u64, String)| *epoch == entry.epoch && *worker == entry.worker;
        match entry.kind {
            Kind::Foreign => Some(Why::Foreign),
            _ if self.over => Some(Why::AfterFinal),
            Kind::Batch | Kind::Final if !self.holder.as_ref().is_some_and(held) => {
                Some(Why::OldEpoch)
            }
            _ if entry.after > before => Some(Why::Gap),
            // Its author may have been told that it is stored, and go on from it: what is worth nothing
            // does not come between.
            _ if entry.after < self.counted => Some(Why::Overtaken),
            _ => None,
        }
    }
}

/// All shards of a run.
#[derive(Clone, Debug)]
pub struct Fold {
    shards: Vec<Standing>,
    open: usize,
}

impl Fold {
    /// Of a run of so many shards, before its first record.
    pub fn new(shards: u32) -> Self {
        Self {
            shards: vec![Standing::default(); shards as usize],
            open: shards as usize,
        }
    }

    /// Takes a record; those of one shard in the order of their sequences.
    pub fn take(&mut self, entry: &Entry) -> Verdict {
        let Some(shard) = self.shards.get_mut(entry.shard as usize) else {
            return Verdict::Ignored(Why::NoShard);
        };
        let verdict = shard.take(entry);
        if verdict == Verdict::Over {
            self.open -= 1;
        }
        verdict
    }

    /// Whether a shard's last word was said.
    pub fn is_over(&self, shard: u32) -> bool {
        let shard = self.shards.get(shard as usize);
        shard.is_some_and(|shard| shard.over)
    }

    /// Whether each shard's was.
    pub fn all_over(&self) -> bool {
        self.open == 0
    }
}

#[cfg(test)]
mod histories;
#[cfg(test)]
mod tests;
