//! `fleetcall check` as a user calls it: exit codes, options, streams and signals.

mod fix;
mod formats;
mod streams;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::Said;

/// A directory with lists, in which commands run.
struct Desk(TempDir);

impl Desk {
    fn new(files: &[(&str, &str)]) -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            desk.put(name, text.as_bytes());
        }
        desk
    }

    /// Lists are their owner's: whoever else may read them is another finding.
    fn put(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// The names of all files, sorted.
    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let name = |e: std::io::Result<fs::DirEntry>| e.unwrap().file_name().into_string().unwrap();
        let mut names: Vec<String> = entries.map(name).collect();
        names.sort_unstable();
        names
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fleetcall"));
        command
            .current_dir(self.0.path())
            .arg("check")
            .args(args)
            .stdin(Stdio::null());
        command
    }

    fn check(&self, args: &[&str]) -> Said {
        said(&mut self.command(args))
    }

    /// The rules found, with their severities.
    fn found(&self, args: &[&str]) -> Vec<(String, String)> {
        let all = [args, &["--format", "json"]].concat();
        let said = self.check(&all);
        let report: Value =
            serde_json::from_str(&said.out).unwrap_or_else(|e| panic!("{e}: {said:?}"));
        let text = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
        let findings = report["findings"].as_array().unwrap();
        findings
            .iter()
            .map(|f| (text(f, "rule"), text(f, "severity")))
            .collect()
    }
}

fn said(command: &mut Command) -> Said {
    let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    Said::by(piped.spawn().unwrap())
}

const GOOD: &str = "name\n00:1B:C5:00:00:01\n00:1B:C5:00:00:02\n";

/// One error, one damage, one warning.
const BAD: &str = "\u{feff}name,note\n00:1B:C5:00:00:01,x\n\n00:1B:C5:00:00:02,x,y\n";

#[test]
fn the_exit_code_is_the_verdict() {
    let desk = Desk::new(&[
        ("good.csv", GOOD),
        ("bad.csv", BAD),
        (
            "warned.csv",
            "name,note\n00:1B:C5:00:00:01,x\n\n00:1B:C5:00:00:02,y\n",
        ),
        ("damaged.csv", &format!("\u{feff}{GOOD}")),
    ]);
    for (code, args) in [
        (0, &["good.csv"][..]),
        (2, &["bad.csv"]),
        (2, &["good.csv", "bad.csv"]),
        (0, &["warned.csv"]),
        (2, &["warned.csv", "--fail-on", "warning"]),
        (2, &["damaged.csv"]),
        (0, &["damaged.csv", "--fail-on", "error"]),
        (2, &["bad.csv", "--fail-on", "error"]),
        (0, &["bad.csv", "--fail-on", "never"]),
        (0, &["bad.csv", "--off", "bom,cells"]),
    ] {
        for format in ["text", "json", "sarif", "junit"] {
            let said = desk.check(&[args, &["--format", format]].concat());
            assert_eq!(said.code, Some(code), "{args:?} {format}: {said:?}");
            assert_eq!(said.err, "", "{args:?} {format}");
        }
    }
}

#[test]
fn what_cannot_be_checked_says_why_and_what_to_do() {
    let desk = Desk::new(&[("good.csv", GOOD)]);
    fs::create_dir(desk.path("dir")).unwrap();
    for (args, words) in [
        (&[][..], &["LIST"][..]),
        (&["nowhere.csv"], &["nowhere.csv: cannot be read", "help:"]),
        (&["good.csv", "dir"], &["dir: cannot be read"]),
        (&["good.csv", "--format", "yaml"], &["yaml", "junit"]),
        (&["good.csv", "--max-findings", "0"], &["max-findings"]),
        (
            &["good.csv", "--name-pattern", "("],
            &["name pattern", "help:"],
        ),
        (
            &["good.csv", "--config", "none.toml"],
            &["none.toml: cannot be read"],
        ),
        (&["good.csv", "--oui", "AA"], &["AA", "octets"]),
        (&["-", "-"], &["standard input is given twice", "help:"]),
        (
            &["good.csv", "good.csv", "--fix", "o.csv"],
            &["--fix takes one list", "help:"],
        ),
        (
            &["good.csv", "--fix", "o.csv", "--split", "p.csv"],
            &["--split"],
        ),
        (
            &["good.csv", "--split", "o.csv", "--fail-on", "never"],
            &["--split", "--fail-on", "help:"],
        ),
    ] {
        let said = desk.check(args);
        assert_eq!(said.code, Some(2), "{args:?}: {said:?}");
        assert_eq!(said.out, "", "{args:?}");
        for word in words {
            assert!(
                said.err.contains(word),
                "{args:?} does not say {word:?}: {}",
                said.err
            );
        }
    }
    assert_eq!(desk.files(), ["dir", "good.csv"]);
}

