//! The fleet: plan, list, dealing and addresses together, shared by all workers and never changed.

use std::collections::HashSet;
use std::path::Path;

use secrecy::ExposeSecret;
use thiserror::Error;

use super::beginning::{Beginning, Beginnings, Resumption};
use super::dealing::Dealing;
use super::digest;
use super::equipment::{Equipment, EquipmentError};
use crate::arrival::{Due, Follower, Schedule, StartingPlace};
use crate::dialect::ThingsBoard;
use crate::inventory::{Derivation, Inventory, Template};
use crate::ledger::{Files, Issued, Past};
use crate::model::{CohortIx, Credentials, DeviceIx, Shard};
use crate::payload::PayloadError;
use crate::pki::Identity;
use crate::rest::Server;
use crate::scenario::{Cohort, CredentialsPlan, Plan, TokenPlan};
use crate::transport::Dial;

/// Everything a device looks up.
#[derive(Debug)]
pub struct Fleet {
    /// What the scenario means.
    pub plan: Plan,
    /// The names and the columns that templates use.
    pub inventory: Inventory,
    /// When each device starts; those of other shards do not.
    pub schedule: Schedule,
    /// The fingerprint of the schedule of all listed devices, whosever they are and whatever is left of
    /// them.
    pub whole_digest: String,
    /// For each cohort, how to reach its server; empty until that is known.
    pub dials: Vec<Dial>,
    /// Where pushes go; `None` until that is known, and without pushes.
    pub rest: Option<Server>,
    /// For each profile.
    dialects: Vec<ThingsBoard>,
    /// For each cohort, from what its devices derive their tokens.
    derivations: Vec<Option<Derivation>>,
    pub(super) dealing: Dealing,
    pub(super) equipment: Equipment,
    /// Where devices begin that have a past.
    pub(super) beginnings: Beginnings,
    /// Of a process that died: those whose end is not on record yet, and those that had begun.
    pub(super) unsaid: HashSet<DeviceIx>,
    pub(super) going_on: HashSet<DeviceIx>,
}

/// The list does not give what the scenario asks of it.
#[derive(Debug, Error)]
pub enum FleetError {
    /// A device that is to bring its own credentials has none.
    #[error(
        "device `{name}` (number {number} of the list): its own credentials are empty\n\
         help: fill the list's column, or take `credentials = \"server\"` for cohort `{cohort}`"
    )]
    Empty {
        /// The device's name.
        name: String,
        /// Its position, from 1.
        number: u32,
        /// Its cohort.
        cohort: String,
    },
    /// A key that an earlier part of the run made cannot be read.
    #[error("{0}")]
    Equipment(#[from] EquipmentError),
    /// A device has no payload.
    #[error("{0}")]
    Payload(#[from] PayloadError),
    /// What is behind a gateway cannot be as the scenario has it.
    #[error("gateway `{name}` (number {number} of the list): {what}\nhelp: {help}")]
    Behind {
        /// The gateway's name.
        name: String,
        /// Its position, from 1.
        number: u32,
        /// What is wrong.
        what: String,
        /// The way out.
        help: String,
    },
    /// More devices than a run takes are behind its gateways.
    #[error(
        "{0} devices are behind the gateways, and a run takes up to 10000000\n         help: lower `devices` in [cohort.gateway], or the number of gateways"
    )]
    TooManyBehind(u64),
    /// A template of its credentials does not render.
    #[error("device `{name}`: {message}")]
    Template {
        /// The device's name.
        name: String,
        /// What the template engine said.
        message: String,
    },
}

