//! The figures as CSV: the phases, and the time line.
//!
//! Names of cohorts stand there exactly as in the scenario, quoted where RFC 4180 wants it.

use crate::metrics::timeline::{Interval, StepCounts};
use crate::metrics::{CarriedError, CarriedHistogram, LatencyFigures, PhaseSummary, Summary};
use crate::model::Phase;

use super::timeline::Timeline;

/// Two rows for each phase, `response` and `service`: of the run (an empty `cohort`), then of each
/// cohort.
pub fn phases_csv(summary: &Summary) -> String {
    let mut table = Table::new(PHASES_HEADER.map(str::to_owned));
    let whole = summary.phases.iter().map(|row| ("", row));
    let cohorts = summary.cohorts.iter();
    let cohorts = cohorts.flat_map(|(name, c)| c.phases.iter().map(|row| (name.as_str(), row)));
    for (cohort, (phase, row)) in whole.chain(cohorts) {
        table.row(phase_row(cohort, *phase, row, "response", &row.response_us));
        table.row(phase_row(cohort, *phase, row, "service", &row.service_us));
    }
    table.end()
}

fn phase_row(
    cohort: &str,
    phase: Phase,
    row: &PhaseSummary,
    time: &str,
    us: &LatencyFigures,
) -> Vec<String> {
    let words = [cohort, phase.as_str(), time].map(str::to_owned);
    let counts = [row.count, row.errors, row.retries].map(|n| n.to_string());
    let mut cells: Vec<String> = words.into_iter().chain(counts).collect();
    cells.extend(figures((row.count > 0).then_some(us), true));
    cells
}

/// Empty cells where there are no samples.
fn figures(us: Option<&LatencyFigures>, mean: bool) -> Vec<String> {
    let cell = |of: &dyn Fn(&LatencyFigures) -> String| us.map(of).unwrap_or_default();
    let mut cells = vec![
        cell(&|us| us.p50.to_string()),
        cell(&|us| us.p90.to_string()),
        cell(&|us| us.p99.to_string()),
        cell(&|us| us.p999.to_string()),
        cell(&|us| us.max.to_string()),
    ];
    if mean {
        cells.push(cell(&|us| us.mean.to_string()));
    }
    cells
}

/// A row for each interval; for each phase that occurred in the run its counts, and the figures of
/// both times.
pub fn timeline_csv(timeline: &Timeline) -> Result<String, CarriedError> {
    let intervals = &timeline.intervals;
    let occurred = |phase: &Phase| intervals.iter().any(|i| i.phases.contains_key(phase));
    let phases: Vec<Phase> = Phase::ALL.into_iter().filter(occurred).collect();
    let mut header: Vec<String> = TIMELINE_HEADER.map(str::to_owned).into();
    for phase in &phases {
        let name = phase.as_str();
        for what in ["count", "errors", "retries"] {
            header.push(format!("{name}_{what}"));
        }
        for time in ["response", "service"] {
            for figure in ["p50", "p90", "p99", "p999", "max"] {
                header.push(format!("{name}_{time}_{figure}_us"));
            }
        }
    }
    let mut table = Table::new(header);
    for interval in intervals {
        let mut row = counts(interval);
        for phase in &phases {
            row.extend(phase_cells(interval, *phase)?);
        }
        table.row(row);
    }
    Ok(table.end())
}

fn counts(interval: &Interval) -> Vec<String> {
    let devices = &interval.devices;
    let errors = interval.errors.values();
    let errors: u64 = errors.fold(0, |sum, n| sum.saturating_add(*n));
    let numbers = [
        interval.starts.started,
        interval.starts.late,
        devices.provisioned,
        devices.refused,
        devices.failed,
        devices.unknown,
        devices.unfinished,
        interval.live.waiting,
        interval.live.bringing_up,
        interval.live.live,
        interval.telemetry.sent,
        interval.telemetry.acked,
        interval.telemetry.lost,
        interval.reconnects.lost,
        interval.reconnects.back,
        errors,
    ];
    let due = interval.starts.due.map(|due| due.to_string());
    let times = [interval.from_s, interval.to_s].map(|s| s.to_string());
    let times = times.into_iter().chain([due.unwrap_or_default()]);
    times.chain(numbers.map(|n| n.to_string())).collect()
}

