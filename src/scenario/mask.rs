//! Keeps secrets out of the lines that diagnostics show.
//!
//! A masked text has the length and the lines of the original, so that places stay true; the
//! mask itself is three asterisks and blanks, so that it does not tell the secret's length.

use std::ops::Range;

use super::tree::{Kind, Table, Value};
use crate::inventory::nearest;

/// A text with masks, and where they are.
#[derive(Debug)]
pub(super) struct Masked {
    pub(super) text: String,
    covered: Vec<Range<usize>>,
}

impl Masked {
    fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            covered: Vec::new(),
        }
    }

    /// The range as it may be marked: a mask's first three characters stand for all of it.
    pub(super) fn visible(&self, range: Range<usize>) -> Range<usize> {
        let mask =
            |covered: &&Range<usize>| covered.start <= range.end && range.start <= covered.end;
        let Some(covered) = self.covered.iter().find(mask) else {
            return range;
        };
        let mut end = (covered.start + 4).min(covered.end);
        while !self.text.is_char_boundary(end) {
            end += 1;
        }
        range.start.min(covered.start)..end
    }

    /// Writes the mask over a range, keeping the first quote and line ends.
    fn cover(&mut self, range: Range<usize>) {
        let mut stars = 3;
        let mask: String = self.text[range.clone()]
            .char_indices()
            .map(|(at, c)| match c {
                '\n' => "\n".to_owned(),
                '"' | '\'' if at == 0 => c.to_string(),
                _ if stars > 0 => {
                    stars -= 1;
                    "*".to_owned() + &" ".repeat(c.len_utf8() - 1)
                }
                _ => " ".repeat(c.len_utf8()),
            })
            .collect();
        self.text.replace_range(range.clone(), &mask);
        self.covered.push(range);
    }
}

/// Masks the values of secret keys of a text that was parsed as this table.
pub(super) fn values(source: &str, text: usize, table: &Table) -> Masked {
    let mut masked = Masked::new(source);
    in_table(table, text, source, &mut |range| masked.cover(range));
    masked
}

/// Masks what follows a secret key, on its line and through a string of several lines: for a
/// text that does not parse.
pub(super) fn lines(source: &str) -> Masked {
    let mut masked = Masked::new(source);
    let (mut at, mut within) = (0, None);
    for line in source.split_inclusive('\n') {
        let start = match within {
            Some(_) => Some(0),
            None => secret_assignment(line),
        };
        if let Some(start) = start {
            let value = &line[start..];
            let fence =
                within.or_else(|| ["\"\"\"", "'''"].into_iter().find(|f| value.contains(f)));
            // A string of several lines goes on unless its fence comes again on this line.
            let marks = fence.map_or(0, |fence| value.matches(fence).count());
            within = fence.filter(|_| (marks % 2 == 1) != within.is_some());
            let end = line.trim_end().len().max(start);
            if within.is_some() || !is_reference(&line[start..end]) {
                masked.cover(at + start..at + end);
            }
        }
        at += line.len();
    }
    masked
}

fn in_table(table: &Table, text: usize, source: &str, hide: &mut impl FnMut(Range<usize>)) {
    for (key, value) in &table.entries {
        if is_secret(&key.name) {
            all_of(value, text, source, hide);
        } else {
            in_value(value, text, source, hide);
        }
    }
}

fn in_value(value: &Value, text: usize, source: &str, hide: &mut impl FnMut(Range<usize>)) {
    match &value.kind {
        Kind::Table(table) => in_table(table, text, source, hide),
        Kind::Array(values) => values.iter().for_each(|v| in_value(v, text, source, hide)),
        _ => {}
    }
}

/// Hides a secret key's value, whatever it is.
fn all_of(value: &Value, text: usize, source: &str, hide: &mut impl FnMut(Range<usize>)) {
    match &value.kind {
        Kind::Table(table) => {
            table
                .entries
                .iter()
                .for_each(|(_, value)| all_of(value, text, source, hide));
        }
        Kind::Array(values) => values
            .iter()
            .for_each(|value| all_of(value, text, source, hide)),
        _ if value.spot.text == text => {
            let range = value.spot.range.clone();
            if !source.get(range.clone()).is_some_and(is_reference) {
                hide(range);
            }
        }
        _ => {}
    }
}

