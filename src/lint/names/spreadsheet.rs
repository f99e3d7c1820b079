//! What spreadsheets do to identifiers.

use crate::dialect::ColumnType;
use crate::inventory::shown;
use crate::lint::columns::Kind;
use crate::lint::finding::Findings;
use crate::lint::record::{Lint, Opened, Record};
use crate::lint::rule::Rule;

/// `spreadsheet-exponent`, `spreadsheet-mark` and `formula`.
pub(super) struct Spreadsheet;

impl Lint for Spreadsheet {
    fn row(&mut self, record: &Record<'_>, list: &Opened<'_>, out: &mut Findings<'_>) {
        for column in 0..list.columns.width() {
            if !applies(list.columns.kind(column)) {
                continue;
            }
            let cell = record.cell(column);
            let rule = match cell.bytes().next() {
                Some(b'0'..=b'9') if is_exponent(cell) => Rule::SpreadsheetExponent,
                Some(b'\'' | b'=') if unmarked(cell).is_some() => Rule::SpreadsheetMark,
                Some(b'=' | b'@' | b'+' | b'-') if is_formula(cell) => Rule::Formula,
                _ => continue,
            };
            out.add(rule, record.place(column), || shown(cell));
        }
    }
}

/// Credentials may begin with anything, and are nobody's number.
pub(super) fn applies(kind: Kind) -> bool {
    !matches!(kind, Kind::Import(column) if column.is_credential() || column == ColumnType::SnmpCommunityString)
}

/// A cell without a spreadsheet's mark for text.
pub(super) fn unmarked(cell: &str) -> Option<String> {
    if let Some(rest) = cell.strip_prefix('\'') {
        return (!rest.trim().is_empty()).then(|| rest.to_owned());
    }
    let inner = cell.strip_prefix("=\"")?.strip_suffix('"')?;
    (!inner.trim().is_empty()).then(|| inner.replace("\"\"", "\""))
}

/// `8.96E+19`: a digit, a fraction, a positive exponent with its sign.
fn is_exponent(cell: &str) -> bool {
    let Some((mantissa, exponent)) = cell.split_once(['E', 'e']) else {
        return false;
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let mantissa = match mantissa.split_once(['.', ',']) {
        None => digits(mantissa),
        Some((whole, fraction)) => digits(whole) && digits(fraction),
    };
    mantissa && exponent.strip_prefix('+').is_some_and(digits)
}

fn is_formula(cell: &str) -> bool {
    let rest = &cell[1..];
    match cell.as_bytes()[0] {
        b'=' | b'@' => !rest.trim().is_empty(),
        // A number, a telephone number or a dash.
        _ => rest
            .chars()
            .any(|c| !c.is_ascii_digit() && !" .,()/-+eE%".contains(c)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_what_spreadsheets_write() {
        for (cell, expected) in [
            ("8.96E+19", true),
            ("1,2E+06", true),
            ("9E+10", true),
            ("12E5", false),
            ("1.5", false),
            ("E+5", false),
        ] {
            assert_eq!(is_exponent(cell), expected, "{cell}");
        }
        for (cell, expected) in [
            ("'0012", Some("0012")),
            ("=\"0012\"", Some("0012")),
            ("=\"a\"\"b\"", Some("a\"b")),
            ("'", None),
            ("=\"\"", None),
            ("=1", None),
        ] {
            assert_eq!(unmarked(cell).as_deref(), expected, "{cell}");
        }
        for (cell, expected) in [
            ("=1+1", true),
            ("@SUM(A1)", true),
            ("+cmd|' /C calc'!A0", true),
            ("-5", false),
            ("+49 (89) 123-4", false),
            ("-", false),
            ("=", false),
        ] {
            assert_eq!(is_formula(cell), expected, "{cell}");
        }
    }
}
