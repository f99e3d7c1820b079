//! What the three transports share: the devices, the rules, the faults and the counts. Every call
//! returns at once; how long an answer is held back is part of the answer, and waiting is the
//! transport's business.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use secrecy::ExposeSecret;
use serde_json::{Map, Value};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::accounts::Accounts;
use super::administered::now;
use super::answer::Answer;
use super::attributes::Asked;
use super::bugs::Bugs;
use super::chain::Chains;
use super::config::{Listed, TargetConfig, TargetError};
use super::counts::{Tally, add, bump};
use super::credentials::Stored;
use super::device::Device;
use super::faults::{Fate, Key, Load, Switch, Trouble, noise};
use super::gson::Node;
use super::pending::Pending;
use super::profiles::Profiles;
use super::registry::{Registry, Taken};
use super::request::Request;
use super::rules::{Rules, drawn_token, unacceptable};
use super::store::{Row, Store};
use super::telemetry::{Bad, Reading, attributes, claim, parse, readings, telemetry};
use crate::model::{FaultPhase, RpcAnswer};

/// The shared side of a target.
pub(super) struct Backend {
    pub(super) config: TargetConfig,
    pub(super) registry: Registry,
    pub(super) profiles: Profiles,
    pub(super) accounts: Accounts,
    pub(super) tally: Tally,
    pub(super) chains: Chains,
    pub(super) faults: Switch,
    /// Provision requests over MQTT that wait for their answer.
    pub(super) mqtt_pending: Arc<Pending>,
    /// Calls of server-side RPC that wait.
    pub(super) calls: Arc<Pending>,
    /// Told when connections begin to wait for want of file descriptors.
    pub(super) out_of_files: Notify,
    bugs: Bugs,
    serial: AtomicU64,
}

/// What a transport does about a provision request.
pub(super) enum Decision {
    /// Answer, after this long.
    Answer(Answer, Duration),
    /// The core gives no answer: show the transport's error after this long.
    Error(Duration),
    /// Say nothing and keep the connection.
    Silence,
    /// Close the connection and say nothing.
    Disconnect,
    /// Reset the connection.
    Reset,
    /// Say nothing ever again on this connection.
    HalfOpen,
}

impl Backend {
    /// Lists the devices; fails if the list contradicts itself.
    pub(super) fn new(mut config: TargetConfig) -> Result<Arc<Self>, TargetError> {
        if !config.faults.are_sound() {
            return Err(TargetError::FaultShares);
        }
        config.limits = config.limits_of_release();
        let chains = Chains::prepare(&mut config.profiles)?;
        let mut keys = HashSet::new();
        for profile in &config.profiles {
            if !keys.insert(profile.key.expose_secret()) {
                return Err(TargetError::DuplicateKey(profile.name.clone()));
            }
        }
        let registry = registry(&mut config)?;
        Ok(Arc::new(Self {
            faults: Switch::new(std::mem::take(&mut config.faults), config.seed),
            bugs: Bugs::new(&config.bugs),
            profiles: Profiles::new(config.profiles.clone()),
            accounts: Accounts::new(config.rest.clone()),
            registry,
            tally: Tally::default(),
            chains,
            mqtt_pending: Pending::new(config.limits.pending),
            calls: Pending::new(config.limits.pending),
            out_of_files: Notify::new(),
            serial: AtomicU64::new(0),
            config,
        }))
    }

    /// Decides on a provision request, and carries it out.
    pub(super) fn provision(&self, request: &Request) -> Decision {
        bump(&self.tally.provision_requests);
        let trouble = self
            .faults
            .trouble(FaultPhase::Provision, Key::Name(&request.name));
        let Trouble { fate, delay } = trouble.unwrap_or_default();
        let delay = delay.max(self.bugs.at_least());
        match fate {
            Fate::Disconnected => {
                bump(&self.tally.faults_disconnected);
                return Decision::Disconnect;
            }
            Fate::Refused => {
                bump(&self.tally.faults_refused);
                bump(&self.tally.refused);
                return Decision::Answer(Answer::Failure, delay);
            }
            Fate::Reset => {
                self.tally.fault(fate);
                return Decision::Reset;
            }
            Fate::Silent => {
                self.tally.fault(fate);
                return Decision::HalfOpen;
            }
            Fate::Lost => bump(&self.tally.faults_lost),
            Fate::Garbage => self.tally.fault(fate),
            Fate::Served => {}
        }
        let delay = delay + self.faults.queued();
        let profiles = self.profiles.now();
        let rules = Rules {
            config: &self.config,
            profiles: &profiles,
            registry: &self.registry,
            racing: self.bugs.racing(&request.name, Instant::now()),
            serial: self.serial.fetch_add(1, Relaxed),
        };
        let answer = rules
            .decide(request)
            .map(|answer| self.bugs.answered(answer));
        match &answer {
            Some(answer) if answer.is_success() => bump(&self.tally.provisioned),
            Some(_) => bump(&self.tally.refused),
            None => bump(&self.tally.core_timeouts),
        }
        match (fate, answer) {
            (Fate::Lost, _) => Decision::Silence,
            (Fate::Garbage, _) => {
                let noise = noise(self.config.seed, &request.name);
                Decision::Answer(Answer::Noise(noise), delay)
            }
            (_, Some(answer)) => Decision::Answer(answer, delay),
            (_, None) => Decision::Error(self.config.core_timeout),
        }
    }

