//! The keys and certificates that devices have before they start: read from files, or made, and
//! then written before the first packet, so that no run can lose a device's key.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

use super::dealing::Dealing;
use crate::inventory::{Inventory, Template};
use crate::ledger::Files;
use crate::life::{Event, EventKind};
use crate::model::{CohortIx, DeviceIx, Expectation, Misbehaviour};
use crate::pki::{Authority, Identity, KeyKind, PkiError, Recipe, Validity, make_all};
use crate::scenario::{CertificatePlan, Cohort, CredentialsPlan, Plan};

/// The authorities that sign devices' chains: given as files, or made for this run.
#[derive(Debug)]
pub struct Authorities {
    /// For each cohort, who signs its chains.
    of_cohorts: Vec<Option<Arc<Authority>>>,
    /// Those made for this run, by their profile's position: no two profiles share one.
    own: HashMap<usize, Arc<Authority>>,
}

/// What a device has besides its name.
#[derive(Debug)]
pub struct Kit {
    pub(super) identity: Identity,
    /// Its certificate's file and its key's; `None` until what was made is written.
    pub(super) files: Option<Files>,
    /// What it gets in mid-run, in that order, by the event's number.
    fresh: Vec<(u32, Kit)>,
}

impl Kit {
    fn made(identity: Identity) -> Self {
        Self {
            identity,
            files: None,
            fresh: Vec::new(),
        }
    }
}

/// The kits of all devices; empty where no cohort needs any.
#[derive(Debug, Default)]
pub struct Equipment(Vec<Option<Box<Kit>>>);

/// Why devices cannot be equipped.
#[derive(Debug, Error)]
pub enum EquipmentError {
    /// A key, a certificate or an authority cannot be read or made.
    #[error("{what}: {source}")]
    Pki {
        /// Whose.
        what: String,
        /// Why.
        source: PkiError,
    },
    /// The files that the scenario names for a device cannot be used.
    #[error(
        "{device}: {source}\n\
         help: check the columns that `certificate` names (paths are from the working directory); \
         `fleetcall generate certs` makes such files and the list to them"
    )]
    Files {
        /// Whose.
        device: String,
        /// Why.
        source: PkiError,
    },
    /// A template has no value for a device.
    #[error("device `{name}`: {why}")]
    Template {
        /// The device.
        name: String,
        /// What the template engine said.
        why: String,
    },
    /// Two devices of a profile would be one for the server, which takes the later certificate for
    /// the first device's new one.
    #[error(
        "devices `{first}` and `{second}` have one common name, `{common_name}`: a server takes them \
         for one device\nhelp: use `{{{{ name }}}}` or another column in `common_name`"
    )]
    Namesakes {
        /// Who has it first.
        first: String,
        /// Who has it, too.
        second: String,
        /// The name.
        common_name: String,
    },
    /// The directory for what is made cannot be had.
    #[error("{}: {source}", path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl Authorities {
    /// Reads each cohort's authority, or makes one for all that have none.
    pub fn of(plan: &Plan) -> Result<Self, EquipmentError> {
        let mut read: HashMap<&(PathBuf, PathBuf), Arc<Authority>> = HashMap::new();
        let mut own = HashMap::new();
        let mut of_cohorts = Vec::with_capacity(plan.cohorts.len());
        for cohort in &plan.cohorts {
            let CredentialsPlan::X509Chain(CertificatePlan::Made { authority, .. }) =
                &cohort.credentials
            else {
                of_cohorts.push(None);
                continue;
            };
            let signer = match authority {
                _ if cohort.misbehaviour == Some(Misbehaviour::ForeignCa) => made("foreign")?,
                Some(files) => match read.entry(files) {
                    Entry::Occupied(known) => Arc::clone(known.get()),
                    Entry::Vacant(unread) => {
                        let loaded = Authority::load(&files.0, &files.1)
                            .map_err(|source| pki(format!("cohort `{}`", cohort.name), source))?;
                        Arc::clone(unread.insert(Arc::new(loaded)))
                    }
                },
                None => match own.entry(cohort.profile) {
                    Entry::Occupied(own) => Arc::clone(own.get()),
                    Entry::Vacant(none) => Arc::clone(none.insert(made("fleetcall")?)),
                },
            };
            of_cohorts.push(Some(signer));
        }
        Ok(Self { of_cohorts, own })
    }

    /// PEM of the authority that an embedded target's profile knows: the one that its cohorts'
    /// chains are signed by, foreign ones aside.
    pub fn known_to(&self, plan: &Plan, profile: usize) -> Result<String, EquipmentError> {
        let signer = plan
            .cohorts
            .iter()
            .zip(&self.of_cohorts)
            .find_map(|(cohort, signer)| {
                let honest = cohort.misbehaviour != Some(Misbehaviour::ForeignCa);
                signer
                    .as_ref()
                    .filter(|_| honest && cohort.profile == profile)
            });
        // Where devices bring files, the target knows an authority that nobody has.
        let signer = match signer.or(self.own.get(&profile)) {
            Some(signer) => Arc::clone(signer),
            None => made("unused")?,
        };
        let whole = signer.identity().certificates_pem();
        let end = whole.find(END).map_or(whole.len(), |at| at + END.len());
        Ok(whole[..end].to_owned())
    }
}

