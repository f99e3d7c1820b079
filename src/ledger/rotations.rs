//! `rotations.csv`: which certificate a device had, which one it got in mid-run, and which holds.
//!
//! A row is appended when a rotation begins and when it is over, so that a run that is killed says
//! of whom either certificate may hold; at the end each rotation keeps its last row.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::Path;

use super::entry::{Files, Issued};
use super::table::Table;

/// The columns.
const HEADER: [&str; 6] = [
    "name",
    "state",
    "certificate_file",
    "key_file",
    "old_certificate_file",
    "old_key_file",
];

/// How a rotation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RotationState {
    /// The device is about to connect with the new certificate: either may hold from here on.
    Begun,
    /// The server took the new one.
    Done,
    /// The server did not take it, or cannot have seen it: the old one holds.
    Failed,
    /// The server may have seen it and never said anything of it: either may hold.
    InDoubt,
}

impl RotationState {
    /// Its word in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::InDoubt => "in_doubt",
        }
    }
}

/// A device's rotation. Both keys are in their files before it begins, and neither is overwritten.
#[derive(Debug)]
pub struct Rotation {
    /// How it stands.
    pub state: RotationState,
    /// The files of the certificate that the device had.
    pub old: Option<Files>,
    /// The certificate that it got.
    pub new: Issued,
}

/// The open file, from the first rotation on.
pub(super) struct RotationsFile {
    table: Table,
    /// How many rows each rotation has, by the new certificate's file.
    rows: HashMap<String, u32>,
}

impl RotationsFile {
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        Ok(Self {
            table: Table::create(path, &HEADER)?,
            rows: HashMap::new(),
        })
    }

    pub(super) fn write(&mut self, name: &str, rotation: &Rotation) -> io::Result<()> {
        let [new, key] = rotation.new.file_names();
        let [old, old_key] = Issued::names_of(rotation.old.as_ref());
        let row = [name, rotation.state.as_str(), &new, &key, &old, &old_key];
        self.table.write(&row)?;
        *self.rows.entry(new).or_default() += 1;
        Ok(())
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.table.flush()
    }

    pub(super) fn share(&self) -> io::Result<File> {
        self.table.share()
    }

    /// One row for each rotation: its last.
    pub(super) fn compact(mut self) -> io::Result<()> {
        self.table.compact(|row| {
            let left = row.get(2).and_then(|new| self.rows.get_mut(new));
            left.is_none_or(|left| {
                *left -= 1;
                *left == 0
            })
        })
    }
}
