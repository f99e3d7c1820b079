//! The header and the rows as they should be.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use super::changes::Change;
use crate::dialect::ColumnType;
use crate::inventory::Row;
use crate::lint::columns::{Columns, Kind};
use crate::lint::mend::Facts;
use crate::lint::options::Options;
use crate::lint::rule::Rule;
use crate::lint::{cells, names};

/// Repairs rows, by the rules that are on.
pub(super) struct Mender<'m> {
    options: &'m Options,
    facts: Facts,
    columns: Columns,
    /// What was written for each MAC address, where one may come again in another notation.
    units: HashMap<u64, Unit>,
    hasher: RandomState,
}

/// A row that was written for a MAC address.
struct Unit {
    line: u64,
    /// Of its name as it stood.
    name: u64,
    /// Its name as it was written.
    written: Box<str>,
    /// Of its other cells as they were written.
    rest: u64,
}

/// What becomes of a row.
pub(super) enum Mended {
    /// It is written so.
    Written(Vec<String>),
    /// It is left out: it says nothing, or what another row says.
    Dropped,
    /// It has not as many cells as the header, and stays as it is.
    Odd(Vec<String>),
}

impl<'m> Mender<'m> {
    pub(super) fn new(options: &'m Options, facts: Facts) -> Self {
        Self {
            options,
            facts,
            columns: Columns::default(),
            units: HashMap::new(),
            hasher: RandomState::new(),
        }
    }

    /// Whether a rule is on.
    pub(super) fn on(&self, rule: Rule) -> bool {
        self.options.severity(rule).is_some()
    }

    /// The number of columns.
    pub(super) fn width(&self) -> usize {
        self.columns.width()
    }

    /// The largest list that one request may carry, bytes; `None` if that is no matter.
    pub(super) fn limit(&self) -> Option<u64> {
        self.on(Rule::ListLarge).then_some(self.options.body_limit)
    }

    /// Takes the header; as it should be.
    pub(super) fn header(&mut self, row: &Row<'_>, changed: &mut Vec<Change>) -> Vec<String> {
        self.columns = Columns::new(row.cells(), self.options);
        let mut headers = Vec::new();
        for n in 0..row.width() {
            let mut header = row.cell(n).to_owned();
            let mut change = |new: String, rule| {
                changed.push(Change {
                    line: row.place(n).0,
                    record: None,
                    column: row.cell(n).to_owned(),
                    old: std::mem::replace(&mut header, new.clone()),
                    new,
                    rule,
                });
            };
            // Below blank lines a mark is none, and would become one.
            let unmarked = row.cell(n).trim_start_matches('\u{feff}');
            if self.on(Rule::Bom) && n == 0 && unmarked != row.cell(n) {
                change(unmarked.to_owned(), Rule::Bom);
            }
            if self.on(Rule::CellLineBreak) && unmarked.contains('\n') {
                change(unmarked.replace('\n', " "), Rule::CellLineBreak);
            }
            if self.on(Rule::HeaderSpelling)
                && let Some(column) = self.columns.spelt(n)
            {
                change(column.id().to_owned(), Rule::HeaderSpelling);
            }
            headers.push(header);
        }
        headers
    }

    /// A row as it should be.
    pub(super) fn row(&mut self, row: &Row<'_>, number: u64, changed: &mut Vec<Change>) -> Mended {
        if row.cells().all(|cell| cell.trim().is_empty()) && self.on(Rule::BlankRow) {
            changed.push(self.change(row, number, None, Rule::BlankRow, ("", REMOVED)));
            return Mended::Dropped;
        }
        let mut cells: Vec<String> = row.cells().map(str::to_owned).collect();
        if row.width() != self.columns.width() || self.columns.is_header(row) {
            return Mended::Odd(cells);
        }
        for (n, cell) in cells.iter_mut().enumerate() {
            while let Some((rule, new)) = self.mended(cell, self.columns.kind(n)) {
                changed.push(self.change(row, number, Some(n), rule, (cell, &new)));
                *cell = new;
            }
        }
        // What could not be seen may have been all there was.
        if cells.iter().all(|cell| cell.trim().is_empty()) && self.on(Rule::BlankRow) {
            changed.push(self.change(row, number, None, Rule::BlankRow, ("", REMOVED)));
            return Mended::Dropped;
        }
        let name = self.columns.name();
        let old = name.map_or("", |n| row.cell(n));
        match self.again(row, &cells) {
            None => {}
            Some(Again::Same(first)) => {
                let told = (old, &*format!("{REMOVED}: the unit of line {first}"));
                changed.push(self.change(row, number, name, Rule::MacDuplicate, told));
                return Mended::Dropped;
            }
            Some(Again::Other(spelt)) => {
                let name = name.expect("the names' column has it");
                let told = (&*cells[name], &*spelt);
                changed.push(self.change(row, number, Some(name), Rule::MacDuplicate, told));
                cells[name] = spelt;
            }
        }
        Mended::Written(cells)
    }

    fn change(
        &self,
        row: &Row<'_>,
        number: u64,
        column: Option<usize>,
        rule: Rule,
        (old, new): (&str, &str),
    ) -> Change {
        let secret = column.is_some_and(|n| self.columns.is_secret(n));
        let masked = |text: &str| if secret { MASK } else { text }.to_owned();
        Change {
            line: row.place(column.unwrap_or(0)).0,
            record: Some(number),
            column: column.map_or(String::new(), |n| self.columns.headers()[n].clone()),
            old: masked(old),
            new: masked(new),
            rule,
        }
    }

    /// The next repair of a cell.
    fn mended(&self, cell: &str, kind: Kind) -> Option<(Rule, String)> {
        if self.on(Rule::CellLineBreak) && cell.contains('\n') {
            let certificate = matches!(kind, Kind::Import(ColumnType::X509));
            let line = certificate.then(|| cells::on_one_line(cell)).flatten();
            return Some((
                Rule::CellLineBreak,
                line.unwrap_or_else(|| cell.replace('\n', " ")),
            ));
        }
        names::MENDS
            .iter()
            .chain(cells::MENDS)
            .filter(|mend| self.on(mend.rule) && (mend.applies)(kind))
            .find_map(|mend| Some((mend.rule, (mend.repaired)(cell, &self.facts)?)))
    }

    /// An earlier row for the same unit in another notation.
    fn again(&mut self, row: &Row<'_>, cells: &[String]) -> Option<Again> {
        let name = self
            .columns
            .name()
            .filter(|_| self.on(Rule::MacDuplicate))?;
        let value = names::mac_value(&cells[name])?;
        let others = || cells.iter().enumerate().filter(|(n, _)| *n != name);
        let unit = Unit {
            line: row.line(),
            name: self.hasher.hash_one(row.cell(name).to_lowercase()),
            written: cells[name].as_str().into(),
            rest: self
                .hasher
                .hash_one(others().map(|(_, cell)| cell).collect::<Vec<_>>()),
        };
        match self.units.get(&value) {
            Some(first) if first.name == unit.name => None,
            Some(first) if first.rest == unit.rest => Some(Again::Same(first.line)),
            Some(first) => {
                (first.written != unit.written).then(|| Again::Other(first.written.to_string()))
            }
            None => {
                self.units.insert(value, unit);
                None
            }
        }
    }
}

/// A unit's second row.
enum Again {
    /// It says what the first says, which is on this line.
    Same(u64),
    /// It says something else: spelt as the first is, it is a duplicate that somebody must decide.
    Other(String),
}

const MASK: &str = "***";

const REMOVED: &str = "(row removed)";
