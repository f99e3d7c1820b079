//! Lists written: UTF-8 without a mark, commas, LF, in parts that fit an import request.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::draft::Draft;
use crate::inventory::DELIMITERS;
use crate::lint::file::json_length;

/// A path with something before its extension: `out.csv`, `2` → `out.2.csv`.
pub(super) fn beside(path: &Path, what: &str) -> PathBuf {
    let extension = path.extension().map_or("csv".into(), OsStr::to_os_string);
    let mut name = std::ffi::OsString::from(what);
    name.push(".");
    name.push(extension);
    path.with_extension(name)
}

/// A list that is being written.
pub(super) struct Output {
    path: PathBuf,
    overwrite: bool,
    delimiter: u8,
    /// The largest part, as a string of JSON, bytes; `None` writes one file.
    limit: Option<u64>,
    header: Vec<u8>,
    part: Draft,
    size: u64,
    /// Those before it.
    whole: Vec<Draft>,
    parts: Vec<PathBuf>,
}

impl Output {
    /// Begins the first part with the header.
    pub(super) fn new(
        path: &Path,
        overwrite: bool,
        delimiter: u8,
        limit: Option<u64>,
        header: &[String],
    ) -> io::Result<Self> {
        let header = guarded(header, delimiter)?;
        Self::begun(path, overwrite, delimiter, limit, header)
    }

    /// Begins one file with the header as it stands, without its line end; only for raw rows.
    pub(super) fn of_raw(path: &Path, overwrite: bool, header: &[u8]) -> io::Result<Self> {
        let mut header = header.to_vec();
        header.push(b'\n');
        Self::begun(path, overwrite, b',', None, header)
    }

    fn begun(
        path: &Path,
        overwrite: bool,
        delimiter: u8,
        limit: Option<u64>,
        header: Vec<u8>,
    ) -> io::Result<Self> {
        let mut output = Self {
            path: path.to_owned(),
            overwrite,
            delimiter,
            limit,
            header,
            part: Draft::new(path, overwrite)?,
            size: 0,
            whole: Vec::new(),
            parts: vec![path.to_owned()],
        };
        output.begin()?;
        Ok(output)
    }

    /// Writes a row's cells.
    pub(super) fn row(&mut self, cells: &[String]) -> io::Result<()> {
        let row = encoded(cells, self.delimiter, csv::QuoteStyle::Necessary)?;
        self.write(&row)
    }

    /// Writes a row that has not as many cells as the header.
    pub(super) fn odd(&mut self, cells: &[String]) -> io::Result<()> {
        let row = guarded(cells, self.delimiter)?;
        self.write(&row)
    }

    /// Writes a row as it stood, without its line end.
    pub(super) fn raw(&mut self, row: &[u8]) -> io::Result<()> {
        // Before a line end they would be a part of it.
        let returns = row.iter().rev().take_while(|byte| **byte == b'\r').count();
        let mut row = row[..row.len() - returns].to_vec();
        row.push(b'\n');
        self.write(&row)
    }

    /// Writes all that is left of an input.
    pub(super) fn rest(&mut self, mut input: impl io::Read) -> io::Result<()> {
        io::copy(&mut input, &mut self.part).map(|_| ())
    }

    /// Gives the files their names, which are returned.
    pub(super) fn end(mut self) -> io::Result<Vec<PathBuf>> {
        self.part.close()?;
        self.whole.push(self.part);
        for part in self.whole {
            part.place()?;
        }
        Ok(self.parts)
    }

    fn begin(&mut self) -> io::Result<()> {
        self.size = json_length(&self.header);
        self.part.write_all(&self.header)
    }

    fn write(&mut self, row: &[u8]) -> io::Result<()> {
        let length = json_length(row);
        let empty = self.size == json_length(&self.header);
        if !empty && self.limit.is_some_and(|limit| self.size + length > limit) {
            self.part.close()?;
            let next = beside(&self.path, &(self.parts.len() + 1).to_string());
            let part = Draft::new(&next, self.overwrite)?;
            self.whole.push(std::mem::replace(&mut self.part, part));
            self.parts.push(next);
            self.begin()?;
        }
        self.size += length;
        self.part.write_all(row)
    }
}

/// A row that is looked through for delimiters when it is read: others in it are quoted.
fn guarded(cells: &[String], delimiter: u8) -> io::Result<Vec<u8>> {
    let any = |cell: &String| cell.bytes().any(|byte| DELIMITERS.contains(&byte));
    let style = if cells.iter().any(any) {
        csv::QuoteStyle::Always
    } else {
        csv::QuoteStyle::Necessary
    };
    encoded(cells, delimiter, style)
}

fn encoded(cells: &[String], delimiter: u8, style: csv::QuoteStyle) -> io::Result<Vec<u8>> {
    let mut writer = csv::WriterBuilder::new()
        .delimiter(delimiter)
        .quote_style(style)
        .flexible(true)
        .from_writer(Vec::new());
    writer.write_record(cells)?;
    writer
        .into_inner()
        .map_err(|e| io::Error::other(e.to_string()))
}
