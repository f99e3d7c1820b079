//! Samples of several runs, by cells of time, and quantiles of any weighting of them.

/// Histograms of several runs, each cut into the same cells. A column is one cell of one run;
/// columns stand run by run.
#[derive(Clone, Debug)]
pub struct Samples {
    runs: usize,
    cells: usize,
    /// Ascending.
    values: Vec<u64>,
    /// For each value a row: how many samples of each column are not above it.
    upto: Vec<u64>,
}

impl Samples {
    /// From `runs[run][cell]`, values with their counts; all runs have equally many cells.
    pub fn new(runs: &[Vec<Vec<(u64, u64)>>]) -> Self {
        let cells = runs.first().map_or(0, Vec::len);
        let columns = runs.len() * cells;
        let all = runs.iter().flatten().flatten();
        let mut values: Vec<u64> = all.map(|(value, _)| *value).collect();
        values.sort_unstable();
        values.dedup();
        let mut upto = vec![0u64; values.len() * columns];
        for (column, cell) in runs.iter().flatten().enumerate() {
            for (value, count) in cell {
                let row = values.partition_point(|known| known < value);
                let at = row * columns + column;
                upto[at] = upto[at].saturating_add(*count);
            }
        }
        for at in columns..upto.len() {
            upto[at] = upto[at].saturating_add(upto[at - columns]);
        }
        Self {
            runs: runs.len(),
            cells,
            values,
            upto,
        }
    }

    /// How many runs.
    pub fn runs(&self) -> usize {
        self.runs
    }

    /// How many cells each run has.
    pub fn cells(&self) -> usize {
        self.cells
    }

    /// The samples of each column.
    pub fn column_totals(&self) -> &[u64] {
        self.values
            .len()
            .checked_sub(1)
            .map_or(&[], |last| self.row(last))
    }

    /// All samples.
    pub fn total(&self) -> u64 {
        self.column_totals()
            .iter()
            .fold(0, |sum, n| sum.saturating_add(*n))
    }

    /// Values with their counts over all columns, ascending.
    pub fn pooled(&self) -> Vec<(u64, u64)> {
        let mut below = 0;
        let counts = self.values.iter().enumerate().map(|(row, value)| {
            let upto: u64 = self.row(row).iter().sum();
            let own = upto - below;
            below = upto;
            (*value, own)
        });
        counts.collect()
    }

    /// The least value that at least the share `p` of all samples does not exceed, each column's
    /// samples counted `weights` times; `None` without samples. As HdrHistogram counts.
    pub fn quantile(&self, p: f64, weights: &[u32]) -> Option<u64> {
        let last = self.values.len().checked_sub(1)?;
        let total = self.weighed(last, weights);
        if total == 0 {
            return None;
        }
        #[expect(clippy::cast_sign_loss, reason = "neither factor is negative")]
        let rank = ((p * total as f64).ceil() as u64).max(1);
        let (mut low, mut high) = (0, last);
        while low < high {
            let middle = usize::midpoint(low, high);
            if self.weighed(middle, weights) >= rank {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        Some(self.values[low])
    }

    /// For each column how many samples are above `value`.
    pub(super) fn above(&self, value: u64) -> Vec<u64> {
        let row = self.values.partition_point(|known| *known <= value);
        let totals = self.column_totals();
        match row.checked_sub(1) {
            None => totals.to_vec(),
            Some(row) => totals
                .iter()
                .zip(self.row(row))
                .map(|(all, upto)| all - upto)
                .collect(),
        }
    }

    fn row(&self, row: usize) -> &[u64] {
        let columns = self.runs * self.cells;
        &self.upto[row * columns..(row + 1) * columns]
    }

    fn weighed(&self, row: usize, weights: &[u32]) -> u64 {
        let counted = self.row(row).iter().zip(weights);
        counted.map(|(n, weight)| n * u64::from(*weight)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_runs() -> Samples {
        Samples::new(&[
            vec![vec![(10, 2), (30, 1)], vec![(20, 1)]],
            vec![vec![], vec![(10, 1), (40, 5)]],
        ])
    }

    #[test]
    fn a_quantile_is_the_first_value_that_covers_the_share() {
        let samples = two_runs();
        for (p, weights, value) in [
            (0.5, [1, 1, 1, 1], Some(30)),
            (0.3, [1, 1, 1, 1], Some(10)),
            (0.4, [1, 1, 1, 1], Some(20)),
            (1.0, [1, 1, 1, 1], Some(40)),
            (0.0, [1, 1, 1, 1], Some(10)),
            (0.5, [4, 0, 7, 1], Some(10)),
            (0.5, [0, 0, 7, 0], None),
        ] {
            assert_eq!(samples.quantile(p, &weights), value, "{p} {weights:?}");
        }
        assert_eq!(samples.total(), 10);
        assert_eq!(samples.pooled(), [(10, 3), (20, 1), (30, 1), (40, 5)]);
        assert_eq!(samples.above(10), [1, 1, 0, 5]);
        assert_eq!(samples.above(9), [3, 1, 0, 6]);
    }

    #[test]
    fn without_samples_there_is_no_quantile() {
        for runs in [vec![], vec![vec![]], vec![vec![vec![], vec![]]]] {
            let samples = Samples::new(&runs);
            assert_eq!(samples.quantile(0.5, &[1, 1]), None);
            assert_eq!((samples.total(), samples.pooled()), (0, vec![]));
        }
    }
}
