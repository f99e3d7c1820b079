//! The scenario as it is typed. Each struct is a section, each field a key; what the words of a
//! field's documentation say stands in the JSON Schema, too.

use super::leaf::{Choice, Conditions, Payload, Placed, Span, Text, Word};
use super::section::section;
use crate::inventory::NameKind;
use crate::model::{Strategy, TransportKind};

section! {
    /// A fleetcall scenario.
    struct Scenario as "" {
        /// Names the run in reports and its directory: letters, digits, `-`, `_`, `.` and blanks.
        name: Text,
        /// Where all randomness comes from. Drawn when absent, and printed in every report.
        #[schemars(default)]
        seed: u64,
        /// Whom the devices talk to.
        target: Target,
        /// The device profile's provisioning credentials; may be absent with the embedded target.
        #[schemars(default)]
        profile: Profile,
        /// Where the device names come from.
        devices: Devices,
        /// Parts of the fleet that behave alike. Without any, all devices talk MQTT.
        #[schemars(default)]
        cohort: Vec<Placed<Cohort>>,
        /// When devices start.
        arrival: Arrival,
        /// What provisioned devices send; absent: provision only.
        #[schemars(default)]
        telemetry: Telemetry,
        /// Bounds and time limits.
        #[schemars(default)]
        limits: Limits,
        /// Conditions on metrics, such as "time_to_provision.p99" = "< 500ms".
        #[schemars(default)]
        thresholds: Conditions,
    }
}

section! {
    /// Whom the devices talk to: the embedded server, or addresses.
    struct Target as "[target]" {
        /// Starts a ThingsBoard-compatible server for this run.
        #[schemars(default, extend("default" = false))]
        embedded: bool,
        /// Embedded only: how its device profile treats provision requests.
        #[schemars(default, extend("default" = "allow"))]
        strategy: Choice<Strategy>,
        /// Embedded only: how it misbehaves.
        #[schemars(default)]
        faults: TargetFaults,
        /// `host:port` of the MQTT server.
        #[schemars(default)]
        mqtt: Text,
        /// `host:port` of the HTTP server.
        #[schemars(default)]
        http: Text,
        /// `host:port` of the CoAP server.
        #[schemars(default)]
        coap: Text,
        /// Not available in this version.
        #[schemars(default)]
        mqtts: Text,
        /// Not available in this version.
        #[schemars(default)]
        https: Text,
        /// Not available in this version.
        #[schemars(default)]
        coaps: Text,
        /// Not available in this version.
        #[schemars(default)]
        ca: Text,
    }
}

section! {
    /// Misbehaviour of the embedded server towards provision requests, drawn by seed.
    struct TargetFaults as "[target.faults]" {
        /// Added before each answer.
        #[schemars(default, extend("default" = "0s"))]
        delay: Span,
        /// Share (0 to 1) of requests answered FAILURE.
        #[schemars(default, extend("default" = 0))]
        refuse: f64,
        /// Share (0 to 1) of requests that are carried out and never answered.
        #[schemars(default, extend("default" = 0))]
        lose_answer: f64,
        /// Share (0 to 1) of requests on which the connection is closed.
        #[schemars(default, extend("default" = 0))]
        disconnect: f64,
    }
}

section! {
    /// The device profile's provisioning credentials, best as "${env:NAME}" or "${file:PATH}".
    struct Profile as "[profile]" {
        /// The provision device key.
        provision_key: Text,
        /// The provision device secret.
        provision_secret: Text,
    }
}

section! {
    /// Where the device names come from: either a list, or made up.
    struct Devices as "[devices]" {
        /// A CSV file with a header; a relative path is from the working directory.
        #[schemars(default)]
        list: Text,
        /// Makes names up by the scenario's seed.
        #[schemars(default)]
        generate: Generate,
        /// The header of the list's column that holds the names.
        #[schemars(default, extend("default" = "name"))]
        name_column: Text,
    }
}

section! {
    /// Which names to make up.
    struct Generate as "[devices] generate" {
        /// How many, at least 1.
        count: u32,
        /// Of which kind.
        #[schemars(default, extend("default" = "mac"))]
        kind: Choice<NameKind>,
        /// The first three octets of a MAC or EUI-64, such as "AA:BB:CC".
        #[schemars(default)]
        oui: Text,
        /// What serial numbers begin with.
        #[schemars(default, extend("default" = "SN-"))]
        prefix: Text,
    }
}

