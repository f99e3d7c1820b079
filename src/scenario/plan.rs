//! A scenario as it is meant: checked, with every default filled in.

mod downlink;
mod gateway;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use crate::arrival::Arrival;
use crate::inventory::{GenerateSpec, Template};
use crate::life::{Backoff, Duty, Event};
use crate::metrics::{Threshold, ValidityLimits};
use crate::model::{
    Bug, Expectation, Faults, Misbehaviour, MqttVersion, Qos, Release, RpcAnswers, Strategy,
    TransportKind,
};
use crate::payload::{Payload, Rhythm};
use crate::pki::KeyKind;
use crate::search::SearchRules;

pub use self::downlink::{
    ClaimPlan, DownlinkPlan, PushKind, PushPlan, RequestPlan, RestLogin, RestPlan,
};
pub use self::gateway::{GatewayPlan, Pubacks};

/// Everything a run needs to know, apart from the device list itself.
#[derive(Debug)]
pub struct Plan {
    /// The scenario's name; part of the run directory's name.
    pub name: String,
    /// Where all randomness comes from; printed in every report.
    pub seed: u64,
    /// Nobody gave it: another machine, and another run, draws another one.
    pub seed_is_drawn: bool,
    /// Whom the devices talk to.
    pub target: TargetPlan,
    /// The device profiles: `[profile]` first, then each `[[other_profile]]`.
    pub profiles: Vec<ProfilePlan>,
    /// Where the names come from.
    pub devices: DeviceSource,
    /// At least one.
    pub cohorts: Vec<Cohort>,
    /// When devices start, but for cohorts with an arrival of their own. There if one has none.
    pub arrival: Option<Arrival>,
    /// `None`: provision only.
    pub telemetry: Option<TelemetryPlan>,
    /// What provisioned devices are sent, and what they ask; `None`: nothing.
    pub downlink: Option<DownlinkPlan>,
    /// What an operator pushes to them.
    pub pushes: Vec<PushPlan>,
    /// What pushes go through; there exactly when there are some.
    pub rest: Option<RestPlan>,
    /// What happens to provisioned devices besides.
    pub life: LifePlan,
    /// Bounds and time limits.
    pub limits: Limits,
    /// What decides over the result.
    pub thresholds: Vec<Threshold>,
    /// What decides over the generator's verdict.
    pub validity: ValidityLimits,
    /// What is to be searched; `None`: devices start as the arrivals say.
    pub search: Option<SearchRules>,
    /// The scenario as TOML, as it is run: overrides and seed put in, secrets masked.
    pub shown: String,
    /// Whether response times count from the send and not from the intended start: wrong, and never
    /// so but to show that the self-test sees it.
    pub response_from_send: bool,
}

impl Plan {
    /// Whether provisioned devices stay connected until the run ends.
    pub fn stays(&self) -> bool {
        self.telemetry.is_some() || self.downlink.is_some()
    }
}

/// What happens to devices besides being provisioned and sending telemetry.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LifePlan {
    /// How they come back; `None`: they try with each message.
    pub reconnect: Option<Backoff>,
    /// How they try again to be provisioned, where that can do no harm; `None`: not at all.
    pub provision_retry: Option<Backoff>,
    /// When they wake; `None`: they never sleep.
    pub duty: Option<Duty>,
    /// In order of time.
    pub events: Vec<Event>,
}

/// Whom the devices talk to.
#[derive(Debug)]
pub enum TargetPlan {
    /// The embedded server, started for this run.
    Embedded {
        /// Its misbehaviour.
        faults: Box<Faults>,
        /// The release that it behaves like.
        release: Release,
        /// Its faults of judgement.
        bugs: Vec<Bug>,
        /// What it answers when devices call it.
        rpc: RpcAnswers,
        /// Whether TLS sessions are resumed.
        resumption: bool,
    },
    /// A server elsewhere.
    Remote {
        /// `host:port` for each transport that a cohort uses.
        addresses: BTreeMap<TransportKind, String>,
        /// By what its certificates are judged.
        trust: TrustPlan,
        /// Whether TLS sessions are resumed.
        resumption: bool,
    },
}

