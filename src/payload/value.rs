//! The values of the models, for one reading of one device.

use std::borrow::Cow;
use std::f64::consts::TAU;
use std::time::Duration;

use minijinja::Value as Given;
use rand::RngExt;
use rand::distr::Distribution;
use rand_distr::StandardNormal;
use serde::Serialize;

use super::draw::{NO_TICK, Stream};
use super::error::Unfit;
use super::model::{ColumnKind, Model};
use super::number::{Grain, Grained, Number, WIDEST};
use super::track::Track;
use super::walk::{reflected, walked};
use crate::inventory::Speaker;

/// Whose reading it is, and which.
#[derive(Clone, Copy)]
pub(super) struct Moment<'a> {
    pub(super) speaker: Speaker<'a>,
    /// The hash of its name.
    pub(super) device: u64,
    pub(super) seed: u64,
    /// The reading's number, from 0.
    pub(super) tick: u64,
    /// From the device's first reading to this one, as the interval has it.
    pub(super) seconds: f64,
    /// Milliseconds since 1970.
    pub(super) ts: i64,
    /// What it answers, if it answers a call.
    pub(super) asked: Option<&'a Asked<'a>>,
}

/// A call that a payload answers.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// What the answer goes by.
    pub id: u64,
    /// The method that is called.
    pub method: &'a str,
    /// What it is given.
    pub params: &'a serde_json::Value,
}

/// A value as it is sent.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Datum<'a> {
    Number(Grained),
    Truth(bool),
    Text(Cow<'a, str>),
    Json(&'a serde_json::Value),
    /// A number of the list.
    Cell(serde_json::Number),
}

impl From<Datum<'_>> for Given {
    fn from(datum: Datum<'_>) -> Self {
        match datum {
            Datum::Number(Grained::Whole(n)) => n.into(),
            Datum::Number(Grained::Real(x)) => x.into(),
            Datum::Truth(truth) => truth.into(),
            Datum::Text(text) => text.into_owned().into(),
            Datum::Json(value) => given(value),
            Datum::Cell(number) => given(&number.into()),
        }
    }
}

fn given(value: &serde_json::Value) -> Given {
    use serde_json::Value as Json;
    match value {
        Json::Null => ().into(),
        Json::Bool(truth) => (*truth).into(),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(n), _) => n.into(),
            (None, Some(n)) => n.into(),
            (None, None) => number.as_f64().unwrap_or(0.0).into(),
        },
        Json::String(text) => text.as_str().into(),
        Json::Array(all) => all.iter().map(given).collect::<Vec<_>>().into(),
        Json::Object(members) => Given::from_pairs(
            members
                .iter()
                .map(|(key, value)| (key.as_str(), given(value))),
        ),
    }
}

impl<'a> Moment<'a> {
    pub(super) fn stream(&self, key: u64) -> Stream {
        Stream::new(self.seed, key, self.device)
    }

    /// What texts within a payload know besides the device.
    pub(super) fn names(&self) -> Vec<(&'static str, Given)> {
        let sub = ("sub", Given::from(self.speaker.sub));
        match self.asked {
            None => vec![("tick", Given::from(self.tick)), sub],
            Some(asked) => vec![
                ("id", asked.id.into()),
                ("method", asked.method.into()),
                ("params", given(asked.params)),
                sub,
            ],
        }
    }

    fn cell(&self, column: &str) -> Result<&'a str, Unfit> {
        let Speaker { inventory, ix, .. } = self.speaker;
        let columns = inventory.columns();
        let position = columns.iter().position(|known| known == column);
        let position = position.ok_or_else(|| Unfit::NoColumn(column.to_owned()))?;
        Ok(inventory.value(ix, position))
    }

    fn turn(&self, period: Duration, phase: f64) -> f64 {
        // The whole rounds are of no interest, and would cost digits.
        (self.seconds / period.as_secs_f64() + phase).rem_euclid(1.0)
    }

    /// The device's own share of a round.
    fn phase(&self, key: u64) -> f64 {
        self.stream(key).at(NO_TICK).random()
    }

    fn noise(&self, key: u64, deviation: f64) -> f64 {
        if deviation == 0.0 {
            return 0.0;
        }
        deviation * self.normal(key)
    }

    fn normal(&self, key: u64) -> f64 {
        StandardNormal.sample(&mut self.stream(key).at(self.tick))
    }
}

