//! What the user meant: a scenario file, checked as a whole, becomes a [`Plan`].
//!
//! TOML is parsed with the place of each value (`tree`), overrides and references are put in
//! (`overlay`, `expand`), sections are read (`section`, `leaf`, `file`) and checked (`check`).
//! Every step reports what it finds and goes on, so that all faults are told at once, drawn with
//! line and column (`fault`) and without secrets (`mask`). Nothing here knows the network.

mod check;
mod deal;
mod downlink_keys;
mod expand;
mod fault;
mod file;
mod gateway_keys;
mod json;
mod leaf;
mod life_keys;
mod list;
mod load;
mod mask;
mod model_tables;
mod models;
mod overlay;
mod plan;
mod schema;
mod search_keys;
mod section;
mod shown;
mod sources;
mod telemetry_keys;
#[cfg(test)]
pub(crate) mod tests;
mod tree;
mod validity_keys;

pub use deal::{DealError, deal, dealt_to_each};
pub use fault::Diagnostics;
pub use load::{Overrides, ScenarioError, load, load_with, target_faults, target_rpc};
pub use plan::{
    CertificatePlan, ClaimPlan, Cohort, CredentialsPlan, Deal, DeviceSource, DownlinkPlan,
    GatewayPlan, LifePlan, Limits, Plan, ProfilePlan, Pubacks, PushKind, PushPlan, RequestPlan,
    RestLogin, RestPlan, TargetPlan, TelemetryPlan, TokenPlan, TrustPlan,
};
pub use schema::schema;

/// A commented scenario to start from. It runs as it is, without any other file.
pub fn starting_scenario() -> &'static str {
    include_str!("starting.toml")
}