#[test]
fn single_rules_are_switched_and_weighed() {
    let desk = Desk::new(&[("bad.csv", BAD)]);
    let found = |args: &[&str]| {
        let found = desk.found(&[&["bad.csv"], args].concat());
        let told: Vec<String> = found.iter().map(|(r, s)| format!("{r}={s}")).collect();
        told.join(" ")
    };
    assert_eq!(found(&[]), "bom=damage line-numbers=warning cells=error");
    assert_eq!(
        found(&["--off", "bom", "--off", "cells"]),
        "line-numbers=warning"
    );
    assert_eq!(found(&["--rules", "generic"]), "bom=damage cells=error");
    assert_eq!(
        found(&["--rules", "generic", "--on", "line-numbers"]),
        "bom=damage line-numbers=warning cells=error"
    );
    assert_eq!(
        found(&[
            "--severity",
            "bom=warning,cells=damage",
            "--off",
            "line-numbers"
        ]),
        "bom=warning cells=damage"
    );
    desk.put(
        "check.toml",
        b"set = \"generic\"\nfail_on = \"never\"\n[rules]\ncells = \"off\"\nbom = \"error\"\n",
    );
    let config = ["--config", "check.toml"];
    assert_eq!(found(&config), "bom=error");
    // The command line comes on top.
    assert_eq!(
        found(&[&config[..], &["--on", "cells", "--severity", "bom=damage"]].concat()),
        "bom=damage cells=error"
    );
    assert_eq!(
        desk.check(&["bad.csv", "--config", "check.toml"]).code,
        Some(0)
    );
    let stricter = ["bad.csv", "--config", "check.toml", "--fail-on", "error"];
    assert_eq!(desk.check(&stricter).code, Some(2));
}

#[test]
fn all_that_is_wrong_with_options_is_told_at_once() {
    let desk = Desk::new(&[("good.csv", GOOD)]);
    let said = desk.check(&[
        "good.csv",
        "--off",
        "bim",
        "--on",
        "cells",
        "--severity",
        "cells=error,bom=bad,quirk=error",
    ]);
    assert_eq!(said.code, Some(2));
    for words in [
        "--off there is no rule `bim`\nhelp: the nearest is `bom`",
        "the rule `cells` is given to --on and to --severity",
        "--severity bom=bad: no severity\nhelp: write bom=error,",
        "there is no rule `quirk`",
    ] {
        assert!(said.err.contains(words), "{words}: {}", said.err);
    }
    desk.put(
        "check.toml",
        b"fail-on = \"error\"\nexpect = \"many\"\n[rules]\nbim = \"off\"\nbom = 3\n",
    );
    let said = desk.check(&["good.csv", "--config", "check.toml"]);
    assert_eq!(said.code, Some(2));
    for words in [
        "check.toml:1:1: unknown key `fail-on`\nhelp: the nearest known key is `fail_on`",
        "check.toml:2:10: `expect` must be a whole number",
        "check.toml:4:1: there is no rule `bim`\nhelp: the nearest is `bom`",
        "check.toml:5:7: `bom` must be one of \"error\"",
    ] {
        assert!(said.err.contains(words), "{words}: {}", said.err);
    }
}

#[test]
fn what_only_the_user_knows_is_held_against_the_lists() {
    let desk = Desk::new(&[
        ("a.csv", "MAC\n00:1B:C5:00:00:01\n00:1B:C5:00:00:02\n"),
        ("b.csv", "MAC\n00:1B:C5:00:00:03\n"),
    ]);
    let name = ["a.csv", "b.csv", "--name-column", "MAC"];
    assert_eq!(desk.found(&name), []);
    assert_eq!(desk.found(&[&name[..], &["--expect", "3"]].concat()), []);
    for (args, rule) in [
        (["--expect", "4"], "lot-count"),
        (["--max-devices", "2"], "list-too-many"),
    ] {
        let found = desk.found(&[&name[..], &args].concat());
        let rules: Vec<&str> = found.iter().map(|(rule, _)| rule.as_str()).collect();
        assert_eq!(rules, [rule]);
    }
}

#[test]
fn every_rule_is_listed_as_the_options_leave_it() {
    let desk = Desk::new(&[]);
    let said = desk.check(&[
        "--list-rules",
        "--off",
        "bom",
        "--severity",
        "cells=warning",
    ]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    for rule in fleetcall::lint::Rule::ALL {
        let listed = said
            .out
            .lines()
            .any(|line| line.starts_with(&format!("{rule} ")));
        assert!(listed, "{rule} is not listed");
    }
    let row = |rule: &str| {
        said.out
            .lines()
            .find(|l| l.starts_with(&format!("{rule} ")))
            .unwrap()
    };
    assert_eq!(row("bom").split_whitespace().nth(1), Some("off"));
    assert_eq!(row("cells").split_whitespace().nth(1), Some("warning"));
    assert_eq!(row("aws-name").split_whitespace().nth(1), Some("off"));
}

#[test]
fn help_shows_by_example() {
    let said = Desk::new(&[]).check(&["--help"]);
    assert_eq!(said.code, Some(0));
    for words in [
        "Examples:",
        "--fix lot-17.fixed.csv",
        "--split",
        "Exit codes:",
        "--list-rules",
    ] {
        assert!(said.out.contains(words), "{words}");
    }
}
