//! A run over time, as charts.

use std::collections::BTreeMap;

use super::chart::{Chart, ChartMark, Series};
use super::scale::{Unit, X};
use super::spread::{RESPONSE, SERVICE};
use crate::metrics::timeline::Interval;
use crate::metrics::{CarriedError, CarriedHistogram, PushCounts};
use crate::model::{Phase, printable};
use crate::report::Timeline;

/// What happened in each interval.
pub(super) fn lines(timeline: &Timeline) -> Result<Vec<Chart>, CarriedError> {
    let drawn = Lines {
        intervals: &timeline.intervals,
        marks: marks(timeline),
    };
    if drawn.intervals.is_empty() {
        return Ok(Vec::new());
    }
    let mut charts = vec![
        drawn.arrival(),
        drawn.outcomes(),
        drawn.live(),
        drawn.telemetry(),
        drawn.sessions(),
        drawn.downlink(),
        drawn.gateways(),
        drawn.errors(),
    ];
    charts.push(drawn.lags()?);
    for phase in [
        Phase::TimeToProvision,
        Phase::Provision,
        Phase::Telemetry,
        Phase::TimeToReconnect,
        Phase::AttributeUpdate,
        Phase::RpcRoundTrip,
    ] {
        charts.push(drawn.latency(phase)?);
    }
    charts.retain(|chart| chart.series.iter().any(Series::shows));
    Ok(charts)
}

/// The first of them: more are no picture any more. The table below the charts has all.
fn marks(timeline: &Timeline) -> Vec<ChartMark> {
    let marks = (1..).zip(&timeline.marks).take(MARKS);
    marks
        .map(|(number, mark)| ChartMark {
            at: mark.at_s,
            number,
        })
        .collect()
}

struct Lines<'a> {
    intervals: &'a [Interval],
    marks: Vec<ChartMark>,
}

