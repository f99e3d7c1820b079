//! What a capacity search found: the same words and rows for every form of the report.

use super::style::{Style, fit, wrap};
use crate::metrics::{SearchSummary, Summary, TrialSummary};
use crate::model::{Paint as _, SearchEnd, TrialVerdict, printable, units};

/// The block within the text.
pub(super) fn search(summary: &Summary, style: Style, out: &mut Vec<String>) {
    let Some(search) = &summary.search else {
        return;
    };
    out.push(String::new());
    out.push(style.bold("Search"));
    for words in statement(summary) {
        let lines = wrap(&printable(&words), style.columns() - 4);
        for (n, line) in lines.iter().enumerate() {
            let indent = if n == 0 { "  " } else { "    " };
            out.push(format!("{indent}{line}"));
        }
    }
    out.push(style.dim(&row(&TRIAL_HEADS, style)));
    for trial in &search.trials {
        let line = row(&cells(trial).each_ref().map(String::as_str), style);
        out.push(match trial.verdict {
            Some(TrialVerdict::Held) => style.good(&line),
            Some(TrialVerdict::Broken) => style.bad(&line),
            Some(TrialVerdict::Generator) | None => line,
        });
    }
}

fn row(
    [n, why, offered, achieved, devices, p50, p99, verdict]: &[&str; 8],
    style: Style,
) -> String {
    let line = format!(
        "  {n:>5} {why:<8} {offered:>9} {achieved:>9} {devices:>8} {p50:>9} {p99:>9}  {verdict}"
    );
    fit(&line, style.columns())
}

/// What was found, then what that means: sentences, the statement first.
pub(super) fn statement(summary: &Summary) -> Vec<String> {
    let Some(search) = &summary.search else {
        return Vec::new();
    };
    let mut words = vec![found(search)];
    if let (Some(need), Some(room)) = (search.need_per_s, search.head_room) {
        let percent = room.abs() * 100.0;
        words.push(if room >= 0.0 {
            format!("{need:.1}/s are needed: {percent:.1} % head-room.")
        } else {
            format!("{need:.1}/s are needed: {percent:.1} % too little.")
        });
    }
    if let Some(broke) = &search.broke_first {
        let conditions = broke
            .conditions
            .iter()
            .map(|c| format!("{}, observed {}", c.expression, c.observed));
        let conditions: Vec<_> = conditions.collect();
        words.push(format!(
            "Broke first, at {:.1}/s (trial {}): {}.",
            broke.rate_per_s,
            broke.trial,
            conditions.join("; ")
        ));
        let mut errors: Vec<_> = broke.errors.iter().collect();
        errors.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
        let errors: Vec<_> = errors
            .into_iter()
            .take(CAUSES)
            .map(|(cause, n)| format!("{} {cause}", units::count(*n)))
            .collect();
        if !errors.is_empty() {
            words.push(format!("Errors there: {}.", errors.join(", ")));
        }
    }
    if summary.untouched() > 0 {
        let devices = units::count(summary.untouched());
        words.push(format!(
            "{devices} devices of the list were not needed: nothing was sent for them."
        ));
    }
    words
}

fn found(search: &SearchSummary) -> String {
    let rate = |rate: Option<f64>| rate.map_or_else(|| "–".to_owned(), |rate| format!("{rate:.1}"));
    let bracket = &search.bracket;
    let (held, broken) = (rate(bracket.held_per_s), rate(bracket.broken_per_s));
    let known = match (bracket.held_per_s, bracket.broken_per_s) {
        (None, None) => "no rate was judged".to_owned(),
        (Some(_), None) => format!("{held}/s held"),
        (None, Some(_)) => format!("{broken}/s did not hold"),
        (Some(_), Some(_)) => format!("{held}/s held, {broken}/s did not"),
    };
    match search.ended {
        SearchEnd::Found => {
            format!("{held} devices per second hold, {broken} do not.")
        }
        SearchEnd::HeldAtTo => {
            format!("At least {held} devices per second hold: more were not tried.")
        }
        SearchEnd::BrokenAtFrom => {
            format!("Not even {broken} devices per second hold: less was not tried.")
        }
        SearchEnd::GeneratorLimited => format!(
            "No capacity: the generator was the limit, not the target. It drove up to {}/s; {known}.",
            rate(search.generator_drove_per_s)
        ),
        SearchEnd::TrialsUsedUp => {
            format!("No capacity yet: all trials were used up. So far, {known}.")
        }
        SearchEnd::ListUsedUp => {
            format!("No capacity yet: the list had no devices left. So far, {known}.")
        }
        SearchEnd::Interrupted => format!("Interrupted. So far, {known}."),
    }
}

/// A trial as a row below [`TRIAL_HEADS`].
pub(super) fn cells(trial: &TrialSummary) -> [String; 8] {
    let none = || "–".to_owned();
    let us = trial.response_us;
    [
        trial.trial.to_string(),
        trial.purpose.as_str().to_owned(),
        format!("{:.1}/s", trial.rate_per_s),
        trial
            .achieved_per_s
            .map_or_else(none, |rate| format!("{rate:.1}/s")),
        trial
            .devices
            .map_or_else(none, |devices| units::count(devices.listed)),
        us.map_or_else(none, |us| units::micros(us.p50)),
        us.map_or_else(none, |us| units::micros(us.p99)),
        trial
            .verdict
            .map_or("cut off", TrialVerdict::as_str)
            .to_owned(),
    ]
}

/// What stands above the cells of a trial.
pub(super) const TRIAL_HEADS: [&str; 8] = [
    "trial", "why", "offered", "achieved", "devices", "p50", "p99", "verdict",
];

/// Causes named for the rate that broke first.
const CAUSES: usize = 3;
