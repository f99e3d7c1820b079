//! Who takes part in a run, as its log tells.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::About;
use crate::metrics::{Evidence, ValidityLimits, WorkerSummary, judge_evidence};

/// The workers, seen by the coordinator; clones are of the same.
#[derive(Clone, Default)]
pub(super) struct Attendance(Arc<Mutex<BTreeMap<String, Attended>>>);

#[derive(Default)]
struct Attended {
    summary: WorkerSummary,
    /// What was seen of each shard's process last.
    evidence: BTreeMap<u32, Evidence>,
}

impl Attendance {
    /// A worker has a shard; whether others had it before.
    pub(super) fn took(&self, worker: &str, taken_over: bool) {
        self.with(worker, |attended| {
            attended.summary.shards += 1;
            attended.summary.taken_over += u64::from(taken_over);
        });
    }

    /// What a worker says of itself.
    pub(super) fn said(&self, worker: &str, about: &About) {
        self.with(worker, |Attended { summary, .. }| {
            about.host.clone_into(&mut summary.host);
            summary.cores = u64::from(about.cores);
            summary.clock_offset_ms = millis(about.clock_offset_us);
            summary.clock_uncertainty_ms = millis(about.clock_rtt_us) / 2.0;
            if let Some(behind) = about.behind_us.map(millis) {
                let worst = summary
                    .start_behind_ms
                    .map_or(behind, |so_far| so_far.max(behind));
                summary.start_behind_ms = Some(worst);
            }
        });
    }

    /// What was seen of a shard's process so far.
    pub(super) fn saw(&self, worker: &str, shard: u32, evidence: &Evidence) {
        self.with(worker, |attended| {
            attended.evidence.insert(shard, evidence.clone());
        });
    }

    /// Everybody, by name, each with its own verdict.
    pub(super) fn summaries(&self, limits: &ValidityLimits) -> Vec<WorkerSummary> {
        let all = self.lock();
        let summary = |attended: &Attended| {
            let together = Evidence::together(attended.evidence.values());
            let (verdict, reasons) = judge_evidence(&together, limits);
            WorkerSummary {
                verdict,
                reasons,
                ..attended.summary.clone()
            }
        };
        all.values().map(summary).collect()
    }

    fn with(&self, worker: &str, change: impl FnOnce(&mut Attended)) {
        let mut all = self.lock();
        let attended = all.entry(worker.to_owned()).or_default();
        worker.clone_into(&mut attended.summary.name);
        change(attended);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Attended>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[expect(clippy::cast_precision_loss, reason = "no clock is off by centuries")]
fn millis(us: impl TryInto<i64>) -> f64 {
    us.try_into().unwrap_or(i64::MAX) as f64 / 1e3
}
