//! How the times of each phase are spread: a histogram, and the spectrum of percentiles.

use hdrhistogram::Histogram;

use super::chart::{Chart, Series, short};
use super::scale::{Unit, X};
use crate::metrics::{CarriedError, Summary};
use crate::model::{Phase, units};

/// Two charts of a phase.
pub(super) struct Spread {
    pub(super) phase: Phase,
    pub(super) histogram: Chart,
    pub(super) spectrum: Chart,
}

/// Of each phase that has samples.
pub(super) fn spreads(summary: &Summary) -> Result<Vec<Spread>, CarriedError> {
    let phases = summary.histograms.phases.iter();
    let spreads = phases.map(|(phase, carried)| {
        let both = [carried.response.decode()?, carried.service.decode()?];
        Ok(Spread {
            phase: *phase,
            histogram: histogram(*phase, &both),
            spectrum: spectrum(*phase, &both),
        })
    });
    spreads
        .filter(|spread| spread.as_ref().map_or(true, |s| !s.histogram.x.is_empty()))
        .collect()
}

/// The share of samples in each tenth of a decade.
fn histogram(phase: Phase, both: &[Histogram<u64>; 2]) -> Chart {
    let slots = both.each_ref().map(|one| {
        let mut slots = vec![0u64; SLOTS];
        for step in one.iter_recorded() {
            slots[slot(step.value_iterated_to())] += step.count_since_last_iteration();
        }
        slots
    });
    let used = |n: &usize| slots.iter().any(|slots| slots[*n] > 0);
    let first = (0..SLOTS).find(used);
    let last = (0..SLOTS).rev().find(used);
    let (x, shown) = match (first, last) {
        (Some(first), Some(last)) => {
            // One more on each side, so that the shape is closed.
            let (first, last) = (first.saturating_sub(1), last + 1);
            ((first..=last).map(edge).collect(), first..last + 1)
        }
        _ => (Vec::new(), 0..0),
    };
    let series = |n: usize, label: &str, colour| {
        let all = both[n].len().max(1) as f64;
        let of = |at: usize| slots[n].get(at).copied().unwrap_or(0) as f64 / all * 100.0;
        Series::new(
            label,
            colour,
            shown.clone().map(|at| Some(of(at))).collect(),
        )
    };
    Chart {
        id: format!("histogram-{}", phase.as_str()),
        title: "How often which time".to_owned(),
        alt: format!(
            "Histogram of {}: response times {}; service times {}.",
            phase.as_str(),
            words(&both[0]),
            words(&both[1])
        ),
        x_kind: X::Latency,
        y_unit: Unit::Percent,
        y_log: false,
        stepped: true,
        x,
        series: vec![
            series(0, "response", RESPONSE),
            series(1, "service", SERVICE).dashed(),
        ],
        marks: Vec::new(),
    }
}

/// The time that a share of the samples did not exceed.
fn spectrum(phase: Phase, both: &[Histogram<u64>; 2]) -> Chart {
    let samples = both[0].len().max(1) as f64;
    #[expect(clippy::cast_sign_loss, reason = "at least one sample")]
    let steps = (samples.log10() * f64::from(PER_DECADE)).floor() as u32;
    let nines: Vec<f64> = (0..=steps.max(PER_DECADE))
        .map(|n| f64::from(n) / f64::from(PER_DECADE))
        .collect();
    let series = |one: &Histogram<u64>, label: &str, colour| {
        let at = |nines: &f64| one.value_at_quantile(1.0 - 10f64.powf(-nines)) as f64 / 1e3;
        Series::new(label, colour, nines.iter().map(|n| Some(at(n))).collect())
    };
    Chart {
        id: format!("spectrum-{}", phase.as_str()),
        title: "Percentiles".to_owned(),
        alt: format!(
            "Percentiles of {}: response times {}; service times {}.",
            phase.as_str(),
            words(&both[0]),
            words(&both[1])
        ),
        x_kind: X::Percentile,
        y_unit: Unit::Millis,
        y_log: true,
        stepped: false,
        series: vec![
            series(&both[0], "response", RESPONSE),
            series(&both[1], "service", SERVICE).dashed(),
        ],
        x: nines.into_iter().map(short).collect(),
        marks: Vec::new(),
    }
}

fn words(one: &Histogram<u64>) -> String {
    let at = |quantile| units::micros(one.value_at_quantile(quantile));
    format!(
        "p50 {}, p90 {}, p99 {}, longest {}",
        at(0.5),
        at(0.9),
        at(0.99),
        units::micros(one.max())
    )
}

/// In which tenth of a decade, from 1 µs.
fn slot(us: u64) -> usize {
    let at = (us.max(1) as f64).log10() * f64::from(PER_DECADE);
    #[expect(clippy::cast_sign_loss, reason = "at least 1 µs")]
    let at = at.floor() as usize;
    at.min(SLOTS - 1)
}

/// Where a slot ends, in ms.
fn edge(slot: usize) -> f64 {
    short(10f64.powf((slot + 1) as f64 / f64::from(PER_DECADE)) / 1e3)
}

/// Steps of a decade: a quarter more each.
const PER_DECADE: u32 = 10;

/// 1 µs to 1 h.
const SLOTS: usize = 96;

/// The colours of the two times, wherever they are drawn.
pub(super) const RESPONSE: u8 = 0;
pub(super) const SERVICE: u8 = 1;
