//! The sum over all workers while a run goes on.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::bars::Bars;
use super::carried::CarriedRecorder;
use super::cause::{OTHER_CAUSES, cause_hint, word_hint};
use super::counts::{DeviceCounts, LiveCounts, StartCounts};
use super::latency::{LagFigures, LatencyFigures, add};
use super::rate::Meter;
use super::recorder::Recorder;
use super::roll::Roll;
use super::setting::{Ending, Setting};
use super::sightings::Sightings;
use super::snapshot::{CohortRow, ErrorRow, PhaseRow, SearchRow, Snapshot, TransportRow};
use super::spectrum::Spectrum;
use super::steering::Steering;
use super::summary::Summary;
use super::tally::{PhaseTally, Tally};
use super::validity::{Case, Evidence, GeneratorVerdict, judge, kept_up};
use crate::model::{Cause, Expectation, FaultKind, Outcome, Phase, TransportKind};

/// Adds up what workers recorded and draws figures from it.
#[derive(Debug)]
pub struct Aggregate {
    pub(super) setting: Arc<Setting>,
    /// Per cohort.
    pub(super) sum: Recorder,
    /// Over all cohorts.
    pub(super) overall: Tally,
    provisioned: Meter,
    sent: Meter,
    sightings: Sightings,
    pub(super) dropped: u64,
    pub(super) evidence: Option<Evidence>,
    pub(super) steering: Steering,
    pub(super) search: Option<SearchRow>,
    /// Processes of the generator that died, a sentence each.
    pub(super) deaths: Vec<String>,
}

impl Aggregate {
    /// Nothing recorded yet.
    ///
    /// # Panics
    /// When the cohorts' devices are not the listed ones: the deal is the plan's.
    pub fn new(setting: Setting) -> Self {
        let dealt: u64 = setting.cohorts.iter().map(|cohort| cohort.listed).sum();
        assert_eq!(setting.listed, dealt, "each listed device is in one cohort");
        Self {
            sum: Recorder::new(setting.cohorts.len()),
            setting: Arc::new(setting),
            overall: Tally::default(),
            provisioned: Meter::default(),
            sent: Meter::default(),
            sightings: Sightings::default(),
            dropped: 0,
            evidence: None,
            steering: Steering::default(),
            search: None,
            deaths: Vec::new(),
        }
    }

    /// Adds a worker's frame; the caller clears it and hands it back.
    ///
    /// # Panics
    /// When the frame is of another scenario (number of cohorts).
    pub fn add(&mut self, delta: &Recorder) {
        self.sum.add(delta);
        for tally in &delta.cohorts {
            self.overall.add(tally);
        }
    }

    /// Adds what a worker of another process recorded.
    ///
    /// # Panics
    /// When it is of another scenario (number of cohorts).
    pub fn add_carried(&mut self, carried: &CarriedRecorder) {
        carried.add_to(&mut self.sum, &mut self.overall);
    }

    /// Counts what was over before the first device started. No rate has it in it.
    pub fn settle(&mut self, before: &Recorder) {
        self.add(before);
        let devices = DeviceCounts::new(self.setting.listed, &self.overall.outcomes);
        self.provisioned = Meter::from(devices.provisioned);
    }

    /// A process of the generator died, and `by` is what the ledger says of its devices beyond what
    /// it reported.
    pub fn mend(&mut self, by: &Roll, death: String) {
        for (tally, by) in self.sum.cohorts.iter_mut().zip(&by.0) {
            tally.mend(by);
            self.overall.mend(by);
        }
        self.deaths.push(death);
    }

    /// How many starts the generator had to drop so far, for display; the figure of the summary
    /// is the [`Ending`]'s.
    pub fn set_dropped(&mut self, dropped: u64) {
        self.dropped = dropped;
    }

    /// What has been seen of the generator so far; at the end, all of it.
    pub fn set_evidence(&mut self, evidence: Evidence) {
        self.evidence = Some(evidence);
    }

    /// What a person changed in the run so far; at the end, all of it.
    pub fn set_steering(&mut self, steering: Steering) {
        self.steering = steering;
    }

