//! Findings that are told at a list's end: one by one, or as one where most of the list is so.

use crate::lint::finding::{Findings, Place};
use crate::lint::rule::Rule;

/// Places, each with why it was found.
pub(super) struct Gathered<T>(Vec<([u32; 3], T)>);

impl<T> Default for Gathered<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Copy> Gathered<T> {
    /// Keeps a place of a row.
    pub(super) fn add(&mut self, place: Place, why: T) {
        let short = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        let record = place.record.unwrap_or_default();
        let at = [place.line, place.column, record].map(short);
        self.0.push((at, why));
    }

    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        self.0.len() as u64
    }

    /// Tells each.
    pub(super) fn each(self, rule: Rule, out: &mut Findings<'_>, words: impl Fn(T) -> String) {
        for (at, why) in self.0 {
            out.add(rule, place(at), || words(why));
        }
    }

    /// Tells each, or the first with their number where they are most `of` all.
    pub(super) fn tell(
        self,
        (rule, of): (Rule, u64),
        out: &mut Findings<'_>,
        words: impl Fn(T) -> String,
        most: impl FnOnce(u64, T) -> String,
    ) {
        let count = self.count();
        match self.0.first() {
            Some((at, why)) if count >= MANY && count > of / 2 => {
                out.add(rule, place(*at), || most(count, *why));
            }
            _ => self.each(rule, out, words),
        }
    }
}

fn place([line, column, record]: [u32; 3]) -> Place {
    Place {
        line: line.into(),
        column: column.into(),
        record: Some(record.into()),
    }
}

/// Fewer are told one by one.
const MANY: u64 = 5;
