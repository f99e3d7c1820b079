//! `--set KEY.PATH=VALUE`: one value of the scenario replaced before it is read.

use super::fault::Faults;
use super::tree::{Key, Kind, Spot, Table, Value, parse};

/// An override taken apart: where it goes, and what goes there.
pub(super) struct Setting {
    path: Vec<Key>,
    value: Value,
}

impl Setting {
    /// Reads `KEY.PATH=VALUE`. The value is TOML; what is none is a string, so that a shell's
    /// user can leave out the quotes. `None` after a fault.
    pub(super) fn read(source: &str, text: usize, faults: &Faults) -> Option<Self> {
        let whole = Spot {
            text,
            range: 0..source.len(),
        };
        let Some(equals) = equals_sign(source) else {
            faults.add(&whole, "an override needs a value", HELP);
            return None;
        };
        let path = parse(&format!("{}=0", &source[..equals]), text)
            .ok()
            .and_then(path_of);
        let Some(path) = path else {
            let spot = Spot {
                text,
                range: 0..equals,
            };
            faults.add(&spot, "an override needs a key before `=`", HELP);
            return None;
        };
        let start =
            equals + 1 + source[equals + 1..].len() - source[equals + 1..].trim_start().len();
        let value = match parse(source, text) {
            Ok(table) => leaf(table, path.len()),
            Err(errors) if source[start..].starts_with(['"', '\'', '[', '{']) => {
                for error in errors {
                    let spot = Spot {
                        text,
                        range: error.range,
                    };
                    faults.add(
                        &spot,
                        error.message,
                        "put a string in quotes, also within the shell's",
                    );
                }
                return None;
            }
            Err(_) => None,
        };
        let value = value.unwrap_or_else(|| Value {
            spot: Spot {
                text,
                range: start..source.len(),
            },
            kind: Kind::Text(source[start..].trim_end().to_owned()),
            expanded: false,
        });
        Some(Self { path, value })
    }

    /// The override alone, as a table: for masking.
    pub(super) fn as_table(source: &str, text: usize) -> Option<Table> {
        parse(source, text).ok()
    }

    /// Puts the value where it goes; a path through an array has positions from 0, or names.
    pub(super) fn apply(self, table: &mut Table, faults: &Faults) {
        let Self { mut path, value } = self;
        let Some(last) = path.pop() else { return };
        let mut place = Place::Table(table);
        for key in &path {
            place = match place.into_inner(key, faults) {
                Some(inner) => inner,
                None => return,
            };
        }
        match place {
            Place::Table(table) => table.set(last, value),
            Place::Array(values) => {
                if let Some(n) = position(values, &last, faults) {
                    values[n] = value;
                }
            }
        }
    }
}

/// Where an override's path has led so far.
enum Place<'t> {
    Table(&'t mut Table),
    Array(&'t mut Vec<Value>),
}

impl Place<'_> {
    fn into_inner(self, key: &Key, faults: &Faults) -> Option<Self> {
        let kind = match self {
            Self::Table(table) => &mut table.value_mut(key).kind,
            Self::Array(values) => {
                let n = position(values, key, faults)?;
                &mut values[n].kind
            }
        };
        match kind {
            Kind::Table(table) => Some(Place::Table(table)),
            Kind::Array(values) => Some(Place::Array(values)),
            _ => {
                let title = format!("`{}` is no table and no array", key.name);
                faults.add(&key.spot, title, "shorten the path");
                None
            }
        }
    }
}

/// The element that a key means: its position from 0, or its name.
fn position(values: &[Value], key: &Key, faults: &Faults) -> Option<usize> {
    let named = |value: &Value| match &value.kind {
        Kind::Table(table) => match table.get("name").map(|value| &value.kind) {
            Some(Kind::Text(name)) => *name == key.name,
            _ => false,
        },
        _ => false,
    };
    let by_number = key.name.parse().ok().filter(|n: &usize| *n < values.len());
    let found = by_number.or_else(|| values.iter().position(named));
    if found.is_none() {
        let title = format!(
            "there is no element {:?}, there are {}",
            key.name,
            values.len()
        );
        faults.add(
            &key.spot,
            title,
            "give its position, counted from 0, or its name",
        );
    }
    found
}

