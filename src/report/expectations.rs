//! What had to happen against what did, and proofs of the server's faults, within the text.

use super::style::{Style, fit, wrap};
use crate::metrics::{Aborted, Deviation, Example, ExpectationRow, Summary};
use crate::model::{Misbehaviour, Paint as _, printable, units};

/// A line per judged cohort; below those that did not go as expected, why and who.
pub(super) fn expectations(summary: &Summary, style: Style, out: &mut Vec<String>) {
    let rows = &summary.expectations;
    if rows.is_empty() {
        return;
    }
    let met = rows.iter().filter(|row| row.off == 0).count();
    out.push(String::new());
    out.push(format!(
        "{} {}",
        style.bold("Expectations"),
        style.dim(&format!("{met} of {} met", rows.len()))
    ));
    let columns = Columns::of(rows);
    let heads = columns.cells("cohort", "does wrong", "expected");
    out.push(style.dim(&format!("    {heads}observed")));
    for row in rows {
        columns.row(row, style, out);
        for deviation in &row.deviations {
            told(&deviation.message, &shown(row, deviation), style, out);
        }
    }
}

/// A line per kind of proof.
pub(super) fn findings(summary: &Summary, style: Style, out: &mut Vec<String>) {
    if summary.findings.is_empty() {
        return;
    }
    out.push(String::new());
    out.push(format!(
        "{} {}",
        style.bold("Findings"),
        style.dim("what no single device shows")
    ));
    for finding in &summary.findings {
        let sign = style.bad("✗");
        let message = fit(&printable(&finding.message), style.columns() - 4);
        out.push(format!("  {sign} {message}"));
        let together = |names: &Vec<String>| {
            let names: Vec<String> = names.iter().map(|name| short(name)).collect();
            names.join(" and ")
        };
        let shown: Vec<String> = finding.examples.iter().take(SHOWN).map(together).collect();
        examples(&shown, style, out);
    }
}

/// What nobody may overlook, at the top.
pub(super) fn notes(summary: &Summary, style: Style, out: &mut Vec<String>) {
    let ended = summary.aborted.iter().map(Aborted::words);
    for note in summary.notes.iter().cloned().chain(ended) {
        for (line, text) in wrap(&printable(&note), style.columns() - 4)
            .iter()
            .enumerate()
        {
            let sign = if line == 0 { '!' } else { ' ' };
            out.push(format!("  {}", style.bad(&format!("{sign} {text}"))));
        }
    }
}

/// How wide the columns are.
struct Columns {
    cohort: usize,
    misbehaviour: usize,
    expected: usize,
}

impl Columns {
    fn of(rows: &[ExpectationRow]) -> Self {
        let widest = |head: &str, cells: &mut dyn Iterator<Item = usize>| {
            cells.max().unwrap_or(0).max(head.len()) + 2
        };
        let names = rows
            .iter()
            .map(|row| printable(&row.cohort).chars().count());
        let wrong = rows
            .iter()
            .map(|row| wrong(row.misbehaviour).chars().count());
        let expected = rows.iter().map(|row| row.expected.as_str().len());
        Self {
            cohort: widest("cohort", &mut names.map(|name| name.min(NAME))),
            misbehaviour: widest("does wrong", &mut { wrong }),
            expected: widest("expected", &mut { expected }),
        }
    }

    fn cells(&self, cohort: &str, wrong: &str, expected: &str) -> String {
        format!(
            "{cohort:<0$}{wrong:<1$}{expected:<2$}",
            self.cohort, self.misbehaviour, self.expected
        )
    }

