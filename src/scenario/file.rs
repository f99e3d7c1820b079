//! The scenario as it is typed. Each struct is a section, each field a key; what the words of a
//! field's documentation say stands in the JSON Schema, too.

pub(super) mod faults;
pub(super) mod rpc;

use self::faults::TargetFaults;
use self::rpc::Methods;
use super::downlink_keys::{Downlink, Push, Rest};
use super::gateway_keys::Gateway;
use super::leaf::{Choice, Conditions, Placed, Span, Text, Word};
use super::life_keys::{Duty, Event, ProvisionRetry, Reconnect};
use super::search_keys::Search;
use super::section::section;
use super::telemetry_keys::Telemetry;
use super::validity_keys::Validity;
use crate::inventory::NameKind;
use crate::model::{Bug, Expectation, Misbehaviour, Release, Strategy, TransportKind};
use crate::pki::KeyKind;

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
        /// Further device profiles, which cohorts name.
        #[schemars(default)]
        other_profile: Vec<Placed<OtherProfile>>,
        /// Where the device names come from.
        devices: Devices,
        /// Parts of the fleet that behave alike. Without any, all devices talk MQTT.
        #[schemars(default)]
        cohort: Vec<Placed<Cohort>>,
        /// When devices start; may be absent when each cohort has its own, and beside [search].
        #[schemars(default)]
        arrival: Arrival,
        /// Finds the highest arrival rate that holds; absent: devices arrive as [arrival] says.
        #[schemars(default)]
        search: Search,
        /// What provisioned devices send; absent: provision only.
        #[schemars(default)]
        telemetry: Telemetry,
        /// How devices come back after their connection broke; absent: they try with each message.
        #[schemars(default)]
        reconnect: Reconnect,
        /// How devices try again to be provisioned while nothing of their request was sent; absent:
        /// not at all.
        #[schemars(default)]
        provision_retry: ProvisionRetry,
        /// When devices sleep and wake; absent: they never sleep.
        #[schemars(default)]
        duty: Duty,
        /// What happens to a part of the fleet in the middle of the run.
        #[schemars(default)]
        event: Vec<Placed<Event>>,
        /// What provisioned devices are sent, and what they ask; absent: nothing.
        #[schemars(default)]
        downlink: Downlink,
        /// What an operator does to devices over the REST API in the middle of the run.
        #[schemars(default)]
        push: Vec<Placed<Push>>,
        /// The REST API that pushes go through; the embedded target's is known.
        #[schemars(default)]
        rest: Rest,
        /// Bounds and time limits.
        #[schemars(default)]
        limits: Limits,
        /// Conditions on metrics, such as "time_to_provision.p99" = "< 500ms".
        #[schemars(default)]
        thresholds: Conditions,
        /// Beyond what the generator itself is taken for the limit.
        #[schemars(default)]
        validity: Validity,
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
        /// Embedded only, `x509-chain`: the Java regular expression whose group 1 is a device's name
        /// in its certificate's common name.
        #[schemars(default, extend("default" = "(.+)"))]
        name_pattern: Text,
        /// Embedded only, `x509-chain`: whether unknown names become devices.
        #[schemars(default, extend("default" = true))]
        allow_create: bool,
        /// Embedded only: the release that it behaves like where releases differ.
        #[schemars(default, extend("default" = "4.3"))]
        release: Choice<Release>,
        /// Embedded only: how it misbehaves.
        #[schemars(default)]
        faults: TargetFaults,
        /// Embedded only: answers to client-side RPC by method; others time out.
        #[schemars(default)]
        rpc: Methods,
        /// Embedded only: faults of judgement on purpose, for proving that a run finds them.
        #[schemars(default)]
        bugs: Vec<Choice<Bug>>,
        /// `host:port` of the MQTT server.
        #[schemars(default)]
        mqtt: Text,
        /// `host:port` of the HTTP server.
        #[schemars(default)]
        http: Text,
        /// `host:port` of the CoAP server.
        #[schemars(default)]
        coap: Text,
        /// `host:port` of the server for MQTT over TLS.
        #[schemars(default)]
        mqtts: Text,
        /// `host:port` of the server for HTTP over TLS.
        #[schemars(default)]
        https: Text,
        /// `host:port` of the server for CoAP over DTLS.
        #[schemars(default)]
        coaps: Text,
        /// A PEM file of authorities that the server's certificate must lead to; without it, the
        /// system's.
        #[schemars(default)]
        ca: Text,
        /// Takes any server certificate: whoever answers is believed.
        #[schemars(default, extend("default" = false))]
        insecure: bool,
        /// Lets a device's later TLS handshakes resume its earlier session.
        #[schemars(default, extend("default" = false))]
        resumption: bool,
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
    /// A further device profile.
    struct OtherProfile as "[[other_profile]]" {
        /// What cohorts call it; unique.
        name: Text,
        /// The provision device key; may be absent with the embedded target and `x509-chain`.
        #[schemars(default)]
        provision_key: Text,
        /// The provision device secret; may be absent with the embedded target and `x509-chain`.
        #[schemars(default)]
        provision_secret: Text,
        /// Embedded only: how it treats provision requests.
        #[schemars(default, extend("default" = "allow"))]
        strategy: Choice<Strategy>,
        /// Embedded only, `x509-chain`: as in [target].
        #[schemars(default, extend("default" = "(.+)"))]
        name_pattern: Text,
        /// Embedded only, `x509-chain`: as in [target].
        #[schemars(default, extend("default" = true))]
        allow_create: bool,
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
        /// How many, at least 1; may be absent beside [search]: as many as that needs.
        #[schemars(default)]
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
        /// Which version of MQTT its devices speak: 3 (3.1.1) or 5.
        #[schemars(default, extend("default" = 3))]
        version: u32,
        /// The device profile that its devices belong to: the name of an [[other_profile]].
        /// Without it, [profile].
        #[schemars(default)]
        profile: Text,
        /// Which credentials its devices ask for, and who makes them.
        #[schemars(default, extend("default" = "server"))]
        credentials: Choice<CredentialsWord>,
        /// With `access_token`: each device's token, a template over name, index and row.COLUMN.
        #[schemars(default)]
        token: Text,
        /// With `access_token`, in place of `token`: the secret that tokens are derived from, with
        /// the device's name (HMAC-SHA256).
        #[schemars(default)]
        token_key: Text,
        /// With `mqtt_basic`: the client id, a template.
        #[schemars(default)]
        client_id: Text,
        /// With `mqtt_basic`: the user name, a template.
        #[schemars(default)]
        username: Text,
        /// With `mqtt_basic`: the password, a template.
        #[schemars(default)]
        password: Text,
        /// With `x509` and `x509_chain`: where keys and certificates come from.
        #[schemars(default)]
        certificate: Certificate,
        /// What must happen to each of its devices.
        #[schemars(default, extend("default" = "provisioned"))]
        expect: Choice<Expectation>,
        /// What its devices do wrong.
        #[schemars(default)]
        misbehaviour: Choice<Misbehaviour>,
        /// When its devices start, in place of [arrival]. Ordinals count within the cohort.
        #[schemars(default)]
        arrival: Arrival,
        /// Makes its devices gateways: what is behind each.
        #[schemars(default)]
        gateway: Gateway,
    }
}

