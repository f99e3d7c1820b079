//! Random numbers by address: seed, purpose, device and two numbers give one draw, so that no draw
//! depends on another.

use crate::model::{fnv, mix};

/// A number in [0, 1), all of its 53 bits drawn.
pub(super) fn uniform(seed: u64, purpose: &str, device: &str, numbers: [u64; 2]) -> f64 {
    let address = [fnv(purpose), fnv(device), numbers[0], numbers[1]];
    let bits = address
        .into_iter()
        .fold(mix(seed), |state, part| mix(state ^ part));
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_of_an_address_counts_and_nothing_else() {
        let known = uniform(1, "backoff", "d1", [0, 1]);
        assert_eq!(
            known.to_bits(),
            uniform(1, "backoff", "d1", [0, 1]).to_bits()
        );
        for other in [
            uniform(2, "backoff", "d1", [0, 1]),
            uniform(1, "boot", "d1", [0, 1]),
            uniform(1, "backoff", "d2", [0, 1]),
            uniform(1, "backoff", "d1", [1, 0]),
            uniform(1, "d1", "backoff", [0, 1]),
        ] {
            assert_ne!(known.to_bits(), other.to_bits());
        }
    }

    #[test]
    fn draws_are_spread_evenly() {
        let mut tenths = [0u32; 10];
        for n in 0..10_000 {
            let draw = uniform(7, "any", &format!("d{n}"), [0, 0]);
            let tenth = (0..10u8).rfind(|tenth| draw * 10.0 >= f64::from(*tenth));
            tenths[usize::from(tenth.expect("not below 0"))] += 1;
        }
        // 1,000 each, with a standard deviation of 30.
        assert!(tenths.iter().all(|n| n.abs_diff(1_000) < 150), "{tenths:?}");
    }
}