    /// Where the search is, for display.
    pub fn set_search(&mut self, search: SearchRow) {
        self.search = Some(search);
    }

    /// How many devices have an outcome.
    pub fn decided(&self) -> u64 {
        DeviceCounts::new(self.setting.listed, &self.overall.outcomes).decided()
    }

    /// What was known before the start.
    pub fn setting(&self) -> &Setting {
        &self.setting
    }

    /// The state `elapsed` after the start. Reads the rates: to be called several times a second
    /// for a lively display; a pause is bridged with its mean.
    pub fn tick(&mut self, elapsed: Duration) -> Snapshot {
        let devices = DeviceCounts::new(self.setting.listed, &self.overall.outcomes);
        self.provisioned.read(elapsed, devices.provisioned);
        self.sent.read(elapsed, self.overall.telemetry.sent);
        self.sightings.read(&self.sum.errors, elapsed);
        let cohorts = self.cohort_rows();
        let (progress, remaining) = forecast(&self.setting, &devices, elapsed, &self.steering);
        // How long a search takes follows from what it finds.
        let remaining = remaining.filter(|_| self.search.is_none());
        // What was dropped is known at the end, and whose doing it was.
        let (verdict, reasons) = self.judge(&self.starts(), false);
        Snapshot {
            elapsed,
            remaining,
            progress,
            devices,
            live: live_counts(devices.listed, &self.overall),
            starts: StartCounts {
                dropped: self.dropped,
                ..self.starts()
            },
            lag: self.lag(),
            verdict,
            reasons,
            provisioned_rate: self.provisioned.figures(),
            telemetry_rate: self.sent.figures(),
            telemetry: self.overall.telemetry,
            gateway: self.overall.gateway,
            downlink: self.overall.downlink(),
            phases: Phase::ALL
                .into_iter()
                .zip(&self.overall.phases)
                .filter(|(_, tally)| !tally.is_empty())
                .map(|(phase, tally)| phase_row(phase, tally, self.alarming(phase)))
                .collect(),
            errors: self.error_rows(),
            transports: self.transport_rows(&cohorts),
            cohorts,
            steering: self.steering.clone(),
            // A search is judged by each of its trials.
            thresholds: match self.search {
                None => self.threshold_rows(elapsed),
                Some(_) => Vec::new(),
            },
            search: self.search,
            setting: Arc::clone(&self.setting),
        }
    }

    /// The result of the run.
    ///
    /// # Panics
    /// When the listed devices of a cohort do not all have exactly one outcome: the engine's sums
    /// are wrong, and no figure may be shown.
    pub fn finish(self, end: Ending) -> Summary {
        super::finish::summary(&self, end)
    }

    /// Without `dropped`, which only the engine knows.
    pub(super) fn starts(&self) -> StartCounts {
        StartCounts {
            planned: self.setting.planned,
            started: self.overall.started,
            late: self.overall.late,
            dropped: 0,
        }
    }

    pub(super) fn lag(&self) -> LagFigures {
        let lag = self.sum.lag.as_ref();
        lag.map_or_else(LagFigures::default, |lag| LagFigures::of(lag))
    }

    /// Whether the generator kept its schedule so far, and why not.
    pub(super) fn judge(
        &self,
        starts: &StartCounts,
        interrupted: bool,
    ) -> (GeneratorVerdict, Vec<String>) {
        judge(&self.case(starts, interrupted))
    }

    /// Whether what devices met so far can be the target's doing.
    pub(super) fn kept_up(&self) -> bool {
        kept_up(&self.case(&self.starts(), false))
    }

