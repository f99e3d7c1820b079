//! What a run tells an embedded target in a process of its own: one line of JSON over a pipe, so
//! that no secret stands in arguments or in the environment.

use std::net::SocketAddr;

use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use crate::model::{Bug, Credentials, Faults, Release, RpcAnswers, Strategy, TransportKind};
use crate::target::{Chain, Listed, Profile, TargetConfig};

/// A target's configuration, as far as a scenario can state it.
#[derive(Serialize, Deserialize)]
pub(super) struct Handover {
    listen: Vec<(TransportKind, SocketAddr)>,
    profiles: Vec<HandedProfile>,
    faults: Faults,
    seed: u64,
    release: Release,
    bugs: Vec<Bug>,
    rpc: RpcAnswers,
    devices: Vec<HandedDevice>,
}

#[derive(Serialize, Deserialize)]
struct HandedProfile {
    name: String,
    strategy: Strategy,
    key: String,
    secret: String,
    /// Certificates, name pattern, and whether unknown names become devices.
    chain: Option<(String, String, bool)>,
}

/// A name, its profile's position, its credentials, and whether it is a gateway.
#[derive(Serialize, Deserialize)]
struct HandedDevice(String, usize, Option<HandedCredentials>, bool, bool);

#[derive(Serialize, Deserialize)]
enum HandedCredentials {
    Token(String),
    Basic(String, String, String),
    Certificate(String),
}

impl Handover {
    /// What to hand over.
    pub(super) fn new(config: &TargetConfig) -> Self {
        Self {
            listen: TransportKind::ALL
                .into_iter()
                .filter_map(|kind| Some((kind, *config.listener(kind)?)))
                .collect(),
            profiles: config.profiles.iter().map(HandedProfile::new).collect(),
            faults: config.faults.clone(),
            seed: config.seed,
            release: config.release,
            bugs: config.bugs.clone(),
            rpc: config.rpc.clone(),
            devices: config
                .devices
                .iter()
                .map(|device| {
                    let credentials = device.credentials.as_ref().map(HandedCredentials::new);
                    HandedDevice(
                        device.name.clone(),
                        device.profile,
                        credentials,
                        device.gateway,
                        device.provisioned,
                    )
                })
                .collect(),
        }
    }

    /// The line, with its end.
    pub(super) fn to_line(&self) -> String {
        let line = serde_json::to_string(self).expect("plain words and numbers are JSON");
        line + "\n"
    }

    /// The configuration that a line hands over.
    pub(super) fn read(line: &str) -> serde_json::Result<TargetConfig> {
        let told: Self = serde_json::from_str(line)?;
        let mut config = TargetConfig {
            profiles: told.profiles.into_iter().map(HandedProfile::take).collect(),
            devices: told
                .devices
                .into_iter()
                .map(
                    |HandedDevice(name, profile, credentials, gateway, provisioned)| Listed {
                        name,
                        profile,
                        credentials: credentials.map(HandedCredentials::take),
                        gateway,
                        provisioned,
                    },
                )
                .collect(),
            faults: told.faults,
            seed: told.seed,
            release: told.release,
            bugs: told.bugs,
            rpc: told.rpc,
            ..TargetConfig::default()
        };
        for (kind, addr) in told.listen {
            config.listen(kind, addr);
        }
        Ok(config)
    }
}

impl HandedProfile {
    fn new(profile: &Profile) -> Self {
        Self {
            name: profile.name.clone(),
            strategy: profile.strategy,
            key: profile.key.expose_secret().to_owned(),
            secret: profile.secret.expose_secret().to_owned(),
            chain: profile.chain.as_ref().map(|chain| {
                let pattern = chain.name_pattern.clone();
                (chain.certificates.clone(), pattern, chain.allow_create)
            }),
        }
    }

    fn take(self) -> Profile {
        Profile {
            name: self.name,
            strategy: self.strategy,
            key: self.key.into(),
            secret: self.secret.into(),
            chain: self
                .chain
                .map(|(certificates, name_pattern, allow_create)| Chain {
                    certificates,
                    name_pattern,
                    allow_create,
                }),
        }
    }
}

impl HandedCredentials {
    fn new(credentials: &Credentials) -> Self {
        match credentials {
            Credentials::AccessToken(token) => Self::Token(token.expose_secret().to_owned()),
            Credentials::MqttBasic(basic) => Self::Basic(
                basic.client_id.clone(),
                basic.username.clone(),
                basic.password.expose_secret().to_owned(),
            ),
            Credentials::X509 { certificate } => Self::Certificate(certificate.clone()),
        }
    }

    fn take(self) -> Credentials {
        match self {
            Self::Token(token) => Credentials::AccessToken(token.into()),
            Self::Basic(client_id, username, password) => {
                Credentials::mqtt_basic(client_id, username, password)
            }
            Self::Certificate(certificate) => Credentials::X509 { certificate },
        }
    }
}
