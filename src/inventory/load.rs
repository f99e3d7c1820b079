//! A CSV file to an inventory, or all its faults in one pass.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use hashbrown::HashTable;

use super::fault::{ListError, ListFault, ListFaults, shown};
use super::list::Inventory;
use super::nearest;
use super::rows::{Malformed, Misplaced, Row, Rows};
use crate::model::DeviceIx;

#[cfg(test)]
mod tests;

/// Which columns of a list are wanted.
#[derive(Clone, Copy, Debug)]
pub struct ListOptions<'a> {
    /// The header of the column that holds the names.
    pub name_column: &'a str,
    /// The headers of the columns that templates use.
    pub keep: &'a [String],
    /// The headers of columns that are kept where the list has them.
    pub keep_if_there: &'a [String],
}

/// Reads a device list: CSV with a header, UTF-8, delimited by comma, semicolon or tab.
///
/// A million rows take about 30 MB and less than a second.
pub fn load_csv(path: &Path, options: &ListOptions<'_>) -> Result<Inventory, ListError> {
    let unreadable = |e| ListError::Unreadable(path.to_owned(), e);
    let file = File::open(path).map_err(unreadable)?;
    let mut load = Load::new(path);
    let input = BufReader::with_capacity(1 << 16, file);
    let mut inventory = load.read(input, options).map_err(unreadable)?;
    if load.faults.total() > 0 {
        return Err(ListError::Faulty(load.faults));
    }
    inventory.shrink();
    Ok(inventory)
}

/// The headers of a list, left to right; none where its first row cannot be read, of which
/// [`load_csv`] tells more.
pub fn headers(path: &Path) -> Result<Vec<String>, ListError> {
    let unreadable = |e| ListError::Unreadable(path.to_owned(), e);
    let mut rows = Rows::new(BufReader::new(File::open(path).map_err(unreadable)?));
    Ok(match rows.read().map_err(unreadable)? {
        Some(Ok(row)) => row.cells().map(str::to_owned).collect(),
        Some(Err(_)) | None => Vec::new(),
    })
}

/// The physical line, from 1, of a device in a list that [`load_csv`] took, for a fault that shows
/// only later; `None` if the file cannot be read again or has changed.
pub fn line(path: &Path, device: DeviceIx) -> Option<u64> {
    let mut rows = Rows::new(BufReader::new(File::open(path).ok()?));
    // The header is row 0.
    for _ in 0..=device.get() {
        rows.read().ok()??.ok()?;
    }
    Some(rows.read().ok()??.ok()?.line())
}

/// What one pass over a list remembers, besides the list.
struct Load {
    faults: ListFaults,
    /// The rows by their names' hashes.
    seen: HashTable<u32>,
    hasher: RandomState,
    /// For each row whose line is not the one after the row before: the row and its line.
    jumps: Vec<(u32, u64)>,
}

impl Load {
    fn new(path: &Path) -> Self {
        Self {
            faults: ListFaults::new(path),
            seen: HashTable::new(),
            hasher: RandomState::new(),
            jumps: Vec::new(),
        }
    }

    fn read(&mut self, input: impl BufRead, options: &ListOptions<'_>) -> io::Result<Inventory> {
        let mut rows = Rows::new(input);
        let header = match rows.read()? {
            None => {
                self.add(1, 1, "the file is empty", HEADER_HELP);
                None
            }
            Some(Err(misplaced)) => {
                self.malformed(misplaced);
                None
            }
            Some(Ok(row)) => self.header(&row, options),
        };
        let Some(header) = header else {
            return Ok(Inventory::default());
        };
        let mut inventory = Inventory::new(
            header
                .kept
                .iter()
                .cloned()
                .zip(header.keep.iter().map(|n| *n == header.name)),
        );
        while let Some(row) = rows.read()? {
            match row {
                Ok(row) => {
                    if !self.row(&row, &header, &mut inventory) {
                        break;
                    }
                }
                Err(misplaced) => {
                    self.malformed(misplaced);
                    if misplaced.ends_reading() {
                        break;
                    }
                }
            }
        }
        if inventory.is_empty() && self.faults.total() == 0 {
            self.add(
                header.line + 1,
                1,
                "there is no device, only a header",
                "add a row for each device",
            );
        }
        Ok(inventory)
    }

