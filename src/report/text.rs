//! The text that a person reads when a run is over: the verdict first, then why.

use std::cmp::Reverse;
use std::path::Path;

use super::style::{Style, bar, fit};
use super::{downlink, expectations, gateway, generator, reconnects, rotations, rows, search};
use crate::metrics::{RunResult, Summary, word_hint};
use crate::model::{Outcome, Paint as _, SearchEnd, printable, units};

/// The whole text, ending with a line end. No line is wider than the style's columns.
pub fn text(summary: &Summary, style: Style) -> String {
    let mut out = Vec::new();
    verdict(summary, style, &mut out);
    search::search(summary, style, &mut out);
    devices(summary, style, &mut out);
    rows::latency(summary, style, &mut out);
    rows::cohorts(summary, style, &mut out);
    rows::runs(summary, style, &mut out);
    errors(summary, style, &mut out);
    telemetry(summary, style, &mut out);
    reconnects::reconnects(summary, style, &mut out);
    rotations::rotations(summary, style, &mut out);
    gateway::gateway(summary, style, &mut out);
    downlink::downlink(summary, style, &mut out);
    thresholds(summary, style, &mut out);
    expectations::expectations(summary, style, &mut out);
    expectations::findings(summary, style, &mut out);
    generator::generator(summary, style, &mut out);
    out.join("\n") + "\n"
}

/// Where the files are, to follow [`text`]: their names and what each is.
pub fn text_files(directory: &Path, files: &[(&str, &str)], style: Style) -> String {
    let directory = directory.display().to_string();
    let mut out = vec![
        String::new(),
        format!("{} {}", style.bold("Files"), printable(&directory)),
    ];
    for (name, what) in files {
        let line = format!("  {:<17} {what}", printable(name));
        out.push(fit(&line, style.columns()));
    }
    out.join("\n") + "\n"
}

fn verdict(summary: &Summary, style: Style, out: &mut Vec<String>) {
    let word = summary.result.as_str().to_uppercase();
    let room = style.columns() - word.chars().count() - 2;
    let word = match summary.result {
        RunResult::Passed => style.good(&word),
        RunResult::Failed | RunResult::Invalid | RunResult::Interrupted => style.bad(&word),
    };
    let name = fit(&printable(&summary.scenario), room);
    out.push(format!("{word}  {}", style.bold(&name)));
    let why = why(summary);
    let lines = [
        format!(
            "{} of {} devices provisioned in {}; {why}",
            units::count(summary.devices.provisioned),
            units::count(summary.devices.listed),
            seconds(summary.elapsed_s),
        ),
        format!("target {}", printable(&summary.target)),
        model(summary),
        format!(
            "started {}, fleetcall {}",
            printable(&summary.started_at),
            printable(&summary.fleetcall_version),
        ),
    ];
    for line in lines {
        out.push(format!("  {}", fit(&line, style.columns() - 2)));
    }
    expectations::notes(summary, style, out);
}

/// The load and what makes it the same again. A search has no schedule beforehand.
fn model(summary: &Summary) -> String {
    let words = format!(
        "{} model, seed {}",
        printable(&summary.models()),
        summary.seed
    );
    if summary.search.is_some() {
        return words;
    }
    // Enough to tell two apart; summary.json has all of it.
    let digest = fit(&printable(&summary.schedule_digest), 12);
    let shard = match &summary.shard {
        None => String::new(),
        Some(part) => format!(", {}", part.words()),
    };
    format!("{words}, schedule {digest}{shard}")
}

/// The result in words, short enough for the line of the counts.
pub(super) fn why(summary: &Summary) -> &'static str {
    let crossed = summary.thresholds.iter().any(|judged| !judged.passed);
    if let (Some(search), RunResult::Passed | RunResult::Failed) = (&summary.search, summary.result)
    {
        return match search.ended {
            SearchEnd::Found | SearchEnd::HeldAtTo if search.holds() => "a capacity was found",
            SearchEnd::Found | SearchEnd::HeldAtTo => "less than is needed, see below",
            _ => "no capacity was found, see below",
        };
    }
    match summary.result {
        RunResult::Passed if summary.expectations.is_empty() => "every threshold held",
        RunResult::Passed => "all as expected",
        RunResult::Failed if summary.missing_shards().is_some() => "shards are missing",
        RunResult::Failed if !summary.aborted.is_empty() => "a threshold ended the run",
        RunResult::Failed if crossed => "a threshold was crossed, see below",
        RunResult::Failed if !summary.expectations_met() => "not as expected, see below",
        RunResult::Failed => "a fault was found, see below",
        RunResult::Invalid => "the generator was the limit",
        RunResult::Interrupted => "ended before its plan",
    }
}

