//! TOML values as JSON: fixed ones, and ones with templates in their strings.

use schemars::json_schema;

use super::fault::Faults;
use super::leaf::describe;
use super::section::{FromToml, wrong_type};
use super::tree::{Kind, Table, Value};
use crate::inventory::Template;
use crate::payload::{ANSWER_NAMES, Model, Part, Reading, TEXT_NAMES};

/// A table as JSON, written piece by piece.
#[derive(Clone, Debug)]
pub(super) struct Object(pub(super) Vec<Part>);

impl FromToml for Object {
    fn from_toml(value: &Value, key: &str, faults: &Faults) -> Option<Self> {
        Pieces::of(value, key, &TEXT_NAMES, faults).map(Self)
    }
}

/// The same as the answer to a call, of which its strings know.
#[derive(Clone, Debug)]
pub(super) struct Answer(pub(super) Vec<Part>);

impl FromToml for Answer {
    fn from_toml(value: &Value, key: &str, faults: &Faults) -> Option<Self> {
        Pieces::of(value, key, &ANSWER_NAMES, faults).map(Self)
    }
}

struct Pieces {
    /// What its strings know besides the device.
    names: &'static [&'static str],
    raw: String,
    parts: Vec<Part>,
}

impl Pieces {
    fn of(
        value: &Value,
        key: &str,
        names: &'static [&'static str],
        faults: &Faults,
    ) -> Option<Vec<Part>> {
        let Kind::Table(table) = &value.kind else {
            let help = "write it as { temperature = 21.5 }";
            wrong_type(value, key, "a table", help, faults);
            return None;
        };
        let mut pieces = Self {
            names,
            raw: String::new(),
            parts: Vec::new(),
        };
        let sound = pieces.table(table, faults);
        pieces.flush();
        sound.then_some(pieces.parts)
    }

    fn flush(&mut self) {
        if !self.raw.is_empty() {
            self.parts.push(Part::Raw(std::mem::take(&mut self.raw)));
        }
    }

    /// `false`: something in it is faulty, and was told.
    fn table(&mut self, table: &Table, faults: &Faults) -> bool {
        let mut sound = true;
        self.raw.push('{');
        for (n, (key, value)) in table.entries.iter().enumerate() {
            if n > 0 {
                self.raw.push(',');
            }
            let key = serde_json::Value::from(key.name.as_str());
            self.raw.push_str(&key.to_string());
            self.raw.push(':');
            sound &= self.value(value, faults);
        }
        self.raw.push('}');
        sound
    }

    fn value(&mut self, value: &Value, faults: &Faults) -> bool {
        match &value.kind {
            Kind::Table(table) => self.table(table, faults),
            Kind::Array(values) => {
                let mut sound = true;
                self.raw.push('[');
                for (n, value) in values.iter().enumerate() {
                    if n > 0 {
                        self.raw.push(',');
                    }
                    sound &= self.value(value, faults);
                }
                self.raw.push(']');
                sound
            }
            Kind::Text(text) if is_template(text) => match knowing(value, text, self.names, faults)
            {
                Some(template) => {
                    self.flush();
                    let reading = Reading::new("", Model::Text(template));
                    self.parts.push(Part::Value(reading));
                    true
                }
                None => false,
            },
            _ => match json(value, faults) {
                Some(json) => {
                    self.raw.push_str(&json.to_string());
                    true
                }
                None => false,
            },
        }
    }
}

/// Whether a text has places to fill in.
pub(super) fn is_template(text: &str) -> bool {
    ["{{", "{%", "{#"].iter().any(|mark| text.contains(mark))
}

/// A text within a payload.
pub(super) fn template(value: &Value, text: &str, faults: &Faults) -> Option<Template> {
    knowing(value, text, &TEXT_NAMES, faults)
}

fn knowing(value: &Value, text: &str, names: &[&str], faults: &Faults) -> Option<Template> {
    Template::compile_knowing(text, names)
        .map_err(|e| faults.add(&value.spot, format!("this is no template: {e}"), ""))
        .ok()
}

/// A value that is the same for all.
pub(super) fn json(value: &Value, faults: &Faults) -> Option<serde_json::Value> {
    let fault = |title: &str, help: &str| {
        faults.add(&value.spot, title, help);
        None
    };
    match &value.kind {
        Kind::Text(text) if is_template(text) => fault(
            "a template has no place here",
            "templates may be strings of `payload`, or of `values` itself",
        ),
        Kind::Text(text) | Kind::Datetime(text) => Some(text.as_str().into()),
        Kind::Integer(n) => match i64::try_from(*n) {
            Ok(n) => Some(n.into()),
            Err(_) => fault(
                "a whole number of more than 64 bits",
                "write it as a string",
            ),
        },
        Kind::Float(x) if !x.is_finite() => {
            fault("JSON has no such number", "write a finite number")
        }
        Kind::Float(x) => Some((*x).into()),
        Kind::Boolean(b) => Some((*b).into()),
        Kind::Array(values) => {
            let values: Vec<_> = values.iter().map(|value| json(value, faults)).collect();
            values
                .into_iter()
                .collect::<Option<_>>()
                .map(serde_json::Value::Array)
        }
        Kind::Table(table) => {
            let entries: Vec<_> = table
                .entries
                .iter()
                .map(|(key, value)| Some((key.name.clone(), json(value, faults)?)))
                .collect();
            let map: Option<serde_json::Map<_, _>> = entries.into_iter().collect();
            map.map(serde_json::Value::Object)
        }
        Kind::Faulty => None,
    }
}

describe! {
    Object => json_schema!({ "type": "object" });
    Answer => json_schema!({ "type": "object" });
}
