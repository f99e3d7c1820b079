//! What a check found, written for people ([`text`]) and for programs ([`json`], [`sarif`],
//! [`junit`]).
//!
//! Each is a function from the findings to a writer and knows neither a terminal nor a file. Counts
//! are always exact; places are those that were kept.

mod harmless;
mod json;
mod junit;
mod repairs;
mod sarif;
#[cfg(test)]
mod tests;
mod text;

pub use json::json;
pub use junit::junit;
pub use repairs::{fixed, left, parted};
pub use sarif::sarif;
pub use text::{Look, catalogue, text, ways_on};

use super::check::{Checked, List};
use super::finding::{Finding, Severity};
use super::options::Options;
use super::rule::Rule;

/// A list's path for showing.
fn shown(list: &List) -> String {
    list.path.display().to_string()
}

/// The rules that count, in the order of the catalogue.
fn counting(options: &Options) -> impl Iterator<Item = (Rule, Severity)> + '_ {
    Rule::ALL
        .iter()
        .filter_map(|rule| Some((*rule, options.severity(*rule)?)))
}

/// How many findings there are of each severity, kept or not.
#[derive(Clone, Copy, Debug, serde::Serialize)]
struct Totals {
    error: u64,
    damage: u64,
    warning: u64,
}

impl Totals {
    fn of(checked: &Checked, options: &Options) -> Self {
        Self {
            error: checked.of(Severity::Error, options),
            damage: checked.of(Severity::Damage, options),
            warning: checked.of(Severity::Warning, options),
        }
    }
}

/// The kept places of a rule in a list.
fn kept(checked: &Checked, list: usize, rule: Rule) -> impl Iterator<Item = &Finding> {
    // By list first: a list's findings are one stretch.
    let begin = checked.findings.partition_point(|f| f.list < list);
    checked.findings[begin..]
        .iter()
        .take_while(move |finding| finding.list == list)
        .filter(move |finding| finding.rule == rule)
}
