//! Puts in what a scenario refers to: `${env:NAME}` and `${file:PATH}` in strings.
//!
//! After parsing, so that a value cannot change the syntax, and once, so that it cannot refer
//! further. What comes in is never shown.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read};

use super::fault::Faults;
use super::tree::{Kind, Spot, Table};

/// Looks up an environment variable.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Replaces every reference; `sources` are the texts that spots point into.
pub(super) fn expand(table: &mut Table, sources: &[&str], env: Environment<'_>, faults: &Faults) {
    table.each_text(&mut |value| {
        let Kind::Text(text) = &value.kind else {
            return;
        };
        if !text.contains("${") {
            return;
        }
        let sound = Cell::new(true);
        let fault = |reference: &str, title: String, help: &str| {
            sound.set(false);
            let spot = narrowed(&value.spot, reference, sources[value.spot.text]);
            faults.add(&spot, title, help);
        };
        let text = replaced(text, env, &fault);
        value.kind = if sound.get() {
            Kind::Text(text)
        } else {
            Kind::Faulty
        };
        value.expanded = true;
    });
}

/// The text with its references replaced; a faulty one is left out.
fn replaced(text: &str, env: Environment<'_>, fault: &dyn Fn(&str, String, &str)) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, from)) = rest.find("${").map(|at| rest.split_at(at)) {
        out.push_str(before);
        let Some(end) = from.find('}') else {
            fault("${", "a reference without end".to_owned(), KINDS);
            return out;
        };
        let reference = &from[..=end];
        rest = &from[end + 1..];
        match reference[2..end].split_once(':') {
            Some(("env", name)) => {
                if let Some(value) = env(name) {
                    out.push_str(&value);
                } else {
                    let title = format!("the environment variable {name:?} is not set");
                    fault(
                        reference,
                        title,
                        "set it, or write the value into the scenario",
                    );
                }
            }
            Some(("file", path)) => match read(path) {
                Ok(value) => out.push_str(&value),
                Err(e) => {
                    let title = format!("the file {path:?} cannot be read: {e}");
                    fault(reference, title, "give its path from the working directory");
                }
            },
            _ => fault(reference, "an unknown reference".to_owned(), KINDS),
        }
    }
    out.push_str(rest);
    out
}

/// A file's text without its last line end.
fn read(path: &str) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?
        .take(FILE_LIMIT + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > FILE_LIMIT {
        return Err(io::Error::other(format!("longer than {FILE_LIMIT} bytes")));
    }
    let bare = text.strip_suffix('\n').unwrap_or(&text);
    let bare = bare.strip_suffix('\r').unwrap_or(bare);
    Ok(bare.to_owned())
}

/// The place of the reference within its string, where the text has it literally.
fn narrowed(spot: &Spot, reference: &str, source: &str) -> Spot {
    let raw = source.get(spot.range.clone()).unwrap_or("");
    match raw.find(reference) {
        None => spot.clone(),
        Some(at) => {
            let start = spot.range.start + at;
            Spot {
                text: spot.text,
                range: start..start + reference.len(),
            }
        }
    }
}

const KINDS: &str = "write `${env:NAME}` or `${file:PATH}`";

/// Enough for any key; a reference to a disk or a pipe is a mistake.
const FILE_LIMIT: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tree::parse;
    use super::*;

    fn expanded(value: &str) -> (String, Vec<String>) {
        let source = format!("x = {value:?}");
        let mut table = parse(&source, 0).unwrap();
        let faults = Faults::default();
        let env = |name: &str| (name == "A").then(|| "1${env:A}".to_owned());
        expand(&mut table, &[&source], &env, &faults);
        let text = match &table.get("x").unwrap().kind {
            Kind::Text(text) => text.clone(),
            _ => String::new(),
        };
        (
            text,
            faults
                .into_sorted()
                .into_iter()
                .map(|fault| fault.title)
                .collect(),
        )
    }

    #[test]
    fn references_are_replaced_once() {
        assert_eq!(
            expanded("a${env:A}b${env:A}"),
            ("a1${env:A}b1${env:A}".to_owned(), vec![])
        );
        assert_eq!(
            expanded("$5 {{ name }}"),
            ("$5 {{ name }}".to_owned(), vec![])
        );
    }

    #[test]
    fn a_file_loses_its_last_line_end() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "k\n\r\n").unwrap();
        let text = expanded(&format!("${{file:{}}}", file.path().display()));
        assert_eq!(text, ("k\n".to_owned(), vec![]));
    }

    #[test]
    fn what_is_not_there_is_a_fault() {
        for (value, title) in [
            ("${env:B}", "the environment variable \"B\" is not set"),
            (
                "${file:/no/such/file}",
                "the file \"/no/such/file\" cannot be read",
            ),
            ("${vault:x}", "an unknown reference"),
            ("${A}", "an unknown reference"),
            ("${env:A", "a reference without end"),
        ] {
            let (_, faults) = expanded(value);
            assert_eq!(faults.len(), 1, "{value}");
            assert!(faults[0].starts_with(title), "{faults:?}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(value in r"(\$\{|\}|env:|A|é|:){0,10}") {
            expanded(&value);
        }
    }
}