    /// Finds the wanted columns; `None` after a fault.
    fn header(&mut self, row: &Row<'_>, options: &ListOptions<'_>) -> Option<Header> {
        if let Some(n) = row.cells().position(|cell| cell.contains('\r')) {
            let (line, column) = row.place(n);
            self.add(
                line,
                column,
                "lines end with a carriage return alone",
                "save the list with LF or CRLF line ends",
            );
            return None;
        }
        let name = self.column(row, options.name_column, "names", NAME_HELP);
        let there = |column: &&String| row.cells().any(|cell| cell == column.as_str());
        let kept: Vec<&String> = options
            .keep
            .iter()
            .chain(options.keep_if_there.iter().filter(there))
            .collect();
        let keep: Vec<_> = kept
            .iter()
            .map(|column| {
                self.column(
                    row,
                    column,
                    "a template",
                    "name the column as the template does",
                )
            })
            .collect();
        Some(Header {
            line: row.line(),
            cells: row.width(),
            name: name?,
            kept: kept.into_iter().cloned().collect(),
            keep: keep.into_iter().collect::<Option<_>>()?,
        })
    }

    /// Finds one column; a second one of that name is a fault, since either could be meant.
    fn column(&mut self, row: &Row<'_>, wanted: &str, by: &str, help: &str) -> Option<usize> {
        let mut found = (0..row.width()).filter(|n| row.cell(*n) == wanted);
        match (found.next(), found.next()) {
            (Some(first), None) => return Some(first),
            (Some(first), Some(second)) => {
                let (line, column) = row.place(second);
                let what = format!(
                    "two columns `{wanted}`, the first is column {} of {}",
                    first + 1,
                    row.width()
                );
                self.add(line, column, what, "rename one of them");
            }
            (None, _) => {
                let near = nearest(wanted, row.cells());
                let place = (0..row.width())
                    .find(|n| Some(row.cell(*n)) == near)
                    .unwrap_or(0);
                let (line, column) = row.place(place);
                let found: Vec<_> = row.cells().take(12).map(shown).collect();
                let what = format!(
                    "no column `{wanted}` (wanted for {by}), found {}",
                    found.join(", ")
                );
                match near {
                    Some(near) => self.add(
                        line,
                        column,
                        what,
                        format!("{} is near: {help}", shown(near)),
                    ),
                    None => self.add(line, column, what, format!("{HEADER_HELP}; {help}")),
                }
            }
        }
        None
    }

    /// Takes a row, or its fault. `false`: the list is full.
    fn row(&mut self, row: &Row<'_>, header: &Header, inventory: &mut Inventory) -> bool {
        if row.width() != header.cells {
            let (line, column) = row.place(header.cells);
            let (found, s) = (row.width(), if row.width() == 1 { "" } else { "s" });
            let what = format!("{found} cell{s}, where the header has {}", header.cells);
            self.add(line, column, what, CELLS_HELP);
            return true;
        }
        let name = row.cell(header.name);
        let (line, column) = row.place(header.name);
        if let Some((what, help)) = fault_of_name(name) {
            self.add(line, column, what, help);
            return true;
        }
        let hash = self.hasher.hash_one(name);
        let same = |ix: &u32| inventory.name(DeviceIx(*ix)) == name;
        if let Some(first) = self.seen.find(hash, same) {
            let first = self.line_of(*first);
            self.faults.add(|| ListFault {
                line,
                column,
                what: format!("the name {} is already on line {first}", shown(name)),
                help: "keep one of the two rows".to_owned(),
            });
            return true;
        }
        let ix = inventory.len() as u32;
        if !inventory.push(name, header.keep.iter().map(|n| row.cell(*n))) {
            self.add(
                line,
                column,
                "the list is too long",
                "split it: a run takes up to 4 GiB of text and 4,294,967,295 rows",
            );
            return false;
        }
        if self.line_of(ix) != row.line() {
            self.jumps.push((ix, row.line()));
        }
        let (hasher, names) = (&self.hasher, &*inventory);
        self.seen
            .insert_unique(hash, ix, |ix| hasher.hash_one(names.name(DeviceIx(*ix))));
        true
    }

