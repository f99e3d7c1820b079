//! A comparison on one page, for the summary of a CI job or a merge request.

use super::comparison::{Comparison, MetricRow, Verdict};
use super::text::{change, changes, figure, interval, more_runs, name, sentence, terms};
use crate::report::{code, inert};

/// The page. Whatever comes from outside is inert.
pub fn markdown(comparison: &Comparison) -> String {
    let sign = sign(comparison.verdict);
    let verdict = comparison.verdict.as_str();
    let mut page = vec![
        format!("## {sign} {}: {verdict}", inert(&comparison.scenario)),
        String::new(),
        inert(&format!("{}.", sentence(comparison))),
        String::new(),
        inert(&format!("{}.", terms(comparison))),
    ];
    let warnings = comparison.warnings.iter().take(ROWS).cloned();
    for note in warnings.chain(more_runs(comparison)) {
        page.push(String::new());
        page.push(format!("> ⚠️ {}", inert(&note)));
    }
    let (told, quiet): (Vec<_>, Vec<_>) = comparison
        .metrics
        .iter()
        .partition(|row| row.verdict != Verdict::NoChange);
    table(&told, &mut page);
    if !quiet.is_empty() {
        page.push(String::new());
        let metrics = if quiet.len() == 1 {
            "metric"
        } else {
            "metrics"
        };
        page.push(format!(
            "<details><summary>{} {metrics} without a change</summary>",
            quiet.len()
        ));
        table(&quiet, &mut page);
        page.push(String::new());
        page.push("</details>".to_owned());
    }
    for line in changes(comparison).iter().take(ROWS) {
        page.push(String::new());
        page.push(inert(line));
    }
    runs(comparison, &mut page);
    page.join("\n") + "\n"
}

fn sign(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Regression => "❌",
        Verdict::Inconclusive => "⚠️",
        Verdict::Improvement | Verdict::NoChange => "✅",
    }
}

fn table(rows: &[&MetricRow], page: &mut Vec<String>) {
    if rows.is_empty() {
        return;
    }
    let mut rows = rows.to_vec();
    rows.sort_by_key(|row| std::cmp::Reverse(row.verdict));
    page.push(String::new());
    page.push("| | metric | baseline | candidate | change | 95 % interval | verdict |".to_owned());
    page.push("|---|---|--:|--:|--:|:-:|---|".to_owned());
    for row in rows.iter().take(ROWS) {
        let more = row
            .runs_needed
            .map(|n| format!(" (+{n} runs)"))
            .unwrap_or_default();
        page.push(format!(
            "| {} | {} | {} | {} | {} | {} | {}{more} |",
            sign(row.verdict),
            code(&name(row)),
            figure(row.unit, row.baseline),
            figure(row.unit, row.candidate),
            change(row.unit, row.change),
            interval(row),
            row.verdict.as_str(),
        ));
    }
    if rows.len() > ROWS {
        page.push(String::new());
        page.push(format!("… and {} more.", rows.len() - ROWS));
    }
}

fn runs(comparison: &Comparison, page: &mut Vec<String>) {
    page.push(String::new());
    page.push("| side | run | started | target | generator | result |".to_owned());
    page.push("|---|---|---|---|---|---|".to_owned());
    let sides = [
        ("baseline", &comparison.baseline),
        ("candidate", &comparison.candidate),
    ];
    for (side, runs) in sides {
        for run in runs.iter().take(ROWS) {
            page.push(format!(
                "| {side} | {} | {} | {} | {} | {} |",
                code(&run.path),
                inert(&run.started_at),
                code(&run.target),
                run.verdict,
                run.result,
            ));
        }
    }
}

/// Rows of one table at most.
const ROWS: usize = 50;
