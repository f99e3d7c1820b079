//! `fleetcall target --config TARGET.toml`: what a target is started with, as a file.
//!
//! docs/target.md explains every key. Faults come with file, line and column; the text of a
//! provision key or secret is in none of them. What the command line says comes on top, in
//! `target`.

use std::collections::HashSet;
use std::fmt::Display;
use std::fs;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroU64};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::de::{Error as _, IgnoredAny};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::Failure;
use super::target_list::listed;
use crate::model::{Faults, Release, Strategy, TransportKind};
use crate::pki::Identity;
use crate::scenario::{Diagnostics, target_faults, target_rpc};
use crate::target::{Chain, Listed, Profile, Repeat, Rest, TargetConfig};

/// The provision key and secret of a single profile that has none of its own.
pub(super) struct Fallback {
    pub(super) key: SecretString,
    pub(super) secret: SecretString,
}

impl Fallback {
    /// A target's configuration without a file: one profile.
    pub(super) fn alone(self) -> TargetConfig {
        TargetConfig {
            profiles: vec![Profile {
                key: self.key,
                secret: self.secret,
                ..Profile::default()
            }],
            ..TargetConfig::default()
        }
    }
}

/// Reads a file, and the files that it names.
pub(super) fn read(path: &Path, fallback: Fallback) -> Result<TargetConfig, Failure> {
    let text = fs::read_to_string(path).map_err(|error| {
        Failure::usage(format!(
            "{}: cannot be read: {error}\nhelp: give the path from the working directory",
            path.display()
        ))
    })?;
    let source = Source { path, text: &text };
    let file: File = toml::from_str(&text)
        .map_err(|error| source.fault(error.span().unwrap_or(0..0), error.message()))?;
    file.configure(&source, fallback)
}

/// Reads the faults of a file again, once it runs. The rest of the file must be TOML, no more.
pub(super) fn read_faults(path: &Path) -> Result<Faults, Failure> {
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("{}: cannot be read: {error}", path.display())))?;
    faults_of(path, &text)
}

fn faults_of(path: &Path, text: &str) -> Result<Faults, Failure> {
    target_faults(path, text).map_err(|faults| told(&faults))
}