fn devices(summary: &Summary, style: Style, out: &mut Vec<String>) {
    let devices = &summary.devices;
    out.push(String::new());
    out.push(format!(
        "{} {}",
        style.bold("Devices"),
        style.dim(&format!("{} listed", units::count(devices.listed)))
    ));
    for outcome in Outcome::ALL {
        let n = devices.of(outcome);
        let line = format!(
            "  {:<12}{:>13}{:>9}  ",
            outcome.as_str(),
            units::count(n),
            units::percent(n, devices.listed),
        );
        let room = style.columns().saturating_sub(line.chars().count());
        let bar = bar(n, devices.listed, room);
        let bar = if summary.alarming(outcome) > 0 {
            style.bad(&bar)
        } else if outcome == Outcome::Provisioned {
            style.good(&bar)
        } else {
            bar
        };
        out.push(format!("{line}{bar}").trim_end().to_owned());
    }
}

fn errors(summary: &Summary, style: Style, out: &mut Vec<String>) {
    if summary.errors.is_empty() {
        return;
    }
    let mut errors: Vec<(&String, &u64)> = summary.errors.iter().collect();
    errors.sort_by_key(|(_, n)| Reverse(**n));
    let total: u64 = summary.errors.values().sum();
    out.push(String::new());
    out.push(format!(
        "{} {}",
        style.bold("Errors"),
        style.dim(&format!("{} by cause", units::count(total)))
    ));
    let shown = &errors[..errors.len().min(CAUSES_SHOWN)];
    let widest = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0);
    let column = widest(&mut shown.iter().map(|(word, _)| word.chars().count())).min(CAUSE_COLUMN);
    let digits = widest(&mut shown.iter().map(|(_, n)| units::short_count(**n).len()));
    for (word, n) in shown {
        let hint = word_hint(word);
        let word = fit(&printable(word), style.columns() - 12);
        let line = format!("  {word:<column$}  {:>digits$}", units::short_count(**n));
        let room = style.columns().saturating_sub(line.chars().count() + 2);
        if hint.chars().count() <= room {
            out.push(format!("{line}  {}", style.dim(hint)));
        } else {
            out.push(line);
            out.push(format!(
                "      {}",
                style.dim(&fit(hint, style.columns() - 6))
            ));
        }
    }
    let rest = &errors[shown.len()..];
    if !rest.is_empty() {
        let n: u64 = rest.iter().map(|(_, n)| **n).sum();
        let causes = rest.len();
        out.push(style.dim(&format!(
            "  and {} of {causes} more causes, listed in summary.json",
            units::count(n)
        )));
    }
}

fn telemetry(summary: &Summary, style: Style, out: &mut Vec<String>) {
    let counts = summary.telemetry.counts;
    if counts.sent == 0 {
        return;
    }
    out.push(String::new());
    out.push(style.bold("Telemetry"));
    let line = format!(
        "  {} sent, {} acknowledged, {} lost, {} over the whole run",
        units::count(counts.sent),
        units::count(counts.acked),
        units::count(counts.lost),
        units::rate(summary.telemetry.rate_per_s),
    );
    out.push(fit(&line, style.columns()));
}

fn thresholds(summary: &Summary, style: Style, out: &mut Vec<String>) {
    if summary.thresholds.is_empty() {
        return;
    }
    out.push(String::new());
    out.push(style.bold("Thresholds"));
    let lengths = summary
        .thresholds
        .iter()
        .map(|t| t.expression.chars().count());
    let column = lengths.max().unwrap_or(0).min(style.columns() / 2);
    for judged in &summary.thresholds {
        let sign = if judged.passed {
            style.good("✓")
        } else {
            style.bad("✗")
        };
        let line = format!(
            "{:<column$}  observed {}",
            printable(&judged.expression),
            printable(&judged.observed)
        );
        out.push(format!("  {sign} {}", fit(&line, style.columns() - 4)));
    }
}

/// Seconds with three digits.
pub(super) fn seconds(s: f64) -> String {
    let span = std::time::Duration::try_from_secs_f64(s).unwrap_or_default();
    units::micros(u64::try_from(span.as_micros()).unwrap_or(u64::MAX))
}

