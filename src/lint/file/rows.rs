//! A file, row by row: what is wrong with rows is told here, what is well-formed goes to the rules.

use std::io;
use std::path::Path;

use super::head;
use super::source::{self, Encoded};
use super::whole::Size;
use crate::inventory::{DELIMITERS, LineEnd, Malformed, Misplaced, Row, Rows, shown};
use crate::lint::columns::Columns;
use crate::lint::finding::{Findings, Place};
use crate::lint::record::{Lint, Opened, Record};
use crate::lint::rule::Rule;

/// Reads a list and shows its rows to the rules; how many rows with a value it has.
pub(in crate::lint) fn read(
    path: &Path,
    lints: &mut [Box<dyn Lint>],
    out: &mut Findings<'_>,
) -> io::Result<u64> {
    let source = source::open(path)?;
    match source.encoded {
        Encoded::Utf8 => {}
        Encoded::Marked => out.add(Rule::Bom, Place::START, || "EF BB BF".to_owned()),
        Encoded::Utf16(encoding) => {
            out.add(Rule::Utf16, Place::START, || encoding.name().to_owned());
        }
        Encoded::Utf32 { .. } => out.add(Rule::Utf32, Place::START, || "UTF-32".to_owned()),
    }
    if source.carriage_returns {
        out.add(Rule::LineEnds, Place::START, || {
            "lines end with a carriage return alone".to_owned()
        });
    }
    let mut rows = Rows::new(source.text);
    let mut walk = Walk::default();
    let head = match rows.read()? {
        None => None,
        Some(Err(misplaced)) => {
            malformed(misplaced, None, out);
            return Ok(0);
        }
        Some(Ok(row)) => {
            walk.size.row(&row);
            walk.blank_lines(row.line(), out);
            head::judge(&row, out)
        }
    };
    let Some(columns) = head else {
        out.add(Rule::ListEmpty, Place::START, || {
            "the file is empty".to_owned()
        });
        return Ok(0);
    };
    walk.ended(rows.line_end(), rows.lines(), out);
    no_comma(rows.delimiter(), out);
    let list = Opened {
        path,
        columns: &columns,
    };
    for lint in &mut *lints {
        lint.begin(&list, out);
    }
    while walk.next(&mut rows, &list, lints, out)? {}
    for lint in lints {
        lint.end(&list, out);
    }
    walk.end(rows.lines(), out);
    Ok(walk.rows)
}

/// What is remembered from row to row.
#[derive(Default)]
struct Walk {
    /// Records so far, the header not counted.
    number: u64,
    /// Those with a value.
    rows: u64,
    /// The line that the last row ended on.
    line: u64,
    /// Whether line numbers and the server's differ already.
    shifted: bool,
    /// How the first line ended, and whether another one ended otherwise.
    first_end: Option<LineEnd>,
    mixed: bool,
    last_end: Option<LineEnd>,
    size: Size,
    /// Whether the last row was found to be cut.
    cut: bool,
}

impl Walk {
    /// Reads a row; `false` at the end, or where nothing more can be read.
    fn next(
        &mut self,
        rows: &mut Rows<impl io::BufRead>,
        list: &Opened<'_>,
        lints: &mut [Box<dyn Lint>],
        out: &mut Findings<'_>,
    ) -> io::Result<bool> {
        let delimiter = rows.delimiter();
        let before = self.line;
        let width = match rows.read()? {
            None => return Ok(false),
            Some(Err(misplaced)) => {
                self.number += 1;
                self.rows += 1;
                malformed(misplaced, Some(self.number), out);
                self.line = rows.lines();
                let more = !misplaced.ends_reading();
                if more {
                    self.ended(rows.line_end(), rows.lines(), out);
                } else {
                    self.last_end = None;
                }
                return Ok(more);
            }
            Some(Ok(row)) => {
                self.number += 1;
                self.size.row(&row);
                let line = row.line();
                let judged = self.row(&row, list, lints, out);
                self.line = before;
                self.blank_lines(line, out);
                judged.err()
            }
        };
        let end = rows.line_end();
        self.ended(end, rows.lines(), out);
        if let Some(place) = width {
            match other_delimiter(rows, place.cells, list.columns.width()) {
                Some(other) => {
                    separated(other, place, delimiter, out);
                    if let Some(row) = rows.again(other) {
                        let _ = self.row(&row, list, lints, out);
                    }
                }
                None => self.cells(place, end, list.columns, out),
            }
        }
        Ok(true)
    }

    /// Judges a row and shows it to the rules; `Err` if its cells are not as many as the header's.
    fn row(
        &mut self,
        row: &Row<'_>,
        list: &Opened<'_>,
        lints: &mut [Box<dyn Lint>],
        out: &mut Findings<'_>,
    ) -> Result<(), Odd> {
        let place = self.place(row, 0);
        if row.cells().all(|cell| cell.trim().is_empty()) {
            out.add(Rule::BlankRow, place, || match row.width() {
                1 => "only blanks".to_owned(),
                cells => format!("{cells} cells, all empty"),
            });
            return Ok(());
        }
        if row.width() != list.columns.width() {
            return Err(Odd {
                place: self.place(row, list.columns.width()),
                start: place,
                cells: row.width(),
            });
        }
        self.rows += 1;
        if list.columns.is_header(row) {
            out.add(Rule::HeaderRepeated, place, || {
                "as on the first row".to_owned()
            });
            return Ok(());
        }
        if let Some(cell) = row.cells().position(|cell| cell.contains('\n')) {
            out.add(Rule::CellLineBreak, self.place(row, cell), || {
                let count = row.cell(cell).split('\n').count();
                format!(
                    "a cell of {count} lines in the column {}",
                    shown(&list.columns.headers()[cell])
                )
            });
        }
        if row.width() == 1
            && list.columns.name().is_some()
            && let Some(found) = row.cell(0).find([';', '|', '\t', ','])
        {
            out.add(Rule::DelimiterInName, place, || {
                let c = row.cell(0)[found..].chars().next().unwrap_or(' ');
                format!("{c:?} in {}", shown(row.cell(0)))
            });
        }
        let record = Record::new(row, self.number);
        for lint in lints {
            lint.row(&record, list, out);
        }
        Ok(())
    }

