//! `junit.xml`: what a CI job shows as tests. Validity, thresholds, expectations, findings and the
//! devices that want attention are cases; failures carry their evidence.
//!
//! Cases fail where the run does: devices that a threshold puts up with are a case's output.

use std::fmt::Write as _;
use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::failures::FailureRow;
use super::results::Results;
use super::search::{cells, statement};
use crate::metrics::{
    Aborted, ExpectationRow, FindingKind, GeneratorVerdict, RunResult, Summary, word_hint,
};
use crate::model::units::count;
use crate::model::{Misbehaviour, Outcome, SearchEnd, printable_xml};

/// The cases of a run.
pub fn junit(results: &Results) -> String {
    let summary = &results.summary;
    let name = printable_xml(&summary.scenario);
    let mut report = Report::new(format!("fleetcall {name}"));
    for (suite, cases) in [
        ("run", run(summary)),
        ("search", search(summary)),
        ("thresholds", thresholds(summary)),
        (
            "expectations",
            summary.expectations.iter().map(expectation).collect(),
        ),
        ("findings", findings(summary)),
        ("devices", devices(results)),
    ] {
        if !cases.is_empty() {
            report.add_test_suite(self::suite(summary, suite, &name, cases));
        }
    }
    let text = report.to_string().expect("memory takes it");
    // The crate counts skipped cases of all suites together, which no published schema has a place
    // for; nothing is skipped here.
    text.replacen(" skipped=\"0\"", "", 1)
}

fn suite(summary: &Summary, kind: &str, name: &str, cases: Vec<TestCase>) -> TestSuite {
    let mut suite = TestSuite::new(kind);
    if kind == "run" {
        suite.set_time(Duration::try_from_secs_f64(summary.elapsed_s).unwrap_or_default());
        for (key, value) in [
            ("started_at", summary.started_at.as_str()),
            ("seed", &summary.seed.to_string()),
            ("schedule_digest", &summary.schedule_digest),
            ("target", &summary.target),
            ("fleetcall_version", &summary.fleetcall_version),
        ] {
            suite.add_property((key, printable_xml(value).as_str()));
        }
    }
    for mut case in cases {
        case.set_classname(format!("{name}.{kind}"));
        suite.add_test_case(case);
    }
    suite
}

/// Whether it was carried through, and whether its figures may be quoted.
fn run(summary: &Summary) -> Vec<TestCase> {
    let mut through = TestCase::new("the run was carried through", TestCaseStatus::success());
    if summary.result == RunResult::Interrupted {
        through.status = non_success(
            NonSuccessKind::Error,
            "interrupted",
            "it was ended before its plan was over",
            "",
        );
    }
    if !summary.aborted.is_empty() {
        let ended: Vec<String> = summary.aborted.iter().map(Aborted::words).collect();
        let why = "a threshold ended it before its plan was over";
        through.status = non_success(NonSuccessKind::Failure, "aborted", why, &ended.join("\n"));
    }
    let mut valid = TestCase::new("the generator kept up", TestCaseStatus::success());
    let reasons = summary.generator.reasons.join("\n");
    match summary.generator.verdict {
        GeneratorVerdict::Valid => {}
        GeneratorVerdict::Suspect => {
            valid.set_system_out(printable_lines(&format!("suspect:\n{reasons}")));
        }
        GeneratorVerdict::Invalid => {
            let why = "the generator itself was the limit: its figures may not be quoted";
            valid.status = non_success(NonSuccessKind::Error, "invalid", why, &reasons);
        }
    }
    if let Some(missing) = summary.missing_shards() {
        let why = "shards of the run are missing";
        through.status = non_success(NonSuccessKind::Failure, "incomplete", why, &missing.words());
    }
    if !summary.notes.is_empty() {
        through.set_system_out(printable_lines(&summary.notes.join("\n")));
    }
    vec![through, valid]
}

