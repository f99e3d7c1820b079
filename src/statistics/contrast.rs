//! Two sides of runs held against each other in one figure: the effect, and how sure it is.
//!
//! The noise is taken from what is there. Within runs: a circular block bootstrap over cells of time,
//! with the same cells on both sides, since the schedule makes both differ from cell to cell in the
//! same way. Between runs, as soon as a side has several: a bootstrap over whole runs. The greater of
//! the two counts. Never below what independent samples would have.

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use super::blocks::{Blocks, blocks, resampled};
use super::figure::Figure;
use super::student::t_quantile;

/// How two figures are related to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// By the logarithm of their ratio.
    LogRatio,
    /// By their difference.
    Difference,
}

/// What is known of the noise, as variances of the effect.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// From block to block within runs; absent where there are too few cells to tell.
    pub within: Option<f64>,
    /// From run to run; absent with one run per side.
    pub between: Option<f64>,
    /// Cells of a block.
    pub block: usize,
    /// Cells that have something.
    pub cells: usize,
}

/// An effect: the candidate's figure against the baseline's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Contrast {
    /// The figure over all runs of the baseline.
    pub baseline: f64,
    /// And of the candidate.
    pub candidate: f64,
    /// On its scale; 0 where nothing changed.
    pub effect: f64,
    /// Its standard error.
    pub error: f64,
    /// Degrees of freedom of the error.
    pub df: f64,
    /// Where the error comes from.
    pub spread: Spread,
    /// Runs of the baseline and of the candidate.
    pub runs: [usize; 2],
}

