//! The value models, and what a model must not be. Their values are worked out in `value`.

use std::time::Duration;

use rand::distr::weighted::WeightedIndex;
use serde_json::Value;

use super::error::ModelFault;
use super::number::{Grain, Number};
use super::track::Track;
use crate::inventory::Template;

/// How a value comes about. `t` below is the reading's number, from 0, and `s` the seconds since
/// the device's first reading as its interval has them.
#[derive(Clone, Debug)]
pub enum Model {
    /// The same always.
    Constant(Value),
    /// A text with places for the device's own values.
    Text(Template),
    /// start + t · step; with `wrap`, the remainder by it: 0 ≤ value < wrap.
    Counter {
        /// The first value.
        start: Number,
        /// What is added each time.
        step: Number,
        /// Where it goes back to 0, as a register that is full.
        wrap: Option<Number>,
        /// Rounds it, unless all is whole.
        grain: Grain,
    },
    /// Any value from min to max alike.
    Uniform {
        /// The least value.
        min: f64,
        /// The greatest value.
        max: f64,
        /// How fine it is.
        grain: Grain,
    },
    /// Normally distributed; what lies beyond a bound is that bound.
    Normal {
        /// The mean.
        mean: f64,
        /// The standard deviation, at least 0.
        sd: f64,
        /// The least value.
        min: Option<f64>,
        /// The greatest value.
        max: Option<f64>,
        /// How fine it is.
        grain: Grain,
    },
    /// start, then a normal step each time, turning back at the bounds.
    Walk {
        /// The first value.
        start: f64,
        /// The standard deviation of a step, at least 0.
        step: f64,
        /// The least value.
        min: f64,
        /// The greatest value.
        max: f64,
        /// How fine it is.
        grain: Grain,
    },
    /// mean + amplitude · sin(2π · (s / period + phase)) + noise.
    Sine {
        /// The middle.
        mean: f64,
        /// From the middle to the top, at least 0.
        amplitude: f64,
        /// For one round.
        period: Duration,
        /// The share of a round at the first reading, 0 to 1; `None`: each device has its own.
        phase: Option<f64>,
        /// Standard deviation of what is added, at least 0.
        noise: f64,
        /// How fine it is.
        grain: Grain,
    },
    /// start + per_hour · s / 3600 + noise.
    Drift {
        /// The first value, without noise.
        start: f64,
        /// What an hour adds.
        per_hour: f64,
        /// Standard deviation of what is added, at least 0.
        noise: f64,
        /// How fine it is.
        grain: Grain,
    },
    /// One of a few.
    Choice(Choice),
    /// The latitude of a point that goes round.
    Latitude(Track, Grain),
    /// The longitude of the same point, if its reading has the same source.
    Longitude(Track, Grain),
    /// The cell of a column of the list.
    Column {
        /// The column's header.
        column: String,
        /// What the cell is taken for.
        kind: ColumnKind,
    },
}

/// What a cell is taken for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColumnKind {
    /// A text, as it stands.
    #[default]
    Text,
    /// A number, written as JSON writes it.
    Number,
    /// `true` or `false`.
    Boolean,
}

/// Values, and how often each comes.
#[derive(Clone, Debug)]
pub struct Choice {
    pub(super) of: Vec<Value>,
    pub(super) odds: WeightedIndex<f64>,
}

impl Choice {
    /// Without weights, all come alike. A weight is a number of at least 0; they need no sum of 1.
    pub fn new(of: Vec<Value>, weights: Option<&[f64]>) -> Result<Self, ModelFault> {
        if of.is_empty() {
            let help = "add at least one, as values = [\"ok\", \"warning\"]";
            return Err(ModelFault::new("values", "`values` is empty", help));
        }
        let alike = vec![1.0; of.len()];
        let weights = weights.unwrap_or(&alike);
        let fault =
            |what: String| ModelFault::new("weights", what, "give one weight for each value");
        if weights.len() != of.len() {
            let what = format!("{} weights for {} values", weights.len(), of.len());
            return Err(fault(what));
        }
        if let Some(odd) = weights.iter().find(|w| !(0.0..=MOST).contains(*w)) {
            let what = format!("a weight must be from 0 to 1e15, found {odd}");
            return Err(fault(what));
        }
        let odds = WeightedIndex::new(weights.iter().copied())
            .map_err(|_| fault("no weight is above 0".to_owned()))?;
        Ok(Self { of, odds })
    }
}

