//! Rules about names: empty ones, blanks, duplicates in any notation, addresses, lots, and what
//! spreadsheets make of identifiers.

mod addresses;
mod blanks;
mod clouds;
mod duplicates;
mod lookalike;
mod lots;
mod mac;
mod odd;
mod spreadsheet;

use super::columns::Kind;
use super::mend::Mend;
use super::options::Options;
use super::record::Lint;
use super::rule::Rule;
use crate::dialect::ColumnType;

pub(super) use mac::{Notation, value as mac_value};

/// The rules about names.
pub(super) fn lints(options: &Options) -> Vec<Box<dyn Lint>> {
    vec![
        Box::new(blanks::Blanks),
        Box::new(duplicates::Duplicates::default()),
        Box::new(addresses::Addresses::default()),
        Box::new(spreadsheet::Spreadsheet),
        Box::new(clouds::Clouds::new(options)),
    ]
}

/// What of it is repaired.
pub(super) const MENDS: &[Mend] = &[
    Mend {
        rule: Rule::SpreadsheetMark,
        applies: spreadsheet::applies,
        repaired: |cell, _| spreadsheet::unmarked(cell),
    },
    Mend {
        rule: Rule::NameBlanks,
        applies: is_name,
        repaired: |cell, _| blanks::trimmed(cell),
    },
    Mend {
        rule: Rule::NameInvisible,
        applies: is_name,
        repaired: |cell, _| blanks::seen(cell),
    },
    Mend {
        rule: Rule::MacNotation,
        applies: is_name,
        repaired: |cell, facts| {
            let wanted = facts.notation?;
            let (value, notation) = mac::parse(cell)?;
            (!notation.fits(wanted)).then(|| wanted.write(value))
        },
    },
];

fn is_name(kind: Kind) -> bool {
    kind == Kind::Import(ColumnType::Name)
}

/// A name as it will be once what surrounds it is repaired, if it has some of that.
fn bare(name: &str) -> Option<String> {
    let seen = blanks::seen(name);
    let trimmed = blanks::trimmed(seen.as_deref().unwrap_or(name));
    trimmed.or(seen)
}