/// The candidate against the baseline; `None` where a side has nothing, or the data are too few to
/// tell how sure the figures are. `aligned` says that cells of the same number are the same part of
/// one schedule. All chance comes from `seed`.
pub fn contrast(
    sides: [Figure<'_>; 2],
    scale: Scale,
    aligned: bool,
    replicates: usize,
    seed: u64,
) -> Option<Contrast> {
    let whole = sides.map(|side| vec![1; side.runs() * side.cells()]);
    let baseline = sides[0].value(&whole[0])?;
    let candidate = sides[1].value(&whole[1])?;
    let effect = scale.effect(baseline, candidate)?;
    let draw = Draw {
        sides,
        values: [baseline, candidate],
        scale,
        replicates,
    };
    let mut random = Pcg64::seed_from_u64(seed);
    let (within, block, cells) = draw.within(aligned, &mut random);
    let between = draw.between(&mut random);
    let least: f64 = sides
        .iter()
        .filter_map(|side| side.independent(scale))
        .sum();
    let (error, df) = settle(within, between, least)?;
    Some(Contrast {
        baseline,
        candidate,
        effect,
        error,
        df,
        spread: Spread {
            within: within.map(|w| w.variance),
            between: between.map(|b| b.variance),
            block,
            cells,
        },
        runs: sides.map(|side| side.runs()),
    })
}

impl Scale {
    fn effect(self, baseline: f64, candidate: f64) -> Option<f64> {
        match self {
            Self::LogRatio => {
                (baseline > 0.0 && candidate > 0.0).then(|| (candidate / baseline).ln())
            }
            Self::Difference => Some(candidate - baseline),
        }
    }

    fn of(self, value: f64) -> Option<f64> {
        match self {
            Self::LogRatio => (value > 0.0).then(|| value.ln()),
            Self::Difference => Some(value),
        }
    }
}

#[derive(Clone, Copy)]
struct Noise {
    variance: f64,
    df: f64,
}

/// Standard error and degrees of freedom. What is estimated from few runs is as uncertain as they are
/// few; the more the noise within runs explains of it, the less that matters (Satterthwaite).
fn settle(within: Option<Noise>, between: Option<Noise>, least: f64) -> Option<(f64, f64)> {
    let inner = within.map_or(least, |w| w.variance.max(least));
    let (variance, df) = match (within, between) {
        (None, None) => return None,
        (Some(within), None) => (inner, within.df),
        (within, Some(between)) => {
            let variance = inner.max(between.variance);
            let most = within.map_or(between.df, |w| w.df.max(between.df));
            let explained = (variance / between.variance).powi(2);
            (variance, (between.df * explained).min(most))
        }
    };
    Some((variance.sqrt(), df))
}

struct Draw<'a> {
    sides: [Figure<'a>; 2],
    values: [f64; 2],
    scale: Scale,
    replicates: usize,
}

impl Draw<'_> {
    /// The variance from block to block, corrected for few blocks; with the length of blocks, and the
    /// number of cells that have something.
    fn within(&self, aligned: bool, random: &mut Pcg64) -> (Option<Noise>, usize, usize) {
        let mut taken = self.sides.map(|side| side.occupied());
        if aligned && taken[0].len() == taken[1].len() {
            let either: Vec<bool> = taken[0]
                .iter()
                .zip(&taken[1])
                .map(|(a, b)| *a || *b)
                .collect();
            taken = [either.clone(), either];
        }
        let places = taken.map(|taken| {
            let cells = taken.iter().enumerate().filter(|(_, has)| **has);
            cells.map(|(cell, _)| cell).collect::<Vec<_>>()
        });
        let together = aligned && places[0] == places[1];
        let cut = self.blocks(&places, together);
        let cells = places[0].len().min(places[1].len());
        let block = cut[0].length.max(cut[1].length);
        let count = cells as f64 / block as f64;
        if cells < CELLS_MIN || count < 2.0 {
            return (None, block, cells);
        }
        let mut effects = Vec::with_capacity(self.replicates);
        for _ in 0..self.replicates {
            let one = resampled(places[0].len(), cut[0].length, random);
            let two = if together {
                one.clone()
            } else {
                resampled(places[1].len(), cut[1].length, random)
            };
            let weights = [
                spread_out(&self.sides[0], &places[0], &one),
                spread_out(&self.sides[1], &places[1], &two),
            ];
            effects.extend(self.effect(&weights));
        }
        // Where a resample often has nothing at all, it tells nothing of what would have been.
        if effects.len() * 20 < self.replicates * 19 {
            return (None, block, cells);
        }
        let noise = Noise {
            variance: variance(&effects) * count / (count - 1.0) * cut[0].lost.max(cut[1].lost),
            df: count - 1.0,
        };
        (Some(noise), block, cells)
    }

    fn blocks(&self, places: &[Vec<usize>; 2], together: bool) -> [Blocks; 2] {
        let series = [0, 1].map(|side| {
            let all = self.sides[side].influence(self.values[side]);
            places[side]
                .iter()
                .map(|cell| all[*cell])
                .collect::<Vec<_>>()
        });
        if together {
            let paired: Vec<f64> = series[0]
                .iter()
                .zip(&series[1])
                .map(|(a, b)| b - a)
                .collect();
            [blocks(&paired); 2]
        } else {
            [blocks(&series[0]), blocks(&series[1])]
        }
    }

    fn effect(&self, weights: &[Vec<u32>; 2]) -> Option<f64> {
        let baseline = self.sides[0].value(&weights[0])?;
        let candidate = self.sides[1].value(&weights[1])?;
        self.scale.effect(baseline, candidate)
    }

    /// The variance from run to run: of one run, pooled over the sides that have several.
    fn between(&self, random: &mut Pcg64) -> Option<Noise> {
        let (mut sum, mut df) = (0.0, 0.0);
        for side in &self.sides {
            let runs = side.runs();
            if runs < 2 {
                continue;
            }
            let mut values = Vec::with_capacity(self.replicates);
            for _ in 0..self.replicates {
                let mut times = vec![0u32; runs];
                for _ in 0..runs {
                    times[random.random_range(0..runs)] += 1;
                }
                let cells = side.cells();
                let weights: Vec<u32> = times.iter().flat_map(|n| vec![*n; cells]).collect();
                values.extend(side.value(&weights).and_then(|value| self.scale.of(value)));
            }
            let n = runs as f64;
            // n · n/(n − 1) · Var*: a bootstrap of n runs shows (n − 1)/n of the variance of their mean.
            sum += (n - 1.0) * n * n / (n - 1.0) * variance(&values);
            df += n - 1.0;
        }
        let [one, two] = self.sides.map(|side| 1.0 / side.runs() as f64);
        (df > 0.0).then(|| Noise {
            variance: sum / df * (one + two),
            df,
        })
    }
}

