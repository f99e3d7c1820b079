//! The values that sections consist of: each reads itself and describes itself to the schema.

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::fault::Faults;
use super::section::{Entry, FromToml, Reader, wrong_type};
use super::tree::{Kind, Spot, Table, Value};
use crate::inventory::nearest;

/// A string. What came from the environment or a file is not shown.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Text {
    text: String,
    expanded: bool,
}

impl Text {
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// For messages.
    pub(super) fn shown(&self) -> String {
        if self.expanded {
            return "what the reference gives".to_owned();
        }
        let mut short: String = self.text.chars().take(SHOWN).collect();
        if short.len() < self.text.len() {
            short.push('…');
        }
        format!("{short:?}")
    }
}

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // It may be a secret.
        f.write_str("Text(..)")
    }
}

impl FromToml for Text {
    fn from_toml(value: &Value, key: &str, faults: &Faults) -> Option<Self> {
        let Kind::Text(text) = &value.kind else {
            wrong_type(value, key, "a string", "put it in quotes", faults);
            return None;
        };
        Some(Self {
            text: text.clone(),
            expanded: value.expanded,
        })
    }
}

impl FromToml for bool {
    fn from_toml(value: &Value, key: &str, faults: &Faults) -> Option<Self> {
        let Kind::Boolean(boolean) = value.kind else {
            wrong_type(
                value,
                key,
                "true or false",
                "write it without quotes",
                faults,
            );
            return None;
        };
        Some(boolean)
    }
}

impl FromToml for f64 {
    fn from_toml(value: &Value, key: &str, faults: &Faults) -> Option<Self> {
        let number = match value.kind {
            Kind::Float(x) => x,
            Kind::Integer(n) => n as f64,
            _ => {
                wrong_type(value, key, "a number", "write it without quotes", faults);
                return None;
            }
        };
        if !number.is_finite() {
            faults.add(&value.spot, format!("`{key}` must be a finite number"), "");
            return None;
        }
        Some(number)
    }
}

/// A whole number within limits.
fn whole<T: TryFrom<i128>>(value: &Value, key: &str, range: &str, faults: &Faults) -> Option<T> {
    let Kind::Integer(n) = value.kind else {
        wrong_type(
            value,
            key,
            "a whole number",
            "write it without quotes and without a point",
            faults,
        );
        return None;
    };
    let number = T::try_from(n).ok();
    if number.is_none() {
        faults.add(
            &value.spot,
            format!("`{key}` must be {range}, found {n}"),
            "",
        );
    }
    number
}

impl FromToml for u32 {
    fn from_toml(value: &Value, key: &str, faults: &Faults) -> Option<Self> {
        whole(value, key, "from 0 to 4294967295", faults)
    }
}

impl FromToml for u64 {
    fn from_toml(value: &Value, key: &str, faults: &Faults) -> Option<Self> {
        whole(value, key, "from 0 to 18446744073709551615", faults)
    }
}

impl<T: FromToml> FromToml for Vec<T> {
    fn from_toml(value: &Value, key: &str, faults: &Faults) -> Option<Self> {
        let Kind::Array(values) = &value.kind else {
            let help = match value.kind {
                Kind::Table(_) if key == "cohort" => "write [[cohort]], once for each",
                _ => "put it in square brackets",
            };
            wrong_type(value, key, "an array", help, faults);
            return None;
        };
        // All elements are read, so that the faults of all are found.
        let read: Vec<_> = values
            .iter()
            .map(|value| T::from_toml(value, key, faults))
            .collect();
        read.into_iter().collect()
    }
}

/// An element of an array with its own place.
#[derive(Debug)]
pub(super) struct Placed<T>(pub(super) T, pub(super) Spot);

impl<T: FromToml> FromToml for Placed<T> {
    fn from_toml(value: &Value, key: &str, faults: &Faults) -> Option<Self> {
        T::from_toml(value, key, faults).map(|read| Self(read, value.spot.clone()))
    }
}

/// A length of time: a number and a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span(pub(super) Duration);

impl FromToml for Span {
    fn from_toml(value: &Value, key: &str, faults: &Faults) -> Option<Self> {
        let fault = |found: &str, help: &str| {
            let title = format!("`{key}` must be a length of time such as \"5s\", found {found}");
            faults.add(&value.spot, title, help);
            None
        };
        match &value.kind {
            Kind::Text(text) => match humantime::parse_duration(text) {
                Ok(span) if span <= YEAR => Some(Self(span)),
                Ok(_) => fault(
                    "more than a year",
                    "write a number and its unit: 500ms, 10s, 5min, 2h",
                ),
                Err(_) => {
                    let text = Text {
                        text: text.clone(),
                        expanded: value.expanded,
                    };
                    fault(
                        &text.shown(),
                        "write a number and its unit: 500ms, 10s, 5min, 2h",
                    )
                }
            },
            Kind::Integer(n) => fault(value.what(), &format!("write the unit: \"{n}s\"")),
            _ => fault(
                value.what(),
                "write a number and its unit: \"500ms\", \"10s\", \"5min\", \"2h\"",
            ),
        }
    }
}

