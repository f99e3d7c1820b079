//! One name, or one unit, twice, in one list or in several.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};

use hashbrown::HashTable;

use super::{bare, lookalike, mac};
use crate::inventory::shown;
use crate::lint::finding::{Findings, Place};
use crate::lint::record::{Lint, Opened, Record};
use crate::lint::rule::Rule;

/// `name-duplicate`, `name-case`, `mac-duplicate` and `name-lookalike`. One name takes about 30
/// bytes beside its text.
#[derive(Default)]
pub(super) struct Duplicates {
    /// Different names so far, one after the other.
    texts: String,
    names: Vec<Name>,
    /// Names by what they are but for case, notation and looks.
    seen: HashTable<u32>,
    hasher: RandomState,
    lists: Vec<String>,
}

struct Name {
    end: usize,
    line: u32,
    list: u32,
}

/// How near a name is to an earlier one; the first is the nearest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Alike {
    Same,
    Case,
    Mac,
    Looks,
}

impl Lint for Duplicates {
    fn begin(&mut self, list: &Opened<'_>, _out: &mut Findings<'_>) {
        self.lists.push(list.path.display().to_string());
    }

    fn row(&mut self, record: &Record<'_>, list: &Opened<'_>, out: &mut Findings<'_>) {
        let Some(column) = list.columns.name() else {
            return;
        };
        let cell = record.cell(column);
        if cell.trim().is_empty() {
            return;
        }
        let place = record.place(column);
        let repaired = bare(cell);
        let name: &str = repaired.as_deref().unwrap_or(cell);
        let found = self.find(name);
        match found {
            Some((Alike::Same, first)) => {
                out.add(Rule::NameDuplicate, place, || self.words(cell, first));
                return;
            }
            Some((Alike::Case, first)) => {
                out.add(Rule::NameCase, place, || self.words(cell, first));
            }
            Some((Alike::Mac, first)) => {
                out.add(Rule::MacDuplicate, place, || self.words(cell, first));
            }
            Some((Alike::Looks, first)) => {
                out.add(Rule::NameLookalike, place, || self.words(cell, first));
            }
            None => {
                // An address with such a letter is a malformed one.
                if let Some(letter) = lookalike::deceptive(name)
                    && mac::value(&lookalike::looks(name)).is_none()
                {
                    out.add(Rule::NameLookalike, place, || {
                        format!("U+{:04X} in {}", u32::from(letter), shown(cell))
                    });
                }
            }
        }
        self.remember(name, place);
    }
}

impl Duplicates {
    /// The nearest of the earlier names that are alike.
    fn find(&self, name: &str) -> Option<(Alike, u32)> {
        let hash = self.hash(name);
        self.seen
            .iter_hash(hash)
            .filter_map(|ix| Some((alike(name, self.text(*ix))?, *ix)))
            .min()
    }

    fn remember(&mut self, name: &str, place: Place) {
        let (hash, count) = (self.hash(name), self.names.len());
        // A million spellings of one name would each be compared with all others.
        if count >= u32::MAX as usize || self.seen.iter_hash(hash).count() >= SPELLINGS {
            return;
        }
        self.texts.push_str(name);
        self.names.push(Name {
            end: self.texts.len(),
            line: u32::try_from(place.line).unwrap_or(u32::MAX),
            list: self.lists.len() as u32 - 1,
        });
        let (texts, names, hasher) = (&self.texts, &self.names, &self.hasher);
        self.seen.insert_unique(hash, count as u32, |ix| {
            folded_hash(hasher, text(texts, names, *ix))
        });
    }

    fn hash(&self, name: &str) -> u64 {
        folded_hash(&self.hasher, name)
    }

    fn text(&self, ix: u32) -> &str {
        text(&self.texts, &self.names, ix)
    }

    fn words(&self, name: &str, first: u32) -> String {
        let Name { line, list, .. } = self.names[first as usize];
        let there = self.text(first);
        let of = if list as usize + 1 == self.lists.len() {
            String::new()
        } else {
            format!(" of {}", self.lists[list as usize])
        };
        if there == name {
            format!("{} is already on line {line}{of}", shown(name))
        } else {
            format!("{} is {} on line {line}{of}", shown(name), shown(there))
        }
    }
}

fn text<'t>(texts: &'t str, names: &[Name], ix: u32) -> &'t str {
    let ix = ix as usize;
    let start = ix.checked_sub(1).map_or(0, |before| names[before].end);
    &texts[start..names[ix].end]
}

fn alike(name: &str, other: &str) -> Option<Alike> {
    if name == other {
        return Some(Alike::Same);
    }
    let ascii = name.is_ascii() && other.is_ascii();
    let case = if ascii {
        name.eq_ignore_ascii_case(other)
    } else {
        name.to_lowercase() == other.to_lowercase()
    };
    if case {
        return Some(Alike::Case);
    }
    if let (Some(value), Some(another)) = (mac::value(name), mac::value(other)) {
        return (value == another).then_some(Alike::Mac);
    }
    (!ascii && folded(name) == folded(other)).then_some(Alike::Looks)
}

/// A name but for case and looks.
fn folded(name: &str) -> String {
    lookalike::looks(name).to_lowercase()
}

fn folded_hash(hasher: &RandomState, name: &str) -> u64 {
    if let Some(value) = mac::value(name) {
        return hasher.hash_one(value);
    }
    let mut state = hasher.build_hasher();
    if name.is_ascii() {
        for byte in name.bytes() {
            byte.to_ascii_lowercase().hash(&mut state);
        }
    } else {
        let folded = folded(name);
        if let Some(value) = mac::value(&folded) {
            return hasher.hash_one(value);
        }
        for byte in folded.bytes() {
            byte.hash(&mut state);
        }
    }
    state.finish()
}

/// As many spellings of one name as are remembered.
const SPELLINGS: usize = 32;