/// Weights of all columns: each run has the same cells.
fn spread_out(side: &Figure<'_>, places: &[usize], times: &[u32]) -> Vec<u32> {
    let cells = side.cells();
    let mut weights = vec![0; side.runs() * cells];
    for run in weights.chunks_mut(cells.max(1)) {
        for (place, n) in places.iter().zip(times) {
            run[*place] = *n;
        }
    }
    weights
}

fn variance(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    if n < 2.0 {
        return 0.0;
    }
    let mean = values.iter().sum::<f64>() / n;
    values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0)
}

impl Figure<'_> {
    /// The variance that the figure would have if samples were independent of each other.
    fn independent(&self, scale: Scale) -> Option<f64> {
        match self {
            Self::Quantile(samples, p) => {
                let weights = vec![1; samples.runs() * samples.cells()];
                let n = samples.total() as f64;
                // Woodruff (1952): the quantiles one standard error of the share away.
                let step = (p * (1.0 - p) / n).sqrt();
                let at = |p: f64| {
                    let value = samples.quantile(p.clamp(0.0, 1.0), &weights)? as f64;
                    scale.of(value)
                };
                Some(((at(p + step)? - at(p - step)?) / 2.0).powi(2) + RESOLUTION)
            }
            Self::Share(parts) => {
                // Agresti and Caffo (2000): one more of each kind, so that 0 of n is not certain.
                let (of, n): (f64, f64) = (parts.of.iter().sum(), parts.whole.iter().sum());
                let share = (of + 1.0) / (n + 2.0);
                Some(share * (1.0 - share) / (n + 2.0))
            }
            Self::Rate(_) => None,
        }
    }
}

impl Contrast {
    /// The interval that covers the true effect with this confidence, such as 0.95.
    pub fn interval(&self, confidence: f64) -> (f64, f64) {
        let reach = t_quantile(f64::midpoint(confidence, 1.0), self.df) * self.error;
        (self.effect - reach, self.effect + reach)
    }

    /// By how many standard errors the effect is above a limit.
    pub fn above(&self, limit: f64) -> f64 {
        (self.effect - limit) / self.error
    }

    /// How many more runs each side needs, so that an effect of this size would be told from `limit`
    /// with a chance of 80 %, at the one-sided level `level`; `None` for more than 1,000. With one
    /// run per side the noise between runs is not known, and this is the least.
    pub fn runs_needed(&self, limit: f64, level: f64) -> Option<u32> {
        let [one, two] = self.runs.map(|n| n as f64);
        let of_a_run = self.error.powi(2) / (1.0 / one + 1.0 / two);
        let gap = (self.effect - limit).abs();
        let enough = |more: u32| {
            let k = f64::from(more);
            let df = one + two + 2.0 * k - 2.0;
            let error = (of_a_run * (1.0 / (one + k) + 1.0 / (two + k))).sqrt();
            (t_quantile(1.0 - level, df) + t_quantile(0.8, df)) * error <= gap
        };
        // More runs are never worse, so halving finds the least.
        let (mut low, mut high) = (0, RUNS_MAX);
        while enough(high) && low + 1 < high {
            let middle = u32::midpoint(low, high);
            if enough(middle) {
                high = middle;
            } else {
                low = middle;
            }
        }
        enough(high).then_some(high)
    }
}

/// As many more runs as anybody makes.
const RUNS_MAX: u32 = 1_000;

/// Fewer cells say nothing of how they vary.
const CELLS_MIN: usize = 4;

