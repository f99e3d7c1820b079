//! Runs of both sides, cut into the same cells of time: what figures are drawn from.

use super::measure::{Clock, Measure};
use crate::metrics::timeline::{Interval, common_cuts, micros};
use crate::metrics::{CarriedError, CarriedHistogram, PhaseHistograms, Summary};
use crate::model::{Outcome, Phase};
use crate::statistics::{Parts, Samples};

/// One run as it was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct RunData<'a> {
    /// Its result.
    pub(super) summary: &'a Summary,
    /// Its time line; empty where there is none.
    pub(super) intervals: &'a [Interval],
}

/// Both sides, the baseline first.
pub(super) struct Recorded<'a> {
    sides: [Vec<RunData<'a>>; 2],
    /// Where cells end, in µs; none when a run has no time line, and is one cell as a whole.
    ends: Vec<u64>,
}

impl<'a> Recorded<'a> {
    pub(super) fn new(sides: [Vec<RunData<'a>>; 2]) -> Self {
        let runs: Vec<&[Interval]> = sides.iter().flatten().map(|run| run.intervals).collect();
        let ends = if runs.iter().any(|run| run.is_empty()) {
            Vec::new()
        } else {
            thinned(&common_cuts(&runs))
        };
        Self { sides, ends }
    }

    /// Those of the baseline's first run.
    pub(super) fn cohorts(&self) -> impl Iterator<Item = &'a str> {
        let first = self.sides.iter().flatten().next();
        let names = first.map(|run| run.summary.cohorts.keys());
        names.into_iter().flatten().map(String::as_str)
    }

    /// The times of a phase on one side; over all cohorts, or of one, of which only whole runs are
    /// known.
    pub(super) fn samples(
        &self,
        side: usize,
        cohort: Option<&str>,
        phase: Phase,
        clock: Clock,
    ) -> Result<Samples, CarriedError> {
        let whole = self.ends.is_empty() || cohort.is_some();
        let runs = self.sides[side].iter().map(|run| {
            if whole {
                let held = match cohort {
                    None => run.summary.histograms.phases.get(&phase),
                    Some(name) => {
                        let cohort = run.summary.cohorts.get(name);
                        cohort.and_then(|cohort| cohort.histograms.get(&phase))
                    }
                };
                return Ok(vec![summed(held.into_iter(), clock)?]);
            }
            let cells = self.cells(run.intervals).into_iter().map(|intervals| {
                let held = intervals.iter().filter_map(|i| i.phases.get(&phase));
                summed(held.filter_map(|step| step.histograms.as_ref()), clock)
            });
            cells.collect()
        });
        Ok(Samples::new(
            &runs.collect::<Result<Vec<_>, CarriedError>>()?,
        ))
    }

    /// What is divided by what, on one side.
    pub(super) fn parts(&self, side: usize, cohort: Option<&str>, measure: Measure) -> Parts {
        let (mut of, mut whole) = (Vec::new(), Vec::new());
        for run in &self.sides[side] {
            let mut push = |tally: &Tally| {
                let (part, all) = tally.parts(measure);
                of.push(part);
                whole.push(all);
            };
            if self.ends.is_empty() {
                push(&Tally::of_run(run.summary, cohort, measure));
            }
            for intervals in self.cells(run.intervals) {
                let mut sum = Tally::default();
                for interval in intervals {
                    sum.add(interval, cohort, measure);
                }
                push(&sum);
            }
        }
        Parts {
            runs: self.sides[side].len(),
            cells: self.ends.len().max(1),
            of,
            whole,
        }
    }

    /// A run's intervals, cell by cell; those after its end are empty.
    fn cells<'b>(&self, mut intervals: &'b [Interval]) -> Vec<&'b [Interval]> {
        let cells = self.ends.iter().map(|end| {
            let within = intervals.partition_point(|interval| micros(interval.to_s) <= *end);
            let (cell, rest) = intervals.split_at(within);
            intervals = rest;
            cell
        });
        cells.collect()
    }
}

/// At most [`CELLS_MAX`] cells of about the same width.
fn thinned(ends: &[u64]) -> Vec<u64> {
    let each = ends.len().div_ceil(CELLS_MAX).max(1);
    let last = ends.last().copied();
    let kept = ends.chunks_exact(each).map(|cells| cells[each - 1]);
    let mut kept: Vec<u64> = kept.collect();
    if kept.last().copied() != last {
        kept.extend(last);
    }
    kept
}

