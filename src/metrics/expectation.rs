//! What had to happen to the devices of each cohort against what did: the matrix of a run.
//!
//! Devices are added one by one once the run is over, in list order. What lies off the diagonal
//! fails the run. What no single device shows is a [`Finding`](super::Finding) and not seen here.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::deviation::{Deviation, of_cell};
use super::finding::Findings;
use super::search::SearchSummary;
use super::setting::Setting;
use super::summary::{RunResult, Summary};
use crate::model::{Cause, CohortIx, Expectation, Misbehaviour, Observed};

/// Expected against observed, per cohort.
#[derive(Clone, Debug)]
pub struct Matrix {
    /// In the scenario's order.
    cohorts: Vec<Cohort>,
}

impl Matrix {
    /// Nothing observed yet.
    pub fn new(setting: &Setting) -> Self {
        let cohorts = setting.cohorts.iter().map(|cohort| Cohort {
            name: cohort.name.clone(),
            misbehaviour: cohort.misbehaviour,
            expected: cohort.expectation(),
            judged: setting.judges(cohort),
            added: 0,
            cells: BTreeMap::new(),
        });
        Self {
            cohorts: cohorts.collect(),
        }
    }

    /// One device: to be called exactly once for each listed one, in list order. The device's name
    /// is kept only as an example of something off the diagonal.
    pub fn add(
        &mut self,
        cohort: CohortIx,
        observed: Observed,
        device: &str,
        cause: Option<Cause>,
    ) {
        self.cohorts[cohort.get()].add(observed, device, cause);
    }

    /// The rows of the judged cohorts. Of a run that was cut off, its unfinished devices are not
    /// held against it.
    pub(super) fn rows(self, finished: bool) -> Vec<ExpectationRow> {
        let judged = self.cohorts.into_iter().filter(|cohort| cohort.judged);
        judged.map(|cohort| cohort.row(finished)).collect()
    }
}

/// One judged cohort.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExpectationRow {
    /// Its name.
    pub cohort: String,
    /// What its devices do wrong, if anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub misbehaviour: Option<Misbehaviour>,
    /// What had to happen to each of them.
    pub expected: Expectation,
    /// What did happen to how many; what happened to none is left out.
    pub observed: BTreeMap<Observed, u64>,
    /// How many of them did not go as expected.
    pub off: u64,
    /// What that means, the server's faults first; empty when `off` is 0.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deviations: Vec<Deviation>,
    /// At most [`EXAMPLES_MAX`], in list order, some of each kind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<Example>,
}

impl ExpectationRow {
    /// The devices of the cohort.
    pub fn devices(&self) -> u64 {
        self.observed
            .values()
            .fold(0, |sum, n| sum.saturating_add(*n))
    }

    /// Adds what happened in another run to devices of the same cohort.
    pub(super) fn add(&mut self, other: Self) {
        for (observed, n) in other.observed {
            let sum = self.observed.entry(observed).or_default();
            *sum = sum.saturating_add(n);
        }
        self.off = self.off.saturating_add(other.off);
        let mut deviations: BTreeMap<Observed, Deviation> = BTreeMap::new();
        for deviation in self.deviations.drain(..).chain(other.deviations) {
            match deviations.get_mut(&deviation.observed) {
                Some(sum) => sum.add(deviation),
                None => {
                    deviations.insert(deviation.observed, deviation);
                }
            }
        }
        let (asked, devices) = ((self.expected, self.misbehaviour), self.devices());
        let retold = deviations.into_values().map(|deviation| {
            let counts = (deviation.count, devices);
            of_cell(asked, deviation.observed, counts, deviation.causes)
        });
        self.deviations = retold.collect();
        let mut examples: BTreeMap<Observed, Vec<Example>> = BTreeMap::new();
        for example in self.examples.drain(..).chain(other.examples) {
            examples.entry(example.observed).or_default().push(example);
        }
        let examples: Vec<_> = examples.into_values().collect();
        self.examples = in_turn(&examples);
    }
}

/// A device that did not go as expected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Example {
    /// Its name exactly as listed: not fit for a terminal.
    pub device: String,
    /// What happened to it.
    pub observed: Observed,
    /// The stable word, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