impl Fleet {
    /// Puts the parts together, tries the payloads and renders each device's own credentials once,
    /// so that a list with a hole is refused before the first packet. Addresses ([`Fleet::dials`]) come later.
    pub fn new(
        plan: Plan,
        inventory: Inventory,
        dealing: impl Into<Dealing>,
        equipment: Equipment,
    ) -> Result<Self, FleetError> {
        let dealing = dealing.into();
        let cohort_of = dealing.cohort_of();
        assert_eq!(inventory.len(), cohort_of.len(), "each device has a cohort");
        let dialects = plan
            .profiles
            .iter()
            .map(|profile| ThingsBoard::new(profile.key.clone(), profile.secret.clone()))
            .collect();
        let derivations = plan
            .cohorts
            .iter()
            .map(|cohort| match &cohort.credentials {
                CredentialsPlan::AccessToken(TokenPlan::Derived(key)) => Some(Derivation::new(key)),
                _ => None,
            })
            .collect();
        let mut fleet = Self {
            schedule: schedule(&plan, cohort_of, &|_| StartingPlace::Ahead, None),
            whole_digest: String::new(),
            plan,
            inventory,
            dealing,
            dials: Vec::new(),
            rest: None,
            dialects,
            derivations,
            equipment,
            beginnings: Beginnings::default(),
            unsaid: HashSet::new(),
            going_on: HashSet::new(),
        };
        fleet.prove_speakers()?;
        fleet.whole_digest = digest::schedule_digest(&fleet);
        if fleet.shard().is_some() {
            fleet.schedule = fleet.schedule_of_its_own(&|_| StartingPlace::Ahead);
        }
        for ix in fleet.devices() {
            if fleet.own(ix)?.as_ref().is_some_and(is_empty) {
                return Err(FleetError::Empty {
                    name: fleet.name(ix).to_owned(),
                    number: ix.0 + 1,
                    cohort: fleet.cohort(ix).name.clone(),
                });
            }
        }
        Ok(fleet)
    }

    /// Goes on where earlier parts of the run ended. Who is over has no turn.
    pub fn resume(&mut self, past: &Past, resumption: &Resumption) -> Result<(), FleetError> {
        let keys = self
            .devices()
            .filter_map(|ix| Some((ix, past.trace(ix)?.files()?)));
        self.equipment.adopt(self.inventory.len(), keys)?;
        let beginnings = Beginnings::of(self, past, resumption)?;
        self.schedule = self.schedule_of_its_own(&|ix| beginnings.place(ix));
        self.beginnings = beginnings;
        Ok(())
    }

    /// Every device has credentials already, in list order; `None` for those of other shards.
    pub fn take_over(&mut self, all: Vec<Option<Issued>>) -> Result<(), FleetError> {
        assert_eq!(all.len(), self.inventory.len(), "one for each");
        let keys = self.listed().zip(&all);
        let keys = keys.filter_map(|(ix, issued)| Some((ix, issued.as_ref()?.files.as_ref()?)));
        self.equipment.adopt(all.len(), keys)?;
        self.beginnings = Beginnings::with_credentials(all);
        Ok(())
    }

    fn schedule_of_its_own(&self, place: &dyn Fn(DeviceIx) -> StartingPlace) -> Schedule {
        let (cohort_of, shard) = (self.dealing.cohort_of(), self.shard());
        let place = |ix| {
            if self.has(ix) {
                place(ix)
            } else {
                StartingPlace::None
            }
        };
        schedule(&self.plan, cohort_of, &place, shard)
    }

    pub(super) fn beginning(&self, ix: DeviceIx) -> Option<&Beginning> {
        self.beginnings.get(ix)
    }

    /// Writes the keys and certificates that were made for this run: to be done before the first
    /// packet, so that no run can lose a device's key.
    pub fn write_keys(&mut self, dir: &Path) -> Result<(), EquipmentError> {
        self.equipment.write(dir)
    }

    /// The devices of this run, in list order: all that are listed, or those of its shard.
    pub fn devices(&self) -> impl Iterator<Item = DeviceIx> + use<> {
        self.dealing.devices()
    }

    /// How many those are.
    pub fn len(&self) -> u32 {
        self.dealing.len()
    }

    /// All listed devices, whosever they are.
    pub fn listed(&self) -> impl Iterator<Item = DeviceIx> + use<> {
        self.dealing.listed()
    }

    /// Which part of the run this is, if several machines share it.
    pub fn shard(&self) -> Option<Shard> {
        self.dealing.shard()
    }

    /// Whether a listed device is of this run, and not of another shard.
    pub fn has(&self, ix: DeviceIx) -> bool {
        self.dealing.has(ix)
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
        self.dealing.cohort_ix(ix)
    }

    /// A device's cohort.
    pub fn cohort(&self, ix: DeviceIx) -> &Cohort {
        &self.plan.cohorts[self.cohort_ix(ix).get()]
    }

    /// When a device's turn is.
    pub fn due(&self, ix: DeviceIx) -> Due {
        self.schedule.due(self.cohort_ix(ix), ix)
    }

    /// How many devices each cohort has.
    pub fn dealt(&self) -> Vec<u32> {
        self.dealing.dealt(self.plan.cohorts.len())
    }

