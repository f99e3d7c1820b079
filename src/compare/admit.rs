//! Whether runs can be held against each other at all, and what is to be known when they are.

use crate::metrics::{Difference, GeneratorVerdict, RunResult, Summary, load_differences};
use crate::model::printable;

/// A run with the name that it was given by.
pub(super) struct Named<'a> {
    pub(super) path: &'a str,
    pub(super) summary: &'a Summary,
}

/// What speaks against comparing these runs.
#[derive(Debug, Default)]
pub(super) struct Objections {
    /// It cannot be done, whatever is insisted on.
    pub(super) never: Vec<String>,
    /// Not without `--force`.
    pub(super) grave: Vec<String>,
    /// It is said beside the verdict.
    pub(super) light: Vec<String>,
}

/// Holds all runs against the first one of the baseline.
pub(super) fn objections(baseline: &[Named<'_>], candidate: &[Named<'_>]) -> Objections {
    let mut found = Objections::default();
    let all: Vec<&Named<'_>> = baseline.iter().chain(candidate).collect();
    for (position, run) in all.iter().enumerate() {
        found.twice(run, &all[..position]);
        found.alone(run);
    }
    if let Some((first, rest)) = all.split_first() {
        for other in rest {
            found.together(first, other);
        }
    }
    if baseline.len() == 1 && candidate.len() == 1 {
        found.light(
            "one run per side: how much runs differ by themselves is unknown, and not in the \
             intervals"
                .to_owned(),
        );
    }
    found
}

impl Objections {
    fn light(&mut self, text: String) {
        if !self.light.contains(&text) {
            self.light.push(text);
        }
    }

    fn twice(&mut self, run: &Named<'_>, before: &[&Named<'_>]) {
        if before
            .iter()
            .any(|other| other.summary.is_same_run(run.summary))
        {
            self.never
                .push(format!("{}: this run is given twice", shown(run.path)));
        }
    }

    fn alone(&mut self, run: &Named<'_>) {
        let (path, summary) = (shown(run.path), run.summary);
        let generator = &summary.generator;
        if summary.search.is_some() {
            self.never.push(format!(
                "{path}: a capacity search is of rates that hold and rates that do not: compare what \
                 `search.capacity_per_s` says, or runs at one rate"
            ));
        }
        if generator.verdict == GeneratorVerdict::Invalid || summary.result == RunResult::Invalid {
            let why = generator
                .reasons
                .first()
                .map(|why| format!(": {why}"))
                .unwrap_or_default();
            self.grave
                .push(format!("{path}: the run is invalid{}", printable(&why)));
        }
        if summary.result == RunResult::Interrupted {
            self.grave.push(format!(
                "{path}: the run was ended before its plan was over"
            ));
        }
        if generator.verdict == GeneratorVerdict::Suspect {
            let why = generator
                .reasons
                .first()
                .map(|why| format!(": {why}"))
                .unwrap_or_default();
            self.light(format!("{path} is suspect{}", printable(&why)));
        }
        if !summary.runs.is_empty() {
            self.light(format!("{path} is several runs merged, and counts as one"));
        }
    }

    fn together(&mut self, one: &Named<'_>, other: &Named<'_>) {
        let (a, b) = (one.summary, other.summary);
        let names = format!("{} and {}", shown(one.path), shown(other.path));
        let scenario = Scenarios::of(&a.scenario_toml, &b.scenario_toml);
        for difference in load_differences(a, b) {
            // Another seed is another schedule of the same shape.
            if difference.what == Difference::SCHEDULE
                && a.seed != b.seed
                && scenario.load.is_none()
            {
                self.light(format!(
                    "{names}: other seeds, hence schedules of the same shape, but not the same"
                ));
            } else {
                self.grave
                    .push(format!("{names}: {}", printable(&difference.to_string())));
            }
        }
        if let Some(difference) = &scenario.load {
            self.grave
                .push(format!("{names}: scenario: {}", printable(difference)));
        }
        if scenario.unknown {
            self.light(format!(
                "{names}: a result without its scenario, which may be another"
            ));
        }
        if let Some(difference) = &scenario.target {
            self.light(format!(
                "what differs is the target: {}",
                printable(difference)
            ));
        }
        if a.machine != b.machine {
            let words = |run: &Summary| {
                run.machine
                    .as_ref()
                    .map_or("unknown".to_owned(), crate::metrics::HostSummary::words)
            };
            self.light(format!(
                "{names}: other machines: {} and {}",
                words(a),
                words(b)
            ));
        }
        if a.fleetcall_version != b.fleetcall_version {
            let (a, b) = (
                printable(&a.fleetcall_version),
                printable(&b.fleetcall_version),
            );
            self.light(format!("{names}: other versions of fleetcall: {a} and {b}"));
        }
    }
}

/// In what two scenarios differ.
#[derive(Default)]
struct Scenarios {
    /// What makes them different measurements.
    load: Option<String>,
    /// What is compared: the target and its faults, and what no device notices.
    target: Option<String>,
    /// One of them is not there, or cannot be read.
    unknown: bool,
}