    /// Whether a request to the REST API is to be answered 503, as configured.
    pub(super) fn rest_unavailable(&self) -> bool {
        let share = self.accounts.rest().unavailable;
        share > 0.0 && self.faults.once(share, self.serial.fetch_add(1, Relaxed))
    }

    /// Takes a telemetry message in.
    pub(super) fn telemetry(&self, device: &Device, payload: &[u8]) -> Result<Reading, Bad> {
        let reading = self.judged(telemetry(payload))?;
        self.read(device, reading, payload)
    }

    /// Takes telemetry in that is a part of a message.
    pub(super) fn readings(&self, device: &Device, part: &Node) -> Result<Reading, Bad> {
        let reading = self.judged(readings(part))?;
        let mut text = String::new();
        part.write(&mut text);
        self.read(device, reading, text.as_bytes())
    }

    fn read(&self, device: &Device, reading: Reading, payload: &[u8]) -> Result<Reading, Bad> {
        if let Reading::Points(points) = reading {
            self.pass(device, Load::Telemetry(points))?;
        }
        if let Reading::Points(points) = reading {
            device.telemetry_messages.fetch_add(1, Relaxed);
            let kept = if payload.len() <= LATEST {
                payload
            } else {
                &[]
            };
            device.live().latest = Some((now(), kept.into()));
            bump(&self.tally.telemetry_messages);
            add(&self.tally.telemetry_points, points);
        }
        Ok(reading)
    }

    /// Takes client attributes in.
    pub(super) fn attributes(&self, device: &Device, payload: &[u8]) -> Result<(), Bad> {
        self.attributes_of(device, &self.judged(parse(payload))?)
    }

    /// Takes client attributes in that are a part of a message.
    pub(super) fn attributes_of(&self, device: &Device, part: &Node) -> Result<(), Bad> {
        let values = self.judged(attributes(part))?;
        self.pass(device, Load::Telemetry(values.len() as u64))?;
        bump(&self.tally.attribute_messages);
        let mut live = device.live();
        live.attributes.get_or_insert_default().merge(values);
        Ok(())
    }

    /// Takes a claim in: an object, or nothing at all.
    pub(super) fn claim(&self, payload: &[u8]) -> Result<(), Bad> {
        if payload.is_empty() {
            bump(&self.tally.claims);
            return Ok(());
        }
        self.claim_of(&self.judged(parse(payload))?)
    }

    /// Takes a claim in that is a part of a message.
    pub(super) fn claim_of(&self, part: &Node) -> Result<(), Bad> {
        self.judged(claim(part))?;
        bump(&self.tally.claims);
        Ok(())
    }

    /// What a device's call is answered with at once; `None` if nothing answers it.
    pub(super) fn answer_to(&self, method: &str, params: &Node) -> Option<String> {
        bump(&self.tally.client_rpcs);
        let answer = match self.config.rpc.0.get(method)? {
            RpcAnswer::Fixed(json) => json.clone(),
            RpcAnswer::Echo => {
                let mut json = String::new();
                params.write(&mut json);
                json
            }
        };
        bump(&self.tally.client_rpcs_answered);
        Some(answer)
    }

    /// The device of a name that a gateway speaks for, made of this type if there is none; `None`
    /// if it cannot be made.
    pub(super) fn behind_gateway(&self, name: &str, kind: &str) -> Option<Arc<Device>> {
        let found = self.registry.by_name(name);
        if found.is_some() {
            return found;
        }
        let bad = |text: &str| text.trim().is_empty() || unacceptable(text);
        if bad(name) || bad(kind) || self.is_full() {
            return None;
        }
        let profile = self.profiles.named(kind)?;
        let credentials = drawn_token(self.config.seed, name);
        let device = Device::new(name, credentials, false, profile, false);
        match self.registry.create(device) {
            Ok(device) => Some(device),
            // Another gateway was faster.
            Err(Taken::Name) => self.registry.by_name(name),
            Err(Taken::Credentials) => None,
        }
    }

