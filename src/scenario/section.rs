//! From values to typed sections: a section knows its keys, what is left over is unknown.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::fault::Faults;
use super::tree::{Key, Kind, Spot, Table, Value};
use crate::inventory::nearest;

/// What was found under a key.
#[derive(Debug, Default)]
pub(super) enum Entry<T> {
    /// Nothing.
    #[default]
    Absent,
    /// Something whose fault is known: checks pass over it in silence.
    Faulty,
    /// A value of the right type.
    Given(T, Spot),
}

impl<T> Entry<T> {
    pub(super) fn given(&self) -> Option<(&T, &Spot)> {
        match self {
            Self::Given(value, spot) => Some((value, spot)),
            _ => None,
        }
    }

    pub(super) fn value(&self) -> Option<&T> {
        self.given().map(|(value, _)| value)
    }

    pub(super) fn spot(&self) -> Option<&Spot> {
        self.given().map(|(_, spot)| spot)
    }

    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// The value, or another when there is none; `None` when it is faulty.
    pub(super) fn or(&self, default: T) -> Option<T>
    where
        T: Clone,
    {
        match self {
            Self::Absent => Some(default),
            Self::Faulty => None,
            Self::Given(value, _) => Some(value.clone()),
        }
    }
}

impl<T: JsonSchema> JsonSchema for Entry<T> {
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

/// What can be read from a value. A fault is reported, and gives `None`.
pub(super) trait FromToml: Sized {
    fn from_toml(value: &Value, key: &str, faults: &Faults) -> Option<Self>;
}

/// A table being read.
pub(super) struct Reader<'t> {
    table: &'t Table,
    title: &'static str,
    /// Keys that nobody asks for, and the known key that each probably means.
    unknown: Vec<(&'t Key, Option<&'static str>)>,
    faults: &'t Faults,
}

impl<'t> Reader<'t> {
    /// Reports the keys that are none of the known; `title` is how users write the section.
    pub(super) fn new(
        table: &'t Table,
        title: &'static str,
        known: &[&'static str],
        faults: &'t Faults,
    ) -> Self {
        let keys = table.entries.iter().map(|(key, _)| key);
        let unknown = keys
            .filter(|key| !known.contains(&key.name.as_str()))
            .map(|key| (key, nearest(&key.name, known.iter().copied())))
            .collect();
        let reader = Self {
            table,
            title,
            unknown,
            faults,
        };
        reader.report(known);
        reader
    }

    /// Reads what stands under a key.
    pub(super) fn entry<T: FromToml>(&self, key: &'static str) -> Entry<T> {
        match self.table.get(key) {
            // What is mistyped is not missing as well.
            None if self.unknown.iter().any(|(_, near)| *near == Some(key)) => Entry::Faulty,
            None => Entry::Absent,
            Some(Value {
                kind: Kind::Faulty, ..
            }) => Entry::Faulty,
            Some(value) => match T::from_toml(value, key, self.faults) {
                None => Entry::Faulty,
                Some(read) => Entry::Given(read, value.spot.clone()),
            },
        }
    }

    fn report(&self, known: &[&str]) {
        for (key, near) in &self.unknown {
            let title = match self.title {
                "" => format!("unknown key `{}`", key.name),
                title => format!("unknown key `{}` in {title}", key.name),
            };
            if let Some(near) = near {
                let label = format!("the nearest known key is `{near}`");
                self.faults.add_labelled(&key.spot, title, label, "");
            } else {
                let help = format!("known keys: {}", known.join(", "));
                self.faults.add(&key.spot, title, help);
            }
        }
    }
}

/// Reports a value of the wrong type.
pub(super) fn wrong_type(value: &Value, key: &str, wanted: &str, help: &str, faults: &Faults) {
    let title = format!("`{key}` must be {wanted}, found {}", value.what());
    faults.add(&value.spot, title, help);
}

/// A section of the scenario: a struct whose fields are its keys, for the reader and for the
/// JSON Schema alike.
macro_rules! section {
    (
        $(#[$meta:meta])*
        struct $name:ident as $title:literal {
            $($(#[$field_meta:meta])* $field:ident: $type:ty,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Default, schemars::JsonSchema)]
        #[schemars(deny_unknown_fields)]
        pub(in crate::scenario) struct $name {
            $($(#[$field_meta])* pub(in crate::scenario) $field: $crate::scenario::section::Entry<$type>,)*
        }

        impl $crate::scenario::section::FromToml for $name {
            fn from_toml(
                value: &$crate::scenario::tree::Value,
                key: &str,
                faults: &$crate::scenario::fault::Faults,
            ) -> Option<Self> {
                let $crate::scenario::tree::Kind::Table(table) = &value.kind else {
                    $crate::scenario::section::wrong_type(
                        value, key, "a table", $crate::scenario::section::TABLE_HELP, faults,
                    );
                    return None;
                };
                Some(Self::read(table, faults))
            }
        }

        impl $name {
            fn read(
                table: &$crate::scenario::tree::Table,
                faults: &$crate::scenario::fault::Faults,
            ) -> Self {
                use $crate::scenario::section::plain;
                let known = [$(plain(stringify!($field))),*];
                let reader =
                    $crate::scenario::section::Reader::new(table, $title, &known, faults);
                Self { $($field: reader.entry(plain(stringify!($field))),)* }
            }
        }
    };
}

pub(super) use section;

/// A field's key: fields that are words of Rust are written `r#for`.
pub(super) fn plain(field: &'static str) -> &'static str {
    field.strip_prefix("r#").unwrap_or(field)
}

pub(super) const TABLE_HELP: &str = "write { key = value }, or a [header] with its keys below";
