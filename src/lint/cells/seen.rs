//! What was met before, and on which line, without keeping it: hashes of 128 bits, under keys of
//! this run's own. About 40 bytes for each.

use std::hash::{BuildHasher, Hash, RandomState};
use std::path::{Path, PathBuf};

use hashbrown::HashTable;

/// Where something was met before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Earlier<T> {
    /// What was said of it then.
    pub(super) tag: T,
    /// Whether it was in a row of the same name.
    pub(super) same_name: bool,
    /// The line, as [`Lines`] counts.
    pub(super) line: u32,
}

/// Texts that were met.
pub(super) struct Seen<T> {
    entries: Vec<Entry<T>>,
    index: HashTable<u32>,
    keys: [RandomState; 2],
}

struct Entry<T> {
    hash: [u32; 4],
    name: u32,
    tag: T,
    line: u32,
}

impl<T> Default for Seen<T> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            index: HashTable::new(),
            keys: [RandomState::new(), RandomState::new()],
        }
    }
}

impl<T: Copy> Seen<T> {
    /// Remembers something; where it was before, if it was.
    pub(super) fn meet(
        &mut self,
        what: &(impl Hash + ?Sized),
        name: &str,
        tag: T,
        line: u32,
    ) -> Option<Earlier<T>> {
        let [first, second] = [0, 1].map(|n: usize| self.keys[n].hash_one(what));
        let hash = [
            (first >> 32) as u32,
            first as u32,
            (second >> 32) as u32,
            second as u32,
        ];
        let name = self.keys[0].hash_one(name) as u32;
        let entries = &self.entries;
        if let Some(at) = self
            .index
            .find(first, |at| entries[*at as usize].hash == hash)
        {
            let entry = &entries[*at as usize];
            return Some(Earlier {
                tag: entry.tag,
                same_name: entry.name == name,
                line: entry.line,
            });
        }
        // Beyond four billion rows nothing is remembered.
        let at = u32::try_from(entries.len()).ok()?;
        self.entries.push(Entry {
            hash,
            name,
            tag,
            line,
        });
        let entries = &self.entries;
        self.index.insert_unique(first, at, |at| {
            let hash = entries[*at as usize].hash;
            u64::from(hash[0]) << 32 | u64::from(hash[1])
        });
        None
    }
}

/// Lines of all lists, one after the other.
#[derive(Default)]
pub(super) struct Lines {
    /// Each list's path, and the number before its first line.
    lists: Vec<(PathBuf, u32)>,
    last: u32,
}

impl Lines {
    /// A list begins.
    pub(super) fn begin(&mut self, path: &Path) {
        self.lists.push((path.to_owned(), self.last));
    }

    /// The number of a line of the list that is being read.
    pub(super) fn number(&mut self, line: u64) -> u32 {
        let before = self.lists.last().map_or(0, |(_, before)| *before);
        self.last = before.saturating_add(u32::try_from(line).unwrap_or(u32::MAX));
        self.last
    }

    /// A line's number in words.
    pub(super) fn told(&self, number: u32) -> String {
        let at = self.lists.partition_point(|(_, before)| *before < number);
        let Some((path, before)) = at.checked_sub(1).map(|at| &self.lists[at]) else {
            return "another line".to_owned();
        };
        let line = number - before;
        if at == self.lists.len() {
            format!("line {line}")
        } else {
            format!("line {line} of {}", path.display())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_where_something_was_before() {
        let mut seen = Seen::default();
        for n in 0..1000u32 {
            assert_eq!(seen.meet(&format!("t{n}"), "a", 'x', n), None);
        }
        let earlier = seen.meet("t7", "b", 'y', 2000).unwrap();
        assert_eq!(
            (earlier.tag, earlier.same_name, earlier.line),
            ('x', false, 7)
        );
        assert!(seen.meet("t7", "a", 'y', 2000).unwrap().same_name);
    }

    #[test]
    fn tells_lines_of_earlier_lists_with_their_path() {
        let mut lines = Lines::default();
        lines.begin(Path::new("a.csv"));
        let first = lines.number(5);
        assert_eq!(lines.told(first), "line 5");
        lines.begin(Path::new("b.csv"));
        let second = lines.number(2);
        assert_eq!(lines.told(first), "line 5 of a.csv");
        assert_eq!(lines.told(second), "line 2");
    }
}