/// Values are kept to three digits: a bucket is 0.1 % wide at most, the variance of its middle
/// (0.1 %)² / 12.
const RESOLUTION: f64 = 1e-6 / 12.0;

#[cfg(test)]
mod tests {
    use super::super::figure::Parts;
    use super::super::samples::Samples;
    use super::*;

    fn flat(us: u64, cells: usize) -> Samples {
        Samples::new(&[vec![vec![(us, 10)]; cells]])
    }

    fn compare(one: &Samples, two: &Samples) -> Option<Contrast> {
        let sides = [Figure::Quantile(one, 0.5), Figure::Quantile(two, 0.5)];
        contrast(sides, Scale::LogRatio, true, 200, 1)
    }

    #[test]
    fn an_effect_is_a_ratio_and_as_sure_as_values_are_fine() {
        let found = compare(&flat(100_000, 20), &flat(120_000, 20)).expect("samples");
        assert!((found.effect - 1.2f64.ln()).abs() < 1e-12, "{found:?}");
        let (low, high) = found.interval(0.95);
        assert!(low > 1.19f64.ln() && high < 1.21f64.ln(), "{low} {high}");
    }

    #[test]
    fn the_same_seed_gives_the_same_answer() {
        let noisy = |shift: u64| {
            let cells = (0..30).map(|c| vec![(1_000 + (c * 37 + shift) % 101, 3)]);
            Samples::new(&[cells.collect()])
        };
        let (one, two) = (noisy(0), noisy(50));
        assert_eq!(compare(&one, &two), compare(&one, &two));
    }

    #[test]
    fn nothing_is_said_where_data_cannot_tell() {
        assert_eq!(compare(&flat(100, 3), &flat(100, 3)), None, "three cells");
        assert_eq!(
            compare(&flat(100, 20), &Samples::new(&[vec![vec![]; 20]])),
            None
        );
        let zero = Parts {
            runs: 1,
            cells: 8,
            of: vec![0.0; 8],
            whole: vec![1.0; 8],
        };
        let sides = [Figure::Rate(&zero), Figure::Rate(&zero)];
        assert_eq!(
            contrast(sides, Scale::LogRatio, true, 100, 1),
            None,
            "0 over 0"
        );
    }

    #[test]
    fn runs_without_cells_are_judged_by_how_runs_differ() {
        let side = |runs: &[u64]| {
            Samples::new(
                &runs
                    .iter()
                    .map(|us| vec![vec![(*us, 100)]])
                    .collect::<Vec<_>>(),
            )
        };
        let one = side(&[100, 102, 101, 99, 98]);
        let two = side(&[110, 112, 111, 109, 108]);
        let found = compare(&one, &two).expect("five runs each");
        assert!((found.df - 8.0).abs() < 1e-9, "{found:?}");
        let (low, high) = found.interval(0.95);
        assert!(low > 1.05f64.ln() && high < 1.15f64.ln(), "{low} {high}");
        assert!(
            compare(&side(&[100]), &side(&[110])).is_none(),
            "one run each"
        );
    }

    #[test]
    fn more_runs_are_needed_the_noisier_and_the_nearer_the_limit() {
        let found = Contrast {
            baseline: 1.0,
            candidate: 1.1,
            effect: 0.10,
            error: 0.04,
            df: 4.0,
            spread: Spread {
                within: None,
                between: Some(0.0016),
                block: 1,
                cells: 1,
            },
            runs: [3, 3],
        };
        let near = found.runs_needed(0.08, 0.025).expect("not too many");
        let far = found.runs_needed(0.05, 0.025).expect("few");
        let noisy = Contrast {
            error: 0.08,
            ..found
        };
        assert!(far >= 5 && near > 3 * far, "{far} {near}");
        assert!(noisy.runs_needed(0.05, 0.025) > Some(far));
        assert_eq!(found.runs_needed(0.1, 0.025), None, "at the limit itself");
    }
}
