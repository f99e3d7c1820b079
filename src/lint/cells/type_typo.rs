//! A type that is nearly another: the import makes a profile of it.

use std::collections::HashMap;

use super::columns_of;
use crate::dialect::ColumnType;
use crate::inventory::shown;
use crate::lint::finding::{Findings, Place};
use crate::lint::record::{Lint, Opened, Record};
use crate::lint::rule::Rule;

/// Finds types that are nearly others.
#[derive(Default)]
pub(super) struct TypeTypo {
    column: Option<usize>,
    types: Vec<Type>,
    by_text: HashMap<String, usize>,
    /// The type of the row before: mostly that of the next.
    last: usize,
    /// Too many for types.
    many: bool,
}

struct Type {
    text: String,
    first: Place,
    rows: u64,
}

impl Lint for TypeTypo {
    fn begin(&mut self, list: &Opened<'_>, _out: &mut Findings<'_>) {
        *self = Self::default();
        [self.column] = columns_of(list, [ColumnType::Type]);
    }

    fn row(&mut self, record: &Record<'_>, _list: &Opened<'_>, _out: &mut Findings<'_>) {
        let Some(column) = self.column.filter(|_| !self.many) else {
            return;
        };
        let text = record.cell(column);
        if let Some(last) = self.types.get_mut(self.last)
            && last.text == text
        {
            last.rows += 1;
        } else if let Some(at) = self.by_text.get(text) {
            self.last = *at;
            self.types[*at].rows += 1;
        } else if !text.trim().is_empty() {
            self.last = self.types.len();
            self.many = self.last >= MOST;
            self.by_text.insert(text.to_owned(), self.last);
            self.types.push(Type {
                text: text.to_owned(),
                first: record.place(column),
                rows: 1,
            });
        }
    }

    fn end(&mut self, _list: &Opened<'_>, out: &mut Findings<'_>) {
        if self.many || !out.wants(Rule::TypeTypo) {
            return;
        }
        for rare in &self.types {
            let others = self.types.iter().filter(|other| other.meant_by(rare));
            if let Some(other) = others.max_by_key(|other| other.rows) {
                out.add(Rule::TypeTypo, rare.first, || {
                    let s = if rare.rows == 1 { "" } else { "s" };
                    format!(
                        "{} in {} row{s}, nearly {} of {}",
                        shown(&rare.text),
                        rare.rows,
                        shown(&other.text),
                        other.rows
                    )
                });
            }
        }
    }
}

impl Type {
    /// Whether a rarer type was probably meant to be this one.
    fn meant_by(&self, rare: &Self) -> bool {
        let later = (rare.rows, self.first) < (self.rows, rare.first);
        if same(&rare.text, &self.text) {
            return self.text != rare.text && later;
        }
        rare.rows.saturating_mul(RARE) <= self.rows && slip(&rare.text, &self.text)
    }
}

/// Whether two texts differ in blanks, marks and capitals alone.
fn same(a: &str, b: &str) -> bool {
    let plain = |text: &str| -> String {
        let letters = text.chars().filter(|c| c.is_alphanumeric());
        letters.flat_map(char::to_lowercase).collect()
    };
    let a = plain(a);
    !a.is_empty() && a == plain(b)
}

/// Whether one text is the other with a slip of the pen.
fn slip(a: &str, b: &str) -> bool {
    let (a, b) = (a.trim().to_lowercase(), b.trim().to_lowercase());
    let length = a.chars().count().min(b.chars().count());
    let allowed = match length {
        ..5 => return false,
        5..10 => 1,
        _ => 2,
    };
    let digits = |text: &str| -> String { text.chars().filter(char::is_ascii_digit).collect() };
    // Another number is another model.
    if digits(&a) != digits(&b) || variant(&a, &b) {
        return false;
    }
    strsim::damerau_levenshtein(&a, &b) <= allowed
}

/// Whether they differ as variants do: in the last letter, in a short word, by a word more.
fn variant(a: &str, b: &str) -> bool {
    let words = |text: &'_ str| -> Vec<String> {
        text.split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let all_but_last = |text: &str| {
        let mut chars = text.chars();
        chars.next_back();
        chars.as_str().to_owned()
    };
    let same_length = a.chars().count() == b.chars().count();
    if same_length && all_but_last(a) == all_but_last(b) {
        return true;
    }
    let (a, b) = (words(a), words(b));
    if a.len() != b.len() {
        let (short, long) = if a.len() < b.len() { (a, b) } else { (b, a) };
        return short.iter().all(|word| long.contains(word));
    }
    a.iter()
        .zip(&b)
        .any(|(a, b)| a != b && a.len().min(b.len()) <= 3)
}

/// More are no types but something else.
const MOST: usize = 200;

/// How many rows of the right type there must be for one of the wrong one.
const RARE: u64 = 5;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn slips_are_told_from_variants() {
        for (a, b, found) in [
            ("Thermostatt", "Thermostat", true),
            ("Termostat", "Thermostat", true),
            ("thermosatt", "Thermostat", true),
            ("smart-metre", "smart-meter", true),
            ("meter1", "meter2", false),
            ("meter-10", "meter-1", false),
            ("meter", "meter2", false),
            ("sensor-a", "sensor-b", false),
            ("SensorA", "SensorB", false),
            ("gateway-eu", "gateway-us", false),
            ("gateway", "gateway-x", false),
            ("pump", "lump", false),
            ("Thermostat", "Hygrometer", false),
        ] {
            assert_eq!(slip(a, b), found, "{a} {b}");
        }
        assert!(same("Thermostat ", "Thermostat"));
        assert!(same("smart meter", "Smart-Meter"));
        assert!(!same("--", "__"));
    }

    proptest! {
        #[test]
        fn any_two_texts_are_taken(a in "\\PC*", b in "\\PC*") {
            prop_assert_eq!(same(&a, &b), same(&b, &a));
            prop_assert_eq!(slip(&a, &b), slip(&b, &a));
        }
    }
}
