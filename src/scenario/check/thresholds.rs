//! `[thresholds]`: each is about something that this scenario can show.

use std::time::Duration;

use super::super::fault::Faults;
use super::super::leaf::{Condition, Conditions, Span};
use super::super::plan::{Cohort, CredentialsPlan, TelemetryPlan};
use super::super::section::Entry;
use crate::metrics::Threshold;
use crate::model::{Phase, TransportKind};

/// What decides over the result. Without cohorts, which are faulty then, nothing is said of them.
pub(super) fn thresholds(
    entry: &Entry<Conditions>,
    cohorts: Option<&[Cohort]>,
    telemetry: Option<&Option<TelemetryPlan>>,
    faults: &Faults,
) -> Option<Vec<Threshold>> {
    let Conditions(conditions) = match entry {
        Entry::Absent => return Some(Vec::new()),
        Entry::Faulty => return None,
        Entry::Given(conditions, _) => conditions,
    };
    let mut read = Vec::new();
    for condition in conditions {
        if cohorts.is_none() && condition.metric.starts_with("cohort.") {
            continue;
        }
        match threshold(condition, cohorts.unwrap_or_default(), telemetry) {
            Ok(threshold) => read.extend(threshold),
            Err(why) => {
                let (what, help) = why.split_once("; help: ").unwrap_or((&why, ""));
                let title = format!("threshold {:?}: {what}", condition.metric);
                faults.add(&condition.spot, title, help);
            }
        }
    }
    Some(read)
}

/// `None` when a part of it is known to be faulty.
fn threshold(
    given: &Condition,
    cohorts: &[Cohort],
    telemetry: Option<&Option<TelemetryPlan>>,
) -> Result<Option<Threshold>, String> {
    let Some(condition) = given.holds.value() else {
        return match given.holds {
            Entry::Absent => Err(format!("`condition` is missing; help: add {CONDITION}")),
            _ => Ok(None),
        };
    };
    let names = cohorts.iter().map(|cohort| cohort.name.as_str());
    let threshold = Threshold::parse(&given.metric, condition.as_str(), names)?;
    if let (Some(phase), Some(telemetry), false) =
        (threshold.needs(), telemetry, cohorts.is_empty())
    {
        let whose = |cohort: &&Cohort| threshold.cohort().is_none_or(|name| name == cohort.name);
        let mut whose = cohorts.iter().filter(whose);
        if !whose.any(|cohort| occurs(phase, cohort, telemetry.is_some())) {
            let phase = phase.as_str();
            let why = format!(
                "there will be no {phase} to judge: {}; help: leave it out",
                lacks(phase, threshold.cohort())
            );
            return Err(why);
        }
    }
    let (Some(abort), Some(after)) = (given.abort.or(false), given.after.or(Span(SETTLED))) else {
        return Ok(None);
    };
    if abort {
        return threshold.aborting(after.0).map(Some);
    }
    if given.after.given().is_some() {
        return Err("`after` says when `abort = true` begins; help: add that".to_owned());
    }
    Ok(Some(threshold))
}

/// Whether devices of a cohort can come to that step.
fn occurs(phase: Phase, cohort: &Cohort, telemetry: bool) -> bool {
    let transport = cohort.transport;
    match phase {
        Phase::TcpConnect => !matches!(transport, TransportKind::Coap | TransportKind::Coaps),
        Phase::TlsHandshake => transport.is_secure(),
        Phase::MqttConnect => matches!(transport, TransportKind::Mqtt | TransportKind::Mqtts),
        Phase::Provision => !matches!(cohort.credentials, CredentialsPlan::X509Chain(_)),
        Phase::Telemetry
        | Phase::Attributes
        | Phase::Reconnect
        | Phase::TimeToFirstTelemetry
        | Phase::TimeToReconnect => telemetry,
        Phase::TimeToProvision
        | Phase::Subscribe
        | Phase::Claim
        | Phase::AttributeUpdate
        | Phase::ServerRpc
        | Phase::RpcReply
        | Phase::RpcRoundTrip
        | Phase::ClientRpc
        | Phase::Rotate
        | Phase::GatewayConnect => true,
    }
}

fn lacks(phase: &str, cohort: Option<&str>) -> String {
    let whose = cohort.map_or_else(|| "no cohort".to_owned(), |name| format!("cohort {name:?}"));
    let not = if cohort.is_some() { " not" } else { "" };
    match phase {
        "tcp_connect" => format!("{whose} is{not} over TCP"),
        "tls_handshake" => format!("{whose} is{not} over mqtts, https or coaps"),
        "mqtt_connect" => format!("{whose} is{not} over mqtt or mqtts"),
        "provision" => format!("{whose} does{not} send provision requests (x509_chain)"),
        _ => "the scenario has no [telemetry]".to_owned(),
    }
}

/// What is seen in the first moments of a run says little about it.
const SETTLED: Duration = Duration::from_secs(10);

const CONDITION: &str = "condition = \"< 500ms\"";