impl Summary {
    /// Holds what was observed to what was expected. A run that passed so far has failed when
    /// something is off or found; invalid and interrupted runs stay so.
    ///
    /// # Panics
    /// When the devices of a judged cohort were not all added exactly once: no figure may be
    /// shown then.
    pub fn judge(&mut self, matrix: Matrix, findings: Findings) {
        let rows = matrix.rows(self.result != RunResult::Interrupted && self.aborted.is_empty());
        for row in &rows {
            assert_eq!(
                Some(row.devices()),
                self.cohorts.get(&row.cohort).map(|c| c.devices.listed),
                "each listed device of cohort {:?} is observed exactly once",
                row.cohort
            );
        }
        self.expectations = rows;
        self.findings = findings.rows();
        if self.result == RunResult::Passed && !self.holds() {
            self.result = RunResult::Failed;
        }
    }

    /// Whether every threshold held and ended nothing, every expectation was met and nothing was
    /// found, whatever the generator's verdict.
    pub fn holds(&self) -> bool {
        self.thresholds.iter().all(|judged| judged.passed)
            && self.expectations_met()
            && self.findings.is_empty()
            && self.aborted.is_empty()
            && self.missing_shards().is_none()
            && self.search.as_ref().is_none_or(SearchSummary::holds)
    }

    /// Whether every judged device went as expected.
    pub fn expectations_met(&self) -> bool {
        self.expectations.iter().all(|row| row.off == 0)
    }
}

/// What was observed in a cohort.
#[derive(Clone, Debug)]
struct Cohort {
    name: String,
    misbehaviour: Option<Misbehaviour>,
    expected: Expectation,
    judged: bool,
    added: u64,
    cells: BTreeMap<Observed, Cell>,
}

impl Cohort {
    fn add(&mut self, observed: Observed, device: &str, cause: Option<Cause>) {
        let place = self.added;
        self.added += 1;
        let cell = self.cells.entry(observed).or_default();
        cell.count += 1;
        if observed.meets(self.expected) {
            return;
        }
        if cell.examples.len() < EXAMPLES_MAX {
            let example = Example {
                device: device.to_owned(),
                observed,
                cause: cause.map(|cause| cause.to_string()),
            };
            cell.examples.push((place, example));
        }
        if let Some(cause) = cause
            && (cell.causes.len() < CAUSES_MAX || cell.causes.contains_key(&cause))
        {
            *cell.causes.entry(cause).or_default() += 1;
        }
    }

    fn row(self, finished: bool) -> ExpectationRow {
        let is_off = |observed: Observed| {
            !observed.meets(self.expected) && (finished || observed != Observed::Unfinished)
        };
        let off: Vec<(Observed, &Cell)> = self
            .cells
            .iter()
            .filter(|(observed, _)| is_off(**observed))
            .map(|(observed, cell)| (*observed, cell))
            .collect();
        ExpectationRow {
            cohort: self.name,
            misbehaviour: self.misbehaviour,
            expected: self.expected,
            observed: self
                .cells
                .iter()
                .map(|(o, cell)| (*o, cell.count))
                .collect(),
            off: off.iter().map(|(_, cell)| cell.count).sum(),
            deviations: off
                .iter()
                .map(|(observed, cell)| {
                    let asked = (self.expected, self.misbehaviour);
                    let causes = cell.causes.iter();
                    let causes = causes.map(|(cause, n)| (cause.to_string(), *n)).collect();
                    of_cell(asked, *observed, (cell.count, self.added), causes)
                })
                .collect(),
            examples: examples(&off),
        }
    }
}

/// How many devices ended alike in a cohort, and some of them.
#[derive(Clone, Debug, Default)]
struct Cell {
    count: u64,
    /// With their place among the cohort's devices.
    examples: Vec<(u64, Example)>,
    /// At most [`CAUSES_MAX`]: only the most frequent one is named.
    causes: BTreeMap<Cause, u64>,
}

/// From each cell in turn, so that many time-outs cannot hide the one accepted secret.
fn examples(off: &[(Observed, &Cell)]) -> Vec<Example> {
    let cells: Vec<_> = off.iter().map(|(_, cell)| cell.examples.clone()).collect();
    let mut chosen: Vec<(u64, Example)> = in_turn(&cells);
    chosen.sort_by_key(|(place, _)| *place);
    chosen.into_iter().map(|(_, example)| example).collect()
}

/// At most [`EXAMPLES_MAX`] of all groups, the first of each before the second of any.
fn in_turn<T: Clone>(groups: &[Vec<T>]) -> Vec<T> {
    let turns = (0..EXAMPLES_MAX).flat_map(|turn| groups.iter().filter_map(move |g| g.get(turn)));
    turns.take(EXAMPLES_MAX).cloned().collect()
}

/// Devices named per cohort.
pub const EXAMPLES_MAX: usize = 5;

/// Distinct causes counted per cell: a server chooses some of the codes in them.
const CAUSES_MAX: usize = 64;

#[cfg(test)]
mod tests;