    /// What was observed continues below itself where there is too much of it for one line.
    fn row(&self, row: &ExpectationRow, style: Style, out: &mut Vec<String>) {
        let cohort = fit(&printable(&row.cohort), NAME);
        let cells = self.cells(&cohort, wrong(row.misbehaviour), row.expected.as_str());
        let observed: Vec<String> = row
            .observed
            .iter()
            .map(|(observed, n)| format!("{} {}", observed.as_str(), units::short_count(*n)))
            .collect();
        let used = 4 + cells.chars().count();
        let room = style.columns().saturating_sub(used);
        // A count stays with its word.
        let observed = observed
            .join(", ")
            .replace(' ', "\u{a0}")
            .replace(",\u{a0}", ", ");
        for (line, text) in wrap(&observed, room).iter().enumerate() {
            let text = text.replace('\u{a0}', " ");
            if line == 0 {
                let sign = if row.off == 0 {
                    style.good("✓")
                } else {
                    style.bad("✗")
                };
                out.push(format!("  {sign} {cells}{text}").trim_end().to_owned());
            } else {
                out.push(format!("{:used$}{text}", ""));
            }
        }
    }
}

pub(super) fn wrong(misbehaviour: Option<Misbehaviour>) -> &'static str {
    misbehaviour.map_or("–", Misbehaviour::as_str)
}

/// The fault, and some of those that show it.
fn told(message: &str, devices: &[String], style: Style, out: &mut Vec<String>) {
    for line in wrap(&printable(message), style.columns() - 6) {
        out.push(format!("      {line}"));
    }
    examples(devices, style, out);
}

fn examples(shown: &[String], style: Style, out: &mut Vec<String>) {
    if !shown.is_empty() {
        let line = format!("e.g. {}", shown.join(", "));
        out.push(format!(
            "      {}",
            style.dim(&fit(&line, style.columns() - 6))
        ));
    }
}

fn shown(row: &ExpectationRow, deviation: &Deviation) -> Vec<String> {
    let alike = |example: &&Example| example.observed == deviation.observed;
    let examples = row.examples.iter().filter(alike).take(SHOWN);
    examples.map(|example| short(&example.device)).collect()
}

/// A device's name, harmless and short enough for three of them on a line.
fn short(name: &str) -> String {
    fit(&printable(name), 22)
}

/// Examples shown of each fault.
const SHOWN: usize = 3;
/// Columns for a cohort's name.
const NAME: usize = 20;

#[cfg(test)]
mod tests {
    use super::super::text::text;
    use super::*;
    use crate::metrics::fixture;

    const PLAIN: Style = Style {
        color: false,
        width: 80,
    };

    #[test]
    fn the_text_of_a_run_of_misbehaving_devices() {
        insta::assert_snapshot!(text(&fixture::negative_summary(), PLAIN));
    }

    #[test]
    fn twenty_rows_stay_a_line_each_and_hostile_names_within_theirs() {
        let mut summary = fixture::negative_summary();
        let mut row = summary.expectations[1].clone();
        let evil = "\x1b[2J\r\nname\u{202e}".to_owned() + &"x".repeat(300);
        let mut bad = summary.expectations[2].clone();
        bad.cohort.clone_from(&evil);
        bad.observed.values_mut().for_each(|n| *n = u64::MAX);
        bad.deviations[0].message.clone_from(&evil);
        for example in &mut bad.examples {
            example.device.clone_from(&evil);
        }
        row.misbehaviour = Some(Misbehaviour::ExpiredCertificate);
        summary.expectations = vec![row; 19];
        summary.expectations.push(bad);
        summary.findings[0].examples = vec![vec![evil.clone(), evil.clone()]; 5];
        summary.notes = vec![evil];
        let mut out = Vec::new();
        expectations(&summary, PLAIN, &mut out);
        assert!(out.len() <= 3 + 19 + 3 + 3 * 3, "{}", out.join("\n"));
        findings(&summary, PLAIN, &mut out);
        notes(&summary, PLAIN, &mut out);
        for line in &out {
            assert!(line.chars().count() <= 80, "{line}");
            assert!(!line.chars().any(char::is_control), "{line:?}");
            assert!(
                !line.contains('\u{202e}') && !line.ends_with(' '),
                "{line:?}"
            );
        }
    }

    #[test]
    fn a_run_that_states_nothing_has_none_of_it() {
        let summary = fixture::summary();
        let mut out = Vec::new();
        expectations(&summary, PLAIN, &mut out);
        findings(&summary, PLAIN, &mut out);
        notes(&summary, PLAIN, &mut out);
        assert_eq!(out, Vec::<String>::new());
    }
}
