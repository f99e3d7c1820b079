//! Where the devices of a process stand that died, by the ledger: what is counted of them, and what
//! the process that takes its place does with each.

use super::super::beginning::{Beginning, resumed};
use super::super::fleet::{Fleet, FleetError};
use super::Portion;
use crate::ledger::{Fate, Past};
use crate::metrics::Roll;
use crate::model::{Cause, DeviceIx, Outcome};

/// What is left of a device.
enum Rejoin {
    /// It has ended in this part of the run.
    OnRecord(Fate),
    /// It can only be said to have ended so, and the ledger does not say it yet.
    Unsaid(Fate),
    /// It had begun.
    GoesOn(Beginning),
    /// It begins as it would have.
    AsBefore,
}

impl Fleet {
    /// Takes over the devices of a process of this run that died: `past` is the ledger by now. Turns stay
    /// as they are.
    pub fn rejoin(&mut self, past: &Past, ask_again: bool) -> Result<(), FleetError> {
        let keys = self
            .devices()
            .filter_map(|ix| Some((ix, past.trace(ix)?.files()?)));
        self.equipment.adopt(self.inventory.len(), keys)?;
        for ix in self.devices() {
            match self.rejoined(ix, past, ask_again)? {
                Rejoin::OnRecord(fate) => self.beginnings.put(ix, Beginning::settled(fate)),
                Rejoin::Unsaid(fate) => {
                    self.beginnings.put(ix, Beginning::settled(fate));
                    self.unsaid.insert(ix);
                }
                Rejoin::GoesOn(beginning) => {
                    self.beginnings.put(ix, beginning);
                    self.going_on.insert(ix);
                }
                Rejoin::AsBefore => {}
            }
        }
        Ok(())
    }

    /// Whether another process, which died, had begun with a device: it is due when there is room for it,
    /// is not late, and its first telemetry is none.
    pub(in crate::engine) fn goes_on(&self, ix: DeviceIx) -> bool {
        self.going_on.contains(&ix)
    }

    /// How a device ended that was over before this run or process began, and whether the ledger does
    /// not say so yet.
    pub(in crate::engine) fn over_before(&self, ix: DeviceIx) -> Option<(Fate, bool)> {
        match self.beginning(ix)? {
            Beginning::Settled(fate) => Some((**fate, self.unsaid.contains(&ix))),
            _ => None,
        }
    }

    /// What is to be counted of a process's devices when another takes its place.
    pub(super) fn roll(
        &self,
        past: &Past,
        (portion, workers): (Portion, u32),
        ask_again: bool,
    ) -> Result<Roll, FleetError> {
        let mut roll = Roll::new(self.plan.cohorts.len());
        for ix in self.devices() {
            if self.process_of(ix, portion.of, workers) != portion.number {
                continue;
            }
            let cohort = self.cohort_ix(ix);
            match self.rejoined(ix, past, ask_again)? {
                Rejoin::OnRecord(fate) => {
                    let started = fate.cause != Some(Cause::NotStarted);
                    roll.count(cohort, fate.outcome, started);
                }
                Rejoin::Unsaid(fate) => roll.count(cohort, fate.outcome, true),
                Rejoin::GoesOn(Beginning::Known(_)) => {
                    roll.count(cohort, Outcome::Provisioned, false);
                }
                Rejoin::GoesOn(_) => {}
                Rejoin::AsBefore => self.count_before(ix, &mut roll),
            }
        }
        Ok(roll)
    }

    /// How the devices of a portion end that nobody goes on with, where the ledger does not say it yet,
    /// and whether they are counted as that already.
    pub(super) fn left_behind(
        &self,
        past: &Past,
        (portion, workers): (Portion, u32),
        ask_again: bool,
    ) -> Result<Vec<(DeviceIx, Fate, bool)>, FleetError> {
        let mut left = Vec::new();
        for ix in self.devices() {
            if self.process_of(ix, portion.of, workers) != portion.number {
                continue;
            }
            match self.rejoined(ix, past, ask_again)? {
                Rejoin::OnRecord(_) => {}
                Rejoin::Unsaid(fate) => left.push((ix, fate, true)),
                Rejoin::GoesOn(beginning) => {
                    let counted = matches!(beginning, Beginning::Known(_));
                    left.push((ix, self.fate_at(ix, Some(&beginning)), counted));
                }
                Rejoin::AsBefore => {
                    let counted = self.counted_of(ix).is_some();
                    left.push((ix, self.fate_unless_started(ix), counted));
                }
            }
        }
        Ok(left)
    }

    /// What was counted of each process's devices before the first of them started.
    pub(super) fn rolls_before(&self, processes: u32, workers: u32) -> Vec<Roll> {
        let mut rolls = vec![Roll::new(self.plan.cohorts.len()); processes as usize];
        for ix in self.devices() {
            let process = self.process_of(ix, processes, workers);
            self.count_before(ix, &mut rolls[process as usize]);
        }
        rolls
    }

    fn count_before(&self, ix: DeviceIx, roll: &mut Roll) {
        if let Some((outcome, _)) = self.counted_of(ix) {
            roll.count(self.cohort_ix(ix), outcome, false);
        }
    }

    /// Which of so many processes with so many workers each starts a device, or would.
    pub fn process_of(&self, ix: DeviceIx, processes: u32, workers: u32) -> u32 {
        let cohort = self.cohort_ix(ix);
        if self.schedule.queue(cohort).closed().is_some() {
            let ordinal = self.schedule.worker_of(cohort, ix, processes);
            return ordinal.unwrap_or(ix.0 % processes);
        }
        let worker = self.schedule.worker_of(cohort, ix, processes * workers);
        worker.map_or(ix.0 % processes, |worker| worker / workers)
    }

    fn rejoined(&self, ix: DeviceIx, past: &Past, ask_again: bool) -> Result<Rejoin, FleetError> {
        let Some(trace) = past.trace(ix) else {
            return Ok(Rejoin::AsBefore);
        };
        if let Some(Beginning::Settled(_)) = self.beginning(ix) {
            return Ok(Rejoin::AsBefore);
        }
        if let (Some(fate), true) = (trace.fate, trace.ended_in == past.parts) {
            return Ok(Rejoin::OnRecord(fate));
        }
        let mut trace = trace.clone();
        trace.fate = None;
        Ok(match resumed(self, ix, &trace, false, ask_again)? {
            None => Rejoin::AsBefore,
            Some(Beginning::Settled(fate)) => Rejoin::Unsaid(*fate),
            Some(beginning) => Rejoin::GoesOn(beginning),
        })
    }
}