    fn case(&self, starts: &StartCounts, interrupted: bool) -> Case<'_> {
        let errors = self.sum.errors.iter();
        let exhausted = errors.filter(|(cause, _)| is_exhaustion(*cause));
        Case {
            starts: *starts,
            lag: self.lag(),
            message_lag: self.message_lag(),
            exhausted: exhausted.map(|(_, n)| n).sum(),
            interrupted,
            evidence: self.evidence.as_ref(),
            deaths: &self.deaths,
            limits: &self.setting.validity,
        }
    }

    /// `None` while no message was sent.
    pub(super) fn message_lag(&self) -> Option<LagFigures> {
        self.sum.message_lag.as_deref().map(LagFigures::of)
    }

    /// The phase's errors in cohorts whose devices are not expected to fail there.
    fn alarming(&self, phase: Phase) -> u64 {
        let cohorts = self.setting.cohorts.iter().zip(&self.sum.cohorts);
        let unexpected = cohorts.filter(|(cohort, _)| match cohort.expectation() {
            Expectation::Provisioned => true,
            Expectation::Refused => phase != Phase::Provision,
            Expectation::Rejected => false,
        });
        unexpected
            .map(|(_, tally)| tally.phases[phase as usize].errors)
            .sum()
    }

    fn error_rows(&self) -> Vec<ErrorRow> {
        let mut rows: Vec<ErrorRow> = self
            .sum
            .errors
            .iter()
            .map(|(cause, count)| {
                let seen = self.sightings.of(Some(cause));
                ErrorRow {
                    cause: cause.to_string(),
                    hint: cause_hint(&cause),
                    count,
                    first: seen.first,
                    last: seen.last,
                    expected: self.is_expected(cause),
                }
            })
            .collect();
        if self.sum.errors.other > 0 {
            let seen = self.sightings.of(None);
            rows.push(ErrorRow {
                cause: OTHER_CAUSES.to_owned(),
                hint: word_hint(OTHER_CAUSES),
                count: self.sum.errors.other,
                first: seen.first,
                last: seen.last,
                expected: false,
            });
        }
        rows.sort_by_key(|row| Reverse(row.count));
        rows
    }

    /// Whether a cause is how a server refuses or rejects, some cohort is to be treated so, and no
    /// other cohort can have been struck by it.
    fn is_expected(&self, cause: Cause) -> bool {
        let Some((phase, expected)) = judgement(cause) else {
            return false;
        };
        let struck = |tally: &Tally| match expected {
            Expectation::Rejected => tally.phases[phase as usize].errors,
            _ => tally.outcomes[Outcome::Refused as usize],
        };
        let mut cohorts = self.setting.cohorts.iter().zip(&self.sum.cohorts);
        let settings = &self.setting.cohorts;
        settings.iter().any(|c| c.expectation() == expected)
            && cohorts.all(|(c, tally)| c.expectation() == expected || struck(tally) == 0)
    }

    fn cohort_rows(&self) -> Vec<CohortRow> {
        let cohorts = self.setting.cohorts.iter().zip(&self.sum.cohorts);
        cohorts
            .map(|(cohort, tally)| cohort_row(cohort.listed, tally))
            .collect()
    }

    fn transport_rows(&self, cohorts: &[CohortRow]) -> Vec<TransportRow> {
        let settings = &self.setting.cohorts;
        let row = |transport| {
            let mut mine = (0..settings.len()).filter(|n| settings[*n].transport == transport);
            let first = mine.next()?;
            let mut row = TransportRow {
                transport,
                cohorts: 1,
                sum: cohorts[first],
            };
            let mut times = provision_times(&self.sum.cohorts[first]).map(Cow::Borrowed);
            for n in mine {
                row.cohorts += 1;
                row.sum.add_counts(&cohorts[n]);
                match (&mut times, provision_times(&self.sum.cohorts[n])) {
                    (Some(sum), Some(times)) => add(sum.to_mut(), times),
                    (times, found) => *times = times.take().or(found.map(Cow::Borrowed)),
                }
            }
            row.sum.time_to_provision = figures(times.as_deref());
            Some(row)
        };
        TransportKind::ALL.into_iter().filter_map(row).collect()
    }
}

/// Response times of `time_to_provision`, if there are any.
fn provision_times(tally: &Tally) -> Option<&Histogram<u64>> {
    let time = &tally.phases[Phase::TimeToProvision as usize];
    time.latency.as_ref().map(|latency| &latency.response)
}

fn figures(times: Option<&Histogram<u64>>) -> LatencyFigures {
    times.map_or_else(LatencyFigures::default, LatencyFigures::of)
}