impl Equipment {
    /// Reads or makes what each device needs; nothing is written yet. `progress` is told how many
    /// of how many are ready.
    pub fn prepare(
        plan: &Plan,
        inventory: &Inventory,
        dealing: &Dealing,
        authorities: &Authorities,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<Self, EquipmentError> {
        let needs = |cohort: &Cohort| cohort.credentials.certificate().is_some();
        if !plan.cohorts.iter().any(needs) {
            return Ok(Self::default());
        }
        let mut kits: Vec<Option<Box<Kit>>> = Vec::new();
        kits.resize_with(inventory.len(), || None);
        let mut known = Namesakes::default();
        for (cohort, number) in plan.cohorts.iter().zip(0u16..) {
            let Some(certificate) = cohort.credentials.certificate() else {
                continue;
            };
            let is_in = |ix: &DeviceIx| dealing.cohort_ix(*ix) == CohortIx(number);
            let devices: Vec<DeviceIx> = dealing.devices().filter(is_in).collect();
            match certificate {
                CertificatePlan::Files { certificate, key } => {
                    for ix in devices {
                        let kit = read(inventory, ix, certificate, key)?;
                        kits[ix.get()] = Some(Box::new(kit));
                    }
                }
                CertificatePlan::Made {
                    kind,
                    common_name,
                    days,
                    ..
                } => {
                    let signer = authorities.of_cohorts[usize::from(number)].clone();
                    let recipe = recipe(cohort, signer, *kind, *days);
                    let names = devices
                        .iter()
                        .map(|ix| render(common_name, inventory, *ix))
                        .collect::<Result<Vec<_>, _>>()?;
                    known.refuse(inventory, cohort, &devices, &names)?;
                    let (threads, all) = (plan.limits.workers, names.len());
                    let made = make_all(&recipe, &names, threads, |done| progress(done, all))
                        .map_err(|(n, source)| {
                            pki(format!("device `{}`", inventory.name(devices[n])), source)
                        })?;
                    for (ix, identity) in devices.iter().zip(made) {
                        kits[ix.get()] = Some(Box::new(Kit::made(identity)));
                    }
                    if cohort.rotates() {
                        let renewal = Renewal {
                            plan,
                            inventory,
                            recipe: &recipe,
                            progress,
                        };
                        renewal.renew(&devices, &names, &mut kits)?;
                    }
                }
            }
        }
        Ok(Self(kits))
    }

    /// Takes keys that devices of this fleet have already in the place of new ones.
    pub(super) fn adopt<'a>(
        &mut self,
        devices: usize,
        known: impl Iterator<Item = (DeviceIx, &'a Files)>,
    ) -> Result<(), EquipmentError> {
        for (ix, files) in known {
            self.0.resize_with(devices.max(self.0.len()), || None);
            let identity = Identity::from_files(&files.0, &files.1);
            let identity = identity.map_err(|source| EquipmentError::Files {
                device: format!("device number {} of the list", ix.0 + 1),
                source,
            })?;
            let kit = &mut self.0[ix.get()];
            let made = kit.take().map(|made| made.fresh);
            *kit = Some(Box::new(Kit {
                identity,
                files: Some(files.clone()),
                fresh: made.unwrap_or_default(),
            }));
        }
        Ok(())
    }

    /// Writes what was made into a directory, each device's by its number in the list.
    pub(super) fn write(&mut self, dir: &Path) -> Result<(), EquipmentError> {
        let has_made =
            |kit: &Kit| kit.files.is_none() || kit.fresh.iter().any(|(_, kit)| kit.files.is_none());
        if !self.0.iter().flatten().any(|kit| has_made(kit)) {
            return Ok(());
        }
        std::fs::create_dir_all(dir).map_err(|source| EquipmentError::Directory {
            path: dir.to_owned(),
            source,
        })?;
        for (kit, number) in self.0.iter_mut().zip(1u32..) {
            if let Some(kit) = kit.as_mut().filter(|kit| has_made(kit)) {
                let whose = |source| pki(format!("device {number} of the list"), source);
                if kit.files.is_none() {
                    let written = kit.identity.write(dir, &format!("{number:07}"));
                    kit.files = Some(written.map_err(whose)?);
                }
                for (nth, (_, kit)) in (2u32..).zip(&mut kit.fresh) {
                    let written = kit.identity.write(dir, &format!("{number:07}-{nth}"));
                    kit.files = Some(written.map_err(whose)?);
                }
            }
        }
        Ok(())
    }

    pub(super) fn kit(&self, ix: DeviceIx) -> Option<&Kit> {
        self.0.get(ix.get())?.as_deref()
    }

    /// What the event of that number brings the device.
    pub(super) fn fresh(&self, ix: DeviceIx, event: u32) -> Option<&Kit> {
        let mut fresh = self.kit(ix)?.fresh.iter();
        fresh
            .find(|(number, _)| *number == event)
            .map(|(_, kit)| kit)
    }

    /// The device's kit with that certificate, as ThingsBoard stores it.
    pub(super) fn kit_with(&self, ix: DeviceIx, certificate: &str) -> Option<&Kit> {
        let first = self.kit(ix)?;
        let fresh = first.fresh.iter().map(|(_, kit)| kit);
        std::iter::once(first)
            .chain(fresh)
            .find(|kit| kit.identity.leaf_base64() == certificate)
    }
}

/// What is needed for a cohort's further certificates.
struct Renewal<'a> {
    plan: &'a Plan,
    inventory: &'a Inventory,
    recipe: &'a Recipe,
    progress: &'a (dyn Fn(usize, usize) + Sync),
}

