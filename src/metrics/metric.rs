//! The names of what a threshold can be about.

use super::cause::OTHER_CAUSES;
use super::cause::{cause_from_word, plain_words};
use super::downlink::DOWNLINK_COUNTS;
use super::gateway::GATEWAY_COUNTS;
use crate::model::{Outcome, Phase};

/// One figure of a summary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Metric {
    Latency(Phase, Clock, Figure),
    PhaseCount(Phase),
    PhaseErrors(Phase),
    PhaseRetries(Phase),
    /// Over all phases.
    Retries,
    /// Devices that are back, of those that lost a session.
    DevicesBack,
    Reconnects(Sessions),
    Rotations(Certificates),
    /// A count of what devices were sent, by its name.
    Downlink(&'static str),
    /// A count of gateways and those behind them, by its name.
    Gateway(&'static str),
    Devices(Outcome),
    Telemetry(Messages),
    StartsLate,
    StartsDropped,
    /// The stable word.
    Errors(String),
}

/// From when a latency counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clock {
    Response,
    Service,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Figure {
    P50,
    P90,
    P99,
    P999,
    Max,
    Mean,
}

impl Figure {
    const ALL: [(Self, &'static str); 6] = [
        (Self::P50, "p50"),
        (Self::P90, "p90"),
        (Self::P99, "p99"),
        (Self::P999, "p999"),
        (Self::Max, "max"),
        (Self::Mean, "mean"),
    ];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Messages {
    Sent,
    Acked,
    Lost,
    RatePerS,
}

/// What became of sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sessions {
    Lost,
    Back,
    NotBack,
    GivenUp,
    Takeovers,
    TakenOver,
}

/// What became of certificates that devices got in mid-run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Certificates {
    Due,
    Done,
    Failed,
    InDoubt,
    OldRefused,
    OldAccepted,
}

impl Certificates {
    const ALL: [(Self, &'static str); 6] = [
        (Self::Due, "due"),
        (Self::Done, "done"),
        (Self::Failed, "failed"),
        (Self::InDoubt, "in_doubt"),
        (Self::OldRefused, "old_refused"),
        (Self::OldAccepted, "old_accepted"),
    ];
}

impl Metric {
    /// The metric of that name, or what is wrong with the name and what to write instead.
    pub(super) fn parse(name: &str) -> Result<Self, String> {
        if let Some(word) = name.strip_prefix("errors.") {
            return if word == OTHER_CAUSES || cause_from_word(word).is_some() {
                Ok(Self::Errors(word.to_owned()))
            } else {
                Err(unknown("cause", word, plain_words()))
            };
        }
        let found = Self::named().find(|(known, _)| known == name);
        found.map(|(_, metric)| metric).ok_or_else(|| {
            let names = Self::named().map(|(known, _)| known);
            unknown("metric", name, names)
        })
    }

    /// Every metric but `errors.<cause>`, with its name.
    fn named() -> impl Iterator<Item = (String, Self)> {
        let phases = Phase::ALL.into_iter().flat_map(|phase| {
            let name = phase.as_str();
            let figures = Figure::ALL.into_iter().flat_map(move |(figure, word)| {
                [
                    (format!("{name}.{word}"), Clock::Response),
                    (format!("{name}.service.{word}"), Clock::Service),
                ]
                .map(|(metric, clock)| (metric, Self::Latency(phase, clock, figure)))
            });
            figures.chain([
                (format!("{name}.count"), Self::PhaseCount(phase)),
                (format!("{name}.errors"), Self::PhaseErrors(phase)),
                (format!("{name}.retries"), Self::PhaseRetries(phase)),
            ])
        });
        let devices = Outcome::ALL.into_iter().map(|outcome| {
            (
                format!("devices.{}", outcome.as_str()),
                Self::Devices(outcome),
            )
        });
        let others = [
            ("telemetry.sent", Self::Telemetry(Messages::Sent)),
            ("telemetry.acked", Self::Telemetry(Messages::Acked)),
            ("telemetry.lost", Self::Telemetry(Messages::Lost)),
            ("telemetry.rate_per_s", Self::Telemetry(Messages::RatePerS)),
            ("starts.late", Self::StartsLate),
            ("starts.dropped", Self::StartsDropped),
            ("retries", Self::Retries),
            ("devices.back", Self::DevicesBack),
            ("reconnects.lost", Self::Reconnects(Sessions::Lost)),
            ("reconnects.back", Self::Reconnects(Sessions::Back)),
            ("reconnects.not_back", Self::Reconnects(Sessions::NotBack)),
            ("reconnects.given_up", Self::Reconnects(Sessions::GivenUp)),
            (
                "reconnects.takeovers",
                Self::Reconnects(Sessions::Takeovers),
            ),
            (
                "reconnects.taken_over",
                Self::Reconnects(Sessions::TakenOver),
            ),
        ]
        .map(|(name, metric)| (name.to_owned(), metric));
        let rotations = Certificates::ALL
            .into_iter()
            .map(|(which, word)| (format!("rotations.{word}"), Self::Rotations(which)));
        let downlink = DOWNLINK_COUNTS
            .into_iter()
            .map(|name| (format!("downlink.{name}"), Self::Downlink(name)));
        let gateway = GATEWAY_COUNTS
            .into_iter()
            .map(|name| (format!("gateway.{name}"), Self::Gateway(name)));
        let named = phases.chain(devices).chain(others).chain(rotations);
        named.chain(downlink).chain(gateway)
    }
}

fn unknown(what: &str, found: &str, known: impl Iterator<Item = String>) -> String {
    let nearest = known
        .map(|name| (strsim::damerau_levenshtein(found, &name), name))
        .min()
        .map(|(_, name)| name)
        .expect("there are names");
    let help = match what {
        "cause" => "causes are `<phase>.<fault>` as reports list them, such as `provision.timeout`",
        _ => {
            "metrics are <phase>.p50|p90|p99|p999|max|mean, <phase>.service.p99 (and so on), \
             <phase>.count|errors|retries, retries, devices.<outcome>, devices.back, \
             reconnects.lost|back|not_back|given_up|takeovers|taken_over, \
             rotations.due|done|failed|in_doubt|old_refused|old_accepted, \
             downlink.attributes|rpc.due|skipped|refused|sent|received|lost|in_doubt, \
             downlink.replies.due|sent|acked|lost, \
             downlink.unasked|duplicates|overtaken|missed|garbled, \
             gateway.gateways|sub_devices|connected|closed|stray_pubacks|strangers, \
             gateway.connects.sent|acked|lost, gateway.messages.sent|acked|partial|lost, \
             telemetry.sent|acked|lost|rate_per_s, starts.late|dropped and errors.<cause>"
        }
    };
    format!("unknown {what} `{found}`, the nearest is `{nearest}`; help: {help}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_found_by_its_name() {
        assert_eq!(Metric::named().count(), 19 * 15 + 5 + 14 + 6 + 23 + 13);
        for (name, metric) in Metric::named() {
            assert_eq!(Metric::parse(&name), Ok(metric), "{name}");
        }
        for word in [
            "provision.timeout",
            "not_started",
            "reconnect.connack_5",
            "tls_handshake.tls_alert_42",
            OTHER_CAUSES,
        ] {
            let metric = Metric::parse(&format!("errors.{word}"));
            assert_eq!(metric, Ok(Metric::Errors(word.to_owned())));
        }
    }

    #[test]
    fn a_misspelt_name_leads_to_the_right_one() {
        for (typed, meant) in [
            ("time_to_provison.p99", "`time_to_provision.p99`"),
            ("time_to_provision.p95", "`time_to_provision.p90`"),
            ("provision.servce.p99", "`provision.service.p99`"),
            ("device.provisioned", "`devices.provisioned`"),
            ("devices.provisoned", "`devices.provisioned`"),
            ("telemetry.rate_per_sec", "`telemetry.rate_per_s`"),
            ("errors.provision.time_out", "`provision.timeout`"),
            ("errors.reconect.timeout", "`reconnect.timeout`"),
            ("tls_handshak.p99", "`tls_handshake.p99`"),
            (
                "errors.tls_handshake.tls_protocl",
                "`tls_handshake.tls_protocol`",
            ),
            ("", "`"),
        ] {
            let error = Metric::parse(typed).expect_err(typed);
            assert!(error.contains(meant), "{typed}: {error}");
            assert!(error.contains("; help: "), "{error}");
        }
    }
}
