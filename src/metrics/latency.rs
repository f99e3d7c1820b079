//! Histograms of times: their bounds, their figures and the form in which they travel.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A phase's two times, each sample in both: response counts from the intended start, service
/// from the actual send.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Latency {
    pub(super) response: Histogram<u64>,
    pub(super) service: Histogram<u64>,
}

impl Latency {
    pub(super) fn new() -> Self {
        Self {
            response: histogram(),
            service: histogram(),
        }
    }

    pub(super) fn record(&mut self, response: Duration, service: Duration) {
        self.response.saturating_record(micros(response));
        self.service.saturating_record(micros(service));
    }

    pub(super) fn add(&mut self, other: &Self) {
        add(&mut self.response, &other.response);
        add(&mut self.service, &other.service);
    }

    pub(super) fn count(&self) -> u64 {
        self.response.len()
    }

    pub(super) fn clear(&mut self) {
        if self.count() > 0 {
            self.response.reset();
            self.service.reset();
        }
    }
}

/// The figures of one histogram, in µs. A percentile is the highest value that its bucket stands
/// for: at most 0.1 % above the recorded one, never below it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LatencyFigures {
    /// Half of the samples took no longer.
    pub p50: u64,
    /// 90 %.
    pub p90: u64,
    /// 99 %.
    pub p99: u64,
    /// 99.9 %.
    pub p999: u64,
    /// The longest.
    pub max: u64,
    /// The arithmetic mean, to 0.001 µs; for comparisons with other tools.
    pub mean: f64,
}

impl LatencyFigures {
    pub(super) fn of(histogram: &Histogram<u64>) -> Self {
        let mut values = histogram.value_at_quantiles([0.5, 0.9, 0.99, 0.999]);
        let mut next = || values.next().unwrap_or_default();
        Self {
            p50: next(),
            p90: next(),
            p99: next(),
            p999: next(),
            max: histogram.max(),
            mean: (histogram.mean() * 1e3).round() / 1e3,
        }
    }
}

/// How late devices started or messages were sent, in µs: actual minus intended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LagFigures {
    /// Half of them were no later.
    pub p50: u64,
    /// 99 %.
    pub p99: u64,
    /// The latest.
    pub max: u64,
}

impl LagFigures {
    pub(super) fn of(histogram: &Histogram<u64>) -> Self {
        Self {
            p50: histogram.value_at_quantile(0.5),
            p99: histogram.value_at_quantile(0.99),
            max: histogram.max(),
        }
    }
}

/// A whole histogram as base64 of HdrHistogram's V2 encoding (not deflated), so that the parts of
/// a run add bucket for bucket and other HdrHistogram tools can read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct CarriedHistogram(String);

impl CarriedHistogram {
    /// Encodes a histogram.
    pub fn new(histogram: &Histogram<u64>) -> Self {
        let mut bytes = Vec::new();
        V2Serializer::new()
            .serialize(histogram, &mut bytes)
            .expect("writing to memory cannot fail");
        Self(STANDARD.encode(bytes))
    }

    /// Its figures.
    pub fn figures(&self) -> Result<LatencyFigures, CarriedError> {
        Ok(LatencyFigures::of(&self.decode()?))
    }

    /// The values that occur, each the highest of its bucket, with their counts; ascending.
    pub fn counts(&self) -> Result<Vec<(u64, u64)>, CarriedError> {
        let histogram = self.decode()?;
        let recorded = histogram.iter_recorded();
        let counted = recorded.map(|at| (at.value_iterated_to(), at.count_at_value()));
        Ok(counted.collect())
    }

    /// Adds another one bucket for bucket.
    pub(super) fn add(&mut self, other: &Self) -> Result<(), CarriedError> {
        let mut sum = self.decode()?;
        add(&mut sum, &other.decode()?);
        *self = Self::new(&sum);
        Ok(())
    }

    /// The histogram again, with the same counts, percentiles and maximum.
    pub fn decode(&self) -> Result<Histogram<u64>, CarriedError> {
        let bytes = STANDARD
            .decode(&self.0)
            .map_err(|e| CarriedError(format!("not base64: {e}")))?;
        check_form(&bytes)?;
        let histogram: Histogram<u64> = Deserializer::new()
            .deserialize(&mut bytes.as_slice())
            .map_err(|e| CarriedError(format!("not HdrHistogram V2: {e}")))?;
        if (histogram.low(), histogram.high(), histogram.sigfig()) == (1, MICROS_MAX, DIGITS) {
            Ok(histogram)
        } else {
            Err(CarriedError("of other bounds than 1 µs to 1 h".to_owned()))
        }
    }
}

