//! The tables of the page: latencies, cohorts, transports, slow devices, runs.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::page::{ROWS, text};
use crate::metrics::timeline::Mark;
use crate::metrics::{
    CarriedError, CohortSummary, DeviceCounts, LatencyFigures, PhaseSummary, Summary,
    TelemetryCounts, TrialSummary,
};
use crate::model::{Outcome, Phase, TrialVerdict, units};
use crate::report::Slowest;
use crate::report::results::Results;
use crate::report::rows::waiting;
use crate::report::search::{TRIAL_HEADS, cells, statement};
use crate::report::text::seconds;

/// A phase with both its times.
#[derive(Debug, Serialize)]
pub(super) struct LatencyLine {
    phase: &'static str,
    count: String,
    errors: String,
    retries: String,
    /// p50, p90, p99, p99.9, max.
    response: [String; 5],
    service: [String; 5],
}

pub(super) fn latency(summary: &Summary) -> Vec<LatencyLine> {
    let line = |(phase, row): (&Phase, &PhaseSummary)| LatencyLine {
        phase: phase.as_str(),
        count: units::count(row.count),
        errors: units::count(row.errors),
        retries: units::count(row.retries),
        response: figures(&row.response_us, row.count),
        service: figures(&row.service_us, row.count),
    };
    summary.phases.iter().map(line).collect()
}

fn figures(us: &LatencyFigures, count: u64) -> [String; 5] {
    [us.p50, us.p90, us.p99, us.p999, us.max].map(|us| match count {
        0 => "–".to_owned(),
        _ => units::micros(us),
    })
}

/// What it means where the two times differ by far.
pub(super) fn words(summary: &Summary) -> Vec<String> {
    let phases = summary.phases.iter();
    phases
        .filter_map(|(phase, row)| waiting(*phase, &row.response_us, &row.service_us))
        .collect()
}

/// A cohort, or all that talk over one transport.
#[derive(Debug, Serialize)]
struct CohortLine {
    name: String,
    /// Transport and credentials.
    via: String,
    listed: String,
    /// By outcome.
    outcomes: Vec<String>,
    /// p50 and p99 of response, then of service.
    times: Vec<String>,
    sent: String,
    acked: String,
    lost: String,
}

/// Cohorts, or transports, side by side.
#[derive(Debug, Serialize)]
pub(super) struct Parts {
    name: &'static str,
    rows: Vec<CohortLine>,
}

/// Those that there are several of.
pub(super) fn parts(summary: &Summary) -> Result<Vec<Parts>, CarriedError> {
    let parts = [
        ("cohort", cohorts(summary)?),
        ("transport", transports(summary)?),
    ];
    let parts = parts.into_iter().filter(|(_, rows)| !rows.is_empty());
    Ok(parts.map(|(name, rows)| Parts { name, rows }).collect())
}

/// Nothing when there is but one.
fn cohorts(summary: &Summary) -> Result<Vec<CohortLine>, CarriedError> {
    if summary.cohorts.len() < 2 {
        return Ok(Vec::new());
    }
    let cohorts = summary.cohorts.iter().take(ROWS);
    cohorts
        .map(|(name, cohort)| {
            let via = format!("{}, {}", cohort.transport.as_str(), cohort.credentials);
            let mut sum = Sum::default();
            sum.add(cohort)?;
            Ok(sum.line(text(name), text(&via)))
        })
        .collect()
}

/// Nothing when all talk alike.
fn transports(summary: &Summary) -> Result<Vec<CohortLine>, CarriedError> {
    let mut sums: BTreeMap<_, (Sum, usize)> = BTreeMap::new();
    for cohort in summary.cohorts.values() {
        let (sum, cohorts) = sums.entry(cohort.transport).or_default();
        sum.add(cohort)?;
        *cohorts += 1;
    }
    if sums.len() < 2 || sums.len() == summary.cohorts.len() {
        return Ok(Vec::new());
    }
    let lines = sums.into_iter().map(|(transport, (sum, cohorts))| {
        sum.line(transport.as_str().to_owned(), format!("{cohorts} cohorts"))
    });
    Ok(lines.collect())
}

/// Counts and histograms of cohorts together.
#[derive(Default)]
struct Sum {
    devices: [u64; Outcome::ALL.len()],
    listed: u64,
    telemetry: TelemetryCounts,
    times: Option<[Histogram<u64>; 2]>,
}

