//! Conditions on the figures of a summary. A crossed one fails the run.

mod abort;
mod bound;
mod metric;
mod percentile;
mod scene;
mod standing;

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::abort::Aborted;
use self::bound::{Bound, Operator, PERCENT};
use self::metric::{Metric, unknown};
use self::scene::{Observed, Scene};
pub use self::standing::{Standing, ThresholdRow};
use super::setting::Setting;
use super::summary::Summary;
use crate::model::{Outcome, Phase};

/// A metric, an operator and a bound, such as `time_to_provision.p99 < 500ms`.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    /// Of this cohort, not of the whole run.
    cohort: Option<String>,
    metric: Metric,
    name: String,
    operator: Operator,
    bound: Bound,
    /// As typed, without the operator.
    bound_text: String,
    /// From when on it ends a run that it makes hopeless.
    abort_after: Option<Duration>,
}

/// A threshold after the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ThresholdResult {
    /// Metric, operator and bound.
    pub expression: String,
    /// The figure that was judged, unrounded and in the metric's unit; `no samples` when there
    /// was nothing to judge.
    pub observed: String,
    /// Whether the condition held.
    pub passed: bool,
}

impl ThresholdResult {
    /// The condition that was judged, to be judged again on a result of such cohorts.
    pub fn threshold<'a>(
        &self,
        cohorts: &(impl Iterator<Item = &'a str> + Clone),
    ) -> Result<Threshold, String> {
        let spaces = self.expression.rmatch_indices(' ').map(|(at, _)| at);
        let mut parsed = spaces.map(|at| {
            let (metric, condition) = self.expression.split_at(at);
            Operator::split(condition.trim())?;
            Threshold::parse(metric, condition, cohorts.clone())
        });
        let unknown = || format!("threshold {:?} is none", self.expression);
        parsed.find_map(Result::ok).ok_or_else(unknown)
    }
}

impl Threshold {
    /// Reads one entry of the scenario's `[thresholds]`: `"time_to_provision.p99"`, `"< 500ms"`, in
    /// a scenario of such cohorts. The error says what is wrong and what to write instead.
    pub fn parse<'a>(
        metric: &str,
        condition: &str,
        cohorts: impl Iterator<Item = &'a str> + Clone,
    ) -> Result<Self, String> {
        let name = metric.trim().to_owned();
        let (cohort, metric) = scoped(&name, cohorts)?;
        let (operator, bound_text) = Operator::split(condition.trim())?;
        let bound = Bound::parse(&metric, &name, bound_text)?;
        Ok(Self {
            cohort,
            metric,
            name,
            operator,
            bound,
            bound_text: bound_text.to_owned(),
            abort_after: None,
        })
    }

    /// The given thresholds and, when none of them is about `devices.*`, the implicit
    /// `devices.provisioned == 100%`: a run that did not provision everybody does not pass by
    /// silence. Where some are about single cohorts' devices, it is asked of each other cohort.
    pub fn with_implicit<'a>(
        thresholds: &[Self],
        cohorts: impl Iterator<Item = &'a str>,
    ) -> Vec<Self> {
        let mut all = thresholds.to_vec();
        let about = |cohort| thresholds.iter().any(|t| t.is_about_devices_of(cohort));
        if !thresholds.iter().any(Self::is_about_devices) {
            all.push(Self::everybody(None));
        } else if !about(None) {
            let silent = cohorts.filter(|cohort| !about(Some(cohort)));
            all.extend(silent.map(|cohort| Self::everybody(Some(cohort))));
        }
        all
    }

    fn everybody(cohort: Option<&str>) -> Self {
        let metric = "devices.provisioned";
        Self {
            cohort: cohort.map(str::to_owned),
            metric: Metric::Devices(Outcome::Provisioned),
            name: cohort.map_or_else(
                || metric.to_owned(),
                |cohort| format!("{COHORT}{cohort}.{metric}"),
            ),
            operator: Operator::Equal,
            bound: Bound::Share(100 * PERCENT),
            bound_text: "100%".to_owned(),
            abort_after: None,
        }
    }

    /// Whether it says how many devices may end in some way: `devices.*`, of the run or a cohort.
    pub fn is_about_devices(&self) -> bool {
        matches!(self.metric, Metric::Devices(_))
    }

    /// Whether it says so of all devices together (`None`), or of that cohort's.
    pub fn is_about_devices_of(&self, cohort: Option<&str>) -> bool {
        self.is_about_devices() && self.cohort.as_deref() == cohort
    }

    /// Whether it says how much a run must come to at least, in devices, messages or per second: a part of
    /// the run cannot be judged by it. One that says how much at most fails the run when a part fails.
    pub fn is_of_the_whole(&self) -> bool {
        let at_most = matches!(self.operator, Operator::Less | Operator::LessOrEqual);
        match self.bound {
            Bound::Time(_) | Bound::Share(_) => false,
            Bound::Count(0) if self.operator == Operator::Equal => false,
            Bound::Rate(_) | Bound::Count(_) => !at_most,
        }
    }

    /// The cohort that it is about, if it is about one.
    pub fn cohort(&self) -> Option<&str> {
        self.cohort.as_deref()
    }

    /// The phase without whose steps there is nothing to judge.
    pub fn needs(&self) -> Option<Phase> {
        match self.metric {
            Metric::Latency(phase, ..) | Metric::PhaseErrors(phase) => Some(phase),
            _ => None,
        }
    }

    /// Compares with a finished run. A latency of a phase without samples is never passed.
    pub fn judge(&self, summary: &Summary) -> ThresholdResult {
        let scene = Scene::finished(summary, self.cohort.as_deref());
        let observed = scene.map_or(Observed::Nothing, |scene| scene.observe(&self.metric));
        ThresholdResult {
            expression: self.to_string(),
            observed: self.text(observed),
            passed: self.holds(self.operator, observed),
        }
    }

    fn holds(&self, operator: Operator, observed: Observed) -> bool {
        match (observed, self.bound) {
            // Whole µs and bounds of up to 285 years are exact in a float.
            (Observed::Micros(us), Bound::Time(bound)) => {
                operator.holds(us, bound.as_nanos() as f64 / 1e3)
            }
            (Observed::PerSecond(rate), Bound::Rate(bound)) => operator.holds(rate, bound),
            (Observed::Count(n) | Observed::Of(n, _), Bound::Count(bound)) => {
                operator.holds(n, bound)
            }
            (Observed::Of(n, all), Bound::Share(bound)) if all > 0 => {
                // Exact: n / all against bound / (100 · PERCENT), both sides multiplied out.
                let whole = u128::from(100 * PERCENT);
                let (n, all) = (u128::from(n), u128::from(all));
                operator.holds(n * whole, all * u128::from(bound))
            }
            _ => false,
        }
    }

    fn text(&self, observed: Observed) -> String {
        match (observed, self.bound) {
            (Observed::Of(_, 0), Bound::Share(_)) if self.is_about_devices() => {
                "no devices".to_owned()
            }
            (Observed::Nothing, _) | (Observed::Of(_, 0), Bound::Share(_)) => {
                "no samples".to_owned()
            }
            (Observed::Micros(us), _) => format!("{}ms", us / 1e3),
            (Observed::PerSecond(rate), _) => format!("{rate}/s"),
            (Observed::Of(n, all), Bound::Share(_)) => {
                let share = u128::from(n) * u128::from(100 * PERCENT) / u128::from(all);
                format!("{} ({n} of {all})", cut_percent(share))
            }
            (Observed::Count(n) | Observed::Of(n, _), _) => n.to_string(),
        }
    }
}