/// Values with their counts, ascending.
fn summed<'b>(
    held: impl Iterator<Item = &'b PhaseHistograms>,
    clock: Clock,
) -> Result<Vec<(u64, u64)>, CarriedError> {
    let carried = held.map(|histograms| match clock {
        Clock::Response => &histograms.response,
        Clock::Service => &histograms.service,
    });
    let all: Vec<_> = carried
        .map(CarriedHistogram::counts)
        .collect::<Result<_, _>>()?;
    let mut all = all.concat();
    all.sort_unstable();
    Ok(all)
}

/// What is counted in a cell, as far as one measure needs it.
#[derive(Default)]
struct Tally {
    seconds: f64,
    devices: [u64; Outcome::ALL.len()],
    sent: u64,
    lost: u64,
    steps: u64,
    errors: u64,
}

impl Tally {
    fn of_run(run: &Summary, cohort: Option<&str>, measure: Measure) -> Self {
        let (devices, telemetry, phases) = match cohort {
            None => (Some(&run.devices), Some(&run.telemetry), Some(&run.phases)),
            Some(name) => {
                let cohort = run.cohorts.get(name);
                (
                    cohort.map(|c| &c.devices),
                    cohort.map(|c| &c.telemetry),
                    cohort.map(|c| &c.phases),
                )
            }
        };
        let row = phases
            .zip(phase_of(measure))
            .and_then(|(all, phase)| all.get(&phase));
        Self {
            seconds: run.elapsed_s,
            devices: devices.map_or_else(Default::default, |d| Outcome::ALL.map(|o| d.of(o))),
            sent: telemetry.map_or(0, |t| t.counts.sent),
            lost: telemetry.map_or(0, |t| t.counts.lost),
            steps: row.map_or(0, |row| row.count),
            errors: row.map_or(0, |row| row.errors),
        }
    }

    fn add(&mut self, interval: &Interval, cohort: Option<&str>, measure: Measure) {
        self.seconds += interval.seconds();
        let phase = phase_of(measure);
        let (devices, telemetry, steps) = match cohort {
            None => {
                let row = phase.and_then(|phase| interval.phases.get(&phase));
                (
                    interval.devices,
                    interval.telemetry,
                    row.map(|row| row.steps),
                )
            }
            Some(name) => {
                let Some(cohort) = interval.cohorts.get(name) else {
                    return;
                };
                let row = phase.and_then(|phase| cohort.phases.get(&phase));
                (cohort.devices, cohort.telemetry, row.copied())
            }
        };
        for (sum, outcome) in self.devices.iter_mut().zip(Outcome::ALL) {
            *sum = sum.saturating_add(devices.of(outcome));
        }
        self.sent = self.sent.saturating_add(telemetry.sent);
        self.lost = self.lost.saturating_add(telemetry.lost);
        let steps = steps.unwrap_or_default();
        self.steps = self.steps.saturating_add(steps.count);
        self.errors = self.errors.saturating_add(steps.errors);
    }

    fn parts(&self, measure: Measure) -> (f64, f64) {
        let ended = |outcome| self.devices[outcome as usize] as f64;
        let begun = self.steps as f64 + self.errors as f64;
        match measure {
            Measure::ErrorShare(_) => (self.errors as f64, begun),
            Measure::OutcomeShare(outcome) => {
                (ended(outcome), Outcome::ALL.into_iter().map(ended).sum())
            }
            Measure::LostShare => (self.lost as f64, self.sent as f64),
            Measure::DeviceRate => (ended(Outcome::Provisioned), self.seconds),
            Measure::MessageRate => (self.sent as f64, self.seconds),
            // Drawn from samples.
            Measure::Latency(..) => (0.0, 0.0),
        }
    }
}

fn phase_of(measure: Measure) -> Option<Phase> {
    match measure {
        Measure::ErrorShare(phase) | Measure::Latency(phase, ..) => Some(phase),
        _ => None,
    }
}

/// More cells than this make a comparison slower and not surer.
const CELLS_MAX: usize = 120;
