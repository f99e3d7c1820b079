//! `fleetcall check --config FILE.toml`: what a check goes by, as a file.
//!
//! docs/lists.md explains every key. All faults of a file are told at once, with file, line and
//! column. What the command line says comes on top, in `check`.

use std::fs;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Failure;
use crate::inventory::{Oui, nearest};
use crate::lint::{Options, Rule, RuleSet, Severity};

/// What a file says.
#[derive(Debug, Default, PartialEq, Eq)]
struct CheckFile {
    set: Option<RuleSet>,
    /// Single rules; `None` switches one off.
    rules: Vec<(Rule, Option<Severity>)>,
    fail_on: Option<FailOn>,
    name_column: Option<String>,
    ouis: Vec<Oui>,
    expected: Option<u64>,
    max_devices: Option<u64>,
    name_pattern: Option<String>,
    /// Bytes.
    body_limit: Option<u64>,
}

/// With what a list does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FailOn {
    /// With findings of this severity or worse.
    From(Severity),
    /// With none.
    Never,
}

/// What a file says, for the rest the defaults; without a file these alone.
pub(super) fn options(path: Option<&Path>) -> Result<Options, Failure> {
    let file = path.map_or_else(|| Ok(CheckFile::default()), read)?;
    let defaults = Options::default();
    let mut options = Options {
        name_column: file.name_column,
        name_pattern: file.name_pattern,
        expected: file.expected,
        body_limit: file.body_limit.unwrap_or(defaults.body_limit),
        max_devices: file.max_devices,
        ouis: file.ouis,
        rules: file.set.unwrap_or(defaults.rules),
        fail_on: match file.fail_on {
            None => defaults.fail_on,
            Some(FailOn::From(severity)) => Some(severity),
            Some(FailOn::Never) => None,
        },
        ..defaults
    };
    options.switched.extend(file.rules);
    Ok(options)
}

/// Reads a file.
fn read(path: &Path) -> Result<CheckFile, Failure> {
    let text = fs::read_to_string(path).map_err(|error| {
        Failure::usage(format!(
            "{}: cannot be read: {error}\nhelp: give the path from the working directory",
            path.display()
        ))
    })?;
    let (file, mut faults) = parse(&text);
    if faults.is_empty() {
        return Ok(file);
    }
    faults.sort_by_key(|(range, _)| range.start);
    let told: Vec<String> = faults
        .into_iter()
        .map(|(range, what)| {
            let (line, column) = place(&text, range.start);
            format!("{}:{line}:{column}: {what}", path.display())
        })
        .collect();
    Err(Failure::usage(told.join("\n")))
}

/// The severity of a word.
pub(super) fn severity(word: &str) -> Option<Severity> {
    Severity::ALL
        .into_iter()
        .find(|severity| severity.as_str() == word)
}

/// A rule by its id, or what to say.
pub(super) fn rule(id: &str) -> Result<Rule, String> {
    id.parse().map_err(|unknown| {
        let help = match nearest(id, Rule::ALL.iter().map(|rule| rule.id())) {
            Some(near) => format!("the nearest is `{near}`"),
            None => "fleetcall check --list-rules has all of them".to_owned(),
        };
        format!("{unknown}\nhelp: {help}")
    })
}

type Faults = Vec<(Range<usize>, String)>;
type Value<'t> = Spanned<DeValue<'t>>;

fn parse(text: &str) -> (CheckFile, Faults) {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut faults: Faults = errors
        .into_iter()
        .map(|error| (error.span().unwrap_or(0..0), error.message().to_owned()))
        .collect();
    let mut file = CheckFile::default();
    if faults.is_empty() {
        for (key, value) in table.into_inner() {
            let span = key.span();
            if let Err(fault) = file.take(key.get_ref(), span, &value, &mut faults) {
                faults.push((value.span(), fault));
            }
        }
    }
    (file, faults)
}

