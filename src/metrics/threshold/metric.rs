//! The names of what a threshold can be about.

use super::super::cause::{OTHER_CAUSES, plain_words};
use super::super::downlink::DOWNLINK_COUNTS;
use super::super::gateway::GATEWAY_COUNTS;
use super::percentile::Percentile;
use crate::model::{Cause, Outcome, Phase};

/// One figure of a run or of a cohort.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Metric {
    Latency(Phase, Clock, Figure),
    PhaseCount(Phase),
    PhaseErrors(Phase),
    PhaseRetries(Phase),
    PhaseRate(Phase),
    /// Over all phases.
    Retries,
    /// How late devices started.
    StartLag(Figure),
    /// How late messages were sent.
    MessageLag(Figure),
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
    TelemetryRate,
    StartsLate,
    StartsDropped,
    /// The stable word.
    Errors(String),
    /// Steps that were not completed, of all that were begun.
    ErrorsShare,
}

/// From when a latency counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clock {
    Response,
    Service,
}

/// A figure of a distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Figure {
    At(Percentile),
    Max,
    Mean,
}

impl Figure {
    /// `p99`, `p99.9`, `max`, `mean`.
    fn parse(word: &str) -> Option<Self> {
        match word {
            "max" => Some(Self::Max),
            "mean" => Some(Self::Mean),
            _ => Percentile::parse(word).map(Self::At),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Messages {
    Sent,
    Acked,
    Lost,
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

/// What a metric is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Time,
    Rate,
    Count,
    /// A count, or its share of this; with an example of a condition.
    CountOf(&'static str, &'static str),
    ShareOf(&'static str),
}

impl Metric {
    /// The metric of that name, or what is wrong with the name and what to write instead.
    pub(super) fn parse(name: &str) -> Result<Self, String> {
        if let Some(found) = Self::of_distribution(name) {
            return Ok(found);
        }
        if let Some((_, found)) = Self::named().find(|(known, _)| known == name) {
            return Ok(found);
        }
        match name.strip_prefix("errors.") {
            Some(word) if word == OTHER_CAUSES || word.parse::<Cause>().is_ok() => {
                Ok(Self::Errors(word.to_owned()))
            }
            Some(word) => Err(unknown("cause", word, plain_words())),
            None => Err(unknown("metric", name, Self::names())),
        }
    }

    /// A metric of a cohort, where `provisioned` is short for `devices.provisioned`.
    pub(super) fn parse_of_cohort(name: &str) -> Result<Self, String> {
        let outcome = Outcome::ALL.into_iter().find(|o| o.as_str() == name);
        match outcome.map_or_else(|| Self::parse(name), |outcome| Ok(Self::Devices(outcome)))? {
            Self::StartLag(_)
            | Self::MessageLag(_)
            | Self::StartsLate
            | Self::StartsDropped
            | Self::Errors(_) => Err(format!(
                "`{name}` is kept for the whole run, not per cohort; help: write \"{name}\" alone"
            )),
            found => Ok(found),
        }
    }

    /// `<phase>.p99`, `<phase>.service.max`, `lag.p99.9` and the like.
    fn of_distribution(name: &str) -> Option<Self> {
        // The figure may have a point of its own: `p99.9`.
        let dots = name.match_indices('.').map(|(at, _)| at);
        dots.into_iter().find_map(|at| {
            let figure = Figure::parse(&name[at + 1..])?;
            Some(match &name[..at] {
                "lag" => Self::StartLag(figure),
                "telemetry.lag" => Self::MessageLag(figure),
                whose => {
                    let (phase, clock) = match whose.strip_suffix(".service") {
                        Some(phase) => (phase, Clock::Service),
                        None => (whose, Clock::Response),
                    };
                    let phase = Phase::ALL.into_iter().find(|p| p.as_str() == phase)?;
                    Self::Latency(phase, clock, figure)
                }
            })
        })
    }

    /// The others, but `errors.<cause>`, with their names.
    fn named() -> impl Iterator<Item = (String, Self)> {
        let phases = Phase::ALL.into_iter().flat_map(|phase| {
            let name = phase.as_str();
            let rate = match phase {
                Phase::Telemetry => Self::TelemetryRate,
                _ => Self::PhaseRate(phase),
            };
            [
                (format!("{name}.count"), Self::PhaseCount(phase)),
                (format!("{name}.errors"), Self::PhaseErrors(phase)),
                (format!("{name}.retries"), Self::PhaseRetries(phase)),
                (format!("{name}.rate_per_s"), rate),
            ]
        });
        let devices = Outcome::ALL.into_iter().map(|outcome| {
            let name = format!("devices.{}", outcome.as_str());
            (name, Self::Devices(outcome))
        });
        let others = [
            ("telemetry.sent", Self::Telemetry(Messages::Sent)),
            ("telemetry.acked", Self::Telemetry(Messages::Acked)),
            ("telemetry.lost", Self::Telemetry(Messages::Lost)),
            ("starts.late", Self::StartsLate),
            ("starts.dropped", Self::StartsDropped),
            ("retries", Self::Retries),
            ("errors.share", Self::ErrorsShare),
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
        let downlink = DOWNLINK_COUNTS
            .into_iter()
            .map(|name| (format!("downlink.{name}"), Self::Downlink(name)));
        let rotations = Certificates::ALL
            .into_iter()
            .map(|(which, word)| (format!("rotations.{word}"), Self::Rotations(which)));
        let gateway = GATEWAY_COUNTS
            .into_iter()
            .map(|name| (format!("gateway.{name}"), Self::Gateway(name)));
        let named = phases.chain(devices).chain(others).chain(rotations);
        named.chain(downlink).chain(gateway)
    }

    /// Names to compare a misspelt one with.
    fn names() -> impl Iterator<Item = String> {
        let phases = Phase::ALL.into_iter().map(Phase::as_str);
        let timed = phases.flat_map(|phase| [phase.to_owned(), format!("{phase}.service")]);
        let lags = ["lag", "telemetry.lag"].map(str::to_owned);
        let of_distribution = timed.chain(lags).flat_map(|whose| {
            ["p50", "p90", "p95", "p99", "p99.9", "max", "mean"].map(|f| format!("{whose}.{f}"))
        });
        of_distribution.chain(Self::named().map(|(name, _)| name))
    }

    pub(super) fn unit(&self) -> Unit {
        match self {
            Self::Latency(..) | Self::StartLag(_) | Self::MessageLag(_) => Unit::Time,
            Self::PhaseRate(_) | Self::TelemetryRate => Unit::Rate,
            Self::Devices(_) => Unit::CountOf("the listed devices", ">= 99.9%"),
            Self::DevicesBack => Unit::CountOf("the devices that lost a session", ">= 99.9%"),
            Self::Rotations(_) => Unit::CountOf("the certificates that were due", "== 100%"),
            Self::Gateway(CONNECTED) => Unit::CountOf("the devices behind gateways", ">= 99.9%"),
            Self::PhaseErrors(_) => Unit::CountOf("the steps that were begun", "== 0"),
            Self::Telemetry(Messages::Acked | Messages::Lost) => {
                Unit::CountOf("the messages that were sent", ">= 99.9%")
            }
            Self::StartsLate => Unit::CountOf("the devices that started", "== 0"),
            Self::StartsDropped => Unit::CountOf("the planned devices", "== 0"),
            Self::ErrorsShare => Unit::ShareOf("the steps that were begun"),
            Self::PhaseCount(_)
            | Self::PhaseRetries(_)
            | Self::Retries
            | Self::Reconnects(_)
            | Self::Downlink(_)
            | Self::Gateway(_)
            | Self::Telemetry(Messages::Sent)
            | Self::Errors(_) => Unit::Count,
        }
    }
}

/// What is not known, with what was probably meant.
pub(super) fn unknown(what: &str, found: &str, known: impl Iterator<Item = String>) -> String {
    let nearest = known
        .map(|name| (strsim::damerau_levenshtein(found, &name), name))
        .min()
        .map(|(_, name)| name)
        .expect("there are names");
    let help = match what {
        "cause" => "causes are `<phase>.<fault>` as reports list them, such as `provision.timeout`",
        "cohort" => "cohorts are called as in [[cohort]], without any `all`",
        _ => {
            "metrics are such as provision.p99, time_to_provision.service.p95, provision.errors, \
             devices.provisioned, telemetry.rate_per_s, errors.provision.timeout, or one of them behind \
             cohort.<name>; docs/metrics.md has all of them under Thresholds"
        }
    };
    format!("unknown {what} `{found}`, the nearest is `{nearest}`; help: {help}")
}

/// The count of gateways' devices that may also be compared as a share of all of them.
pub(super) const CONNECTED: &str = "connected";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_found_by_its_name() {
        for (name, metric) in Metric::named() {
            assert_eq!(Metric::parse(&name), Ok(metric), "{name}");
        }
        for name in Metric::names() {
            assert!(Metric::parse(&name).is_ok(), "{name}");
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
            ("time_to_provision.q95", "`time_to_provision.p95`"),
            ("time_to_provision.p9999", "`time_to_provision.p99.9`"),
            ("time_to_provision.p100", "`time_to_provision.p"),
            ("provision.servce.p99", "`provision.service.p99`"),
            ("provision.rate_per_sec", "`provision.rate_per_s`"),
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