/// The length that an encoding states is the one that it has: nothing is allocated on its word.
fn check_form(bytes: &[u8]) -> Result<(), CarriedError> {
    let stated = bytes.get(4..8).and_then(|length| length.try_into().ok());
    let stated = stated.map_or(u32::MAX, u32::from_be_bytes);
    if bytes.len().checked_sub(V2_HEADER) == usize::try_from(stated).ok() {
        Ok(())
    } else {
        Err(CarriedError("not HdrHistogram V2: cut short".to_owned()))
    }
}

/// A histogram that was damaged on its way.
#[derive(Debug, thiserror::Error)]
#[error("histogram: {0}")]
pub struct CarriedError(String);

/// An empty histogram: 1 µs to 1 h, 3 significant digits, 188 kB.
pub(super) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, MICROS_MAX, DIGITS).expect("constant bounds are legal")
}

/// Adds a part to a sum, neither of which need be there.
pub(super) fn put<T: Clone>(
    sum: &mut Option<T>,
    part: Option<&T>,
    add: impl FnOnce(&mut T, &T) -> Result<(), CarriedError>,
) -> Result<(), CarriedError> {
    match (sum.as_mut(), part) {
        (_, None) => Ok(()),
        (Some(sum), Some(part)) => add(sum, part),
        (None, Some(part)) => {
            *sum = Some(part.clone());
            Ok(())
        }
    }
}

/// Adds bucket for bucket.
pub(super) fn add(sum: &mut Histogram<u64>, other: &Histogram<u64>) {
    sum.add(other).expect("all histograms have the same bounds");
}

/// What was recorded since an earlier state of the same histogram.
pub(super) fn since(now: &Histogram<u64>, earlier: Option<&Histogram<u64>>) -> Histogram<u64> {
    let mut part = now.clone();
    if let Some(earlier) = earlier {
        part.subtract(earlier).expect("counts only grow");
    }
    part
}

/// Whole µs, at least 1, at most 1 h: what lies beyond is counted there.
pub(super) fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).map_or(MICROS_MAX, |us| us.clamp(1, MICROS_MAX))
}

const MICROS_MAX: u64 = 3_600_000_000;

/// Significant decimal digits.
const DIGITS: u8 = 3;

/// What stands before the counts in an encoding.
const V2_HEADER: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_beyond_an_hour_are_counted_as_an_hour() {
        let mut latency = Latency::new();
        latency.record(Duration::from_hours(5), Duration::ZERO);
        latency.record(Duration::MAX, Duration::from_nanos(10));
        assert_eq!(latency.count(), 2);
        let figures = LatencyFigures::of(&latency.response);
        let hour = 3_600_000_000.0;
        assert!(
            (figures.max as f64 - hour).abs() <= hour / 1000.0,
            "{figures:?}"
        );
        assert_eq!(LatencyFigures::of(&latency.service).max, 1);
    }

    #[test]
    fn figures_are_within_a_thousandth_of_the_samples_and_never_below() {
        let mut latency = Latency::new();
        for us in 1..=100_000u64 {
            latency.record(Duration::from_micros(us), Duration::from_micros(us));
        }
        let figures = LatencyFigures::of(&latency.response);
        for (got, exact) in [
            (figures.p50, 50_000),
            (figures.p90, 90_000),
            (figures.p99, 99_000),
            (figures.p999, 99_900),
            (figures.max, 100_000),
        ] {
            assert!(
                got >= exact && got <= exact + exact / 1000,
                "{got} for {exact}"
            );
        }
        assert!((figures.mean - 50_000.5).abs() < 50.0, "{figures:?}");
    }

    #[test]
    fn an_empty_histogram_has_figures_of_zero() {
        assert_eq!(LatencyFigures::of(&histogram()), LatencyFigures::default());
        assert_eq!(LagFigures::of(&histogram()), LagFigures::default());
    }

    #[test]
    fn a_carried_histogram_is_the_same_histogram() {
        let mut one = histogram();
        for us in [1, 2, 3, 999, 1_000_003, MICROS_MAX] {
            one.saturating_record(us);
        }
        let again = CarriedHistogram::new(&one).decode().expect("own encoding");
        assert_eq!(again, one);
        assert_eq!(LatencyFigures::of(&again), LatencyFigures::of(&one));
        let mut sum = histogram();
        add(&mut sum, &again);
        assert_eq!(sum, one);
    }

    #[test]
    fn a_damaged_histogram_is_an_error_and_no_panic() {
        for text in ["", "%", "AAAA", "HISTFAAAA"] {
            assert!(
                CarriedHistogram(text.to_owned()).decode().is_err(),
                "{text:?}"
            );
        }
    }
}