impl Lines<'_> {
    fn arrival(&self) -> Chart {
        let due = self.rate(|i| i.starts.due.unwrap_or(0));
        let series = vec![
            Series::new("due", 2, due).dashed(),
            Series::new("started", RESPONSE, self.rate(|i| i.starts.started)),
            Series::new("late", 4, self.rate(|i| i.starts.late)),
        ];
        self.chart("arrival", "Arrival of devices", Unit::PerSecond, series)
    }

    fn outcomes(&self) -> Chart {
        let series = vec![
            Series::new("provisioned", 3, self.rate(|i| i.devices.provisioned)),
            Series::new("refused", 4, self.rate(|i| i.devices.refused)),
            Series::new("failed", 1, self.rate(|i| i.devices.failed)),
            Series::new("unknown", 5, self.rate(|i| i.devices.unknown)),
        ];
        self.chart(
            "outcomes",
            "Provisioning, by outcome",
            Unit::PerSecond,
            series,
        )
    }

    fn live(&self) -> Chart {
        let gauge = |of: fn(&Interval) -> u64| self.each(|i| Some(of(i) as f64));
        let series = vec![
            Series::new("waiting", 2, gauge(|i| i.live.waiting)),
            Series::new("being brought up", 1, gauge(|i| i.live.bringing_up)),
            Series::new("live", 3, gauge(|i| i.live.live)),
        ];
        self.chart("live", "What devices are doing", Unit::Devices, series)
    }

    fn telemetry(&self) -> Chart {
        let series = vec![
            Series::new("sent", RESPONSE, self.rate(|i| i.telemetry.sent)),
            Series::new("acknowledged", 3, self.rate(|i| i.telemetry.acked)).dashed(),
            Series::new("lost", 4, self.rate(|i| i.telemetry.lost)),
        ];
        self.chart("messages", "Telemetry messages", Unit::PerSecond, series)
    }

    fn sessions(&self) -> Chart {
        let series = vec![
            Series::new("lost", 4, self.rate(|i| i.reconnects.lost)),
            Series::new("back", 3, self.rate(|i| i.reconnects.back)).dashed(),
        ];
        self.chart(
            "sessions",
            "Sessions lost and found again",
            Unit::PerSecond,
            series,
        )
    }

    /// Updates of attributes and calls together.
    fn downlink(&self) -> Chart {
        let both = |of: fn(&PushCounts) -> u64| {
            self.rate(|i| of(&i.downlink.attributes).saturating_add(of(&i.downlink.rpc)))
        };
        let series = vec![
            Series::new("sent", RESPONSE, both(|pushes| pushes.sent)),
            Series::new("received", 3, both(|pushes| pushes.received)).dashed(),
            Series::new("lost", 4, both(|pushes| pushes.lost)),
        ];
        let title = "What devices were sent";
        self.chart("downlink", title, Unit::PerSecond, series)
    }

    fn gateways(&self) -> Chart {
        let series = vec![
            Series::new("sent", RESPONSE, self.rate(|i| i.gateway.messages.sent)),
            Series::new("acknowledged", 3, self.rate(|i| i.gateway.messages.acked)).dashed(),
            Series::new("in part", 1, self.rate(|i| i.gateway.messages.partial)),
            Series::new("lost", 4, self.rate(|i| i.gateway.messages.lost)),
        ];
        let title = "Messages that gateways sent for others";
        self.chart("gateways", title, Unit::PerSecond, series)
    }

    /// The most frequent causes, and the rest together.
    fn errors(&self) -> Chart {
        let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
        for (cause, n) in self.intervals.iter().flat_map(|i| &i.errors) {
            let sum = sums.entry(cause).or_default();
            *sum = sum.saturating_add(*n);
        }
        let mut causes: Vec<(&str, u64)> = sums.into_iter().collect();
        causes.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        let named: Vec<&str> = causes
            .iter()
            .take(CAUSES)
            .map(|(cause, _)| *cause)
            .collect();
        let count = |i: &Interval, cause: &str| i.errors.get(cause).copied().unwrap_or(0);
        let mut series: Vec<Series> = (0..)
            .zip(&named)
            .map(|(n, cause)| {
                let rate = self.each(|i| per_second(i, count(i, cause)));
                Series::new(&printable(cause), ERROR_COLOURS[n], rate)
            })
            .collect();
        if causes.len() > named.len() {
            let rest = self.each(|i| {
                let others = i
                    .errors
                    .iter()
                    .filter(|(c, _)| !named.contains(&c.as_str()));
                per_second(
                    i,
                    others
                        .map(|(_, n)| n)
                        .fold(0, |sum, n| n.saturating_add(sum)),
                )
            });
            series.push(Series::new("other causes", 6, rest).dashed());
        }
        self.chart("errors", "Errors, by cause", Unit::PerSecond, series)
    }

    fn lags(&self) -> Result<Chart, CarriedError> {
        let starts = |quantile| self.quantile(quantile, |i| i.start_lag.as_ref());
        let messages = self.quantile(0.99, |i| i.message_lag.as_ref())?;
        let series = vec![
            Series::new("starts p99", RESPONSE, starts(0.99)?),
            Series::new("starts p50", 2, starts(0.5)?),
            Series::new("messages p99", 1, messages).dashed(),
        ];
        let title = "How late the generator was";
        Ok(self.chart("lag", title, Unit::Millis, series).log())
    }

    fn latency(&self, phase: Phase) -> Result<Chart, CarriedError> {
        let of = |quantile, response: bool| {
            self.quantile(quantile, |i| {
                let carried = i.phases.get(&phase)?.histograms.as_ref()?;
                Some(if response {
                    &carried.response
                } else {
                    &carried.service
                })
            })
        };
        let series = vec![
            Series::new("response p99", RESPONSE, of(0.99, true)?),
            Series::new("response p50", 2, of(0.5, true)?),
            Series::new("service p99", SERVICE, of(0.99, false)?).dashed(),
            Series::new("service p50", 5, of(0.5, false)?).dashed(),
        ];
        let (id, title) = (
            format!("latency-{}", phase.as_str()),
            format!("{}: response and service time", phase.as_str()),
        );
        Ok(self.chart(&id, &title, Unit::Millis, series).log())
    }

    fn quantile(
        &self,
        quantile: f64,
        of: impl Fn(&Interval) -> Option<&CarriedHistogram>,
    ) -> Result<Vec<Option<f64>>, CarriedError> {
        let values = self.intervals.iter().map(|interval| {
            let histogram = of(interval).map(CarriedHistogram::decode).transpose()?;
            Ok(histogram.map(|h| h.value_at_quantile(quantile) as f64 / 1e3))
        });
        values.collect()
    }

    fn rate(&self, of: impl Fn(&Interval) -> u64) -> Vec<Option<f64>> {
        self.each(|interval| per_second(interval, of(interval)))
    }

    fn each(&self, of: impl Fn(&Interval) -> Option<f64>) -> Vec<Option<f64>> {
        self.intervals.iter().map(of).collect()
    }

    /// Lines that show nothing are left out: their absence is in the words.
    fn chart(&self, id: &str, title: &str, unit: Unit, mut series: Vec<Series>) -> Chart {
        series.retain(Series::shows);
        let told: Vec<String> = series.iter().map(|series| words(series, unit)).collect();
        // A value holds from the beginning of its interval to the end.
        for series in &mut series {
            series.y.insert(0, series.y[0]);
        }
        let ends = self.intervals.iter().map(|i| (i.to_s * 1e3).round() / 1e3);
        Chart {
            id: id.to_owned(),
            title: title.to_owned(),
            alt: format!("{title} over time. {}", told.join("; ")),
            x_kind: X::Time,
            y_unit: unit,
            y_log: false,
            stepped: true,
            x: std::iter::once(self.intervals[0].from_s)
                .chain(ends)
                .collect(),
            series,
            marks: self.marks.clone(),
        }
    }
}

impl Chart {
    fn log(self) -> Self {
        Self {
            y_log: true,
            ..self
        }
    }
}

fn per_second(interval: &Interval, count: u64) -> Option<f64> {
    let seconds = interval.seconds();
    (seconds > 0.0).then(|| count as f64 / seconds)
}

fn words(series: &Series, unit: Unit) -> String {
    let most = series.y.iter().flatten().copied().fold(0.0, f64::max);
    format!("{}: at most {}", series.label, unit.text(most))
}

/// Lines across a chart at most.
const MARKS: usize = 20;

/// Causes with a line of their own.
const CAUSES: usize = 5;

const ERROR_COLOURS: [u8; CAUSES] = [4, 1, 0, 5, 3];
