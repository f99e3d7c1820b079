//! `[target.faults]`, and a target file's `[faults]`.

use std::time::Duration;

use super::super::fault::Faults;
use super::super::file::faults::{
    AnswerFaults, DownlinkFaults, RateLimits, Restart, Slow, Stall, TargetFaults, WireFaults,
};
use super::super::leaf::{Placed, Span, Text};
use super::super::section::Entry;
use super::super::tree::Spot;
use crate::model::{self, Outage, PhaseFaults, RateLimit};

/// How the target misbehaves.
pub(in crate::scenario) fn misbehaviour(
    entry: &Entry<TargetFaults>,
    faults: &Faults,
) -> Option<model::Faults> {
    let table = match entry {
        Entry::Absent => return Some(model::Faults::default()),
        Entry::Faulty => return None,
        Entry::Given(table, _) => table,
    };
    let none = WireFaults::default();
    let wire = table.provision.value().unwrap_or(&none);
    let provision = [
        ("refuse", &table.refuse),
        ("lose_answer", &table.lose_answer),
        ("disconnect", &table.disconnect),
        ("reset", &wire.reset),
        ("half_open", &wire.half_open),
        ("garbage", &wire.garbage),
    ];
    exclusive(&provision, faults);
    let capacity = positive(&table.capacity, "capacity", faults);
    let told = model::Faults {
        delay: table.delay.or(Span(Duration::ZERO))?.0,
        refuse: table.refuse.or(0.0)?,
        lose_answer: table.lose_answer.or(0.0)?,
        disconnect: table.disconnect.or(0.0)?,
        connect: wire_faults(&table.connect, faults),
        tls: wire_faults(&table.tls, faults),
        mqtt_connect: answer_faults(&table.mqtt_connect, faults),
        // Its shares were looked at together with those above it.
        provision: wire_faults(&table.provision, &Faults::default()),
        telemetry: answer_faults(&table.telemetry, faults),
        downlink: downlink_faults(&table.downlink, faults),
        slow_reader: slow(&table.slow_reader, "slow_reader", faults),
        slow_writer: slow(&table.slow_writer, "slow_writer", faults),
        stall: stalls(&table.stall, faults),
        restart: restarts(&table.restart, faults),
        rate_limits: rate_limits(&table.rate_limits, faults),
        capacity,
    };
    // Any fault that was found keeps it from being used.
    Some(told)
}

fn wire_faults(entry: &Entry<WireFaults>, faults: &Faults) -> PhaseFaults {
    let Some(table) = entry.value() else {
        return PhaseFaults::default();
    };
    exclusive(
        &[
            ("reset", &table.reset),
            ("half_open", &table.half_open),
            ("garbage", &table.garbage),
        ],
        faults,
    );
    PhaseFaults {
        delay: table.delay.value().copied(),
        reset: share(&table.reset),
        half_open: share(&table.half_open),
        garbage: share(&table.garbage),
        ..PhaseFaults::default()
    }
}

fn answer_faults(entry: &Entry<AnswerFaults>, faults: &Faults) -> PhaseFaults {
    let Some(table) = entry.value() else {
        return PhaseFaults::default();
    };
    exclusive(
        &[
            ("refuse", &table.refuse),
            ("lose_answer", &table.lose_answer),
            ("disconnect", &table.disconnect),
            ("reset", &table.reset),
            ("half_open", &table.half_open),
            ("garbage", &table.garbage),
        ],
        faults,
    );
    PhaseFaults {
        delay: table.delay.value().copied(),
        refuse: share(&table.refuse),
        lose_answer: share(&table.lose_answer),
        disconnect: share(&table.disconnect),
        reset: share(&table.reset),
        half_open: share(&table.half_open),
        garbage: share(&table.garbage),
    }
}

fn downlink_faults(entry: &Entry<DownlinkFaults>, faults: &Faults) -> PhaseFaults {
    let Some(table) = entry.value() else {
        return PhaseFaults::default();
    };
    exclusive(&[("lose", &table.lose)], faults);
    PhaseFaults {
        delay: table.delay.value().copied(),
        lose_answer: share(&table.lose),
        ..PhaseFaults::default()
    }
}

/// Whether shares are shares, and leave no request two fates.
fn exclusive(shares: &[(&str, &Entry<f64>)], faults: &Faults) {
    let mut sum = 0.0;
    for (key, entry) in shares {
        let Some((share, spot)) = entry.given() else {
            continue;
        };
        if is_share(key, *share, spot, faults) && sum + share > 1.0 + 1e-9 {
            let title = "the shares of faults are more than 1 in total";
            faults.add(spot, title, "a request has one fault at most: lower them");
        }
        sum += share.clamp(0.0, 1.0);
    }
}

