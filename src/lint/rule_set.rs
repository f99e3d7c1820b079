//! Which rules count for which server.

use super::rule::Rule;

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
        match rule.scope() {
            Scope::Any => true,
            Scope::ThingsBoard => self == Self::ThingsBoard,
            Scope::Aws => self == Self::Aws,
            Scope::Azure => self == Self::Azure,
        }
    }
}