impl Scenarios {
    fn of(one: &str, other: &str) -> Self {
        let read = |text: &str| {
            text.parse::<toml::Table>()
                .ok()
                .filter(|table| !table.is_empty())
        };
        let (Some(one), Some(other)) = (read(one), read(other)) else {
            return Self {
                unknown: true,
                ..Self::default()
            };
        };
        let [one, other] = [one, other].map(apart);
        Self {
            load: first_difference("", &one.0, &other.0),
            target: first_difference("", &one.1, &other.1),
            unknown: false,
        }
    }
}

/// The load, and what is compared. Thresholds, limits and the seed are neither.
fn apart(mut scenario: toml::Table) -> (toml::Table, toml::Table) {
    for key in ["seed", "thresholds", "validity"] {
        scenario.remove(key);
    }
    let compared =
        ["target", "profile", "other_profile", "rest"].map(|key| scenario.remove_entry(key));
    (scenario, compared.into_iter().flatten().collect())
}

/// The first key, by its path, that two tables do not have alike.
fn first_difference(path: &str, one: &toml::Table, other: &toml::Table) -> Option<String> {
    let keys = one
        .keys()
        .chain(other.keys().filter(|key| !one.contains_key(*key)));
    for key in keys {
        let path = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        match (one.get(key), other.get(key)) {
            (one, other) if one == other => {}
            (Some(toml::Value::Table(one)), Some(toml::Value::Table(other))) => {
                return first_difference(&path, one, other);
            }
            (one, other) => {
                let word = |value: Option<&toml::Value>| {
                    value.map_or_else(|| "nothing".to_owned(), ToString::to_string)
                };
                return Some(format!("{path} is {} and {}", word(one), word(other)));
            }
        }
    }
    None
}

fn shown(path: &str) -> String {
    printable(path).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::fixture;

    const SCENARIO: &str = "seed = 1\nname = \"x\"\n[target]\nembedded = true\n\
        [arrival]\nstages = [{ duration = \"1s\", rate = 5 }]\n[thresholds]\n\"a\" = \"< 1s\"\n";

    fn scenarios(change: (&str, &str)) -> Scenarios {
        Scenarios::of(SCENARIO, &SCENARIO.replace(change.0, change.1))
    }

    #[test]
    fn targets_are_compared_and_loads_must_be_the_same() {
        for nothing in [("seed = 1", "seed = 2"), ("< 1s", "< 2s")] {
            let same = scenarios(nothing);
            assert!(
                same.load.is_none() && same.target.is_none() && !same.unknown,
                "{nothing:?}"
            );
        }
        let slower = scenarios(("embedded = true", "embedded = true\nfaults.delay = \"1s\""));
        assert_eq!(slower.load, None);
        assert_eq!(
            slower.target.as_deref(),
            Some("target.faults is nothing and { delay = \"1s\" }")
        );
        let faster = scenarios(("rate = 5", "rate = 6"));
        let told = faster.load.expect("another load");
        assert!(
            told.starts_with("arrival.stages is ") && told.contains("rate = 6"),
            "{told}"
        );
        assert!(Scenarios::of(SCENARIO, "").unknown);
        assert!(Scenarios::of(SCENARIO, "] no toml").unknown);
    }

    #[test]
    fn a_run_is_not_held_against_itself() {
        let run = fixture::summary();
        let named = |path| Named {
            path,
            summary: &run,
        };
        let found = objections(&[named("one")], &[named("two")]);
        assert_eq!(found.never, ["two: this run is given twice"]);
    }

    #[test]
    fn a_search_is_compared_with_nothing() {
        let (run, search) = (fixture::summary(), fixture::searched_summary());
        let named = |path, summary| Named { path, summary };
        let found = objections(&[named("run", &run)], &[named("search", &search)]);
        let said = |why: &String| why.starts_with("search: a capacity search is of rates");
        assert!(found.never.iter().any(said), "{found:?}");
    }

    #[test]
    fn what_may_not_be_quoted_is_not_compared() {
        let good = fixture::summary();
        let mut invalid = good.clone();
        invalid.started_at = "2026-11-24T02:22:00Z".to_owned();
        invalid.generator.verdict = GeneratorVerdict::Invalid;
        invalid.generator.reasons = vec!["2 s late".to_owned()];
        let mut interrupted = good.clone();
        interrupted.started_at = "2026-11-25T02:22:00Z".to_owned();
        interrupted.result = RunResult::Interrupted;
        let named = |path, summary| Named { path, summary };
        let found = objections(
            &[named("good", &good), named("invalid", &invalid)],
            &[named("interrupted", &interrupted)],
        );
        assert_eq!(
            found.grave,
            [
                "invalid: the run is invalid: 2 s late",
                "interrupted: the run was ended before its plan was over"
            ]
        );
        assert!(found.never.is_empty(), "{found:?}");
    }
}
