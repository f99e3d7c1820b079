//! `values`: fixed ones, and tables that name a value model.

use std::borrow::Cow;
use std::collections::HashSet;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::fault::Faults;
use super::json::{is_template, json, template};
use super::leaf::{Choice, Span, Word, describe};
use super::model_tables::{
    CellOf, Constant, Counter, Drift, Normal, OneOf, Round, Sine, Uniform, Walk,
};
use super::section::{Entry, FromToml, wrong_type};
use super::tree::{Kind, Spot, Table, Value};
use crate::payload::{self, ColumnKind, Grain, Model, Number, Reading, Track};

/// Values by name, in the order of the file.
#[derive(Clone, Debug)]
pub(super) struct Values(pub(super) Vec<Reading>);

impl FromToml for Values {
    fn from_toml(value: &Value, key: &str, faults: &Faults) -> Option<Self> {
        let Kind::Table(table) = &value.kind else {
            let help = "write it as { temperature = { model = \"uniform\", min = 18, max = 25 } }";
            wrong_type(value, key, "a table", help, faults);
            return None;
        };
        if table.entries.is_empty() {
            faults.add(&value.spot, format!("`{key}` is empty"), "add a value");
            return None;
        }
        let mut names = HashSet::new();
        let mut all = Some(Vec::new());
        for (name, value) in &table.entries {
            let read = readings(&name.name, value, faults);
            for reading in read.iter().flatten() {
                if !names.insert(reading.key.clone()) {
                    let title = format!("two values are sent as `{}`", reading.key);
                    let help = "rename one: a track sends `latitude` and `longitude`";
                    faults.add(&name.spot, title, help);
                }
            }
            all = all.zip(read).map(|(mut all, read)| {
                all.extend(read);
                all
            });
        }
        all.map(Self)
    }
}

/// What one entry sends: a track is two values.
fn readings(name: &str, value: &Value, faults: &Faults) -> Option<Vec<Reading>> {
    let alone = |model| vec![Reading::new(name, model)];
    match &value.kind {
        Kind::Table(table) => {
            let models = models(name, value, table, faults)?;
            let mut sound = true;
            for fault in models[0].1.faults() {
                let spot = table
                    .get(fault.key)
                    .map_or(&value.spot, |found| &found.spot);
                faults.add(spot, fault.what, fault.help);
                sound = false;
            }
            let reading = |(key, model): (String, _)| Reading::of(name, &key, model);
            sound.then(|| models.into_iter().map(reading).collect())
        }
        Kind::Text(text) if is_template(text) => {
            template(value, text, faults).map(|text| alone(Model::Text(text)))
        }
        _ => json(value, faults).map(|json| alone(Model::Constant(json))),
    }
}

type Keyed = Vec<(String, Model)>;

fn models(name: &str, value: &Value, table: &Table, faults: &Faults) -> Option<Keyed> {
    let Some(word) = table.get("model") else {
        let words: Vec<_> = ModelWord::WORDS.iter().map(|(word, _)| *word).collect();
        let title = format!("the table `{name}` has no `model`");
        let help = format!(
            "add one of {}; a fixed table is {{ model = \"constant\", value = {{ … }} }}",
            words.join(", ")
        );
        faults.add(&value.spot, title, help);
        return None;
    };
    let Choice(word) = Choice::<ModelWord>::from_toml(word, "model", faults)?;
    let at = At {
        value,
        spot: &value.spot,
        name,
        faults,
    };
    let model = match word {
        ModelWord::Constant => at.constant(),
        ModelWord::Counter => at.counter(),
        ModelWord::Uniform => at.uniform(),
        ModelWord::Normal => at.normal(),
        ModelWord::Walk => at.walk(),
        ModelWord::Sine => at.sine(),
        ModelWord::Drift => at.drift(),
        ModelWord::Choice => at.choice(),
        ModelWord::Column => at.column(),
        ModelWord::Track => {
            let (track, grain) = at.track()?;
            return Some(vec![
                ("latitude".to_owned(), Model::Latitude(track.clone(), grain)),
                ("longitude".to_owned(), Model::Longitude(track, grain)),
            ]);
        }
    };
    Some(vec![(name.to_owned(), model?)])
}

/// A table that is read as a model.
struct At<'a> {
    value: &'a Value,
    spot: &'a Spot,
    name: &'a str,
    faults: &'a Faults,
}

