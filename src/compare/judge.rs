//! The verdict on each metric, and on all of them together.
//!
//! A change is a regression when the whole of it, but for an accident of 2.5 % over all metrics
//! together, lies beyond what is tolerated; it is no change when its interval ends within that. What is
//! neither, the data cannot tell. `docs/compare.md` says why.

use super::comparison::{EffectRow, MetricRow, Noise, NotJudged, Unit, Verdict};
use super::measure::{Clock, Measure, Quantile, Selection};
use crate::metrics::CarriedError;
use crate::model::{Phase, fnv, mix};
use crate::statistics::{Contrast, Figure, Parts, Samples, Scale, a12, contrast, holm, t_tail};

/// What is judged, and by what.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Relative changes up to this do not matter: 0.05 for 5 %.
    pub tolerance: f64,
    /// Nor do differences of times up to so many µs.
    pub floor_us: u64,
    /// Which metrics.
    pub selection: Selection,
    /// Each cohort, too.
    pub cohorts: bool,
    /// Whether both sides follow one schedule.
    pub aligned: bool,
    /// Resamples for each interval: at 1,000 its width is known to some 2 %.
    pub replicates: usize,
}

/// Rows with and without a verdict.
#[derive(Debug, Default)]
pub(super) struct Judged {
    pub(super) rows: Vec<MetricRow>,
    pub(super) not: Vec<NotJudged>,
    pub(super) effects: Vec<EffectRow>,
}

impl Judged {
    /// Judges what both sides have of one cohort, or of all: of each side the samples of a phase, and
    /// the parts of a measure.
    pub(super) fn measure(
        &mut self,
        samples: impl Fn(usize, Phase, Clock) -> Result<Samples, CarriedError>,
        parts: impl Fn(usize, Measure) -> Parts,
        cohort: Option<&str>,
        terms: &Terms,
    ) -> Result<(), CarriedError> {
        let mut times: Option<(Phase, Clock, [Samples; 2])> = None;
        for measure in Measure::all().filter(|measure| terms.selection.has(*measure)) {
            let mut scope = Scope {
                cohort,
                terms,
                measure,
                judged: self,
            };
            match measure {
                Measure::Latency(phase, clock, quantile) => {
                    if times
                        .as_ref()
                        .is_none_or(|(p, c, _)| (*p, *c) != (phase, clock))
                    {
                        let both = [samples(0, phase, clock)?, samples(1, phase, clock)?];
                        if cohort.is_none() {
                            scope.effect(&both, phase, clock);
                        }
                        times = Some((phase, clock, both));
                    }
                    if let Some((_, _, both)) = &times {
                        scope.latency(both, quantile);
                    }
                }
                _ => scope.quotient(&[parts(0, measure), parts(1, measure)]),
            }
        }
        Ok(())
    }

    /// Draws the line between what is and what could be by accident, over all rows together.
    pub(super) fn settle(&mut self) {
        let chances =
            |of: fn(&MetricRow) -> f64| holm(&self.rows.iter().map(of).collect::<Vec<_>>());
        let (worse, better) = (chances(|row| row.p), chances(|row| row.p_better));
        for ((row, worse), better) in self.rows.iter_mut().zip(worse).zip(better) {
            if worse < LEVEL {
                row.verdict = Verdict::Regression;
            } else if better < LEVEL {
                row.verdict = Verdict::Improvement;
            }
            if row.verdict != Verdict::Inconclusive {
                row.runs_needed = None;
            }
        }
    }
}

struct Scope<'a> {
    cohort: Option<&'a str>,
    terms: &'a Terms,
    measure: Measure,
    judged: &'a mut Judged,
}

