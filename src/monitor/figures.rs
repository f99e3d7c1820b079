//! Figures at one moment, in no system's form yet: families, and their points with labels. `page`, `line` and
//! `otlp` write the same figures down for those who ask and those who are pushed to.

use super::families::Family;
use crate::metrics::Buckets;

/// All that is told at one moment.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Labels that every point has: name and value.
    pub common: Vec<(&'static str, String)>,
    /// In the order in which they are written down.
    pub series: Vec<Series>,
}

/// The points of a family.
#[derive(Clone, Debug)]
pub struct Series {
    pub(super) family: &'static Family,
    pub(super) points: Vec<Point>,
}

/// A value with what it is about.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Point {
    /// Values of the family's labels, in their order.
    pub(super) labels: Vec<String>,
    pub(super) value: Value,
}

/// What a point says.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Of a counter.
    Count(u64),
    /// Of a gauge, finite.
    Gauge(f64),
    /// Of a histogram; µs, told as seconds.
    Histogram(Buckets),
}

impl Series {
    /// Without points yet.
    pub fn of(family: &'static Family) -> Self {
        Self {
            family,
            points: Vec::new(),
        }
    }

    /// One more point, with a value for each label of the family.
    pub fn push(&mut self, labels: &[&str], value: Value) {
        assert_eq!(
            self.family.labels.len(),
            labels.len(),
            "{}",
            self.family.name
        );
        self.points.push(Point {
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
            value,
        });
    }

    /// With a point more.
    #[must_use]
    pub fn with(mut self, labels: &[&str], value: Value) -> Self {
        self.push(labels, value);
        self
    }
}

impl Point {
    /// Names and values of the point's own labels.
    pub(super) fn labels(&self, family: &Family) -> impl Iterator<Item = (&'static str, &str)> {
        family
            .labels
            .iter()
            .copied()
            .zip(self.labels.iter().map(String::as_str))
    }
}
