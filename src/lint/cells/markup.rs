//! Markup in names, types and labels: what the server's check against cross-site scripting
//! refuses. It takes whatever looks like a tag for one, and `{{…}}` for a template.
//!
//! Repaired is markup that is markup beyond doubt: known elements, each closed where it must be.
//! What stands in `<north>`, `a<b` or `{{serial}}` may be the name or stand for it, and is left
//! (`markup-unclear`).

use super::columns_of;
use super::text_long::TEXTS;
use crate::inventory::shown;
use crate::lint::columns::Kind;
use crate::lint::finding::Findings;
use crate::lint::mend::Mend;
use crate::lint::record::{Lint, Opened, Record};
use crate::lint::rule::Rule;

/// Finds markup.
#[derive(Default)]
pub(super) struct Markup([Option<usize>; 3]);

impl Lint for Markup {
    fn begin(&mut self, list: &Opened<'_>, _out: &mut Findings<'_>) {
        self.0 = columns_of(list, TEXTS);
    }

    fn row(&mut self, record: &Record<'_>, _list: &Opened<'_>, out: &mut Findings<'_>) {
        for column in self.0.into_iter().flatten() {
            let cell = record.cell(column);
            if let Some(what) = refused(cell) {
                let rule = match mended(cell) {
                    Some(_) => Rule::TextMarkup,
                    None => Rule::MarkupUnclear,
                };
                out.add(rule, record.place(column), || {
                    format!("{what} in {}", shown(cell))
                });
            }
        }
    }
}

/// What of a text the server refuses.
fn refused(cell: &str) -> Option<&'static str> {
    if !cell.bytes().any(|b| b == b'<' || b == b'{') {
        return None;
    }
    let template = cell
        .find("{{")
        .is_some_and(|at| cell[at + 2..].contains("}}"));
    let tag = cell.match_indices('<').any(|(at, _)| {
        let next = cell[at + 1..].chars().next();
        next.is_some_and(|c| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?'))
    });
    if template {
        Some("a template")
    } else {
        tag.then_some("a tag")
    }
}

/// The text without tags, if all of them are known and closed.
fn mended(cell: &str) -> Option<String> {
    refused(cell)?;
    let mut text = String::with_capacity(cell.len());
    let mut open: Vec<&str> = Vec::new();
    let mut rest = cell;
    while let Some(at) = rest.find('<') {
        text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix("!--") {
            rest = &after[after.find("-->")? + 3..];
            continue;
        }
        let Some((tag, after)) = Tag::read(rest) else {
            text.push('<');
            continue;
        };
        rest = after;
        match tag {
            Tag::Opens(name) => open.push(name),
            Tag::Closes(name) => {
                open.pop().filter(|last| last.eq_ignore_ascii_case(name))?;
            }
            Tag::Alone => {
                let parts = |c: Option<char>| c.is_some_and(|c| !c.is_whitespace());
                if parts(text.chars().last()) && parts(rest.chars().next()) {
                    text.push(' ');
                }
            }
        }
    }
    text.push_str(rest);
    let text = text.trim();
    let whole = open.is_empty() && !text.is_empty() && refused(text).is_none();
    whole.then(|| text.to_owned())
}

/// A known element's tag.
enum Tag<'t> {
    Opens(&'t str),
    Closes(&'t str),
    Alone,
}

impl<'t> Tag<'t> {
    /// Reads a tag after its `<`, and what follows it.
    fn read(text: &'t str) -> Option<(Self, &'t str)> {
        let end = text.find('>')?;
        let (inner, after) = (&text[..end], &text[end + 1..]);
        if inner.contains('<') {
            return None;
        }
        let (closes, inner) = match inner.strip_prefix('/') {
            Some(inner) => (true, inner),
            None => (false, inner),
        };
        let name = inner
            .split(|c: char| !c.is_ascii_alphanumeric())
            .next()
            .unwrap_or_default();
        let known = |names: &[&str]| names.iter().any(|known| name.eq_ignore_ascii_case(known));
        // Attributes, or nothing.
        let attributes = inner[name.len()..].trim_end_matches('/').trim();
        let sound = inner.len() == name.len()
            || inner[name.len()..].starts_with(['/', ' '])
                && (attributes.is_empty() || attributes.contains('='));
        match closes {
            _ if !sound => None,
            true if known(&PAIRED) && attributes.is_empty() => Some((Self::Closes(name), after)),
            false if known(&PAIRED) => Some((Self::Opens(name), after)),
            false if known(&ALONE) => Some((Self::Alone, after)),
            _ => None,
        }
    }
}

/// Known elements become plain text.
pub(super) const MEND: Mend = Mend {
    rule: Rule::TextMarkup,
    applies: |kind| matches!(kind, Kind::Import(column) if TEXTS.contains(&column)),
    repaired: |cell, _| mended(cell),
};

/// Elements about a text's looks, which must be closed. What a script or a style holds is no text.
const PAIRED: [&str; 24] = [
    "a", "b", "big", "code", "del", "div", "em", "font", "h1", "h2", "h3", "i", "ins", "label",
    "mark", "p", "s", "small", "span", "strike", "strong", "sub", "sup", "u",
];

/// Elements without content, which part words.
const ALONE: [&str; 3] = ["br", "hr", "wbr"];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn finds_what_the_server_takes_for_markup() {
        for (cell, found) in [
            ("<b>Pump</b>", true),
            ("Pump {{serial}}", true),
            ("a<b", true),
            ("<!-- -->", true),
            ("</p>", true),
            ("<?x", true),
            ("a < b", false),
            ("a <3", false),
            ("{serial}", false),
            ("}} {{", false),
            ("Pump > 1", false),
        ] {
            assert_eq!(refused(cell).is_some(), found, "{cell:?}");
        }
    }

    #[test]
    fn keeps_the_text_and_touches_nothing_doubtful() {
        for (cell, text) in [
            ("<b>Pump</b> 1", Some("Pump 1")),
            ("<span style=\"color:red\">Pump</span>", Some("Pump")),
            ("<B>Pump</b>", Some("Pump")),
            ("Pump<br>1", Some("Pump 1")),
            ("Pump <br/>1", Some("Pump 1")),
            ("Pump<!-- old -->", Some("Pump")),
            ("<b>1 < 2</b>", Some("1 < 2")),
            ("<b>Pump", None),
            ("Pump</b>", None),
            ("<i><b>Pump</i></b>", None),
            ("Pump <north>", None),
            ("a<b", None),
            ("a<b and c>d", None),
            ("<script>alert(1)</script>", None),
            ("{{serial}}", None),
            ("<b></b>", None),
            ("Pump", None),
        ] {
            let found = mended(cell);
            assert_eq!(found.as_deref(), text, "{cell:?}");
        }
    }

    proptest! {
        #[test]
        fn a_repaired_text_is_not_found_again(cell in "\\PC*|([<>/b !{}=-]|br|<b>|</b>){0,12}") {
            if let Some(text) = mended(&cell) {
                prop_assert_eq!(refused(&text), None);
            }
        }
    }
}
