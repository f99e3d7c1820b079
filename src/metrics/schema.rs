//! The published forms of `summary.json` and of a line of `timeline.jsonl`, drawn from the types that
//! are written.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;

use super::summary::Summary;
use super::timeline::Line;

/// The JSON Schema (2020-12) of `summary.json`, indented.
pub fn summary_schema() -> String {
    schema_of::<Summary>()
}

/// The JSON Schema (2020-12) of each line of `timeline.jsonl`, indented.
pub fn timeline_schema() -> String {
    schema_of::<Line>()
}

/// The JSON Schema (2020-12) of a form as it is written, by this version: what is always there is
/// required.
pub fn schema_of<T: JsonSchema>() -> String {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let schema = settings.into_generator().into_root_schema_for::<T>();
    serde_json::to_string_pretty(&schema).expect("a schema is JSON")
}
