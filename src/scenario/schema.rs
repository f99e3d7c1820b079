//! The scenario's JSON Schema, for editors; drawn from the sections that read scenarios.

use schemars::generate::SchemaSettings;

use super::file::Scenario;

/// The JSON Schema (2020-12) of a scenario, indented.
pub fn schema() -> String {
    let schema = SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<Scenario>();
    serde_json::to_string_pretty(&schema).expect("a schema is JSON")
}
