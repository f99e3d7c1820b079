//! What a target is started with. Every limit has its default here, as ThingsBoard 4.2 has it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::model::{Bug, Credentials, Faults, Release, RpcAnswers, Strategy, TransportKind};
use crate::pki::Identity;

/// Everything that a target needs to know before it starts.
#[derive(Clone, Debug)]
pub struct TargetConfig {
    /// Where MQTT listens; port 0 picks a free one.
    pub mqtt: Option<SocketAddr>,
    /// Where MQTT over TLS listens; port 0 picks a free one.
    pub mqtts: Option<SocketAddr>,
    /// Where HTTP listens; port 0 picks a free one.
    pub http: Option<SocketAddr>,
    /// Where HTTP over TLS listens; port 0 picks a free one.
    pub https: Option<SocketAddr>,
    /// Where CoAP listens; port 0 picks a free one.
    pub coap: Option<SocketAddr>,
    /// Where CoAP over DTLS listens; port 0 picks a free one.
    pub coaps: Option<SocketAddr>,
    /// The server's key and certificates; `None` makes an authority and a certificate for
    /// `localhost`, 127.0.0.1 and ::1, see [`Target::ca_pem`](super::Target::ca_pem).
    pub identity: Option<Identity>,
    /// The device profiles, at least one; a provision key finds its profile.
    pub profiles: Vec<Profile>,
    /// Devices that exist from the start and are not provisioned yet.
    pub devices: Vec<Listed>,
    /// Misbehaviour on purpose, from the start; see [`Target::set_faults`](super::Target::set_faults).
    pub faults: Faults,
    /// Tokens and faults are drawn from this and from device names, never from scheduling.
    pub seed: u64,
    /// Which release it behaves like where releases differ (section 0).
    pub release: Release,
    /// What a second provisioning of a pre-provisioned device gives; `None` is as the release does.
    pub repeat_provisioning: Option<Repeat>,
    /// Whether SUBSCRIBE is answered in an MQTT provisioning session; `None` is as the release
    /// does: before 3.9 such a SUBSCRIBE is silently ignored.
    pub suback: Option<bool>,
    /// Whether client certificates are taken whatever their dates (ThingsBoard's
    /// `skip_validity_check_for_client_cert`).
    pub skip_validity_check: bool,
    /// Faults on purpose in its judgement.
    pub bugs: Vec<Bug>,
    /// What it answers when devices call it; a method without an answer times out.
    pub rpc: RpcAnswers,
    /// After this time a request that the core does not answer gets the transport's error.
    pub core_timeout: Duration,
    /// Times and sizes that tests shorten and users leave alone.
    pub limits: Limits,
    /// Who may use the REST API.
    pub rest: Rest,
    /// Where the registry outlives the target: read at the start, and kept up to date. What is there
    /// goes before [`Self::devices`].
    pub registry: Option<PathBuf>,
}

impl Default for TargetConfig {
    fn default() -> Self {
        Self {
            mqtt: None,
            mqtts: None,
            http: None,
            https: None,
            coap: None,
            coaps: None,
            identity: None,
            profiles: vec![Profile::default()],
            devices: Vec::new(),
            faults: Faults::default(),
            seed: 0,
            release: Release::default(),
            repeat_provisioning: None,
            suback: None,
            skip_validity_check: false,
            bugs: Vec::new(),
            rpc: RpcAnswers::default(),
            core_timeout: Duration::from_secs(10),
            limits: Limits::default(),
            rest: Rest::default(),
            registry: None,
        }
    }
}

impl TargetConfig {
    /// Where a transport listens, if it does.
    pub fn listener(&self, kind: TransportKind) -> Option<&SocketAddr> {
        match kind {
            TransportKind::Mqtt => self.mqtt.as_ref(),
            TransportKind::Mqtts => self.mqtts.as_ref(),
            TransportKind::Http => self.http.as_ref(),
            TransportKind::Https => self.https.as_ref(),
            TransportKind::Coap => self.coap.as_ref(),
            TransportKind::Coaps => self.coaps.as_ref(),
        }
    }

    /// Makes a transport listen; port 0 picks a free one.
    pub fn listen(&mut self, kind: TransportKind, addr: SocketAddr) {
        let slot = match kind {
            TransportKind::Mqtt => &mut self.mqtt,
            TransportKind::Mqtts => &mut self.mqtts,
            TransportKind::Http => &mut self.http,
            TransportKind::Https => &mut self.https,
            TransportKind::Coap => &mut self.coap,
            TransportKind::Coaps => &mut self.coaps,
        };
        *slot = Some(addr);
    }

    /// Whether it has this fault of judgement.
    pub(super) fn has(&self, bug: Bug) -> bool {
        self.bugs.contains(&bug)
    }

    /// The limits, as far as the release has others: 3.5 closed silent sessions sooner, and before
    /// 3.8 HTTP bodies had no limit, which here is one that protects the target's own memory.
    pub(super) fn limits_of_release(&self) -> Limits {
        let mut limits = self.limits;
        if self.release == Release::V3_5 {
            limits.inactivity = limits.inactivity.min(Duration::from_mins(5));
        }
        if self.release < Release::V3_8 {
            (limits.http_body, limits.http_rpc_body) = (OWN_BODY_LIMIT, OWN_BODY_LIMIT);
        }
        limits
    }

    /// Whether a CoAP success of telemetry and its like is a message of its own, without an
    /// acknowledgement of the request before it: from release 3.6.2 on.
    pub(super) fn answers_apart(&self) -> bool {
        self.release >= Release::V3_6
    }

