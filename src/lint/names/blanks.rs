//! Names that are empty, or have characters around or within that cannot be seen.

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

use crate::inventory::shown;
use crate::lint::finding::Findings;
use crate::lint::record::{Lint, Opened, Record};
use crate::lint::rule::Rule;

/// `name-empty`, `name-blanks` and `name-invisible`.
pub(super) struct Blanks;

impl Lint for Blanks {
    fn row(&mut self, record: &Record<'_>, list: &Opened<'_>, out: &mut Findings<'_>) {
        let Some(column) = list.columns.name() else {
            return;
        };
        let name = record.cell(column);
        let place = record.place(column);
        if visible(name).next().is_none() {
            return out.add(Rule::NameEmpty, place, || match name {
                "" => "no name".to_owned(),
                _ => format!("only blanks: {}", shown(name)),
            });
        }
        if trimmed(name).is_some() {
            out.add(Rule::NameBlanks, place, || shown(name));
        }
        if seen(name).is_some() {
            let hidden = name.chars().find(|c| is_invisible(*c)).unwrap_or(' ');
            out.add(Rule::NameInvisible, place, || {
                format!("U+{:04X} in {}", u32::from(hidden), shown(name))
            });
        }
    }
}

/// A name without blanks around it, if it has some and something else.
pub(super) fn trimmed(name: &str) -> Option<String> {
    let bare = name.trim();
    (bare.len() != name.len() && !bare.is_empty()).then(|| bare.to_owned())
}

/// A name without what cannot be seen, if it has some and something else; a blank that is none of
/// ASCII's becomes one.
pub(super) fn seen(name: &str) -> Option<String> {
    if name.is_ascii() || !name.trim().chars().any(is_invisible) {
        return None;
    }
    let kept: String = name
        .chars()
        .filter_map(|c| match c {
            c if !is_invisible(c) => Some(c),
            c if c.is_whitespace() => Some(' '),
            _ => None,
        })
        .collect();
    (!kept.trim().is_empty()).then_some(kept)
}

/// The characters of a name that can be seen.
fn visible(name: &str) -> impl Iterator<Item = char> {
    name.chars()
        .filter(|c| !c.is_whitespace() && !is_invisible(*c))
}

/// Blanks that look like another, and characters without any form. Control characters are
/// another rule's, and joiners that a script needs are none of these among letters of it.
fn is_invisible(c: char) -> bool {
    !c.is_ascii()
        && matches!(
            c.general_category(),
            GeneralCategory::Format
                | GeneralCategory::SpaceSeparator
                | GeneralCategory::LineSeparator
                | GeneralCategory::ParagraphSeparator
        )
        || matches!(c, '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_goes_and_nothing_else() {
        for (name, bare, plain) in [
            ("A1", None, None),
            (" A1\t", Some("A1"), None),
            ("A1\u{a0}", Some("A1"), None),
            ("A\u{a0}1", None, Some("A 1")),
            ("A\u{200b}1", None, Some("A1")),
            ("\u{feff}A1", None, Some("A1")),
            ("Zähler 7", None, None),
            ("  ", None, None),
            ("\u{200b}", None, None),
        ] {
            assert_eq!(trimmed(name).as_deref(), bare, "{name:?}");
            assert_eq!(seen(name).as_deref(), plain, "{name:?}");
        }
    }
}
