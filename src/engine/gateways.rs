//! What is behind gateways, tried before the first packet: names that are names and nobody else's,
//! and messages that a server takes.

use std::borrow::Cow;
use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

use super::fleet::{Fleet, FleetError};
use crate::dialect::{BODY_LIMIT, part_overhead};
use crate::inventory::{Speaker, fault_of_name};
use crate::model::DeviceIx;
use crate::payload::{Payload, Proof, Section};
use crate::scenario::GatewayPlan;

impl Fleet {
    /// Tries each payload with everybody who is to send it, and whoever is behind a gateway.
    pub(super) fn prove_speakers(&self) -> Result<(), FleetError> {
        let (plan, list) = (&self.plan, &self.inventory);
        let mut proofs = Vec::new();
        if let Some(telemetry) = &plan.telemetry {
            proofs.push(telemetry.payload.proof(list, Section::Telemetry));
            let attributes = telemetry.attributes.as_ref();
            proofs.extend(attributes.map(|payload| payload.proof(list, Section::Attributes)));
        }
        let pushes = plan.pushes.iter();
        proofs.extend(pushes.map(|push| push.payload.proof(list, Section::Push)));
        let downlink = plan.downlink.as_ref();
        let request = downlink.and_then(|plan| plan.request.as_ref());
        let mut request = request.map(|plan| plan.params.proof(list, Section::Request));
        let mut behind = Behind::new(self)?;
        // Those of other shards, too: what is wrong with the whole run is wrong with each.
        for ix in self.listed() {
            match &self.cohort(ix).gateway {
                Some(gateway) => behind.prove(ix, gateway, &mut proofs)?,
                None => {
                    for proof in proofs.iter_mut().chain(&mut request) {
                        proof.of(&Speaker::listed(&self.inventory, ix))?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// All names of a run, and how long messages become.
struct Behind<'f> {
    fleet: &'f Fleet,
    /// By the hash of its name, each device: the listed one and its position behind it, if it has
    /// one. Empty where there are no gateways.
    taken: HashTable<(u32, u32)>,
    hasher: RandomState,
    /// For each cohort, the most bytes of a payload: of telemetry and of attributes.
    longest: Vec<Option<[usize; 2]>>,
}

impl<'f> Behind<'f> {
    fn new(fleet: &'f Fleet) -> Result<Self, FleetError> {
        let cohorts = &fleet.plan.cohorts;
        let gateways = fleet
            .listed()
            .filter_map(|ix| fleet.cohort(ix).gateway.as_ref());
        let behind: u64 = gateways.map(|plan| u64::from(plan.devices)).sum();
        if behind > MOST {
            return Err(FleetError::TooManyBehind(behind));
        }
        let mut names = Self {
            fleet,
            taken: HashTable::new(),
            hasher: RandomState::new(),
            longest: vec![None; cohorts.len()],
        };
        if behind > 0 {
            let all = behind + fleet.inventory.len() as u64;
            // With room for all from the start, no name is worked out twice.
            let room = usize::try_from(all).expect("checked above");
            names.taken = HashTable::with_capacity(room);
            for ix in fleet.listed() {
                let hash = names.hasher.hash_one(fleet.name(ix));
                names.taken.insert_unique(hash, (ix.0, LISTED), |_| hash);
            }
        }
        Ok(names)
    }

    /// Tries what is behind a gateway.
    fn prove(
        &mut self,
        gateway: DeviceIx,
        plan: &GatewayPlan,
        proofs: &mut [Proof<'_>],
    ) -> Result<(), FleetError> {
        let names = self.names(gateway, plan)?;
        for (sub, name) in (0..).zip(&names) {
            let speaker = Speaker::behind(&self.fleet.inventory, gateway, name, sub);
            proofs.iter_mut().try_for_each(|proof| proof.of(&speaker))?;
        }
        self.prove_sizes(gateway, plan, &names)
    }

    /// The names behind a gateway, each a name and nobody else's.
    fn names(&mut self, gateway: DeviceIx, plan: &GatewayPlan) -> Result<Vec<String>, FleetError> {
        let fleet = self.fleet;
        let fault = |what: String| fleet.fault_behind(gateway, what, NAME_HELP);
        let mut names = Vec::with_capacity(plan.devices as usize);
        for sub in 0..plan.devices {
            let name = plan.name_of(&fleet.inventory, gateway, sub);
            let name = name.map_err(|e| fault(format!("no name for what is behind it: {e}")))?;
            if let Some((what, _)) = fault_of_name(&name) {
                return Err(fault(format!(
                    "what is behind it has no sound name: {what}"
                )));
            }
            let hash = self.hasher.hash_one(&name);
            let same = |(ix, sub): &(u32, u32)| {
                let sub = Some(*sub).filter(|sub| *sub != LISTED);
                fleet.name_of(DeviceIx(*ix), sub).as_deref() == Some(name.as_str())
            };
            if let Some(taken) = self.taken.find(hash, same) {
                let whose = match *taken {
                    (ix, LISTED) => format!("number {} of the list", ix + 1),
                    (ix, sub) => {
                        let other = fleet.name(DeviceIx(ix));
                        format!("number {sub} behind `{other}`")
                    }
                };
                let what = format!("number {sub} behind it is called `{name}`, as is {whose}");
                return Err(fault(what));
            }
            let own = (gateway.0, sub);
            self.taken.insert_unique(hash, own, |_| hash);
            names.push(name);
        }
        Ok(names)
    }

    /// Whether servers take the messages that they share.
    fn prove_sizes(
        &mut self,
        gateway: DeviceIx,
        plan: &GatewayPlan,
        names: &[String],
    ) -> Result<(), FleetError> {
        let fleet = self.fleet;
        let cohort = fleet.cohort_ix(gateway).get();
        let longest = match self.longest[cohort] {
            Some(longest) => longest,
            None => self.measure(gateway, names)?,
        };
        self.longest[cohort] = Some(longest);
        for (what, payload) in ["telemetry", "attributes"].into_iter().zip(longest) {
            if payload == 0 {
                continue;
            }
            let part = |name: &String| part_overhead(name) + payload;
            for sharing in names.chunks(plan.per_message as usize) {
                let body = "{}".len() + sharing.iter().map(part).sum::<usize>();
                if body <= BODY_LIMIT {
                    continue;
                }
                let most = sharing.iter().map(part).max().unwrap_or(1);
                let help = match BODY_LIMIT.saturating_sub("{}".len()) / most {
                    0 => "send less".to_owned(),
                    fit => format!("take `per_message = {fit}` or less, or send less"),
                };
                let found = format!(
                    "its message of {} devices' {what} takes up to {body} bytes, and servers take \
                     {BODY_LIMIT}",
                    sharing.len()
                );
                return Err(fleet.fault_behind(gateway, found, &help));
            }
        }
        Ok(())
    }

    /// The most bytes of what each says; where that depends on the device, of these ones' first
    /// messages.
    fn measure(&self, gateway: DeviceIx, names: &[String]) -> Result<[usize; 2], FleetError> {
        let Some(telemetry) = &self.fleet.plan.telemetry else {
            return Ok([0, 0]);
        };
        let measure = |payload: &Payload, section| {
            if let Some(longest) = payload.longest() {
                return Ok(longest);
            }
            let mut longest = 0;
            for (sub, name) in (0..).zip(names) {
                let speaker = Speaker::behind(&self.fleet.inventory, gateway, name, sub);
                let message = payload.proven(&speaker, section)?;
                longest = longest.max(message.len());
            }
            Ok::<_, FleetError>(longest)
        };
        let attributes = telemetry.attributes.as_ref();
        Ok([
            measure(&telemetry.payload, Section::Telemetry)?,
            attributes.map_or(Ok(0), |payload| measure(payload, Section::Attributes))?,
        ])
    }
}

impl Fleet {
    /// The name of a listed device, or of one behind it; `None`: there is none.
    pub(super) fn name_of(&self, ix: DeviceIx, sub: Option<u32>) -> Option<Cow<'_, str>> {
        let Some(sub) = sub else {
            return Some(self.name(ix).into());
        };
        let plan = self.cohort(ix).gateway.as_ref()?;
        plan.name_of(&self.inventory, ix, sub).ok().map(Cow::Owned)
    }

    fn fault_behind(&self, gateway: DeviceIx, what: String, help: &str) -> FleetError {
        FleetError::Behind {
            name: self.name(gateway).to_owned(),
            number: gateway.0 + 1,
            what,
            help: help.to_owned(),
        }
    }
}

/// In place of a position behind a gateway.
const LISTED: u32 = u32::MAX;

/// Devices behind all gateways of a run.
const MOST: u64 = 10_000_000;

const NAME_HELP: &str = "change `name` in [cohort.gateway]: each device needs one of its own";