impl At<'_> {
    fn read<T: FromToml>(&self) -> Option<T> {
        T::from_toml(self.value, self.name, self.faults)
    }

    /// The value of a key that must be there.
    fn need<T: Clone>(&self, entry: &Entry<T>, key: &str, example: &str) -> Option<T> {
        if entry.is_absent() {
            let title = format!("`{key}` of `{}` is missing", self.name);
            self.faults.add(self.spot, title, format!("add {example}"));
        }
        entry.value().cloned()
    }

    fn grain(&self, decimals: &Entry<u32>, integer: &Entry<bool>) -> Option<Grain> {
        match (decimals, integer.or(false)?) {
            (Entry::Given(_, spot), true) => {
                let title = "a whole number has no `decimals`";
                self.faults.add(spot, title, "remove it, or `integer`");
                None
            }
            (Entry::Given(found, spot), false) => {
                if *found > 9 {
                    let title = format!("`decimals` must be from 0 to 9, found {found}");
                    self.faults
                        .add(spot, title, "without it nothing is rounded");
                    return None;
                }
                Some(Grain::Decimals(u8::try_from(*found).expect("at most 9")))
            }
            (Entry::Faulty, _) => None,
            (Entry::Absent, true) => Some(Grain::Whole),
            (Entry::Absent, false) => Some(Grain::Full),
        }
    }

    fn constant(&self) -> Option<Model> {
        let Constant { value, .. } = self.read()?;
        let Json(value) = self.need(&value, "value", "value = 21.5")?;
        Some(Model::Constant(value))
    }

    fn counter(&self) -> Option<Model> {
        let table: Counter = self.read()?;
        let wrap = match &table.wrap {
            Entry::Absent => Some(None),
            Entry::Faulty => None,
            Entry::Given(wrap, _) => Some(Some(*wrap)),
        };
        let grain = self.grain(&table.decimals, &Entry::Absent);
        Some(Model::Counter {
            start: table.start.or(Number::Whole(0))?,
            step: table.step.or(Number::Whole(1))?,
            wrap: wrap?,
            grain: grain?,
        })
    }

    fn uniform(&self) -> Option<Model> {
        let table: Uniform = self.read()?;
        let min = self.need(&table.min, "min", "min = 18");
        let max = self.need(&table.max, "max", "max = 25");
        let grain = self.grain(&table.decimals, &table.integer);
        Some(Model::Uniform {
            min: min?,
            max: max?,
            grain: grain?,
        })
    }

    fn normal(&self) -> Option<Model> {
        let table: Normal = self.read()?;
        let mean = self.need(&table.mean, "mean", "mean = 21.5");
        let sd = self.need(&table.sd, "sd", "sd = 0.5");
        let grain = self.grain(&table.decimals, &table.integer);
        Some(Model::Normal {
            mean: mean?,
            sd: sd?,
            min: optional(&table.min)?,
            max: optional(&table.max)?,
            grain: grain?,
        })
    }

    fn walk(&self) -> Option<Model> {
        let table: Walk = self.read()?;
        let start = self.need(&table.start, "start", "start = 50");
        let step = self.need(&table.step, "step", "step = 0.5");
        let min = self.need(&table.min, "min", "min = 0");
        let max = self.need(&table.max, "max", "max = 100");
        let grain = self.grain(&table.decimals, &table.integer);
        Some(Model::Walk {
            start: start?,
            step: step?,
            min: min?,
            max: max?,
            grain: grain?,
        })
    }

    fn sine(&self) -> Option<Model> {
        let table: Sine = self.read()?;
        let mean = self.need(&table.mean, "mean", "mean = 20");
        let amplitude = self.need(&table.amplitude, "amplitude", "amplitude = 5");
        let period = self.need(&table.period, "period", "period = \"10min\"");
        let grain = self.grain(&table.decimals, &table.integer);
        Some(Model::Sine {
            mean: mean?,
            amplitude: amplitude?,
            period: period?.0,
            phase: optional(&table.phase)?,
            noise: table.noise.or(0.0)?,
            grain: grain?,
        })
    }

    fn drift(&self) -> Option<Model> {
        let table: Drift = self.read()?;
        let start = self.need(&table.start, "start", "start = 100");
        let per_hour = self.need(&table.per_hour, "per_hour", "per_hour = -0.5");
        let grain = self.grain(&table.decimals, &table.integer);
        Some(Model::Drift {
            start: start?,
            per_hour: per_hour?,
            noise: table.noise.or(0.0)?,
            grain: grain?,
        })
    }

    fn choice(&self) -> Option<Model> {
        let table: OneOf = self.read()?;
        let values = self.need(&table.values, "values", "values = [\"ok\", \"warning\"]");
        let weights = match &table.weights {
            Entry::Absent => Some(None),
            Entry::Faulty => None,
            Entry::Given(weights, _) => Some(Some(weights.as_slice())),
        };
        let values = values?.into_iter().map(|Json(value)| value).collect();
        match payload::Choice::new(values, weights?) {
            Ok(choice) => Some(Model::Choice(choice)),
            Err(fault) => {
                let spots = [
                    ("weights", table.weights.given().map(|(_, spot)| spot)),
                    ("values", table.values.given().map(|(_, spot)| spot)),
                ];
                let spot = spots.iter().find(|(key, _)| *key == fault.key);
                let spot = spot.and_then(|(_, spot)| *spot).unwrap_or(self.spot);
                self.faults.add(spot, fault.what, fault.help);
                None
            }
        }
    }

    fn column(&self) -> Option<Model> {
        let table: CellOf = self.read()?;
        let column = self.need(&table.column, "column", "column = \"serial\"")?;
        Some(Model::Column {
            column: column.as_str().to_owned(),
            kind: table.kind.or(Choice(ColumnKind::Text))?.0,
        })
    }

    fn track(&self) -> Option<(Track, Grain)> {
        let table: Round = self.read()?;
        let latitude = self.need(&table.latitude, "latitude", "latitude = 52.52");
        let longitude = self.need(&table.longitude, "longitude", "longitude = 13.40");
        let radius = self.need(&table.radius, "radius", "radius = 500");
        let period = table.period.or(Span(Duration::from_mins(10)))?;
        let decimals = match &table.decimals {
            // A millionth of a degree is 11 cm.
            Entry::Absent => Some(Grain::Decimals(6)),
            given => self.grain(given, &Entry::Absent),
        };
        let track = Track {
            latitude: latitude?,
            longitude: longitude?,
            radius: radius?,
            period: period.0,
        };
        Some((track, decimals?))
    }
}

