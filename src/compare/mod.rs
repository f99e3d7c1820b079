//! Candidate runs held against baseline runs: is the target slower, does it fail more?
//!
//! Reads finished runs, refuses those that are no measurements of the same thing, judges each metric
//! and says one word about all: regression, inconclusive, improvement or no change. The method is
//! in `docs/compare.md`, its statistics in [`statistics`](crate::statistics). All reports are drawn
//! from a [`Comparison`]; the same runs give the same one.

mod admit;
#[cfg(test)]
mod calibration;
mod comparison;
#[cfg(test)]
mod fixture;
mod history;
mod judge;
mod junit;
mod markdown;
mod measure;
mod recorded;
#[cfg(test)]
mod tests;
mod text;

use crate::metrics::CarriedError;
use crate::report::Results;

use admit::{Named, objections};
use judge::{CONFIDENCE, Judged, SHARE_FLOOR};
use recorded::{Recorded, RunData};

pub use comparison::{
    COMPARISON_VERSION, Comparison, EffectRow, MetricRow, Noise, NotJudged, RunRow, Unit, Verdict,
};
pub use history::{ChangePoint, Entry, HISTORY_VERSION, History, HistoryError, append};
pub use judge::Terms;
pub use junit::junit;
pub use markdown::markdown;
pub use measure::{Clock, Measure, Quantile, Selection};
pub use text::text;

/// A run and the path that it was read from.
#[derive(Clone, Debug)]
pub struct Given {
    /// As it was given.
    pub path: String,
    /// What it left.
    pub results: Results,
}

/// Why runs are not compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// They are no measurements of the same thing, or of anything.
    #[error("{0}help: {1}")]
    Refused(String, &'static str),
    /// A histogram is damaged.
    #[error("{0}; help: take the files as the run wrote them")]
    Damaged(#[from] CarriedError),
}

/// Holds the candidate against the baseline. `force` compares what would be refused.
pub fn compare(
    baseline: &[Given],
    candidate: &[Given],
    mut terms: Terms,
    force: bool,
) -> Result<Comparison, CompareError> {
    let [one, other] =
        [baseline, candidate].map(|side| side.iter().map(Named::of).collect::<Vec<_>>());
    let mut found = objections(&one, &other);
    let lines = |texts: &[String]| texts.join("\n") + "\n";
    if !found.never.is_empty() {
        return Err(CompareError::Refused(
            lines(&found.never),
            "name each run once",
        ));
    }
    if !force && !found.grave.is_empty() {
        let help = "--force compares them all the same, and says so";
        return Err(CompareError::Refused(lines(&found.grave), help));
    }
    terms.aligned = found.grave.is_empty();
    found.grave.append(&mut found.light);
    let sides = [baseline, candidate].map(|side| side.iter().map(RunData::of).collect());
    let recorded = Recorded::new(sides);
    let judged = judged(&recorded, &terms)?;
    let first = &baseline
        .first()
        .or(candidate.first())
        .expect("at least one run")
        .results
        .summary;
    Ok(Comparison {
        comparison_version: COMPARISON_VERSION,
        fleetcall_version: env!("CARGO_PKG_VERSION").to_owned(),
        scenario: first.scenario.clone(),
        verdict: overall(&judged),
        tolerance: terms.tolerance,
        floor_us: terms.floor_us,
        share_floor: SHARE_FLOOR,
        confidence: CONFIDENCE,
        family: judged.rows.len(),
        warnings: found.grave,
        baseline: baseline.iter().map(RunRow::of).collect(),
        candidate: candidate.iter().map(RunRow::of).collect(),
        metrics: judged.rows,
        effects: judged.effects,
        not_judged: judged.not,
        history: None,
    })
}

fn judged(recorded: &Recorded<'_>, terms: &Terms) -> Result<Judged, CarriedError> {
    let mut judged = Judged::default();
    let cohorts = recorded.cohorts().filter(|_| terms.cohorts).map(Some);
    for cohort in std::iter::once(None).chain(cohorts) {
        judged.measure(
            |side, phase, clock| recorded.samples(side, cohort, phase, clock),
            |side, measure| recorded.parts(side, cohort, measure),
            cohort,
            terms,
        )?;
    }
    judged.settle();
    Ok(judged)
}

/// The comparison as JSON: indented, ending with a line end.
pub fn json(comparison: &Comparison) -> String {
    let json = serde_json::to_string_pretty(comparison).expect("plain words and numbers");
    json + "\n"
}

/// The gravest; of nothing nothing can be said.
fn overall(judged: &Judged) -> Verdict {
    let verdicts = judged.rows.iter().map(|row| row.verdict);
    verdicts.max().unwrap_or(Verdict::Inconclusive)
}

impl<'a> Named<'a> {
    fn of(given: &'a Given) -> Self {
        Self {
            path: &given.path,
            summary: &given.results.summary,
        }
    }
}

impl<'a> RunData<'a> {
    fn of(given: &'a Given) -> Self {
        let timeline = given.results.timeline.as_ref();
        Self {
            summary: &given.results.summary,
            intervals: timeline.map_or(&[], |timeline| &timeline.intervals),
        }
    }
}

impl RunRow {
    fn of(given: &Given) -> Self {
        let run = &given.results.summary;
        Self {
            path: given.path.clone(),
            started_at: run.started_at.clone(),
            elapsed_s: run.elapsed_s,
            seed: run.seed,
            target: run.target.clone(),
            fleetcall_version: run.fleetcall_version.clone(),
            verdict: run.generator.verdict.as_str().to_owned(),
            result: run.result.as_str().to_owned(),
        }
    }
}