/// By what a server's certificate is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrustPlan {
    /// By the system's authorities.
    System,
    /// By the authorities in a PEM file.
    File(PathBuf),
    /// Not at all.
    Insecure,
}

/// A device profile, as its devices and the embedded target know it.
#[derive(Debug)]
pub struct ProfilePlan {
    /// What cohorts and messages call it.
    pub name: String,
    /// The provision key.
    pub key: SecretString,
    /// The provision secret.
    pub secret: SecretString,
    /// Embedded: how it treats provision requests.
    pub strategy: Strategy,
    /// Embedded, `x509-chain`: where a common name has the device's name.
    pub name_pattern: String,
    /// Embedded, `x509-chain`: whether unknown names become devices.
    pub allow_create: bool,
}

/// Where the device names come from.
#[derive(Debug)]
pub enum DeviceSource {
    /// A CSV file with a header.
    List {
        /// From the working directory.
        path: PathBuf,
        /// The header of the column that holds the names.
        name_column: String,
    },
    /// Names made up by seed.
    Generate(GenerateSpec),
}

/// A part of the fleet that behaves alike.
#[derive(Debug)]
pub struct Cohort {
    /// Unique in the scenario.
    pub name: String,
    /// How many of the devices belong to it.
    pub deal: Deal,
    /// How its devices talk.
    pub transport: TransportKind,
    /// The version of MQTT that they speak.
    pub version: MqttVersion,
    /// The position of their profile in [`Plan::profiles`].
    pub profile: usize,
    /// Which credentials they ask for.
    pub credentials: CredentialsPlan,
    /// What must happen to each, where the scenario states it.
    pub expect: Option<Expectation>,
    /// What they do wrong.
    pub misbehaviour: Option<Misbehaviour>,
    /// When they start; `None`: as [`Plan::arrival`] says.
    pub arrival: Option<Arrival>,
    /// What is behind each of them, if they are gateways.
    pub gateway: Option<GatewayPlan>,
}

impl Cohort {
    /// What must happen to each device: as stated, else what the misbehaviour deserves.
    pub fn expected(&self) -> Expectation {
        Expectation::of(self.expect, self.misbehaviour)
    }

    /// Whether its devices can get new certificates in mid-run: of the authority that made theirs.
    pub fn rotates(&self) -> bool {
        let made = matches!(
            self.credentials,
            CredentialsPlan::X509Chain(CertificatePlan::Made { .. })
        );
        made && self.misbehaviour.is_none() && self.expected() == Expectation::Provisioned
    }
}

/// How many devices a cohort is dealt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Deal {
    /// A share of the list, 0 < share ≤ 1.
    Share(f64),
    /// So many.
    Count(u32),
    /// An equal part of what shares and counts leave.
    Rest,
}

/// Which credentials a cohort's devices ask for.
#[derive(Debug)]
pub enum CredentialsPlan {
    /// The server makes an access token (`credentials = "server"`).
    Server,
    /// The device brings its own token (`credentials = "access_token"`).
    AccessToken(TokenPlan),
    /// The device brings its own client id, user name or password (`credentials = "mqtt_basic"`).
    MqttBasic {
        /// Empty where the scenario gives none.
        client_id: Template,
        /// Empty where the scenario gives none.
        username: Template,
        /// Empty where the scenario gives none.
        password: Template,
    },
    /// The device sends its certificate (`credentials = "x509"`).
    X509(CertificatePlan),
    /// The device is provisioned by its certificate's chain (`credentials = "x509_chain"`).
    X509Chain(CertificatePlan),
}

/// Where a device's own token comes from.
#[derive(Debug)]
pub enum TokenPlan {
    /// A template.
    Given(Template),
    /// The device's name and a secret.
    Derived(SecretString),
}

