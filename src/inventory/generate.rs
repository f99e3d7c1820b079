//! Names made up by seed: each is a pure function of the seed and its position, none comes twice.

use std::fmt::{self, Write};
use std::str::FromStr;

use rand_pcg::Pcg64;
use rand_pcg::rand_core::{Rng, SeedableRng};

use super::list::Inventory;

/// What kind of names a line prints on its devices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NameKind {
    /// 48 bits as `AA:BB:CC:01:23:45`.
    #[default]
    Mac,
    /// 64 bits as `AABBCC0123456789`, as a LoRaWAN DevEUI is printed.
    Eui64,
    /// A prefix and ten digits that count up, as `SN-0412345678`.
    Serial,
}

impl NameKind {
    /// All of them with the scenario's word for each.
    pub const WORDS: [(&'static str, Self); 3] = [
        ("mac", Self::Mac),
        ("eui64", Self::Eui64),
        ("serial", Self::Serial),
    ];
}

/// The maker's 24 bits of a MAC or EUI-64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Oui([u8; 3]);

impl FromStr for Oui {
    type Err = GenerateError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let octets: Vec<_> = text
            .split([':', '-'])
            .filter(|octet| octet.len() == 2 && octet.bytes().all(|b| b.is_ascii_hexdigit()))
            .filter_map(|octet| u8::from_str_radix(octet, 16).ok())
            .collect();
        match (<[u8; 3]>::try_from(octets), text.len()) {
            (Ok(octets), 8) if octets[0] & 1 == 0 => Ok(Self(octets)),
            (Ok(_), 8) => Err(GenerateError::GroupOui),
            _ => Err(GenerateError::NotAnOui),
        }
    }
}

impl Oui {
    /// Its 24 bits.
    pub(crate) fn bits(self) -> u64 {
        self.0
            .iter()
            .fold(0, |bits, octet| bits << 8 | u64::from(*octet))
    }
}

impl fmt::Display for Oui {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c] = self.0;
        write!(f, "{a:02X}:{b:02X}:{c:02X}")
    }
}

/// Which names to make up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerateSpec {
    /// How many, at least 1.
    pub count: u32,
    /// Of which kind.
    pub kind: NameKind,
    /// The first 24 bits of a MAC or EUI-64; without it, addresses are locally administered, so
    /// that they are no real device's.
    pub oui: Option<Oui>,
    /// Before a serial number; `SN-` without it.
    pub prefix: Option<String>,
    /// The same seed gives the same names.
    pub seed: u64,
}

/// Why names cannot be made up as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GenerateError {
    /// A count of 0.
    #[error("there must be at least 1 device")]
    None,
    /// More than 24 bits give.
    #[error("an OUI has {most} MAC addresses, {0} are asked for", most = 1 << OUI_BITS)]
    TooMany(u32),
    /// Not three octets.
    #[error("an OUI is three octets in hex, such as \"AA:BB:CC\"")]
    NotAnOui,
    /// The I/G bit is set.
    #[error("an OUI with an odd first octet is a group's, no device has it")]
    GroupOui,
    /// An OUI for serial numbers.
    #[error("serial numbers have no OUI")]
    OuiForSerials,
    /// A prefix for addresses.
    #[error("only serial numbers have a prefix")]
    PrefixForAddresses,
    /// A prefix that makes names unsound.
    #[error("a prefix has up to 200 characters, no blank before it and no control character")]
    Prefix,
}

impl GenerateSpec {
    /// Whether there are as many names.
    pub fn check(&self) -> Result<(), GenerateError> {
        let serial = self.kind == NameKind::Serial;
        if self.count == 0 {
            return Err(GenerateError::None);
        }
        if self.kind == NameKind::Mac && self.oui.is_some() && self.count > 1 << OUI_BITS {
            return Err(GenerateError::TooMany(self.count));
        }
        if serial && self.oui.is_some() {
            return Err(GenerateError::OuiForSerials);
        }
        match &self.prefix {
            Some(_) if !serial => Err(GenerateError::PrefixForAddresses),
            Some(p) if p.chars().count() > 200 => Err(GenerateError::Prefix),
            Some(p) if p.starts_with(char::is_whitespace) => Err(GenerateError::Prefix),
            Some(p) if p.chars().any(char::is_control) => Err(GenerateError::Prefix),
            _ => Ok(()),
        }
    }
}