fn phase_cells(interval: &Interval, phase: Phase) -> Result<Vec<String>, CarriedError> {
    let part = interval.phases.get(&phase);
    let steps = part.map_or_else(StepCounts::default, |part| part.steps);
    let mut cells: Vec<String> = [steps.count, steps.errors, steps.retries]
        .map(|n| n.to_string())
        .into();
    let carried = part.and_then(|part| part.histograms.as_ref());
    for carried in [carried.map(|c| &c.response), carried.map(|c| &c.service)] {
        let us = carried.map(CarriedHistogram::figures).transpose()?;
        cells.extend(figures(us.as_ref(), false));
    }
    Ok(cells)
}

/// Rows under a header, quoted where RFC 4180 wants it, each ended by a line feed.
struct Table(csv::Writer<Vec<u8>>);

impl Table {
    fn new(header: impl IntoIterator<Item = String>) -> Self {
        let mut table = Self(csv::Writer::from_writer(Vec::new()));
        table.row(header);
        table
    }

    fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let written = self
            .0
            .write_record(cells.into_iter().map(String::into_bytes));
        written.expect("rows are as long as the header, and memory takes them");
    }

    fn end(self) -> String {
        let bytes = self.0.into_inner().expect("memory takes it");
        String::from_utf8(bytes).expect("made of text")
    }
}

const PHASES_HEADER: [&str; 12] = [
    "cohort", "phase", "time", "count", "errors", "retries", "p50_us", "p90_us", "p99_us",
    "p999_us", "max_us", "mean_us",
];

const TIMELINE_HEADER: [&str; 19] = [
    "from_s",
    "to_s",
    "due",
    "started",
    "late",
    "provisioned",
    "refused",
    "failed",
    "unknown",
    "unfinished",
    "waiting",
    "bringing_up",
    "live",
    "telemetry_sent",
    "telemetry_acked",
    "telemetry_lost",
    "sessions_lost",
    "sessions_back",
    "errors",
];

#[cfg(test)]
mod tests {
    use super::super::fixture::{EVIL, hostile, results};
    use super::*;

    fn rows(text: &str) -> Vec<csv::StringRecord> {
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        reader
            .records()
            .map(|row| row.expect("legal CSV"))
            .collect()
    }

    #[test]
    fn the_phases_of_a_run() {
        insta::assert_snapshot!(phases_csv(&results().summary));
    }

    #[test]
    fn the_time_line_of_a_run() {
        let timeline = results().timeline.expect("one");
        insta::assert_snapshot!(timeline_csv(&timeline).expect("own histograms"));
    }

    #[test]
    fn the_rows_of_a_time_line_add_up_to_the_run() {
        let results = results();
        let text = timeline_csv(&results.timeline.expect("one")).expect("own histograms");
        let header: Vec<&str> = text.lines().next().expect("a header").split(',').collect();
        let sum = |name: &str| {
            let column = header.iter().position(|column| *column == name);
            let column = column.unwrap_or_else(|| panic!("no column {name}"));
            let cells = rows(&text).into_iter().map(|row| row[column].to_owned());
            cells
                .map(|cell| cell.parse::<u64>().expect("a count"))
                .sum::<u64>()
        };
        let summary = &results.summary;
        assert_eq!(sum("provisioned"), summary.devices.provisioned);
        assert_eq!(sum("due"), summary.starts.started);
        assert_eq!(sum("telemetry_acked"), summary.telemetry.counts.acked);
        assert_eq!(
            sum("provision_count"),
            summary.phases[&Phase::Provision].count
        );
        assert_eq!(sum("errors"), summary.errors.values().sum::<u64>());
    }

    #[test]
    fn names_of_cohorts_are_read_back_exactly() {
        let text = phases_csv(&hostile().summary);
        let cohorts: std::collections::BTreeSet<String> =
            rows(&text).iter().map(|row| row[0].to_owned()).collect();
        for evil in EVIL {
            let summary = hostile().summary;
            let phases = &summary.cohorts[evil].phases;
            assert_eq!(cohorts.contains(evil), !phases.is_empty(), "{evil:?}");
        }
    }
}