    /// The line of a row that was taken; of the next one, if its line is the next.
    fn line_of(&self, row: u32) -> u64 {
        let after = self.jumps.partition_point(|(jump, _)| *jump <= row);
        after.checked_sub(1).map_or(u64::from(row), |n| {
            let (jump, line) = self.jumps[n];
            line + u64::from(row - jump)
        })
    }

    fn malformed(&mut self, Misplaced { line, column, why }: Misplaced) {
        let (what, help) = match why {
            Malformed::NotUtf8(byte) => (
                format!("not UTF-8, found the byte 0x{byte:02X}"),
                "save the list as \"CSV UTF-8\"",
            ),
            Malformed::Utf16 => (
                "the file is UTF-16".to_owned(),
                "save the list as \"CSV UTF-8\"",
            ),
            Malformed::QuoteInside => (
                "a quote inside a cell that does not begin with one".to_owned(),
                "quote the whole cell and double the quotes in it",
            ),
            Malformed::TextAfterQuote => (
                "text after a closing quote".to_owned(),
                "double the quotes within a quoted cell",
            ),
            Malformed::Unclosed => (
                "this quote is never closed".to_owned(),
                "close it; the rows after it could not be read",
            ),
            Malformed::TooLong => (
                "a line of more than 1 MiB".to_owned(),
                "give a CSV file with one device on each line; the rows after it could not be read",
            ),
        };
        self.add(line, column, what, help);
    }

    fn add(&mut self, line: u64, column: u64, what: impl Into<String>, help: impl Into<String>) {
        self.faults.add(|| ListFault {
            line,
            column,
            what: what.into(),
            help: help.into(),
        });
    }
}

/// Where the wanted columns are.
struct Header {
    line: u64,
    cells: usize,
    name: usize,
    /// The headers of the kept columns, and where they are.
    kept: Vec<String>,
    keep: Vec<usize>,
}

/// Why a name cannot be sent as it stands. ThingsBoard limits names to 255 characters, refuses
/// NUL, and trims a name in provisioning while its import does not.
pub(crate) fn fault_of_name(name: &str) -> Option<(String, &'static str)> {
    let blank = |c: char| {
        c.is_whitespace() || matches!(c, '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}')
    };
    let bare = name.trim_matches(blank);
    if bare.is_empty() {
        let what = if name.is_empty() {
            "empty device name"
        } else {
            "device name of blanks only"
        };
        return Some((what.to_owned(), "give the row a name, or drop it"));
    }
    if let Some(c) = name.chars().find(|c| c.is_control()) {
        let what = format!(
            "control character U+{:04X} in the device name {}",
            u32::from(c),
            shown(name)
        );
        return Some((what, "remove it"));
    }
    if bare.len() != name.len() {
        let what = format!("blanks around the device name {}", shown(name));
        return Some((what, BLANKS_HELP));
    }
    let length = name.chars().count();
    (length > NAME_LIMIT).then(|| {
        let what = format!("device name of {length} characters, {}", shown(name));
        (what, "shorten it: a server takes up to 255 characters")
    })
}

const NAME_LIMIT: usize = 255;

const NAME_HELP: &str =
    "name the column as the scenario's `name_column` says, which is \"name\" by default";

const CELLS_HELP: &str =
    "give each row as many cells as the header, and quote cells that contain the delimiter";

const BLANKS_HELP: &str = "remove them: provisioning trims a name, an import does not, \
    and the two would never match";

const HEADER_HELP: &str = "the first line must be a header, e.g. `name,token`";