    fn place(&self, row: &Row<'_>, cell: usize) -> Place {
        let (line, column) = row.place(cell);
        Place {
            line,
            column,
            record: Some(self.number),
        }
    }

    fn cells(&mut self, odd: Odd, end: LineEnd, columns: &Columns, out: &mut Findings<'_>) {
        self.rows += 1;
        let wanted = columns.width();
        let words = || {
            let s = if odd.cells == 1 { "" } else { "s" };
            format!("{} cell{s}, where the header has {wanted}", odd.cells)
        };
        self.cut = end == LineEnd::Missing && odd.cells < wanted;
        if self.cut {
            out.add(Rule::Cut, odd.start, words);
        } else {
            out.add(Rule::Cells, odd.place, words);
        }
    }

    /// Tells of the first blank lines, which lie before the row on this line.
    fn blank_lines(&mut self, line: u64, out: &mut Findings<'_>) {
        let blank = line - self.line - 1;
        if blank > 0 && !self.shifted {
            self.shifted = true;
            let place = Place {
                line: self.line + 1,
                column: 1,
                record: None,
            };
            out.add(Rule::LineNumbers, place, || {
                format!("from here on the server's line numbers are less, by {blank} at first")
            });
        }
    }

    /// A line that a row ends on has ended.
    fn ended(&mut self, end: LineEnd, line: u64, out: &mut Findings<'_>) {
        self.line = line;
        self.last_end = Some(end);
        if end == LineEnd::Missing {
            return;
        }
        let first = *self.first_end.get_or_insert(end);
        if first != end && !self.mixed {
            self.mixed = true;
            let place = Place {
                line,
                column: 1,
                record: None,
            };
            out.add(Rule::LineEnds, place, || {
                let name = |end| if end == LineEnd::CrLf { "CRLF" } else { "LF" };
                format!("{} here, {} before", name(end), name(first))
            });
        }
    }

    fn end(&self, line: u64, out: &mut Findings<'_>) {
        if self.rows == 0 {
            out.add(Rule::ListEmpty, Place::START, || "only a header".to_owned());
        }
        if self.last_end == Some(LineEnd::Missing) && !self.cut {
            let place = Place {
                line,
                column: 1,
                record: None,
            };
            out.add(Rule::LastLineEnd, place, || {
                "the file ends within it".to_owned()
            });
        }
        self.size.judge(out);
    }
}

/// The delimiter by which a row of one cell has as many as the header.
pub(in crate::lint) fn other_delimiter(
    rows: &mut Rows<impl io::BufRead>,
    cells: usize,
    wanted: usize,
) -> Option<u8> {
    // A row that has the header's delimiter is of that delimiter.
    if cells != 1 {
        return None;
    }
    DELIMITERS
        .into_iter()
        .find(|other| rows.again(*other).is_some_and(|row| row.width() == wanted))
}

/// A row whose cells are not as many as the header's.
#[derive(Clone, Copy)]
struct Odd {
    /// The first cell too many, or the row's end.
    place: Place,
    start: Place,
    cells: usize,
}

fn malformed(misplaced: Misplaced, record: Option<u64>, out: &mut Findings<'_>) {
    let Misplaced { line, column, why } = misplaced;
    let place = Place {
        line,
        column,
        record,
    };
    let (rule, message) = match why {
        Malformed::NotUtf8(byte) => (Rule::NotUtf8, format!("the byte 0x{byte:02X}")),
        // The source has seen to that, unless a mark stands before another.
        Malformed::Utf16 => (Rule::NotUtf8, "a second byte order mark".to_owned()),
        Malformed::QuoteInside => (
            Rule::Quote,
            "a quote inside a cell that does not begin with one".to_owned(),
        ),
        Malformed::TextAfterQuote => (Rule::Quote, "text after a closing quote".to_owned()),
        Malformed::Unclosed => (
            Rule::Quote,
            "a quote that is never closed; nothing after it was read".to_owned(),
        ),
        Malformed::TooLong => (Rule::LineLong, "nothing after it was read".to_owned()),
    };
    out.add(rule, place, || message);
}

fn separated(other: u8, odd: Odd, delimiter: Option<u8>, out: &mut Findings<'_>) {
    out.add(Rule::Delimiter, odd.start, || {
        let usual = delimiter.map_or(',', char::from);
        format!("{:?}, where the header has {usual:?}", char::from(other))
    });
}

fn no_comma(delimiter: Option<u8>, out: &mut Findings<'_>) {
    if let Some(other) = delimiter.filter(|delimiter| *delimiter != b',') {
        out.add(Rule::DelimiterOther, Place::START, || {
            format!("the header has {:?}", char::from(other))
        });
    }
}
