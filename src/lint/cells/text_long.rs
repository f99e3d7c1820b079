//! Names, types and labels that are longer than the server's columns.

use super::columns_of;
use crate::dialect::ColumnType;
use crate::inventory::shown;
use crate::lint::finding::Findings;
use crate::lint::record::{Lint, Opened, Record};
use crate::lint::rule::Rule;

/// Finds texts that are too long.
#[derive(Default)]
pub(super) struct TextLong([Option<usize>; 3]);

impl Lint for TextLong {
    fn begin(&mut self, list: &Opened<'_>, _out: &mut Findings<'_>) {
        self.0 = columns_of(list, TEXTS);
    }

    fn row(&mut self, record: &Record<'_>, _list: &Opened<'_>, out: &mut Findings<'_>) {
        for column in self.0.into_iter().flatten() {
            let cell = record.cell(column);
            if let Some(length) = too_long(cell) {
                out.add(Rule::TextLong, record.place(column), || {
                    format!("{length} characters: {}", shown(cell))
                });
            }
        }
    }
}

/// The length of a text that is too long, UTF-16 units as Java counts them.
fn too_long(cell: &str) -> Option<usize> {
    // No text has more units than bytes.
    if cell.len() <= LONGEST {
        return None;
    }
    Some(cell.encode_utf16().count()).filter(|length| *length > LONGEST)
}

/// The columns whose texts the server checks.
pub(super) const TEXTS: [ColumnType; 3] = [ColumnType::Name, ColumnType::Type, ColumnType::Label];

const LONGEST: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_as_java_does() {
        assert_eq!(too_long(&"a".repeat(255)), None);
        assert_eq!(too_long(&"a".repeat(256)), Some(256));
        assert_eq!(too_long(&"é".repeat(255)), None);
        assert_eq!(too_long(&"😀".repeat(127)), None);
        assert_eq!(too_long(&"😀".repeat(128)), Some(256));
    }
}
