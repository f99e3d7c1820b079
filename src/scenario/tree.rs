//! TOML as it was typed: values with the place of each, wherever it was typed.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A place in one of the texts that make up a scenario: the file (0) or an override.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) text: usize,
    pub(super) range: Range<usize>,
}

impl Spot {
    /// From here to the end of another place in the same text.
    pub(super) fn to(&self, end: &Self) -> Self {
        if self.text != end.text || end.range.end < self.range.start {
            return end.clone();
        }
        Self {
            text: self.text,
            range: self.range.start..end.range.end,
        }
    }
}

/// A value and its place.
#[derive(Debug)]
pub(super) struct Value {
    pub(super) spot: Spot,
    pub(super) kind: Kind,
    /// Whether something from the environment or a file was put in: then it is never shown.
    pub(super) expanded: bool,
}

#[derive(Debug)]
pub(super) enum Kind {
    Text(String),
    /// Saturated: TOML's 64 bits fit.
    Integer(i128),
    Float(f64),
    Boolean(bool),
    Datetime(String),
    Array(Vec<Value>),
    Table(Table),
    /// Something whose fault is already known.
    Faulty,
}

/// Keys and values in the order of the text.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) entries: Vec<(Key, Value)>,
}

#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) spot: Spot,
}

/// Why a text is no TOML.
#[derive(Debug)]
pub(super) struct SyntaxError {
    pub(super) range: Range<usize>,
    pub(super) message: String,
}

/// Reads one of the scenario's texts; all its syntax errors at once.
pub(super) fn parse(source: &str, text: usize) -> Result<Table, Vec<SyntaxError>> {
    let (table, errors) = DeTable::parse_recoverable(source);
    if errors.is_empty() {
        return Ok(Table::from_toml(table.into_inner(), text));
    }
    let error = |e: toml::de::Error| SyntaxError {
        range: e.span().unwrap_or(0..0),
        message: e.message().to_owned(),
    };
    Err(errors.into_iter().map(error).collect())
}

impl Table {
    fn from_toml(table: DeTable<'_>, text: usize) -> Self {
        let entry = |(key, value): (Spanned<_>, _)| {
            let spot = Spot {
                text,
                range: key.span(),
            };
            let name = String::from(key.into_inner());
            (Key { name, spot }, Value::from_toml(value, text))
        };
        let mut entries: Vec<_> = table.into_iter().map(entry).collect();
        entries.sort_by_key(|(key, _)| key.spot.range.start);
        Self { entries }
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.entries
            .iter()
            .find(|(key, _)| key.name == name)
            .map(|(_, value)| value)
    }

    /// Replaces or adds an entry.
    pub(super) fn set(&mut self, key: Key, value: Value) {
        match self
            .entries
            .iter_mut()
            .find(|(known, _)| known.name == key.name)
        {
            Some(entry) => *entry = (key, value),
            None => self.entries.push((key, value)),
        }
    }

    /// Takes an entry away.
    pub(super) fn remove(&mut self, name: &str) {
        self.entries.retain(|(key, _)| key.name != name);
    }

    /// The value under a key; an empty table is put there if there is none.
    pub(super) fn value_mut(&mut self, key: &Key) -> &mut Value {
        let known = self
            .entries
            .iter()
            .position(|(known, _)| known.name == key.name);
        let n = known.unwrap_or_else(|| {
            let spot = key.spot.clone();
            let kind = Kind::Table(Self::default());
            let key = Key {
                name: key.name.clone(),
                spot: spot.clone(),
            };
            self.entries.push((
                key,
                Value {
                    spot,
                    kind,
                    expanded: false,
                },
            ));
            self.entries.len() - 1
        });
        &mut self.entries[n].1
    }
}

impl Value {
    fn from_toml(value: Spanned<DeValue<'_>>, text: usize) -> Self {
        let spot = Spot {
            text,
            range: value.span(),
        };
        let kind = match value.into_inner() {
            DeValue::String(string) => Kind::Text(string.into_owned()),
            DeValue::Integer(n) => {
                let max = if n.as_str().starts_with('-') {
                    i128::MIN
                } else {
                    i128::MAX
                };
                Kind::Integer(i128::from_str_radix(n.as_str(), n.radix()).unwrap_or(max))
            }
            DeValue::Float(x) => Kind::Float(x.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(b) => Kind::Boolean(b),
            DeValue::Datetime(time) => Kind::Datetime(time.to_string()),
            DeValue::Array(values) => Kind::Array(
                values
                    .into_iter()
                    .map(|value| Self::from_toml(value, text))
                    .collect(),
            ),
            DeValue::Table(table) => Kind::Table(Table::from_toml(table, text)),
        };
        Self {
            spot,
            kind,
            expanded: false,
        }
    }

    /// What it is, for messages. Says no content.
    pub(super) fn what(&self) -> &'static str {
        match self.kind {
            Kind::Text(_) => "a string",
            Kind::Integer(_) => "an integer",
            Kind::Float(_) => "a float",
            Kind::Boolean(_) => "a boolean",
            Kind::Datetime(_) => "a date or time",
            Kind::Array(_) => "an array",
            Kind::Table(_) => "a table",
            Kind::Faulty => "nothing usable",
        }
    }

    /// Calls a function with each string in the value.
    fn each_text(&mut self, f: &mut impl FnMut(&mut Value)) {
        match &mut self.kind {
            Kind::Text(_) => f(self),
            Kind::Array(values) => values.iter_mut().for_each(|value| value.each_text(f)),
            Kind::Table(table) => table.each_text(f),
            _ => {}
        }
    }
}

impl Table {
    /// Calls a function with each string in the table, and in what it contains.
    pub(super) fn each_text(&mut self, f: &mut impl FnMut(&mut Value)) {
        self.entries
            .iter_mut()
            .for_each(|(_, value)| value.each_text(f));
    }
}
