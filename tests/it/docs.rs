//! Holds the documents to the program.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use fleetcall::cli::Exit;
use fleetcall::lint::Rule;

use crate::support::{root, succeed};

#[test]
fn the_readme_lists_every_exit_code_and_no_other() {
    let text = fs::read_to_string(root().join("README.md")).unwrap();
    let (_, rest) = text.split_once("<!-- exit codes:").unwrap();
    let listed: Vec<u8> = rest
        .lines()
        .take_while(|line| !line.starts_with("After"))
        .filter_map(|line| line.split('|').nth(1)?.trim().parse().ok())
        .collect();
    assert_eq!(listed, Exit::ALL.map(|exit| exit as u8));
}

#[test]
fn every_command_of_the_help_is_explained_with_an_example() {
    let fleetcall = env!("CARGO_BIN_EXE_fleetcall");
    let help = succeed(Command::new(fleetcall).arg("--help"));
    let help = String::from_utf8(help.stdout).unwrap();
    for command in [
        "run",
        "compare",
        "target",
        "check",
        "admin",
        "selftest",
        "generate",
        "init",
        "schema",
        "completions",
    ] {
        assert!(
            help.contains(&format!("  {command} ")),
            "--help does not name {command}"
        );
        let own = succeed(Command::new(fleetcall).args([command, "--help"]));
        let own = String::from_utf8(own.stdout).unwrap();
        assert!(
            own.contains("Example"),
            "{command} --help has no example:\n{own}"
        );
    }
}

#[test]
fn every_rule_about_lists_is_explained_once() {
    let text = fs::read_to_string(root().join("docs/lists.md")).unwrap();
    let explained: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .collect();
    let rules: BTreeSet<&str> = Rule::ALL.iter().map(|rule| rule.id()).collect();
    assert_eq!(explained, rules);
    let headings = text.lines().filter(|line| line.starts_with("### ")).count();
    assert_eq!(headings, rules.len(), "one is explained twice");
}
