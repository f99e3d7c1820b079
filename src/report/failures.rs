//! Devices that ended so that they want attention, by outcome and cause, a few of them by name.
//!
//! Counted from the run itself or from its `devices.csv`. Bounded: names beyond the first of each
//! cause are only counted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::slowest::Slowest;
use crate::metrics::{DISTINCT_CAUSES_MAX, OTHER_CAUSES, Summary};
use crate::model::Outcome;

/// So many devices are named in a report.
pub const NAMED_MAX: usize = 100;

/// Devices that want attention.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    /// By the outcome's position, and cause.
    groups: BTreeMap<(usize, String), Group>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Group {
    count: u64,
    /// The first [`NAMED_MAX`] in list order.
    names: Vec<String>,
}

/// Devices that ended alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureRow {
    /// How.
    pub outcome: Outcome,
    /// The stable word.
    pub cause: String,
    /// How many.
    pub count: u64,
    /// Some of them, exactly as listed.
    pub names: Vec<String>,
}

/// A `devices.csv` that does not belong to its run.
#[derive(Debug, thiserror::Error)]
#[error("{}: {why}", path.display())]
pub struct DevicesError {
    path: PathBuf,
    why: String,
}

impl Failures {
    /// One more, if it wants attention: a device that was provisioned, or that ended as expected of
    /// its cohort, does not.
    pub fn add(&mut self, run: &Summary, cohort: &str, name: &str, outcome: Outcome, cause: &str) {
        if outcome == Outcome::Provisioned || !run.alarms(cohort, outcome) {
            return;
        }
        let mut key = (outcome as usize, cause.to_owned());
        if self.groups.len() >= DISTINCT_CAUSES_MAX && !self.groups.contains_key(&key) {
            OTHER_CAUSES.clone_into(&mut key.1);
        }
        let group = self.groups.entry(key).or_default();
        group.count += 1;
        if group.names.len() < NAMED_MAX {
            group.names.push(name.to_owned());
        }
    }

    /// Reads a run's `devices.csv`, which has to be that run's: those that want attention, and the
    /// slowest.
    pub fn read(path: &Path, run: &Summary) -> Result<(Self, Slowest), DevicesError> {
        let failed = |why: String| DevicesError {
            path: path.to_owned(),
            why,
        };
        let mut csv = csv::Reader::from_path(path).map_err(|e| failed(e.to_string()))?;
        let header = csv.headers().map_err(|e| failed(e.to_string()))?.clone();
        let column = |name: &str| {
            let found = header.iter().position(|column| column == name);
            found.ok_or_else(|| failed(format!("has no column `{name}`")))
        };
        let columns = [
            column("name")?,
            column("cohort")?,
            column("outcome")?,
            column("cause")?,
        ];
        let time = header
            .iter()
            .position(|column| column == "time_to_provision_ms");
        let mut failures = Self::default();
        let mut slowest = Slowest::default();
        let mut counts = [0u64; Outcome::ALL.len()];
        for row in csv.records() {
            let row = row.map_err(|e| failed(e.to_string()))?;
            let [name, cohort, outcome, cause] = columns.map(|at| row.get(at).unwrap_or_default());
            let known = Outcome::ALL.into_iter().find(|o| o.as_str() == outcome);
            let known = known.ok_or_else(|| failed(format!("{outcome:?} is no outcome")))?;
            counts[known as usize] += 1;
            failures.add(run, cohort, name, known, cause);
            let time = time.and_then(|at| row.get(at)?.parse().ok());
            if let Some(ms) = time {
                slowest.add(name, cohort, ms);
            }
        }
        if Outcome::ALL.map(|outcome| run.devices.of(outcome)) != counts {
            let why = "its devices are not those of the summary.json beside it";
            return Err(failed(why.to_owned()));
        }
        Ok((failures, slowest))
    }

    /// Adds those of another run.
    pub fn merge(&mut self, other: Self) {
        for (key, group) in other.groups {
            let sum = self.groups.entry(key).or_default();
            sum.count += group.count;
            sum.names.extend(group.names);
            sum.names.truncate(NAMED_MAX);
        }
    }

