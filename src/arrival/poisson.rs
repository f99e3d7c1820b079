//! A Poisson process of one event per unit of time, drawn by a seed, asked by ordinal.
//!
//! The gap before each event is a pure function of seed and ordinal; every sixteenth moment is kept
//! (half a byte a device), so an answer adds up at most fifteen gaps.

/// The first moments of a unit-rate process.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct UnitProcess {
    seed: u64,
    events: u32,
    /// The moment of every [`BLOCK`]-th event.
    marks: Vec<f64>,
}

impl UnitProcess {
    /// Draws so many events.
    pub(super) fn new(seed: u64, events: u32) -> Self {
        let mut marks = Vec::with_capacity(events.div_ceil(BLOCK) as usize);
        let mut at = 0.0;
        for n in 0..events {
            at += gap(seed, n);
            if n.is_multiple_of(BLOCK) {
                marks.push(at);
            }
        }
        Self {
            seed,
            events,
            marks,
        }
    }

    /// The moment of the n-th event, from 0. Never decreases in `n`.
    ///
    /// # Panics
    /// When fewer were drawn.
    pub(super) fn moment(&self, n: u32) -> f64 {
        assert!(n < self.events, "the schedule was drawn for fewer devices");
        let mark = n / BLOCK;
        let rest = mark * BLOCK + 1..=n;
        // Added up in the order of `new`: the same sum, bit for bit.
        rest.fold(self.marks[mark as usize], |at, n| at + gap(self.seed, n))
    }

    /// How many events come before that moment, of those drawn.
    pub(super) fn before(&self, moment: f64) -> u64 {
        let (mut low, mut high) = (0, self.events);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.moment(middle) < moment {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        u64::from(low)
    }
}

/// The exponential gap before the n-th event, mean 1: SplitMix64 (Steele, Lea and Flood 2014),
/// which can be asked for its n-th number, inverted.
fn gap(seed: u64, n: u32) -> f64 {
    let step = u64::from(n).wrapping_add(1).wrapping_mul(GOLDEN);
    let drawn = mix(mix(seed ^ PURPOSE).wrapping_add(step));
    // In the middle of one of 2⁵³ equal parts: never 0, never 1.
    let uniform = ((drawn >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    -uniform.ln()
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

const BLOCK: u32 = 16;

/// 2⁶⁴ divided by the golden ratio, odd.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// Keeps these draws apart from others of the same seed.
const PURPOSE: u64 = 0x0061_7272_6976_616C;
