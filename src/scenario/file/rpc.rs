//! `[target.rpc]` as it is typed; a target's own file has the same as `[rpc]`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::super::fault::Faults;
use super::super::json::json;
use super::super::leaf::describe;
use super::super::section::{FromToml, section, wrong_type};
use super::super::tree::{Kind, Spot, Value};

section! {
    /// How the embedded server answers a method of client-side RPC.
    struct Method as "the answer to a method" {
        /// The answer, whatever the parameters: any value, as JSON.
        #[schemars(default)]
        answer: Json,
        /// Answers with the parameters.
        #[schemars(default, extend("default" = false))]
        echo: bool,
    }
}

/// Answers by method, each with its place; those that cannot be read have none.
#[derive(Debug)]
pub(in crate::scenario) struct Methods(pub(in crate::scenario) Vec<(String, Option<Method>, Spot)>);

impl FromToml for Methods {
    fn from_toml(value: &Value, key: &str, faults: &Faults) -> Option<Self> {
        let Kind::Table(table) = &value.kind else {
            let help = "write it as { getTime = { answer = { utc = 0 } }, ping = { echo = true } }";
            wrong_type(value, key, "a table", help, faults);
            return None;
        };
        let methods = table.entries.iter();
        let read = methods.map(|(method, value)| {
            let read = Method::from_toml(value, &method.name, faults);
            (method.name.clone(), read, value.spot.clone())
        });
        Some(Self(read.collect()))
    }
}

impl JsonSchema for Methods {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Methods".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let method = generator.subschema_for::<Method>();
        json_schema!({ "type": "object", "additionalProperties": method })
    }
}

/// A value as JSON text.
#[derive(Clone, Debug)]
pub(in crate::scenario) struct Json(pub(in crate::scenario) String);

impl FromToml for Json {
    fn from_toml(value: &Value, _key: &str, faults: &Faults) -> Option<Self> {
        json(value, faults).map(|json| Self(json.to_string()))
    }
}

describe! {
    Json => json_schema!(true);
}