/// A word out of a few.
pub(super) trait Word: Copy + 'static {
    /// The words, and what each means.
    const WORDS: &'static [(&'static str, Self)];
    /// Words that a later version knows, and what is missing for them.
    const LATER: &'static [(&'static str, &'static str)] = &[];
}

/// One of the words of `W`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Choice<W>(pub(super) W);

impl<W: Word> FromToml for Choice<W> {
    fn from_toml(value: &Value, key: &str, faults: &Faults) -> Option<Self> {
        let words = || W::WORDS.iter().map(|(word, _)| *word);
        let all = words().collect::<Vec<_>>().join(", ");
        let Kind::Text(text) = &value.kind else {
            wrong_type(
                value,
                key,
                "a string",
                &format!("write one of {all}, in quotes"),
                faults,
            );
            return None;
        };
        if let Some((_, meaning)) = W::WORDS.iter().find(|(word, _)| word == text) {
            return Some(Self(*meaning));
        }
        if let Some((word, missing)) = W::LATER.iter().find(|(word, _)| word == text) {
            let title = format!("`{key} = \"{word}\"` is not available in this version: {missing}");
            faults.add(&value.spot, title, format!("use one of {all}"));
            return None;
        }
        let shown = Text {
            text: text.clone(),
            expanded: value.expanded,
        }
        .shown();
        let title = format!("`{key}` must be one of {all}, found {shown}");
        let near = nearest(text, words()).filter(|_| !value.expanded);
        let help = near.map_or_else(String::new, |near| format!("the nearest is \"{near}\""));
        faults.add(&value.spot, title, help);
        None
    }
}

/// Metrics and the conditions on them, with the place of each.
#[derive(Debug)]
pub(super) struct Conditions(pub(super) Vec<Condition>);

/// One entry of `[thresholds]`.
#[derive(Debug)]
pub(super) struct Condition {
    pub(super) metric: String,
    pub(super) holds: Entry<Text>,
    pub(super) abort: Entry<bool>,
    pub(super) after: Entry<Span>,
    pub(super) spot: Spot,
}

impl FromToml for Conditions {
    fn from_toml(value: &Value, key: &str, faults: &Faults) -> Option<Self> {
        let Kind::Table(table) = &value.kind else {
            wrong_type(value, key, "a table", "write it as [thresholds]", faults);
            return None;
        };
        let mut all = Vec::new();
        gather("", table, &mut all, faults);
        Some(Self(all))
    }
}

/// A metric's dots need no quotes: `a.b = "…"` is the metric `a.b`, too.
fn gather(prefix: &str, table: &Table, all: &mut Vec<Condition>, faults: &Faults) {
    for (key, value) in &table.entries {
        let metric = format!("{prefix}{}", key.name);
        let spot = key.spot.to(&value.spot);
        match &value.kind {
            Kind::Faulty => {}
            Kind::Table(inner) if is_condition(inner) => {
                let reader = Reader::new(inner, "the threshold", &CONDITION_KEYS, faults);
                all.push(Condition {
                    metric,
                    holds: reader.entry("condition"),
                    abort: reader.entry("abort"),
                    after: reader.entry("after"),
                    spot,
                });
            }
            Kind::Table(inner) => gather(&format!("{metric}."), inner, all, faults),
            _ => {
                if let Some(text) = Text::from_toml(value, &metric, faults) {
                    all.push(Condition {
                        metric,
                        holds: Entry::Given(text, value.spot.clone()),
                        abort: Entry::Absent,
                        after: Entry::Absent,
                        spot,
                    });
                }
            }
        }
    }
}

/// Whether it is a condition with what goes with it. A cohort may be called `abort`: what stands
/// under its name is a table again.
fn is_condition(table: &Table) -> bool {
    let plain = |value: &Value| !matches!(value.kind, Kind::Table(_));
    CONDITION_KEYS
        .iter()
        .any(|key| table.get(key).is_some_and(plain))
}

const CONDITION_KEYS: [&str; 3] = ["condition", "abort", "after"];

/// Schemas of leaves, each inline.
macro_rules! describe {
    ($($type:ty => $schema:expr;)*) => {$(
        impl schemars::JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                $schema
            }
        }
    )*};
}

describe! {
    Text => json_schema!({ "type": "string" });
    Span => json_schema!({ "type": "string", "examples": ["500ms", "10s", "5min"] });
    Conditions => json_schema!({
        "type": "object",
        "additionalProperties": { "type": ["string", "object"] },
    });
}

pub(super) use describe;

impl<W: Word> JsonSchema for Choice<W> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Choice".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let words: Vec<_> = W::WORDS.iter().map(|(word, _)| *word).collect();
        json_schema!({ "enum": words })
    }
}

impl<T: JsonSchema> JsonSchema for Placed<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// The longest that anything may take: sums of stages stay far from overflow.
const YEAR: Duration = Duration::from_hours(366 * 24);

const SHOWN: usize = 60;
