//! The forms that a payload is given in: JSON with places in it, values by name, a template, a
//! preset.

use minijinja::Value as Given;

use super::error::Unfit;
use super::model::Model;
use super::preset::Preset;
use super::value::Moment;
use crate::inventory::Template;
use crate::model::fnv;

/// How readings come about.
#[derive(Clone, Debug)]
pub enum Form {
    /// JSON, written piece by piece.
    Parts(Vec<Part>),
    /// A text that must come out as JSON, and the values that it may name.
    Template(Template, Vec<Reading>),
    /// A payload of ThingsBoard's performance tests.
    Preset(Preset),
}

/// A piece of JSON.
#[derive(Clone, Debug)]
pub enum Part {
    /// As it stands.
    Raw(String),
    /// The value of a model.
    Value(Reading),
}

/// A value by name.
#[derive(Clone, Debug)]
pub struct Reading {
    /// What it is sent as.
    pub key: String,
    /// The hash of the name that its draws go by.
    source: u64,
    model: Model,
}

impl Reading {
    /// A value of its own.
    pub fn new(key: &str, model: Model) -> Self {
        Self::of(key, key, model)
    }

    /// A value that shares its draws with others of the same source.
    pub fn of(source: &str, key: &str, model: Model) -> Self {
        Self {
            key: key.to_owned(),
            source: fnv(source),
            model,
        }
    }
}

impl Form {
    /// An object of values, in their order.
    pub fn values(readings: Vec<Reading>) -> Self {
        let mut parts = Vec::with_capacity(readings.len() * 2 + 1);
        let mut before = "{".to_owned();
        for reading in readings {
            before.push_str(&serde_json::Value::from(reading.key.as_str()).to_string());
            before.push(':');
            parts.push(Part::Raw(std::mem::take(&mut before)));
            parts.push(Part::Value(reading));
            before.push(',');
        }
        if before != "{" {
            before.clear();
        }
        before.push('}');
        parts.push(Part::Raw(before));
        Self::Parts(parts)
    }

    /// The columns of the list that it needs; with repetitions.
    pub(super) fn columns(&self) -> Vec<String> {
        let of_models = self.models().flat_map(Model::columns);
        match self {
            Self::Template(template, _) => {
                template.columns().into_iter().chain(of_models).collect()
            }
            _ => of_models.collect(),
        }
    }

    pub(super) fn models(&self) -> Box<dyn Iterator<Item = &Model> + '_> {
        match self {
            Self::Parts(parts) => Box::new(parts.iter().filter_map(|part| match part {
                Part::Raw(_) => None,
                Part::Value(reading) => Some(&reading.model),
            })),
            Self::Template(_, readings) => Box::new(readings.iter().map(|reading| &reading.model)),
            Self::Preset(_) => Box::new(std::iter::empty()),
        }
    }

    /// The JSON, if it is the same for all.
    pub(super) fn fixed(&self) -> Option<String> {
        let Self::Parts(parts) = self else {
            return None;
        };
        parts
            .iter()
            .map(|part| match part {
                Part::Raw(text) => Some(text.clone()),
                Part::Value(reading) => match &reading.model {
                    Model::Constant(value) => Some(value.to_string()),
                    _ => None,
                },
            })
            .collect()
    }

    /// Writes one reading.
    pub(super) fn write(&self, now: &Moment<'_>, out: &mut String) -> Result<(), Unfit> {
        match self {
            Self::Parts(parts) => {
                for part in parts {
                    match part {
                        Part::Raw(text) => out.push_str(text),
                        Part::Value(reading) => {
                            let value = reading.model.value(reading.source, now)?;
                            out.push_str(
                                &serde_json::to_string(&value).expect("plain values serialise"),
                            );
                        }
                    }
                }
            }
            Self::Template(template, readings) => {
                let mut values = Vec::with_capacity(readings.len());
                for reading in readings {
                    let value = reading.model.value(reading.source, now)?;
                    values.push((reading.key.as_str(), Given::from(value)));
                }
                let mut names = now.names();
                names.push(("ts", Given::from(now.ts)));
                names.push(("values", Given::from_pairs(values)));
                let text = template.render_with(&now.speaker, &names)?;
                out.push_str(text.trim());
            }
            Self::Preset(preset) => preset.write(now, out),
        }
        Ok(())
    }

    /// The most bytes of a reading; `None` where that depends on the device.
    pub(super) fn widest(&self) -> Option<usize> {
        match self {
            Self::Parts(parts) => parts
                .iter()
                .map(|part| match part {
                    Part::Raw(text) => Some(text.len()),
                    Part::Value(reading) => reading.model.widest(),
                })
                .sum(),
            Self::Template(..) => None,
            Self::Preset(preset) => Some(preset.widest()),
        }
    }
}