impl CheckFile {
    fn take(
        &mut self,
        key: &str,
        span: Range<usize>,
        value: &Value<'_>,
        faults: &mut Faults,
    ) -> Result<(), String> {
        match key {
            "rules" => self.rules(value, faults)?,
            "set" => self.set = Some(word(value, key, &RuleSet::ALL.map(|s| (s.as_str(), s)))?),
            "fail_on" => {
                let mut words = Severity::ALL
                    .map(|s| (s.as_str(), FailOn::From(s)))
                    .to_vec();
                words.push(("never", FailOn::Never));
                self.fail_on = Some(word(value, key, &words)?);
            }
            "name_column" => self.name_column = Some(string(value, key)?.to_owned()),
            "name_pattern" => self.name_pattern = Some(string(value, key)?.to_owned()),
            "expect" => self.expected = Some(number(value, key, "devices")?),
            "max_devices" => self.max_devices = Some(number(value, key, "devices")?),
            "body_limit" => self.body_limit = Some(number(value, key, "bytes")?),
            "oui" => self.ouis(value, faults)?,
            _ => {
                let help = match nearest(key, KEYS) {
                    Some(near) => format!("the nearest known key is `{near}`"),
                    None => format!("known keys: {}", KEYS.join(", ")),
                };
                faults.push((span, format!("unknown key `{key}`\nhelp: {help}")));
            }
        }
        Ok(())
    }

    fn rules(&mut self, value: &Value<'_>, faults: &mut Faults) -> Result<(), String> {
        let DeValue::Table(table) = value.get_ref() else {
            return Err(wrong("rules", "a table", value));
        };
        for (key, value) in table {
            let id: &str = key.get_ref();
            let rule = match rule(id) {
                Ok(rule) => rule,
                Err(_) if KEYS.contains(&id) => {
                    let fault = format!("`{id}` is no rule\nhelp: put the key above [rules]");
                    faults.push((key.span(), fault));
                    continue;
                }
                Err(fault) => {
                    faults.push((key.span(), fault));
                    continue;
                }
            };
            let word = value.get_ref().as_str().unwrap_or_default();
            match severity(word) {
                None if word != "off" => {
                    faults.push((value.span(), wrong(id, SEVERITIES, value)));
                }
                severity => self.rules.push((rule, severity)),
            }
        }
        Ok(())
    }

    fn ouis(&mut self, value: &Value<'_>, faults: &mut Faults) -> Result<(), String> {
        let one = std::slice::from_ref(value);
        let values = match value.get_ref() {
            DeValue::Array(values) => values,
            _ => one,
        };
        for value in values {
            let text = string(value, "oui")?;
            match text.parse() {
                Ok(oui) => self.ouis.push(oui),
                Err(fault) => faults.push((value.span(), format!("`oui` is {text:?}: {fault}"))),
            }
        }
        Ok(())
    }
}

fn string<'v>(value: &'v Value<'_>, key: &str) -> Result<&'v str, String> {
    let text = value.get_ref().as_str();
    text.ok_or_else(|| wrong(key, "a string", value))
}

fn number(value: &Value<'_>, key: &str, of: &str) -> Result<u64, String> {
    let found = value.get_ref().as_integer();
    found
        .and_then(|n| u64::from_str_radix(n.as_str(), n.radix()).ok())
        .ok_or_else(|| wrong(key, &format!("a whole number of {of}"), value))
}

fn word<T: Copy>(value: &Value<'_>, key: &str, words: &[(&str, T)]) -> Result<T, String> {
    let text = value.get_ref().as_str();
    let known = words.iter().find(|(word, _)| Some(*word) == text);
    known.map(|(_, meaning)| *meaning).ok_or_else(|| {
        let all: Vec<String> = words
            .iter()
            .map(|(word, _)| format!("\"{word}\""))
            .collect();
        wrong(key, &format!("one of {}", all.join(", ")), value)
    })
}

