//! The header: what each column is, and what the server would take it for.

use std::collections::HashMap;

use crate::dialect::{ColumnType, Meant};
use crate::inventory::{Row, shown};
use crate::lint::columns::Columns;
use crate::lint::finding::{Findings, Place};
use crate::lint::rule::Rule;

/// Judges the first row; `None` if there is nothing in it.
pub(super) fn judge(row: &Row<'_>, out: &mut Findings<'_>) -> Option<Columns> {
    if row.cells().all(|cell| cell.trim().is_empty()) {
        return None;
    }
    let columns = Columns::new(row.cells(), out.options());
    let place = |n: usize| {
        let (line, column) = row.place(n);
        Place {
            line,
            column,
            record: None,
        }
    };
    let known = |header: &str| {
        ColumnType::of_header(header).is_some() || ColumnType::meant_by(header).is_some()
    };
    if columns.name().is_none() && !row.cells().any(known) {
        let digits = |cell: &str| cell.chars().filter(char::is_ascii_digit).count() >= DIGITS;
        if let Some(n) = row.cells().position(digits) {
            out.add(Rule::HeaderMissing, place(n), || {
                format!("{} is no header", shown(row.cell(n)))
            });
            return Some(columns);
        }
    }
    if columns.name().is_none() {
        let wanted = out.options().name_column.clone();
        out.add(Rule::NameColumnMissing, place(0), || {
            let headers: Vec<_> = row.cells().take(SHOWN).map(shown).collect();
            match &wanted {
                Some(wanted) => {
                    format!("no column {}, found {}", shown(wanted), headers.join(", "))
                }
                None => format!("found {}", headers.join(", ")),
            }
        });
    }
    let mut seen: HashMap<String, usize> = HashMap::new();
    for (n, header) in row.cells().enumerate() {
        if header.contains('\n') {
            out.add(Rule::CellLineBreak, place(n), || shown(header));
        }
        spelling(n, &columns, place(n), out);
        if let Some(first) = seen.insert(header.trim().to_lowercase(), n) {
            out.add(Rule::HeaderDuplicate, place(n), || {
                format!(
                    "{}, as column {} of {}",
                    shown(header),
                    first + 1,
                    row.width()
                )
            });
        }
    }
    Some(columns)
}

/// What the server would not take for what it was meant to be.
fn spelling(n: usize, columns: &Columns, place: Place, out: &mut Findings<'_>) {
    if columns.name() == Some(n) && out.options().name_column.is_some() {
        // The user knows, and maps it by hand.
        return;
    }
    let header = &columns.headers()[n];
    if let Some(column) = columns.spelt(n) {
        return out.add(Rule::HeaderSpelling, place, || {
            format!("{}, which would have to be {}", shown(header), column.id())
        });
    }
    match ColumnType::meant_by(header) {
        Some(Meant::Spelt(column)) => out.add(Rule::HeaderUnknown, place, || {
            format!(
                "{}, beside another column for {}",
                shown(header),
                column.id()
            )
        }),
        Some(Meant::Near(column)) => out.add(Rule::HeaderUnknown, place, || {
            format!("{}; is {} meant?", shown(header), column.id())
        }),
        None if header.trim().is_empty() => out.add(Rule::HeaderUnknown, place, || {
            "a column without a header".to_owned()
        }),
        None => {}
    }
}

/// A header has fewer digits than an identifier.
const DIGITS: usize = 4;

/// As many headers as a message shows.
const SHOWN: usize = 12;
