//! Which column of a list is what.

use super::options::Options;
use crate::dialect::{ColumnType, Meant};
use crate::inventory::Row;

/// The columns of a list, from its header.
#[derive(Clone, Debug, Default)]
pub(super) struct Columns {
    headers: Vec<String>,
    kinds: Vec<Kind>,
    /// What a header would be if it were spelt as the import does.
    spelt: Vec<Option<ColumnType>>,
    name: Option<usize>,
}

/// What a column is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A column of the import, or one that was meant to be and is judged as such.
    Import(ColumnType),
    /// Anything else: an attribute, whose key is the header.
    Attribute,
}

impl Columns {
    /// Reads a header. A column that was only meant to be of a type counts as one where no other
    /// is: a list is judged as far as it can be understood.
    pub(super) fn new<'a>(headers: impl Iterator<Item = &'a str>, options: &Options) -> Self {
        let headers: Vec<String> = headers.map(str::to_owned).collect();
        let exact: Vec<Option<ColumnType>> =
            headers.iter().map(|h| ColumnType::of_header(h)).collect();
        let mut kinds: Vec<Kind> = Vec::new();
        let mut spelt = Vec::new();
        for (n, header) in headers.iter().enumerate() {
            let free = |column: &ColumnType| {
                !exact.contains(&Some(*column)) && !kinds.contains(&Kind::Import(*column))
            };
            let (column, spelling) = match (exact[n], ColumnType::meant_by(header)) {
                (None, Some(Meant::Spelt(column))) => (Some(column).filter(free), true),
                (None, Some(Meant::Near(column))) => (Some(column).filter(free), false),
                (column, _) => (column, false),
            };
            kinds.push(column.map_or(Kind::Attribute, Kind::Import));
            spelt.push(column.filter(|_| spelling));
        }
        let name = match &options.name_column {
            Some(wanted) => headers.iter().position(|header| header == wanted),
            None => kinds
                .iter()
                .position(|kind| *kind == Kind::Import(ColumnType::Name)),
        };
        if let Some(name) = name {
            kinds[name] = Kind::Import(ColumnType::Name);
            if options.name_column.is_some() {
                // The user knows, and maps it by hand.
                spelt[name] = None;
            }
        }
        Self {
            headers,
            kinds,
            spelt,
            name,
        }
    }

    /// The headers as they stand in the file.
    pub(super) fn headers(&self) -> &[String] {
        &self.headers
    }

    /// The number of columns.
    pub(super) fn width(&self) -> usize {
        self.headers.len()
    }

    /// The position of the names.
    pub(super) fn name(&self) -> Option<usize> {
        self.name
    }

    /// What a column is.
    pub(super) fn kind(&self, column: usize) -> Kind {
        self.kinds[column]
    }

    /// What a column's header would be if it were spelt as the import does.
    pub(super) fn spelt(&self, column: usize) -> Option<ColumnType> {
        self.spelt[column]
    }

    /// Whether a column's cells are secret.
    pub(super) fn is_secret(&self, column: usize) -> bool {
        matches!(self.kinds[column], Kind::Import(column) if column.is_secret())
    }

    /// Whether a row says what the header says.
    pub(super) fn is_header(&self, row: &Row<'_>) -> bool {
        row.cells().eq(self.headers.iter().map(String::as_str))
    }

    /// The first column of a type.
    pub(super) fn of(&self, column: ColumnType) -> Option<usize> {
        self.kinds
            .iter()
            .position(|kind| *kind == Kind::Import(column))
    }
}
