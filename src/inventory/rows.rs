//! The rows of a CSV file by RFC 4180, with the line and column of each cell.
//!
//! Strict where the `csv` crate is lenient, since leniency loses devices: that crate ends a quote
//! that is never closed at the end of the file, and joins the text after a closing quote to the
//! cell, so that all rows in between vanish without an error. It also knows no cell's column, and
//! gives the line of the blank lines before a record as the record's. What is well-formed is read
//! as that crate reads it (held by a test).

use std::io::{self, BufRead, Read as _};

/// A reader of rows. Blank lines are skipped; a byte order mark before the first row is too.
pub struct Rows<R> {
    input: R,
    /// Known from the first row on.
    delimiter: Option<u8>,
    /// Physical lines read so far.
    lines: u64,
    /// How the last of them ended.
    end: LineEnd,
    /// The row as it stands in the file, without its line end.
    raw: Vec<u8>,
    /// The line on which `raw` begins.
    first_line: u64,
    text: String,
    cells: Vec<Cell>,
}

/// A cell: where it begins in the raw row, where its text ends in all cells' text.
struct Cell {
    at: usize,
    end: usize,
}

/// A row, valid until the next is read.
pub struct Row<'r> {
    raw: &'r [u8],
    first_line: u64,
    text: &'r str,
    cells: &'r [Cell],
}

/// Why a row is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Bytes that are no UTF-8; the first of them.
    NotUtf8(u8),
    /// The file begins as UTF-16 does.
    Utf16,
    /// A quote in a cell that does not begin with one.
    QuoteInside,
    /// Text between a closing quote and the delimiter.
    TextAfterQuote,
    /// A quote that is not closed, or not within the limit. Nothing after it can be read.
    Unclosed,
    /// A line beyond the limit. Nothing after it can be read.
    TooLong,
}

impl Misplaced {
    /// Whether nothing after it can be read.
    pub fn ends_reading(self) -> bool {
        matches!(self.why, Malformed::Unclosed | Malformed::TooLong)
    }
}

/// How a physical line ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineEnd {
    /// A line feed.
    Lf,
    /// A carriage return and a line feed.
    CrLf,
    /// Not at all: the file ends.
    Missing,
}

/// A malformed row and its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misplaced {
    /// The physical line, from 1.
    pub line: u64,
    /// The character within the line, from 1.
    pub column: u64,
    /// What is wrong there.
    pub why: Malformed,
}

/// What reading on gave.
pub type Read<'r> = Option<Result<Row<'r>, Misplaced>>;

impl<R: BufRead> Rows<R> {
    /// The first row decides over the delimiter: the most frequent of [`DELIMITERS`].
    pub fn new(input: R) -> Self {
        Self {
            input,
            delimiter: None,
            lines: 0,
            end: LineEnd::Missing,
            raw: Vec::new(),
            first_line: 0,
            text: String::new(),
            cells: Vec::new(),
        }
    }

    /// The delimiter, once a row has been read.
    pub fn delimiter(&self) -> Option<u8> {
        self.delimiter
    }

    /// How the last physical line that was read ends.
    pub fn line_end(&self) -> LineEnd {
        self.end
    }

