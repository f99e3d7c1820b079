//! When each cause was seen first and last, as closely as the sums are read.

use std::collections::BTreeMap;
use std::time::Duration;

use super::errors::Errors;
use crate::model::Cause;

/// When a cause was counted, since the start of the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sighting {
    count: u64,
    pub(super) first: Duration,
    pub(super) last: Duration,
}

/// By cause; bounded, since [`Errors`] are. `None` are those without a word of their own.
#[derive(Debug, Default)]
pub(super) struct Sightings(BTreeMap<Option<Cause>, Sighting>);

impl Sightings {
    /// Compares with the reading before.
    pub(super) fn read(&mut self, errors: &Errors, elapsed: Duration) {
        let named = errors.iter().map(|(cause, n)| (Some(cause), n));
        let other = (errors.other > 0).then_some((None, errors.other));
        for (cause, count) in named.chain(other) {
            let fresh = || Sighting {
                first: elapsed,
                ..Sighting::default()
            };
            let seen = self.0.entry(cause).or_insert_with(fresh);
            if seen.count != count {
                (seen.count, seen.last) = (count, elapsed);
            }
        }
        if self.0.len() > errors.iter().count() + 1 {
            self.0.retain(|cause, _| {
                cause.is_none_or(|cause| errors.iter().any(|(counted, _)| counted == cause))
            });
        }
    }

    pub(super) fn of(&self, cause: Option<Cause>) -> Sighting {
        self.0.get(&cause).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::errors::DISTINCT_CAUSES_MAX;
    use crate::model::{FaultKind, Phase};

    #[test]
    fn a_cause_keeps_its_first_moment_and_moves_its_last_only_when_it_strikes_again() {
        let cause = Cause::At(Phase::Provision, FaultKind::Timeout);
        let (mut errors, mut sightings) = (Errors::default(), Sightings::default());
        let seconds = Duration::from_secs;
        for (at, strikes) in [(1, 0), (2, 3), (3, 0), (7, 1), (9, 0)] {
            if strikes > 0 {
                errors.count(cause, strikes);
            }
            sightings.read(&errors, seconds(at));
        }
        let seen = sightings.of(Some(cause));
        assert_eq!((seen.first, seen.last), (seconds(2), seconds(7)));
    }

    #[test]
    fn memory_is_bounded_whatever_codes_a_server_makes_up() {
        let (mut errors, mut sightings) = (Errors::default(), Sightings::default());
        for code in (0..=u16::MAX).rev() {
            errors.count(Cause::At(Phase::Provision, FaultKind::HttpStatus(code)), 1);
            if code % 512 == 0 {
                sightings.read(&errors, Duration::from_secs(1));
            }
        }
        assert!(
            sightings.0.len() <= DISTINCT_CAUSES_MAX + 1,
            "{}",
            sightings.0.len()
        );
    }
}
