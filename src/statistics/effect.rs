//! An effect size that assumes no distribution.

/// Vargha and Delaney's A₁₂ (2000): the chance that a sample of `two` is greater than one of `one`,
/// ties counting half. 0.5 when neither is; `None` when one of them is empty. Each is values with
/// their counts, ascending.
pub fn a12(one: &[(u64, u64)], two: &[(u64, u64)]) -> Option<f64> {
    let total = |of: &[(u64, u64)]| of.iter().map(|(_, n)| *n as f64).sum::<f64>();
    let (ones, twos) = (total(one), total(two));
    if ones == 0.0 || twos == 0.0 {
        return None;
    }
    let mut below = 0.0;
    let mut wins = 0.0;
    let mut rest = one.iter().peekable();
    for (value, n) in two {
        while let Some((_, count)) = rest.next_if(|(other, _)| other < value) {
            below += *count as f64;
        }
        let tied = rest.peek().filter(|(other, _)| other == value);
        let tied = tied.map_or(0.0, |(_, count)| *count as f64);
        wins += *n as f64 * (below + tied / 2.0);
    }
    Some(wins / ones / twos)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counted(samples: &[u64]) -> Vec<(u64, u64)> {
        let mut counts = std::collections::BTreeMap::new();
        for value in samples {
            *counts.entry(*value).or_insert(0) += 1;
        }
        counts.into_iter().collect()
    }

    proptest! {
        #[test]
        fn it_is_what_counting_all_pairs_gives(
            one in prop::collection::vec(0u64..20, 1..40),
            two in prop::collection::vec(0u64..20, 1..40),
        ) {
            let pairs = two.iter().flat_map(|b| one.iter().map(move |a| (a, b)));
            let wins: f64 = pairs
                .map(|(a, b)| match b.cmp(a) {
                    std::cmp::Ordering::Greater => 1.0,
                    std::cmp::Ordering::Equal => 0.5,
                    std::cmp::Ordering::Less => 0.0,
                })
                .sum();
            let brute = wins / (one.len() * two.len()) as f64;
            let found = a12(&counted(&one), &counted(&two)).expect("neither is empty");
            prop_assert!((found - brute).abs() < 1e-12, "{found} and {brute}");
        }
    }

    #[test]
    fn nothing_is_said_of_nothing() {
        assert_eq!(a12(&[], &[(1, 1)]), None);
        assert_eq!(a12(&[(1, 1)], &[]), None);
    }
}