/// The names as a list.
///
/// # Panics
/// When the names are not as many as asked for: see [`GenerateSpec::check`].
pub fn generate(spec: &GenerateSpec) -> Inventory {
    let mut list = Inventory::default();
    for name in names(spec) {
        assert!(
            list.push(&name, []),
            "4 GiB hold the names of any check that passed"
        );
    }
    list.shrink();
    list
}

/// The names one after another, without a list in memory.
///
/// # Panics
/// When the names are not as many as asked for: see [`GenerateSpec::check`].
pub fn names(spec: &GenerateSpec) -> impl Iterator<Item = String> + use<> {
    assert_eq!(spec.check(), Ok(()), "checked before");
    let maker = Maker::new(spec);
    (0..spec.count).map(move |n| maker.name(n))
}

/// A device's made-up access token: 20 letters and digits, as ThingsBoard makes them.
pub fn token(seed: u64, n: u32) -> String {
    let spread = u64::from(n).wrapping_add(1).wrapping_mul(GOLDEN);
    let mut random = Pcg64::seed_from_u64(seed.rotate_left(32) ^ spread);
    let letter = |random: u64| ALPHABET[(((random >> 32) * ALPHABET.len() as u64) >> 32) as usize];
    (0..20)
        .map(|_| char::from(letter(random.next_u64())))
        .collect()
}

/// Position to name.
enum Maker {
    Address {
        kind: NameKind,
        oui: Option<Oui>,
        scramble: Scramble,
    },
    Serial {
        prefix: String,
        first: u64,
    },
}

impl Maker {
    fn new(spec: &GenerateSpec) -> Self {
        let bits = match (spec.kind, spec.oui) {
            (NameKind::Serial, _) => {
                let first = Pcg64::seed_from_u64(spec.seed).next_u64() % 1_000_000_000;
                let prefix = spec.prefix.clone().unwrap_or_else(|| "SN-".to_owned());
                return Self::Serial { prefix, first };
            }
            (NameKind::Mac, Some(_)) => OUI_BITS,
            (NameKind::Mac, None) => 46,
            (NameKind::Eui64, Some(_)) => 40,
            (NameKind::Eui64, None) => 62,
        };
        let scramble = Scramble::new(bits, spec.seed);
        Self::Address {
            kind: spec.kind,
            oui: spec.oui,
            scramble,
        }
    }

    fn name(&self, n: u32) -> String {
        match self {
            // At most 10^9 + 2^32, which is ten digits.
            Self::Serial { prefix, first } => format!("{prefix}{:010}", first + u64::from(n)),
            Self::Address {
                kind,
                oui,
                scramble,
            } => {
                let octets = if *kind == NameKind::Mac { 6 } else { 8 };
                let low = scramble.of(u64::from(n));
                let value = if let Some(oui) = oui {
                    oui.bits() << (8 * (octets - 3)) | low
                } else {
                    // The first octet's two low bits say: local, and one device's.
                    let below = 8 * (octets - 1);
                    let first = low >> below << 2 | 0b10;
                    first << below | low & ((1 << below) - 1)
                };
                if *kind == NameKind::Eui64 {
                    return format!("{value:016X}");
                }
                let mut name = String::with_capacity(17);
                for octet in &value.to_be_bytes()[2..] {
                    let colon = if name.is_empty() { "" } else { ":" };
                    write!(name, "{colon}{octet:02X}").expect("a string takes all");
                }
                name
            }
        }
    }
}

/// A permutation of all numbers of so many bits, drawn by seed: distinct positions give distinct
/// numbers without a table of those that were given.
struct Scramble {
    bits: u32,
    rounds: [(u64, u64); 3],
}

impl Scramble {
    fn new(bits: u32, seed: u64) -> Self {
        let mut random = Pcg64::seed_from_u64(seed);
        // Multiplying by an odd number is a permutation modulo a power of two.
        let rounds = [(); 3].map(|()| (random.next_u64() | 1, random.next_u64()));
        Self { bits, rounds }
    }

    fn of(&self, n: u64) -> u64 {
        let mask = (1 << self.bits) - 1;
        self.rounds.iter().fold(n, |x, (times, plus)| {
            let x = x.wrapping_mul(*times).wrapping_add(*plus) & mask;
            x ^ x >> (self.bits / 2)
        })
    }
}