impl Model {
    /// Everything that is wrong with it; empty: its values are what it says.
    pub fn faults(&self) -> Vec<ModelFault> {
        let mut faults = Vec::new();
        let all = &mut faults;
        match self {
            Self::Constant(_) | Self::Text(_) | Self::Choice(_) | Self::Column { .. } => {}
            Self::Counter {
                start, step, wrap, ..
            } => count(start.real(), step.real(), wrap.map(Number::real), all),
            Self::Uniform { min, max, grain } => range(*min, *max, *grain, all),
            Self::Normal {
                mean,
                sd,
                min,
                max,
                grain,
            } => {
                sized(&[("mean", *mean)], all);
                spread("sd", *sd, all);
                bounds(*min, *max, *grain, all);
            }
            Self::Walk {
                start,
                step,
                min,
                max,
                grain,
            } => {
                spread("step", *step, all);
                range(*min, *max, *grain, all);
                if min <= max && !(*min..=*max).contains(start) {
                    let what = format!("`start` must be from {min} to {max}, found {start}");
                    all.push(ModelFault::new("start", what, ""));
                }
            }
            Self::Sine {
                mean,
                amplitude,
                period,
                phase,
                noise,
                ..
            } => {
                sized(&[("mean", *mean)], all);
                spread("amplitude", *amplitude, all);
                spread("noise", *noise, all);
                judge_period(*period, all);
                if let Some(phase) = phase.filter(|phase| !(0.0..=1.0).contains(phase)) {
                    let what = format!("`phase` must be a share from 0 to 1, found {phase}");
                    let help = "0.25 begins at the top; without it each device has its own";
                    all.push(ModelFault::new("phase", what, help));
                }
            }
            Self::Drift {
                start,
                per_hour,
                noise,
                ..
            } => {
                sized(&[("start", *start), ("per_hour", *per_hour)], all);
                spread("noise", *noise, all);
            }
            Self::Latitude(track, _) | Self::Longitude(track, _) => track.faults(all),
        }
        faults
    }

    /// The columns of the list that it needs.
    pub(super) fn columns(&self) -> Vec<String> {
        match self {
            Self::Text(template) => template.columns(),
            Self::Column { column, .. } => vec![column.clone()],
            _ => Vec::new(),
        }
    }
}

pub(super) fn judge_period(period: Duration, faults: &mut Vec<ModelFault>) {
    if period < SHORTEST {
        let what = "`period` must be at least 1ms";
        faults.push(ModelFault::new(
            "period",
            what,
            "it is the length of one round",
        ));
    }
}

fn count(start: f64, step: f64, wrap: Option<f64>, faults: &mut Vec<ModelFault>) {
    sized(&[("start", start), ("step", step)], faults);
    let Some(wrap) = wrap else { return };
    sized(&[("wrap", wrap)], faults);
    if !(0.0..wrap).contains(&start) {
        let what = format!(
            "`wrap` must be more than `start`, and `start` at least 0, found {start} and {wrap}"
        );
        faults.push(ModelFault::new("wrap", what, WRAP));
    }
}

/// Numbers that no arithmetic of a model brings to overflow.
fn sized(numbers: &[(&'static str, f64)], faults: &mut Vec<ModelFault>) {
    for (key, found) in numbers {
        if !(-MOST..=MOST).contains(found) {
            let what = format!("`{key}` must be a number from -1e15 to 1e15, found {found:e}");
            faults.push(ModelFault::new(key, what, ""));
        }
    }
}

/// Deviations and amplitudes.
fn spread(key: &'static str, found: f64, faults: &mut Vec<ModelFault>) {
    if !(0.0..=MOST).contains(&found) {
        let what = format!("`{key}` must be from 0 to 1e15, found {found}");
        faults.push(ModelFault::new(
            key,
            what,
            "it says how far values lie apart",
        ));
    }
}

fn range(min: f64, max: f64, grain: Grain, faults: &mut Vec<ModelFault>) {
    bounds(Some(min), Some(max), grain, faults);
}

fn bounds(min: Option<f64>, max: Option<f64>, grain: Grain, faults: &mut Vec<ModelFault>) {
    for (key, bound) in [("min", min), ("max", max)] {
        let Some(bound) = bound else { continue };
        sized(&[(key, bound)], faults);
        grain.judge(key, bound, faults);
    }
    if let (Some(min), Some(max)) = (min, max)
        && min > max
    {
        let what = format!("`min` must not be more than `max`, found {min} and {max}");
        faults.push(ModelFault::new("min", what, "swap them"));
    }
}

/// The greatest number of a model: whole ones up to here are exact, with room for sums.
pub(super) const MOST: f64 = 1e15;

const SHORTEST: Duration = Duration::from_millis(1);

const WRAP: &str = "it is the first value that the counter does not reach: 65536 for 16 bits";
