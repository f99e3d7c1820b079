//! Misbehaviour by seed. A draw depends on the seed, the device's name and how often that name
//! asked before, so neither scheduling nor other devices change it, and a retry gets a new draw.

use std::collections::HashMap;
use std::sync::Mutex;

use rand::{Rng, RngExt, SeedableRng};
use rand_pcg::Pcg64;

use crate::model::Faults;

/// What happens to one provision request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Carried out and answered.
    Served,
    /// Answered FAILURE without a look.
    Refused,
    /// Carried out, never answered.
    Lost,
    /// Not carried out, connection closed.
    Disconnected,
}

/// The dice.
pub(super) struct Dice {
    faults: Faults,
    seed: u64,
    asked: Mutex<HashMap<u64, u32>>,
}

impl Dice {
    pub(super) fn new(faults: Faults, seed: u64) -> Self {
        Self {
            faults,
            seed,
            asked: Mutex::default(),
        }
    }

    /// Whether the shares are shares and leave no request two fates.
    pub(super) fn fair(faults: &Faults) -> bool {
        let shares = [faults.refuse, faults.lose_answer, faults.disconnect];
        shares.iter().all(|share| (0.0..=1.0).contains(share)) && shares.iter().sum::<f64>() <= 1.0
    }

    /// Draws for the next request of a name.
    pub(super) fn fate(&self, name: &str) -> Fate {
        let Faults {
            refuse,
            lose_answer,
            disconnect,
            ..
        } = self.faults;
        if refuse + lose_answer + disconnect <= 0.0 {
            return Fate::Served;
        }
        let draw: f64 = source(self.seed, "fault", name, self.times_asked(name)).random();
        if draw < disconnect {
            Fate::Disconnected
        } else if draw < disconnect + refuse {
            Fate::Refused
        } else if draw < disconnect + refuse + lose_answer {
            Fate::Lost
        } else {
            Fate::Served
        }
    }

    /// A draw of its own, by a number that no other has.
    pub(super) fn once(&self, share: f64, number: u64) -> bool {
        let draw: f64 = source(self.seed, "once", "", number).random();
        draw < share
    }

    fn times_asked(&self, name: &str) -> u64 {
        let mut asked = self.asked.lock().expect("nothing panics while it is held");
        let key = fnv(name);
        if asked.len() >= NAMES && !asked.contains_key(&key) {
            return 0;
        }
        let times = asked.entry(key).or_default();
        *times = times.wrapping_add(1);
        u64::from(*times)
    }
}

/// 20 characters of `[A-Za-z0-9]`, as the platform draws tokens and names.
pub(super) fn twenty_characters(seed: u64, purpose: &str, name: &str) -> String {
    let mut source = source(seed, purpose, name, 0);
    (0..20)
        .map(|_| char::from(ALPHABET[source.random_range(0..ALPHABET.len())]))
        .collect()
}

fn source(seed: u64, purpose: &str, name: &str, times: u64) -> impl Rng {
    let parts = [seed, fnv(purpose), fnv(name), times];
    Pcg64::seed_from_u64(parts.into_iter().fold(0, |state, part| mix(state ^ part)))
}

/// SplitMix64's finalizer: near seeds give far ones.
fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// FNV-1a, since the standard library's hash may change with a release.
fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}

const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Names whose requests are counted; later ones always draw as if first.
const NAMES: usize = 4_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn dice() -> Dice {
        let faults = Faults {
            refuse: 0.2,
            lose_answer: 0.1,
            disconnect: 0.3,
            ..Faults::default()
        };
        Dice::new(faults, 7)
    }

    #[test]
    fn shares_come_out_as_asked() {
        let dice = dice();
        let fates: Vec<Fate> = (0..10_000).map(|n| dice.fate(&format!("d{n}"))).collect();
        for (fate, share) in [
            (Fate::Refused, 2_000),
            (Fate::Lost, 1_000),
            (Fate::Disconnected, 3_000),
        ] {
            let seen = fates.iter().filter(|&&f| f == fate).count();
            assert!(seen.abs_diff(share) < 200, "{fate:?}: {seen}");
        }
    }

    #[test]
    fn a_fate_depends_on_seed_name_and_attempt_only() {
        let (a, b) = (dice(), dice());
        let forwards: Vec<Fate> = (0..100).map(|n| a.fate(&format!("d{n}"))).collect();
        let mut backwards: Vec<Fate> = (0..100).rev().map(|n| b.fate(&format!("d{n}"))).collect();
        backwards.reverse();
        assert_eq!(forwards, backwards);
        let retries: Vec<Fate> = (0..50).map(|_| a.fate("d0")).collect();
        assert!(retries.iter().any(|&fate| fate != retries[0]));
    }

    #[test]
    fn tokens_differ_by_name_and_repeat_by_seed() {
        let token = twenty_characters(1, "token", "a");
        assert_eq!(token.len(), 20);
        assert!(token.bytes().all(|b| b.is_ascii_alphanumeric()));
        assert_eq!(token, twenty_characters(1, "token", "a"));
        assert_ne!(token, twenty_characters(1, "token", "b"));
        assert_ne!(token, twenty_characters(2, "token", "a"));
    }

    #[test]
    fn unfair_shares_are_seen() {
        let with = |refuse, disconnect| Faults {
            refuse,
            disconnect,
            ..Faults::default()
        };
        assert!(Dice::fair(&with(0.5, 0.5)));
        for unfair in [with(0.6, 0.6), with(-0.1, 0.0), with(f64::NAN, 0.0)] {
            assert!(!Dice::fair(&unfair));
        }
    }
}