    /// Physical lines read so far, which is the line that the last row ends on.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// The row that was read last as another delimiter has it; `None` where it has quotes, which
    /// may mean something else then.
    pub fn again(&mut self, delimiter: u8) -> Option<Row<'_>> {
        if self.raw.contains(&b'"') {
            return None;
        }
        // Without a quote nothing more is read.
        self.split(delimiter).ok()??.ok()
    }

    /// The row that was read last as it stands in the file, malformed or not, without its line
    /// end.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// What was not read yet.
    pub fn into_rest(self) -> R {
        self.input
    }

    /// The next row; `None` at the end of the file.
    pub fn read(&mut self) -> io::Result<Read<'_>> {
        loop {
            self.raw.clear();
            self.first_line = self.lines + 1;
            match self.read_line()? {
                Line::End => return Ok(None),
                Line::TooLong => return Ok(Some(Err(self.misplaced(0, Malformed::TooLong)))),
                Line::Read if self.raw.is_empty() => {}
                Line::Read => break,
            }
        }
        if self.first_line == 1
            && (self.raw.starts_with(b"\xff\xfe") || self.raw.starts_with(b"\xfe\xff"))
        {
            return Ok(Some(Err(self.misplaced(0, Malformed::Utf16))));
        }
        let delimiter = *self.delimiter.get_or_insert_with(|| detect(&self.raw));
        self.split(delimiter)
    }

    fn split(&mut self, delimiter: u8) -> io::Result<Read<'_>> {
        self.text.clear();
        self.cells.clear();
        let mut at = 0;
        loop {
            let start = at;
            let cell = if self.raw.get(at) == Some(&b'"') {
                self.quoted(at, delimiter)?
            } else {
                self.plain(at, delimiter)
            };
            match cell {
                Ok(end) => at = end,
                Err((at, why)) => return Ok(Some(Err(self.misplaced(at, why)))),
            }
            self.cells.push(Cell {
                at: start,
                end: self.text.len(),
            });
            if at == self.raw.len() {
                break;
            }
            at += 1;
        }
        Ok(Some(Ok(Row {
            raw: &self.raw,
            first_line: self.first_line,
            text: &self.text,
            cells: &self.cells,
        })))
    }

    /// Takes an unquoted cell; its end.
    fn plain(&mut self, at: usize, delimiter: u8) -> Result<usize, (usize, Malformed)> {
        let rest = &self.raw[at..];
        let length = rest
            .iter()
            .position(|b| *b == delimiter)
            .unwrap_or(rest.len());
        if let Some(quote) = rest[..length].iter().position(|b| *b == b'"') {
            return Err((at + quote, Malformed::QuoteInside));
        }
        self.take(at, at + length)?;
        Ok(at + length)
    }

    /// Takes a quoted cell, reading lines until its quote is closed; its end.
    fn quoted(
        &mut self,
        open: usize,
        delimiter: u8,
    ) -> io::Result<Result<usize, (usize, Malformed)>> {
        let mut at = open + 1;
        loop {
            let Some(length) = self.raw[at..].iter().position(|b| *b == b'"') else {
                // The rest of the line belongs to the cell, its line end as well.
                let end = self.raw.len();
                self.raw.push(b'\n');
                match self.read_line()? {
                    Line::Read if self.raw.len() - open <= LIMIT => {}
                    _ => return Ok(Err((open, Malformed::Unclosed))),
                }
                if let Err(fault) = self.take(at, end + 1) {
                    return Ok(Err(fault));
                }
                at = end + 1;
                continue;
            };
            let quote = at + length;
            let doubled = self.raw.get(quote + 1) == Some(&b'"');
            if let Err(fault) = self.take(at, quote + usize::from(doubled)) {
                return Ok(Err(fault));
            }
            if doubled {
                at = quote + 2;
                continue;
            }
            return Ok(match self.raw.get(quote + 1) {
                None => Ok(quote + 1),
                Some(next) if *next == delimiter => Ok(quote + 1),
                Some(_) => Err((quote + 1, Malformed::TextAfterQuote)),
            });
        }
    }

    /// Adds raw bytes to the cell's text.
    fn take(&mut self, from: usize, to: usize) -> Result<(), (usize, Malformed)> {
        match std::str::from_utf8(&self.raw[from..to]) {
            Ok(text) => {
                self.text.push_str(text);
                Ok(())
            }
            Err(e) => {
                let at = from + e.valid_up_to();
                Err((at, Malformed::NotUtf8(self.raw[at])))
            }
        }
    }

    /// Adds a physical line to `raw`, without its end.
    fn read_line(&mut self) -> io::Result<Line> {
        let start = self.raw.len();
        let limit = LIMIT as u64 + 1;
        let read = self
            .input
            .by_ref()
            .take(limit)
            .read_until(b'\n', &mut self.raw)?;
        if read == 0 {
            return Ok(Line::End);
        }
        self.lines += 1;
        self.end = LineEnd::Missing;
        if self.raw.last() == Some(&b'\n') {
            self.raw.pop();
            self.end = LineEnd::Lf;
        } else if read as u64 == limit {
            return Ok(Line::TooLong);
        }
        if self.raw.len() > start && self.raw.last() == Some(&b'\r') {
            self.raw.pop();
            if self.end == LineEnd::Lf {
                self.end = LineEnd::CrLf;
            }
        }
        if self.lines == 1 && self.raw.starts_with(BOM) {
            self.raw.drain(..BOM.len());
        }
        Ok(Line::Read)
    }

    fn misplaced(&self, at: usize, why: Malformed) -> Misplaced {
        let (line, column) = place(&self.raw, self.first_line, at);
        Misplaced { line, column, why }
    }
}

impl<'r> Row<'r> {
    /// The number of cells, at least 1.
    pub fn width(&self) -> usize {
        self.cells.len()
    }

    /// A cell's text, without quotes.
    pub fn cell(&self, n: usize) -> &'r str {
        let start = n.checked_sub(1).map_or(0, |before| self.cells[before].end);
        &self.text[start..self.cells[n].end]
    }

    /// All cells' texts.
    pub fn cells(&self) -> impl Iterator<Item = &'r str> + '_ {
        (0..self.width()).map(|n| self.cell(n))
    }

    /// The row as it stands in the file, without its line end; a line end within is a line feed.
    pub fn raw(&self) -> &'r [u8] {
        self.raw
    }

    /// The line on which the row begins.
    pub fn line(&self) -> u64 {
        self.first_line
    }

    /// A cell's line and column; beyond the last cell, those of the row's end.
    pub fn place(&self, n: usize) -> (u64, u64) {
        let at = self.cells.get(n).map_or(self.raw.len(), |cell| cell.at);
        place(self.raw, self.first_line, at)
    }
}

enum Line {
    Read,
    TooLong,
    End,
}

/// The line and the character column, both from 1, of an offset in a raw row.
fn place(raw: &[u8], first_line: u64, at: usize) -> (u64, u64) {
    let before = &raw[..at.min(raw.len())];
    let line = before.split(|b| *b == b'\n').count() - 1;
    let start = before
        .iter()
        .rposition(|b| *b == b'\n')
        .map_or(0, |n| n + 1);
    let column = String::from_utf8_lossy(&before[start..]).chars().count();
    (first_line + line as u64, column as u64 + 1)
}

/// The most frequent delimiter outside quotes; the comma when there is none.
fn detect(header: &[u8]) -> u8 {
    let mut counts = [0u32; DELIMITERS.len()];
    let mut quoted = false;
    for byte in header {
        quoted ^= *byte == b'"';
        if let Some(n) = DELIMITERS.iter().position(|d| d == byte && !quoted) {
            counts[n] += 1;
        }
    }
    let most = counts.iter().max().copied().unwrap_or(0);
    let first = counts.iter().position(|count| *count == most).unwrap_or(0);
    DELIMITERS[first]
}

/// The delimiters that a list may have: those that ThingsBoard's import offers.
pub const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

const BOM: &[u8] = b"\xef\xbb\xbf";

/// The longest line and the longest quoted cell, in bytes: far above any certificate, and the
/// bound on what a quote that is never closed can make us read.
const LIMIT: usize = 1 << 20;

#[cfg(test)]
mod tests;
