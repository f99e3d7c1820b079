//! `fleetcall check`: lists against the rules, before anything is sent.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, IsTerminal, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::check_file;
use super::generate::not_written;
use super::{Exit, Failure, check_fix, screen};
use crate::inventory::Oui;
use crate::lint::format::{self, Look};
use crate::lint::{self, Checked, Options, Rule, RuleSet, Severity};

/// Reads device lists as a server would, and tells what it would refuse or, worse, accept and get
/// wrong. Nothing is sent, and a list is never written to.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct CheckArgs {
    /// The lists, CSV files; `-` is standard input
    #[arg(value_name = "LIST", required_unless_present = "list_rules")]
    lists: Vec<PathBuf>,
    /// The rules to begin with [default: thingsboard]
    #[arg(long, value_name = "SET", value_enum)]
    rules: Option<Set>,
    /// How the findings are written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Write the findings to a file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The mildest findings that a list does not pass with [default: damage]
    #[arg(long, value_name = "SEVERITY", value_enum)]
    fail_on: Option<Level>,
    /// Switch a rule off
    #[arg(long, value_name = "RULE", value_delimiter = ',')]
    off: Vec<String>,
    /// Switch a rule on that the set or the configuration has off
    #[arg(long, value_name = "RULE", value_delimiter = ',')]
    on: Vec<String>,
    /// Take a rule's findings for another severity, and switch it on
    #[arg(long, value_name = "RULE=SEVERITY", value_delimiter = ',')]
    severity: Vec<String>,
    /// Take what the other options leave open from this file (docs/lists.md)
    #[arg(long, value_name = "FILE.toml")]
    config: Option<PathBuf>,
    /// The header of the column with the names
    #[arg(long, value_name = "HEADER")]
    name_column: Option<String>,
    /// A maker that MAC addresses may have; may be given several times
    #[arg(long, value_name = "AA:BB:CC", value_delimiter = ',')]
    oui: Vec<Oui>,
    /// How many devices all lists together should have
    #[arg(long, value_name = "N")]
    expect: Option<u64>,
    /// How many devices the tenant may have
    #[arg(long, value_name = "N")]
    max_devices: Option<u64>,
    /// The profile's certificate name pattern, a Java regular expression
    #[arg(long, value_name = "REGEX")]
    name_pattern: Option<String>,
    /// Print the rules, as the other options leave them, and end
    #[arg(long)]
    list_rules: bool,
    /// How many places are told of each rule and list; all are counted [default: 5 as text, else
    /// 1000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_findings: Option<u64>,
    /// Write the list to OUT.csv with all repaired that has one right answer, and each change to
    /// OUT.changes.csv; what is left is told
    #[arg(long, value_name = "OUT.csv", conflicts_with = "list_rules")]
    fix: Option<PathBuf>,
    /// Write the rows that pass to OUT.clean.csv, the others to OUT.rejected.csv, as they stand
    #[arg(long, value_name = "OUT.csv", conflicts_with_all = ["list_rules", "fix"])]
    split: Option<PathBuf>,
    /// Overwrite files; never a list that is checked
    #[arg(long)]
    force: bool,
}

/// The sets of rules, as the command line spells them.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Set {
    /// Any list's, and those of ThingsBoard's import and provisioning
    Thingsboard,
    /// Any list's
    Generic,
    /// Any list's, and those of AWS IoT's names
    Aws,
    /// Any list's, and those of names in Azure's Device Provisioning Service
    Azure,
}

/// How findings are written.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One object with all findings and their counts
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// JUnit XML: a suite for each list, a case for each rule
    Junit,
}

/// Severities, as the command line spells them.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Level {
    /// Refused, or the whole file is
    Error,
    /// Accepted and wrong
    Damage,
    /// A risk
    Warning,
    /// Whatever is found, the lists pass
    Never,
}

/// Checks the lists and writes what was found.
pub(super) fn run(args: &CheckArgs) -> Result<Exit, Failure> {
    let options = options(args)?;
    if args.list_rules {
        return write(args, |out| format::catalogue(&options, look(args), out))
            .map(|()| Exit::Passed);
    }
    if let Some(path) = &args.output {
        if args.fix.as_ref().or(args.split.as_ref()) == Some(path) {
            return Err(Failure::usage(format!(
                "{}: is given for the list and for the findings\nhelp: give two files",
                path.display()
            )));
        }
        spare(path, args)?;
    }
    let paths = paths(&args.lists)?;
    if let Some(to) = &args.fix {
        return check_fix::fix(args, only(&paths, "--fix")?, to, &options);
    }
    if let Some(to) = &args.split {
        return check_fix::split(args, only(&paths, "--split")?, to, &options);
    }
    let checked = check(&paths, &options)?;
    write(args, |out| {
        findings(args, &checked, &options, out)?;
        if args.is_text() {
            format::ways_on(&checked, look(args), out)?;
        }
        Ok(())
    })?;
    Ok(exit(&checked, &options))
}

