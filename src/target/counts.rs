//! What the server saw, as plain numbers: the other half of every comparison with a run's report.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::Serialize;

use super::faults::Fate;
use crate::model::{Protocol, TransportKind};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// What the target saw since it started. Counts of things, never of bytes or times.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
        pub struct Counts { $($(#[$doc])* pub $name: u64,)* }

        /// The live side of `Counts`.
        #[derive(Debug, Default)]
        pub(super) struct Tally {
            $(pub(super) $name: AtomicU64,)*
            doors: [Door; TransportKind::ALL.len()],
        }

        impl Tally {
            /// A copy. Single counters are exact; together they are of about one moment.
            pub(super) fn counts(&self) -> Counts {
                Counts { $($name: self.$name.load(Relaxed),)* }
            }
        }
    };
}

counters! {
    /// MQTT connections open now.
    connections_now,
    /// TCP connections ever accepted, MQTT and HTTP.
    connections,
    /// Times that no file descriptor was left for the next connection: it and those behind it waited
    /// unserved, as they do for any server, until another connection ended.
    waits_for_files,
    /// TLS handshakes that failed or took too long, MQTT and HTTP.
    handshakes_failed,
    /// CONNECT packets accepted, provisioning sessions included.
    mqtt_connects,
    /// MQTT sessions opened by a device with its credentials.
    sessions,
    /// Older sessions closed since the same device opened another.
    taken_over,
    /// CONNECTs, HTTP and CoAP requests with credentials that no device has.
    bad_logins,
    /// HTTP requests.
    http_requests,
    /// CoAP requests, retransmissions not included.
    coap_requests,
    /// CoAP requests seen again and answered from memory.
    coap_repeats,
    /// Provision requests understood, whatever became of them.
    provision_requests,
    /// Provision requests that made or marked a device: answers SUCCESS, lost ones included.
    provisioned,
    /// Provision requests answered NOT_FOUND or FAILURE.
    refused,
    /// Provision requests not understood.
    malformed,
    /// Provision requests on which the connection was closed on purpose, not carried out.
    faults_disconnected,
    /// Provision requests answered FAILURE on purpose, not carried out.
    faults_refused,
    /// Provision requests carried out whose answer was withheld on purpose.
    faults_lost,
    /// Telemetry messages taken whose answer was withheld on purpose.
    faults_unacknowledged,
    /// Connections, CONNECTs and telemetry messages turned down or cut off on purpose, not taken.
    faults_turned_down,
    /// Connections reset on purpose, in whatever phase; CoAP requests answered with a reset.
    faults_reset,
    /// Connections that fell silent on purpose, in whatever phase; CoAP requests never answered.
    faults_half_open,
    /// Answers that were noise on purpose, in whatever phase.
    faults_garbage,
    /// Updates, calls and answers to devices' calls that never left, on purpose.
    faults_undelivered,
    /// CONNECTs and messages that a rate limit turned down.
    rate_limited,
    /// Requests to the REST API that its rate limit turned down.
    rest_limited,
    /// Times that a listener went down and came back on purpose.
    restarts,
    /// Provision requests that the core never answered.
    core_timeouts,
    /// Telemetry messages accepted.
    telemetry_messages,
    /// Key-value pairs in them, nulls not counted.
    telemetry_points,
    /// Attribute messages accepted.
    attribute_messages,
    /// Claims accepted.
    claims,
    /// Devices that gateways connected, each time that one did.
    gateway_devices,
    /// Calls of devices (client-side RPC), `getSessionLimits` over MQTT aside.
    client_rpcs,
    /// Calls of devices that had an answer; the others timed out.
    client_rpcs_answered,
    /// Updates of shared attributes handed over to sessions, observations and long polls.
    attribute_updates,
    /// Calls of server-side RPC accepted over REST.
    rpc_calls,
    /// Calls handed over to sessions, observations and long polls; one may be so more than once.
    rpc_delivered,
    /// Replies of devices that ended a two-way call.
    rpc_replies,
    /// Replies of devices that no call waited for any more, or ever.
    rpc_stale,
    /// Calls that were handed over and not replied to in time.
    rpc_timeouts,
    /// Calls that nobody listened for in time.
    rpc_offline,
    /// Updates and calls for which a session had no room left.
    pushes_dropped,
    /// Telemetry and other device payloads not decodable.
    bad_payloads,
}

/// Connections over one transport: those of TCP, associations of DTLS. Plain CoAP has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// Open now.
    pub now: u64,
    /// Ever accepted; DTLS: with a handshake that succeeded.
    pub total: u64,
}

/// The live side of `Connections`.
#[derive(Debug, Default)]
struct Door {
    now: AtomicU64,
    total: AtomicU64,
}

impl Tally {
    /// Counts a connection, as one of now until what is returned is dropped.
    pub(super) fn enter(&self, kind: TransportKind) -> Present<'_> {
        self.come(kind);
        Present { tally: self, kind }
    }

    /// Counts a connection, as one of now until `go` is called.
    pub(super) fn come(&self, kind: TransportKind) {
        let door = &self.doors[kind as usize];
        bump(&door.total);
        bump(&door.now);
        if kind.protocol() == Protocol::Mqtt {
            bump(&self.connections_now);
        }
    }

    /// Counts a connection no more as one of now.
    pub(super) fn go(&self, kind: TransportKind) {
        self.doors[kind as usize].now.fetch_sub(1, Relaxed);
        if kind.protocol() == Protocol::Mqtt {
            self.connections_now.fetch_sub(1, Relaxed);
        }
    }

    /// The connections over a transport.
    pub(super) fn connections(&self, kind: TransportKind) -> Connections {
        let door = &self.doors[kind as usize];
        Connections {
            now: door.now.load(Relaxed),
            total: door.total.load(Relaxed),
        }
    }

    /// Counts what became of something other than a provision request.
    pub(super) fn fault(&self, fate: Fate) {
        match fate {
            Fate::Served => {}
            Fate::Refused | Fate::Disconnected => bump(&self.faults_turned_down),
            Fate::Lost => bump(&self.faults_unacknowledged),
            Fate::Reset => bump(&self.faults_reset),
            Fate::Silent => bump(&self.faults_half_open),
            Fate::Garbage => bump(&self.faults_garbage),
        }
    }
}

/// Counts one up.
pub(super) fn bump(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

/// Counts `n` up.
pub(super) fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Relaxed);
}

/// A connection that is there now: counted until it is dropped.
pub(super) struct Present<'a> {
    tally: &'a Tally,
    kind: TransportKind,
}

impl Drop for Present<'_> {
    fn drop(&mut self) {
        self.tally.go(self.kind);
    }
}
