//! What can be compared, and what it is called. Names are those of thresholds where there is one.

use crate::model::{Outcome, Phase};

/// One thing that both sides have a figure of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// A quantile of a phase's times.
    Latency(Phase, Clock, Quantile),
    /// Steps not completed, of those begun.
    ErrorShare(Phase),
    /// Devices that ended so, of all.
    OutcomeShare(Outcome),
    /// Messages known to have stayed without acknowledgement, of those sent.
    LostShare,
    /// Devices provisioned per second.
    DeviceRate,
    /// Messages sent per second.
    MessageRate,
}

/// From when a time counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// From the intended start.
    Response,
    /// From the actual send.
    Service,
}

/// Which quantile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantile {
    /// The median.
    P50,
    /// Of 90 %.
    P90,
    /// Of 99 %.
    P99,
    /// Of 99.9 %.
    P999,
}

impl Clock {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Response, Self::Service];

    /// Its word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Response => "response",
            Self::Service => "service",
        }
    }
}

impl Quantile {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::P50, Self::P90, Self::P99, Self::P999];

    /// The share of samples that are not above it.
    pub fn share(self) -> f64 {
        match self {
            Self::P50 => 0.5,
            Self::P90 => 0.9,
            Self::P99 => 0.99,
            Self::P999 => 0.999,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P99 => "p99",
            Self::P999 => "p999",
        }
    }
}

impl Measure {
    /// All that there are, in the order of reports.
    pub fn all() -> impl Iterator<Item = Self> {
        let phases = Phase::ALL.into_iter().flat_map(|phase| {
            let times = Clock::ALL.into_iter().flat_map(move |clock| {
                Quantile::ALL.map(|quantile| Self::Latency(phase, clock, quantile))
            });
            times.chain([Self::ErrorShare(phase)])
        });
        let outcomes = Outcome::ALL.into_iter().map(Self::OutcomeShare);
        let others = [Self::LostShare, Self::DeviceRate, Self::MessageRate];
        phases.chain(outcomes).chain(others)
    }

    /// As in `provision.service.p99`, `devices.refused_share`, `telemetry.rate_per_s`.
    pub fn name(self) -> String {
        match self {
            Self::Latency(phase, Clock::Response, quantile) => {
                format!("{}.{}", phase.as_str(), quantile.as_str())
            }
            Self::Latency(phase, Clock::Service, quantile) => {
                format!("{}.service.{}", phase.as_str(), quantile.as_str())
            }
            Self::ErrorShare(phase) => format!("{}.error_share", phase.as_str()),
            Self::OutcomeShare(outcome) => format!("devices.{}_share", outcome.as_str()),
            Self::LostShare => "telemetry.lost_share".to_owned(),
            Self::DeviceRate => "devices.rate_per_s".to_owned(),
            Self::MessageRate => "telemetry.rate_per_s".to_owned(),
        }
    }

    /// Whether less of it is worse.
    pub fn less_is_worse(self) -> bool {
        matches!(
            self,
            Self::DeviceRate | Self::MessageRate | Self::OutcomeShare(Outcome::Provisioned)
        )
    }
}

/// Which measures are wanted: names, or what stands before a dot of them, as `provision` or
/// `provision.service`. Everything when there is none.
#[derive(Clone, Debug, Default)]
pub struct Selection(Vec<String>);

impl Selection {
    /// Of these words; or which of them is no metric, with the nearest that is.
    pub fn new(words: &[String]) -> Result<Self, String> {
        let names: Vec<String> = Measure::all().map(Measure::name).collect();
        for word in words {
            if names.iter().any(|name| covers(word, name)) {
                continue;
            }
            let near = names
                .iter()
                .min_by_key(|name| strsim::damerau_levenshtein(word, name));
            let near = near.expect("there are names");
            return Err(format!(
                "unknown metric `{word}`, the nearest is `{near}`; help: metrics are \
                 <phase>.p50|p90|p99|p999, <phase>.service.p99 (and so on), <phase>.error_share, \
                 devices.<outcome>_share, devices.rate_per_s, telemetry.rate_per_s|lost_share, or \
                 what stands before a dot, as `provision`"
            ));
        }
        Ok(Self(words.to_vec()))
    }

    /// Whether a measure is wanted.
    pub fn has(&self, measure: Measure) -> bool {
        let name = measure.name();
        self.0.is_empty() || self.0.iter().any(|word| covers(word, &name))
    }
}

fn covers(word: &str, name: &str) -> bool {
    name.strip_prefix(word)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selection_is_of_names_or_of_what_stands_before_a_dot() {
        let of = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
            Selection::new(&words).map(|wanted| {
                let all = Measure::all().filter(|m| wanted.has(*m));
                all.map(Measure::name).collect::<Vec<_>>()
            })
        };
        assert_eq!(of(&["provision.p99"]).expect("known"), ["provision.p99"]);
        assert_eq!(of(&["provision.service"]).expect("known").len(), 4);
        assert_eq!(of(&["provision"]).expect("known").len(), 9);
        assert_eq!(
            of(&[]).expect("all").len(),
            Phase::COUNT * 9 + Outcome::ALL.len() + 3
        );
        let error = of(&["provision.p9"]).expect_err("no such");
        assert!(
            error.contains("`provision.p90`") || error.contains("`provision.p99`"),
            "{error}"
        );
        assert!(of(&["provisio"]).is_err(), "no half words");
    }
}
