//! A comparison as a person reads it: the verdict, what has to be known, then each metric.

use super::comparison::{Comparison, MetricRow, Unit, Verdict};
use crate::model::{Paint as _, printable, units};
use crate::report::{Style, wrap};

/// The whole text, ending with a line end.
pub fn text(comparison: &Comparison, style: Style) -> String {
    let mut out = vec![headline(comparison, style)];
    out.extend(wrapped("", &terms(comparison), style));
    for warning in &comparison.warnings {
        let mut lines = wrapped("! ", &printable(warning), style);
        lines[0] = style.bad(&lines[0]);
        out.append(&mut lines);
    }
    if let Some(more) = more_runs(comparison) {
        let mut lines = wrapped("", &more, style);
        lines[0] = style.bad(&lines[0]);
        out.append(&mut lines);
    }
    metrics(comparison, style, &mut out);
    effects(comparison, style, &mut out);
    not_judged(comparison, style, &mut out);
    history(comparison, style, &mut out);
    out.join("\n") + "\n"
}

/// What came out, in one sentence without colours.
pub(super) fn sentence(comparison: &Comparison) -> String {
    let at = |verdict| comparison.places(verdict).join(", ");
    let of = comparison.family;
    let count = |verdict| comparison.count(verdict);
    match comparison.verdict {
        Verdict::Regression => format!(
            "{} of {of} metrics are worse: {}",
            count(Verdict::Regression),
            at(Verdict::Regression)
        ),
        Verdict::Inconclusive if of == 0 => "there is nothing that could be judged".to_owned(),
        Verdict::Inconclusive => format!(
            "the data cannot tell for {} of {of} metrics: {}",
            count(Verdict::Inconclusive),
            at(Verdict::Inconclusive)
        ),
        Verdict::Improvement => format!(
            "{} of {of} metrics are better, none is worse: {}",
            count(Verdict::Improvement),
            at(Verdict::Improvement)
        ),
        Verdict::NoChange => format!("none of {of} metrics is worse by more than is tolerated"),
    }
}

fn headline(comparison: &Comparison, style: Style) -> String {
    let word = comparison.verdict.as_str().to_uppercase();
    let word = match comparison.verdict {
        Verdict::Regression | Verdict::Inconclusive => style.bad(&word),
        Verdict::Improvement | Verdict::NoChange => style.good(&word),
    };
    format!("{word}  {}", style.bold(&sentence(comparison)))
}

/// What was held against what, and by which measure.
pub(super) fn terms(comparison: &Comparison) -> String {
    let runs = |n: usize| {
        if n == 1 {
            "1 run".to_owned()
        } else {
            format!("{n} runs")
        }
    };
    format!(
        "{}: {} against {} of the baseline; tolerated are {} and {}, of shares {}; intervals are of {}, \
         verdicts by Holm over {} metrics",
        printable(&comparison.scenario),
        runs(comparison.candidate.len()),
        runs(comparison.baseline.len()),
        units::share(comparison.tolerance),
        units::micros(comparison.floor_us),
        units::share(comparison.share_floor),
        units::share(comparison.confidence),
        comparison.family,
    )
}

/// How many more runs would tell.
pub(super) fn more_runs(comparison: &Comparison) -> Option<String> {
    let open = comparison.of(Verdict::Inconclusive);
    let needed: Vec<Option<u32>> = open.map(|row| row.runs_needed).collect();
    let known = needed.iter().flatten();
    let (least, most) = (known.clone().min()?, known.max()?);
    let single = comparison.baseline.len() + comparison.candidate.len() == 2;
    let least_word = if single { "at least " } else { "" };
    let range = if least == most {
        format!("{most} more runs")
    } else {
        format!("{least} to {most} more runs")
    };
    Some(format!(
        "{least_word}{range} of each side would tell, if effects are as they look"
    ))
}

fn metrics(comparison: &Comparison, style: Style, out: &mut Vec<String>) {
    let mut rows: Vec<&MetricRow> = comparison.metrics.iter().collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.verdict));
    let names: Vec<String> = rows.iter().map(|row| name(row)).collect();
    let Some(width) = names.iter().map(|name| name.chars().count()).max() else {
        return;
    };
    out.push(String::new());
    let head = format!(
        "{:width$} {:>9} {:>9} {:>8}  {:<19}  verdict",
        "metric", "baseline", "candidate", "change", "interval"
    );
    out.push(style.dim(&head));
    for (row, name) in rows.iter().zip(&names) {
        let verdict = row.verdict.as_str();
        let verdict = match row.verdict {
            Verdict::Regression | Verdict::Inconclusive => style.bad(verdict),
            Verdict::Improvement => style.good(verdict),
            Verdict::NoChange => verdict.to_owned(),
        };
        let more = row
            .runs_needed
            .map(|n| format!(" (+{n} runs)"))
            .unwrap_or_default();
        out.push(format!(
            "{name:width$} {:>9} {:>9} {:>8}  {:<19}  {verdict}{more}",
            figure(row.unit, row.baseline),
            figure(row.unit, row.candidate),
            change(row.unit, row.change),
            interval(row),
        ));
    }
}

