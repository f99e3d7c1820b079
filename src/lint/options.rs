//! What a check goes by: rules on and off, and what only the user can know.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use super::finding::Severity;
use super::rule::{Rule, RuleSet};
use crate::inventory::Oui;

/// What a check goes by.
#[derive(Clone, Debug)]
pub struct Options {
    /// The rules to begin with.
    pub rules: RuleSet,
    /// Single rules with another severity; `None` switches one off.
    pub switched: BTreeMap<Rule, Option<Severity>>,
    /// The mildest severity that a list does not pass with; `None`: it passes with any.
    pub fail_on: Option<Severity>,
    /// The header of the names' column; `None` finds it.
    pub name_column: Option<String>,
    /// The makers that addresses may have; empty: any.
    pub ouis: Vec<Oui>,
    /// How many devices all lists together should have.
    pub expected: Option<u64>,
    /// How many devices the tenant may have.
    pub max_devices: Option<u64>,
    /// The certificate name pattern of an X.509 chain profile (a Java regular expression).
    pub name_pattern: Option<String>,
    /// The largest body of a REST request, bytes.
    pub body_limit: u64,
    /// The time by which certificates are judged, seconds since 1970.
    pub now: i64,
    /// How many places are kept for each rule and list; all are counted.
    pub kept: u64,
}

impl Default for Options {
    fn default() -> Self {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        Self {
            rules: RuleSet::default(),
            switched: BTreeMap::new(),
            fail_on: Some(Severity::Damage),
            name_column: None,
            ouis: Vec::new(),
            expected: None,
            max_devices: None,
            name_pattern: None,
            body_limit: BODY_LIMIT,
            now: i64::try_from(now).unwrap_or(i64::MAX),
            kept: KEPT,
        }
    }
}

impl Options {
    /// How bad a rule's findings are; `None`: it does not count.
    pub fn severity(&self, rule: Rule) -> Option<Severity> {
        match self.switched.get(&rule) {
            Some(severity) => *severity,
            None => self.rules.has(rule).then(|| rule.severity()),
        }
    }
}

/// ThingsBoard's limit of a REST body, from release 3.8 on (spec section 8.5).
const BODY_LIMIT: u64 = 16_777_216;

/// Enough to see a pattern; a wrong export has one in each of a million rows.
const KEPT: u64 = 1000;