impl Model {
    /// The value at a moment; `key` is the hash of the name that its draws go by.
    pub(super) fn value<'a>(&'a self, key: u64, now: &Moment<'a>) -> Result<Datum<'a>, Unfit> {
        let (grain, x) = match self {
            Self::Constant(value) => return Ok(Datum::Json(value)),
            Self::Text(template) => {
                let text = template.render_with(&now.speaker, &now.names())?;
                return Ok(Datum::Text(Cow::Owned(text)));
            }
            Self::Counter {
                start,
                step,
                wrap,
                grain,
            } => {
                return Ok(Datum::Number(counted(
                    *start, *step, *wrap, *grain, now.tick,
                )));
            }
            Self::Choice(choice) => {
                let chosen = choice.odds.sample(&mut now.stream(key).at(now.tick));
                return Ok(Datum::Json(&choice.of[chosen]));
            }
            Self::Column { column, kind } => return cell(now.cell(column)?, column, *kind),
            Self::Uniform { min, max, grain } => (*grain, uniform(*min, *max, *grain, key, now)),
            Self::Normal {
                mean,
                sd,
                min,
                max,
                grain,
            } => {
                let x = mean + now.noise(key, *sd);
                let x = x.max(min.unwrap_or(f64::NEG_INFINITY));
                (*grain, x.min(max.unwrap_or(f64::INFINITY)))
            }
            Self::Walk {
                start,
                step,
                min,
                max,
                grain,
            } => {
                let x = start + step * walked(now.stream(key), now.tick);
                (*grain, reflected(x, *min, *max))
            }
            Self::Sine {
                mean,
                amplitude,
                period,
                phase,
                noise,
                grain,
            } => {
                let phase = phase.unwrap_or_else(|| now.phase(key));
                let wave = libm::sin(TAU * now.turn(*period, phase));
                (*grain, mean + amplitude * wave + now.noise(key, *noise))
            }
            Self::Drift {
                start,
                per_hour,
                noise,
                grain,
            } => {
                let drifted = start + per_hour * now.seconds / 3600.0;
                (*grain, drifted + now.noise(key, *noise))
            }
            Self::Latitude(track, grain) => (*grain, point(track, key, now).0),
            Self::Longitude(track, grain) => (*grain, point(track, key, now).1),
        };
        Ok(Datum::Number(grain.of(x)))
    }

    /// The most characters that its value takes as JSON; `None` where that depends on the device.
    pub(super) fn widest(&self) -> Option<usize> {
        let json = |value: &serde_json::Value| value.to_string().len();
        Some(match self {
            Self::Text(_) | Self::Column { .. } => return None,
            Self::Constant(value) => json(value),
            Self::Choice(choice) => choice.of.iter().map(json).max().unwrap_or(0),
            Self::Uniform { min, max, grain }
            | Self::Walk {
                min, max, grain, ..
            }
            | Self::Normal {
                min: Some(min),
                max: Some(max),
                grain,
                ..
            } => grain.widest(*min, *max),
            Self::Latitude(_, grain) | Self::Longitude(_, grain) => grain.widest(-180.0, 180.0),
            _ => WIDEST,
        })
    }
}

fn point(track: &Track, key: u64, now: &Moment<'_>) -> (f64, f64) {
    track.point(now.turn(track.period, now.phase(key)))
}

fn uniform(min: f64, max: f64, grain: Grain, key: u64, now: &Moment<'_>) -> f64 {
    let mut random = now.stream(key).at(now.tick);
    if grain == Grain::Whole {
        // Each whole number alike, the bounds too.
        return random.random_range(min as i64..=max as i64) as f64;
    }
    let share: f64 = random.random();
    (min + (max - min) * share).clamp(min, max)
}

fn counted(start: Number, step: Number, wrap: Option<Number>, grain: Grain, tick: u64) -> Grained {
    if let (Number::Whole(start), Number::Whole(step), None | Some(Number::Whole(_))) =
        (start, step, wrap)
    {
        // 1e15 + 2^64 * 1e15 fits into 128 bits.
        let sum = i128::from(start) + i128::from(tick) * i128::from(step);
        let value = match wrap {
            Some(Number::Whole(wrap)) => sum.rem_euclid(i128::from(wrap)),
            _ => sum.clamp(i128::from(i64::MIN), i128::from(i64::MAX)),
        };
        return Grained::Whole(i64::try_from(value).expect("clamped, or less than `wrap`"));
    }
    let sum = start.real() + tick as f64 * step.real();
    let value = wrap.map_or(sum, |wrap| sum.rem_euclid(wrap.real()));
    match (grain.of(value), wrap) {
        // Rounded up to where it begins anew.
        (Grained::Real(x), Some(wrap)) if x >= wrap.real() => Grained::Real(0.0),
        (grained, _) => grained,
    }
}

fn cell<'a>(text: &'a str, column: &str, kind: ColumnKind) -> Result<Datum<'a>, Unfit> {
    let wrong = |kind| Unfit::Cell {
        column: column.to_owned(),
        kind,
    };
    match kind {
        ColumnKind::Text => Ok(Datum::Text(Cow::Borrowed(text))),
        ColumnKind::Number => {
            // No blanks, and no digits that a double would lose without a word.
            let plain = text.starts_with(|c: char| c == '-' || c.is_ascii_digit())
                && text.ends_with(|c: char| c.is_ascii_digit());
            let number: Option<serde_json::Number> = serde_json::from_str(text).ok();
            let lossy =
                |number: &serde_json::Number| number.is_f64() && !text.contains(['.', 'e', 'E']);
            let number = number.filter(|number| plain && !lossy(number));
            number.map(Datum::Cell).ok_or_else(|| wrong("number"))
        }
        ColumnKind::Boolean => match text {
            "true" => Ok(Datum::Truth(true)),
            "false" => Ok(Datum::Truth(false)),
            _ => Err(wrong("boolean")),
        },
    }
}