/// The keys of a table that holds one value.
fn path_of(table: Table) -> Option<Vec<Key>> {
    let mut path = Vec::new();
    let mut kind = Kind::Table(table);
    while let Kind::Table(table) = kind {
        let (key, value) = table.entries.into_iter().next()?;
        path.push(key);
        kind = value.kind;
    }
    Some(path)
}

/// The value so many keys below.
fn leaf(table: Table, depth: usize) -> Option<Value> {
    let (_, value) = table.entries.into_iter().next()?;
    match value.kind {
        Kind::Table(inner) if depth > 1 => leaf(inner, depth - 1),
        _ => Some(value),
    }
}

/// The first `=` outside of quoted keys.
fn equals_sign(source: &str) -> Option<usize> {
    let mut quote = None;
    source.char_indices().find_map(|(at, c)| {
        match (quote, c) {
            (None, '=') => return Some(at),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            _ => {}
        }
        None
    })
}

const HELP: &str = "write it as KEY.PATH=VALUE, e.g. --set arrival.model=closed";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FILE: &str = "name = \"n\"\ntarget.embedded = true\n\
        [[cohort]]\nname = \"a\"\n[[cohort]]\nname = \"b\"\n";

    fn set(source: &str) -> Result<String, String> {
        let mut table = parse(FILE, 0).unwrap();
        let faults = Faults::default();
        if let Some(setting) = Setting::read(source, 1, &faults) {
            setting.apply(&mut table, &faults);
        }
        match faults.into_sorted().first() {
            None => Ok(format!("{table:?}")),
            Some(fault) => Err(fault.title.clone()),
        }
    }

    /// Sets, and tells the kind of the value at a path.
    fn kind(source: &str, path: &[&str]) -> String {
        let mut table = parse(FILE, 0).unwrap();
        let faults = Faults::default();
        Setting::read(source, 1, &faults)
            .unwrap()
            .apply(&mut table, &faults);
        let mut value = table.get(path[0]).unwrap();
        for key in &path[1..] {
            value = match &value.kind {
                Kind::Table(table) => table.get(key).unwrap(),
                Kind::Array(values) => &values[key.parse::<usize>().unwrap()],
                other => panic!("{other:?}"),
            };
        }
        assert_eq!(value.spot.text, 1);
        format!("{:?}", value.kind)
    }

    #[test]
    fn a_value_is_toml_or_else_a_string() {
        for (source, path, value) in [
            ("seed=7", &["seed"][..], "Integer(7)"),
            ("name=x y", &["name"], "Text(\"x y\")"),
            ("name=\"7\"", &["name"], "Text(\"7\")"),
            (
                "telemetry.interval=500ms",
                &["telemetry", "interval"],
                "Text(\"500ms\")",
            ),
            (
                "thresholds.\"a.b\"=<= 5",
                &["thresholds", "a.b"],
                "Text(\"<= 5\")",
            ),
            (
                "cohort.1.share=0.5",
                &["cohort", "1", "share"],
                "Float(0.5)",
            ),
            (
                "cohort.b.share=0.5",
                &["cohort", "1", "share"],
                "Float(0.5)",
            ),
            (
                "target.embedded=false",
                &["target", "embedded"],
                "Boolean(false)",
            ),
            (
                "target={ mqtt = \"h:1\" }",
                &["target", "mqtt"],
                "Text(\"h:1\")",
            ),
        ] {
            assert_eq!(kind(source, path), value, "{source}");
        }
        assert!(
            !set("target={ mqtt = \"h:1\" }")
                .unwrap()
                .contains("embedded")
        );
    }

    #[test]
    fn what_leads_nowhere_is_a_fault() {
        for (source, title) in [
            ("seed", "an override needs a value"),
            ("=7", "an override needs a key before `=`"),
            ("name.x=7", "`name` is no table and no array"),
            ("cohort.2.share=1", "there is no element \"2\", there are 2"),
        ] {
            assert_eq!(set(source).unwrap_err(), title, "{source}");
        }
        assert!(set("arrival.stages=[{").is_err());
    }

    proptest! {
        #[test]
        fn never_panics(source in "(cohort|0|\\.|=|\"|'|\\[|\\{|x|é| |\n){0,10}") {
            let _ = set(&source);
        }
    }
}
