//! `--format text`: for people. The worst first; of each rule what the server does, the way out,
//! and a few places.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::{Totals, shown};
use crate::lint::check::Checked;
use crate::lint::finding::{Finding, Severity};
use crate::lint::options::Options;
use crate::lint::rule::{Repair, Rule};
use crate::model::units::count;
use crate::model::{Paint, printable};

/// How text may look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// ANSI colours. They never carry a meaning of their own.
    pub color: bool,
    /// Columns at hand; less than 60 is taken for 60, more than 120 for 120.
    pub width: u16,
    /// How many places are shown of each rule.
    pub places: u64,
}

/// Writes the findings for people.
pub fn text(
    checked: &Checked,
    options: &Options,
    look: Look,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut rules = checked.rules();
    rules.sort_by_key(|rule| (std::cmp::Reverse(options.severity(*rule)), *rule));
    for line in wrapped(&summary(checked, options), look.columns(), 4) {
        writeln!(out, "{}", look.verdict(checked, options, &line))?;
    }
    for rule in rules {
        block(rule, checked, options, look, out)?;
    }
    Ok(())
}

/// Writes how to go on after a check.
pub fn ways_on(checked: &Checked, look: Look, out: &mut dyn Write) -> io::Result<()> {
    let rules = checked.rules();
    let of = |rules: &[Rule]| -> u64 { rules.iter().map(|rule| checked.total(*rule)).sum() };
    let automatic: Vec<Rule> = rules
        .iter()
        .copied()
        .filter(|rule| rule.repair() == Repair::Automatic)
        .collect();
    let mut ways = Vec::new();
    match (of(&automatic), of(&rules)) {
        (0, 0) => return Ok(()),
        (0, _) => ways.push("Nothing of this can be repaired by --fix.".to_owned()),
        (n, all) => ways.push(format!(
            "--fix OUT.csv repairs what has one right answer: up to {} of {}.",
            count(n),
            phrase(all, "finding")
        )),
    }
    if rules.iter().any(|rule| checked.total(*rule) > look.places) {
        ways.push("--max-findings N shows more places.".to_owned());
    }
    writeln!(out)?;
    for line in wrapped(&ways.join(" "), look.columns(), 0) {
        writeln!(out, "{}", look.dim(&line))?;
    }
    Ok(())
}

