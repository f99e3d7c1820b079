//! Repairs of single cells, as the rules that have one answer offer them.

use super::columns::Kind;
use super::names::Notation;
use super::rule::Rule;

/// How a rule repairs a cell.
pub(super) struct Mend {
    /// The rule, which is [`Repair::Automatic`](super::Repair::Automatic).
    pub(super) rule: Rule,
    /// Whether it looks at columns of a kind.
    pub(super) applies: fn(Kind) -> bool,
    /// The cell as it should be; `None` where it is.
    pub(super) repaired: fn(&str, &Facts) -> Option<String>,
}

/// What a check learned of a list that repairs go by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// The notation that most of its MAC addresses have.
    pub(super) notation: Option<Notation>,
}