fn wrong(key: &str, wanted: &str, value: &Value<'_>) -> String {
    let found = match value.get_ref() {
        DeValue::String(text) => format!("{text:?}"),
        DeValue::Integer(n) => n.as_str().to_owned(),
        other => format!("a value of type {}", other.type_str()),
    };
    format!("`{key}` must be {wanted}, found {found}\nhelp: docs/lists.md explains every key")
}

/// The line and the character of an offset, both from 1.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or_default();
    let begun = before.rfind('\n').map_or(0, |end| end + 1);
    let line = before.matches('\n').count() + 1;
    (line, before[begun..].chars().count() + 1)
}

const KEYS: [&str; 9] = [
    "set",
    "fail_on",
    "name_column",
    "oui",
    "expect",
    "max_devices",
    "name_pattern",
    "body_limit",
    "rules",
];

const SEVERITIES: &str = "one of \"error\", \"damage\", \"warning\", \"off\"";

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("check.toml");
        fs::write(&path, text).unwrap();
        let failure = read(&path).unwrap_err();
        assert_eq!(failure.exit, crate::cli::Exit::Usage);
        let prefix = format!("{}:", path.display());
        let lines = failure.message.lines();
        lines.map(|line| line.replace(&prefix, "")).collect()
    }

    #[test]
    fn every_key_is_read() {
        let (file, faults) = parse(
            "set = \"generic\"\nfail_on = \"error\"\nname_column = \"MAC\"\n\
             oui = [\"00:1B:C5\", \"AA-BB-CC\"]\nexpect = 1_000\nmax_devices = 0x10\n\
             name_pattern = '(.+)'\nbody_limit = 65536\n[rules]\nmac-local = \"off\"\n\"bom\" = \"error\"\n",
        );
        assert_eq!(faults, []);
        let expected = CheckFile {
            set: Some(RuleSet::Generic),
            rules: vec![(Rule::Bom, Some(Severity::Error)), (Rule::MacLocal, None)],
            fail_on: Some(FailOn::From(Severity::Error)),
            name_column: Some("MAC".to_owned()),
            ouis: vec!["00:1B:C5".parse().unwrap(), "AA:BB:CC".parse().unwrap()],
            expected: Some(1000),
            max_devices: Some(16),
            name_pattern: Some("(.+)".to_owned()),
            body_limit: Some(65536),
        };
        let mut file = file;
        file.rules.sort_unstable_by_key(|(rule, _)| *rule);
        assert_eq!(file, expected);
        assert_eq!(parse(""), (CheckFile::default(), Vec::new()));
    }

    #[test]
    fn all_faults_are_told_at_once_with_their_places_and_the_nearest_key() {
        assert_eq!(
            faults(
                "exspect = 3\nexpect = -1\n  fail_on = \"eror\"\noui = [\"00:1B:C5\", \"zz\"]\n\
                 [rules]\nmac-locl = \"off\"\nbom = \"fatal\"\nset = \"aws\"\nquark = \"off\"\n"
            ),
            [
                "1:1: unknown key `exspect`",
                "help: the nearest known key is `expect`",
                "2:10: `expect` must be a whole number of devices, found -1",
                "help: docs/lists.md explains every key",
                "3:13: `fail_on` must be one of \"warning\", \"damage\", \"error\", \"never\", found \"eror\"",
                "help: docs/lists.md explains every key",
                "4:20: `oui` is \"zz\": an OUI is three octets in hex, such as \"AA:BB:CC\"",
                "6:1: there is no rule `mac-locl`",
                "help: the nearest is `mac-local`",
                "7:7: `bom` must be one of \"error\", \"damage\", \"warning\", \"off\", found \"fatal\"",
                "help: docs/lists.md explains every key",
                "8:1: `set` is no rule",
                "help: put the key above [rules]",
                "9:1: there is no rule `quark`",
                "help: fleetcall check --list-rules has all of them",
            ]
        );
        assert_eq!(
            faults("set = thingsboard\n")[0].split(": ").next(),
            Some("1:7")
        );
        assert_eq!(
            faults("rules = 3\n")[0],
            "1:9: `rules` must be a table, found 3"
        );
    }
}
