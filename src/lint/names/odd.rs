//! Names that are no MAC address, but nearly one, or an identifier of another kind.

use super::{lookalike, mac};

/// What such a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Odd {
    /// A letter stands where a digit that looks like it belongs.
    Letter(char),
    /// It would be an address but for a character that is no hexadecimal digit.
    Foreign(char),
    /// Hexadecimal digits, too few or too many.
    Length(u8),
    /// Six octets, some of one digit.
    Octets,
    /// Twelve hexadecimal digits, with marks in other places than anybody has them.
    Marks,
    /// Sixteen hexadecimal digits: an EUI-64 or DevEUI.
    Eui64,
    /// Decimal digits alone, fewer than an address has.
    Short(u8),
    /// Fifteen decimal digits: an IMEI, if the check digit is right.
    Imei { right: bool },
    /// 18 to 20 decimal digits from 89 on: an ICCID, if the check digit is right.
    Iccid { right: bool },
}

/// What a name is that [`mac::parse`] does not know; `None` for a name like any other.
pub(super) fn odd(name: &str) -> Option<Odd> {
    if name.len() > LONGEST {
        return None;
    }
    if !name.is_ascii() {
        let looks = lookalike::looks(name);
        let odd = mac::value(&looks).is_some() || letter(&looks).is_some();
        return name.chars().find(|c| odd && !c.is_ascii()).map(Odd::Letter);
    }
    if name.bytes().all(|byte| byte.is_ascii_digit()) {
        return decimal(name);
    }
    let digits = name.bytes().filter(u8::is_ascii_hexdigit).count();
    if digits < 6 {
        return None;
    }
    if let Some(letter) = letter(name) {
        return Some(Odd::Letter(letter));
    }
    let is_mark = |c: char| MARKS.contains(c);
    let marks = name.chars().filter(|c| is_mark(*c)).count();
    if digits + marks == name.len() {
        let mut groups = name.split(is_mark);
        let octets = groups.clone().count() == 6
            && groups.all(|group| (1..=2).contains(&group.len()))
            && digits < 12;
        return match digits {
            _ if octets => Some(Odd::Octets),
            12 => Some(Odd::Marks),
            16 => Some(Odd::Eui64),
            // Two groups or more, or letters and digits that are nothing but hexadecimal.
            9..=15 => Some(Odd::Length(digits as u8)),
            _ => None,
        };
    }
    let foreign = name
        .chars()
        .find(|c| !c.is_ascii_hexdigit() && !is_mark(*c))?;
    let others = name.len() - digits - marks;
    let as_zero = name.replace(|c: char| !c.is_ascii_hexdigit() && !is_mark(c), "0");
    (others <= 2 && mac::value(&as_zero).is_some()).then_some(Odd::Foreign(foreign))
}

/// The letter of a name that is an address once letters that look like digits are such.
fn letter(name: &str) -> Option<char> {
    let digit = |c| match c {
        'O' | 'o' => '0',
        'I' | 'i' | 'l' | 'L' | '|' => '1',
        c => c,
    };
    let read: String = name.chars().map(digit).collect();
    mac::value(&read)?;
    name.chars().find(|c| digit(*c) != *c)
}

fn decimal(name: &str) -> Option<Odd> {
    let right = luhn(name);
    match name.len() {
        9..=11 | 13 | 14 => Some(Odd::Short(name.len() as u8)),
        15 => Some(Odd::Imei { right }),
        18..=20 if name.starts_with("89") => Some(Odd::Iccid { right }),
        _ => None,
    }
}

/// Whether the last digit is the check digit of the others (ISO/IEC 7812-1, Luhn).
fn luhn(digits: &str) -> bool {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(n, byte)| match u32::from(byte - b'0') << (n % 2) {
            doubled @ 10.. => doubled - 9,
            digit => digit,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// What people write between the digits of an address.
const MARKS: &str = ":-._ /";

/// No identifier that is looked for is longer, however it is written.
const LONGEST: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn knows_an_identifier_by_its_form() {
        for (name, expected) in [
            ("00:1B:C5:00:00:O1", Some(Odd::Letter('O'))),
            ("00:1B:C5:00:00:l1", Some(Odd::Letter('l'))),
            ("00:1B:C5:00:00:０1", Some(Odd::Letter('０'))),
            ("00:1B:С5:00:00:01", Some(Odd::Letter('С'))),
            ("00:1B:C5:00:00:G1", Some(Odd::Foreign('G'))),
            ("00:1B:C5:00:00:1", Some(Odd::Octets)),
            ("0:1B:C5:0:0:1", Some(Odd::Octets)),
            ("00:1B:C5:00:01", Some(Odd::Length(10))),
            ("001BC500001", Some(Odd::Length(11))),
            ("001BC5-000001", Some(Odd::Marks)),
            ("00 1B C5 00 00 01", Some(Odd::Marks)),
            ("00-1B-C5-FF-FE-00-00-01", Some(Odd::Eui64)),
            ("490154203237518", Some(Odd::Imei { right: true })),
            ("490154203237519", Some(Odd::Imei { right: false })),
            ("8944110068253270021", Some(Odd::Iccid { right: false })),
            ("89014103211118510720", Some(Odd::Iccid { right: true })),
            ("01122334455", Some(Odd::Short(11))),
            ("Pump 7", None),
            ("SN-000017", None),
            ("gateway-hall-2", None),
            ("2026-11-23", None),
            ("", None),
        ] {
            assert_eq!(odd(name), expected, "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken(name in "\\PC{0,20}|[0-9A-FOl:.-]{0,24}") {
            let _ = odd(&name);
        }
    }
}
