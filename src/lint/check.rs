//! Lists through all rules.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::finding::{Finding, Findings, Marks, Severity};
use super::mend::Facts;
use super::options::Options;
use super::record::Lint;
use super::rule::Rule;
use super::{cells, file, names};

/// What a check found.
#[derive(Debug)]
pub struct Checked {
    /// The lists, in the order given.
    pub lists: Vec<List>,
    /// The kept findings, by list, place and rule.
    pub findings: Vec<Finding>,
    counts: BTreeMap<(usize, Rule), u64>,
    facts: BTreeMap<usize, Facts>,
}

/// A list that was checked.
#[derive(Clone, Debug)]
pub struct List {
    /// Its path, as it was given.
    pub path: PathBuf,
    /// Its rows with a value, without the header.
    pub rows: u64,
}

/// Why nothing was checked.
#[derive(Debug, thiserror::Error)]
pub enum LintError {
    /// A list cannot be opened or read.
    #[error(
        "{}: cannot be read: {_1}\nhelp: give the path from the working directory",
        _0.display()
    )]
    Unreadable(PathBuf, #[source] io::Error),
    /// The certificate name pattern is no regular expression.
    #[error(
        "name pattern {0:?}: {1}\nhelp: give the profile's pattern, a Java regular expression whose \
        first group is the device's name"
    )]
    Pattern(String, String),
}

impl Checked {
    /// What repairs of a list go by.
    pub(super) fn facts(&self, list: usize) -> Facts {
        self.facts.get(&list).copied().unwrap_or_default()
    }

    /// Rows with a value in all lists.
    pub fn rows(&self) -> u64 {
        self.lists.iter().map(|list| list.rows).sum()
    }

    /// How many findings of a rule there are in a list, kept or not.
    pub fn count(&self, list: usize, rule: Rule) -> u64 {
        self.counts.get(&(list, rule)).copied().unwrap_or(0)
    }

    /// How many findings of a rule there are in all lists, kept or not.
    pub fn total(&self, rule: Rule) -> u64 {
        (0..self.lists.len())
            .map(|list| self.count(list, rule))
            .sum()
    }

    /// The rules with findings.
    pub fn rules(&self) -> Vec<Rule> {
        let mut rules: Vec<Rule> = self.counts.keys().map(|(_, rule)| *rule).collect();
        rules.sort_unstable();
        rules.dedup();
        rules
    }

    /// How many findings of a severity there are, kept or not.
    pub fn of(&self, severity: Severity, options: &Options) -> u64 {
        self.rules()
            .into_iter()
            .filter(|rule| options.severity(*rule) == Some(severity))
            .map(|rule| self.total(rule))
            .sum()
    }

    /// Whether anything is bad enough not to pass.
    pub fn fails(&self, options: &Options) -> bool {
        let (worst, from) = (self.worst(), options.fail_on);
        worst.zip(from).is_some_and(|(worst, from)| worst >= from)
    }

    /// The worst severity found.
    pub fn worst(&self) -> Option<Severity> {
        // At least one finding of each rule is kept.
        self.findings.iter().map(|finding| finding.severity).max()
    }
}

/// Checks lists, each for itself and all together.
pub fn check(paths: &[PathBuf], options: &Options) -> Result<Checked, LintError> {
    Ok(through(paths, Findings::new(options))?.0)
}

/// Checks a list, and tells which of its devices have findings of a severity or worse.
pub(super) fn check_marking(
    path: &Path,
    options: &Options,
    from: Severity,
) -> Result<(Checked, Marks), LintError> {
    let mut out = Findings::new(options);
    out.mark(from);
    let (checked, marks) = through(&[path.to_owned()], out)?;
    Ok((checked, marks.expect("they were asked for")))
}

fn through(
    paths: &[PathBuf],
    mut out: Findings<'_>,
) -> Result<(Checked, Option<Marks>), LintError> {
    let mut lints = lints(out.options())?;
    let twice = file::twice(paths)?;
    let mut checked = Vec::new();
    for (n, path) in paths.iter().enumerate() {
        out.of_list(n);
        let rows = match twice[n] {
            Some(first) => {
                file::same(&paths[first], &mut out);
                0
            }
            None => file::read(path, &mut lints, &mut out).map_err(|e| unreadable(path, e))?,
        };
        checked.push(List {
            path: path.clone(),
            rows,
        });
    }
    for lint in &mut lints {
        lint.finish(&mut out);
    }
    file::count(&checked, &mut out);
    let found = out.end();
    let checked = Checked {
        lists: checked,
        findings: found.kept,
        counts: found.counts,
        facts: found.facts,
    };
    Ok((checked, found.marks))
}

fn lints(options: &Options) -> Result<Vec<Box<dyn Lint>>, LintError> {
    let mut lints = names::lints(options);
    lints.extend(cells::lints(options)?);
    Ok(lints)
}

pub(super) fn unreadable(path: &Path, error: io::Error) -> LintError {
    LintError::Unreadable(path.to_owned(), error)
}
