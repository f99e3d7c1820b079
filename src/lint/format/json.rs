//! `--format json`: one object with `findings` and `summary`, a finding on each line.
//!
//! Keys that stand in docs/lists.md keep their names and meanings; others may be added.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{Totals, harmless, shown};
use crate::lint::Severity;
use crate::lint::check::Checked;
use crate::lint::options::Options;

#[derive(Serialize)]
struct Row<'a> {
    rule: &'static str,
    severity: &'static str,
    file: &'a str,
    line: u64,
    column: u64,
    record: Option<u64>,
    server_line: Option<u64>,
    message: &'a str,
    effect: &'static str,
    fix: &'static str,
    repair: &'static str,
    number: Option<u8>,
}

/// Writes the findings as JSON.
pub fn json(checked: &Checked, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    let files: Vec<String> = checked.lists.iter().map(shown).collect();
    out.write_all(b"{\"findings\":[")?;
    let mut gap = "\n";
    for finding in &checked.findings {
        out.write_all(gap.as_bytes())?;
        gap = ",\n";
        let (rule, place) = (finding.rule, finding.place);
        let row = Row {
            rule: rule.id(),
            severity: finding.severity.as_str(),
            file: &files[finding.list],
            line: place.line,
            column: place.column,
            record: place.record,
            server_line: place.server_line(),
            message: &finding.message,
            effect: rule.effect(),
            fix: rule.fix(),
            repair: rule.repair().as_str(),
            number: rule.number(),
        };
        harmless::write(&mut *out, &row)?;
    }
    out.write_all(b"\n],\n\"summary\":")?;
    harmless::write(&mut *out, &summary(checked, options, &files))?;
    out.write_all(b"}\n")
}

fn summary(checked: &Checked, options: &Options, files: &[String]) -> Value {
    let totals = Totals::of(checked, options);
    let lists: Vec<Value> = files
        .iter()
        .zip(&checked.lists)
        .map(|(file, list)| json!({ "file": file, "rows": list.rows }))
        .collect();
    json!({
        "files": checked.lists.len(),
        "rows": checked.rows(),
        "error": totals.error,
        "damage": totals.damage,
        "warning": totals.warning,
        "rule_set": options.rules.as_str(),
        "fail_on": options.fail_on.map_or("never", Severity::as_str),
        "passed": !checked.fails(options),
        "kept": checked.findings.len(),
        "kept_per_rule_and_file": options.kept,
        "rules": rules(checked, options),
        "lists": lists,
    })
}

/// How often each rule was broken, by its id.
pub(super) fn rules(checked: &Checked, options: &Options) -> Map<String, Value> {
    checked
        .rules()
        .into_iter()
        .map(|rule| {
            let severity = options.severity(rule).map(Severity::as_str);
            let count = checked.total(rule);
            let counts = json!({ "severity": severity, "count": count });
            (rule.id().to_owned(), counts)
        })
        .collect()
}
