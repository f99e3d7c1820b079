//! What candidates measured over time: a file that grows by a line with each comparison, and where
//! its figures changed for good.
//!
//! A line that was cut short by a crash is passed over, and the next one begins a line of its own. One
//! process writes at a time.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::comparison::{Comparison, Unit, Verdict};
use crate::model::fnv;
use crate::statistics::change_points;

/// The version of a line. It rises when a key changes its meaning or goes away.
pub const HISTORY_VERSION: u32 = 1;

/// One line: what a candidate measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// [`HISTORY_VERSION`] of the writer.
    pub history_version: u32,
    /// When the first of its runs started: RFC 3339, UTC.
    pub started_at: String,
    /// The scenario's name.
    pub scenario: String,
    /// What was measured, if that was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The server's version, if that was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_version: Option<String>,
    /// The machine that the generator ran on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// The version of the program that compared.
    pub fleetcall_version: String,
    /// What was said of it then.
    pub verdict: Verdict,
    /// How many runs the figures are of.
    pub runs: usize,
    /// The figures over all runs together, by the metrics' names: µs, per second, shares.
    pub metrics: BTreeMap<String, f64>,
}

/// A history with this candidate in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct History {
    /// Entries of this scenario.
    pub entries: usize,
    /// Where metrics that were compared changed for good.
    pub changes: Vec<ChangePoint>,
}

/// A lasting change of a metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChangePoint {
    /// Its name.
    pub metric: String,
    /// Of the two levels.
    pub unit: Unit,
    /// Of the first entry that has the new level.
    pub started_at: String,
    /// Of the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The median of the stretch before.
    pub before: f64,
    /// The median of the stretch from here on.
    pub after: f64,
}

/// A history that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The file system says no.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is of another form, or no history.
    #[error("{}:{line}: no entry of a history ({why}); help: name a file that compare wrote, or a new one", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// The line's number, from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
}

/// Appends what a comparison's candidate measured, and puts into the comparison what its history says.
pub fn append(path: &Path, entry: &Entry, comparison: &mut Comparison) -> Result<(), HistoryError> {
    let entries = append_entry(path, entry)?;
    let rows = comparison.metrics.iter().filter(|row| row.cohort.is_none());
    let metrics: Vec<_> = rows.map(|row| (row.metric.clone(), row.unit)).collect();
    comparison.history = Some(History {
        entries: entries.len(),
        changes: changes(&entries, &metrics),
    });
    Ok(())
}

/// Appends the entry unless it is there already, and tells all of its scenario, the oldest first.
fn append_entry(path: &Path, entry: &Entry) -> Result<Vec<Entry>, HistoryError> {
    let named = |source| HistoryError::File {
        path: path.to_owned(),
        source,
    };
    let mut options = OpenOptions::new();
    let mut file = options
        .read(true)
        .append(true)
        .create(true)
        .open(path)
        .map_err(named)?;
    // Held until the file is closed.
    file.lock().map_err(named)?;
    let text = read(&mut file).map_err(named)?;
    let mut entries = parsed(path, &text)?;
    // Others may have begun in the same millisecond; not all their figures are the same. Those of one
    // run may be off by a last digit once they were written and read.
    let measured = |other: &Entry| {
        other.metrics.iter().all(|(metric, figure)| {
            let own = entry.metrics.get(metric);
            own.is_none_or(|own| (own - figure).abs() <= 1e-12 * figure.abs())
        })
    };
    let same = |other: &Entry| {
        (&other.started_at, &other.scenario, other.runs)
            == (&entry.started_at, &entry.scenario, entry.runs)
            && measured(other)
    };
    if !entries.iter().any(same) {
        entries.push(entry.clone());
        write(&mut file, entry, &text).map_err(named)?;
    }
    entries.retain(|other| other.scenario == entry.scenario);
    entries.sort_by(|one, two| one.started_at.cmp(&two.started_at));
    Ok(entries)
}

/// A whole line, behind whatever is there.
fn write(file: &mut File, entry: &Entry, before: &str) -> io::Result<()> {
    let mut line = serde_json::to_string(entry).expect("plain words") + "\n";
    if !before.is_empty() && !before.ends_with('\n') {
        line.insert(0, '\n');
    }
    file.write_all(line.as_bytes())?;
    file.sync_all()
}

fn read(file: &mut File) -> io::Result<String> {
    let mut text = String::new();
    file.take(HISTORY_LIMIT).read_to_string(&mut text)?;
    if text.len() as u64 == HISTORY_LIMIT {
        return Err(io::Error::other("longer than 256 MiB: begin a new history"));
    }
    Ok(text)
}

/// All entries. A line that is no JSON was cut short while it was written.
fn parsed(path: &Path, text: &str) -> Result<Vec<Entry>, HistoryError> {
    let mut entries = Vec::new();
    for (line, text) in (1..)
        .zip(text.lines())
        .filter(|(_, text)| !text.trim().is_empty())
    {
        let Ok(value) = serde_json::from_str::<serde_json::Value>(text) else {
            if text.starts_with('{') {
                continue;
            }
            let why = "not JSON".to_owned();
            return Err(damaged(path, line, why));
        };
        if value["history_version"] != HISTORY_VERSION {
            return Err(damaged(
                path,
                line,
                format!("of form {}", value["history_version"]),
            ));
        }
        let entry =
            serde_json::from_value(value).map_err(|e| damaged(path, line, e.to_string()))?;
        entries.push(entry);
    }
    Ok(entries)
}

fn damaged(path: &Path, line: usize, why: String) -> HistoryError {
    HistoryError::Damaged {
        path: path.to_owned(),
        line,
        why,
    }
}

