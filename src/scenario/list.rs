//! A plan's devices.

use std::collections::BTreeSet;

use super::plan::{DeviceSource, Plan};
use crate::inventory::{Inventory, ListError, ListOptions, Template, generate, load_csv};
use crate::payload::Payload;

impl Plan {
    /// The columns of the list that cohorts' templates and payloads use, sorted.
    pub fn wanted_columns(&self) -> Vec<String> {
        let columns = self
            .cohorts
            .iter()
            .flat_map(|cohort| {
                let behind = cohort.gateway.as_ref().map(|plan| &plan.name);
                cohort.credentials.templates().into_iter().chain(behind)
            })
            .flat_map(Template::columns);
        let telemetry = self.telemetry.iter();
        let payloads = telemetry.flat_map(|plan| plan.attributes.iter().chain([&plan.payload]));
        let downlink = self.downlink.iter();
        let asked = downlink.clone().flat_map(|plan| {
            let request = plan.request.as_ref().map(|request| &request.params);
            request.into_iter().chain([&plan.reply])
        });
        let keys = downlink.filter_map(|plan| plan.claim.as_ref()?.secret_key.as_ref());
        let pushed = self.pushes.iter().map(|push| &push.payload);
        let columns = columns.chain(keys.flat_map(Template::columns)).chain(
            payloads
                .chain(asked)
                .chain(pushed)
                .flat_map(Payload::columns),
        );
        columns.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Loads the list, or makes the names up.
    pub fn load_inventory(&self) -> Result<Inventory, ListError> {
        match &self.devices {
            DeviceSource::Generate(spec) => Ok(generate(spec)),
            DeviceSource::List { path, name_column } => {
                let keep = self.wanted_columns();
                load_csv(
                    path,
                    &ListOptions {
                        name_column,
                        keep: &keep,
                        keep_if_there: &[],
                    },
                )
            }
        }
    }
}
