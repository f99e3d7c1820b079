//! What is wrong with a list: where, what was found, and the way out.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a list was not loaded.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The file cannot be opened or read.
    #[error(
        "{}: cannot be read: {_1}\nhelp: give the path from the working directory",
        _0.display()
    )]
    Unreadable(PathBuf, #[source] io::Error),
    /// The file was read to its end, and these were found.
    #[error("{0}")]
    Faulty(ListFaults),
}

/// One fault of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListFault {
    /// The physical line, from 1.
    pub line: u64,
    /// The character within the line at which the cell begins, from 1.
    pub column: u64,
    /// What is wrong, and what was found.
    pub what: String,
    /// The way out.
    pub help: String,
}

/// All faults of a list: the first 20, and how many there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListFaults {
    path: PathBuf,
    first: Vec<ListFault>,
    total: u64,
}

impl ListFaults {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            first: Vec::new(),
            total: 0,
        }
    }

    /// The list's path, as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The first of them, in the order of lines; at most 20.
    pub fn first(&self) -> &[ListFault] {
        &self.first
    }

    /// How many there are.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Counts a fault, and asks for its words only when it is among the first.
    pub(super) fn add(&mut self, fault: impl FnOnce() -> ListFault) {
        self.total += 1;
        if self.first.len() < KEPT {
            self.first.push(fault());
        }
    }
}

impl fmt::Display for ListFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        for (n, fault) in self.first.iter().enumerate() {
            let ListFault {
                line,
                column,
                what,
                help,
            } = fault;
            let gap = if n == 0 { "" } else { "\n" };
            write!(f, "{gap}{path}:{line}:{column}: {what}\nhelp: {help}")?;
        }
        match self.total - self.first.len() as u64 {
            0 => Ok(()),
            more => write!(f, "\n... and {more} more"),
        }
    }
}

/// A text from the list for a message: quoted, escaped, shortened.
pub(crate) fn shown(text: &str) -> String {
    let mut short: String = text.chars().take(SHOWN).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("{short:?}")
}

/// The longest text that a message shows, characters.
const SHOWN: usize = 40;

/// As many as fit a screen; a wrong export has one in every row.
const KEPT: usize = 20;