/// Where metrics changed for good, in the last [`ENTRIES_MAX`] entries, by time.
fn changes(entries: &[Entry], metrics: &[(String, Unit)]) -> Vec<ChangePoint> {
    let recent = &entries[entries.len().saturating_sub(ENTRIES_MAX)..];
    let mut found = Vec::new();
    for (metric, unit) in metrics {
        let points = recent.iter().filter_map(|entry| {
            let value = entry.metrics.get(metric).copied()?;
            (value.is_finite() && value >= 0.0).then_some((entry, value))
        });
        let points: Vec<(&Entry, f64)> = points.collect();
        // Of times and rates ratios count, and a rate of 0 is far from any other.
        let scaled = points.iter().map(|(_, value)| match unit {
            Unit::Share => *value,
            Unit::Us | Unit::PerS => value.max(1e-3).ln(),
        });
        let scaled: Vec<f64> = scaled.collect();
        let cuts = change_points(&scaled, LEVEL, fnv(metric));
        let mut edges = vec![0];
        edges.extend(&cuts);
        edges.push(points.len());
        for edge in edges.windows(3) {
            let (entry, _) = points[edge[1]];
            let level = |from: usize, to: usize| {
                let mut values: Vec<f64> =
                    points[from..to].iter().map(|(_, value)| *value).collect();
                values.sort_by(f64::total_cmp);
                values[values.len() / 2]
            };
            found.push(ChangePoint {
                metric: metric.clone(),
                unit: *unit,
                started_at: entry.started_at.clone(),
                commit: entry.commit.clone(),
                before: level(edge[0], edge[1]),
                after: level(edge[1], edge[2]),
            });
        }
    }
    found.sort_by(|one, two| one.started_at.cmp(&two.started_at));
    found
}

impl Entry {
    /// What a comparison's candidate measured; metrics of cohorts are left out.
    pub fn of(comparison: &Comparison) -> Self {
        let metrics = comparison.metrics.iter().filter(|row| row.cohort.is_none());
        let started = comparison.candidate.iter().map(|run| &run.started_at).min();
        Self {
            history_version: HISTORY_VERSION,
            started_at: started.cloned().unwrap_or_default(),
            scenario: comparison.scenario.clone(),
            commit: None,
            server_version: None,
            machine: None,
            fleetcall_version: comparison.fleetcall_version.clone(),
            verdict: comparison.verdict,
            runs: comparison.candidate.len(),
            metrics: metrics
                .map(|row| (row.metric.clone(), row.candidate))
                .collect(),
        }
    }
}

/// So many entries are looked at.
const ENTRIES_MAX: usize = 200;

const HISTORY_LIMIT: u64 = 256 << 20;

/// An accidental change in one of a hundred series.
const LEVEL: f64 = 0.01;

#[cfg(test)]
mod tests {
    use super::super::fixture::comparison;
    use super::*;

    fn entry(day: u32, us: f64) -> Entry {
        Entry {
            started_at: format!("2026-11-{day:02}T02:00:00Z"),
            commit: Some(format!("c{day}")),
            metrics: [("provision.p50".to_owned(), us)].into(),
            ..Entry::of(&comparison())
        }
    }

    #[test]
    fn a_history_grows_and_bears_a_line_that_was_cut_short() {
        let place = tempfile::tempdir().expect("a place");
        let path = place.path().join("history.jsonl");
        append_entry(&path, &entry(1, 100.0)).expect("new");
        let mut file = OpenOptions::new().append(true).open(&path).expect("there");
        file.write_all(b"{\"history_version\":1,\"star")
            .expect("written");
        let mut foreign = entry(2, 100.0);
        foreign.scenario = "another".to_owned();
        append_entry(&path, &foreign).expect("after a torn line");
        append_entry(&path, &entry(3, 101.0)).expect("again");
        let all = append_entry(&path, &entry(3, 101.0)).expect("already there");
        assert_eq!(all, [entry(1, 100.0), entry(3, 101.0)], "of this scenario");
        let all = append_entry(&path, &entry(3, 102.0)).expect("begun in the same moment");
        assert_eq!(all.len(), 3, "another run");
    }

    #[test]
    fn what_is_no_history_is_left_as_it_is() {
        let place = tempfile::tempdir().expect("a place");
        let path = place.path().join("list.csv");
        for (text, says) in [
            ("name\nAA:BB\n", "list.csv:1: no entry"),
            ("{\"history_version\":2}\n", "of form 2"),
            ("{\"history_version\":1}\n", "missing field"),
        ] {
            std::fs::write(&path, text).expect("written");
            let error = append_entry(&path, &entry(1, 1.0))
                .expect_err(says)
                .to_string();
            assert!(error.contains(says) && error.contains("help: "), "{error}");
            assert_eq!(std::fs::read_to_string(&path).expect("there"), text);
        }
    }

    #[test]
    fn a_lasting_change_is_found_with_its_commit() {
        let wobble = |day: u32| f64::from(day * 7 % 5) * 200.0;
        let entries = (1..=24).map(|day| {
            let level = if day < 14 { 100_000.0 } else { 112_000.0 };
            entry(day, level + wobble(day))
        });
        let entries: Vec<Entry> = entries.collect();
        let metrics = [
            ("provision.p50".to_owned(), Unit::Us),
            ("gone.p50".to_owned(), Unit::Us),
        ];
        let found = changes(&entries, &metrics);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].commit.as_deref(), Some("c14"));
        assert!(
            found[0].before < 101_000.0 && found[0].after > 112_000.0,
            "{found:?}"
        );
        assert!(changes(&entries[..12], &metrics).is_empty());
    }
}
