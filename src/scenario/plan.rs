//! A scenario as it is meant: checked, with every default filled in.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use secrecy::SecretString;

use crate::arrival::Arrival;
use crate::inventory::{GenerateSpec, Template};
use crate::metrics::Threshold;
use crate::model::{Faults, Qos, Strategy, TransportKind};

/// Everything a run needs to know, apart from the device list itself.
#[derive(Debug)]
pub struct Plan {
    /// The scenario's name; part of the run directory's name.
    pub name: String,
    /// Where all randomness comes from; printed in every report.
    pub seed: u64,
    /// Whom the devices talk to.
    pub target: TargetPlan,
    /// The provision key of the device profile.
    pub provision_key: SecretString,
    /// The provision secret of the device profile.
    pub provision_secret: SecretString,
    /// Where the names come from.
    pub devices: DeviceSource,
    /// At least one.
    pub cohorts: Vec<Cohort>,
    /// When devices start.
    pub arrival: Arrival,
    /// `None`: provision only.
    pub telemetry: Option<TelemetryPlan>,
    /// Bounds and time limits.
    pub limits: Limits,
    /// What decides over the result.
    pub thresholds: Vec<Threshold>,
}

/// Whom the devices talk to.
#[derive(Debug)]
pub enum TargetPlan {
    /// The embedded server, started for this run.
    Embedded {
        /// Its provisioning strategy.
        strategy: Strategy,
        /// Its misbehaviour.
        faults: Faults,
    },
    /// A server elsewhere: `host:port` for each transport that a cohort uses.
    Remote(BTreeMap<TransportKind, String>),
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
    /// Which credentials they ask for.
    pub credentials: CredentialsPlan,
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
    /// The device brings its own (`credentials = "access_token"`, `token = "…"`).
    AccessToken(Template),
}

impl CredentialsPlan {
    /// The scenario's word for it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::AccessToken(_) => "access_token",
        }
    }

    /// The type that a device asks for, as ThingsBoard's API spells it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Server | Self::AccessToken(_) => "ACCESS_TOKEN",
        }
    }
}

/// What provisioned devices send.
#[derive(Clone, Debug)]
pub struct TelemetryPlan {
    /// From one message of a device to its next, counted from its first.
    pub interval: Duration,
    /// MQTT only: HTTP and CoAP requests are always answered.
    pub qos: Qos,
    /// A JSON object, ready to send.
    pub payload: Bytes,
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
    /// Worker threads. Default: one per core.
    pub workers: usize,
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
            workers: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}
