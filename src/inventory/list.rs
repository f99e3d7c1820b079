//! The list in memory: one text for all names and one for each kept column.

use crate::model::DeviceIx;

/// Device names, and the columns that templates use, in list order.
#[derive(Debug, Default)]
pub struct Inventory {
    names: Texts,
    columns: Vec<String>,
    /// One per column; `None` is the name column itself.
    values: Vec<Option<Texts>>,
}

impl Inventory {
    /// An empty list that keeps these columns; `None` stands for the name column.
    pub(super) fn new(columns: impl IntoIterator<Item = (String, bool)>) -> Self {
        let (columns, values) = columns
            .into_iter()
            .map(|(column, is_name)| (column, (!is_name).then(Texts::default)))
            .unzip();
        Self {
            names: Texts::default(),
            columns,
            values,
        }
    }

    /// The number of devices.
    pub fn len(&self) -> usize {
        self.names.ends.len()
    }

    /// Whether there is no device; no loaded list is empty.
    pub fn is_empty(&self) -> bool {
        self.names.ends.is_empty()
    }

    /// A device's name, as listed.
    ///
    /// # Panics
    /// When the list has no such device.
    pub fn name(&self, ix: DeviceIx) -> &str {
        self.names.get(ix.get())
    }

    /// The headers of the kept columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// A device's cell in a kept column, which is a position in [`Self::columns`].
    ///
    /// # Panics
    /// When the list has no such device or column.
    pub fn value(&self, ix: DeviceIx, column: usize) -> &str {
        self.values[column]
            .as_ref()
            .unwrap_or(&self.names)
            .get(ix.get())
    }

    /// Adds a device; `cells` are those of the kept columns, in order. `false`: there is no room
    /// for it, and the list is as before.
    pub(super) fn push<'a>(
        &mut self,
        name: &str,
        cells: impl IntoIterator<Item = &'a str>,
    ) -> bool {
        let before = self.len();
        let mut fits = before < u32::MAX as usize && self.names.push(name);
        for (texts, cell) in self.values.iter_mut().zip(cells) {
            fits = fits && texts.as_mut().is_none_or(|texts| texts.push(cell));
        }
        if !fits {
            self.names.truncate(before);
            for texts in self.values.iter_mut().flatten() {
                texts.truncate(before);
            }
        }
        fits
    }

    /// Gives back what growing took too much.
    pub(super) fn shrink(&mut self) {
        self.names.shrink();
        self.values.iter_mut().flatten().for_each(Texts::shrink);
    }
}

/// Many short texts in one: up to 4 GiB, 4 bytes of overhead each.
#[derive(Debug, Default)]
struct Texts {
    all: String,
    ends: Vec<u32>,
}

impl Texts {
    fn get(&self, n: usize) -> &str {
        let start = n.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.all[start as usize..self.ends[n] as usize]
    }

    fn push(&mut self, text: &str) -> bool {
        let Ok(end) = u32::try_from(self.all.len() + text.len()) else {
            return false;
        };
        self.all.push_str(text);
        self.ends.push(end);
        true
    }

    fn truncate(&mut self, len: usize) {
        if len < self.ends.len() {
            self.ends.truncate(len);
            self.all
                .truncate(self.ends.last().map_or(0, |end| *end as usize));
        }
    }

    fn shrink(&mut self) {
        self.all.shrink_to_fit();
        self.ends.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_back_names_and_cells() {
        let columns = [("token".to_owned(), false), ("name".to_owned(), true)];
        let mut list = Inventory::new(columns);
        assert!(list.push("a", ["t1", "a"]));
        assert!(list.push("béb", ["", "béb"]));
        assert_eq!(list.len(), 2);
        let row = |n| {
            (
                list.name(DeviceIx(n)),
                list.value(DeviceIx(n), 0),
                list.value(DeviceIx(n), 1),
            )
        };
        assert_eq!(row(0), ("a", "t1", "a"));
        assert_eq!(row(1), ("béb", "", "béb"));
    }
}
