//! Draws by seed. A draw depends on the seed, the phase, the device's name and how often that name
//! came to that phase before, so neither scheduling nor other devices change it, and a retry gets a
//! new draw. Where no name is known, the connection's number stands for it.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use rand::{Rng, RngExt, SeedableRng};
use rand_pcg::Pcg64;

use crate::model::{FaultPhase, PhaseFaults};

/// What happens to a request, a message or a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::target) enum Fate {
    /// Carried out and answered.
    #[default]
    Served,
    /// Turned down without a look.
    Refused,
    /// Carried out, never answered.
    Lost,
    /// Not carried out, connection closed.
    Disconnected,
    /// Not carried out, connection reset.
    Reset,
    /// Not carried out, and the connection is silent from here on.
    Silent,
    /// Carried out, answered with noise.
    Garbage,
}

/// Whom a draw is for.
#[derive(Clone, Copy, Debug)]
pub(in crate::target) enum Key<'a> {
    /// A device by its name.
    Name(&'a str),
    /// A connection by its number.
    Number(u64),
}

/// The dice.
pub(super) struct Dice {
    seed: u64,
    asked: Mutex<HashMap<u64, u32>>,
}

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            asked: Mutex::default(),
        }
    }

    /// Draws a fate and a delay for whoever comes to a phase next.
    pub(super) fn cast(
        &self,
        faults: &PhaseFaults,
        phase: FaultPhase,
        key: Key<'_>,
    ) -> (Fate, Duration) {
        let troubled = faults.shares().iter().sum::<f64>() > 0.0;
        if !troubled && faults.delay.is_none() {
            return (Fate::Served, Duration::ZERO);
        }
        let (name, times) = match key {
            Key::Name(name) => (name, self.times_asked(phase, name)),
            Key::Number(number) => ("", number),
        };
        let mut fate = Fate::Served;
        if troubled {
            let draw = source(self.seed, purpose(phase), name, times).random();
            fate = fate_of(&faults.shares(), draw);
        }
        let delay = faults.delay.map_or(Duration::ZERO, |model| {
            let mut source = source(self.seed, delays_of(phase), name, times);
            model.drawn(source.random(), source.random())
        });
        (fate, delay)
    }

    /// A draw of its own, by a number that no other has.
    pub(super) fn once(&self, purpose: &str, share: f64, number: u64) -> bool {
        let draw: f64 = source(self.seed, purpose, "", number).random();
        draw < share
    }

    fn times_asked(&self, phase: FaultPhase, name: &str) -> u64 {
        let mut asked = self.asked.lock().expect("nothing panics while it is held");
        let key = fnv(name) ^ fnv(purpose(phase));
        if asked.len() >= NAMES && !asked.contains_key(&key) {
            return 0;
        }
        let times = asked.entry(key).or_default();
        *times = times.wrapping_add(1);
        u64::from(*times)
    }
}

/// Which of the shares a draw from 0 to 1 falls into, in the order of `PhaseFaults::shares`.
fn fate_of(shares: &[f64; 6], draw: f64) -> Fate {
    let mut below = 0.0;
    for (share, fate) in shares.iter().zip(FATES) {
        below += share;
        if draw < below {
            return fate;
        }
    }
    Fate::Served
}

/// 32 bytes that begin no message of any protocol here.
pub(in crate::target) fn noise(seed: u64, name: &str) -> Vec<u8> {
    let mut noise = vec![0; 32];
    source(seed, "noise", name, 0).fill_bytes(&mut noise);
    // No MQTT packet, TLS record, status line or JSON begins so. As MQTT it is a whole packet of a
    // forbidden type: nobody waits for the rest of it.
    noise[..2].fill(0);
    noise
}

fn purpose(phase: FaultPhase) -> &'static str {
    match phase {
        FaultPhase::Provision => "fault",
        phase => phase.as_str(),
    }
}

fn delays_of(phase: FaultPhase) -> &'static str {
    match phase {
        FaultPhase::Connect => "delay of connect",
        FaultPhase::Tls => "delay of tls",
        FaultPhase::MqttConnect => "delay of mqtt_connect",
        FaultPhase::Provision => "delay of provision",
        FaultPhase::Telemetry => "delay of telemetry",
        FaultPhase::Downlink => "delay of downlink",
    }
}

/// 20 characters of `[A-Za-z0-9]`, as the platform draws tokens and names.
pub(in crate::target) fn twenty_characters(seed: u64, purpose: &str, name: &str) -> String {
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

const FATES: [Fate; 6] = [
    Fate::Disconnected,
    Fate::Refused,
    Fate::Lost,
    Fate::Reset,
    Fate::Silent,
    Fate::Garbage,
];

/// Names whose requests are counted; later ones always draw as if first.
const NAMES: usize = 4_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Delay;

    const FAULTS: PhaseFaults = PhaseFaults {
        delay: Some(Delay::Exponential(Duration::from_millis(20))),
        refuse: 0.2,
        lose_answer: 0.1,
        disconnect: 0.3,
        reset: 0.05,
        half_open: 0.04,
        garbage: 0.03,
    };

    fn cast(dice: &Dice, name: &str) -> (Fate, Duration) {
        dice.cast(&FAULTS, FaultPhase::Provision, Key::Name(name))
    }

    #[test]
    fn shares_come_out_as_asked() {
        let dice = Dice::new(7);
        let fates: Vec<Fate> = (0..10_000)
            .map(|n| cast(&dice, &format!("d{n}")).0)
            .collect();
        for (fate, share) in [
            (Fate::Refused, 2_000),
            (Fate::Lost, 1_000),
            (Fate::Disconnected, 3_000),
            (Fate::Reset, 500),
            (Fate::Silent, 400),
            (Fate::Garbage, 300),
            (Fate::Served, 2_800),
        ] {
            let seen = fates.iter().filter(|&&f| f == fate).count();
            assert!(seen.abs_diff(share) < 200, "{fate:?}: {seen}");
        }
    }

    #[test]
    fn a_fate_and_a_delay_depend_on_seed_phase_name_and_attempt_only() {
        let (a, b) = (Dice::new(7), Dice::new(7));
        let forwards: Vec<_> = (0..100).map(|n| cast(&a, &format!("d{n}"))).collect();
        let mut backwards: Vec<_> = (0..100).rev().map(|n| cast(&b, &format!("d{n}"))).collect();
        backwards.reverse();
        assert_eq!(forwards, backwards);
        let other = Dice::new(8);
        let elsewhere: Vec<_> = (0..100).map(|n| cast(&other, &format!("d{n}"))).collect();
        assert_ne!(forwards, elsewhere);
        let retries: Vec<_> = (0..50).map(|_| cast(&a, "d0")).collect();
        assert!(retries.iter().any(|(fate, _)| *fate != retries[0].0));
        assert!(retries.iter().any(|(_, delay)| *delay != retries[0].1));
    }

    #[test]
    fn one_phase_does_not_use_up_the_draws_of_another() {
        let (a, b) = (Dice::new(7), Dice::new(7));
        let _ = a.cast(&FAULTS, FaultPhase::Telemetry, Key::Name("d"));
        assert_eq!(cast(&a, "d"), cast(&b, "d"));
        let of = |phase| Dice::new(7).cast(&FAULTS, phase, Key::Number(5)).1;
        assert_ne!(of(FaultPhase::Connect), of(FaultPhase::Tls));
        assert_eq!(of(FaultPhase::Tls), of(FaultPhase::Tls));
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
}