impl Renewal<'_> {
    /// Makes a certificate for each time that an event rotates one, by the first one's recipe and
    /// common name.
    fn renew(
        &self,
        devices: &[DeviceIx],
        common_names: &[String],
        kits: &mut [Option<Box<Kit>>],
    ) -> Result<(), EquipmentError> {
        let rotates = |event: &&Event| event.kind == EventKind::Rotate;
        let rotations: Vec<_> = self.plan.life.events.iter().filter(rotates).collect();
        for event in &rotations {
            let struck = devices.iter().zip(common_names);
            let struck = struck.filter(|(ix, _)| event.strikes(self.inventory.name(**ix)));
            let (struck, names): (Vec<&DeviceIx>, Vec<&String>) = struck.unzip();
            let all = names.len();
            let told = |done| (self.progress)(done, all);
            let made = make_all(self.recipe, &names, self.plan.limits.workers, told);
            let made = made.map_err(|(n, source)| {
                let name = self.inventory.name(*struck[n]);
                pki(format!("device `{name}`"), source)
            })?;
            for (ix, identity) in struck.into_iter().zip(made) {
                let kit = kits[ix.get()].as_mut().expect("made before");
                kit.fresh.push((event.number, Kit::made(identity)));
            }
        }
        for ix in devices {
            let kit = kits[ix.get()].as_mut().expect("made before");
            let name = self.inventory.name(*ix);
            let moment = |number: u32| {
                let event = rotations.iter().find(|event| event.number == number);
                event.map(|event| event.moment(name))
            };
            kit.fresh
                .sort_by_key(|(number, _)| (moment(*number), *number));
        }
        Ok(())
    }
}

