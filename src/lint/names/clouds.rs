//! Names that a cloud does not take.

use crate::inventory::shown;
use crate::lint::finding::Findings;
use crate::lint::options::Options;
use crate::lint::record::{Lint, Opened, Record};
use crate::lint::rule::Rule;

/// `aws-name` and `azure-name`.
pub(super) struct Clouds {
    /// The rules that count, with what they take.
    takes: Vec<(Rule, Takes)>,
}

/// Whether a cloud takes a name.
type Takes = fn(&str) -> bool;

impl Clouds {
    pub(super) fn new(options: &Options) -> Self {
        let mut takes: Vec<(Rule, Takes)> = vec![(Rule::AwsName, aws), (Rule::AzureName, azure)];
        takes.retain(|(rule, _)| options.severity(*rule).is_some());
        Self { takes }
    }
}

impl Lint for Clouds {
    fn row(&mut self, record: &Record<'_>, list: &Opened<'_>, out: &mut Findings<'_>) {
        let Some(column) = list.columns.name() else {
            return;
        };
        let name = record.cell(column);
        if name.trim().is_empty() {
            return;
        }
        for (rule, takes) in &self.takes {
            if !takes(name) {
                out.add(*rule, record.place(column), || shown(name));
            }
        }
    }
}

/// The name of a thing: up to 128 of `a-zA-Z0-9:_-`.
fn aws(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b":_-".contains(&byte);
    name.len() <= LONGEST && name.bytes().all(fits)
}

/// A registration id: up to 128 of `a-z0-9-._:`, the last a letter, a digit or a hyphen.
fn azure(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    name.len() <= LONGEST
        && name
            .bytes()
            .all(|byte| plain(byte) || b"._:".contains(&byte))
        && name.bytes().last().is_some_and(plain)
}

const LONGEST: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_the_clouds_take() {
        let long = "a".repeat(129);
        for (name, by_aws, by_azure) in [
            ("00:1B:C5:00:00:01", true, false),
            ("00-1b-c5-00-00-01", true, true),
            ("pump.7", false, true),
            ("pump_", true, false),
            ("pump 7", false, false),
            ("zähler", false, false),
            (&long[1..], true, true),
            (&long, false, false),
        ] {
            assert_eq!(aws(name), by_aws, "{name}");
            assert_eq!(azure(name), by_azure, "{name}");
        }
    }
}
