//! Counts by cause, bounded whatever codes a server makes up.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::cause::OTHER_CAUSES;
use crate::model::{Cause, FaultKind};

/// How many distinct causes are counted by their word; the rest share
/// [`OTHER_CAUSES`](super::OTHER_CAUSES). All causes without a code (506) always have their word;
/// of those with a server's code the lowest are kept, so that a sum does not depend on the order
/// in which its parts are added.
pub const DISTINCT_CAUSES_MAX: usize = 640;

/// Counts by cause, bounded: see [`DISTINCT_CAUSES_MAX`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(into = "Words", try_from = "Words")]
pub(super) struct Errors {
    /// By (carries a server's code, cause): those without a code come first and are never evicted.
    counts: BTreeMap<(bool, Cause), u64>,
    pub(super) other: u64,
}

impl Errors {
    pub(super) fn count(&mut self, cause: Cause, n: u64) {
        *self.counts.entry((coded(cause), cause)).or_default() += n;
        // Keeping the smallest keys makes a sum independent of the order: a key that falls out of
        // a part has too many smaller ones in the whole as well.
        if self.counts.len() > DISTINCT_CAUSES_MAX {
            let (_, evicted) = self.counts.pop_last().expect("longer than the bound");
            self.other += evicted;
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        for ((_, cause), n) in &other.counts {
            self.count(*cause, *n);
        }
        self.other += other.other;
    }

    /// What came since an earlier state of the same counts. A cause that lost its word in between
    /// is not counted again where the causes without one are.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        let before = |key| earlier.counts.get(key).copied().unwrap_or(0);
        let counts = self.counts.iter().map(|(key, n)| (*key, n - before(key)));
        let evicted = earlier.counts.iter();
        let evicted = evicted.filter(|(key, _)| !self.counts.contains_key(key));
        let evicted: u64 = evicted.map(|(_, n)| n).sum();
        Self {
            counts: counts.filter(|(_, n)| *n > 0).collect(),
            other: self.other - earlier.other - evicted,
        }
    }

    /// By the words of reports.
    pub(super) fn words(&self) -> BTreeMap<String, u64> {
        let named = self.iter().map(|(cause, n)| (cause.to_string(), n));
        let other = (self.other > 0).then(|| (OTHER_CAUSES.to_owned(), self.other));
        named.chain(other).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.counts.is_empty() && self.other == 0
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Cause, u64)> {
        self.counts.iter().map(|((_, cause), n)| (*cause, *n))
    }
}

/// The form in which counts travel: each cause by its word, and the rest.
#[derive(Serialize, Deserialize)]
struct Words(Vec<(String, u64)>, u64);

impl From<Errors> for Words {
    fn from(errors: Errors) -> Self {
        let words = errors.iter().map(|(cause, n)| (cause.to_string(), n));
        Self(words.collect(), errors.other)
    }
}

impl TryFrom<Words> for Errors {
    type Error = String;

    fn try_from(Words(words, other): Words) -> Result<Self, String> {
        let mut errors = Self {
            other,
            ..Self::default()
        };
        for (word, n) in words {
            let cause = word.parse().map_err(|_| format!("`{word}` is no cause"))?;
            errors.count(cause, n);
        }
        Ok(errors)
    }
}

/// Whether the word holds a number that the server chose.
fn coded(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::At(
            _,
            FaultKind::TlsAlert(_)
                | FaultKind::Connack(_)
                | FaultKind::ConnackReason(_)
                | FaultKind::PubackReason(_)
                | FaultKind::SubackReason(_)
                | FaultKind::DisconnectReason(_)
                | FaultKind::HttpStatus(_)
                | FaultKind::CoapCode(_)
        )
    )
}
