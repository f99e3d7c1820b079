//! `report.md`: a run on one page, for the summary of a CI job or a merge request.
//!
//! GitHub's and GitLab's dialect. Whatever comes from outside is made inert: it can neither end a
//! table's cell nor become a link, a mention or an element. Long lists are cut, and say so.

use std::cmp::Reverse;

use super::expectations::wrong;
use super::results::Results;
use super::search::{TRIAL_HEADS, cells, statement};
use super::text::{seconds, why};
use super::{downlink, gateway};
use crate::metrics::{Aborted, GeneratorVerdict, LatencyFigures, RunResult, Summary, word_hint};
use crate::model::{Outcome, Phase, printable, units};

/// The page.
pub fn markdown(results: &Results) -> String {
    let summary = &results.summary;
    let mut page = Vec::new();
    verdict(summary, &mut page);
    search(summary, &mut page);
    thresholds(summary, &mut page);
    devices(summary, &mut page);
    latency(summary, &mut page);
    cohorts(summary, &mut page);
    told("Downlink", &downlink::told(summary), &mut page);
    told("Gateways", &gateway::told(summary), &mut page);
    errors(results, &mut page);
    expectations(summary, &mut page);
    runs(summary, &mut page);
    foot(summary, &mut page);
    page.join("\n") + "\n"
}

fn verdict(summary: &Summary, page: &mut Vec<String>) {
    let sign = match summary.result {
        RunResult::Passed => "✅",
        RunResult::Failed => "❌",
        RunResult::Invalid | RunResult::Interrupted => "⚠️",
    };
    let (result, name) = (summary.result.as_str(), inert(&summary.scenario));
    page.push(format!("## {sign} {name}: {result}"));
    page.push(String::new());
    page.push(format!(
        "{} of {} devices provisioned in {}; {}.",
        units::count(summary.devices.provisioned),
        units::count(summary.devices.listed),
        seconds(summary.elapsed_s),
        why(summary),
    ));
    if let Some(part) = &summary.shard {
        page.push(String::new());
        page.push(format!("This is {} of a run.", part.words()));
    }
    let notes = summary.notes.iter();
    let reasons = summary.generator.reasons.iter();
    let reasons = reasons.map(|reason| format!("{}: {reason}", summary.generator.verdict.as_str()));
    let ended = summary.aborted.iter().map(Aborted::words);
    for note in notes.cloned().chain(ended).chain(reasons) {
        page.push(String::new());
        page.push(format!("> ⚠️ {}", inert(&note)));
    }
}

fn search(summary: &Summary, page: &mut Vec<String>) {
    let Some(search) = &summary.search else {
        return;
    };
    page.push(String::new());
    page.push("### Search".to_owned());
    for words in statement(summary) {
        page.push(String::new());
        page.push(inert(&words));
    }
    let heads = format!(
        "| {} |\n|--:|---|--:|--:|--:|--:|--:|---|",
        TRIAL_HEADS.join(" | ")
    );
    table(page, "", &heads);
    for trial in search.trials.iter().take(ROWS) {
        page.push(format!("| {} |", cells(trial).join(" | ")));
    }
    cut(search.trials.len(), page);
}

/// Sentences, if there are any.
fn told(title: &str, lines: &[String], page: &mut Vec<String>) {
    if lines.is_empty() {
        return;
    }
    page.extend([String::new(), format!("### {title}"), String::new()]);
    page.extend(
        lines
            .iter()
            .map(|line| format!("- {}", inert(line.trim_start()))),
    );
}

fn thresholds(summary: &Summary, page: &mut Vec<String>) {
    if summary.thresholds.is_empty() {
        return;
    }
    table(page, "", "| | threshold | observed |\n|---|---|---|");
    for judged in &summary.thresholds {
        let sign = if judged.passed { "✅" } else { "❌" };
        let (expression, observed) = (code(&judged.expression), inert(&judged.observed));
        page.push(format!("| {sign} | {expression} | {observed} |"));
    }
}

