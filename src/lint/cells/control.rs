//! Control characters: nobody sees them, and no device sends them.
//!
//! Line feeds are another rule's (`cell-line-break`), and so are blanks around a name.

use crate::dialect::ColumnType;
use crate::inventory::shown;
use crate::lint::columns::Kind;
use crate::lint::finding::Findings;
use crate::lint::mend::Mend;
use crate::lint::record::{Lint, Opened, Record};
use crate::lint::rule::Rule;

/// Finds control characters.
pub(super) struct Control;

impl Lint for Control {
    fn row(&mut self, record: &Record<'_>, list: &Opened<'_>, out: &mut Findings<'_>) {
        for column in 0..list.columns.width() {
            let cell = record.cell(column);
            if may_have(cell) {
                judge(record, column, cell, list, out);
            }
        }
    }
}

#[cold]
fn judge(
    record: &Record<'_>,
    column: usize,
    cell: &str,
    list: &Opened<'_>,
    out: &mut Findings<'_>,
) {
    let kind = Cell::of(list.columns.kind(column));
    let within = match kind {
        Cell::Name => cell.trim(),
        _ => cell,
    };
    let count = within.chars().filter(|c| kind.minds(*c)).count();
    let Some(first) = within.chars().find(|c| kind.minds(*c)) else {
        return;
    };
    out.add(Rule::ControlCharacter, record.place(column), || {
        let more = match count {
            1 => String::new(),
            count => format!(" and {} more", count - 1),
        };
        let code = format!("U+{:04X}{more}", u32::from(first));
        if list.columns.is_secret(column) {
            code
        } else {
            format!("{code} in {}", shown(cell))
        }
    });
}

/// What a control character means to a cell.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cell {
    /// Nothing may be around it either, but that is found as blanks around a name.
    Name,
    /// A text of several words, perhaps.
    Text,
    /// A value without blanks.
    Value,
    /// A text in which a tab does no harm.
    Attribute,
}

impl Cell {
    fn of(kind: Kind) -> Self {
        use ColumnType as C;
        match kind {
            Kind::Import(C::Name) => Self::Name,
            Kind::Import(C::Type | C::Label) => Self::Text,
            Kind::Attribute
            | Kind::Import(
                C::Description | C::SharedAttribute | C::ServerAttribute | C::Timeseries,
            ) => Self::Attribute,
            Kind::Import(_) => Self::Value,
        }
    }

    fn minds(self, c: char) -> bool {
        c.is_control() && c != '\n' && !(self == Self::Attribute && c == '\t')
    }
}

/// Whether a byte of it may be part of a control character.
fn may_have(cell: &str) -> bool {
    // U+0080 to U+009F begin with C2.
    cell.bytes().any(|b| b < 0x20 || b == 0x7F || b == 0xC2)
}

/// A text without them; those that are white space part words, and become a blank.
fn mend_text(cell: &str) -> Option<String> {
    if !may_have(cell) || !cell.trim().chars().any(|c| Cell::Text.minds(c)) {
        return None;
    }
    let blank = |c: char| {
        if c.is_whitespace() && Cell::Text.minds(c) {
            ' '
        } else {
            c
        }
    };
    let parted: String = cell.trim().chars().map(blank).collect();
    Some(parted.chars().filter(|c| !Cell::Text.minds(*c)).collect())
}

fn mend_label(cell: &str) -> Option<String> {
    // What `trim` takes off may be all that there is to find.
    let around = cell.trim() != cell && cell.chars().any(|c| Cell::Text.minds(c));
    mend_text(cell).or_else(|| around.then(|| cell.trim().to_owned()))
}

fn mend_value(cell: &str) -> Option<String> {
    without(cell, Cell::Value)
}

fn mend_attribute(cell: &str) -> Option<String> {
    without(cell, Cell::Attribute)
}

fn without(cell: &str, kind: Cell) -> Option<String> {
    if !may_have(cell) || !cell.chars().any(|c| kind.minds(c)) {
        return None;
    }
    Some(cell.chars().filter(|c| !kind.minds(*c)).collect())
}

/// Names lose them.
pub(super) const MEND_NAME: Mend = Mend {
    rule: Rule::ControlCharacter,
    applies: |kind| Cell::of(kind) == Cell::Name,
    repaired: |cell, _| mend_text(cell),
};

/// Types and labels lose them.
pub(super) const MEND_TEXT: Mend = Mend {
    rule: Rule::ControlCharacter,
    applies: |kind| Cell::of(kind) == Cell::Text,
    repaired: |cell, _| mend_label(cell),
};

/// Credentials and settings lose them.
pub(super) const MEND_VALUE: Mend = Mend {
    rule: Rule::ControlCharacter,
    applies: |kind| Cell::of(kind) == Cell::Value,
    repaired: |cell, _| mend_value(cell),
};

/// Attributes lose them.
pub(super) const MEND_ATTRIBUTE: Mend = Mend {
    rule: Rule::ControlCharacter,
    applies: |kind| Cell::of(kind) == Cell::Attribute,
    repaired: |cell, _| mend_attribute(cell),
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_parts_words_becomes_a_blank_and_the_rest_goes() {
        for (cell, name, value, attribute) in [
            ("Pump\t1", Some("Pump 1"), Some("Pump1"), None),
            ("Pump\0", Some("Pump"), Some("Pump"), Some("Pump")),
            ("a\u{7f}b", Some("ab"), Some("ab"), Some("ab")),
            ("a\u{85}b", Some("a b"), Some("ab"), Some("ab")),
            ("a\nb", None, None, None),
            ("é\u{a0}", None, None, None),
            ("\tPump", None, Some("Pump"), None),
        ] {
            assert_eq!(mend_text(cell).as_deref(), name, "{cell:?}");
            assert_eq!(mend_value(cell).as_deref(), value, "{cell:?}");
            let mended = mend_attribute(cell);
            assert_eq!(mended.as_deref(), attribute, "{cell:?}");
        }
        let label = mend_label("\tPump");
        assert_eq!(label.as_deref(), Some("Pump"));
    }

    proptest! {
        #[test]
        fn a_repaired_cell_is_not_found_again(cell in "(?s).{0,20}|[\t\0\u{85}a ]{0,8}") {
            for (mend, kind) in [
                (mend_text as fn(&str) -> Option<String>, Cell::Name),
                (mend_label, Cell::Text),
                (mend_value, Cell::Value),
                (mend_attribute, Cell::Attribute),
            ] {
                let within = if kind == Cell::Name { cell.trim() } else { &cell };
                let found = within.chars().any(|c| kind.minds(c));
                let mended = mend(&cell);
                prop_assert_eq!(mended.is_some(), found);
                if let Some(mended) = mended {
                    prop_assert!(!mended.chars().any(|c| kind.minds(c)), "{:?}", mended);
                }
            }
        }
    }
}