/// Writes all rules as a table: id, how bad they are by these options, who can repair them, what
/// is wrong.
pub fn catalogue(options: &Options, look: Look, out: &mut dyn Write) -> io::Result<()> {
    let ids = Rule::ALL.iter().map(|rule| rule.id().len());
    let width = ids.max().unwrap_or(0);
    let row =
        |id: &str, severity: &str, repair: &str| format!("{id:width$}  {severity:8}  {repair:9}  ");
    writeln!(
        out,
        "{}",
        look.bold(&(row("rule", "severity", "repair") + "what is wrong"))
    )?;
    for rule in Rule::ALL {
        let severity = options.severity(*rule).map_or("off", Severity::as_str);
        let begin = row(rule.id(), severity, rule.repair().as_str());
        let indent = begin.chars().count();
        for line in wrapped(&(begin + rule.title()), look.columns(), indent) {
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}

fn summary(checked: &Checked, options: &Options) -> String {
    let lists = phrase(checked.lists.len() as u64, "list");
    let devices = phrase(checked.rows(), "device");
    let totals = Totals::of(checked, options);
    let kinds = [
        (totals.error, phrase(totals.error, "error")),
        (totals.damage, format!("{} damage", count(totals.damage))),
        (totals.warning, phrase(totals.warning, "warning")),
    ];
    let found: Vec<String> = kinds
        .into_iter()
        .filter(|(n, _)| *n > 0)
        .map(|(_, words)| words)
        .collect();
    if found.is_empty() {
        return format!("{lists}, {devices}: nothing found");
    }
    let passes = if checked.fails(options) {
        "does not pass"
    } else {
        "passes"
    };
    format!("{lists}, {devices}: {}; {passes}", found.join(", "))
}

fn block(
    rule: Rule,
    checked: &Checked,
    options: &Options,
    look: Look,
    out: &mut dyn Write,
) -> io::Result<()> {
    let severity = options.severity(rule).unwrap_or(rule.severity());
    let total = checked.total(rule);
    let by = match rule.repair() {
        Repair::Automatic => ", --fix",
        Repair::Decision | Repair::Source => "",
    };
    let (id, title) = (rule.id(), rule.title());
    let head = format!("{severity} {id} ({}{by}): {title}", count(total));
    writeln!(out)?;
    let mut lines = wrapped(&head, look.columns(), 4).into_iter();
    let first = lines.next().unwrap_or_default();
    let id_end = severity.as_str().len() + 1 + id.len();
    let (begin, rest) = first.split_at_checked(id_end).unwrap_or((&first, ""));
    writeln!(out, "{}{rest}", look.severity(severity, begin))?;
    for line in lines {
        writeln!(out, "{line}")?;
    }
    for (what, words) in [("effect: ", rule.effect()), ("fix:    ", rule.fix())] {
        let indent = 2 + what.len();
        for line in wrapped(&format!("  {what}{words}"), look.columns(), indent) {
            writeln!(out, "{}", look.dim(&line))?;
        }
    }
    let places = checked.findings.iter().filter(|f| f.rule == rule);
    let mut told = 0;
    for finding in places.take(usize::try_from(look.places).unwrap_or(usize::MAX)) {
        place(finding, &shown(&checked.lists[finding.list]), look, out)?;
        told += 1;
    }
    match total.saturating_sub(told) {
        0 => Ok(()),
        more => writeln!(out, "    and {} more", count(more)),
    }
}

fn place(finding: &Finding, file: &str, look: Look, out: &mut dyn Write) -> io::Result<()> {
    let place = finding.place;
    let mut at = format!("    {}:{}:{}", printable(file), place.line, place.column);
    if let Some(line) = place.server_line().filter(|line| *line != place.line) {
        let _ = write!(at, " (the server's Line {line})");
    }
    let message = printable(&finding.message);
    let whole = format!("{at}  {message}");
    if whole.chars().count() <= look.columns() {
        return writeln!(out, "{whole}");
    }
    writeln!(out, "{at}")?;
    for line in wrapped(&format!("{}{message}", " ".repeat(6)), look.columns(), 6) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

impl Look {
    pub(super) fn columns(self) -> usize {
        usize::from(self.width.clamp(60, 120))
    }

    fn verdict(self, checked: &Checked, options: &Options, text: &str) -> String {
        if checked.fails(options) {
            self.bad(text)
        } else if checked.worst().is_none() {
            self.good(text)
        } else {
            self.bold(text)
        }
    }

    fn severity(self, severity: Severity, text: &str) -> String {
        match severity {
            Severity::Error | Severity::Damage => self.bad(text),
            Severity::Warning => self.bold(text),
        }
    }
}

impl Paint for Look {
    fn color(&self) -> bool {
        self.color
    }
}

/// Lines of at most so many characters, all but the first indented. They are broken at blanks
/// alone, and no other blank is lost: a value must stay what it is, and a path whole.
pub(super) fn wrapped(text: &str, columns: usize, indent: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    for piece in text.split_inclusive(' ') {
        let length = piece.trim_end_matches(' ').chars().count();
        if used + length > columns && !line.trim().is_empty() {
            lines.push(line.trim_end_matches(' ').to_owned());
            line = " ".repeat(indent);
            used = indent;
        }
        line += piece;
        used += piece.chars().count();
    }
    lines.push(line.trim_end_matches(' ').to_owned());
    lines
}

/// A number and its noun: `1 list`, `12,345 lists`.
pub(super) fn phrase(n: u64, noun: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{} {noun}{s}", count(n))
}