fn devices(summary: &Summary, page: &mut Vec<String>) {
    table(
        page,
        "Devices",
        "| outcome | devices | share |\n|---|--:|--:|",
    );
    for outcome in Outcome::ALL {
        let n = summary.devices.of(outcome);
        if n > 0 {
            let share = units::percent(n, summary.devices.listed);
            let word = outcome.as_str();
            page.push(format!("| {word} | {} | {share} |", units::count(n)));
        }
    }
}

/// Response times; of service times the 99th percentile, which shows where they differ.
fn latency(summary: &Summary, page: &mut Vec<String>) {
    if summary.phases.is_empty() {
        return;
    }
    let heads = "| phase | count | errors | p50 | p90 | p99 | p99.9 | max | service p99 |\n\
        |---|--:|--:|--:|--:|--:|--:|--:|--:|";
    table(page, "Latency", heads);
    for (phase, row) in &summary.phases {
        let shown = |us: u64| match row.count {
            0 => "–".to_owned(),
            _ => units::micros(us),
        };
        let us = &row.response_us;
        let figures = [us.p50, us.p90, us.p99, us.p999, us.max, row.service_us.p99].map(shown);
        page.push(format!(
            "| {} | {} | {} | {} |",
            phase.as_str(),
            units::count(row.count),
            units::count(row.errors),
            figures.join(" | "),
        ));
    }
    page.push(String::new());
    page.push("Response times, from the intended start; service times count from the send.".into());
}

fn cohorts(summary: &Summary, page: &mut Vec<String>) {
    if summary.cohorts.len() < 2 {
        return;
    }
    let heads = "| cohort | via | listed | provisioned | p50 | p99 |\n|---|---|--:|--:|--:|--:|";
    table(page, "Cohorts", heads);
    for (name, cohort) in summary.cohorts.iter().take(ROWS) {
        let row = cohort.phases.get(&Phase::TimeToProvision);
        let us = row.filter(|row| row.count > 0).map(|row| row.response_us);
        let shown = |of: fn(LatencyFigures) -> u64| {
            us.map_or_else(|| "–".to_owned(), |us| units::micros(of(us)))
        };
        page.push(format!(
            "| {} | {} | {} | {} | {} | {} |",
            code(name),
            cohort.transport.as_str(),
            units::count(cohort.devices.listed),
            units::count(cohort.devices.provisioned),
            shown(|us| us.p50),
            shown(|us| us.p99),
        ));
    }
    cut(summary.cohorts.len(), page);
}

/// By cause, with what it usually means and a device that it struck.
fn errors(results: &Results, page: &mut Vec<String>) {
    let summary = &results.summary;
    if summary.errors.is_empty() {
        return;
    }
    let named = results.failures.as_ref().map(super::Failures::rows);
    let named = named.unwrap_or_default();
    let heads = "| cause | count | what it usually means | such as |\n|---|--:|---|---|";
    table(page, "Errors", heads);
    let mut errors: Vec<_> = summary.errors.iter().collect();
    errors.sort_by_key(|(_, n)| Reverse(**n));
    for (cause, n) in errors.iter().take(ROWS) {
        let struck = named.iter().filter(|row| row.cause == **cause);
        let example = struck.flat_map(|row| &row.names).next();
        let example = example.map(|name| code(name)).unwrap_or_default();
        let (count, hint) = (units::count(**n), word_hint(cause));
        page.push(format!(
            "| {} | {count} | {} | {example} |",
            code(cause),
            inert(hint)
        ));
    }
    cut(errors.len(), page);
}