fn told(faults: &Diagnostics) -> Failure {
    Failure::usage(format!("{faults}\nhelp: docs/target.md explains every key"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    seed: Option<u64>,
    release: Option<Release>,
    repeat_provisioning: Option<Repeat>,
    #[serde(default)]
    skip_validity_check: bool,
    #[serde(default)]
    listen: Listen,
    tls: Option<Spanned<Tls>>,
    /// Read apart, by what reads a scenario's.
    faults: Option<IgnoredAny>,
    /// Read apart as well.
    rpc: Option<IgnoredAny>,
    #[serde(default)]
    limits: Bounds,
    rest: Option<Spanned<RestApi>>,
    #[serde(default)]
    profile: Vec<Spanned<DeviceProfile>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Listen {
    mqtt: Option<SocketAddr>,
    mqtts: Option<SocketAddr>,
    http: Option<SocketAddr>,
    https: Option<SocketAddr>,
    coap: Option<SocketAddr>,
    coaps: Option<SocketAddr>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tls {
    certificate: PathBuf,
    key: PathBuf,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Bounds {
    core_timeout: Option<Time<1>>,
    after_answer: Option<Time<1>>,
    inactivity: Option<Time<1>>,
    http_async: Option<Time<1>>,
    client_rpc: Option<Time<1>>,
    rpc_timeout: Option<Time<1>>,
    rpc_timeout_min: Option<Time<1>>,
    http_idle: Option<Time<1>>,
    pending: Option<NonZeroU32>,
    mqtt_packet: Option<NonZeroU32>,
    http_body: Option<NonZeroU64>,
    http_rpc_body: Option<NonZeroU64>,
    coap_exchanges: Option<NonZeroU32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RestApi {
    username: Option<String>,
    password: Option<Secret>,
    api_key: Option<Secret>,
    token_life: Option<Time<1000>>,
    max_devices: Option<NonZeroU64>,
    #[serde(default)]
    unavailable: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeviceProfile {
    name: Option<String>,
    #[serde(default)]
    strategy: Strategy,
    provision_key: Option<Secret>,
    provision_secret: Option<Secret>,
    provision_secret_file: Option<PathBuf>,
    devices: Option<PathBuf>,
    ca: Option<PathBuf>,
    name_pattern: Option<String>,
    allow_create: Option<bool>,
}

impl File {
    fn configure(self, source: &Source<'_>, fallback: Fallback) -> Result<TargetConfig, Failure> {
        let mut config = if self.profile.is_empty() {
            fallback.alone()
        } else {
            let (profiles, devices) = profiles(self.profile, source, &fallback)?;
            TargetConfig {
                profiles,
                devices,
                ..TargetConfig::default()
            }
        };
        config.seed = self.seed.unwrap_or(config.seed);
        config.release = self.release.unwrap_or(config.release);
        config.repeat_provisioning = self.repeat_provisioning;
        config.skip_validity_check = self.skip_validity_check;
        if let Some(tls) = self.tls {
            let Tls { certificate, key } = tls.get_ref();
            let identity = Identity::from_files(certificate, key)
                .map_err(|error| source.fault(tls.span(), error))?;
            config.identity = Some(identity);
        }
        if self.faults.is_some() {
            config.faults = faults_of(source.path, source.text)?;
        }
        if self.rpc.is_some() {
            config.rpc = target_rpc(source.path, source.text).map_err(|faults| told(&faults))?;
        }
        if let Some(rest) = self.rest {
            let span = rest.span();
            rest.into_inner()
                .apply(&mut config.rest)
                .ok_or_else(|| source.fault(span, SHARE))?;
        }
        self.limits.apply(&mut config);
        self.listen.apply(&mut config);
        Ok(config)
    }
}

impl Listen {
    fn apply(self, config: &mut TargetConfig) {
        for (kind, addr) in [
            (TransportKind::Mqtt, self.mqtt),
            (TransportKind::Mqtts, self.mqtts),
            (TransportKind::Http, self.http),
            (TransportKind::Https, self.https),
            (TransportKind::Coap, self.coap),
            (TransportKind::Coaps, self.coaps),
        ] {
            if let Some(addr) = addr {
                config.listen(kind, addr);
            }
        }
    }
}

impl RestApi {
    /// `None` if the share is none.
    fn apply(self, rest: &mut Rest) -> Option<()> {
        rest.username = self.username.unwrap_or_else(|| rest.username.clone());
        rest.password = self
            .password
            .map_or_else(|| rest.password.clone(), |told| told.0);
        rest.api_key = self.api_key.map(|told| told.0);
        rest.token_life = self.token_life.map_or(rest.token_life, |time| time.0);
        rest.max_devices = self.max_devices.map_or(0, NonZeroU64::get);
        rest.unavailable = self.unavailable;
        (0.0..=1.0).contains(&self.unavailable).then_some(())
    }
}

impl Bounds {
    fn apply(self, config: &mut TargetConfig) {
        let limits = &mut config.limits;
        for (slot, told) in [
            (&mut config.core_timeout, self.core_timeout),
            (&mut limits.after_answer, self.after_answer),
            (&mut limits.inactivity, self.inactivity),
            (&mut limits.http_async, self.http_async),
            (&mut limits.client_rpc, self.client_rpc),
            (&mut limits.rpc_timeout, self.rpc_timeout),
            (&mut limits.rpc_timeout_min, self.rpc_timeout_min),
            (&mut limits.http_idle, self.http_idle),
        ] {
            *slot = told.map_or(*slot, |time| time.0);
        }
        for (slot, told) in [
            (&mut limits.pending, self.pending),
            (&mut limits.mqtt_packet, self.mqtt_packet),
            (&mut limits.coap_exchanges, self.coap_exchanges),
        ] {
            *slot = told.map_or(*slot, |count| count.get() as usize);
        }
        for (slot, told) in [
            (&mut limits.http_body, self.http_body),
            (&mut limits.http_rpc_body, self.http_rpc_body),
        ] {
            *slot = told.map_or(*slot, NonZeroU64::get);
        }
    }
}

/// All profiles, and the devices of their lists.
fn profiles(
    told: Vec<Spanned<DeviceProfile>>,
    source: &Source<'_>,
    fallback: &Fallback,
) -> Result<(Vec<Profile>, Vec<Listed>), Failure> {
    let alone = told.len() == 1;
    let (mut profiles, mut devices) = (Vec::new(), Vec::new());
    let (mut names, mut keys) = (HashSet::new(), HashSet::new());
    for (at, told) in told.into_iter().enumerate() {
        let span = told.span();
        let told = told.into_inner();
        let own = told.has_key();
        let list = told.devices.clone();
        let profile = told
            .configure(alone.then_some(fallback))
            .map_err(|fault| source.fault(span.clone(), fault))?;
        if !names.insert(profile.name.clone()) {
            let fault = format!("there are two profiles named {:?}", profile.name);
            return Err(source.fault(span, fault));
        }
        if own && !keys.insert(profile.key.expose_secret().to_owned()) {
            let fault = format!("profile {:?}: {SAME_KEY}", profile.name);
            return Err(source.fault(span, fault));
        }
        profiles.push(profile);
        if let Some(list) = list {
            devices.extend(listed(&list, at)?);
        }
    }
    Ok((profiles, devices))
}

impl DeviceProfile {
    /// Whether requests find it by a key that the file states.
    fn has_key(&self) -> bool {
        self.provision_key.is_some()
    }

    fn configure(self, fallback: Option<&Fallback>) -> Result<Profile, String> {
        let name = match (self.name, fallback) {
            (Some(name), _) if !name.is_empty() => name,
            (None, Some(_)) => Profile::default().name,
            _ => return Err(NAMELESS.to_owned()),
        };
        let fault = |what: &str| format!("profile {name:?}: {what}");
        let by_chain = self.strategy == Strategy::X509Chain;
        let chain_keys = self.ca.is_some() || self.name_pattern.is_some();
        if !by_chain && (chain_keys || self.allow_create.is_some()) {
            return Err(fault(CHAIN_ONLY));
        }
        let secret = match (self.provision_secret, self.provision_secret_file) {
            (Some(_), Some(_)) => return Err(fault(TWO_SECRETS)),
            (Some(Secret(secret)), None) => Some(secret),
            (None, Some(file)) => Some(secret_of(&file).map_err(|what| fault(&what))?),
            (None, None) => None,
        };
        let key = self.provision_key.map(|Secret(key)| key);
        if by_chain {
            if key.is_some() || secret.is_some() {
                return Err(fault(KEY_OF_A_CHAIN));
            }
            let ca = self.ca.ok_or_else(|| fault(NO_CA))?;
            let certificates = fs::read_to_string(&ca)
                .map_err(|error| fault(&format!("{}: {error}", ca.display())))?;
            return Ok(Profile {
                strategy: self.strategy,
                chain: Some(Chain {
                    certificates,
                    name_pattern: self.name_pattern.unwrap_or_else(|| "(.+)".to_owned()),
                    allow_create: self.allow_create.unwrap_or(true),
                }),
                name,
                ..Profile::default()
            });
        }
        let fallen = |told: Option<SecretString>, other: Option<&SecretString>, what: &str| {
            told.or_else(|| other.cloned()).ok_or_else(|| fault(what))
        };
        Ok(Profile {
            strategy: self.strategy,
            key: fallen(key, fallback.map(|fallback| &fallback.key), NO_KEY)?,
            secret: fallen(secret, fallback.map(|fallback| &fallback.secret), NO_SECRET)?,
            chain: None,
            name,
        })
    }
}

/// A file's text without its last line end.
fn secret_of(path: &Path) -> Result<SecretString, String> {
    let failed = |why: &dyn Display| format!("provision_secret_file: {}: {why}", path.display());
    let size = fs::metadata(path).map_err(|error| failed(&error))?.len();
    if size > 65_536 {
        return Err(failed(&"more than 64 KiB"));
    }
    let text = SecretString::from(fs::read_to_string(path).map_err(|error| failed(&error))?);
    let text = text.expose_secret();
    let line = text.strip_suffix('\n').unwrap_or(text);
    match line.strip_suffix('\r').unwrap_or(line) {
        "" => Err(failed(&"is empty")),
        secret => Ok(secret.into()),
    }
}

/// A text that no fault may show, not even one about its type.
struct Secret(SecretString);

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match toml::Value::deserialize(deserializer)? {
            toml::Value::String(text) if text.is_empty() => Err(D::Error::custom(EMPTY)),
            toml::Value::String(text) => Ok(Self(text.into())),
            _ => Err(D::Error::custom("a key or secret is a text in quotes")),
        }
    }
}

/// A length of time of at least so many milliseconds, and at most a year.
struct Time<const LEAST: u64>(Duration);

impl<'de, const LEAST: u64> Deserialize<'de> for Time<LEAST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match humantime::parse_duration(&text) {
            Ok(time) if time < Duration::from_millis(LEAST) => Err(if LEAST < 1000 {
                "shorter than 1 ms"
            } else {
                "shorter than 1 s"
            }),
            Ok(time) if time > YEAR => Err("more than a year"),
            Ok(time) => Ok(Self(time)),
            Err(_) => Err("no length of time: write a number and its unit, such as 500ms or 10s"),
        }
        .map_err(|why| D::Error::custom(format!("{text:?}: {why}")))
    }
}

/// A file and its text, for saying where.
struct Source<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Source<'_> {
    fn fault(&self, span: Range<usize>, what: impl Display) -> Failure {
        let before = self.text.get(..span.start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let begun = before.rfind('\n').map_or(0, |end| end + 1);
        let column = before[begun..].chars().count() + 1;
        let path = self.path.display();
        Failure::usage(format!(
            "{path}:{line}:{column}: {what}\nhelp: docs/target.md explains every key"
        ))
    }
}

const YEAR: Duration = Duration::from_hours(365 * 24);

const SHARE: &str = "`unavailable` is a share from 0 to 1";
const NAMELESS: &str = "a profile without a `name`; of several profiles each has one";
const SAME_KEY: &str = "its provision_key is that of another profile";
const CHAIN_ONLY: &str = "ca, name_pattern and allow_create are for strategy = \"x509-chain\"";
const KEY_OF_A_CHAIN: &str = "strategy = \"x509-chain\" goes by certificates: it has no \
    provision_key and no secret";
const NO_CA: &str = "strategy = \"x509-chain\" needs `ca`, a PEM file";
const TWO_SECRETS: &str = "both provision_secret and provision_secret_file";
const NO_KEY: &str = "no provision_key; of several profiles each has its own";
const NO_SECRET: &str = "no provision_secret and no provision_secret_file";
const EMPTY: &str = "a key or secret must not be empty: no request with it is answered";

#[cfg(test)]
mod tests;