/// Whether there is a capacity, and enough of it. What was no fault of the target's is an error.
fn search(summary: &Summary) -> Vec<TestCase> {
    let Some(search) = &summary.search else {
        return Vec::new();
    };
    let name = match search.need_per_s {
        Some(need) => format!("the target can provision {need} devices per second"),
        None => "the target's capacity was found".to_owned(),
    };
    let mut case = TestCase::new(name, TestCaseStatus::success());
    let statement = statement(summary);
    let trials = search.trials.iter().map(|trial| cells(trial).join("  "));
    let evidence: Vec<_> = statement.iter().cloned().chain(trials).collect();
    let evidence = evidence.join("\n");
    if search.holds() {
        case.set_system_out(printable_lines(&evidence));
    } else {
        let (kind, word) = match search.ended {
            SearchEnd::Found | SearchEnd::HeldAtTo | SearchEnd::BrokenAtFrom => {
                (NonSuccessKind::Failure, "capacity")
            }
            _ => (NonSuccessKind::Error, search.ended.as_str()),
        };
        let why = statement.iter().take(2).cloned().collect::<Vec<_>>();
        case.status = non_success(kind, word, &why.join(" "), &evidence);
    }
    vec![case]
}

fn thresholds(summary: &Summary) -> Vec<TestCase> {
    let judged = summary.thresholds.iter().map(|judged| {
        let name = printable_xml(&judged.expression);
        let observed = format!("observed {}", judged.observed);
        let mut case = TestCase::new(name, TestCaseStatus::success());
        if judged.passed {
            case.set_system_out(printable_xml(&observed));
        } else {
            case.status = non_success(NonSuccessKind::Failure, "threshold", &observed, "");
        }
        case
    });
    judged.collect()
}

fn expectation(row: &ExpectationRow) -> TestCase {
    let wrong = row.misbehaviour.map(Misbehaviour::as_str);
    let name = match wrong {
        Some(wrong) => format!("{} ({wrong}) is {}", row.cohort, row.expected.as_str()),
        None => format!("{} is {}", row.cohort, row.expected.as_str()),
    };
    let mut case = TestCase::new(printable_xml(&name), TestCaseStatus::success());
    if row.off > 0 {
        let (off, all) = (count(row.off), count(row.devices()));
        let why = format!("{off} of {all} devices went otherwise");
        let mut evidence = String::new();
        for deviation in &row.deviations {
            let _ = writeln!(evidence, "{}: {}", deviation.finding, deviation.message);
        }
        for example in &row.examples {
            let why = example.cause.as_deref().unwrap_or("no cause");
            let (device, observed) = (printable_xml(&example.device), example.observed.as_str());
            let _ = writeln!(evidence, "{device}: {observed}, {why}");
        }
        case.status = non_success(NonSuccessKind::Failure, "expectation", &why, &evidence);
    }
    case
}

/// Each kind of proof, found or not.
fn findings(summary: &Summary) -> Vec<TestCase> {
    let kinds = FindingKind::ALL.into_iter().map(|kind| {
        let mut case = TestCase::new(kind.as_str(), TestCaseStatus::success());
        if let Some(row) = summary.findings.iter().find(|row| row.kind == kind) {
            let examples = row.examples.iter();
            let evidence: Vec<_> = examples.map(|names| names.join(" and ")).collect();
            let evidence = evidence.join("\n");
            case.status = non_success(NonSuccessKind::Failure, "finding", &row.message, &evidence);
        }
        case
    });
    kinds.collect()
}

/// A case for each outcome and cause that wants attention, or one that says that there is none.
fn devices(results: &Results) -> Vec<TestCase> {
    let summary = &results.summary;
    let fails = !summary.expectations_met() || crossed_about_devices(summary);
    let rows = match &results.failures {
        Some(failures) => failures.rows(),
        None => unnamed(summary),
    };
    if rows.is_empty() {
        let name = "every device ended as it had to";
        return vec![TestCase::new(name, TestCaseStatus::success())];
    }
    let cases = rows.iter().map(|row| {
        let name = match row.cause.as_str() {
            "" => row.outcome.as_str().to_owned(),
            cause => format!("{}: {cause}", row.outcome.as_str()),
        };
        let mut case = TestCase::new(printable_xml(&name), TestCaseStatus::success());
        let evidence = evidence(row);
        if fails {
            let why = match row.count {
                1 => "1 device".to_owned(),
                n => format!("{} devices", count(n)),
            };
            let kind = NonSuccessKind::Failure;
            case.status = non_success(kind, row.outcome.as_str(), &why, &evidence);
        } else {
            case.set_system_out(printable_lines(&evidence));
        }
        case
    });
    cases.collect()
}

