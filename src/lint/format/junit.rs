//! `--format junit`: a test suite for each list, in it a test case for each rule that counts.
//!
//! A case fails where the command does: findings milder than `--fail-on` are its output instead.

use std::fmt::Write as _;
use std::io::{self, Write};

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::{counting, kept, shown};
use crate::lint::check::Checked;
use crate::lint::finding::Severity;
use crate::lint::options::Options;
use crate::lint::rule::Rule;
use crate::model::printable_xml;
use crate::model::units::count;

/// Writes the findings as JUnit XML.
pub fn junit(checked: &Checked, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    let mut report = Report::new("fleetcall check");
    for (n, list) in checked.lists.iter().enumerate() {
        let file = printable_xml(&shown(list));
        let mut suite = TestSuite::new(file.as_str());
        suite.add_property(("rows", list.rows.to_string().as_str()));
        for (rule, severity) in counting(options) {
            let mut case = case(checked, n, (rule, severity), options.fail_on, &file);
            case.set_classname(file.as_str());
            suite.add_test_case(case);
        }
        report.add_test_suite(suite);
    }
    let text = report.to_string().map_err(io::Error::other)?;
    // The crate counts skipped cases of all suites together, which no published schema has a place
    // for; nothing is skipped here, and nothing stands before the root but its name.
    out.write_all(text.replacen(" skipped=\"0\"", "", 1).as_bytes())
}

fn case(
    checked: &Checked,
    list: usize,
    (rule, severity): (Rule, Severity),
    fail_on: Option<Severity>,
    file: &str,
) -> TestCase {
    let found = checked.count(list, rule);
    let mut case = TestCase::new(rule.id(), TestCaseStatus::success());
    if found == 0 {
        return case;
    }
    let mut text = format!("{}\n{}\n", rule.effect(), rule.fix());
    let mut places = 0;
    for finding in kept(checked, list, rule) {
        let place = finding.place;
        let line = match place.server_line().filter(|line| *line != place.line) {
            Some(line) => format!(" (the server's Line {line})"),
            None => String::new(),
        };
        let message = printable_xml(&finding.message);
        let _ = writeln!(
            text,
            "{file}:{}:{}{line} {message}",
            place.line, place.column
        );
        places += 1;
    }
    if places < found {
        let _ = writeln!(text, "and {} more", count(found - places));
    }
    if fail_on.is_none_or(|from| severity < from) {
        case.set_system_out(text);
        return case;
    }
    case.status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    case.status
        .set_type(severity.as_str())
        .set_message(format!("{}: {}", count(found), rule.title()))
        .set_description(text);
    case
}