/// The one list that an option takes.
fn only<'p>(paths: &'p [PathBuf], option: &str) -> Result<&'p Path, Failure> {
    match paths {
        [path] if path == Path::new(STDIN) => Err(Failure::usage(format!(
            "{option} reads a list twice, and standard input can be read only once\n\
             help: save it, and give the file's path"
        ))),
        [path] => Ok(path),
        _ => Err(Failure::usage(format!(
            "{option} takes one list, and {} are given\nhelp: run it for each list",
            paths.len()
        ))),
    }
}

/// Checks, and calls standard input what it is.
fn check(paths: &[PathBuf], options: &Options) -> Result<Checked, Failure> {
    let mut checked = lint::check(paths, options).map_err(Failure::usage)?;
    for list in &mut checked.lists {
        if list.path == Path::new(STDIN) {
            list.path = PathBuf::from("stdin");
        }
    }
    Ok(checked)
}

/// Whether what was checked passes.
pub(super) fn exit(checked: &Checked, options: &Options) -> Exit {
    if checked.fails(options) {
        Exit::Usage
    } else {
        Exit::Passed
    }
}

/// What was found, in the format that is wanted.
pub(super) fn findings(
    args: &CheckArgs,
    checked: &Checked,
    options: &Options,
    out: &mut dyn Write,
) -> io::Result<()> {
    match args.format {
        Format::Text => format::text(checked, options, look(args), out),
        Format::Json => format::json(checked, options, out),
        Format::Sarif => format::sarif(checked, options, out),
        Format::Junit => format::junit(checked, options, out),
    }
}

/// The lists' paths; standard input is read as the file that the system has for it.
fn paths(lists: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let dashes = lists.iter().filter(|list| list.as_os_str() == "-").count();
    if dashes > 1 {
        return Err(Failure::usage(
            "standard input is given twice\nhelp: give `-` once: it can be read only once",
        ));
    }
    let path = |list: &PathBuf| {
        if list.as_os_str() == "-" {
            PathBuf::from(STDIN)
        } else {
            list.clone()
        }
    };
    Ok(lists.iter().map(path).collect())
}

/// Refuses an output that would take the place of another file, of a list above all.
fn spare(output: &Path, args: &CheckArgs) -> Result<(), Failure> {
    let Ok(there) = fs::metadata(output) else {
        return Ok(());
    };
    if !there.is_file() {
        return Ok(());
    }
    let same = |list: &PathBuf| {
        fs::metadata(list).is_ok_and(|list| (list.dev(), list.ino()) == (there.dev(), there.ino()))
    };
    if args.lists.iter().any(same) {
        return Err(Failure::usage(format!(
            "{}: is one of the lists\nhelp: write the findings to another file",
            output.display()
        )));
    }
    if !args.force {
        let there = ErrorKind::AlreadyExists.into();
        return Err(not_written(output, &there, "add --force to overwrite it"));
    }
    Ok(())
}

/// Writes to standard output, or where --output says.
pub(super) fn write(
    args: &CheckArgs,
    body: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Failure> {
    let Some(path) = &args.output else {
        let mut out = BufWriter::new(io::stdout().lock());
        return match body(&mut out).and_then(|()| out.flush()) {
            // Whoever read has seen enough.
            Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(()),
            Err(e) => Err(Failure::bug(format!("standard output: {e}"))),
            Ok(()) => Ok(()),
        };
    };
    spare(path, args)?;
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)
        .map_err(|e| not_written(path, &e, "add --force to overwrite it"))?;
    let mut out = BufWriter::new(file);
    body(&mut out)
        .and_then(|()| out.flush())
        .map_err(|e| Failure::bug(format!("{}: {e}", path.display())))
}

/// How text looks there.
pub(super) fn look(args: &CheckArgs) -> Look {
    let terminal = args.output.is_none() && io::stdout().is_terminal();
    let size = ratatui::crossterm::terminal::size().ok();
    Look {
        color: args.output.is_none() && screen::colour(),
        width: size
            .filter(|_| terminal)
            .map_or(OFF_TERMINAL, |(columns, _)| columns),
        places: args.max_findings.unwrap_or(PLACES),
    }
}