fn expectations(summary: &Summary, page: &mut Vec<String>) {
    if !summary.expectations.is_empty() {
        let heads = "| | cohort | does wrong | must be | observed |\n|---|---|---|---|---|";
        table(page, "Expectations", heads);
        for row in summary.expectations.iter().take(ROWS) {
            let sign = if row.off == 0 { "✅" } else { "❌" };
            let observed = row.observed.iter();
            let observed = observed.map(|(o, n)| format!("{} {}", units::count(*n), o.as_str()));
            page.push(format!(
                "| {sign} | {} | {} | {} | {} |",
                code(&row.cohort),
                wrong(row.misbehaviour),
                row.expected.as_str(),
                observed.collect::<Vec<_>>().join(", "),
            ));
        }
        cut(summary.expectations.len(), page);
    }
    let deviations = summary.expectations.iter().flat_map(|row| &row.deviations);
    let faults = deviations.map(|d| &d.message);
    let faults = faults.chain(summary.findings.iter().map(|finding| &finding.message));
    for (position, fault) in faults.take(ROWS).enumerate() {
        if position == 0 {
            page.push(String::new());
        }
        page.push(format!("* {}", inert(fault)));
    }
}

/// Of a merged result, what each run was.
fn runs(summary: &Summary, page: &mut Vec<String>) {
    if summary.runs.is_empty() {
        return;
    }
    let heads = "| run | started | took | provisioned | generator | result |\n\
        |--:|---|--:|--:|---|---|";
    table(page, "Runs", heads);
    for (number, run) in (1..).zip(summary.runs.iter().take(ROWS)) {
        let shard = run.shard.as_ref();
        let shard = shard.map_or_else(String::new, |part| format!(", {}", part.words()));
        page.push(format!(
            "| {number}{shard} | {} | {} | {} of {} | {} | {} |",
            inert(&run.started_at),
            seconds(run.elapsed_s),
            units::count(run.devices.provisioned),
            units::count(run.devices.listed),
            run.verdict.as_str(),
            run.result.as_str(),
        ));
    }
    cut(summary.runs.len(), page);
}

fn foot(summary: &Summary, page: &mut Vec<String>) {
    let generator = &summary.generator;
    let word = match generator.verdict {
        GeneratorVerdict::Valid => "Generator valid",
        GeneratorVerdict::Suspect => "Generator suspect: look at the reasons before quoting",
        GeneratorVerdict::Invalid => "Generator invalid: these figures may not be quoted",
    };
    page.push(String::new());
    page.push(format!(
        "{word}; start lag p99 {}, {} CPU, {} memory. Target {}, {} model, seed {}, started {}, \
         fleetcall {}.",
        units::micros(summary.lag_us.p99),
        seconds(generator.cpu_s),
        units::bytes(generator.peak_rss_bytes),
        code(&summary.target),
        inert(&summary.models()),
        summary.seed,
        inert(&summary.started_at),
        inert(&summary.fleetcall_version),
    ));
    if let Some(machine) = &summary.machine {
        page.push(String::new());
        page.push(format!("Machine: {}.", code(&machine.words())));
    }
}

fn table(page: &mut Vec<String>, title: &str, heads: &str) {
    page.push(String::new());
    if !title.is_empty() {
        page.push(format!("### {title}"));
        page.push(String::new());
    }
    page.extend(heads.lines().map(str::to_owned));
}

fn cut(rows: usize, page: &mut Vec<String>) {
    if rows > ROWS {
        page.push(String::new());
        page.push(format!("… and {} more, in summary.json.", rows - ROWS));
    }
}

/// A text from outside that stays text: what could mean something is a character reference, which
/// Markdown takes for nothing but the character. Mentions and references are looked for later, but
/// not in code.
pub(crate) fn inert(text: &str) -> String {
    let text = shortened(text);
    let address = text.to_ascii_lowercase().contains("www");
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let apart = chars
            .peek()
            .is_none_or(|next| *next == ' ' || next.is_ascii_digit());
        let before_letter = chars.peek().is_some_and(|next| next.is_alphabetic());
        match c {
            '@' | '#' => out.extend(["<code>", &reference(c), "</code>"]),
            // Some readers make a link of `limits.in`: a word, a point and a country's letters.
            '.' if !address && !before_letter => out.push(c),
            ':' if apart => out.push(c),
            _ if c.is_ascii_punctuation() && !HARMLESS.contains(c) => {
                out.push_str(&reference(c));
            }
            _ => out.push(c),
        }
    }
    out
}

