//! MAC addresses and their notations.

use std::fmt;

/// How a MAC address is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::lint) struct Notation {
    marks: Marks,
    case: Case,
}

/// What stands between its digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Marks {
    /// `AA:BB:CC:00:11:22`
    Colons,
    /// `AA-BB-CC-00-11-22`
    Hyphens,
    /// `AABB.CC00.1122`
    Dots,
    /// `AABBCC001122`
    None,
}

/// What its letters are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Case {
    Upper,
    Lower,
    Mixed,
    /// It has no letter.
    Digits,
}

impl Notation {
    /// Whether an address in this notation is spelt as one in that.
    pub(super) fn fits(self, other: Self) -> bool {
        self.marks == other.marks && (self.case == other.case || self.case == Case::Digits)
    }

    /// Whether it can be nothing else: digits alone may be a serial number.
    pub(super) fn is_certain(self) -> bool {
        self.marks != Marks::None || self.case != Case::Digits
    }

    /// Whether some of its digits are letters.
    pub(super) fn has_letters(self) -> bool {
        self.case != Case::Digits
    }

    /// Whether nothing stands between the digits.
    pub(super) fn is_bare(self) -> bool {
        self.marks == Marks::None
    }

    /// The notation that a list could have: letters of one kind.
    pub(super) fn settled(self) -> Self {
        let case = if self.case == Case::Lower {
            Case::Lower
        } else {
            Case::Upper
        };
        Self { case, ..self }
    }

    /// An address in this notation.
    pub(super) fn write(self, value: u64) -> String {
        let mut text = String::with_capacity(17);
        for n in 0..12 {
            let mark = match self.marks {
                Marks::Colons if n % 2 == 0 => Some(':'),
                Marks::Hyphens if n % 2 == 0 => Some('-'),
                Marks::Dots if n % 4 == 0 => Some('.'),
                _ => None,
            };
            if n > 0 {
                text.extend(mark);
            }
            let digit = (value >> (44 - 4 * n)) & 0xf;
            let digit = char::from_digit(digit as u32, 16).expect("a hexadecimal digit");
            text.push(if self.case == Case::Lower {
                digit
            } else {
                digit.to_ascii_uppercase()
            });
        }
        text
    }
}

impl fmt::Display for Notation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.marks {
            Marks::Colons => "colons",
            Marks::Hyphens => "hyphens",
            Marks::Dots => "dots",
            Marks::None => "no marks",
        })?;
        f.write_str(match self.case {
            Case::Upper => " and capitals",
            Case::Lower => " and small letters",
            Case::Mixed => " and letters of both kinds",
            Case::Digits => "",
        })
    }
}

/// A MAC address and its notation; `None` for any other text.
pub(in crate::lint) fn parse(text: &str) -> Option<(u64, Notation)> {
    let bytes = text.as_bytes();
    let (marks, mark, group) = match bytes.len() {
        12 => (Marks::None, 0, usize::MAX),
        14 => (Marks::Dots, b'.', 4),
        17 if bytes[2] == b':' => (Marks::Colons, b':', 2),
        17 => (Marks::Hyphens, b'-', 2),
        _ => return None,
    };
    let mut value = 0;
    let (mut upper, mut lower) = (false, false);
    let mut digits = 0;
    for byte in bytes {
        if digits == group {
            if *byte != mark {
                return None;
            }
            digits = 0;
            continue;
        }
        let digit = char::from(*byte).to_digit(16)?;
        upper |= byte.is_ascii_uppercase();
        lower |= byte.is_ascii_lowercase();
        value = value << 4 | u64::from(digit);
        digits += 1;
    }
    let case = match (upper, lower) {
        (true, true) => Case::Mixed,
        (true, false) => Case::Upper,
        (false, true) => Case::Lower,
        (false, false) => Case::Digits,
    };
    Some((value, Notation { marks, case }))
}

/// The value of a MAC address in any notation.
pub(in crate::lint) fn value(text: &str) -> Option<u64> {
    parse(text).map(|(value, _)| value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_notation_is_read_and_nothing_else() {
        for text in [
            "AA:BB:CC:00:11:22",
            "aa:bb:cc:00:11:22",
            "AA-BB-CC-00-11-22",
            "aabb.cc00.1122",
            "AABBCC001122",
            "aAbBcC001122",
        ] {
            assert_eq!(value(text), Some(0xaabb_cc00_1122), "{text}");
        }
        for text in [
            "",
            "AA:BB:CC:00:11",
            "AA:BB:CC:00:11:2G",
            "AA:BB-CC:00:11:22",
            "AABB.CC00:1122",
            "AABBCC00112",
            "AABBCC0011223",
            "ÄÄBBCC0011",
            "AA:BB:CC:00:11:22 ",
        ] {
            assert_eq!(value(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(value in 0u64..1 << 48, which in 0usize..7) {
            let notation = parse([
                "AA:BB:CC:00:11:22", "aa:bb:cc:00:11:22", "AA-BB-CC-00-11-22", "aa-bb-cc-00-11-22",
                "aabb.cc00.1122", "AABBCC001122", "aabbcc001122",
            ][which]).unwrap().1;
            let text = notation.write(value);
            let (read, as_read) = parse(&text).unwrap();
            prop_assert_eq!(read, value);
            prop_assert!(as_read.fits(notation));
        }

        #[test]
        fn any_text_is_taken(text in "\\PC{0,20}") {
            let _ = parse(&text);
        }
    }
}
