//! The figures of a target on its own: all that it counts.

use super::families::{
    Family, TARGET, TARGET_CONNECTIONS, TARGET_CONNECTIONS_NOW, TARGET_DOWNLINK, TARGET_FAULTS,
    TARGET_HANDSHAKES_FAILED, TARGET_LOGINS, TARGET_MESSAGES, TARGET_POINTS, TARGET_PROVISIONS,
    TARGET_REQUESTS, TARGET_TAKEN_OVER, TARGET_WAITS_FOR_FILES,
};
use super::figures::{Figures, Series, Value};
use crate::model::TransportKind;
use crate::target::{Counts, Meter};

/// What a target says of itself.
pub fn target_figures(meter: &Meter) -> Figures {
    let release = serde_json::to_value(meter.release()).unwrap_or_default();
    let about = [env!("CARGO_PKG_VERSION"), release.as_str().unwrap_or("")];
    let mut series = vec![Series::of(&TARGET).with(&about, Value::Gauge(1.0))];
    series.extend(connections(meter));
    series.extend(counted(&meter.counts()));
    Figures {
        common: Vec::new(),
        series,
    }
}

fn connections(meter: &Meter) -> [Series; 2] {
    let mut now = Series::of(&TARGET_CONNECTIONS_NOW);
    let mut total = Series::of(&TARGET_CONNECTIONS);
    let with_connections = |kind: &TransportKind| *kind != TransportKind::Coap;
    for kind in TransportKind::ALL.into_iter().filter(with_connections) {
        let connections = meter.connections(kind);
        now.push(&[kind.as_str()], Value::Gauge(connections.now as f64));
        total.push(&[kind.as_str()], Value::Count(connections.total));
    }
    [now, total]
}

fn counted(counts: &Counts) -> Vec<Series> {
    let single = |family: &'static Family, count| Series::of(family).with(&[], Value::Count(count));
    vec![
        single(&TARGET_WAITS_FOR_FILES, counts.waits_for_files),
        single(&TARGET_HANDSHAKES_FAILED, counts.handshakes_failed),
        split(
            &TARGET_REQUESTS,
            &[
                ("http", counts.http_requests),
                ("coap", counts.coap_requests),
            ],
        ),
        split(
            &TARGET_PROVISIONS,
            &[
                ("provisioned", counts.provisioned),
                ("refused", counts.refused),
                ("malformed", counts.malformed),
                ("unanswered", counts.core_timeouts),
            ],
        ),
        split(
            &TARGET_LOGINS,
            &[
                ("accepted", counts.sessions),
                ("refused", counts.bad_logins),
            ],
        ),
        single(&TARGET_TAKEN_OVER, counts.taken_over),
        split(
            &TARGET_MESSAGES,
            &[
                ("telemetry", counts.telemetry_messages),
                ("attributes", counts.attribute_messages),
                ("claim", counts.claims),
                ("client_rpc", counts.client_rpcs),
                ("bad_payload", counts.bad_payloads),
            ],
        ),
        single(&TARGET_POINTS, counts.telemetry_points),
        split(
            &TARGET_DOWNLINK,
            &[
                ("attribute_update", counts.attribute_updates),
                ("rpc_call", counts.rpc_calls),
                ("rpc_delivered", counts.rpc_delivered),
                ("rpc_reply", counts.rpc_replies),
                ("rpc_stale", counts.rpc_stale),
                ("rpc_timeout", counts.rpc_timeouts),
                ("rpc_offline", counts.rpc_offline),
                ("no_room", counts.pushes_dropped),
            ],
        ),
        split(&TARGET_FAULTS, &faults(counts)),
    ]
}

fn faults(counts: &Counts) -> [(&'static str, u64); 12] {
    [
        ("disconnected", counts.faults_disconnected),
        ("refused", counts.faults_refused),
        ("lost", counts.faults_lost),
        ("unacknowledged", counts.faults_unacknowledged),
        ("turned_down", counts.faults_turned_down),
        ("reset", counts.faults_reset),
        ("half_open", counts.faults_half_open),
        ("garbage", counts.faults_garbage),
        ("undelivered", counts.faults_undelivered),
        ("rate_limited", counts.rate_limited),
        ("rest_limited", counts.rest_limited),
        ("restart", counts.restarts),
    ]
}

fn split(family: &'static Family, counts: &[(&str, u64)]) -> Series {
    let mut series = Series::of(family);
    for (word, count) in counts {
        series.push(&[word], Value::Count(*count));
    }
    series
}
