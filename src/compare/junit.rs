//! A comparison as test cases: one for each metric, failed where it is a regression.

use std::fmt::Write as _;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::comparison::{Comparison, MetricRow, Verdict};
use super::text::{change, figure, interval, name};
use crate::model::printable_xml;

/// The cases. An inconclusive metric passes, and says so in its output; with `strict` it fails.
pub fn junit(comparison: &Comparison, strict: bool) -> String {
    let scenario = printable_xml(&comparison.scenario);
    let mut report = Report::new(format!("fleetcall compare {scenario}"));
    let mut suite = TestSuite::new("compare");
    for (key, value) in [
        ("verdict", comparison.verdict.as_str()),
        ("tolerance", &comparison.tolerance.to_string()),
        ("floor_us", &comparison.floor_us.to_string()),
        ("fleetcall_version", &comparison.fleetcall_version),
    ] {
        suite.add_property((key, printable_xml(value).as_str()));
    }
    for row in &comparison.metrics {
        let mut case = case(row, strict);
        case.set_classname(format!("{scenario}.compare"));
        suite.add_test_case(case);
    }
    if comparison.metrics.is_empty() {
        let status = failed(
            "inconclusive",
            "there is nothing that could be judged",
            strict,
        );
        let mut case = TestCase::new("anything to judge", status);
        case.set_classname(format!("{scenario}.compare"));
        suite.add_test_case(case);
    }
    if !comparison.warnings.is_empty() {
        let warnings: Vec<String> = comparison
            .warnings
            .iter()
            .map(|w| printable_xml(w))
            .collect();
        suite.set_system_out(warnings.join("\n"));
    }
    report.add_test_suite(suite);
    let text = report.to_string().expect("memory takes it");
    // As in a run's junit.xml: no published schema has a place for it.
    text.replacen(" skipped=\"0\"", "", 1)
}

fn case(row: &MetricRow, strict: bool) -> TestCase {
    let mut told = format!(
        "{}: {} to {}, {} ({}), {} is tolerated",
        row.verdict.as_str(),
        figure(row.unit, row.baseline),
        figure(row.unit, row.candidate),
        change(row.unit, row.change),
        interval(row),
        change(row.unit, row.limit),
    );
    if let Some(more) = row.runs_needed {
        let _ = write!(told, "; {more} more runs of each side would tell");
    }
    let status = match row.verdict {
        Verdict::Regression => failed("regression", &told, true),
        Verdict::Inconclusive => failed("inconclusive", &told, strict),
        Verdict::NoChange | Verdict::Improvement => TestCaseStatus::success(),
    };
    let passes = matches!(status, TestCaseStatus::Success { .. });
    let mut case = TestCase::new(printable_xml(&name(row)), status);
    if passes {
        case.set_system_out(printable_xml(&told));
    }
    case
}

fn failed(kind: &str, message: &str, fails: bool) -> TestCaseStatus {
    if !fails {
        return TestCaseStatus::success();
    }
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status.set_type(kind).set_message(printable_xml(message));
    status
}