const OUI_BITS: u32 = 24;

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;
    use crate::model::DeviceIx;

    fn spec(kind: NameKind, oui: Option<&str>, count: u32, seed: u64) -> GenerateSpec {
        let oui = oui.map(|oui| oui.parse().unwrap());
        GenerateSpec {
            count,
            kind,
            oui,
            prefix: None,
            seed,
        }
    }

    #[test]
    fn names_look_as_they_are_printed_on_devices() {
        for (kind, oui, shape) in [
            (NameKind::Mac, Some("AA:bb-CC"), "AA:BB:CC:xx:xx:xx"),
            (NameKind::Mac, None, "xx:xx:xx:xx:xx:xx"),
            (NameKind::Eui64, Some("70:B3:D5"), "70B3D5xxxxxxxxxx"),
            (NameKind::Serial, None, "SN-xxxxxxxxxx"),
        ] {
            for name in names(&spec(kind, oui, 100, 7)) {
                let fits = name.len() == shape.len()
                    && name
                        .chars()
                        .zip(shape.chars())
                        .all(|(c, s)| c == s || s == 'x' && c.is_ascii_hexdigit());
                assert!(fits, "{name} is not {shape}");
            }
        }
    }

    #[test]
    fn addresses_without_an_oui_are_locally_administered() {
        for kind in [NameKind::Mac, NameKind::Eui64] {
            for name in names(&spec(kind, None, 1000, 3)) {
                let first = u8::from_str_radix(&name[..2], 16).unwrap();
                assert_eq!(first & 0b11, 0b10, "{name}");
            }
        }
    }

    #[test]
    fn all_the_addresses_of_an_oui_are_given_before_one_comes_twice() {
        let scramble = Scramble::new(16, 9);
        let all: HashSet<_> = (0..1 << 16).map(|n| scramble.of(n)).collect();
        assert_eq!(all.len(), 1 << 16);
    }

    #[test]
    fn the_names_of_a_seed_never_change() {
        let first = |kind, oui| names(&spec(kind, oui, 1, 42)).next().unwrap();
        assert_eq!(
            [
                first(NameKind::Mac, Some("AA:BB:CC")),
                first(NameKind::Eui64, None),
                first(NameKind::Serial, None),
                token(42, 0),
            ],
            [
                "AA:BB:CC:DE:57:82",
                "6EDB8A6D912DB0AC",
                "SN-0715145737",
                "YbTio9ZXYZk4IwMzJ27X"
            ]
        );
    }

    #[test]
    fn refuses_what_it_cannot_make() {
        for (oui, error) in [
            ("AA:BB", GenerateError::NotAnOui),
            ("AA:BB:CC:DD", GenerateError::NotAnOui),
            ("AABB:CC", GenerateError::NotAnOui),
            ("A:BB:CCC", GenerateError::NotAnOui),
            ("01:BB:CC", GenerateError::GroupOui),
        ] {
            assert_eq!(oui.parse::<Oui>(), Err(error), "{oui}");
        }
        let refused = |kind, oui, count| spec(kind, oui, count, 1).check().unwrap_err();
        assert_eq!(refused(NameKind::Mac, None, 0), GenerateError::None);
        assert_eq!(
            refused(NameKind::Serial, Some("AA:BB:CC"), 1),
            GenerateError::OuiForSerials
        );
        let many = (1 << 24) + 1;
        assert_eq!(
            refused(NameKind::Mac, Some("AA:BB:CC"), many),
            GenerateError::TooMany(many)
        );
    }

    proptest! {
        #[test]
        fn names_are_unique_and_the_seed_decides(seed: u64, other: u64, kind in 0usize..3) {
            let spec = |seed| spec(NameKind::WORDS[kind].1, None, 500, seed);
            let list = generate(&spec(seed));
            let unique: HashSet<_> = (0..500).map(|n| list.name(DeviceIx(n))).collect();
            prop_assert_eq!(unique.len(), 500);
            prop_assert!(names(&spec(seed)).eq(names(&spec(seed))));
            prop_assert!(seed == other || !names(&spec(seed)).eq(names(&spec(other))));
        }
    }
}
