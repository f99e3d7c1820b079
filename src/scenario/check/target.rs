//! `[target]` and `[profile]`.

use std::collections::BTreeMap;

use super::super::fault::Faults;
use super::super::file::Target;
use super::super::leaf::{Choice, Text};
use super::super::plan::{Cohort, TargetPlan, TrustPlan};
use super::super::section::Entry;
use super::super::tree::Spot;
use super::faults::misbehaviour;
use super::rpc::answers;
use super::{filled, required};
use crate::model::{Release, TransportKind};

/// Whom the devices talk to.
pub(super) fn target(entry: &Entry<Target>, root: &Spot, faults: &Faults) -> Option<TargetPlan> {
    let (target, at) = required(entry, "[target]", root, EITHER, faults)?;
    let addresses = addresses(target);
    if target.embedded.or(false)? {
        return embedded(target, faults);
    }
    for (key, spot) in [
        ("strategy", target.strategy.given().map(|(_, spot)| spot)),
        ("name_pattern", target.name_pattern.given().map(|(_, s)| s)),
        ("allow_create", target.allow_create.given().map(|(_, s)| s)),
        ("release", target.release.given().map(|(_, spot)| spot)),
        ("faults", target.faults.given().map(|(_, spot)| spot)),
        ("rpc", target.rpc.given().map(|(_, spot)| spot)),
        ("bugs", target.bugs.given().map(|(_, spot)| spot)),
    ] {
        if let Some(spot) = spot {
            let title = format!("`{key}` is for the embedded target");
            faults.add(spot, title, "remove it, or add `embedded = true`");
        }
    }
    if addresses.iter().all(|(_, entry)| entry.is_absent()) {
        faults.add(
            at,
            "[target] has neither `embedded = true` nor an address",
            format!("add {EITHER}"),
        );
        return None;
    }
    let read = addresses.map(|(transport, entry)| match entry {
        Entry::Absent => Some(None),
        Entry::Faulty => None,
        Entry::Given(text, spot) => {
            address(transport, text, spot, faults).map(|a| Some((transport, a)))
        }
    });
    let read: Option<Vec<_>> = read.into_iter().collect();
    let trust = trust(target, faults);
    Some(TargetPlan::Remote {
        addresses: read?.into_iter().flatten().collect::<BTreeMap<_, _>>(),
        trust: trust?,
        resumption: target.resumption.or(false)?,
    })
}

/// The embedded target, which has no addresses and nobody to trust.
fn embedded(target: &Target, faults: &Faults) -> Option<TargetPlan> {
    for (transport, entry) in addresses(target) {
        if let Some((_, spot)) = entry.given() {
            let key = transport.as_str();
            let title = format!("`{key}` is an address, and the target is embedded");
            faults.add(
                spot,
                title,
                "keep either `embedded = true` or the addresses",
            );
        }
    }
    for (key, spot) in [
        ("ca", target.ca.given().map(|(_, spot)| spot)),
        ("insecure", target.insecure.given().map(|(_, spot)| spot)),
    ] {
        if let Some(spot) = spot {
            let title = format!("`{key}` is for a server elsewhere, and the target is embedded");
            faults.add(
                spot,
                title,
                "remove it: the embedded target's authority is known",
            );
        }
    }
    let misbehaviour = misbehaviour(&target.faults, faults);
    let rpc = answers(&target.rpc, faults);
    let bugs = match &target.bugs {
        Entry::Absent => Some(Vec::new()),
        Entry::Faulty => None,
        Entry::Given(bugs, _) => Some(bugs.iter().map(|choice| choice.0).collect()),
    };
    Some(TargetPlan::Embedded {
        faults: Box::new(misbehaviour?),
        release: target.release.or(Choice(Release::default()))?.0,
        bugs: bugs?,
        rpc: rpc?,
        resumption: target.resumption.or(false)?,
    })
}