impl Sum {
    fn add(&mut self, cohort: &CohortSummary) -> Result<(), CarriedError> {
        let devices: &DeviceCounts = &cohort.devices;
        for (sum, outcome) in self.devices.iter_mut().zip(Outcome::ALL) {
            *sum = sum.saturating_add(devices.of(outcome));
        }
        self.listed = self.listed.saturating_add(devices.listed);
        let (sum, part) = (&mut self.telemetry, &cohort.telemetry.counts);
        sum.sent = sum.sent.saturating_add(part.sent);
        sum.acked = sum.acked.saturating_add(part.acked);
        sum.lost = sum.lost.saturating_add(part.lost);
        if let Some(carried) = cohort.histograms.get(&Phase::TimeToProvision) {
            let part = [carried.response.decode()?, carried.service.decode()?];
            match &mut self.times {
                None => self.times = Some(part),
                Some(sum) => {
                    for (sum, part) in sum.iter_mut().zip(part) {
                        sum.add(part).expect("all histograms have the same bounds");
                    }
                }
            }
        }
        Ok(())
    }

    fn line(self, name: String, via: String) -> CohortLine {
        let times = match &self.times {
            None => vec!["–".to_owned(); 4],
            Some(both) => both
                .iter()
                .flat_map(|one| [0.5, 0.99].map(|q| units::micros(one.value_at_quantile(q))))
                .collect(),
        };
        CohortLine {
            name,
            via,
            listed: units::count(self.listed),
            outcomes: self.devices.map(units::count).into(),
            times,
            sent: units::count(self.telemetry.sent),
            acked: units::count(self.telemetry.acked),
            lost: units::count(self.telemetry.lost),
        }
    }
}

/// Device, cohort, time.
pub(super) fn slowest(results: &Results) -> Vec<[String; 3]> {
    let rows = results.slowest.iter().flat_map(Slowest::rows);
    rows.map(|row| {
        let time = seconds(row.time_to_provision_ms / 1e3);
        [text(&row.name), text(&row.cohort), time]
    })
    .collect()
}

/// Number, time, text.
pub(super) fn mark(number: usize, mark: &Mark) -> [String; 3] {
    let from = seconds(mark.at_s);
    let when = match mark.until_s {
        Some(until) => format!("{from} to {}", seconds(until)),
        None => from,
    };
    [number.to_string(), when, text(&mark.text)]
}

/// One of several runs.
#[derive(Debug, Serialize)]
pub(super) struct RunLine {
    started: String,
    took: String,
    seed: String,
    provisioned: String,
    listed: String,
    verdict: &'static str,
    result: &'static str,
}

pub(super) fn runs(summary: &Summary) -> Vec<RunLine> {
    let runs = summary.runs.iter().take(ROWS);
    runs.map(|run| RunLine {
        started: match &run.shard {
            None => text(&run.started_at),
            Some(part) => format!("{} ({})", text(&run.started_at), part.words()),
        },
        took: seconds(run.elapsed_s),
        seed: run.seed.to_string(),
        provisioned: units::count(run.devices.provisioned),
        listed: units::count(run.devices.listed),
        verdict: run.verdict.as_str(),
        result: run.result.as_str(),
    })
    .collect()
}

/// A capacity search in words and rows.
#[derive(Debug, Serialize)]
pub(super) struct SearchPart {
    statement: Vec<String>,
    heads: [&'static str; 8],
    trials: Vec<TrialLine>,
}

#[derive(Debug, Serialize)]
struct TrialLine {
    cells: [String; 8],
    class: &'static str,
}

pub(super) fn search(summary: &Summary) -> Option<SearchPart> {
    let search = summary.search.as_ref()?;
    let statement = statement(summary);
    let line = |trial: &TrialSummary| TrialLine {
        cells: cells(trial),
        class: match trial.verdict {
            Some(TrialVerdict::Held) => "good",
            Some(TrialVerdict::Broken) => "bad",
            Some(TrialVerdict::Generator) | None => "dim",
        },
    };
    Some(SearchPart {
        statement: statement.iter().map(|words| text(words)).collect(),
        heads: TRIAL_HEADS,
        trials: search.trials.iter().map(line).collect(),
    })
}