/// The common names of chains so far, by profile.
#[derive(Default)]
struct Namesakes(HashMap<(usize, String), DeviceIx>);

impl Namesakes {
    /// Refuses a second device of a common name, unless nobody is to be let in by it.
    fn refuse(
        &mut self,
        inventory: &Inventory,
        cohort: &Cohort,
        devices: &[DeviceIx],
        names: &[String],
    ) -> Result<(), EquipmentError> {
        let by_chain = matches!(cohort.credentials, CredentialsPlan::X509Chain(_));
        if !by_chain || cohort.expected() != Expectation::Provisioned {
            return Ok(());
        }
        for (ix, name) in devices.iter().zip(names) {
            if let Some(first) = self.0.insert((cohort.profile, name.clone()), *ix) {
                return Err(EquipmentError::Namesakes {
                    first: inventory.name(first).to_owned(),
                    second: inventory.name(*ix).to_owned(),
                    common_name: name.clone(),
                });
            }
        }
        Ok(())
    }
}

fn recipe(cohort: &Cohort, signer: Option<Arc<Authority>>, kind: KeyKind, days: u32) -> Recipe {
    let validity = if cohort.misbehaviour == Some(Misbehaviour::ExpiredCertificate) {
        Validity::expired()
    } else {
        Validity::days(days)
    };
    match signer {
        Some(authority) => Recipe::Chain {
            authority,
            kind,
            validity,
        },
        None => Recipe::SelfSigned { kind, validity },
    }
}

fn read(
    inventory: &Inventory,
    ix: DeviceIx,
    certificate: &Template,
    key: &Template,
) -> Result<Kit, EquipmentError> {
    let certificate_file = PathBuf::from(render(certificate, inventory, ix)?);
    let key_file = PathBuf::from(render(key, inventory, ix)?);
    let identity = Identity::from_files(&certificate_file, &key_file).map_err(|source| {
        let (name, number) = (inventory.name(ix), ix.0 + 1);
        EquipmentError::Files {
            device: format!("device `{name}` (number {number} of the list)"),
            source,
        }
    })?;
    Ok(Kit {
        files: Some((certificate_file, key_file)),
        ..Kit::made(identity)
    })
}

fn render(
    template: &Template,
    inventory: &Inventory,
    ix: DeviceIx,
) -> Result<String, EquipmentError> {
    template
        .render(inventory, ix)
        .map_err(|error| EquipmentError::Template {
            name: inventory.name(ix).to_owned(),
            why: error.to_string(),
        })
}

/// A root and an authority below it, for one run.
fn made(whose: &str) -> Result<Arc<Authority>, EquipmentError> {
    let validity = Validity::days(AUTHORITY_DAYS);
    let kind = KeyKind::default();
    Authority::root(&format!("{whose} root"), kind, validity)
        .and_then(|root| root.intermediate(&format!("{whose} devices"), kind, validity))
        .map(Arc::new)
        .map_err(|source| pki(format!("the {whose} authority"), source))
}

fn pki(what: String, source: PkiError) -> EquipmentError {
    EquipmentError::Pki { what, source }
}

/// As long as the longest-lived device certificate.
const AUTHORITY_DAYS: u32 = 36_500;

const END: &str = "-----END CERTIFICATE-----\n";
