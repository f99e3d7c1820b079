//! `[target]` and `[profile]`.

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::SecretString;

use super::super::fault::Faults;
use super::super::file::{Profile, Scenario, Target, TargetFaults};
use super::super::leaf::{Choice, Span, Text};
use super::super::plan::{Cohort, TargetPlan};
use super::super::section::Entry;
use super::super::tree::Spot;
use super::required;
use crate::inventory::token;
use crate::model::{Strategy, TransportKind};

/// Whom the devices talk to.
pub(super) fn target(entry: &Entry<Target>, root: &Spot, faults: &Faults) -> Option<TargetPlan> {
    let (target, at) = required(entry, "[target]", root, EITHER, faults)?;
    for (key, entry) in [
        ("mqtts", &target.mqtts),
        ("https", &target.https),
        ("coaps", &target.coaps),
        ("ca", &target.ca),
    ] {
        if let Some((_, spot)) = entry.given() {
            let title = format!("`{key}` is not available in this version: TLS");
            faults.add(spot, title, "use mqtt, http or coap");
        }
    }
    let addresses = addresses(target);
    if target.embedded.or(false)? {
        for (transport, entry) in addresses {
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
        let misbehaviour = misbehaviour(&target.faults, faults);
        let strategy = target.strategy.or(Choice(Strategy::default()))?.0;
        return Some(TargetPlan::Embedded {
            strategy,
            faults: misbehaviour?,
        });
    }
    for (key, spot) in [
        ("strategy", target.strategy.given().map(|(_, spot)| spot)),
        ("faults", target.faults.given().map(|(_, spot)| spot)),
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
    Some(TargetPlan::Remote(
        read?.into_iter().flatten().collect::<BTreeMap<_, _>>(),
    ))
}

/// The target with the addresses that a cohort uses.
pub(super) fn used(target: TargetPlan, cohorts: &[Cohort]) -> TargetPlan {
    match target {
        TargetPlan::Remote(mut addresses) => {
            addresses.retain(|transport, _| cohorts.iter().any(|c| c.transport == *transport));
            TargetPlan::Remote(addresses)
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

/// The provision key and secret; made up by seed for an embedded target.
pub(super) fn profile(
    file: &Scenario,
    seed: u64,
    root: &Spot,
    faults: &Faults,
) -> Option<(SecretString, SecretString)> {
    let remote = file.target.value().is_some_and(|target| {
        let addressed = addresses(target)
            .iter()
            .any(|(_, entry)| !entry.is_absent());
        target.embedded.or(false) == Some(false) && addressed
    });
    if file.profile.is_absent() && !remote {
        // Far from the tokens of devices, which are counted from 0.
        return Some((
            token(seed, u32::MAX).into(),
            token(seed, u32::MAX - 1).into(),
        ));
    }
    let (
        Profile {
            provision_key,
            provision_secret,
        },
        at,
    ) = required(&file.profile, "[profile]", root, PROFILE, faults)?;
    let key = secret(provision_key, "provision_key", at, faults);
    let secret = secret(provision_secret, "provision_secret", at, faults);
    Some((key?, secret?))
}

fn secret(entry: &Entry<Text>, key: &str, at: &Spot, faults: &Faults) -> Option<SecretString> {
    let example = format!("{key} = \"${{env:TB_{}}}\"", key.to_uppercase());
    let (text, spot) = required(entry, key, at, &example, faults)?;
    if text.as_str().trim().is_empty() {
        faults.add(
            spot,
            format!("`{key}` is empty"),
            "copy it from the device profile",
        );
        return None;
    }
    Some(text.as_str().into())
}

fn misbehaviour(entry: &Entry<TargetFaults>, faults: &Faults) -> Option<crate::model::Faults> {
    let table = match entry {
        Entry::Absent => return Some(crate::model::Faults::default()),
        Entry::Faulty => return None,
        Entry::Given(table, _) => table,
    };
    let shares = [
        ("refuse", &table.refuse),
        ("lose_answer", &table.lose_answer),
        ("disconnect", &table.disconnect),
    ];
    let mut sum = 0.0;
    for (key, entry) in shares {
        let Some((share, spot)) = entry.given() else {
            continue;
        };
        if !(0.0..=1.0).contains(share) {
            faults.add(
                spot,
                format!("`{key}` must be a share from 0 to 1, found {share}"),
                "0.1 is a tenth of all requests",
            );
        } else if sum + share > 1.0 + 1e-9 {
            let title = "the shares of faults are more than 1 in total";
            faults.add(spot, title, "a request has one fault at most: lower them");
        }
        sum += share.clamp(0.0, 1.0);
    }
    Some(crate::model::Faults {
        delay: table.delay.or(Span(Duration::ZERO))?.0,
        refuse: table.refuse.or(0.0)?,
        lose_answer: table.lose_answer.or(0.0)?,
        disconnect: table.disconnect.or(0.0)?,
    })
}

fn addresses(target: &Target) -> [(TransportKind, &Entry<Text>); 3] {
    [
        (TransportKind::Mqtt, &target.mqtt),
        (TransportKind::Http, &target.http),
        (TransportKind::Coap, &target.coap),
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

const PROFILE: &str = "[profile] with `provision_key` and `provision_secret`, \
    which only the embedded target can do without";