fn reference(c: char) -> String {
    format!("&#{};", u32::from(c))
}

/// A word from outside as code, in which nothing means anything but a backtick and, within a table,
/// a bar.
/// A text from outside as code.
pub(crate) fn code(text: &str) -> String {
    let text = shortened(text);
    if text.is_empty() || text.trim() != text || text.contains(['`', '|', '\\']) {
        format!("<code>{}</code>", inert(&text))
    } else {
        format!("`{text}`")
    }
}

/// Bounded, and harmless on a terminal.
fn shortened(text: &str) -> String {
    super::style::fit(&printable(text), TEXT)
}

/// Punctuation that means nothing within a line.
const HARMLESS: &str = ",;%/()'?=-+";

/// Characters of one text at most.
const TEXT: usize = 200;

/// Rows of one table at most.
const ROWS: usize = 50;

#[cfg(test)]
mod tests {
    use super::super::fixture::{EVIL, hostile, results};
    use super::*;
    use crate::metrics::{fixture, merge};

    #[test]
    fn the_page_of_a_run() {
        insta::assert_snapshot!(markdown(&results()));
    }

    #[test]
    fn the_page_of_a_run_of_misbehaving_devices() {
        let mut results = results();
        results.summary = fixture::negative_summary();
        insta::assert_snapshot!(markdown(&results));
    }

    #[test]
    fn the_page_of_a_search() {
        let mut results = results();
        results.summary = crate::metrics::fixture::searched_summary();
        insta::assert_snapshot!(markdown(&results));
    }

    #[test]
    fn the_page_of_two_runs_has_a_row_for_each() {
        let (one, mut two) = (fixture::summary(), fixture::summary());
        two.started_at = "2026-11-23T04:00:00Z".to_owned();
        let mut results = results();
        results.summary = merge(vec![one, two]).expect("of one kind");
        let page = markdown(&results);
        let (_, runs) = page.split_once("### Runs").expect("several");
        assert_eq!(runs.matches("990 of 1,000").count(), 2, "{page}");
    }

    #[test]
    fn no_text_ends_its_cell_or_becomes_anything_else() {
        let page = markdown(&hostile());
        let mut bars = 0;
        for line in page.lines() {
            assert!(!line.contains(char::is_control), "{line:?}");
            if line.starts_with('|') {
                // Each row of a table has as many cells as its head.
                let row = line.matches('|').count();
                assert!(row == bars || bars == 0, "{line}");
                bars = row;
            } else {
                bars = 0;
            }
            // Outside of code nothing opens a link, an element, a mention.
            let prose: String = line.split('`').step_by(2).collect();
            for sign in ["](", "<script", "http:", "www.", "@team", " #1", "**", "~~"] {
                assert!(!prose.contains(sign), "{sign} in {prose}");
            }
        }
    }

    #[test]
    fn code_holds_what_it_is_given_whatever_that_is() {
        assert_eq!(code("AA:BB<x>&_*"), "`AA:BB<x>&_*`");
        assert_eq!(code("a|b"), "<code>a&#124;b</code>");
        assert_eq!(code("`"), "<code>&#96;</code>");
        assert_eq!(code(""), "<code></code>");
        for evil in EVIL {
            let code = code(evil);
            assert!(!code.contains(['|', '\n']), "{code}");
            assert!(code.matches('`').count().is_multiple_of(2), "{code}");
        }
    }

    #[test]
    fn a_page_stays_short_whatever_the_run() {
        let mut results = hostile();
        let cohort = results
            .summary
            .cohorts
            .values()
            .next()
            .expect("some")
            .clone();
        for n in 0..5_000 {
            let name = "x".repeat(500) + &n.to_string();
            results.summary.errors.insert(name.clone(), n);
            results.summary.cohorts.insert(name, cohort.clone());
        }
        let page = markdown(&results);
        assert!(page.len() < 200_000, "{}", page.len());
        assert!(page.contains("… and 4964 more"), "{page}");
    }
}
