//! A list with what has one answer repaired.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::output::beside;
use super::pass::{Pass, Target};
use super::row::Mender;
use crate::lint::check::{Checked, LintError, check, unreadable};
use crate::lint::options::Options;
use crate::lint::rule::Rule;

/// What was repaired.
#[derive(Debug)]
pub struct Fixed {
    /// The lists written: one, or several where one would be too large for a request.
    pub outputs: Vec<PathBuf>,
    /// The file of changes.
    pub changes: PathBuf,
    /// How many changes there are in it.
    pub changed: u64,
    /// How many of them each rule made. What concerns the file as a whole changes no cell.
    pub by_rule: BTreeMap<Rule, u64>,
    /// What was found before.
    pub before: Checked,
    /// What is left to find in the outputs.
    pub checked: Checked,
}

/// Why nothing was repaired, or put apart.
#[derive(Debug, thiserror::Error)]
pub enum FixError {
    /// The list cannot be checked.
    #[error("{0}")]
    Lint(#[from] LintError),
    /// Nothing after this line can be read, so nothing is written that would lack it.
    #[error(
        "{}:{_1}: {_2}; nothing after it can be read\nhelp: correct it by hand, then try again",
        _0.display()
    )]
    Unreadable(PathBuf, u64, &'static str),
    /// The file has no header and no row.
    #[error("{}: the file is empty\nhelp: give a header and a row for each device", _0.display())]
    Empty(PathBuf),
    /// It is a pipe, a terminal or a directory, and a list is read more than once.
    #[error(
        "{}: not a file, and the list must be read twice\nhelp: save it, and give the file's path",
        _0.display()
    )]
    NoFile(PathBuf),
    /// The output would be the input.
    #[error("{}: the output is the list itself\nhelp: give another path", _0.display())]
    Same(PathBuf),
    /// A file cannot be written.
    #[error("{}: cannot be written: {_1}", _0.display())]
    Unwritable(PathBuf, #[source] io::Error),
}

/// Repairs a list into `to`, and the changes beside it; `overwrite` replaces files that are there.
pub fn fix(path: &Path, to: &Path, options: &Options, overwrite: bool) -> Result<Fixed, FixError> {
    let changes = beside(to, "changes");
    apart(path, &[to, &changes])?;
    let before = check(&[path.to_owned()], options)?;
    let mut facts = before.facts(0);
    // A row that cannot be read cannot be given another delimiter.
    let unreadable = before.total(Rule::Quote) + before.total(Rule::NotUtf8) > 0;
    let to_comma = !unreadable && options.severity(Rule::DelimiterOther).is_some();
    let mut overwrite = overwrite;
    // Repaired names may show another notation to be the most frequent; then they all have it.
    for _ in 0..ROUNDS {
        let target = Target {
            path: to,
            changes: &changes,
            overwrite,
            to_comma,
        };
        let pass = Pass::begin(path, Mender::new(options, facts), &target)?;
        let (outputs, by_rule) = pass.run()?;
        let checked = check(&outputs, options)?;
        let settled = checked.facts(0);
        if settled == facts {
            return Ok(Fixed {
                outputs,
                changes,
                changed: by_rule.values().sum(),
                by_rule,
                before,
                checked,
            });
        }
        facts = settled;
        overwrite = true;
    }
    unreachable!("a list whose names have one notation keeps it")
}

/// Fails if an output is the input, or the input can be read only once.
pub(super) fn apart(path: &Path, outputs: &[&Path]) -> Result<(), FixError> {
    let metadata = fs::metadata(path).map_err(|e| unreadable(path, e))?;
    if !metadata.is_file() {
        return Err(FixError::NoFile(path.to_owned()));
    }
    let real = fs::canonicalize(path).map_err(|e| unreadable(path, e))?;
    match outputs
        .iter()
        .find(|output| fs::canonicalize(output).is_ok_and(|output| output == real))
    {
        Some(output) => Err(FixError::Same((*output).to_owned())),
        None => Ok(()),
    }
}

/// As many as it can take, and one.
const ROUNDS: usize = 4;
