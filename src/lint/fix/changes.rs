//! What was changed, cell by cell.

use std::collections::BTreeMap;
use std::io;

use super::draft::Draft;
use crate::lint::rule::Rule;

/// A change of a cell, or of a row where there is no column.
pub(super) struct Change {
    /// In the input.
    pub(super) line: u64,
    /// The device's number; `None` in the header.
    pub(super) record: Option<u64>,
    /// The column's header.
    pub(super) column: String,
    /// The cell before, masked if it is secret.
    pub(super) old: String,
    /// The cell after, masked if it is secret.
    pub(super) new: String,
    pub(super) rule: Rule,
}

/// Writes changes as CSV.
pub(super) struct Changes {
    rows: csv::Writer<Draft>,
    written: BTreeMap<Rule, u64>,
}

impl Changes {
    pub(super) fn new(file: Draft) -> io::Result<Self> {
        let mut rows = csv::Writer::from_writer(file);
        rows.write_record(["line", "record", "column", "old", "new", "rule"])?;
        Ok(Self {
            rows,
            written: BTreeMap::new(),
        })
    }

    pub(super) fn add(&mut self, change: &Change) -> io::Result<()> {
        *self.written.entry(change.rule).or_default() += 1;
        let record = change.record.map_or(String::new(), |n| n.to_string());
        let line = change.line.to_string();
        let Change {
            column, old, new, ..
        } = change;
        self.rows
            .write_record([&line, &record, column, old, new, change.rule.id()])?;
        Ok(())
    }

    /// Gives the file its name; how many changes there were by each rule.
    pub(super) fn end(self) -> io::Result<BTreeMap<Rule, u64>> {
        let file = self.rows.into_inner();
        file.map_err(|e| io::Error::other(e.to_string()))?.place()?;
        Ok(self.written)
    }
}
