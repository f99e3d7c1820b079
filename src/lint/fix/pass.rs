//! One pass over a list, from the input to the output and the changes.

use std::collections::BTreeMap;
use std::io::{self, BufRead};
use std::path::{Path, PathBuf};

use super::changes::{Change, Changes};
use super::draft::Draft;
use super::output::Output;
use super::repair::FixError;
use super::row::{Mended, Mender};
use crate::inventory::{Malformed, Misplaced, Rows};
use crate::lint::check::unreadable;
use crate::lint::file;
use crate::lint::rule::Rule;

/// Where the pass writes to.
pub(super) struct Target<'t> {
    /// The repaired list.
    pub(super) path: &'t Path,
    /// The changes.
    pub(super) changes: &'t Path,
    /// Whether files that are there are replaced.
    pub(super) overwrite: bool,
    /// Whether it gets commas, whatever the input has.
    pub(super) to_comma: bool,
}

/// A pass that has dealt with the header.
pub(super) struct Pass<'p> {
    path: &'p Path,
    rows: Rows<Box<dyn BufRead>>,
    delimiter: u8,
    mender: Mender<'p>,
    target: &'p Target<'p>,
    output: Output,
    changes: Changes,
    number: u64,
}

impl<'p> Pass<'p> {
    /// Opens the files and writes the header.
    pub(super) fn begin(
        path: &'p Path,
        mut mender: Mender<'p>,
        target: &'p Target<'p>,
    ) -> Result<Self, FixError> {
        let unread = |e| FixError::from(unreadable(path, e));
        let mut rows = Rows::new(file::open(path).map_err(unread)?.text);
        let mut changed = Vec::new();
        let header = match rows.read().map_err(unread)? {
            None => return Err(FixError::Empty(path.to_owned())),
            Some(Err(fault)) => return Err(stuck(path, fault)),
            Some(Ok(row)) => mender.header(&row, &mut changed),
        };
        let delimiter = rows.delimiter().unwrap_or(b',');
        let limit = mender.limit();
        let to = if target.to_comma { b',' } else { delimiter };
        let output = Output::new(target.path, target.overwrite, to, limit, &header)
            .map_err(|e| FixError::Unwritable(target.path.to_owned(), e))?;
        let log = Draft::new(target.changes, target.overwrite)
            .and_then(Changes::new)
            .map_err(|e| FixError::Unwritable(target.changes.to_owned(), e))?;
        let mut pass = Self {
            path,
            rows,
            delimiter,
            mender,
            target,
            output,
            changes: log,
            number: 0,
        };
        pass.tell(&changed)?;
        Ok(pass)
    }

    /// Goes through the rows; the lists written, and how many changes by each rule.
    pub(super) fn run(mut self) -> Result<Passed, FixError> {
        while self.row()? {}
        let target = self.target;
        // Where the list is, its changes are.
        let changed = self.changes.end();
        let changed = changed.map_err(|e| FixError::Unwritable(target.changes.to_owned(), e))?;
        let outputs = self.output.end();
        let outputs = outputs.map_err(|e| FixError::Unwritable(target.path.to_owned(), e))?;
        Ok((outputs, changed))
    }

    fn row(&mut self) -> Result<bool, FixError> {
        self.number += 1;
        let mut changed = Vec::new();
        let read = self.rows.read();
        let mended = match read.map_err(|e| unreadable(self.path, e))? {
            None => return Ok(false),
            Some(Ok(row)) => self.mender.row(&row, self.number, &mut changed),
            Some(Err(fault)) if fault.ends_reading() => return Err(stuck(self.path, fault)),
            Some(Err(_)) => {
                let written = self.output.raw(self.rows.raw());
                written.map_err(|e| self.unwritten(e))?;
                return Ok(true);
            }
        };
        let mended = match mended {
            Mended::Odd(cells) => self
                .otherwise(cells.len(), &mut changed)
                .unwrap_or(Mended::Odd(cells)),
            other => other,
        };
        let written = match mended {
            Mended::Written(cells) => self.output.row(&cells),
            Mended::Odd(cells) => self.output.odd(&cells),
            Mended::Dropped => Ok(()),
        };
        written.map_err(|e| self.unwritten(e))?;
        self.tell(&changed)?;
        Ok(true)
    }

    /// The row as another delimiter has it, if that gives as many cells as the header has.
    fn otherwise(&mut self, cells: usize, changed: &mut Vec<Change>) -> Option<Mended> {
        if !self.mender.on(Rule::Delimiter) {
            return None;
        }
        let other = file::other_delimiter(&mut self.rows, cells, self.mender.width())?;
        let row = self.rows.again(other)?;
        changed.push(Change {
            line: row.line(),
            record: Some(self.number),
            column: String::new(),
            old: char::from(other).to_string(),
            new: char::from(self.delimiter).to_string(),
            rule: Rule::Delimiter,
        });
        Some(self.mender.row(&row, self.number, changed))
    }

    fn tell(&mut self, changed: &[Change]) -> Result<(), FixError> {
        for change in changed {
            let told = self.changes.add(change);
            told.map_err(|e| FixError::Unwritable(self.target.changes.to_owned(), e))?;
        }
        Ok(())
    }

    fn unwritten(&self, error: io::Error) -> FixError {
        FixError::Unwritable(self.target.path.to_owned(), error)
    }
}

/// The lists written, and how many changes by each rule.
type Passed = (Vec<PathBuf>, BTreeMap<Rule, u64>);

/// A row that nothing can be read after.
pub(super) fn stuck(path: &Path, fault: Misplaced) -> FixError {
    let what = match fault.why {
        Malformed::Unclosed => "a quote that is never closed",
        Malformed::TooLong => "a line of more than 1 MiB",
        _ => "a header that cannot be read",
    };
    FixError::Unreadable(path.to_owned(), fault.line, what)
}
