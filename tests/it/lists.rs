//! Every rule on its fixtures: `fixtures/lists/RULE.bad.csv` (and `.bad2.csv` where a rule needs
//! two lists) yields what `RULE.bad.txt` says and nothing else, `RULE.good.csv` yields nothing.
//!
//! The expectation's lines are `list:line:column record rule`, with `-` for what is no device;
//! a line `option KEY=VALUE` sets an option for both.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use fleetcall::lint::{Options, Rule, RuleSet, check};
use tempfile::TempDir;

use crate::support::root;

/// A rule's lists in a directory of their own, readable by the owner alone.
pub(crate) struct Lists {
    _dir: TempDir,
    pub(crate) paths: Vec<PathBuf>,
}

pub(crate) fn lists(rule: Rule, which: &str, mode: u32) -> Lists {
    let dir = tempfile::tempdir().unwrap();
    let mut paths = Vec::new();
    for n in ["", "2"] {
        let name = format!("{rule}.{which}{n}.csv");
        let from = root().join("fixtures/lists").join(&name);
        if n.is_empty() || from.exists() {
            let to = dir.path().join(name);
            fs::copy(&from, &to).unwrap_or_else(|e| panic!("{}: {e}", from.display()));
            fs::set_permissions(&to, fs::Permissions::from_mode(mode)).unwrap();
            paths.push(to);
        }
    }
    Lists { _dir: dir, paths }
}

/// What a rule's `.bad.txt` says: findings, options, and the mode of the bad files.
pub(crate) fn expected(rule: Rule) -> (Vec<String>, Options, u32) {
    let path = root().join(format!("fixtures/lists/{rule}.bad.txt"));
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut options = Options::default();
    let mut mode = 0o600;
    let mut findings = Vec::new();
    for line in text.lines() {
        let Some(option) = line.strip_prefix("option ") else {
            findings.push(line.to_owned());
            continue;
        };
        let (key, value) = option.split_once('=').unwrap();
        match key {
            "rules" => {
                options.rules = match value {
                    "generic" => RuleSet::Generic,
                    "aws" => RuleSet::Aws,
                    "azure" => RuleSet::Azure,
                    other => panic!("{other}"),
                }
            }
            "oui" => options.ouis.push(value.parse().unwrap()),
            "expected" => options.expected = Some(value.parse().unwrap()),
            "max_devices" => options.max_devices = Some(value.parse().unwrap()),
            "body_limit" => options.body_limit = value.parse().unwrap(),
            "name_pattern" => options.name_pattern = Some(value.to_owned()),
            "name_column" => options.name_column = Some(value.to_owned()),
            "mode" => mode = u32::from_str_radix(value, 8).unwrap(),
            other => panic!("{other}"),
        }
    }
    (findings, options, mode)
}

fn found(paths: &[PathBuf], options: &Options) -> Vec<String> {
    let checked = check(paths, options).unwrap();
    let line = |finding: &fleetcall::lint::Finding| {
        let list = checked.lists[finding.list].path.file_name().unwrap();
        let place = finding.place;
        let record = place.record.map_or("-".to_owned(), |n| n.to_string());
        format!(
            "{}:{}:{} {record} {}",
            Path::new(list).display(),
            place.line,
            place.column,
            finding.rule
        )
    };
    checked.findings.iter().map(line).collect()
}

#[test]
fn each_rule_finds_its_fixture_and_nothing_else() {
    let mut wrong = Vec::new();
    for rule in Rule::ALL {
        // Made by the tests below: a megabyte is no fixture.
        if *rule == Rule::LineLong {
            continue;
        }
        let (findings, options, mode) = expected(*rule);
        assert!(
            !findings.is_empty() && findings.iter().all(|f| f.ends_with(&format!(" {rule}"))),
            "{rule}.bad.txt expects another rule: {findings:?}"
        );
        let bad = found(&lists(*rule, "bad", mode).paths, &options);
        if bad != findings {
            wrong.push(format!("{rule}: found {bad:#?}, expected {findings:#?}"));
        }
        let good = found(&lists(*rule, "good", 0o600).paths, &options);
        if !good.is_empty() {
            wrong.push(format!("{rule}: the good list has {good:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_endless_line_ends_the_reading() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("endless.csv");
    fs::write(&path, format!("name\na\n{}", "x".repeat(3 << 20))).unwrap();
    let found = found(&[path], &Options::default());
    assert_eq!(found, ["endless.csv:3:1 2 line-long"]);
}