/// The thresholds that a run is judged by. Where expectations are stated, every device is held to
/// its own instead of to the implicit ones. A shard is not judged by what the whole must come to.
pub(super) fn effective(setting: &Setting) -> Vec<Threshold> {
    let mut thresholds = if setting.states_expectations() {
        setting.thresholds.clone()
    } else {
        let cohorts = setting.cohorts.iter().map(|cohort| cohort.name.as_str());
        Threshold::with_implicit(&setting.thresholds, cohorts)
    };
    if setting.shard.is_some() {
        thresholds.retain(|threshold| !threshold.is_of_the_whole());
    }
    thresholds
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, operator) = (&self.name, self.operator.as_str());
        write!(f, "{name} {operator} {}", self.bound_text)
    }
}

/// The cohort of `cohort.<name>.<metric>`, if it is about one, and the metric.
fn scoped<'a>(
    name: &str,
    cohorts: impl Iterator<Item = &'a str> + Clone,
) -> Result<(Option<String>, Metric), String> {
    let Some(rest) = name.strip_prefix(COHORT) else {
        return Metric::parse(name).map(|metric| (None, metric));
    };
    let of = |cohort: &str| {
        rest.strip_prefix(cohort)?
            .strip_prefix('.')
            .map(str::to_owned)
    };
    // A cohort's name may have points of its own: the longest that fits.
    let known = cohorts
        .clone()
        .filter_map(|cohort| Some((cohort, of(cohort)?)));
    if let Some((cohort, metric)) = known.max_by_key(|(cohort, _)| cohort.len()) {
        return Metric::parse_of_cohort(&metric).map(|metric| (Some(cohort.to_owned()), metric));
    }
    let found = rest.match_indices('.').map(|(at, _)| rest.split_at(at));
    let found = found
        .into_iter()
        .find(|(_, metric)| Metric::parse_of_cohort(&metric[1..]).is_ok());
    let cohort = found.map_or(rest.split('.').next().unwrap_or(rest), |(cohort, _)| cohort);
    Err(unknown("cohort", cohort, cohorts.map(str::to_owned)))
}

/// Millionths of a percent as `99.9412%`: cut, never rounded up.
fn cut_percent(share: u128) -> String {
    let percent = u128::from(PERCENT);
    let text = format!("{}.{:06}", share / percent, share % percent);
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

const COHORT: &str = "cohort.";

#[cfg(test)]
mod tests;