    /// Whether the tenant may have no more devices.
    pub(super) fn is_full(&self) -> bool {
        let most = self.accounts.rest().max_devices;
        most > 0 && self.registry.len() >= most
    }

    /// Answers an attribute request; empty if nothing is known.
    pub(super) fn asked(device: &Device, asked: &Asked) -> Map<String, Value> {
        let live = device.live();
        let shared = live.administered.as_deref().map(|held| &held.shared);
        asked.answer(live.attributes.as_deref(), shared)
    }

    /// Takes a message's share of the rate limits, if they have it.
    pub(super) fn pass(&self, device: &Device, load: Load) -> Result<(), Bad> {
        if !self.faults.are_on() || self.faults.pass(device.serial, load) {
            return Ok(());
        }
        bump(&self.tally.rate_limited);
        Err(Bad::Limited)
    }

    /// What becomes of a telemetry or attribute message.
    pub(super) fn trouble(&self, device: &Device) -> Option<Trouble> {
        let trouble = self
            .faults
            .trouble(FaultPhase::Telemetry, Key::Name(&device.name))?;
        self.tally.fault(trouble.fate);
        Some(trouble)
    }

    /// How long a message down to a device is held back; `None` if it never leaves.
    pub(super) fn held_back(&self, device: &Device) -> Option<Duration> {
        let key = Key::Name(&device.name);
        let trouble = self.faults.trouble(FaultPhase::Downlink, key);
        let Trouble { fate, delay } = trouble.unwrap_or_default();
        if fate == Fate::Lost {
            bump(&self.tally.faults_undelivered);
            return None;
        }
        Some(delay)
    }

    /// Counts a payload that was not accepted.
    pub(super) fn judged<T>(&self, judgement: Result<T, Bad>) -> Result<T, Bad> {
        if judgement.is_err() {
            bump(&self.tally.bad_payloads);
        }
        judgement
    }
}

/// The longest telemetry message that is kept for REST, bytes.
const LATEST: usize = 512;

/// The devices that are there before anything is sent.
fn registry(config: &mut TargetConfig) -> Result<Registry, TargetError> {
    let mut registry = Registry::new();
    let (store, rows) = match &config.registry {
        None => (None, Vec::new()),
        Some(path) => {
            let opened = Store::open(path).map_err(|source| TargetError::Registry {
                path: path.clone(),
                source,
            });
            opened.map(|(store, rows)| (Some(store), rows))?
        }
    };
    let profiles = config.profiles.len();
    // The last line of a name holds.
    let last: HashMap<&str, &Row> = rows.iter().map(|row| (row.name.as_str(), row)).collect();
    let kept = rows
        .iter()
        .filter(|row| std::ptr::eq(last[row.name.as_str()], *row));
    let kept = kept.filter_map(|row| {
        let credentials = row.credentials()?;
        Some(Listed {
            name: row.name.clone(),
            profile: usize::from(row.profile),
            credentials: Some(credentials),
            gateway: row.gateway,
            provisioned: row.provisioned,
        })
    });
    let listed = std::mem::take(&mut config.devices);
    let listed = listed
        .into_iter()
        .filter(|listed| !last.contains_key(listed.name.as_str()));
    for listed in kept.chain(listed) {
        let credentials = match &listed.credentials {
            Some(credentials) => Stored::listed(credentials)
                .map_err(|_| TargetError::Credentials(listed.name.clone()))?,
            None => drawn_token(config.seed, &listed.name),
        };
        let profile = u16::try_from(listed.profile)
            .ok()
            .filter(|position| usize::from(*position) < profiles);
        let Some(profile) = profile else {
            return Err(TargetError::NoProfile(listed.name));
        };
        let device = Device::new(
            &listed.name,
            credentials,
            listed.gateway,
            profile,
            listed.provisioned,
        );
        registry.create(device).map_err(|taken| match taken {
            Taken::Name => TargetError::DuplicateName(listed.name.clone()),
            Taken::Credentials => TargetError::DuplicateToken(listed.name.clone()),
        })?;
    }
    if let Some(store) = store {
        registry.keep_in(store);
    }
    Ok(registry)
}
