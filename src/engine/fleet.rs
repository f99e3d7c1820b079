//! The fleet: plan, list, dealing and addresses together, shared by all workers and never changed.

use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

use crate::dialect::ThingsBoard;
use crate::inventory::Inventory;
use crate::model::{CohortIx, DeviceIx};
use crate::scenario::{Cohort, CredentialsPlan, Plan, dealt_to_each};
use crate::transport::Dial;

/// Everything a device looks up.
#[derive(Debug)]
pub struct Fleet {
    /// What the scenario means.
    pub plan: Plan,
    /// The names and the columns that templates use.
    pub inventory: Inventory,
    /// For each device, its cohort's position.
    pub cohort_of: Vec<u16>,
    /// For each cohort, how to reach its server.
    pub dials: Vec<Dial>,
    dialect: ThingsBoard,
}

/// The list does not give what the scenario asks of it.
#[derive(Debug, Error)]
pub enum FleetError {
    /// A device that is to bring its own token has none.
    #[error(
        "device `{name}` (number {number} of the list): its access token is empty\n\
         help: fill the list's token column, or take `credentials = \"server\"` for cohort `{cohort}`"
    )]
    EmptyToken {
        /// The device's name.
        name: String,
        /// Its position, from 1.
        number: u32,
        /// Its cohort.
        cohort: String,
    },
    /// A token template does not render.
    #[error("device `{name}`: {message}")]
    Template {
        /// The device's name.
        name: String,
        /// What the template engine said.
        message: String,
    },
}

impl Fleet {
    /// Puts the parts together and renders each device's own token once, so that a list with a
    /// hole is refused before the first packet.
    pub fn new(
        plan: Plan,
        inventory: Inventory,
        cohort_of: Vec<u16>,
        dials: Vec<Dial>,
    ) -> Result<Self, FleetError> {
        assert_eq!(inventory.len(), cohort_of.len(), "each device has a cohort");
        assert_eq!(
            plan.cohorts.len(),
            dials.len(),
            "each cohort has an address"
        );
        let dialect = ThingsBoard::new(plan.provision_key.clone(), plan.provision_secret.clone());
        let fleet = Self {
            plan,
            inventory,
            cohort_of,
            dials,
            dialect,
        };
        for ix in fleet.devices() {
            if let Some(token) = fleet.token(ix)?
                && token.expose_secret().is_empty()
            {
                return Err(FleetError::EmptyToken {
                    name: fleet.name(ix).to_owned(),
                    number: ix.0 + 1,
                    cohort: fleet.cohort(ix).name.clone(),
                });
            }
        }
        Ok(fleet)
    }

    /// All devices, in list order.
    pub fn devices(&self) -> impl Iterator<Item = DeviceIx> + use<> {
        (0..self.len()).map(DeviceIx)
    }

    /// How many devices are listed.
    pub fn len(&self) -> u32 {
        u32::try_from(self.inventory.len()).expect("the inventory refuses longer lists")
    }

    /// Whether there is no device at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A device's name, as listed.
    pub fn name(&self, ix: DeviceIx) -> &str {
        self.inventory.name(ix)
    }

    /// A device's cohort's position.
    pub fn cohort_ix(&self, ix: DeviceIx) -> CohortIx {
        CohortIx(self.cohort_of[ix.get()])
    }

    /// A device's cohort.
    pub fn cohort(&self, ix: DeviceIx) -> &Cohort {
        &self.plan.cohorts[self.cohort_ix(ix).get()]
    }

    /// How many devices each cohort has.
    pub fn dealt(&self) -> Vec<u32> {
        dealt_to_each(&self.cohort_of, self.plan.cohorts.len())
    }

    /// The access token that the device brings itself, if its cohort's devices do.
    pub(super) fn token(&self, ix: DeviceIx) -> Result<Option<SecretString>, FleetError> {
        match &self.cohort(ix).credentials {
            CredentialsPlan::Server => Ok(None),
            CredentialsPlan::AccessToken(template) => template
                .render(&self.inventory, ix)
                .map(|token| Some(token.into()))
                .map_err(|error| FleetError::Template {
                    name: self.name(ix).to_owned(),
                    message: error.to_string(),
                }),
        }
    }

    pub(super) fn dialect(&self) -> &ThingsBoard {
        &self.dialect
    }

    pub(super) fn dial(&self, ix: DeviceIx) -> &Dial {
        &self.dials[self.cohort_ix(ix).get()]
    }
}