fn is_share(key: &str, share: f64, spot: &Spot, faults: &Faults) -> bool {
    let sound = (0.0..=1.0).contains(&share);
    if !sound {
        faults.add(
            spot,
            format!("`{key}` must be a share from 0 to 1, found {share}"),
            "0.1 is a tenth of all requests",
        );
    }
    sound
}

/// What is faulty is reported already, and counts for nothing.
fn share(entry: &Entry<f64>) -> f64 {
    entry.value().copied().unwrap_or(0.0)
}

fn positive(entry: &Entry<f64>, key: &str, faults: &Faults) -> Option<f64> {
    let (rate, spot) = entry.given()?;
    if *rate > 0.0 {
        return Some(*rate);
    }
    let title = format!("`{key}` must be above 0, found {rate}");
    faults.add(spot, title, "100 is a hundred requests per second");
    None
}

fn slow(entry: &Entry<Slow>, key: &str, faults: &Faults) -> Option<model::Slow> {
    let (table, at) = entry.given()?;
    if let Some((share, spot)) = table.share.given() {
        is_share("share", *share, spot, faults);
    }
    match &table.rate {
        Entry::Faulty => None,
        Entry::Given(rate @ 1.., _) => Some(model::Slow {
            share: table.share.or(1.0)?,
            rate: *rate,
        }),
        Entry::Given(_, spot) => {
            let help = "a connection that passes nothing is `half_open`";
            faults.add(spot, "`rate` must be at least 1 byte per second", help);
            None
        }
        Entry::Absent => {
            let help = "add rate = 100, bytes per second";
            faults.add(at, format!("`{key}` has no `rate`"), help);
            None
        }
    }
}

fn stalls(entry: &Entry<Vec<Placed<Stall>>>, faults: &Faults) -> Vec<model::Stall> {
    let stalls = entry.value().into_iter().flatten();
    stalls
        .filter_map(|Placed(stall, at)| {
            let when = outage([&stall.at, &stall.r#for], at, faults);
            let phases = match stall.phases.given() {
                Some((phases, spot)) if phases.is_empty() => {
                    let help = "leave `phases` out: then nothing at all is read or answered";
                    faults.add(spot, "a stall of no phase", help);
                    return None;
                }
                Some((phases, _)) => phases.iter().map(|choice| choice.0).collect(),
                None => Vec::new(),
            };
            Some(model::Stall {
                when: when?,
                phases,
            })
        })
        .collect()
}

fn restarts(entry: &Entry<Vec<Placed<Restart>>>, faults: &Faults) -> Vec<Outage> {
    let restarts = entry.value().into_iter().flatten();
    restarts
        .filter_map(|Placed(restart, at)| outage([&restart.at, &restart.r#for], at, faults))
        .collect()
}

fn outage(times: [&Entry<Span>; 2], at: &Spot, faults: &Faults) -> Option<Outage> {
    for (entry, key) in times.into_iter().zip(["at", "for"]) {
        if entry.is_absent() {
            let help = "write { at = \"10s\", for = \"2s\" }";
            faults.add(at, format!("`{key}` is missing"), help);
        }
    }
    let [at, length] = times.map(|entry| entry.value().map(|span| span.0));
    Some(Outage {
        at: at?,
        length: length?,
    })
}

fn rate_limits(entry: &Entry<RateLimits>, faults: &Faults) -> model::RateLimits {
    let Some(table) = entry.value() else {
        return model::RateLimits::default();
    };
    let limit = |key: &str, entry: &Entry<Text>| match entry.given() {
        None => RateLimit::default(),
        Some((text, spot)) => text.as_str().parse().unwrap_or_else(|why| {
            let title = format!("`{key}` is no rate limit: {}", text.shown());
            faults.add(spot, title, format!("{why}: \"10:1,300:60\""));
            RateLimit::default()
        }),
    };
    model::RateLimits {
        tenant_msg: limit("tenant_msg", &table.tenant_msg),
        tenant_telemetry_msg: limit("tenant_telemetry_msg", &table.tenant_telemetry_msg),
        tenant_telemetry_data_points: limit(
            "tenant_telemetry_data_points",
            &table.tenant_telemetry_data_points,
        ),
        device_msg: limit("device_msg", &table.device_msg),
        device_telemetry_msg: limit("device_telemetry_msg", &table.device_telemetry_msg),
        device_telemetry_data_points: limit(
            "device_telemetry_data_points",
            &table.device_telemetry_data_points,
        ),
        tenant_rest: limit("tenant_rest", &table.tenant_rest),
    }
}