fn cohort_row(listed: u64, tally: &Tally) -> CohortRow {
    CohortRow {
        devices: DeviceCounts::new(listed, &tally.outcomes),
        live: live_counts(listed, tally),
        telemetry: tally.telemetry,
        time_to_provision: figures(provision_times(tally)),
    }
}

/// Whether this machine had no port or file left.
fn is_exhaustion(cause: Cause) -> bool {
    let exhausted = [
        FaultKind::LocalPortsExhausted,
        FaultKind::LocalFilesExhausted,
    ];
    matches!(cause, Cause::At(_, kind) if exhausted.contains(&kind))
}

/// Where, and as what, a cause is the server's judgement on a device.
fn judgement(cause: Cause) -> Option<(Phase, Expectation)> {
    match cause {
        Cause::At(Phase::Provision, FaultKind::Failure | FaultKind::NotFound) => {
            Some((Phase::Provision, Expectation::Refused))
        }
        Cause::At(
            phase,
            FaultKind::Connack(_)
            | FaultKind::ConnackReason(_)
            | FaultKind::TlsAlert(_)
            | FaultKind::HttpStatus(401)
            | FaultKind::CoapCode(0x81),
        ) => Some((phase, Expectation::Rejected)),
        _ => None,
    }
}

fn phase_row(phase: Phase, tally: &PhaseTally, alarming: u64) -> PhaseRow {
    let row = PhaseRow {
        phase,
        count: tally.count(),
        errors: tally.errors,
        alarming,
        response: LatencyFigures::default(),
        service: LatencyFigures::default(),
        bars: Bars::default(),
        service_bars: Bars::default(),
        spectrum: Spectrum::default(),
        service_spectrum: Spectrum::default(),
    };
    let Some(latency) = &tally.latency else {
        return row;
    };
    PhaseRow {
        response: LatencyFigures::of(&latency.response),
        service: LatencyFigures::of(&latency.service),
        bars: Bars::of(&latency.response),
        service_bars: Bars::of(&latency.service),
        spectrum: Spectrum::of(&latency.response),
        service_spectrum: Spectrum::of(&latency.service),
        ..row
    }
}

pub(super) fn live_counts(listed: u64, tally: &Tally) -> LiveCounts {
    // Frames of several workers are not of one instant: a gauge may be below zero for a moment.
    let now = |gauge: i64| u64::try_from(gauge).unwrap_or(0);
    LiveCounts {
        waiting: listed.saturating_sub(tally.started + tally.never_started),
        bringing_up: now(tally.bringing_up),
        live: now(tally.live),
    }
}

/// (progress, time left). Progress is the smaller of the share of the expected time that is over
/// and the share of planned devices that have an outcome; what is left is the rest of the expected
/// time or, when that is over or unknown, what the remaining devices take at the pace so far.
fn forecast(
    setting: &Setting,
    devices: &DeviceCounts,
    elapsed: Duration,
    steering: &Steering,
) -> (f64, Option<Duration>) {
    let decided = devices.decided() - devices.of(Outcome::Unfinished);
    let share = |part: f64, whole: f64| {
        if whole > 0.0 {
            (part / whole).clamp(0.0, 1.0)
        } else {
            1.0
        }
    };
    let by_devices = share(decided as f64, setting.planned as f64);
    // By the schedule's own clock, where somebody steers.
    let (shows, speed) = match steering.shows {
        Some(shows) => (shows, steering.speed()),
        None => (elapsed, 1.0),
    };
    let by_time = share(shows.as_secs_f64(), setting.expected_span.as_secs_f64());
    let scheduled = setting.expected_span.saturating_sub(shows);
    let remaining = if !scheduled.is_zero() {
        Duration::try_from_secs_f64(scheduled.as_secs_f64() / speed).ok()
    } else if by_devices >= 1.0 {
        Some(Duration::ZERO)
    } else if by_devices > 0.0 {
        Duration::try_from_secs_f64(elapsed.as_secs_f64() * (1.0 / by_devices - 1.0)).ok()
    } else {
        None
    };
    (by_devices.min(by_time), remaining)
}
