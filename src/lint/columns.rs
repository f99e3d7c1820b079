//! Which column of a list is what.

use super::options::Options;
use crate::dialect::{ColumnType, Meant};

/// The columns of a list, from its header.
#[derive(Clone, Debug, Default)]
pub(super) struct Columns {
    headers: Vec<String>,
    kinds: Vec<Kind>,
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
        for (n, header) in headers.iter().enumerate() {
            let meant = exact[n].or_else(|| {
                let (Meant::Spelt(column) | Meant::Near(column)) = ColumnType::meant_by(header)?;
                let taken = exact.contains(&Some(column)) || kinds.contains(&Kind::Import(column));
                (!taken).then_some(column)
            });
            kinds.push(meant.map_or(Kind::Attribute, Kind::Import));
        }
        let name = match &options.name_column {
            Some(wanted) => headers.iter().position(|header| header == wanted),
            None => kinds
                .iter()
                .position(|kind| *kind == Kind::Import(ColumnType::Name)),
        };
        if let Some(name) = name {
            kinds[name] = Kind::Import(ColumnType::Name);
        }
        Self {
            headers,
            kinds,
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

    /// The first column of a type.
    pub(super) fn of(&self, column: ColumnType) -> Option<usize> {
        self.kinds
            .iter()
            .position(|kind| *kind == Kind::Import(column))
    }

    /// The positions of the attributes.
    pub(super) fn attributes(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.width()).filter(|n| self.kinds[*n] == Kind::Attribute)
    }
}
