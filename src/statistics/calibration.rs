//! The claims of the statistics, held against runs that are made up: autocorrelated, heavy-tailed,
//! with and without noise between runs. By seed and value, without a clock.

use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, LogNormal, Pareto, StandardNormal};
use rand_pcg::Pcg64;

use super::*;

/// How made-up runs behave.
#[derive(Clone, Copy)]
struct World {
    cells: usize,
    per_cell: u32,
    /// Of the level from cell to cell: the share that stays, and the deviation of what comes.
    memory: f64,
    drift: f64,
    /// Deviation of the level from run to run.
    between: f64,
    runs: [usize; 2],
}

const CALM: World = World {
    cells: 48,
    per_cell: 20,
    memory: 0.0,
    drift: 0.0,
    between: 0.0,
    runs: [1, 1],
};

impl World {
    fn side(self, side: usize, shift: f64, random: &mut Pcg64) -> Samples {
        let body = LogNormal::new(0.0, 0.4).expect("legal");
        let tail = Pareto::new(2.0, 1.8).expect("legal");
        let normal = |random: &mut Pcg64| -> f64 { StandardNormal.sample(random) };
        let runs = (0..self.runs[side]).map(|_| {
            let level = self.between * normal(random) + shift.ln();
            let mut wave = 0.0;
            let cells = (0..self.cells).map(|cell| {
                wave = self.memory * wave + self.drift * normal(random);
                // The schedule itself: both sides go up and down alike.
                let schedule = 0.3 * (cell as f64 / 9.0).sin();
                let scale = 50_000.0 * (level + wave + schedule).exp();
                let mut cell: Vec<_> = (0..self.per_cell)
                    .map(|_| {
                        let heavy = random.random_bool(0.02);
                        let own = if heavy {
                            tail.sample(random)
                        } else {
                            body.sample(random)
                        };
                        #[expect(clippy::cast_sign_loss, reason = "positive")]
                        let us = (scale * own) as u64;
                        // To three digits, as histograms keep them.
                        let digits = 10u64.pow(us.max(1).ilog10().saturating_sub(2));
                        (us / digits * digits, 1)
                    })
                    .collect();
                cell.sort_unstable();
                cell
            });
            cells.collect()
        });
        Samples::new(&runs.collect::<Vec<_>>())
    }

    /// Comparisons of so many pairs of made-up sides.
    fn pairs(self, n: u64, p: f64, shift: f64) -> Vec<Contrast> {
        let pairs = (0..n).map(|seed| {
            let random = &mut Pcg64::seed_from_u64(seed);
            let (one, two) = (self.side(0, 1.0, random), self.side(1, shift, random));
            let sides = [Figure::Quantile(&one, p), Figure::Quantile(&two, p)];
            contrast(sides, Scale::LogRatio, true, 120, seed).expect("enough of everything")
        });
        pairs.collect()
    }
}

/// How many 95 % intervals hold the true effect.
fn covered(found: &[Contrast], shift: f64) -> usize {
    let holds = |c: &&Contrast| {
        let (low, high) = c.interval(0.95);
        (low..=high).contains(&shift.ln())
    };
    found.iter().filter(holds).count()
}

/// How many are found to be above a limit at the one-sided level 2.5 %.
fn above(found: &[Contrast], limit: f64) -> usize {
    let is = |c: &&Contrast| t_tail(c.above(limit), c.df) < 0.025;
    found.iter().filter(is).count()
}

const WAVES: World = World {
    memory: 0.7,
    drift: 0.05,
    ..CALM
};

#[test]
fn intervals_hold_the_true_effect_about_as_often_as_they_say() {
    for (name, world, p) in [
        ("independent samples, median", CALM, 0.5),
        ("independent samples, tail", CALM, 0.99),
        ("waves, median", WAVES, 0.5),
        ("waves, p90", WAVES, 0.9),
    ] {
        let held = covered(&world.pairs(100, p, 1.3), 1.3);
        assert!(held >= 90, "{name}: {held} of 100");
    }
}

#[test]
fn with_several_runs_the_noise_between_them_is_in_the_interval() {
    for (runs, between) in [
        ([2, 2], 0.05),
        ([3, 3], 0.0),
        ([3, 3], 0.05),
        ([5, 1], 0.05),
        ([5, 5], 0.02),
    ] {
        let world = World {
            cells: 20,
            per_cell: 6,
            runs,
            between,
            ..WAVES
        };
        let held = covered(&world.pairs(100, 0.5, 1.0), 1.0);
        assert!(held >= 90, "{runs:?}, {between}: {held} of 100");
    }
}

#[test]
fn what_is_no_change_is_seldom_found_above_none() {
    for world in [CALM, WAVES] {
        let alarms = above(&world.pairs(200, 0.9, 1.0), 0.0);
        // Of 200 at 2.5 % more than 10 are to be expected once in 80 times.
        assert!(alarms <= 10, "{alarms} of 200 at a level of 2.5 %");
    }
}

#[test]
fn a_shift_by_a_third_is_found() {
    for (world, p) in [(CALM, 0.5), (WAVES, 0.9)] {
        let found = above(&world.pairs(50, p, 1.3), 1.05f64.ln());
        assert!(found >= 48, "{found} of 50 at {p}");
    }
}

#[test]
fn one_run_each_does_not_see_how_runs_differ() {
    // Not a claim but its limit, which docs/compare.md states.
    let world = World {
        between: 0.1,
        ..CALM
    };
    let held = covered(&world.pairs(50, 0.5, 1.0), 1.0);
    assert!(held < 35, "{held}");
}