/// The target with the addresses that a cohort uses.
pub(super) fn used(target: TargetPlan, cohorts: &[Cohort]) -> TargetPlan {
    match target {
        TargetPlan::Remote {
            mut addresses,
            trust,
            resumption,
        } => {
            addresses.retain(|transport, _| cohorts.iter().any(|c| c.transport == *transport));
            TargetPlan::Remote {
                addresses,
                trust,
                resumption,
            }
        }
        embedded @ TargetPlan::Embedded { .. } => embedded,
    }
}

/// Whether a target surely has no address for a transport.
pub(super) fn lacks(target: &Entry<Target>, transport: TransportKind) -> bool {
    let Some(target) = target.value() else {
        return false;
    };
    let addresses = addresses(target);
    let none = addresses.iter().all(|(_, entry)| entry.is_absent());
    let this = addresses.iter().find(|(t, _)| *t == transport);
    target.embedded.or(false) == Some(false)
        && !none
        && this.is_some_and(|(_, entry)| entry.is_absent())
}

/// Whether the target is surely a server elsewhere.
pub(super) fn is_remote(target: &Entry<Target>) -> bool {
    target.value().is_some_and(|target| {
        let addressed = addresses(target)
            .iter()
            .any(|(_, entry)| !entry.is_absent());
        target.embedded.or(false) == Some(false) && addressed
    })
}

/// By what the server's certificates are judged.
fn trust(target: &Target, faults: &Faults) -> Option<TrustPlan> {
    match (target.insecure.or(false)?, &target.ca) {
        (_, Entry::Faulty) => None,
        (true, Entry::Given(_, spot)) => {
            let title = "`insecure = true` trusts everybody, and `ca` only whom it names";
            faults.add(spot, title, "keep one of them: `ca` is the safe one");
            None
        }
        (true, Entry::Absent) => Some(TrustPlan::Insecure),
        (false, Entry::Absent) => Some(TrustPlan::System),
        (false, Entry::Given(path, spot)) => {
            filled(path, "ca", spot, faults).map(|path| TrustPlan::File(path.into()))
        }
    }
}

fn addresses(target: &Target) -> [(TransportKind, &Entry<Text>); 6] {
    [
        (TransportKind::Mqtt, &target.mqtt),
        (TransportKind::Mqtts, &target.mqtts),
        (TransportKind::Http, &target.http),
        (TransportKind::Https, &target.https),
        (TransportKind::Coap, &target.coap),
        (TransportKind::Coaps, &target.coaps),
    ]
}

/// `host:port`, where an IPv6 address stands in brackets.
fn address(transport: TransportKind, text: &Text, spot: &Spot, faults: &Faults) -> Option<String> {
    let key = transport.as_str();
    let port = transport.default_port();
    let fault = |what: &str, help: String| {
        faults.add(
            spot,
            format!("`{key}` must be host:port, {what}: {}", text.shown()),
            help,
        );
        None
    };
    let address = text.as_str();
    if let Some((_, rest)) = address.split_once("://") {
        let rest = if text.shown().contains("://") {
            rest.trim_end_matches('/')
        } else {
            "host:port"
        };
        return fault("without a scheme", format!("write {key} = \"{rest}\""));
    }
    let Some((host, digits)) = address.rsplit_once(':').filter(|(_, d)| !d.ends_with(']')) else {
        return fault(
            "found no port",
            format!("add the port, which is {port} by default"),
        );
    };
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let sound = match bare {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host
                    .chars()
                    .all(|c| c.is_alphanumeric() || "-._".contains(c))
        }
    };
    if !sound {
        return fault(
            "found no host",
            "write a name, an IPv4 address or an IPv6 address in brackets".to_owned(),
        );
    }
    match digits.parse::<u16>() {
        Ok(1..) if digits.bytes().all(|b| b.is_ascii_digit()) => Some(address.to_owned()),
        _ => fault(
            "with a port from 1 to 65535",
            format!("the default port is {port}"),
        ),
    }
}

const EITHER: &str =
    "[target] with `embedded = true`, or with addresses such as mqtt = \"tb.example:1883\"";
