//! Proofs of a server's fault that no single device shows.
//!
//! They name devices and nothing else: credentials never get here.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::units;

/// One proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The server gave one device's credentials to another as well.
    SharedCredentials {
        /// The name of the device that had them first.
        first: String,
        /// The name of the other.
        second: String,
    },
    /// A certificate that was replaced in mid-run still lets the device in.
    OldCertificate {
        /// The device's name.
        device: String,
    },
}

/// What kind of fault is proved. Its word in `summary.json` is stable.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// See [`Finding::SharedCredentials`].
    SharedCredentials,
    /// See [`Finding::OldCertificate`].
    OldCertificate,
}

impl FindingKind {
    /// All of them, in the order of reports.
    pub const ALL: [Self; 2] = [Self::SharedCredentials, Self::OldCertificate];

    /// Its word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SharedCredentials => "shared_credentials",
            Self::OldCertificate => "old_certificate",
        }
    }

    fn sentence(self) -> &'static str {
        match self {
            Self::SharedCredentials => "the server gave the same credentials to two devices",
            Self::OldCertificate => "a replaced certificate still lets its device in",
        }
    }
}

/// All proofs of a run, counted; of each kind the first few stay as examples.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    kinds: BTreeMap<FindingKind, (u64, Vec<Vec<String>>)>,
}

impl Findings {
    /// One more.
    pub fn add(&mut self, finding: Finding) {
        let (kind, devices) = match finding {
            Finding::SharedCredentials { first, second } => {
                (FindingKind::SharedCredentials, vec![first, second])
            }
            Finding::OldCertificate { device } => (FindingKind::OldCertificate, vec![device]),
        };
        let (count, examples) = self.kinds.entry(kind).or_default();
        *count += 1;
        if examples.len() < super::EXAMPLES_MAX {
            examples.push(devices);
        }
    }

    /// Nothing was proved.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    pub(super) fn rows(self) -> Vec<FindingRow> {
        let rows = self.kinds.into_iter();
        rows.map(|(kind, (count, examples))| FindingRow::new(kind, count, examples))
            .collect()
    }
}

impl Extend<Finding> for Findings {
    fn extend<I: IntoIterator<Item = Finding>>(&mut self, findings: I) {
        findings.into_iter().for_each(|finding| self.add(finding));
    }
}

/// The proofs of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FindingRow {
    /// Of what.
    pub kind: FindingKind,
    /// How many.
    pub count: u64,
    /// The devices of each, names exactly as listed (not fit for a terminal); the first
    /// [`EXAMPLES_MAX`](super::EXAMPLES_MAX).
    pub examples: Vec<Vec<String>>,
    /// The fault in words, with its figure.
    pub message: String,
}

impl FindingRow {
    fn new(kind: FindingKind, count: u64, examples: Vec<Vec<String>>) -> Self {
        let times = if count == 1 { "time" } else { "times" };
        Self {
            kind,
            count,
            examples,
            message: format!("{}: {} {times}", kind.sentence(), units::count(count)),
        }
    }

    /// Adds the proofs of another run.
    pub(super) fn add(&mut self, other: Self) {
        let mut examples = std::mem::take(&mut self.examples);
        examples.extend(other.examples);
        examples.truncate(super::EXAMPLES_MAX);
        *self = Self::new(self.kind, self.count.saturating_add(other.count), examples);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOC: &str = include_str!("../../docs/metrics.md");

    #[test]
    fn each_kind_is_counted_whole_and_keeps_a_few_examples() {
        let mut findings = Findings::default();
        assert!(findings.is_empty());
        findings.extend((0..1_200).map(|n| Finding::SharedCredentials {
            first: "first".to_owned(),
            second: format!("other {n}"),
        }));
        let rows = findings.rows();
        assert_eq!((rows.len(), rows[0].count), (1, 1_200));
        assert_eq!(rows[0].examples.len(), super::super::EXAMPLES_MAX);
        assert_eq!(rows[0].examples[1], ["first", "other 1"]);
        assert_eq!(
            rows[0].message,
            "the server gave the same credentials to two devices: 1,200 times"
        );
    }

    #[test]
    fn every_kind_is_documented_and_written_by_its_word() {
        for kind in FindingKind::ALL {
            let row = format!("| `{}` | {} |", kind.as_str(), kind.sentence());
            assert!(DOC.contains(&row), "docs/metrics.md lacks the row\n{row}");
            let json = serde_json::to_value(kind).expect("a word");
            assert_eq!(json, kind.as_str());
        }
    }
}
