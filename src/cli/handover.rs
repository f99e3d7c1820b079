//! What a run tells an embedded target in a process of its own: one line of JSON over a pipe, so
//! that no secret stands in arguments or in the environment.

use std::net::SocketAddr;
use std::time::Duration;

use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use crate::model::{Faults, Strategy};
use crate::target::{Listed, Profile, TargetConfig};

/// A target's configuration, as far as a scenario can state it.
#[derive(Serialize, Deserialize)]
pub(super) struct Handover {
    mqtt: Option<SocketAddr>,
    http: Option<SocketAddr>,
    coap: Option<SocketAddr>,
    strategy: Strategy,
    key: String,
    secret: String,
    delay: Duration,
    refuse: f64,
    lose_answer: f64,
    disconnect: f64,
    seed: u64,
    names: Vec<String>,
}

impl Handover {
    /// What to hand over. Listed devices get their tokens from the seed.
    pub(super) fn new(config: &TargetConfig) -> Self {
        let Faults {
            delay,
            refuse,
            lose_answer,
            disconnect,
        } = config.faults;
        Self {
            mqtt: config.mqtt,
            http: config.http,
            coap: config.coap,
            strategy: config.profiles[0].strategy,
            key: config.profiles[0].key.expose_secret().to_owned(),
            secret: config.profiles[0].secret.expose_secret().to_owned(),
            delay,
            refuse,
            lose_answer,
            disconnect,
            seed: config.seed,
            names: config
                .devices
                .iter()
                .map(|device| device.name.clone())
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
        Ok(TargetConfig {
            mqtt: told.mqtt,
            http: told.http,
            coap: told.coap,
            profiles: vec![Profile {
                strategy: told.strategy,
                key: told.key.into(),
                secret: told.secret.into(),
                ..Profile::default()
            }],
            devices: told
                .names
                .into_iter()
                .map(|name| Listed {
                    name,
                    profile: 0,
                    credentials: None,
                })
                .collect(),
            faults: Faults {
                delay: told.delay,
                refuse: told.refuse,
                lose_answer: told.lose_answer,
                disconnect: told.disconnect,
            },
            seed: told.seed,
            ..TargetConfig::default()
        })
    }
}