    /// The credentials that the device brings itself, if its cohort's devices do.
    pub fn own(&self, ix: DeviceIx) -> Result<Option<Credentials>, FleetError> {
        let render = |template: &Template| {
            template
                .render(&self.inventory, ix)
                .map_err(|error| FleetError::Template {
                    name: self.name(ix).to_owned(),
                    message: error.to_string(),
                })
        };
        Ok(Some(match &self.cohort(ix).credentials {
            CredentialsPlan::Server => return Ok(None),
            CredentialsPlan::AccessToken(TokenPlan::Given(token)) => {
                Credentials::AccessToken(render(token)?.into())
            }
            CredentialsPlan::AccessToken(TokenPlan::Derived(_)) => {
                let derivation = self.derivations[self.cohort_ix(ix).get()].as_ref();
                let derivation = derivation.expect("made for each such cohort");
                Credentials::AccessToken(derivation.token(self.name(ix)))
            }
            CredentialsPlan::MqttBasic {
                client_id,
                username,
                password,
            } => Credentials::mqtt_basic(render(client_id)?, render(username)?, render(password)?),
            CredentialsPlan::X509(_) | CredentialsPlan::X509Chain(_) => Credentials::X509 {
                certificate: self
                    .identity(ix)
                    .expect("equipped before the fleet is put together")
                    .leaf_base64(),
            },
        }))
    }

    /// The device's key and certificates, if it has some.
    pub(super) fn identity(&self, ix: DeviceIx) -> Option<&Identity> {
        self.equipment.kit(ix).map(|kit| &kit.identity)
    }

    /// The key and certificates of the device whose leaf is that certificate.
    pub(super) fn identity_with(&self, ix: DeviceIx, certificate: &str) -> Option<&Identity> {
        let kit = self.equipment.kit_with(ix, certificate)?;
        Some(&kit.identity)
    }

    /// The certificate that the event of that number brings the device, and its files.
    pub(super) fn fresh(&self, ix: DeviceIx, event: u32) -> Option<Issued> {
        let kit = self.equipment.fresh(ix, event)?;
        Some(Issued {
            credentials: Credentials::X509 {
                certificate: kit.identity.leaf_base64(),
            },
            files: kit.files.clone(),
        })
    }

    /// The files of the device's certificate.
    pub(super) fn files_of(&self, ix: DeviceIx, certificate: &str) -> Option<Files> {
        self.equipment.kit_with(ix, certificate)?.files.clone()
    }

    /// What the ledger keeps of credentials.
    pub(super) fn issued(&self, ix: DeviceIx, credentials: Credentials) -> Issued {
        let files = match &credentials {
            Credentials::X509 { .. } => self.own_files(ix),
            _ => None,
        };
        Issued { credentials, files }
    }

    /// The files of the certificate that the device brings, if it does.
    pub(super) fn own_files(&self, ix: DeviceIx) -> Option<Files> {
        self.equipment.kit(ix)?.files.clone()
    }

    /// How the device speaks with its own profile.
    pub(super) fn dialect(&self, ix: DeviceIx) -> &ThingsBoard {
        &self.dialects[self.cohort(ix).profile]
    }

    /// How devices of `[profile]` speak.
    pub(super) fn first_dialect(&self) -> &ThingsBoard {
        &self.dialects[0]
    }

    pub(super) fn dial(&self, ix: DeviceIx) -> &Dial {
        &self.dials[self.cohort_ix(ix).get()]
    }
}

/// When each device of a list starts; of a shard, the turns that it has.
pub(super) fn schedule(
    plan: &Plan,
    cohort_of: &[u16],
    place: &dyn Fn(DeviceIx) -> StartingPlace,
    own: Option<Shard>,
) -> Schedule {
    let followers = plan.cohorts.iter().map(|cohort| Follower {
        cohort: &cohort.name,
        own: cohort.arrival.as_ref(),
    });
    let followers: Vec<_> = followers.collect();
    let shared = plan.arrival.as_ref();
    Schedule::new(shared, &followers, cohort_of, place, (plan.seed, own))
}

fn is_empty(own: &Credentials) -> bool {
    match own {
        Credentials::AccessToken(token) => token.expose_secret().is_empty(),
        Credentials::MqttBasic(basic) => basic.client_id.is_empty() && basic.username.is_empty(),
        Credentials::X509 { certificate } => certificate.is_empty(),
    }
}
