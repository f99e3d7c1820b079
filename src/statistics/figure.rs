//! Figures of several runs that can be drawn from any weighting of their cells.

use super::samples::Samples;

/// Two amounts of each column, whose sums are divided: a rate, or a share.
#[derive(Clone, Debug)]
pub struct Parts {
    /// How many runs.
    pub runs: usize,
    /// How many cells each run has.
    pub cells: usize,
    /// What is counted.
    pub of: Vec<f64>,
    /// What it is related to: seconds, or all that were tried.
    pub whole: Vec<f64>,
}

/// A figure of one side of a comparison.
#[derive(Clone, Copy, Debug)]
pub enum Figure<'a> {
    /// A quantile, between 0 and 1, of times.
    Quantile(&'a Samples, f64),
    /// What happened over seconds.
    Rate(&'a Parts),
    /// A part of all that could have been, between 0 and 1.
    Share(&'a Parts),
}

impl Figure<'_> {
    /// How many runs it is of.
    pub fn runs(&self) -> usize {
        match self {
            Self::Quantile(samples, _) => samples.runs(),
            Self::Rate(parts) | Self::Share(parts) => parts.runs,
        }
    }

    /// How many cells each run has.
    pub fn cells(&self) -> usize {
        match self {
            Self::Quantile(samples, _) => samples.cells(),
            Self::Rate(parts) | Self::Share(parts) => parts.cells,
        }
    }

    /// The figure over all columns, each counted so many times; `None` where there is nothing.
    pub fn value(&self, weights: &[u32]) -> Option<f64> {
        match self {
            Self::Quantile(samples, p) => samples.quantile(*p, weights).map(|us| us as f64),
            Self::Rate(parts) | Self::Share(parts) => {
                let sum = |amounts: &[f64]| {
                    let weighed = amounts.iter().zip(weights);
                    weighed
                        .map(|(n, weight)| n * f64::from(*weight))
                        .sum::<f64>()
                };
                let whole = sum(&parts.whole);
                (whole > 0.0).then(|| sum(&parts.of) / whole)
            }
        }
    }

    /// How much there is: samples, or what parts are related to.
    pub fn size(&self) -> f64 {
        match self {
            Self::Quantile(samples, _) => samples.total() as f64,
            Self::Rate(parts) | Self::Share(parts) => parts.whole.iter().sum(),
        }
    }

    /// Which cells have anything in any run.
    pub(super) fn occupied(&self) -> Vec<bool> {
        self.over_runs(|column| match self {
            Self::Quantile(samples, _) => samples
                .column_totals()
                .get(column)
                .map_or(0.0, |n| *n as f64),
            Self::Rate(parts) | Self::Share(parts) => parts.whole[column],
        })
        .into_iter()
        .map(|amount| amount > 0.0)
        .collect()
    }

    /// What each cell contributes to the figure's deviation, of the whole's size: the series whose
    /// memory decides how long blocks are.
    pub(super) fn influence(&self, value: f64) -> Vec<f64> {
        let size = self.size();
        match self {
            Self::Quantile(samples, p) => {
                #[expect(clippy::cast_sign_loss, reason = "a value of the samples")]
                let above = samples.above(value as u64);
                let totals = samples.column_totals();
                self.over_runs(|c| (above[c] as f64 - (1.0 - p) * totals[c] as f64) / size)
            }
            Self::Rate(parts) | Self::Share(parts) => {
                self.over_runs(|c| (parts.of[c] - value * parts.whole[c]) / size)
            }
        }
    }

    fn over_runs(&self, of: impl Fn(usize) -> f64) -> Vec<f64> {
        let (runs, cells) = (self.runs(), self.cells());
        let cell = |cell| (0..runs).map(|run| of(run * cells + cell)).sum();
        (0..cells).map(cell).collect()
    }
}
