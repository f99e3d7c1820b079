//! Where a threshold's figure is read: in the result of a run, or in the sums while it goes on; of
//! the whole run, or of a cohort.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::super::aggregate::Aggregate;
use super::super::cause::OTHER_CAUSES;
use super::super::counts::{
    DeviceCounts, ReconnectCounts, RotationCounts, StartCounts, TelemetryCounts,
};
use super::super::downlink::DownlinkCounts;
use super::super::finish::per_second;
use super::super::gateway::GatewayCounts;
use super::super::latency::LatencyFigures;
use super::super::recorder::Recorder;
use super::super::summary::{PhaseHistograms, PhaseSummary, Summary};
use super::super::tally::{PhaseTally, Tally};
use super::super::timeline::StepCounts;
use super::metric::{CONNECTED, Certificates, Clock, Figure, Messages, Metric, Sessions};
use super::percentile::Percentile;
use crate::model::{Outcome, Phase};

/// What a metric was, before it is compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Observed {
    /// There is nothing to judge.
    Nothing,
    Micros(f64),
    PerSecond(f64),
    Count(u64),
    /// So many of so many.
    Of(u64, u64),
}

/// The figures of a run or of one of its cohorts.
pub(super) struct Scene<'a> {
    devices: DeviceCounts,
    telemetry: TelemetryCounts,
    reconnects: ReconnectCounts,
    rotations: RotationCounts,
    downlink: DownlinkCounts,
    gateway: GatewayCounts,
    elapsed: Duration,
    steps: Steps<'a>,
    /// Of a whole run alone.
    whole: Option<Whole<'a>>,
}

/// Where what is known of steps is kept.
enum Steps<'a> {
    Finished(
        &'a BTreeMap<Phase, PhaseSummary>,
        &'a BTreeMap<Phase, PhaseHistograms>,
    ),
    Running(&'a [PhaseTally; Phase::COUNT]),
}

