//! The state of a run at one moment, ready to be drawn.

use std::sync::Arc;
use std::time::Duration;

use super::bars::Bars;
use super::counts::{DeviceCounts, LiveCounts, StartCounts, TelemetryCounts};
use super::downlink::DownlinkCounts;
use super::gateway::GatewayCounts;
use super::latency::{LagFigures, LatencyFigures};
use super::rate::RateFigures;
use super::setting::Setting;
use super::spectrum::Spectrum;
use super::steering::Steering;
use super::threshold::{Standing, ThresholdRow};
use super::validity::GeneratorVerdict;
use crate::model::{Outcome, Phase, TransportKind, TrialPurpose, TrialVerdict};

/// Everything that the dashboard draws. A few tens of kB without a histogram: cheap to clone.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// What was known before the start.
    pub setting: Arc<Setting>,
    /// Since the start of the run.
    pub elapsed: Duration,
    /// An estimate; `None` while there is nothing to estimate from.
    pub remaining: Option<Duration>,
    /// 0..=1: the smaller of the shares of time and of planned devices.
    pub progress: f64,
    /// By outcome, so far.
    pub devices: DeviceCounts,
    /// By what they are doing now.
    pub live: LiveCounts,
    /// Against the schedule; `dropped` as far as known.
    pub starts: StartCounts,
    /// How late devices started.
    pub lag: LagFigures,
    /// Whether the figures so far may be quoted.
    pub verdict: GeneratorVerdict,
    /// Why not.
    pub reasons: Vec<String>,
    /// Devices provisioned per second.
    pub provisioned_rate: RateFigures,
    /// Telemetry messages sent per second.
    pub telemetry_rate: RateFigures,
    /// Telemetry messages so far.
    pub telemetry: TelemetryCounts,
    /// Gateways and those behind them.
    pub gateway: GatewayCounts,
    /// What devices were sent unasked, as far as it has come to an end.
    pub downlink: DownlinkCounts,
    /// The phases that occurred, in the order in which a device passes them.
    pub phases: Vec<PhaseRow>,
    /// The most frequent first.
    pub errors: Vec<ErrorRow>,
    /// In the scenario's order.
    pub cohorts: Vec<CohortRow>,
    /// Those that occur, in the order of [`TransportKind::ALL`].
    pub transports: Vec<TransportRow>,
    /// What somebody changed in the run.
    pub steering: Steering,
    /// Those that the summary will judge, in its order.
    pub thresholds: Vec<ThresholdRow>,
    /// Where a search is, if the run is one.
    pub search: Option<SearchRow>,
}

/// A search while it goes on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SearchRow {
    /// The number of the trial under way, or of the last one; from 1.
    pub trial: u32,
    /// Why it is made.
    pub purpose: TrialPurpose,
    /// Its rate, devices per second.
    pub rate: f64,
    /// What the trial that was judged last came to: the one before, or this one once it is over.
    pub last: Option<TrialVerdict>,
    /// The highest rate that held so far.
    pub held: Option<f64>,
    /// The lowest rate that did not.
    pub broken: Option<f64>,
}

impl SearchRow {
    /// In a few words: the trial, its rate, and the bracket so far.
    pub fn words(&self) -> String {
        let last = self.last.map_or("", TrialVerdict::as_str);
        let last = if last.is_empty() {
            String::new()
        } else {
            format!(", last {last}")
        };
        let end =
            |rate: Option<f64>| rate.map_or_else(|| "?".to_owned(), |rate| format!("{rate:.1}"));
        format!(
            "trial {} at {:.1}/s ({}){last}, limit {}..{}/s",
            self.trial,
            self.rate,
            self.purpose.as_str(),
            end(self.held),
            end(self.broken),
        )
    }
}

impl Snapshot {
    /// The row of a phase, if it occurred.
    pub fn phase(&self, phase: Phase) -> Option<&PhaseRow> {
        self.phases.iter().find(|row| row.phase == phase)
    }

    /// How many devices ended so that want attention: not those of whom just that is expected.
    pub fn alarming(&self, outcome: Outcome) -> u64 {
        let cohorts = self.setting.cohorts.iter().zip(&self.cohorts);
        cohorts
            .filter(|(setting, _)| setting.alarms(outcome))
            .fold(0, |sum, (_, row)| {
                sum.saturating_add(row.devices.of(outcome))
            })
    }

    /// All errors together.
    pub fn error_count(&self) -> u64 {
        let counts = self.errors.iter().map(|row| row.count);
        counts.fold(0, u64::saturating_add)
    }

    /// How many thresholds stand so.
    pub fn standing(&self, standing: Standing) -> usize {
        let rows = self.thresholds.iter();
        rows.filter(|row| row.standing == standing).count()
    }

    /// Whether devices start later than the limit allows.
    pub fn lags(&self) -> bool {
        self.lag.p99 > self.setting.validity.lag_p99_us
    }
}

/// One phase over all cohorts.
#[derive(Clone, Debug, PartialEq)]
pub struct PhaseRow {
    /// Which.
    pub phase: Phase,
    /// Steps completed.
    pub count: u64,
    /// Steps not completed.
    pub errors: u64,
    /// Of these, the ones in cohorts whose devices are not expected to fail in this step.
    pub alarming: u64,
    /// From the intended start.
    pub response: LatencyFigures,
    /// From the actual send.
    pub service: LatencyFigures,
    /// The distribution of the response times.
    pub bars: Bars,
    /// The distribution of the service times.
    pub service_bars: Bars,
    /// The percentiles of the response times.
    pub spectrum: Spectrum,
    /// The percentiles of the service times.
    pub service_spectrum: Spectrum,
}

/// One cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorRow {
    /// The stable word.
    pub cause: String,
    /// What it means, in plain words.
    pub hint: &'static str,
    /// How often.
    pub count: u64,
    /// When it was first counted, since the start of the run, within half a second.
    pub first: Duration,
    /// When it was last counted.
    pub last: Duration,
    /// It strikes nobody but devices of whom it is expected, as far as can be told while the run
    /// goes on: it wants no attention.
    pub expected: bool,
}

/// One cohort; its name, transport and credentials are in the setting, at the same position.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CohortRow {
    /// By outcome, so far.
    pub devices: DeviceCounts,
    /// By what they are doing now.
    pub live: LiveCounts,
    /// Telemetry messages so far.
    pub telemetry: TelemetryCounts,
    /// Response times of `time_to_provision`.
    pub time_to_provision: LatencyFigures,
}

impl CohortRow {
    /// Adds what adds up: the times are left to whoever has the histograms.
    pub(super) fn add_counts(&mut self, other: &Self) {
        self.devices.add(&other.devices);
        self.telemetry.add(&other.telemetry);
        self.live.add(&other.live);
    }
}

/// All cohorts of one transport.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TransportRow {
    /// Which.
    pub transport: TransportKind,
    /// How many cohorts.
    pub cohorts: usize,
    /// Their figures together.
    pub sum: CohortRow,
}

#[cfg(test)]
mod tests {
    use super::super::fixture;

    #[test]
    fn a_search_fits_into_the_line_of_the_progress() {
        let mut row = fixture::search_row();
        let words = "trial 4 at 56.6/s (bisect), last broken, limit 40.0..80.0/s";
        assert_eq!(row.words(), words);
        (row.last, row.held, row.broken) = (None, None, None);
        assert_eq!(row.words(), "trial 4 at 56.6/s (bisect), limit ?..?/s");
    }
}