/// The file first, the command line on top.
fn options(args: &CheckArgs) -> Result<Options, Failure> {
    let file = check_file::options(args.config.as_deref())?;
    let mut options = Options {
        kept: args.max_findings.unwrap_or(file.kept),
        name_column: args.name_column.clone().or(file.name_column),
        name_pattern: args.name_pattern.clone().or(file.name_pattern),
        expected: args.expect.or(file.expected),
        max_devices: args.max_devices.or(file.max_devices),
        ouis: if args.oui.is_empty() {
            file.ouis
        } else {
            args.oui.clone()
        },
        rules: args.rules.map_or(file.rules, Set::meaning),
        fail_on: args.fail_on.map_or(file.fail_on, Level::meaning),
        ..file
    };
    let faults = switch(args, &mut options);
    if faults.is_empty() {
        return Ok(options);
    }
    Err(Failure::usage(faults.join("\n")))
}

/// What --off, --on and --severity say of single rules; each rule may be in one of them. Tells all
/// that is wrong with them.
fn switch(args: &CheckArgs, options: &mut Options) -> Vec<String> {
    let mut told: BTreeMap<Rule, &str> = BTreeMap::new();
    let mut tell = |id: &str, option: &'static str| -> Result<Rule, String> {
        let rule = check_file::rule(id).map_err(|fault| format!("{option} {fault}"))?;
        match told.insert(rule, option) {
            Some(other) if other != option => Err(format!(
                "the rule `{rule}` is given to {other} and to {option}\nhelp: give it once"
            )),
            _ => Ok(rule),
        }
    };
    let mut faults = Vec::new();
    for id in &args.off {
        match tell(id, "--off") {
            Ok(rule) => drop(options.switched.insert(rule, None)),
            Err(fault) => faults.push(fault),
        }
    }
    for id in &args.on {
        match tell(id, "--on") {
            Ok(rule) if options.severity(rule).is_none() => {
                options.switched.insert(rule, Some(rule.severity()));
            }
            Ok(_) => {}
            Err(fault) => faults.push(fault),
        }
    }
    for text in &args.severity {
        let (id, word) = text.split_once('=').unwrap_or((text, ""));
        match (tell(id, "--severity"), check_file::severity(word)) {
            (Ok(rule), Some(severity)) => {
                options.switched.insert(rule, Some(severity));
            }
            (Err(fault), _) => faults.push(fault),
            (Ok(rule), None) => faults.push(format!(
                "--severity {text}: no severity\n\
                 help: write {rule}=error, {rule}=damage or {rule}=warning"
            )),
        }
    }
    faults
}

impl Set {
    fn meaning(self) -> RuleSet {
        match self {
            Self::Thingsboard => RuleSet::ThingsBoard,
            Self::Generic => RuleSet::Generic,
            Self::Aws => RuleSet::Aws,
            Self::Azure => RuleSet::Azure,
        }
    }
}

impl Level {
    fn meaning(self) -> Option<Severity> {
        match self {
            Self::Error => Some(Severity::Error),
            Self::Damage => Some(Severity::Damage),
            Self::Warning => Some(Severity::Warning),
            Self::Never => None,
        }
    }
}

impl CheckArgs {
    /// Whether findings are written for people.
    pub(super) fn is_text(&self) -> bool {
        matches!(self.format, Format::Text)
    }

    /// Whether files may be overwritten.
    pub(super) fn force(&self) -> bool {
        self.force
    }
}

const STDIN: &str = "/dev/stdin";

/// The width of text that no terminal shows, columns.
const OFF_TERMINAL: u16 = 100;

/// As many places as text shows of a rule.
const PLACES: u64 = 5;

const EXAMPLES: &str = "\
Examples:
  fleetcall check lot-17.csv                              what is wrong with a list
  fleetcall check lots/*.csv --expect 12000 --oui 00:1B:C5
  fleetcall check lot-17.csv --fix lot-17.fixed.csv       repair what has one right answer
  fleetcall check lot-17.csv --split lot-17.csv           lot-17.clean.csv, lot-17.rejected.csv
  fleetcall check lot-17.csv --format junit -o check.xml  for a CI job
  fleetcall check lot-17.csv --off lot-gap --severity bom=error --fail-on warning
  fleetcall check --list-rules                            every rule

Exit codes:
  0 the lists pass   2 there are findings of --fail-on or worse, or a list cannot be read";
