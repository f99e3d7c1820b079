//! Which device belongs to which cohort: exact totals, evenly interleaved, the same every time.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::plan::{Cohort, Deal};

/// Why cohorts cannot be dealt. Says the way out, too.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{what}\nhelp: {help}")]
pub struct DealError {
    /// What is wrong.
    pub what: String,
    /// The way out.
    pub help: &'static str,
    /// The cohort at which it shows, as a position in the scenario.
    pub cohort: usize,
}

/// Each device's cohort, as a position in `cohorts`.
///
/// Totals are exact: fractions of a device go by largest remainder. The devices of a cohort are
/// spread evenly over the list, so that each cohort has some from the beginning.
pub fn deal(cohorts: &[Cohort], devices: u32) -> Result<Vec<u16>, DealError> {
    let deals: Vec<_> = cohorts.iter().map(|cohort| cohort.deal).collect();
    Ok(spread(&totals(&deals, devices)?))
}

/// The rules that hold for a list of any length.
pub(super) fn check_shares(deals: &[Deal]) -> Result<(), DealError> {
    let last = deals.len().saturating_sub(1);
    let sum = deals.iter().map(|deal| deal.share()).sum::<f64>();
    // For people: 0.1 + 0.2 is 0.3.
    let shown = (sum * 1e6).round() / 1e6;
    if sum > 1.0 + EPSILON {
        let mut before = 0.0;
        let above = |deal: &Deal| {
            before += deal.share();
            before > 1.0 + EPSILON
        };
        return Err(DealError {
            what: format!("the shares of all cohorts are more than 1 in total: {shown}"),
            help: "lower them to a sum of 1",
            cohort: deals.iter().position(above).unwrap_or(last),
        });
    }
    match deals
        .iter()
        .position(|deal| !matches!(deal, Deal::Share(_)))
    {
        None if sum < 1.0 - EPSILON => Err(DealError {
            what: format!("the shares of all cohorts are less than 1 in total: {shown}"),
            help: "raise them to a sum of 1, or leave out one share: that cohort takes the rest",
            cohort: last,
        }),
        Some(cohort) if sum > 1.0 - EPSILON => Err(DealError {
            what: "nothing is left for this cohort: the shares of the others are 1 in total"
                .to_owned(),
            help: "lower the shares, or remove the cohort",
            cohort,
        }),
        _ => Ok(()),
    }
}

/// How many devices each cohort is dealt.
pub(super) fn totals(deals: &[Deal], devices: u32) -> Result<Vec<u32>, DealError> {
    check_shares(deals)?;
    let counted: u64 = deals.iter().map(|deal| deal.count()).sum();
    let exact = deals.iter().map(|deal| deal.share()).sum::<f64>() * f64::from(devices);
    let rests = deals.iter().filter(|deal| **deal == Deal::Rest).count();
    // Where shares and counts make up the whole, a fraction of a device must not be left over.
    let shared = match u64::from(devices).checked_sub(counted) {
        Some(left) if rests == 0 && (exact - left as f64).abs() < 1.0 => left,
        _ => whole(exact.round()),
    };
    let wanted = counted + shared;
    let last = deals.len().saturating_sub(1);
    let Some(rest) = u64::from(devices).checked_sub(wanted) else {
        return Err(DealError {
            what: format!("the cohorts take {wanted} devices, and there are {devices}"),
            help: "lower the counts, or give more devices",
            cohort: deals
                .iter()
                .rposition(|deal| deal.count() > 0)
                .unwrap_or(last),
        });
    };
    if rest > 0 && rests == 0 {
        return Err(DealError {
            what: format!(
                "the cohorts take {wanted} of {devices} devices, and none takes the rest"
            ),
            help: "leave out share and count of one cohort: it takes the rest",
            cohort: last,
        });
    }
    let by_share = apportioned(shared, deals.iter().map(|deal| deal.share()));
    let is_rest = |deal: &Deal| f64::from(u8::from(*deal == Deal::Rest));
    let by_rest = apportioned(rest, deals.iter().map(is_rest));
    let total = |(n, deal): (usize, &Deal)| match deal {
        Deal::Share(_) => by_share[n],
        Deal::Count(count) => *count,
        Deal::Rest => by_rest[n],
    };
    Ok(deals.iter().enumerate().map(total).collect())
}

