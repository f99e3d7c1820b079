//! What the page says, in words and figures ready to be set.

use std::cmp::Reverse;

use serde::Serialize;

use super::tables::{self, LatencyLine, Parts};
use crate::metrics::{
    Aborted, CarriedError, ExpectationRow, GeneratorVerdict, RunResult, Summary, word_hint,
};
use crate::model::{Outcome, printable, units};
use crate::report::expectations::wrong;
use crate::report::results::Results;
use crate::report::text::{seconds, why};
use crate::report::{SLOWEST_MAX, downlink, gateway, generator, reconnects, rotations};

/// Everything but the charts.
#[derive(Debug, Serialize)]
pub(super) struct Page {
    scenario: String,
    result: &'static str,
    headline: String,
    facts: Vec<[String; 2]>,
    notes: Vec<String>,
    search: Option<tables::SearchPart>,
    thresholds: Vec<Condition>,
    outcomes: Vec<OutcomeLine>,
    bar: Vec<Part>,
    latency: Vec<LatencyLine>,
    words: Vec<String>,
    marks: Vec<[String; 3]>,
    marks_cut: usize,
    errors: Vec<ErrorLine>,
    errors_cut: usize,
    expectations: Vec<ExpectationLine>,
    faults: Vec<Fault>,
    parts: Vec<Parts>,
    cohorts_cut: usize,
    slowest: Vec<[String; 3]>,
    slowest_max: usize,
    attention: Vec<Attention>,
    blocks: Vec<Block>,
    telemetry: Option<String>,
    verdict: &'static str,
    verdict_words: &'static str,
    generator: Vec<[String; 2]>,
    runs: Vec<tables::RunLine>,
    runs_cut: usize,
    scenario_toml: String,
    origin: Vec<[String; 2]>,
}

#[derive(Debug, Serialize)]
struct Condition {
    expression: String,
    observed: String,
    passed: bool,
}

#[derive(Debug, Serialize)]
struct OutcomeLine {
    outcome: &'static str,
    count: String,
    share: String,
    meaning: &'static str,
    alarming: bool,
}

/// A part of the bar, in thousandths of its width.
#[derive(Debug, Serialize)]
struct Part {
    outcome: &'static str,
    from: f64,
    width: f64,
}

#[derive(Debug, Serialize)]
struct ErrorLine {
    cause: String,
    count: String,
    hint: &'static str,
    example: Option<String>,
}

#[derive(Debug, Serialize)]
struct ExpectationLine {
    cohort: String,
    wrong: String,
    expected: &'static str,
    observed: String,
    met: bool,
}