#[expect(clippy::option_option, reason = "faulty, or not there")]
fn optional(entry: &Entry<f64>) -> Option<Option<f64>> {
    match entry {
        Entry::Absent => Some(None),
        Entry::Faulty => None,
        Entry::Given(number, _) => Some(Some(*number)),
    }
}

/// The models by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ModelWord {
    Constant,
    Counter,
    Uniform,
    Normal,
    Walk,
    Sine,
    Drift,
    Choice,
    Track,
    Column,
}

impl Word for ModelWord {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("constant", Self::Constant),
        ("counter", Self::Counter),
        ("uniform", Self::Uniform),
        ("normal", Self::Normal),
        ("walk", Self::Walk),
        ("sine", Self::Sine),
        ("drift", Self::Drift),
        ("choice", Self::Choice),
        ("track", Self::Track),
        ("column", Self::Column),
    ];
}

impl Word for ColumnKind {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("string", Self::Text),
        ("number", Self::Number),
        ("boolean", Self::Boolean),
    ];
}

/// Any value that JSON has.
#[derive(Clone, Debug)]
pub(super) struct Json(pub(super) serde_json::Value);

impl FromToml for Json {
    fn from_toml(value: &Value, _: &str, faults: &Faults) -> Option<Self> {
        json(value, faults).map(Self)
    }
}

impl FromToml for Number {
    fn from_toml(value: &Value, key: &str, faults: &Faults) -> Option<Self> {
        match value.kind {
            Kind::Integer(n) => match i64::try_from(n) {
                Ok(n) => Some(Self::Whole(n)),
                Err(_) => Some(Self::Real(n as f64)),
            },
            _ => f64::from_toml(value, key, faults).map(Self::Real),
        }
    }
}

/// A moment, as milliseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Time(pub(super) i64);

impl FromToml for Time {
    fn from_toml(value: &Value, key: &str, faults: &Faults) -> Option<Self> {
        let text = match &value.kind {
            Kind::Datetime(text) | Kind::Text(text) => text.as_str(),
            _ => "",
        };
        let time = text.parse::<jiff::Timestamp>().ok();
        if time.is_none() {
            let title = format!(
                "`{key}` must be a date with time and offset, found {}",
                value.what()
            );
            faults.add(
                &value.spot,
                title,
                format!("write {key} = 2026-01-01T00:00:00Z"),
            );
        }
        time.map(|time| Self(time.as_millisecond()))
    }
}

impl JsonSchema for Values {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Values".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut any = vec![json_schema!({ "type": ["string", "number", "boolean", "array"] })];
        any.extend([
            generator.subschema_for::<Constant>(),
            generator.subschema_for::<Counter>(),
            generator.subschema_for::<Uniform>(),
            generator.subschema_for::<Normal>(),
            generator.subschema_for::<Walk>(),
            generator.subschema_for::<Sine>(),
            generator.subschema_for::<Drift>(),
            generator.subschema_for::<OneOf>(),
            generator.subschema_for::<Round>(),
            generator.subschema_for::<CellOf>(),
        ]);
        json_schema!({ "type": "object", "additionalProperties": { "anyOf": any } })
    }
}

describe! {
    Json => json_schema!(true);
    Number => json_schema!({ "type": "number" });
    Time => json_schema!({ "type": "string", "format": "date-time" });
}