/// Where a device's key and certificates come from.
#[derive(Debug)]
pub enum CertificatePlan {
    /// PEM files.
    Files {
        /// The certificates, leaf first.
        certificate: Template,
        /// The private key.
        key: Template,
    },
    /// Made for the run.
    Made {
        /// The keys' kind.
        kind: KeyKind,
        /// The certificates' common name.
        common_name: Template,
        /// How long they hold, at least 1.
        days: u32,
        /// The authority that signs a chain: certificates and key. `None`: one made for the run.
        authority: Option<(PathBuf, PathBuf)>,
    },
}

impl CredentialsPlan {
    /// The scenario's word for it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::AccessToken(_) => "access_token",
            Self::MqttBasic { .. } => "mqtt_basic",
            Self::X509(_) => "x509",
            Self::X509Chain(_) => "x509_chain",
        }
    }

    /// The type that a device asks for, as ThingsBoard's API spells it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Server | Self::AccessToken(_) => "ACCESS_TOKEN",
            Self::MqttBasic { .. } => "MQTT_BASIC",
            Self::X509(_) | Self::X509Chain(_) => "X509_CERTIFICATE",
        }
    }

    /// Where certificates come from, for devices that have one.
    pub fn certificate(&self) -> Option<&CertificatePlan> {
        match self {
            Self::X509(plan) | Self::X509Chain(plan) => Some(plan),
            _ => None,
        }
    }

    /// The templates that are filled in for each device.
    pub fn templates(&self) -> Vec<&Template> {
        match self {
            Self::Server | Self::AccessToken(TokenPlan::Derived(_)) => Vec::new(),
            Self::AccessToken(TokenPlan::Given(token)) => vec![token],
            Self::MqttBasic {
                client_id,
                username,
                password,
            } => vec![client_id, username, password],
            Self::X509(CertificatePlan::Files { certificate, key })
            | Self::X509Chain(CertificatePlan::Files { certificate, key }) => {
                vec![certificate, key]
            }
            Self::X509(CertificatePlan::Made { common_name, .. })
            | Self::X509Chain(CertificatePlan::Made { common_name, .. }) => vec![common_name],
        }
    }
}

/// What provisioned devices send.
#[derive(Debug)]
pub struct TelemetryPlan {
    /// When each message is due.
    pub rhythm: Rhythm,
    /// MQTT only: HTTP and CoAP requests are always answered.
    pub qos: Qos,
    /// The bytes of each message.
    pub payload: Payload,
    /// The client attributes that a device sends once, when it first comes back with its
    /// credentials.
    pub attributes: Option<Payload>,
}

/// Bounds and time limits of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For a TCP handshake. Default 10 s.
    pub connect_timeout: Duration,
    /// For CONNACK, a provision answer or an acknowledgement. Default 30 s: ThingsBoard itself
    /// gives up on a request after 10 to 20 s.
    pub answer_timeout: Duration,
    /// For a CoAP answer, retransmissions included: `answer_timeout` where the scenario sets it,
    /// else RFC 7252's MAX_TRANSMIT_WAIT, 93 s.
    pub coap_answer_timeout: Duration,
    /// For a SUBACK, which servers before 3.9 never send. Default 1 s.
    pub suback_wait: Duration,
    /// After the end of the run for what is in flight. Default 30 s.
    pub grace: Duration,
    /// MQTT keep-alive. Default 60 s.
    pub keep_alive: Duration,
    /// Devices being brought up at a time, over all workers. Default 5,000.
    pub in_flight: u32,
    /// Processes that start devices. Default: as many as the limit on open files needs.
    pub processes: Option<u32>,
    /// Worker threads, over all processes and at least one each. Default: one per core.
    pub workers: usize,
    /// Addresses of this machine that connections are spread over. Default: none, which leaves it to
    /// the system, and over loopback to the planner.
    pub sources: Vec<IpAddr>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            answer_timeout: Duration::from_secs(30),
            coap_answer_timeout: Duration::from_secs(93),
            suback_wait: Duration::from_secs(1),
            grace: Duration::from_secs(30),
            keep_alive: Duration::from_mins(1),
            in_flight: 5_000,
            processes: None,
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            sources: Vec::new(),
        }
    }
}
