//! Where a series changes its level: E-divisive.

use rand::SeedableRng;
use rand::seq::SliceRandom as _;
use rand_pcg::Pcg64;

/// The places at which a series changes, each the index of the first value of what is new, ascending.
///
/// Energy statistics (Matteson and James, 2014), as Hunter uses them: of all ways to cut a stretch in
/// two, the one that divides the values best; it counts when fewer than `level` of 199 shuffles of the
/// stretch divide as well. Then each part is looked at again. All chance comes from `seed`.
pub fn change_points(series: &[f64], level: f64, seed: u64) -> Vec<usize> {
    let mut random = Pcg64::seed_from_u64(seed);
    let mut found = Vec::new();
    let mut open = vec![(0, series.len())];
    while let Some((from, to)) = open.pop() {
        let stretch = &series[from..to];
        let Some((cut, score)) = best_cut(stretch) else {
            continue;
        };
        let mut shuffled = stretch.to_vec();
        let mut as_good = 0;
        for _ in 0..SHUFFLES {
            shuffled.shuffle(&mut random);
            as_good += u32::from(best_cut(&shuffled).is_some_and(|(_, other)| other >= score));
        }
        if f64::from(as_good + 1) / f64::from(SHUFFLES + 1) < level {
            found.push(from + cut);
            open.extend([(from, from + cut), (from + cut, to)]);
        }
    }
    found.sort_unstable();
    found
}

/// The cut with the greatest energy distance between both parts, weighted by their sizes; `None` where
/// both parts cannot have [`PART_MIN`] values, or all are the same.
fn best_cut(stretch: &[f64]) -> Option<(usize, f64)> {
    let n = stretch.len();
    if n < 2 * PART_MIN {
        return None;
    }
    let distance = |a: usize, b: usize| (stretch[a] - stretch[b]).abs();
    // Sums of distances within the first part, within the second, and between them, as the cut moves.
    let (mut first, mut between) = (0.0, 0.0);
    let mut second: f64 = (0..n)
        .map(|a| (0..a).map(|b| distance(a, b)).sum::<f64>())
        .sum();
    let mut best: Option<(usize, f64)> = None;
    for cut in 1..=n - PART_MIN {
        let moved = cut - 1;
        let to_first: f64 = (0..moved).map(|other| distance(moved, other)).sum();
        let to_second: f64 = (cut..n).map(|other| distance(moved, other)).sum();
        first += to_first;
        second -= to_second;
        between += to_second - to_first;
        if cut < PART_MIN {
            continue;
        }
        let (m, k) = (cut as f64, (n - cut) as f64);
        let pairs = |n: f64| n * (n - 1.0) / 2.0;
        let energy = 2.0 * between / (m * k) - first / pairs(m) - second / pairs(k);
        let score = m * k / (m + k) * energy;
        if score > 0.0 && best.is_none_or(|(_, other)| score > other) {
            best = Some((cut, score));
        }
    }
    best
}

/// A level is known from so many values.
const PART_MIN: usize = 4;

const SHUFFLES: u32 = 199;

#[cfg(test)]
mod tests {
    use rand_distr::{Distribution, StandardNormal};

    use super::*;

    fn noisy(levels: &[(usize, f64)], seed: u64) -> Vec<f64> {
        let mut random = Pcg64::seed_from_u64(seed);
        let values = levels
            .iter()
            .flat_map(|(n, level)| std::iter::repeat_n(*level, *n));
        let values = values.map(|level| {
            let noise: f64 = StandardNormal.sample(&mut random);
            level + 0.02 * noise
        });
        values.collect()
    }

    #[test]
    fn known_changes_are_found_where_they_are() {
        let series = noisy(&[(20, 1.0), (15, 1.2), (25, 1.05)], 1);
        let found = change_points(&series, 0.01, 1);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(
            found[0].abs_diff(20) <= 1 && found[1].abs_diff(35) <= 1,
            "{found:?}"
        );
    }

    #[test]
    fn in_noise_there_is_seldom_any() {
        let any = (0..50)
            .filter(|seed| !change_points(&noisy(&[(30, 1.0)], *seed), 0.01, *seed).is_empty());
        let any = any.count();
        assert!(any <= 2, "{any} of 50");
    }

    #[test]
    fn few_or_equal_values_have_no_change() {
        assert!(change_points(&[], 0.01, 1).is_empty());
        assert!(change_points(&[1.0, 2.0, 1.0, 9.0, 9.0, 9.0, 9.0], 0.01, 1).is_empty());
        assert!(change_points(&[3.0; 40], 0.01, 1).is_empty());
    }
}