/// What is kept for the whole run alone.
enum Whole<'a> {
    Finished(&'a Summary),
    Running(&'a Recorder, StartCounts),
}

impl<'a> Scene<'a> {
    /// Of a finished run, or of its cohort of that name; `None` when it has none.
    pub(super) fn finished(summary: &'a Summary, cohort: Option<&str>) -> Option<Self> {
        let elapsed = Duration::try_from_secs_f64(summary.elapsed_s).unwrap_or_default();
        let Some(name) = cohort else {
            return Some(Self {
                devices: summary.devices,
                telemetry: summary.telemetry.counts,
                reconnects: summary.reconnects,
                rotations: summary.rotations,
                downlink: summary.downlink,
                gateway: summary.gateway,
                elapsed,
                steps: Steps::Finished(&summary.phases, &summary.histograms.phases),
                whole: Some(Whole::Finished(summary)),
            });
        };
        let cohort = summary.cohorts.get(name)?;
        Some(Self {
            devices: cohort.devices,
            telemetry: cohort.telemetry.counts,
            reconnects: cohort.reconnects,
            rotations: cohort.rotations,
            downlink: cohort.downlink,
            gateway: cohort.gateway,
            elapsed,
            steps: Steps::Finished(&cohort.phases, &cohort.histograms),
            whole: None,
        })
    }

    /// The same while the run goes on.
    pub(super) fn running(
        aggregate: &'a Aggregate,
        cohort: Option<&str>,
        elapsed: Duration,
    ) -> Option<Self> {
        let of = |listed, tally: &'a Tally, whole| Self {
            devices: DeviceCounts::new(listed, &tally.outcomes),
            telemetry: tally.telemetry,
            reconnects: tally.reconnects,
            rotations: tally.rotations,
            downlink: tally.downlink(),
            gateway: tally.gateway,
            elapsed,
            steps: Steps::Running(&tally.phases),
            whole,
        };
        let setting = &aggregate.setting;
        let Some(name) = cohort else {
            let whole = Whole::Running(&aggregate.sum, aggregate.starts());
            return Some(of(setting.listed, &aggregate.overall, Some(whole)));
        };
        let at = setting
            .cohorts
            .iter()
            .position(|cohort| cohort.name == name)?;
        Some(of(
            setting.cohorts[at].listed,
            &aggregate.sum.cohorts[at],
            None,
        ))
    }

    /// How many devices can still end so while the run goes on, those that have included.
    pub(super) fn devices_at_most(&self, outcome: Outcome) -> u64 {
        let open = self.devices.listed.saturating_sub(self.devices.decided());
        self.devices.of(outcome).saturating_add(open)
    }

    pub(super) fn observe(&self, metric: &Metric) -> Observed {
        let steps = |phase| self.steps.of(phase);
        match metric {
            Metric::Latency(phase, clock, figure) => {
                let figure = self.steps.figure(*phase, *clock, *figure);
                figure.map_or(Observed::Nothing, Observed::Micros)
            }
            Metric::PhaseCount(phase) => Observed::Count(steps(*phase).map_or(0, |s| s.count)),
            Metric::PhaseErrors(phase) => steps(*phase).map_or(Observed::Nothing, |s| {
                Observed::Of(s.errors, s.count.saturating_add(s.errors))
            }),
            Metric::PhaseRetries(phase) => Observed::Count(steps(*phase).map_or(0, |s| s.retries)),
            Metric::PhaseRate(phase) => self.rate(steps(*phase).map_or(0, |s| s.count)),
            Metric::Retries => Observed::Count(self.sum(&Phase::ALL, |s| s.retries)),
            Metric::ErrorsShare => {
                let errors = self.sum(&SINGLE_STEPS, |s| s.errors);
                let completed = self.sum(&SINGLE_STEPS, |s| s.count);
                Observed::Of(errors, completed.saturating_add(errors))
            }
            Metric::DevicesBack if self.reconnects.devices == 0 => Observed::Nothing,
            Metric::DevicesBack => {
                Observed::Of(self.reconnects.devices_back(), self.reconnects.devices)
            }
            Metric::Reconnects(which) => Observed::Count(sessions(&self.reconnects, *which)),
            Metric::Rotations(Certificates::Done) if self.rotations.due == 0 => Observed::Nothing,
            Metric::Rotations(which) => {
                Observed::Of(certificates(&self.rotations, *which), self.rotations.due)
            }
            Metric::Gateway(CONNECTED) => match self.gateway.sub_devices {
                0 => Observed::Nothing,
                all => Observed::Of(self.gateway.connected, all),
            },
            Metric::Gateway(name) => Observed::Count(self.gateway.of(name).unwrap_or(0)),
            Metric::Downlink(name) => Observed::Count(self.downlink.of(name).unwrap_or(0)),
            Metric::Devices(outcome) => {
                Observed::Of(self.devices.of(*outcome), self.devices.listed)
            }
            Metric::Telemetry(Messages::Sent) => Observed::Count(self.telemetry.sent),
            Metric::Telemetry(Messages::Acked) => {
                Observed::Of(self.telemetry.acked, self.telemetry.sent)
            }
            Metric::Telemetry(Messages::Lost) => {
                Observed::Of(self.telemetry.lost, self.telemetry.sent)
            }
            Metric::TelemetryRate => self.telemetry_rate(),
            Metric::StartsLate
            | Metric::StartsDropped
            | Metric::StartLag(_)
            | Metric::MessageLag(_)
            | Metric::Errors(_) => match &self.whole {
                None => Observed::Nothing,
                Some(whole) => whole.observe(metric),
            },
        }
    }

    fn telemetry_rate(&self) -> Observed {
        match &self.whole {
            Some(Whole::Finished(summary)) => Observed::PerSecond(summary.telemetry.rate_per_s),
            _ => self.rate(self.telemetry.sent),
        }
    }

    fn rate(&self, count: u64) -> Observed {
        Observed::PerSecond(per_second(count, self.elapsed))
    }

    fn sum(&self, phases: &[Phase], part: fn(StepCounts) -> u64) -> u64 {
        let steps = phases.iter().filter_map(|phase| self.steps.of(*phase));
        steps.map(part).fold(0, u64::saturating_add)
    }
}

impl Steps<'_> {
    /// `None` when the phase did not occur.
    fn of(&self, phase: Phase) -> Option<StepCounts> {
        match self {
            Self::Finished(phases, _) => phases.get(&phase).map(|p| StepCounts {
                count: p.count,
                errors: p.errors,
                retries: p.retries,
            }),
            Self::Running(tallies) => {
                let tally = &tallies[phase as usize];
                (!tally.is_empty()).then(|| tally.steps())
            }
        }
    }

    /// In µs; `None` without samples.
    fn figure(&self, phase: Phase, clock: Clock, figure: Figure) -> Option<f64> {
        let histogram = match self {
            Self::Finished(phases, histograms) => {
                let known = phases.get(&phase).filter(|phase| phase.count > 0)?;
                let known = match clock {
                    Clock::Response => &known.response_us,
                    Clock::Service => &known.service_us,
                };
                if let Some(figure) = stated(known, figure) {
                    return Some(figure);
                }
                let carried = histograms.get(&phase)?;
                let carried = match clock {
                    Clock::Response => &carried.response,
                    Clock::Service => &carried.service,
                };
                Cow::Owned(carried.decode().ok()?)
            }
            Self::Running(tallies) => {
                let latency = tallies[phase as usize].latency.as_ref()?;
                Cow::Borrowed(match clock {
                    Clock::Response => &latency.response,
                    Clock::Service => &latency.service,
                })
            }
        };
        read(&histogram, figure)
    }
}