    /// What a second provisioning gives: as configured, else as the release does.
    pub(super) fn repeats(&self) -> Repeat {
        self.repeat_provisioning
            .unwrap_or(if self.release <= Release::V4_2_1 {
                Repeat::Success
            } else {
                Repeat::Failure
            })
    }

    /// Whether SUBSCRIBE is answered in a provisioning session: as configured, else as the release
    /// does.
    pub(super) fn subacks(&self) -> bool {
        self.suback.unwrap_or(self.release >= Release::V4_2_1)
    }
}

/// The REST API's account and limits (section 8).
#[derive(Clone, Debug)]
pub struct Rest {
    /// The tenant administrator's name.
    pub username: String,
    /// Their password.
    pub password: SecretString,
    /// A key that is as good, from release 4.3 on; `None`: there is none.
    pub api_key: Option<SecretString>,
    /// How long a token lasts.
    pub token_life: Duration,
    /// How many devices the tenant may have; 0 is any number.
    pub max_devices: u64,
    /// The share of requests that are answered 503, from 0 to 1.
    pub unavailable: f64,
}

impl Default for Rest {
    fn default() -> Self {
        Self {
            username: "tenant@thingsboard.org".to_owned(),
            password: "tenant".into(),
            api_key: None,
            token_life: Duration::from_mins(150),
            max_devices: 0,
            unavailable: 0.0,
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
    /// What `x509-chain` goes by; the other strategies ignore it.
    pub chain: Option<Chain>,
}

/// How a profile provisions by certificate chain (section 5).
#[derive(Clone, Debug)]
pub struct Chain {
    /// PEM of the authority's certificate that clients' chains lead to, or of a chain.
    pub certificates: String,
    /// A Java regular expression, found in the leaf's common name; group 1 is the device's name.
    pub name_pattern: String,
    /// Whether a name that no device has becomes a device.
    pub allow_create: bool,
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
            chain: None,
        }
    }
}

/// A device that exists before anything is sent.
#[derive(Clone)]
pub struct Listed {
    /// Its name, byte for byte as listed.
    pub name: String,
    /// The position of its profile in [`TargetConfig::profiles`].
    pub profile: usize,
    /// Its credentials; `None` draws an access token of 20 characters from the seed and the name.
    pub credentials: Option<Credentials>,
    /// Whether it may speak for others (`additionalInfo.gateway`).
    pub gateway: bool,
    /// Whether it was provisioned before: the server attribute `provisionState`.
    pub provisioned: bool,
}

impl fmt::Debug for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The credentials are secret.
        f.debug_struct("Listed")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// What a second provisioning of a pre-provisioned device gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
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
    /// A call of server-side RPC that names no time ends after this.
    pub rpc_timeout: Duration,
    /// No call ends sooner than this, whatever time it names.
    pub rpc_timeout_min: Duration,
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
    /// DTLS peers with a handshake under way; one more is not heard.
    pub dtls_half_open: usize,
    /// DTLS peers in all; one more is not heard.
    pub dtls_peers: usize,
    /// A DTLS peer that says nothing is forgotten after this time.
    pub dtls_idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            after_answer: Duration::from_mins(1),
            inactivity: Duration::from_mins(10),
            http_async: Duration::from_secs(30),
            http_idle: Duration::from_mins(1),
            client_rpc: Duration::from_mins(1),
            rpc_timeout: Duration::from_secs(10),
            rpc_timeout_min: Duration::from_secs(5),
            pending: 10_000,
            early_packets: 100,
            mqtt_packet: 65_536,
            http_body: 52_428_800,
            http_rpc_body: 65_536,
            coap_exchanges: 500_000,
            dtls_half_open: 10_000,
            dtls_peers: 200_000,
            dtls_idle: Duration::from_hours(24),
        }
    }
}

/// The longest body where the release has no limit, bytes.
const OWN_BODY_LIMIT: u64 = 268_435_456;

/// Why a target did not start.
#[derive(Debug, Error)]
pub enum TargetError {
    /// An address could not be bound.
    #[error("target: cannot listen for {protocol} on {addr}: {source}")]
    Bind {
        /// `mqtt`, `mqtts`, `http`, `https`, `coap` or `coaps`.
        protocol: &'static str,
        /// The address as configured.
        addr: SocketAddr,
        /// The system's word.
        source: io::Error,
    },
    /// The registry's file cannot be read or written.
    #[error("target: {}: {source}", path.display())]
    Registry {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A listed device belongs to a profile that is not there.
    #[error("target: device {0:?} belongs to a profile that is not there")]
    NoProfile(String),
    /// Two profiles have one provision key. The key itself is secret.
    #[error("target: profile {0:?} has the provision key of another profile")]
    DuplicateKey(String),
    /// Two listed devices have one name.
    #[error("target: device {0:?} is listed twice")]
    DuplicateName(String),
    /// A listed device's credentials are none that the server would store.
    #[error("target: device {0:?} has credentials that the server would not store")]
    Credentials(String),
    /// Two listed devices have one token. The token itself is secret.
    #[error("target: device {0:?} has the token of another device")]
    DuplicateToken(String),
    /// A profile's certificates or name pattern cannot be used, or the server's own cannot be made.
    #[error("target: {0}")]
    Certificates(String),
    /// A share of `faults` is not between 0 and 1, shares of one phase exceed 1 together, or a rate is
    /// none.
    #[error(
        "target: fault shares must lie between 0 and 1 and not exceed 1 together in a phase, and \
         rates be above 0"
    )]
    FaultShares,
}
