//! In what two runs differ, when they are to be two measurements of the same thing.

use std::fmt;

use super::steering::is_steered;
use super::summary::{CohortSummary, Summary};

/// Something that two runs do not have alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What differs.
    pub what: &'static str,
    /// What one run has.
    pub one: String,
    /// And the other.
    pub other: String,
}

impl Difference {
    /// Which device is due when.
    pub const SCHEDULE: &str = "schedule";
    /// Which part of a run it is.
    const SHARD: &str = "shard";
    const COHORTS: &str = "cohorts";
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, one, other } = self;
        write!(f, "{what}: {one} and {other}")
    }
}

/// What keeps two runs from being two measurements of the same load; empty when nothing does.
pub fn load_differences(one: &Summary, other: &Summary) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut differ = |what, one: String, other: String| {
        if one != other {
            found.push(Difference { what, one, other });
        }
    };
    differ("scenario", one.scenario.clone(), other.scenario.clone());
    differ("arrival model", one.models(), other.models());
    let shard = |run: &Summary| match &run.shard {
        None => "all".to_owned(),
        Some(part) => part.shard.to_string(),
    };
    differ(Difference::SHARD, shard(one), shard(other));
    let digest = |run: &Summary| match run.schedule_digest.as_str() {
        "" => "unknown".to_owned(),
        digest => digest.chars().take(12).collect(),
    };
    let known =
        |run: &Summary| !(run.schedule_digest.is_empty() || is_steered(&run.schedule_digest));
    if one.schedule_digest != other.schedule_digest || !known(one) {
        found.push(Difference {
            what: Difference::SCHEDULE,
            one: digest(one),
            other: digest(other),
        });
    }
    if cohorts(one) != cohorts(other) {
        found.push(Difference {
            what: Difference::COHORTS,
            one: cohorts(one),
            other: cohorts(other),
        });
    }
    found
}

/// What keeps two runs from being added up, beside [`load_differences`] what they were judged by, in
/// words; empty when nothing does.
pub fn differences(one: &Summary, other: &Summary) -> Vec<String> {
    let mut load = load_differences(one, other);
    if one.is_of_shards() && other.is_of_shards() {
        // They have other devices by their nature. Whether they are of one run is seen when they are added.
        let own = [Difference::SHARD, Difference::COHORTS, Difference::SCHEDULE];
        load.retain(|difference| !own.contains(&difference.what));
    }
    let mut found: Vec<String> = load.iter().map(Difference::to_string).collect();
    let mut differ = |what: &str, one: String, other: String| {
        if one != other {
            found.push(format!("{what}: {one} and {other}"));
        }
    };
    let conditions = |run: &Summary| {
        let judged = run.thresholds.iter().map(|t| &t.expression);
        let deferred = run.shard.iter().flat_map(|part| &part.deferred);
        let mut all: Vec<String> = judged.chain(deferred).cloned().collect();
        if run.is_of_shards() {
            // Those that shards are not judged by come last once they are.
            all.sort();
        }
        all.join(", ")
    };
    differ("thresholds", conditions(one), conditions(other));
    let expected = |run: &Summary| {
        let rows = run.expectations.iter();
        let rows = rows.map(|row| format!("{} {}", row.cohort, row.expected.as_str()));
        rows.collect::<Vec<_>>().join(", ")
    };
    differ("expectations", expected(one), expected(other));
    if let Some((one, other)) = differing_lines(&one.scenario_toml, &other.scenario_toml) {
        differ("scenario.toml", format!("`{one}`"), format!("`{other}`"));
    }
    found
}

/// Scenarios that differ in their seeds alone are the same.
pub(super) fn unseeded(scenario: &str) -> impl Iterator<Item = &str> {
    scenario.lines().filter(|line| !line.starts_with("seed = "))
}

/// The first lines in which two scenarios differ; older results have none.
fn differing_lines<'a>(one: &'a str, other: &'a str) -> Option<(&'a str, &'a str)> {
    if one.is_empty() || other.is_empty() {
        return None;
    }
    let (mut one, mut other) = (unseeded(one), unseeded(other));
    loop {
        match (one.next(), other.next()) {
            (None, None) => return None,
            (one, other) if one == other => {}
            (one, other) => return Some((one.unwrap_or_default(), other.unwrap_or_default())),
        }
    }
}

fn cohorts(run: &Summary) -> String {
    let cohorts = run.cohorts.iter();
    let cohorts = cohorts.map(|(name, cohort)| {
        format!(
            "{name} ({}, {} devices)",
            kind(cohort),
            cohort.devices.listed
        )
    });
    cohorts.collect::<Vec<_>>().join(", ")
}

/// How a cohort talked.
pub(super) fn kind(cohort: &CohortSummary) -> String {
    format!("{} with {}", cohort.transport.as_str(), cohort.credentials)
}