impl Whole<'_> {
    fn observe(&self, metric: &Metric) -> Observed {
        let starts = match self {
            Self::Finished(summary) => &summary.starts,
            Self::Running(_, starts) => starts,
        };
        match metric {
            Metric::StartsLate => Observed::Of(starts.late, starts.started),
            Metric::StartsDropped => Observed::Of(starts.dropped, starts.planned),
            Metric::Errors(word) => Observed::Count(self.errors(word)),
            Metric::StartLag(figure) | Metric::MessageLag(figure) => {
                let of_starts = matches!(metric, Metric::StartLag(_));
                let lag = self.lag(of_starts);
                let lag = lag.and_then(|lag| read(&lag, *figure));
                lag.map_or(Observed::Nothing, Observed::Micros)
            }
            _ => Observed::Nothing,
        }
    }

    fn errors(&self, word: &str) -> u64 {
        match self {
            Self::Finished(summary) => summary.errors.get(word).copied().unwrap_or(0),
            Self::Running(sum, _) if word == OTHER_CAUSES => sum.errors.other,
            Self::Running(sum, _) => {
                let cause = word.parse().ok();
                let mut counts = sum.errors.iter();
                let found = counts.find(|(counted, _)| Some(*counted) == cause);
                found.map_or(0, |(_, n)| n)
            }
        }
    }

    fn lag(&self, of_starts: bool) -> Option<Cow<'_, Histogram<u64>>> {
        match self {
            Self::Finished(summary) => {
                let carried = &summary.histograms;
                let carried = if of_starts {
                    &carried.start_lag
                } else {
                    &carried.message_lag
                };
                carried.as_ref()?.decode().ok().map(Cow::Owned)
            }
            Self::Running(sum, _) => {
                let lag = if of_starts {
                    &sum.lag
                } else {
                    &sum.message_lag
                };
                lag.as_deref().map(Cow::Borrowed)
            }
        }
    }
}

/// What a summary says without its histograms.
fn stated(figures: &LatencyFigures, figure: Figure) -> Option<f64> {
    let us = match figure {
        Figure::Max => figures.max,
        Figure::Mean => return Some(figures.mean),
        Figure::At(percentile) => match percentile {
            Percentile::P50 => figures.p50,
            Percentile::P90 => figures.p90,
            Percentile::P99 => figures.p99,
            Percentile::P99_9 => figures.p999,
            _ => return None,
        },
    };
    Some(us as f64)
}

/// As [`LatencyFigures`] has them; `None` without samples.
fn read(histogram: &Histogram<u64>, figure: Figure) -> Option<f64> {
    (!histogram.is_empty()).then(|| match figure {
        Figure::At(percentile) => histogram.value_at_quantile(percentile.quantile()) as f64,
        Figure::Max => histogram.max() as f64,
        Figure::Mean => (histogram.mean() * 1e3).round() / 1e3,
    })
}

fn sessions(counts: &ReconnectCounts, which: Sessions) -> u64 {
    match which {
        Sessions::Lost => counts.lost,
        Sessions::Back => counts.back,
        Sessions::NotBack => counts.devices_not_back(),
        Sessions::GivenUp => counts.given_up,
        Sessions::Takeovers => counts.takeovers,
        Sessions::TakenOver => counts.taken_over,
    }
}

fn certificates(counts: &RotationCounts, which: Certificates) -> u64 {
    match which {
        Certificates::Due => counts.due,
        Certificates::Done => counts.done,
        Certificates::Failed => counts.failed,
        Certificates::InDoubt => counts.in_doubt,
        Certificates::OldRefused => counts.old_refused,
        Certificates::OldAccepted => counts.old_accepted,
    }
}

/// The phases that are one step each: the others are made up of them.
const SINGLE_STEPS: [Phase; 15] = [
    Phase::TcpConnect,
    Phase::TlsHandshake,
    Phase::MqttConnect,
    Phase::Provision,
    Phase::Reconnect,
    Phase::Subscribe,
    Phase::Claim,
    Phase::Attributes,
    Phase::Telemetry,
    Phase::AttributeUpdate,
    Phase::ServerRpc,
    Phase::RpcReply,
    Phase::ClientRpc,
    Phase::Rotate,
    Phase::GatewayConnect,
];
