//! What was found, where, and how often: places are kept up to a limit, counts always.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use super::mend::Facts;
use super::options::Options;
use super::rule::Rule;

/// How bad a finding is. The order is that of `--fail-on`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// A risk: accepted, and perhaps meant.
    Warning,
    /// Accepted and wrong: nobody is told.
    Damage,
    /// Refused, or the whole file is.
    Error,
}

impl Severity {
    /// From the mildest to the worst.
    pub const ALL: [Self; 3] = [Self::Warning, Self::Damage, Self::Error];

    /// How outputs and the command line spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Damage => "damage",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule.
    pub rule: Rule,
    /// How bad it is, as the options have it.
    pub severity: Severity,
    /// The position of its list in [`Checked::lists`](super::Checked::lists).
    pub list: usize,
    /// Where it is.
    pub place: Place,
    /// What was found, with the values concerned unless they are secret.
    pub message: String,
}

/// Where something is in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The physical line, from 1.
    pub line: u64,
    /// The character within the line, from 1.
    pub column: u64,
    /// The device's number, from 1: rows with a value, without the header; `None` for what is no
    /// device.
    pub record: Option<u64>,
}

impl Place {
    /// The file as a whole.
    pub const START: Self = Self {
        line: 1,
        column: 1,
        record: None,
    };

    /// The N of the server's "Line N": it counts records, the header as the first (spec section
    /// 8.5), and neither blank lines nor those within a cell.
    pub fn server_line(self) -> Option<u64> {
        self.record.map(|record| record + 1)
    }
}

/// Collects findings. What is switched off is not asked for.
pub(super) struct Findings<'o> {
    options: &'o Options,
    list: usize,
    kept: Vec<Finding>,
    counts: BTreeMap<(usize, Rule), u64>,
    facts: BTreeMap<usize, Facts>,
    marks: Option<Marks>,
}

/// The devices of the first list that have findings of a severity or worse.
pub(super) struct Marks {
    from: Severity,
    records: HashSet<u64>,
}

impl Marks {
    /// Whether a device has some.
    pub(super) fn has(&self, record: u64) -> bool {
        self.records.contains(&record)
    }
}

impl<'o> Findings<'o> {
    pub(super) fn new(options: &'o Options) -> Self {
        Self {
            options,
            list: 0,
            kept: Vec::new(),
            counts: BTreeMap::new(),
            facts: BTreeMap::new(),
            marks: None,
        }
    }

    /// Remembers the devices that have findings of a severity or worse.
    pub(super) fn mark(&mut self, from: Severity) {
        self.marks = Some(Marks {
            from,
            records: HashSet::new(),
        });
    }

    /// Findings from now on are of this list.
    pub(super) fn of_list(&mut self, list: usize) {
        self.list = list;
    }

    pub(super) fn options(&self) -> &'o Options {
        self.options
    }

    /// The list that is being read.
    pub(super) fn list(&self) -> usize {
        self.list
    }

    /// What repairs of the list that is being read will go by.
    pub(super) fn facts(&mut self) -> &mut Facts {
        self.facts.entry(self.list).or_default()
    }

    /// Whether a rule counts; work for one that does not can be saved.
    pub(super) fn wants(&self, rule: Rule) -> bool {
        self.options.severity(rule).is_some()
    }

    /// Counts a finding in the list that is being read; asks for its words only if it is kept.
    pub(super) fn add(&mut self, rule: Rule, place: Place, message: impl FnOnce() -> String) {
        self.add_to(self.list, rule, place, message);
    }

    /// Counts a finding in any list.
    pub(super) fn add_to(
        &mut self,
        list: usize,
        rule: Rule,
        place: Place,
        message: impl FnOnce() -> String,
    ) {
        let Some(severity) = self.options.severity(rule) else {
            return;
        };
        if let (Some(marks), Some(record)) = (&mut self.marks, place.record)
            && severity >= marks.from
        {
            marks.records.insert(record);
        }
        let count = self.counts.entry((list, rule)).or_default();
        *count += 1;
        if *count <= self.options.kept {
            self.kept.push(Finding {
                rule,
                severity,
                list,
                place,
                message: message(),
            });
        }
    }

    /// All that was found.
    pub(super) fn end(mut self) -> Found {
        self.kept
            .sort_by_key(|finding| (finding.list, finding.place, finding.rule));
        Found {
            kept: self.kept,
            counts: self.counts,
            facts: self.facts,
            marks: self.marks,
        }
    }
}

/// All that was found.
pub(super) struct Found {
    /// By list, place and rule.
    pub(super) kept: Vec<Finding>,
    /// How many there are of each rule in each list.
    pub(super) counts: BTreeMap<(usize, Rule), u64>,
    /// What repairs of each list go by.
    pub(super) facts: BTreeMap<usize, Facts>,
    /// The devices with findings, if they were to be remembered.
    pub(super) marks: Option<Marks>,
}
