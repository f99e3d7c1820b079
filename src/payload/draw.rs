//! Random numbers by address: each (seed, key, device, number) has a generator of its own, so that
//! no draw depends on another.

use rand::SeedableRng;
use rand_pcg::Pcg64;

use crate::model::mix;

/// A generator for one purpose of one device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stream(u64);

impl Stream {
    /// `key` and `device` are hashes of texts, see [`fnv`](crate::model::fnv).
    pub(super) fn new(seed: u64, key: u64, device: u64) -> Self {
        Self(mix(mix(mix(seed) ^ key) ^ device))
    }

    /// The generator of one number, which is a tick or whatever else tells draws apart.
    pub(super) fn at(self, number: u64) -> Pcg64 {
        Pcg64::seed_from_u64(mix(self.0 ^ number))
    }
}

/// For what concerns a device and no tick of it: its phases.
pub(super) const NO_TICK: u64 = u64::MAX;

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;
    use crate::model::fnv;

    fn first(seed: u64, key: &str, device: &str, number: u64) -> u64 {
        Stream::new(seed, fnv(key), fnv(device)).at(number).random()
    }

    #[test]
    fn each_part_of_an_address_counts() {
        let known = first(1, "temperature", "d1", 0);
        assert_eq!(known, first(1, "temperature", "d1", 0));
        for other in [
            first(2, "temperature", "d1", 0),
            first(1, "humidity", "d1", 0),
            first(1, "temperature", "d2", 0),
            first(1, "temperature", "d1", 1),
            // Key and device are not interchangeable.
            first(1, "d1", "temperature", 0),
        ] {
            assert_ne!(known, other);
        }
    }

    /// Worked out by a Python program after the words of docs/telemetry.md; uniform values of
    /// `fixtures/payload/models.txt` follow from such draws.
    #[test]
    fn another_program_draws_the_same() {
        for (number, draw) in [
            (0, 0xe95b_4a3c_94d0_fb53),
            (1, 0x98f4_e215_ff0e_a72a),
            (2, 0x482d_c6ef_25dc_69bb),
        ] {
            assert_eq!(first(1, "temperature", "d1", number), draw);
        }
    }
}
