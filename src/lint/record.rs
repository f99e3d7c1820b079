//! A device's row as the rules see it, and what a rule is to the check.

use std::path::Path;

use super::columns::Columns;
use super::finding::{Findings, Place};
use crate::inventory::Row;

/// A row that has as many cells as the header, of which one at least has a value.
pub(super) struct Record<'r> {
    row: &'r Row<'r>,
    number: u64,
}

impl<'r> Record<'r> {
    pub(super) fn new(row: &'r Row<'r>, number: u64) -> Self {
        Self { row, number }
    }

    /// A cell's text, without quotes.
    pub(super) fn cell(&self, column: usize) -> &'r str {
        self.row.cell(column)
    }

    /// The line on which it begins.
    pub(super) fn line(&self) -> u64 {
        self.row.line()
    }

    /// Where a cell begins.
    pub(super) fn place(&self, column: usize) -> Place {
        let (line, column) = self.row.place(column);
        Place {
            line,
            column,
            record: Some(self.number),
        }
    }
}

/// The list that is being read.
pub(super) struct Opened<'l> {
    /// Its path, as it was given.
    pub(super) path: &'l Path,
    /// Its columns.
    pub(super) columns: &'l Columns,
}

/// A rule, or a few that remember the same things. Lists come one after the other; what it
/// remembers beyond [`Self::end`] is what rules across lists need.
pub(super) trait Lint {
    /// A list begins.
    fn begin(&mut self, _list: &Opened<'_>, _out: &mut Findings<'_>) {}

    /// Looks at a row.
    fn row(&mut self, record: &Record<'_>, list: &Opened<'_>, out: &mut Findings<'_>);

    /// A list ends: what shows only over all its rows.
    fn end(&mut self, _list: &Opened<'_>, _out: &mut Findings<'_>) {}

    /// All lists were read: what shows only over all of them.
    fn finish(&mut self, _out: &mut Findings<'_>) {}
}