#[derive(Debug, Serialize)]
struct Fault {
    message: String,
    examples: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Block {
    title: &'static str,
    lines: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Attention {
    outcome: &'static str,
    cause: String,
    count: String,
    names: Vec<String>,
}

pub(super) fn page(results: &Results) -> Result<Page, CarriedError> {
    let summary = &results.summary;
    let marks = results.timeline.iter().flat_map(|t| &t.marks);
    let ended = summary.aborted.iter().map(Aborted::words);
    let (errors, errors_cut) = errors(results);
    Ok(Page {
        scenario: text(&summary.scenario),
        result: summary.result.as_str(),
        headline: headline(summary),
        facts: facts(summary),
        notes: summary
            .notes
            .iter()
            .cloned()
            .chain(ended)
            .map(|n| text(&n))
            .collect(),
        search: tables::search(summary),
        thresholds: thresholds(summary),
        outcomes: Outcome::ALL
            .map(|outcome| outcome_line(summary, outcome))
            .into(),
        bar: bar(summary),
        latency: tables::latency(summary),
        words: tables::words(summary),
        marks_cut: marks.clone().count().saturating_sub(ROWS),
        marks: (1..)
            .zip(marks)
            .take(ROWS)
            .map(|(n, m)| tables::mark(n, m))
            .collect(),
        errors,
        errors_cut,
        expectations: summary
            .expectations
            .iter()
            .take(ROWS)
            .map(expectation)
            .collect(),
        faults: faults(summary),
        parts: tables::parts(summary)?,
        cohorts_cut: summary.cohorts.len().saturating_sub(ROWS),
        slowest: tables::slowest(results),
        slowest_max: SLOWEST_MAX,
        attention: attention(results),
        blocks: blocks(summary),
        telemetry: telemetry(summary),
        verdict: summary.generator.verdict.as_str(),
        verdict_words: verdict_words(summary.generator.verdict),
        generator: generator_lines(summary),
        runs: tables::runs(summary),
        runs_cut: summary.runs.len().saturating_sub(ROWS),
        scenario_toml: lines(&summary.scenario_toml),
        origin: origin(summary),
    })
}

fn headline(summary: &Summary) -> String {
    let why = match summary.result {
        RunResult::Failed => why(summary).replace(", see below", ""),
        _ => why(summary).to_owned(),
    };
    format!(
        "{} of {} devices provisioned in {}; {why}.",
        units::count(summary.devices.provisioned),
        units::count(summary.devices.listed),
        seconds(summary.elapsed_s),
    )
}

fn facts(summary: &Summary) -> Vec<[String; 2]> {
    let model = format!("{} model", summary.models());
    let digest: String = summary.schedule_digest.chars().take(12).collect();
    let shard = summary.shard.as_ref();
    let shard = shard.map_or_else(String::new, |part| format!(", {}", part.words()));
    let facts = [
        ("target", summary.target.clone()),
        ("started", summary.started_at.clone()),
        ("arrival", model),
        ("seed", summary.seed.to_string()),
        ("schedule", digest + &shard),
        ("fleetcall", summary.fleetcall_version.clone()),
    ];
    facts
        .map(|(name, value)| [name.to_owned(), text(&value)])
        .into()
}

fn thresholds(summary: &Summary) -> Vec<Condition> {
    let judged = summary.thresholds.iter();
    judged
        .map(|judged| Condition {
            expression: text(&judged.expression),
            observed: text(&judged.observed),
            passed: judged.passed,
        })
        .collect()
}

fn outcome_line(summary: &Summary, outcome: Outcome) -> OutcomeLine {
    let n = summary.devices.of(outcome);
    OutcomeLine {
        outcome: outcome.as_str(),
        count: units::count(n),
        share: units::percent(n, summary.devices.listed),
        meaning: match outcome {
            Outcome::Provisioned => "the server said SUCCESS, and the credentials are recorded",
            Outcome::Refused => "the server said no, in its API's words",
            Outcome::Failed => "network, protocol or time-out: not provisioned for certain",
            Outcome::Unknown => "sent, and no usable answer came: may be provisioned",
            Outcome::Unfinished => "not started, or cut off before the request was sent",
        },
        alarming: summary.alarming(outcome) > 0,
    }
}

fn bar(summary: &Summary) -> Vec<Part> {
    let listed = summary.devices.listed.max(1) as f64;
    let mut from = 0.0;
    let parts = Outcome::ALL.into_iter().filter_map(|outcome| {
        let n = summary.devices.of(outcome);
        let width = n as f64 / listed * 1_000.0;
        let part = Part {
            outcome: outcome.as_str(),
            from,
            // One device of a million is seen as well.
            width: width.max(2.0),
        };
        from += width;
        (n > 0).then_some(part)
    });
    parts.collect()
}

/// By cause, the most frequent first, and how many are left out.
fn errors(results: &Results) -> (Vec<ErrorLine>, usize) {
    let summary = &results.summary;
    let named = results.failures.as_ref().map(crate::report::Failures::rows);
    let named = named.unwrap_or_default();
    let mut errors: Vec<_> = summary.errors.iter().collect();
    errors.sort_by_key(|(_, n)| Reverse(**n));
    let lines = errors.iter().take(ROWS).map(|(cause, n)| {
        let struck = named.iter().filter(|row| row.cause == **cause);
        ErrorLine {
            cause: text(cause),
            count: units::count(**n),
            hint: word_hint(cause),
            example: struck
                .flat_map(|row| &row.names)
                .next()
                .map(|name| text(name)),
        }
    });
    (lines.collect(), errors.len().saturating_sub(ROWS))
}

fn expectation(row: &ExpectationRow) -> ExpectationLine {
    let observed = row.observed.iter();
    let observed = observed.map(|(o, n)| format!("{} {}", units::count(*n), o.as_str()));
    ExpectationLine {
        cohort: text(&row.cohort),
        wrong: wrong(row.misbehaviour).to_owned(),
        expected: row.expected.as_str(),
        observed: observed.collect::<Vec<_>>().join(", "),
        met: row.off == 0,
    }
}

/// What the server did wrong, with devices that show it.
fn faults(summary: &Summary) -> Vec<Fault> {
    let told = summary.expectations.iter().flat_map(|row| {
        row.deviations.iter().map(|deviation| {
            let shown = row.examples.iter();
            let shown = shown.filter(|e| e.observed == deviation.observed);
            Fault {
                message: format!("{}: {}", text(&row.cohort), text(&deviation.message)),
                examples: shown.map(|example| text(&example.device)).collect(),
            }
        })
    });
    let found = summary.findings.iter().map(|finding| Fault {
        message: text(&finding.message),
        examples: finding
            .examples
            .iter()
            .map(|names| text(&names.join(" and ")))
            .collect(),
    });
    told.chain(found).take(ROWS).collect()
}

fn attention(results: &Results) -> Vec<Attention> {
    let rows = results.failures.as_ref().map(crate::report::Failures::rows);
    let rows = rows.unwrap_or_default().into_iter().take(ROWS);
    rows.map(|row| Attention {
        outcome: row.outcome.as_str(),
        cause: text(&row.cause),
        count: units::count(row.count),
        names: row
            .names
            .iter()
            .take(NAMES)
            .map(|name| text(name))
            .collect(),
    })
    .collect()
}

/// What only some runs have.
fn blocks(summary: &Summary) -> Vec<Block> {
    let blocks = [
        ("Sessions lost and found again", reconnects::told(summary)),
        ("Rotations of certificates", rotations::told(summary)),
        ("What devices were sent", downlink::told(summary)),
        ("Gateways", gateway::told(summary)),
    ];
    let blocks = blocks.into_iter().filter(|(_, lines)| !lines.is_empty());
    blocks
        .map(|(title, lines)| Block { title, lines })
        .collect()
}

fn telemetry(summary: &Summary) -> Option<String> {
    let counts = summary.telemetry.counts;
    (counts.sent > 0).then(|| {
        format!(
            "{} messages sent, {} acknowledged, {} lost; {} over the whole run, ramps included.",
            units::count(counts.sent),
            units::count(counts.acked),
            units::count(counts.lost),
            units::rate(summary.telemetry.rate_per_s),
        )
    })
}

fn verdict_words(verdict: GeneratorVerdict) -> &'static str {
    match verdict {
        GeneratorVerdict::Valid => {
            "No limit was crossed: the generator was not the limit, as far as can be seen."
        }
        GeneratorVerdict::Suspect => "Look at the reasons before quoting a figure.",
        GeneratorVerdict::Invalid => {
            "The generator itself was the limit: these figures may not be quoted."
        }
    }
}

fn generator_lines(summary: &Summary) -> Vec<[String; 2]> {
    let reasons = summary
        .generator
        .reasons
        .iter()
        .map(|why| ("reason", why.clone()));
    let told = generator::told(summary, true);
    let mut lines: Vec<[String; 2]> = Vec::new();
    for (name, line) in reasons.chain(told) {
        match lines.last_mut() {
            // It goes on with the one before.
            Some([_, before]) if name.is_empty() => {
                before.push_str("; ");
                before.push_str(&text(&line));
            }
            _ => lines.push([name.to_owned(), text(&line)]),
        }
    }
    lines
}

fn origin(summary: &Summary) -> Vec<[String; 2]> {
    let seed = summary.seed.to_string();
    let told = [
        ("fleetcall", &summary.fleetcall_version),
        ("seed", &seed),
        ("schedule, SHA-256", &summary.schedule_digest),
    ];
    let told = told.into_iter().filter(|(_, value)| !value.is_empty());
    told.map(|(name, value)| [name.to_owned(), text(value)])
        .collect()
}

/// Text from outside: bounded, without what acts instead of being seen. It is escaped when it is
/// set.
pub(super) fn text(text: &str) -> String {
    let shown = printable(text);
    if shown.chars().count() <= TEXT {
        return shown.into_owned();
    }
    let mut cut: String = shown.chars().take(TEXT).collect();
    cut.push('…');
    cut
}

/// The same over lines, and longer.
fn lines(text: &str) -> String {
    let lines = text.lines().take(SCENARIO_LINES).map(self::text);
    lines.collect::<Vec<_>>().join("\n")
}

/// Characters of one text at most.
const TEXT: usize = 400;

/// Rows of one table at most.
pub(super) const ROWS: usize = 100;

/// Names beside a cause.
const NAMES: usize = 5;

const SCENARIO_LINES: usize = 2_000;
