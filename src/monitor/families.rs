//! The metric families that are exposed. Names, labels and meanings are those of docs/monitoring.md,
//! which a test holds against this table.

use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

/// What a family is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; its samples end in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Cumulative buckets, `_sum` and `_count`.
    Histogram,
}

/// A metric family.
#[derive(Debug)]
pub struct Family {
    /// Without the prefix `fleetcall_`, the unit and the suffix of its samples.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Whether it counts seconds; then `_seconds` follows the name.
    pub seconds: bool,
    /// Labels besides `scenario`, which all have.
    pub labels: &'static [&'static str],
    /// What it says, one line without a full stop.
    pub help: &'static str,
}

impl Family {
    /// The name by which it is queried; of a histogram, without `_bucket`, `_sum` and `_count`.
    pub fn queried_as(&self) -> String {
        let seconds = if self.seconds { "_seconds" } else { "" };
        let total = if self.kind == Kind::Counter {
            "_total"
        } else {
            ""
        };
        format!("fleetcall_{}{seconds}{total}", self.name)
    }

    pub(super) fn unit(&self) -> Option<&'static Unit> {
        self.seconds.then_some(&Unit::Seconds)
    }

    pub(super) fn metric_type(&self) -> MetricType {
        match self.kind {
            Kind::Counter => MetricType::Counter,
            Kind::Gauge => MetricType::Gauge,
            Kind::Histogram => MetricType::Histogram,
        }
    }
}

macro_rules! families {
    ($(#[$doc:meta])* $all:ident; $($constant:ident: $name:literal, $kind:ident, $seconds:literal, [$($label:literal),*], $help:literal;)*) => {
        $(
            pub(super) const $constant: Family = Family {
                name: $name,
                kind: Kind::$kind,
                seconds: $seconds,
                labels: &[$($label),*],
                help: $help,
            };
        )*
        $(#[$doc])*
        pub const $all: &[Family] = &[$($constant),*];
    };
}

families! {
    /// Those of a run.
    FAMILIES;
    RUN: "run_info", Gauge, false, ["version", "seed", "schedule_digest"],
        "The run that is watched, always 1";
    ELAPSED: "run_elapsed", Gauge, true, [],
        "Time since the start of the run";
    VERDICT: "run_verdict", Gauge, false, ["verdict"],
        "Whether the figures so far may be quoted: 1 for the verdict that holds, else 0";
    LISTED: "devices_listed", Gauge, false, ["cohort", "transport"],
        "Devices on the list";
    DEVICES: "devices", Counter, false, ["cohort", "transport", "outcome"],
        "Devices whose provisioning ended, by how";
    NOW: "devices_now", Gauge, false, ["cohort", "transport", "state"],
        "Devices by what they are doing now: waiting, bringing_up or live";
    STARTS: "starts", Counter, false, ["cohort", "transport"],
        "Devices started";
    LATE: "starts_late", Counter, false, ["cohort", "transport"],
        "Devices started later than due by more than 10 ms";
    DROPPED: "starts_dropped", Counter, false, [],
        "Devices that were due and that the generator could not start";
    START_LAG: "start_lag", Histogram, true, [],
        "How late devices started";
    MESSAGE_LAG: "message_lag", Histogram, true, [],
        "How late the generator handed telemetry messages to their connections";
    STEP: "step", Histogram, true, ["cohort", "transport", "phase", "kind"],
        "Steps completed, by how long they took: response from the intended start, service from the actual send";
    STEP_ERRORS: "step_errors", Counter, false, ["cohort", "transport", "phase"],
        "Steps not completed";
    STEP_RETRIES: "step_retries", Counter, false, ["cohort", "transport", "phase"],
        "Attempts that were not a step's first";
    TELEMETRY: "telemetry_messages", Counter, false, ["cohort", "transport", "state"],
        "Telemetry messages sent, acked (acknowledged by the server) and lost (known to be unacknowledged)";
    SESSIONS: "sessions", Counter, false, ["cohort", "transport", "event"],
        "Sessions of provisioned devices that were lost or taken_over, devices back after a loss, and budgets given_up";
    ERRORS: "errors", Counter, false, ["cause"],
        "Errors by cause, as in the summary; causes beyond a bound are together";
    SEARCH_TRIAL: "search_trial", Gauge, false, ["purpose"],
        "Number of the trial of a search that is under way, or was the last one; absent without a search";
    SEARCH_RATE: "search_rate", Gauge, false, ["bound"],
        "Devices per second: tried in that trial, the highest rate that held, the lowest that was broken; absent while unknown";
    SEARCH_VERDICT: "search_verdict", Gauge, false, ["verdict"],
        "What the trial that was judged last came to: 1 for held, broken or generator, else 0; absent while none was";
}

families! {
    /// Those of a target on its own.
    TARGET_FAMILIES;
    TARGET: "target_info", Gauge, false, ["version", "release"],
        "The target that is watched, always 1";
    TARGET_CONNECTIONS_NOW: "target_connections_now", Gauge, false, ["transport"],
        "Connections open now; over coaps, associations of DTLS";
    TARGET_CONNECTIONS: "target_connections", Counter, false, ["transport"],
        "Connections accepted; over coaps, handshakes that succeeded";
    TARGET_WAITS_FOR_FILES: "target_waits_for_files", Counter, false, [],
        "Times that no file descriptor was left for the next connection, which then waited";
    TARGET_HANDSHAKES_FAILED: "target_handshakes_failed", Counter, false, [],
        "TLS handshakes over TCP that failed or took too long";
    TARGET_REQUESTS: "target_requests", Counter, false, ["protocol"],
        "Requests over http (REST included) and coap, secured or not, each once";
    TARGET_PROVISIONS: "target_provisions", Counter, false, ["result"],
        "Provision requests by what came of them: provisioned (though the answer may be withheld), refused, malformed, unanswered";
    TARGET_LOGINS: "target_logins", Counter, false, ["result"],
        "MQTT sessions opened with a device's credentials (accepted); CONNECTs and requests with credentials that no device has (refused)";
    TARGET_TAKEN_OVER: "target_taken_over", Counter, false, [],
        "MQTT sessions closed since the same device opened another";
    TARGET_MESSAGES: "target_messages", Counter, false, ["kind"],
        "What devices sent and the target took: telemetry, attributes, claim, client_rpc; bad_payload was not decodable";
    TARGET_POINTS: "target_telemetry_points", Counter, false, [],
        "Values in telemetry messages";
    TARGET_DOWNLINK: "target_downlink", Counter, false, ["event"],
        "Updates of attributes handed over, calls of devices and what became of them, and what found no room";
    TARGET_FAULTS: "target_faults", Counter, false, ["fault"],
        "Faults that struck, as docs/target.md has them";
}