impl Deal {
    fn share(self) -> f64 {
        if let Self::Share(share) = self {
            share
        } else {
            0.0
        }
    }

    fn count(self) -> u64 {
        if let Self::Count(count) = self {
            u64::from(count)
        } else {
            0
        }
    }
}

/// `all` in proportion to the weights, by largest remainder; ties go to the first.
fn apportioned(all: u64, weights: impl Iterator<Item = f64>) -> Vec<u32> {
    let weights: Vec<_> = weights.collect();
    let sum: f64 = weights.iter().sum();
    if sum <= 0.0 {
        return vec![0; weights.len()];
    }
    let exact: Vec<_> = weights
        .iter()
        .map(|weight| weight / sum * all as f64)
        .collect();
    // A product that is a whisker below a whole number is that number.
    let mut parts: Vec<_> = exact
        .iter()
        .map(|exact| whole((exact + EPSILON).floor()) as u32)
        .collect();
    let given: u64 = parts.iter().map(|part| u64::from(*part)).sum();
    let mut order: Vec<_> = (0..weights.len()).filter(|n| weights[*n] > 0.0).collect();
    let remainder = |n: usize| exact[n] - f64::from(parts[n]);
    order.sort_by(|a, b| remainder(*b).total_cmp(&remainder(*a)));
    for n in order
        .into_iter()
        .cycle()
        .take(all.saturating_sub(given) as usize)
    {
        parts[n] += 1;
    }
    parts
}

/// A float that is a whole number ≥ 0.
#[expect(clippy::cast_sign_loss, reason = "shares and counts are not negative")]
fn whole(number: f64) -> u64 {
    number as u64
}

/// Puts the j-th of a cohort's n devices at (j + ½)/n of the list, and cohorts in that order.
fn spread(totals: &[u32]) -> Vec<u16> {
    let turn = |(cohort, total): (usize, &u32)| Turn {
        nth: 0,
        total: *total,
        cohort: cohort as u16,
    };
    let mut turns: BinaryHeap<_> = totals
        .iter()
        .enumerate()
        .map(turn)
        .filter(|t| t.total > 0)
        .collect();
    let mut dealt = Vec::with_capacity(totals.iter().map(|total| *total as usize).sum());
    while let Some(turn) = turns.pop() {
        dealt.push(turn.cohort);
        if turn.nth + 1 < turn.total {
            turns.push(Turn {
                nth: turn.nth + 1,
                ..turn
            });
        }
    }
    dealt
}

/// A cohort's next device.
#[derive(PartialEq, Eq)]
struct Turn {
    nth: u32,
    total: u32,
    cohort: u16,
}

impl Ord for Turn {
    /// The greatest is next: the least (2j + 1)/n, then the first cohort.
    fn cmp(&self, other: &Self) -> Ordering {
        let at = |a: &Self, b: &Self| (2 * u128::from(a.nth) + 1) * u128::from(b.total);
        at(other, self)
            .cmp(&at(self, other))
            .then(other.cohort.cmp(&self.cohort))
    }
}