/// Whether a value names a secret's place and holds none itself.
pub(super) fn is_reference(raw: &str) -> bool {
    let bare = raw.trim().trim_matches(['"', '\'']);
    if bare.is_empty() {
        return true;
    }
    let placeholder = |open: &str, close: &str| {
        bare.strip_prefix(open)
            .and_then(|rest| rest.strip_suffix(close))
            .is_some_and(|inner| !inner.contains(['$', '{', '}']))
    };
    placeholder("${env:", "}") || placeholder("${file:", "}") || placeholder("{{", "}}")
}

/// Whether a key holds a secret, or was meant to.
fn is_secret(key: &str) -> bool {
    let names = ["provision_key", "provision_secret", "token", "password"];
    names_secret(key) || nearest(&key.to_lowercase(), names).is_some()
}

/// Whether a key of a scenario without faults holds a secret: there, nothing is misspelt.
pub(super) fn names_secret(key: &str) -> bool {
    let key = key.to_lowercase();
    let words = ["key", "secret", "token", "passw"];
    words.iter().any(|word| key.contains(word))
}

/// Where the value of the first secret key on a line begins.
fn secret_assignment(line: &str) -> Option<usize> {
    line.match_indices('=').map(|(at, _)| at).find_map(|at| {
        let key = line[..at].trim_end().trim_end_matches(['"', '\'']);
        let word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
        let start = key
            .rfind(|c| !word(c))
            .map_or(0, |n| n + key[n..].chars().next().map_or(1, char::len_utf8));
        let value = &line[at + 1..];
        is_secret(&key[start..]).then_some(line.len() - value.trim_start().len())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tree::parse;
    use super::*;

    fn parsed(source: &str) -> String {
        values(source, 0, &parse(source, 0).unwrap()).text
    }

    fn lines(source: &str) -> String {
        super::lines(source).text
    }

    #[test]
    fn secrets_are_covered_and_the_rest_stands() {
        for source in [
            "[profile]\nprovision_key = \"s3cret-value\" # why\nname = \"n\"\n",
            "profile = { provision_key = 's3cret-value', name = \"n\" }",
            "provison_secrt = \"s3cret-value\"\nname = \"n\"",
            "Token = \"\"\"\ns3cret-value\"\"\"\nname = \"n\"",
            "provision_key = [\"s3cret-value\"]\nname = \"n\"",
            "token = \"{{ row.token }}s3cret-value\"\nname = \"n\"",
            "token = \"s3cret-value${env:X}\"\nname = \"n\"",
        ] {
            for masked in [parsed(source), lines(source)] {
                assert!(!masked.contains("s3cret"), "{masked}");
                assert!(!masked.contains("value"), "{masked}");
                assert_eq!(masked.len(), source.len());
            }
            assert!(parsed(source).contains("name = \"n\""), "{source}");
        }
        assert!(!parsed("[token]\nx = { y = \"s3cret\" }\n").contains("s3cret"));
    }

    #[test]
    fn references_to_secrets_stay_readable() {
        for source in [
            "provision_key = \"${env:TB_KEY}\"\n",
            "provision_secret = '${file:/run/secret}'\n",
            "token = \"{{ row.token }}\"\n",
        ] {
            assert_eq!(parsed(source), source);
            assert_eq!(lines(source), source);
        }
    }

    #[test]
    fn a_secret_in_a_broken_text_is_covered() {
        for source in [
            "provision_key = \"s3cret\nname = \"n\"",
            "provision_key = s3cret\n",
            "provision_key = \"\"\"\ns3cret \\q\n\"\"\"\nname = = \n",
            "profile = { provision_key = \"s3cret\", ",
            "\"provision_key\" = \"s3cret\" \"\n",
            "profile.provision_key=s3cret",
        ] {
            assert!(!lines(source).contains("s3cret"), "{}", lines(source));
        }
        assert!(lines("token = x\nname = \"n\"").contains("name = \"n\""));
    }

    proptest! {
        #[test]
        fn a_masked_text_keeps_its_length_and_lines(
            source in "((token|name|é|\\[|\\]|=|\"|'|\n| |\\{|\\}|#|\"\"\"|a\\.b){0,20})",
        ) {
            let masked = lines(&source);
            prop_assert_eq!(masked.len(), source.len());
            let ends = |text: &str| text.match_indices('\n').map(|(at, _)| at).collect::<Vec<_>>();
            prop_assert_eq!(ends(&masked), ends(&source));
        }
    }
}