/// Whose metric, if not that of all.
pub(super) fn name(row: &MetricRow) -> String {
    match &row.cohort {
        None => row.metric.clone(),
        Some(cohort) => format!("{}: {}", printable(cohort), row.metric),
    }
}

pub(super) fn figure(unit: Unit, value: f64) -> String {
    match unit {
        #[expect(clippy::cast_sign_loss, reason = "a float below 0 is cast to 0")]
        Unit::Us => units::micros(value.round() as u64),
        Unit::PerS => units::rate(value),
        Unit::Share => units::share(value),
    }
}

/// As `+4.2 %`; of shares in percentage points.
pub(super) fn change(unit: Unit, value: f64) -> String {
    let sign = if unit == Unit::Share { "pp" } else { "%" };
    let percent = value * 100.0;
    if percent.abs() >= 999.5 {
        format!("{percent:+.0} {sign}")
    } else {
        format!("{percent:+.1} {sign}")
    }
}

pub(super) fn interval(row: &MetricRow) -> String {
    let [low, high] = [row.change_low, row.change_high].map(|value| {
        // Beyond this an interval only says that nothing is known.
        let percent = (value * 100.0).min(9_999.0);
        format!("{percent:+.1}")
    });
    format!("{low} … {high}")
}

fn effects(comparison: &Comparison, style: Style, out: &mut Vec<String>) {
    if comparison.effects.is_empty() {
        return;
    }
    let effects = comparison.effects.iter();
    let told = effects.map(|row| match row.time.as_str() {
        "response" => format!("{} {:.2}", row.phase, row.a12),
        time => format!("{}.{time} {:.2}", row.phase, row.a12),
    });
    let told = told.collect::<Vec<_>>().join(", ");
    out.push(String::new());
    let what =
        "How often a time of the candidate is the longer one (A12; 0.50 is as often as not): ";
    out.extend(wrapped("", &format!("{what}{told}"), style));
}

fn not_judged(comparison: &Comparison, style: Style, out: &mut Vec<String>) {
    if comparison.not_judged.is_empty() {
        return;
    }
    out.push(String::new());
    let names = comparison.not_judged.iter().map(|row| match &row.cohort {
        None => row.metric.clone(),
        Some(cohort) => format!("{}: {}", printable(cohort), row.metric),
    });
    let names = names.collect::<Vec<_>>().join(", ");
    out.extend(wrapped(
        "",
        &format!("The data are too few to judge {names}"),
        style,
    ));
}

fn history(comparison: &Comparison, style: Style, out: &mut Vec<String>) {
    let told = changes(comparison);
    if !told.is_empty() {
        out.push(String::new());
    }
    out.extend(told.iter().flat_map(|line| wrapped("", line, style)));
}

/// What the history says, line by line.
pub(super) fn changes(comparison: &Comparison) -> Vec<String> {
    let Some(history) = &comparison.history else {
        return Vec::new();
    };
    let many = history.changes.len();
    let entries = history.entries;
    let mut lines = vec![match many {
        0 => format!("History of {entries} entries: no lasting change"),
        1 => format!("History of {entries} entries: 1 lasting change"),
        _ => format!("History of {entries} entries: {many} lasting changes"),
    }];
    lines.extend(history.changes.iter().map(|change| {
        let commit = change
            .commit
            .as_ref()
            .map(|commit| format!(", commit {}", printable(commit)));
        format!(
            "{}: {} to {}, since {}{}",
            printable(&change.metric),
            figure(change.unit, change.before),
            figure(change.unit, change.after),
            printable(&change.started_at),
            commit.unwrap_or_default(),
        )
    }));
    lines
}

fn wrapped(mark: &str, text: &str, style: Style) -> Vec<String> {
    let lines = wrap(text, style.columns() - mark.chars().count());
    let lines = lines
        .into_iter()
        .enumerate()
        .map(|(line, text)| match line {
            0 => format!("{mark}{text}"),
            _ => format!("{}{text}", " ".repeat(mark.chars().count())),
        });
    lines.collect()
}