impl PartialOrd for Turn {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

const EPSILON: f64 = 1e-9;

/// How many devices each of so many cohorts was dealt.
pub fn dealt_to_each(dealt: &[u16], cohorts: usize) -> Vec<u32> {
    let mut totals = vec![0; cohorts];
    for cohort in dealt {
        totals[usize::from(*cohort)] += 1;
    }
    totals
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::plan::CredentialsPlan;
    use super::*;
    use crate::model::{MqttVersion, TransportKind};

    fn cohorts(deals: &[Deal]) -> Vec<Cohort> {
        let cohort = |(n, deal): (usize, &Deal)| Cohort {
            name: format!("c{n}"),
            deal: *deal,
            transport: TransportKind::Mqtt,
            version: MqttVersion::V3,
            profile: 0,
            credentials: CredentialsPlan::Server,
            expect: None,
            misbehaviour: None,
            arrival: None,
            gateway: None,
        };
        deals.iter().enumerate().map(cohort).collect()
    }

    #[test]
    fn totals_are_exact() {
        use Deal::{Count, Rest, Share};
        for (deals, devices, expected) in [
            (&[Rest][..], 7, &[7][..]),
            (&[Share(0.5), Share(0.3), Share(0.2)], 10, &[5, 3, 2]),
            (
                &[Share(1.0 / 3.0), Share(1.0 / 3.0), Share(1.0 / 3.0)],
                10,
                &[4, 3, 3],
            ),
            (
                &[Share(0.1), Share(0.2), Share(0.7)],
                1_000_000,
                &[100_000, 200_000, 700_000],
            ),
            (&[Share(0.25), Rest, Rest], 101, &[25, 38, 38]),
            (&[Count(3), Rest], 10, &[3, 7]),
            (&[Count(3), Share(0.5), Rest], 10, &[3, 5, 2]),
            (&[Count(5), Share(0.5)], 10, &[5, 5]),
            (&[Count(5), Share(0.5)], 11, &[5, 6]),
            (&[Count(10), Rest], 10, &[10, 0]),
            (&[Share(0.5), Share(0.5)], 1, &[1, 0]),
        ] {
            assert_eq!(
                totals(deals, devices).unwrap(),
                expected,
                "{deals:?} of {devices}"
            );
        }
    }

    #[test]
    fn what_does_not_add_up_is_refused() {
        use Deal::{Count, Rest, Share};
        for (deals, devices, message, cohort) in [
            (
                &[Share(0.6), Share(0.6), Share(0.1)][..],
                10,
                "more than 1 in total: 1.3",
                1,
            ),
            (
                &[Share(0.6), Share(0.3)],
                10,
                "less than 1 in total: 0.9",
                1,
            ),
            (
                &[Rest, Share(1.0)],
                10,
                "nothing is left for this cohort",
                0,
            ),
            (
                &[Count(6), Count(6)],
                10,
                "take 12 devices, and there are 10",
                1,
            ),
            (
                &[Count(6), Share(0.5)],
                10,
                "take 11 devices, and there are 10",
                0,
            ),
            (&[Count(6), Count(3)], 10, "take 9 of 10 devices", 1),
        ] {
            let error = deal(&cohorts(deals), devices).unwrap_err();
            assert!(error.to_string().contains(message), "{error}");
            assert_eq!(error.cohort, cohort, "{error}");
        }
    }

    #[test]
    fn cohorts_alternate() {
        assert_eq!(spread(&[4, 2, 2]), [0, 1, 2, 0, 0, 1, 2, 0]);
        assert_eq!(spread(&[2, 0, 1]), [0, 2, 0]);
    }

    proptest! {
        #[test]
        fn every_device_has_one_cohort_and_every_stretch_its_mixture(
            weights in prop::collection::vec(1u32..100, 1..8), devices in 0u32..2_000,
        ) {
            let sum = f64::from(weights.iter().sum::<u32>());
            let deals: Vec<_> = weights.iter().map(|w| Deal::Share(f64::from(*w) / sum)).collect();
            let cohorts = cohorts(&deals);
            let dealt = deal(&cohorts, devices).unwrap();
            prop_assert_eq!(dealt.len(), devices as usize);
            prop_assert_eq!(&dealt, &deal(&cohorts, devices).unwrap());
            let mut seen = vec![0u32; weights.len()];
            for (n, cohort) in dealt.iter().enumerate() {
                seen[usize::from(*cohort)] += 1;
                for (cohort, weight) in weights.iter().enumerate() {
                    let fair = f64::from(*weight) / sum * (n + 1) as f64;
                    let off = (f64::from(seen[cohort]) - fair).abs();
                    prop_assert!(off <= weights.len() as f64 / 2.0 + 2.0, "{off} after {n}");
                }
            }
            for (total, weight) in seen.iter().zip(&weights) {
                prop_assert!((f64::from(*total) - f64::from(*weight) / sum * f64::from(devices)).abs() < 1.0);
            }
        }
    }
}