    /// By outcome, then the most frequent first; [`NAMED_MAX`] names in all, the first of each
    /// group before the second of any.
    pub fn rows(&self) -> Vec<FailureRow> {
        let mut named = vec![0; self.groups.len()];
        let mut room = NAMED_MAX;
        for turn in 0..NAMED_MAX {
            for (group, named) in self.groups.values().zip(&mut named) {
                if room > 0 && group.names.len() > turn {
                    *named += 1;
                    room -= 1;
                }
            }
        }
        let groups = self.groups.iter().zip(named);
        let rows = groups.map(|(((outcome, cause), group), named)| FailureRow {
            outcome: Outcome::ALL[*outcome],
            cause: cause.clone(),
            count: group.count,
            names: group.names[..named].to_vec(),
        });
        let mut rows: Vec<FailureRow> = rows.collect();
        rows.sort_by_key(|row| (row.outcome as usize, std::cmp::Reverse(row.count)));
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::fixture;

    fn failures(rows: &[(&str, &str, Outcome, &str)]) -> Failures {
        let run = fixture::negative_summary();
        let mut failures = Failures::default();
        for (cohort, name, outcome, cause) in rows {
            failures.add(&run, cohort, name, *outcome, cause);
        }
        failures
    }

    #[test]
    fn who_ended_as_expected_wants_no_attention() {
        let refused = Outcome::Refused;
        let found = failures(&[
            ("meters", "a", Outcome::Provisioned, ""),
            ("meters", "b", refused, "provision.failure"),
            ("bad-secrets", "c", refused, "provision.not_found"),
            ("bad-secrets", "d", Outcome::Unknown, "provision.timeout"),
        ]);
        let rows = found.rows();
        let told: Vec<_> = rows
            .iter()
            .map(|row| {
                (
                    row.outcome,
                    row.cause.as_str(),
                    row.count,
                    row.names.join(" "),
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                (refused, "provision.failure", 1, "b".to_owned()),
                (Outcome::Unknown, "provision.timeout", 1, "d".to_owned()),
            ]
        );
    }

    #[test]
    fn a_flood_of_one_cause_leaves_room_for_the_names_of_the_others() {
        let names: Vec<String> = (0..5_000).map(|n| format!("slow {n}")).collect();
        let slow = |name| ("meters", name, Outcome::Failed, "tcp_connect.timeout");
        let mut rows: Vec<_> = names.iter().map(|name| slow(name.as_str())).collect();
        rows.push(("meters", "odd", Outcome::Failed, "provision.http_500"));
        let found = failures(&rows).rows();
        assert_eq!(found[0].count, 5_000);
        assert_eq!(
            (found[0].names.len(), &found[1].names[..]),
            (99, &["odd".to_owned()][..])
        );
    }

    #[test]
    fn causes_without_end_share_a_word() {
        let many = DISTINCT_CAUSES_MAX + 144;
        let causes: Vec<String> = (0..many).map(|n| format!("provision.http_{n}")).collect();
        let rows: Vec<_> = causes
            .iter()
            .map(|cause| ("meters", "a", Outcome::Failed, cause.as_str()))
            .collect();
        let found = failures(&rows).rows();
        assert_eq!(found.len(), DISTINCT_CAUSES_MAX + 1);
        assert_eq!(
            (found[0].cause.as_str(), found[0].count),
            (OTHER_CAUSES, 144)
        );
    }

    #[test]
    fn a_table_of_another_run_is_refused() {
        let dir = tempfile::tempdir().expect("a place");
        let path = dir.path().join("devices.csv");
        let run = fixture::summary();
        for (text, says) in [
            ("name,cohort,outcome\n", "has no column `cause`"),
            (
                "name,cohort,outcome,cause\na,meters,lost,\n",
                "\"lost\" is no outcome",
            ),
            (
                "name,cohort,outcome,cause\na,meters,failed,\n",
                "not those of the summary.json",
            ),
            (
                "name,cohort,outcome,cause\na,meters\n",
                "found record with 2 fields",
            ),
        ] {
            std::fs::write(&path, text).expect("written");
            let error = Failures::read(&path, &run).expect_err(says).to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