section! {
    /// A part of the fleet that behaves alike.
    struct Cohort as "[[cohort]]" {
        /// Names it in reports, unique.
        name: Text,
        /// The share of all devices (more than 0, up to 1) that it is dealt.
        #[schemars(default)]
        share: f64,
        /// The number of devices that it is dealt. Neither share nor count: what others leave.
        #[schemars(default)]
        count: u32,
        /// How its devices talk.
        #[schemars(default, extend("default" = "mqtt"))]
        transport: Choice<TransportKind>,
        /// Who makes the devices' credentials: the server, or the list (`access_token`).
        #[schemars(default, extend("default" = "server"))]
        credentials: Choice<CredentialsWord>,
        /// With `access_token`: each device's token, a template over name, index and row.COLUMN.
        #[schemars(default)]
        token: Text,
    }
}

section! {
    /// When devices start.
    struct Arrival as "[arrival]" {
        /// `open`: at a rate, whatever the server does; `closed`: so many at a time.
        #[schemars(default, extend("default" = "open"))]
        model: Choice<Model>,
        /// One after another, at least one.
        stages: Vec<Placed<Stage>>,
        /// Whether devices that the stages do not deliver stay out, instead of going on at the
        /// last stage's rate.
        #[schemars(default, extend("default" = false))]
        truncate: bool,
    }
}

section! {
    /// A stretch of the schedule.
    struct Stage as "[arrival] stages" {
        /// Its length.
        duration: Span,
        /// Open: devices per second.
        #[schemars(default)]
        rate: f64,
        /// Open, a ramp: devices per second at its start.
        #[schemars(default)]
        from: f64,
        /// Open, a ramp: devices per second at its end.
        #[schemars(default)]
        to: f64,
        /// Closed: devices being brought up at a time, at least 1.
        #[schemars(default)]
        concurrency: u32,
    }
}

section! {
    /// What provisioned devices send.
    struct Telemetry as "[telemetry]" {
        /// From one message of a device to its next, at least 10ms.
        #[schemars(default, extend("default" = "5s"))]
        interval: Span,
        /// MQTT's quality of service, 0 or 1.
        #[schemars(default, extend("default" = 1))]
        qos: u32,
        /// The message, sent as JSON.
        #[schemars(default, extend("default" = { "temperature": 21.5 }))]
        payload: Payload,
    }
}

section! {
    /// Bounds and time limits.
    struct Limits as "[limits]" {
        /// For a TCP handshake.
        #[schemars(default, extend("default" = "10s"))]
        connect_timeout: Span,
        /// For the answer to a connect, a provision request or a message. CoAP's retransmissions
        /// may take 93s unless it is set.
        #[schemars(default, extend("default" = "30s"))]
        answer_timeout: Span,
        /// For the acknowledgement of an MQTT subscription, which old servers never send.
        #[schemars(default, extend("default" = "1s"))]
        suback_wait: Span,
        /// For what is in flight at the end of the run; may be 0s.
        #[schemars(default, extend("default" = "30s"))]
        grace: Span,
        /// MQTT's keep-alive, whole seconds, at most 65535s.
        #[schemars(default, extend("default" = "60s"))]
        keep_alive: Span,
        /// Devices being brought up at a time, over all workers.
        #[schemars(default, extend("default" = 5000))]
        in_flight: u32,
        /// Worker threads; one per core when absent.
        #[schemars(default)]
        workers: u32,
    }
}

impl Scenario {
    /// Reads the whole scenario; what is faulty is left out.
    pub(super) fn from_table(table: &super::tree::Table, faults: &super::fault::Faults) -> Self {
        Self::read(table, faults)
    }
}

/// The load model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Model {
    Open,
    Closed,
}

impl Word for Model {
    const WORDS: &'static [(&'static str, Self)] =
        &[("open", Self::Open), ("closed", Self::Closed)];
}

/// Who makes the credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CredentialsWord {
    Server,
    AccessToken,
}

impl Word for CredentialsWord {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("server", Self::Server),
        ("access_token", Self::AccessToken),
    ];
    const LATER: &'static [(&'static str, &'static str)] = &[
        ("mqtt_basic", "MQTT basic credentials"),
        ("x509", "TLS"),
        ("x509_chain", "TLS"),
    ];
}

impl Word for TransportKind {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("mqtt", Self::Mqtt),
        ("http", Self::Http),
        ("coap", Self::Coap),
    ];
    const LATER: &'static [(&'static str, &'static str)] =
        &[("mqtts", "TLS"), ("https", "TLS"), ("coaps", "TLS")];
}

impl Word for Strategy {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("allow", Self::Allow),
        ("check", Self::Check),
        ("disabled", Self::Disabled),
        ("x509-chain", Self::X509Chain),
    ];
}

impl Word for NameKind {
    const WORDS: &'static [(&'static str, Self)] = &Self::WORDS;
}
