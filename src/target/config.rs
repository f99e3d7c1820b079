//! What a target is started with. Every limit has its default here, as ThingsBoard 4.2 has it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use secrecy::SecretString;
use thiserror::Error;

use crate::model::{Faults, Strategy};

/// Everything that a target needs to know before it starts.
#[derive(Clone, Debug)]
pub struct TargetConfig {
    /// Where MQTT listens; port 0 picks a free one.
    pub mqtt: Option<SocketAddr>,
    /// Where HTTP listens; port 0 picks a free one.
    pub http: Option<SocketAddr>,
    /// Where CoAP listens; port 0 picks a free one.
    pub coap: Option<SocketAddr>,
    /// The device profile that provision requests are judged by.
    pub profile: Profile,
    /// Devices that exist from the start and are not provisioned yet.
    pub devices: Vec<Listed>,
    /// Misbehaviour on purpose.
    pub faults: Faults,
    /// Tokens and faults are drawn from this and from device names, never from scheduling.
    pub seed: u64,
    /// What a second provisioning of a pre-provisioned device gives.
    pub repeat_provisioning: Repeat,
    /// Whether SUBSCRIBE is answered in an MQTT provisioning session. `false` is the behaviour
    /// before release 3.9: such a SUBSCRIBE is silently ignored.
    pub suback: bool,
    /// After this time a request that the core does not answer gets the transport's error.
    pub core_timeout: Duration,
    /// Times and sizes that tests shorten and users leave alone.
    pub limits: Limits,
}

impl Default for TargetConfig {
    fn default() -> Self {
        Self {
            mqtt: None,
            http: None,
            coap: None,
            profile: Profile::default(),
            devices: Vec::new(),
            faults: Faults::default(),
            seed: 0,
            repeat_provisioning: Repeat::default(),
            suback: true,
            core_timeout: Duration::from_secs(10),
            limits: Limits::default(),
        }
    }
}

/// The device profile: a strategy, and the key and secret that a request must carry.
#[derive(Clone, Debug)]
pub struct Profile {
    /// The profile's name.
    pub name: String,
    /// How it treats provision requests.
    pub strategy: Strategy,
    /// The `provisionDeviceKey` that finds this profile.
    pub key: SecretString,
    /// The `provisionDeviceSecret` that must match.
    pub secret: SecretString,
}

impl Profile {
    /// The key of a profile that nobody configured.
    pub const DEFAULT_KEY: &str = "fleetcall-provision-key";
    /// The secret of a profile that nobody configured.
    pub const DEFAULT_SECRET: &str = "fleetcall-provision-secret";
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            name: "default".to_owned(),
            strategy: Strategy::Allow,
            key: Self::DEFAULT_KEY.into(),
            secret: Self::DEFAULT_SECRET.into(),
        }
    }
}

/// A device that exists before anything is sent.
#[derive(Clone)]
pub struct Listed {
    /// Its name, byte for byte as listed.
    pub name: String,
    /// Its access token; `None` draws 20 characters from the seed and the name.
    pub token: Option<String>,
}

impl fmt::Debug for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The token is secret.
        f.debug_struct("Listed")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// What a second provisioning of a pre-provisioned device gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Repeat {
    /// FAILURE, as from release 4.2.1.1 on.
    #[default]
    Failure,
    /// SUCCESS again, as in 3.2 to 4.2.1.
    Success,
}

/// Times and sizes, with ThingsBoard's defaults.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A provisioning session is closed this long after its first answer.
    pub after_answer: Duration,
    /// An MQTT session without any packet is closed after this time.
    pub inactivity: Duration,
    /// A pending HTTP device request ends in 503 after this time.
    pub http_async: Duration,
    /// A kept-alive HTTP connection without a request is closed after this time.
    pub http_idle: Duration,
    /// A client-side RPC that nothing answers ends after this time.
    pub client_rpc: Duration,
    /// Requests per transport that may wait for their answer; one more gets an error at once.
    pub pending: usize,
    /// MQTT packets that wait for CONNECT; one more closes.
    pub early_packets: usize,
    /// The largest remaining length of an MQTT packet, bytes.
    pub mqtt_packet: usize,
    /// The largest HTTP body, bytes.
    pub http_body: u64,
    /// The largest HTTP body of an RPC, bytes.
    pub http_rpc_body: u64,
    /// CoAP exchanges remembered for deduplication; beyond it the oldest goes early.
    pub coap_exchanges: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            after_answer: Duration::from_mins(1),
            inactivity: Duration::from_mins(10),
            http_async: Duration::from_secs(30),
            http_idle: Duration::from_mins(1),
            client_rpc: Duration::from_mins(1),
            pending: 10_000,
            early_packets: 100,
            mqtt_packet: 65_536,
            http_body: 52_428_800,
            http_rpc_body: 65_536,
            coap_exchanges: 500_000,
        }
    }
}

/// Why a target did not start.
#[derive(Debug, Error)]
pub enum TargetError {
    /// An address could not be bound.
    #[error("target: cannot listen for {protocol} on {addr}: {source}")]
    Bind {
        /// `mqtt`, `http` or `coap`.
        protocol: &'static str,
        /// The address as configured.
        addr: SocketAddr,
        /// The system's word.
        source: io::Error,
    },
    /// Two listed devices have one name.
    #[error("target: device {0:?} is listed twice")]
    DuplicateName(String),
    /// Two listed devices have one token. The token itself is secret.
    #[error("target: device {0:?} has the token of another device")]
    DuplicateToken(String),
    /// A share of `faults` is not between 0 and 1, or the shares exceed 1 together.
    #[error("target: fault shares must lie between 0 and 1 and not exceed 1 together")]
    FaultShares,
}