section! {
    /// Where devices' keys and certificates come from: made for the run, or files.
    struct Certificate as "[cohort.certificate]" {
        /// A PEM file for each device, leaf first: a template, as in "{{ row.certificate_file }}".
        #[schemars(default)]
        file: Text,
        /// The PEM file of its private key: a template, as in "{{ row.key_file }}".
        #[schemars(default)]
        key_file: Text,
        /// Of which kind the keys are that are made.
        #[schemars(default, extend("default" = "p256"))]
        kind: Choice<KeyKind>,
        /// The common name of certificates that are made: a template.
        #[schemars(default, extend("default" = "{{ name }}"))]
        common_name: Text,
        /// For how many days certificates that are made hold.
        #[schemars(default, extend("default" = 3650))]
        days: u32,
        /// With `x509_chain`: the PEM file of the authority that signs, and of those above it.
        #[schemars(default)]
        ca: Text,
        /// With `x509_chain`: the PEM file of that authority's private key.
        #[schemars(default)]
        ca_key: Text,
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
        /// Open: `even` gaps, or those of a `poisson` process, drawn by the seed.
        #[schemars(default, extend("default" = "even"))]
        spacing: Choice<Spacing>,
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
        #[schemars(default)]
        duration: Span,
        /// In place of `duration`: the stage lasts until so many devices were due.
        #[schemars(default)]
        count: u32,
        /// Open, alone in its stage: so many devices are due at one moment.
        #[schemars(default)]
        burst: u32,
        /// Open: so many devices are due at one moment, at the stage's start and then each `every`.
        #[schemars(default)]
        batch: u32,
        /// Open: from one batch to the next, at least 1ms.
        #[schemars(default)]
        every: Span,
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
    /// Bounds and time limits.
    struct Limits as "[limits]" {
        /// For a TCP handshake, and again for a TLS handshake.
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
        /// Processes that start devices; as many as the limit on open files needs when absent.
        #[schemars(default)]
        processes: u32,
        /// Worker threads; one per core when absent.
        #[schemars(default)]
        workers: u32,
        /// Addresses of this machine that connections are spread over, as `127.0.1.0/24`.
        #[schemars(default)]
        sources: Text,
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

/// How the open model's devices are spaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spacing {
    Even,
    Poisson,
}

impl Word for Spacing {
    const WORDS: &'static [(&'static str, Self)] =
        &[("even", Self::Even), ("poisson", Self::Poisson)];
}

/// Who makes the credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CredentialsWord {
    Server,
    AccessToken,
    MqttBasic,
    X509,
    X509Chain,
}

impl CredentialsWord {
    /// The scenario's word for it.
    pub(super) fn as_str(self) -> &'static str {
        let (word, _) = Self::WORDS[self as usize];
        word
    }
}

impl Word for CredentialsWord {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("server", Self::Server),
        ("access_token", Self::AccessToken),
        ("mqtt_basic", Self::MqttBasic),
        ("x509", Self::X509),
        ("x509_chain", Self::X509Chain),
    ];
}

impl Word for TransportKind {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("mqtt", Self::Mqtt),
        ("mqtts", Self::Mqtts),
        ("http", Self::Http),
        ("https", Self::Https),
        ("coap", Self::Coap),
        ("coaps", Self::Coaps),
    ];
}

impl Word for Release {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("3.5", Self::V3_5),
        ("3.6", Self::V3_6),
        ("3.7", Self::V3_7),
        ("3.8", Self::V3_8),
        ("4.2.1", Self::V4_2_1),
        ("4.3", Self::V4_3),
    ];
}

impl Word for Bug {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("accept_race", Self::AcceptRace),
        ("accept_wrong_secret", Self::AcceptWrongSecret),
        ("foreign_token", Self::ForeignToken),
    ];
}

impl Word for KeyKind {
    const WORDS: &'static [(&'static str, Self)] = &Self::WORDS;
}

impl Word for Expectation {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("provisioned", Self::Provisioned),
        ("refused", Self::Refused),
        ("rejected", Self::Rejected),
    ];
}

impl Word for Misbehaviour {
    const WORDS: &'static [(&'static str, Self)] = &Self::WORDS;
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
