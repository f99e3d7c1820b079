//! A list as the import sees it: rows, and what its columns are to the server.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use ring::digest;
use serde_json::{Value, json};

use crate::dialect::ColumnType;
use crate::inventory::Rows;

/// A list that was read whole.
#[derive(Debug)]
pub struct ImportList {
    /// Its path.
    pub path: PathBuf,
    /// Its header.
    pub header: Vec<String>,
    /// Its rows with a value.
    pub rows: Vec<ListRow>,
    /// The SHA-256 of what it says.
    pub digest: String,
    name: usize,
    kind: Option<usize>,
}

/// A row.
#[derive(Clone, Debug)]
pub struct ListRow {
    /// The physical line it begins on.
    pub line: u64,
    /// Its cells.
    pub cells: Vec<String>,
}

/// Why a list cannot be imported.
#[derive(Debug, thiserror::Error)]
#[error("{}: {why}\nhelp: `fleetcall check` tells all that is wrong with it", path.display())]
pub struct Unmappable {
    path: PathBuf,
    why: String,
}

impl ImportList {
    /// Reads a list.
    pub fn read(path: &Path) -> Result<Self, Unmappable> {
        let wrong = |why: String| Unmappable {
            path: path.to_owned(),
            why,
        };
        let file = File::open(path).map_err(|e| wrong(format!("cannot be read: {e}")))?;
        let mut rows = Rows::new(BufReader::new(file));
        let mut all: Vec<ListRow> = Vec::new();
        let mut digest = digest::Context::new(&digest::SHA256);
        while let Some(row) = rows
            .read()
            .map_err(|e| wrong(format!("cannot be read: {e}")))?
        {
            let row = row.map_err(|at| wrong(format!("line {} is no row of a list", at.line)))?;
            if row.cells().all(|cell| cell.trim().is_empty()) {
                continue;
            }
            let cells: Vec<String> = row.cells().map(str::to_owned).collect();
            for cell in &cells {
                digest.update(&(cell.len() as u64).to_be_bytes());
                digest.update(cell.as_bytes());
            }
            digest.update(b"\n");
            all.push(ListRow {
                line: row.line(),
                cells,
            });
        }
        if all.is_empty() {
            return Err(wrong("no header".to_owned()));
        }
        let header = all.remove(0).cells;
        if let Some(odd) = all.iter().find(|row| row.cells.len() != header.len()) {
            let (line, cells, wanted) = (odd.line, odd.cells.len(), header.len());
            return Err(wrong(format!(
                "line {line} has {cells} cells, and the header {wanted}"
            )));
        }
        let is = |column| {
            header
                .iter()
                .position(|h| ColumnType::of_header(h) == Some(column))
        };
        let name = is(ColumnType::Name).ok_or_else(|| wrong("no column `name`".to_owned()))?;
        let digest = digest.finish();
        Ok(Self {
            path: path.to_owned(),
            kind: is(ColumnType::Type),
            header,
            rows: all,
            digest: hex(digest.as_ref()),
            name,
        })
    }

    /// A row's device.
    pub fn name(&self, row: usize) -> &str {
        &self.rows[row].cells[self.name]
    }

    /// The profile that a row names, if the list has a column for it.
    pub fn profile(&self, row: usize) -> Option<&str> {
        Some(&self.rows[row].cells[self.kind?])
    }

    /// The request that imports rows, those without a type with this one.
    pub(super) fn body(&self, rows: &[usize], profile: Option<&str>, update: bool) -> Value {
        let profile = profile.filter(|_| self.kind.is_none());
        let mut columns: Vec<Value> = self
            .header
            .iter()
            .map(|header| match ColumnType::of_header(header) {
                Some(column) => json!({"type": column.id()}),
                // As the web interface has it.
                None => json!({"type": ColumnType::ServerAttribute.id(), "key": header}),
            })
            .collect();
        columns.extend(profile.map(|_| json!({"type": ColumnType::Type.id()})));
        let mut file = csv::WriterBuilder::new().from_writer(Vec::new());
        let header = self.header.iter().map(String::as_str);
        let mut write = |cells: &mut dyn Iterator<Item = &str>| {
            file.write_record(cells).expect("memory takes it");
        };
        write(&mut header.chain(profile.map(|_| "TYPE")));
        for row in rows {
            let cells = self.rows[*row].cells.iter().map(String::as_str);
            write(&mut cells.chain(profile));
        }
        let file = file.into_inner().expect("memory takes it");
        json!({
            "file": String::from_utf8(file).expect("it was text"),
            "mapping": {
                "columns": columns,
                "delimiter": ",",
                "header": true,
                "update": update,
            },
        })
    }

    /// At most how many bytes a row takes in a request.
    pub(super) fn length(&self, row: usize) -> usize {
        let cells = self.rows[row].cells.iter();
        // A quote is four bytes in CSV in JSON, a control character six.
        cells
            .map(|cell| {
                let worse = |byte: &u8| *byte == b'"' || *byte == b'\\' || *byte < 0x20;
                3 + cell.len() + 5 * cell.as_bytes().iter().filter(|byte| worse(byte)).count()
            })
            .sum::<usize>()
            + 2
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}