fn evidence(row: &FailureRow) -> String {
    let mut text = String::new();
    if !row.cause.is_empty() {
        let _ = writeln!(text, "{}", word_hint(&row.cause));
    }
    for name in &row.names {
        let _ = writeln!(text, "{}", printable_xml(name));
    }
    let more = row.count.saturating_sub(row.names.len() as u64);
    if more > 0 && !row.names.is_empty() {
        let _ = writeln!(text, "and {} more", count(more));
    }
    text
}

/// Without a table of devices: how many, and nobody by name.
fn unnamed(summary: &Summary) -> Vec<FailureRow> {
    let outcomes = Outcome::ALL
        .into_iter()
        .filter(|o| *o != Outcome::Provisioned);
    let rows = outcomes.map(|outcome| FailureRow {
        outcome,
        cause: String::new(),
        count: summary.alarming(outcome),
        names: Vec::new(),
    });
    rows.filter(|row| row.count > 0).collect()
}

fn crossed_about_devices(summary: &Summary) -> bool {
    let crossed = summary.thresholds.iter().filter(|judged| !judged.passed);
    let mut about = crossed.filter_map(|judged| {
        let cohorts = summary.cohorts.keys().map(String::as_str);
        judged.threshold(&cohorts).ok()
    });
    about.any(|threshold| threshold.is_about_devices())
}

fn non_success(kind: NonSuccessKind, r#type: &str, message: &str, text: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(r#type).set_message(printable_xml(message));
    if !text.is_empty() {
        status.set_description(printable_lines(text));
    }
    status
}

/// Several lines, each harmless.
fn printable_lines(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(printable_xml).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{hostile, results};
    use super::*;
    use crate::metrics::fixture;

    #[test]
    fn the_cases_of_a_run() {
        insta::assert_snapshot!(junit(&results()));
    }

    #[test]
    fn the_cases_of_a_run_of_misbehaving_devices() {
        let mut results = results();
        results.summary = fixture::negative_summary();
        results.failures = None;
        insta::assert_snapshot!(junit(&results));
    }

    #[test]
    fn no_name_breaks_out_of_its_place() {
        let text = junit(&hostile());
        assert!(
            !text.contains("<script") && !text.contains("<![CDATA["),
            "{text}"
        );
        let acts = |c: char| c.is_control() && c != '\n';
        assert!(!text.contains(acts), "{text:?}");
    }

    #[test]
    fn devices_that_a_threshold_puts_up_with_fail_no_case() {
        let mut results = results();
        for judged in &mut results.summary.thresholds {
            judged.passed = true;
        }
        let calm = junit(&results);
        assert!(calm.contains("failures=\"0\" errors=\"0\""), "{calm}");
        assert!(calm.contains("refused: provision.failure"), "{calm}");
        results.summary.thresholds[0].passed = false;
        let crossed = junit(&results);
        assert!(crossed.contains("failures=\"1\" errors=\"0\""), "{crossed}");
    }

    #[test]
    fn a_search_is_one_case_with_its_trials_as_evidence() {
        let mut results = results();
        results.summary = fixture::searched_summary();
        let found = junit(&results);
        let name = "name=\"the target can provision 40 devices per second\"";
        assert!(
            found.contains(name) && !found.contains("type=\"capacity\""),
            "{found}"
        );
        assert!(found.contains("3  bisect  60.0/s  50.0/s  200"), "{found}");
        let search = |results: &mut Results| {
            let search = results.summary.search.as_mut().expect("a search");
            search.head_room = Some(-0.5);
            search.ended
        };
        assert_eq!(search(&mut results), SearchEnd::Found);
        let short = junit(&results);
        assert!(
            short.contains("<failure message=\"50.0 devices per second hold"),
            "{short}"
        );
        let ended = SearchEnd::GeneratorLimited;
        results.summary.search.as_mut().expect("a search").ended = ended;
        let limited = junit(&results);
        assert!(limited.contains("type=\"generator_limited\""), "{limited}");
    }

    #[test]
    fn a_run_whose_figures_may_not_be_quoted_is_an_error() {
        let mut results = results();
        results.summary.generator.verdict = GeneratorVerdict::Invalid;
        results.summary.generator.reasons = vec!["2 s late".to_owned()];
        results.summary.result = RunResult::Interrupted;
        let text = junit(&results);
        assert!(
            text.contains("<error message=\"it was ended before its plan"),
            "{text}"
        );
        assert!(
            text.contains("may not be quoted\" type=\"invalid\">2 s late"),
            "{text}"
        );
    }
}
