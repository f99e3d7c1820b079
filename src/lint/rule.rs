//! A rule as the rest of the check sees it, and which rules count.

use std::fmt;
use std::str::FromStr;

pub use super::catalogue::Rule;
use super::finding::Severity;

/// Who can repair it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repair {
    /// `--fix` does: there is one right answer.
    Automatic,
    /// A person must decide which of several was meant.
    Decision,
    /// Only the list's source can: what was meant is not in the file.
    Source,
}

impl Repair {
    /// How outputs spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Automatic => "automatic",
            Self::Decision => "decision",
            Self::Source => "source",
        }
    }
}

/// Where a rule applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// To any list.
    Any,
    /// To ThingsBoard's import and provisioning.
    ThingsBoard,
    /// To AWS IoT.
    Aws,
    /// To Azure's Device Provisioning Service.
    Azure,
}

/// Which rules count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RuleSet {
    /// Any list's and ThingsBoard's.
    #[default]
    ThingsBoard,
    /// Any list's.
    Generic,
    /// Any list's and AWS IoT's.
    Aws,
    /// Any list's and those of Azure's Device Provisioning Service.
    Azure,
}

impl RuleSet {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::ThingsBoard, Self::Generic, Self::Aws, Self::Azure];

    /// How outputs and the command line spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ThingsBoard => "thingsboard",
            Self::Generic => "generic",
            Self::Aws => "aws",
            Self::Azure => "azure",
        }
    }

    /// Whether a rule is on in this set.
    pub fn has(self, rule: Rule) -> bool {
        match rule.entry().scope {
            Scope::Any => true,
            Scope::ThingsBoard => self == Self::ThingsBoard,
            Scope::Aws => self == Self::Aws,
            Scope::Azure => self == Self::Azure,
        }
    }
}

/// A line of the catalogue.
pub(super) struct Entry {
    pub(super) id: &'static str,
    pub(super) number: Option<u8>,
    pub(super) severity: Severity,
    pub(super) repair: Repair,
    pub(super) scope: Scope,
    pub(super) title: &'static str,
    pub(super) effect: &'static str,
    pub(super) fix: &'static str,
}

impl Rule {
    /// The id that outputs, options and configurations use.
    pub fn id(self) -> &'static str {
        self.entry().id
    }

    /// Its problem's number in the table of list problems, if it is there.
    pub fn number(self) -> Option<u8> {
        self.entry().number
    }

    /// How bad it is unless told otherwise.
    pub fn severity(self) -> Severity {
        self.entry().severity
    }

    /// Who can repair it.
    pub fn repair(self) -> Repair {
        self.entry().repair
    }

    /// What is wrong, in a few words.
    pub fn title(self) -> &'static str {
        self.entry().title
    }

    /// What the server does with it.
    pub fn effect(self) -> &'static str {
        self.entry().effect
    }

    /// The way out.
    pub fn fix(self) -> &'static str {
        self.entry().fix
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

/// There is no rule of that id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no rule `{0}`")]
pub struct UnknownRule(pub String);

impl FromStr for Rule {
    type Err = UnknownRule;

    fn from_str(id: &str) -> Result<Self, UnknownRule> {
        let found = Self::ALL.iter().find(|rule| rule.id() == id);
        found.copied().ok_or_else(|| UnknownRule(id.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_are_unique_and_found_again() {
        let ids: BTreeSet<&str> = Rule::ALL.iter().map(|rule| rule.id()).collect();
        assert_eq!(ids.len(), Rule::ALL.len());
        for rule in Rule::ALL {
            assert_eq!(rule.id().parse(), Ok(*rule));
        }
        assert!("mac".parse::<Rule>().is_err());
    }

    /// Those that no file shows: the server must be asked (43), the input is a call (46, 47).
    #[test]
    fn every_problem_of_the_table_that_a_file_can_show_has_a_rule() {
        let numbers: BTreeSet<u8> = Rule::ALL.iter().filter_map(|rule| rule.number()).collect();
        let missing: Vec<u8> = (1..=50).filter(|n| !numbers.contains(n)).collect();
        assert_eq!(missing, [43, 46, 47]);
    }
}