const CAUSES_SHOWN: usize = 10;
const CAUSE_COLUMN: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{GeneratorVerdict, SearchSummary, fixture};

    const PLAIN: Style = Style {
        color: false,
        width: 80,
    };

    /// A summary in which everything from outside tries to break out, and every count is huge.
    fn hostile() -> Summary {
        let mut summary = fixture::summary();
        let evil = "\x1b[2J\r\nname\u{202e}".to_owned() + &"x".repeat(300);
        summary.scenario.clone_from(&evil);
        summary.target.clone_from(&evil);
        summary.model.clone_from(&evil);
        summary.started_at.clone_from(&evil);
        summary.fleetcall_version.clone_from(&evil);
        summary.devices.listed = u64::MAX;
        summary.devices.provisioned = u64::MAX - 1;
        summary.telemetry.counts.sent = u64::MAX;
        summary.telemetry.counts.acked = u64::MAX;
        summary.telemetry.counts.lost = u64::MAX;
        summary.telemetry.rate_per_s = 1e18;
        summary.elapsed_s = 1e30;
        for phase in summary.phases.values_mut() {
            (phase.count, phase.errors) = (u64::MAX, u64::MAX);
            phase.response_us.max = u64::MAX / 1_000_000;
        }
        let cohort = summary.cohorts.pop_first().expect("two").1;
        summary.cohorts.insert(evil.clone(), cohort);
        summary.errors = (0..40).map(|n| (format!("{evil}{n}"), 7)).collect();
        let word = "time_to_first_telemetry.answer_without_credentials";
        summary.errors.insert(word.to_owned(), 1_000_000_000_000);
        summary.thresholds[0].expression.clone_from(&evil);
        summary.thresholds[1].observed.clone_from(&evil);
        summary.generator.verdict = GeneratorVerdict::Invalid;
        let evidence = summary.generator.evidence.as_mut().expect("seen");
        evidence.udp.receive_overflows = Some(u64::MAX);
        evidence.cpu.machine = None;
        evidence.tcp.listen_overflows = Some(u64::MAX);
        evidence.clock.suspended_us = Some(u64::MAX);
        let limits = summary.generator.limits.as_mut().expect("judged");
        (limits.pause_us, limits.cpu_share) = (1, 1.0);
        summary.generator.reasons = vec![evil];
        summary.result = RunResult::Invalid;
        summary
    }

    /// Rates and conditions from a file that somebody else wrote.
    fn hostile_search() -> SearchSummary {
        let mut search = fixture::search();
        let evil = "\x1b[2J\r\n\u{202e}".to_owned() + &"x".repeat(300);
        (search.need_per_s, search.head_room) = (Some(1e300), Some(-1e300));
        let broke = search.broke_first.as_mut().expect("60/s");
        broke.conditions[0].observed.clone_from(&evil);
        broke.errors.insert(evil, u64::MAX);
        for trial in &mut search.trials {
            (trial.rate_per_s, trial.achieved_per_s) = (1e300, Some(f64::INFINITY));
            trial.response_us.as_mut().expect("seen").p99 = u64::MAX;
            trial.trial = u32::MAX;
        }
        search.bracket.held_per_s = Some(1e300);
        search
    }

    #[test]
    fn the_text_of_a_run() {
        insta::assert_snapshot!(text(&fixture::summary(), PLAIN));
    }

    #[test]
    fn the_text_of_a_search() {
        insta::assert_snapshot!(text(&fixture::searched_summary(), PLAIN));
    }

    #[test]
    fn the_text_of_a_hostile_run() {
        insta::assert_snapshot!(text(&hostile(), PLAIN));
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_or_acts_on_it() {
        let mut searched = hostile();
        searched.search = Some(hostile_search());
        let hostile = hostile();
        for summary in [
            fixture::summary(),
            fixture::negative_summary(),
            hostile,
            searched,
        ] {
            for width in [80, 100, 200] {
                let text = text(&summary, Style { width, ..PLAIN });
                for line in text.lines() {
                    let columns = line.chars().count();
                    assert!(columns <= usize::from(width), "{columns}: {line}");
                    assert!(!line.chars().any(char::is_control), "{line:?}");
                }
            }
        }
    }

    #[test]
    fn colours_add_nothing_but_colours() {
        let painted = text(
            &fixture::summary(),
            Style {
                color: true,
                ..PLAIN
            },
        );
        assert!(
            painted.contains("\x1b[1;38;5;208mFAILED\x1b[0m"),
            "{painted}"
        );
        assert_eq!(bare(&painted), text(&fixture::summary(), PLAIN));
        let judged = fixture::negative_summary();
        let painted = text(
            &judged,
            Style {
                color: true,
                ..PLAIN
            },
        );
        assert!(painted.contains("\x1b[1;38;5;208m! TLS: "), "{painted}");
        assert_eq!(bare(&painted), text(&judged, PLAIN));
    }

    /// Without its SGR sequences.
    fn bare(painted: &str) -> String {
        let mut bare = String::new();
        let mut rest = painted;
        while let Some((before, code)) = rest.split_once('\x1b') {
            bare += before;
            rest = code.split_once('m').expect("an SGR sequence").1;
        }
        bare + rest
    }

    #[test]
    fn a_run_in_which_nothing_happened_has_a_text() {
        let mut summary = fixture::summary();
        summary.phases.clear();
        summary.errors.clear();
        summary.cohorts.clear();
        summary.devices = crate::metrics::DeviceCounts::default();
        summary.telemetry.counts = crate::metrics::TelemetryCounts::default();
        summary.elapsed_s = 0.0;
        let text = text(&summary, PLAIN);
        assert!(text.contains("0 of 0 devices provisioned"), "{text}");
        assert!(
            !text.contains("Latency") && !text.contains("Telemetry"),
            "{text}"
        );
    }

    #[test]
    fn the_files_are_named_with_their_directory() {
        let files = [
            ("summary.json", "the result"),
            ("devices.csv", "one row per device"),
        ];
        let text = text_files(Path::new("reports/run-1"), &files, PLAIN);
        assert_eq!(
            text,
            "\nFiles reports/run-1\n  summary.json      the result\n  devices.csv       one row per device\n"
        );
    }
}