impl Scope<'_> {
    fn latency(&mut self, samples: &[Samples; 2], quantile: Quantile) {
        let totals = [samples[0].total(), samples[1].total()];
        if totals == [0, 0] {
            return;
        }
        let least = totals[0].min(totals[1]) as f64;
        if least * (1.0 - quantile.share()) < BEYOND_MIN {
            let why = format!(
                "{} and {} samples: fewer than {BEYOND_MIN} are beyond it",
                totals[0], totals[1]
            );
            return self.leave(why);
        }
        let sides = [0, 1].map(|side| Figure::Quantile(&samples[side], quantile.share()));
        self.judge(sides, Scale::LogRatio, Unit::Us);
    }

    fn effect(&mut self, samples: &[Samples; 2], phase: Phase, clock: Clock) {
        let a12 = a12(&samples[0].pooled(), &samples[1].pooled());
        self.judged.effects.extend(a12.map(|a12| EffectRow {
            phase: phase.as_str().to_owned(),
            time: clock.as_str().to_owned(),
            a12,
        }));
    }

    fn quotient(&mut self, parts: &[Parts; 2]) {
        // Nothing at all on both sides, or everything: there is nothing to tell.
        let plain = |parts: &Parts| {
            let sum = |amounts: &[f64]| amounts.iter().sum::<f64>();
            let (of, whole) = (sum(&parts.of), sum(&parts.whole));
            (of == 0.0, of >= whole && self.is_share())
        };
        let [one, two] = [plain(&parts[0]), plain(&parts[1])];
        if one == two && one != (false, false) {
            return;
        }
        if self.is_share() {
            self.judge(
                [0, 1].map(|s| Figure::Share(&parts[s])),
                Scale::Difference,
                Unit::Share,
            );
        } else {
            self.judge(
                [0, 1].map(|s| Figure::Rate(&parts[s])),
                Scale::LogRatio,
                Unit::PerS,
            );
        }
    }

    fn is_share(&self) -> bool {
        !matches!(self.measure, Measure::DeviceRate | Measure::MessageRate)
    }

    fn judge(&mut self, sides: [Figure<'_>; 2], scale: Scale, unit: Unit) {
        let seed = mix(fnv(&self.measure.name()) ^ fnv(self.cohort.unwrap_or_default()));
        match contrast(
            sides,
            scale,
            self.terms.aligned,
            self.terms.replicates,
            seed,
        ) {
            Some(found) => {
                let row = self.row(&found, unit);
                self.judged.rows.push(row);
            }
            None => self.leave("too few intervals, and one run per side".to_owned()),
        }
    }

    fn row(&self, found: &Contrast, unit: Unit) -> MetricRow {
        let sign = if self.measure.less_is_worse() {
            -1.0
        } else {
            1.0
        };
        let limit = self.limit(found, unit);
        let worse = Contrast {
            effect: sign * found.effect,
            ..*found
        };
        let (low, high) = found.interval(CONFIDENCE);
        let within = worse.interval(CONFIDENCE).1 <= limit;
        let shown = |effect: f64| match unit {
            Unit::Share => effect,
            Unit::Us | Unit::PerS => effect.exp_m1(),
        };
        MetricRow {
            metric: self.measure.name(),
            cohort: self.cohort.map(str::to_owned),
            unit,
            baseline: found.baseline,
            candidate: found.candidate,
            change: shown(found.effect),
            change_low: shown(low),
            change_high: shown(high),
            limit: shown(sign * limit),
            verdict: if within {
                Verdict::NoChange
            } else {
                Verdict::Inconclusive
            },
            p: t_tail(worse.above(limit), found.df),
            p_better: t_tail(-worse.above(-limit), found.df),
            runs_needed: worse.runs_needed(limit, LEVEL),
            noise: Noise {
                error: found.error,
                df: found.df,
                within: found.spread.within.map(f64::sqrt),
                between: found.spread.between.map(f64::sqrt),
                cells: found.spread.cells,
                block: found.spread.block,
            },
        }
    }

    /// What is tolerated, on the scale of the effect.
    fn limit(&self, found: &Contrast, unit: Unit) -> f64 {
        let tolerance = self.terms.tolerance;
        match unit {
            Unit::Us => tolerance
                .max(self.terms.floor_us as f64 / found.baseline)
                .ln_1p(),
            Unit::PerS => -(-tolerance).ln_1p(),
            // Of the smaller part: 99 % against 98 % is twice as many that failed.
            Unit::Share => {
                let part = found.baseline.min(1.0 - found.baseline);
                (tolerance * part).max(SHARE_FLOOR)
            }
        }
    }

    fn leave(&mut self, why: String) {
        self.judged.not.push(NotJudged {
            metric: self.measure.name(),
            cohort: self.cohort.map(str::to_owned),
            why,
        });
    }
}

/// Of the interval of each metric.
pub(super) const CONFIDENCE: f64 = 0.95;

/// The one-sided level of each verdict, which is what an interval of that confidence leaves.
const LEVEL: f64 = 0.025;

/// Differences of shares up to this do not matter.
pub(super) const SHARE_FLOOR: f64 = 0.01;

/// A quantile is known from the samples beyond it.
const BEYOND_MIN: f64 = 10.0;
