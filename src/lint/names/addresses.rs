//! Lists of MAC addresses: their notation, what their bits say, and the names among them that are
//! none. Nothing of it is said of a list whose names are something else.

use std::collections::HashMap;

use super::lots::Lots;
use super::mac::{self, Notation};
use super::odd::{Odd, odd};
use super::{bare, spreadsheet};
use crate::inventory::shown;
use crate::lint::finding::{Findings, Place};
use crate::lint::record::{Lint, Opened, Record};
use crate::lint::rule::Rule;

/// `mac-notation`, `mac-malformed`, `mac-multicast`, `mac-local`, `mac-placeholder`,
/// `identifier-other`, `check-digit`, `spreadsheet-zeros`; [`Lots`] has the rest. One name takes
/// 32 bytes; one that is nearly an address, 24 and its text.
#[derive(Default)]
pub(super) struct Addresses {
    names: u64,
    certain: u64,
    macs: Vec<Address>,
    odd: Vec<Near>,
    /// The odd ones' texts, one after the other.
    texts: String,
    lots: Lots,
}

/// A MAC address of the list that is being read.
#[derive(Clone, Copy)]
pub(super) struct Address {
    /// Its 48 bits.
    pub(super) value: u64,
    at: At,
    notation: Notation,
}

/// A name of it that is nearly one.
struct Near {
    odd: Odd,
    at: At,
    end: usize,
}

/// A place in half the room.
#[derive(Clone, Copy)]
struct At {
    line: u32,
    column: u32,
    record: u32,
}

/// What an address says by its bits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    /// A maker's.
    Assigned,
    Local,
    Multicast,
    Placeholder,
}

impl Lint for Addresses {
    fn begin(&mut self, list: &Opened<'_>, _out: &mut Findings<'_>) {
        self.names = 0;
        self.certain = 0;
        self.macs.clear();
        self.odd.clear();
        self.texts.clear();
        self.lots.begin(list.path);
    }

    fn row(&mut self, record: &Record<'_>, list: &Opened<'_>, _out: &mut Findings<'_>) {
        let Some(column) = list.columns.name() else {
            return;
        };
        let cell = record.cell(column);
        let unmarked = spreadsheet::unmarked(cell);
        let name = unmarked.as_deref().unwrap_or(cell);
        let repaired = bare(name);
        let name = repaired.as_deref().unwrap_or(name);
        if name.trim().is_empty() {
            return;
        }
        self.names += 1;
        let at = At::new(record.place(column));
        if let Some((value, notation)) = mac::parse(name) {
            self.certain += u64::from(notation.is_certain());
            self.macs.push(Address {
                value,
                at,
                notation,
            });
        } else if let Some(odd) = odd(name) {
            self.texts.push_str(name);
            self.odd.push(Near {
                odd,
                at,
                end: self.texts.len(),
            });
        }
    }

    fn end(&mut self, _list: &Opened<'_>, out: &mut Findings<'_>) {
        let macs = self.macs.len() as u64;
        if macs * 2 > self.names && self.certain * 2 > macs {
            let notation = self.notation();
            out.facts().notation = Some(notation);
            self.misspelt(notation, out);
            self.sorted(out);
            self.lots.end(&self.macs, out);
            self.among_addresses(notation, out);
        } else {
            self.among_identifiers(out);
        }
    }

    fn finish(&mut self, out: &mut Findings<'_>) {
        self.lots.finish(out);
    }
}

impl Addresses {
    /// The notation that most addresses have; of two, the one that comes first.
    fn notation(&self) -> Notation {
        let mut counts: HashMap<Notation, (u64, usize)> = HashMap::new();
        for (n, mac) in self.macs.iter().enumerate() {
            if mac.notation.has_letters() {
                counts.entry(mac.notation.settled()).or_insert((0, n)).0 += 1;
            }
        }
        // Digits alone tell the marks.
        if counts.is_empty() {
            return self.macs[0].notation.settled();
        }
        let most = counts
            .into_iter()
            .max_by_key(|(_, (count, first))| (*count, usize::MAX - first));
        most.expect("there is one").0
    }

    fn misspelt(&self, wanted: Notation, out: &mut Findings<'_>) {
        for mac in &self.macs {
            if !mac.notation.fits(wanted) {
                out.add(Rule::MacNotation, mac.place(), || {
                    format!("{}; the most frequent is {wanted}", mac.notation)
                });
            }
        }
    }

    fn sorted(&self, out: &mut Findings<'_>) {
        for (sort, rule, what) in [
            (Sort::Placeholder, Rule::MacPlaceholder, "no unit's own"),
            (Sort::Multicast, Rule::MacMulticast, "multicast"),
            (Sort::Local, Rule::MacLocal, "locally administered"),
        ] {
            let found = || self.macs.iter().filter(|mac| mac.sort() == sort);
            let count = found().count();
            if count * 2 > self.macs.len() && count > 1 {
                let first = found().next().expect("there are some");
                out.add(rule, first.place(), || {
                    format!("{count} of {} addresses are {what}", self.macs.len())
                });
                continue;
            }
            for mac in found() {
                out.add(rule, mac.place(), || {
                    format!("{} is {what}", mac.notation.settled().write(mac.value))
                });
            }
        }
    }

    /// What is no address among addresses.
    fn among_addresses(&self, notation: Notation, out: &mut Findings<'_>) {
        for (near, name) in self.near() {
            let name = shown(name);
            let (rule, message) = match near.odd {
                Odd::Letter(c) if c.is_ascii() => (
                    Rule::MacMalformed,
                    format!("the letter {c} for a digit in {name}"),
                ),
                Odd::Letter(c) => (
                    Rule::MacMalformed,
                    format!("U+{:04X} in {name}", u32::from(c)),
                ),
                Odd::Foreign(c) => (
                    Rule::MacMalformed,
                    format!("{c:?} is no hexadecimal digit: {name}"),
                ),
                Odd::Short(n) if n < 12 && notation.is_bare() => (
                    Rule::SpreadsheetZeros,
                    format!("{name} has {n} digits, not 12"),
                ),
                Odd::Short(n) | Odd::Length(n) => (
                    Rule::MacMalformed,
                    format!("{name} has {n} hexadecimal digits, not 12"),
                ),
                Odd::Octets => (
                    Rule::MacMalformed,
                    format!("an octet of one digit in {name}"),
                ),
                Odd::Marks => (
                    Rule::MacMalformed,
                    format!("marks where no notation has them: {name}"),
                ),
                Odd::Eui64 => (Rule::IdentifierOther, format!("{name} is an EUI-64")),
                Odd::Imei { right: true } => (Rule::IdentifierOther, format!("{name} is an IMEI")),
                Odd::Imei { right: false } => (
                    Rule::MacMalformed,
                    format!("{name} has 15 hexadecimal digits, not 12"),
                ),
                Odd::Iccid { .. } => (Rule::IdentifierOther, format!("{name} is an ICCID")),
            };
            out.add(rule, near.at.place(), || message);
        }
    }

    /// Lists of IMEIs or ICCIDs: the few that are none of the many.
    fn among_identifiers(&self, out: &mut Findings<'_>) {
        let count = |odd: Odd| self.odd.iter().filter(|near| near.odd == odd).count() as u64 * 5;
        let imeis = count(Odd::Imei { right: true }) >= self.names * 4;
        let iccids = count(Odd::Iccid { right: true }) >= self.names * 4;
        for (near, name) in self.near() {
            let wrong = |kind| format!("the check digit of {kind} {} is wrong", shown(name));
            match near.odd {
                Odd::Imei { right: false } if imeis => {
                    out.add(Rule::CheckDigit, near.at.place(), || wrong("IMEI"));
                }
                Odd::Iccid { right: false } if iccids => {
                    out.add(Rule::CheckDigit, near.at.place(), || wrong("ICCID"));
                }
                Odd::Short(n @ 13..=14) if imeis => {
                    out.add(Rule::SpreadsheetZeros, near.at.place(), || {
                        format!("{} has {n} digits, not 15", shown(name))
                    });
                }
                _ => {}
            }
        }
    }

    fn near(&self) -> impl Iterator<Item = (&Near, &str)> {
        let mut start = 0;
        self.odd.iter().map(move |near| {
            let text = &self.texts[start..near.end];
            start = near.end;
            (near, text)
        })
    }
}

impl Address {
    pub(super) fn place(&self) -> Place {
        self.at.place()
    }

    /// As it is written, with letters of one kind.
    pub(super) fn written(&self, value: u64) -> String {
        self.notation.settled().write(value)
    }

    pub(super) fn sort(&self) -> Sort {
        if PLACEHOLDERS
            .iter()
            .any(|(from, to)| (*from..=*to).contains(&self.value))
        {
            Sort::Placeholder
        } else if self.value & MULTICAST != 0 {
            Sort::Multicast
        } else if self.value & LOCAL != 0 {
            Sort::Local
        } else {
            Sort::Assigned
        }
    }
}

impl At {
    fn new(place: Place) -> Self {
        let small = |n| u32::try_from(n).unwrap_or(u32::MAX);
        Self {
            line: small(place.line),
            column: small(place.column),
            record: small(place.record.unwrap_or(0)),
        }
    }

    fn place(self) -> Place {
        Place {
            line: self.line.into(),
            column: self.column.into(),
            record: Some(self.record.into()),
        }
    }
}

/// The I/G bit: a group's address (IEEE 802, 8.2.2).
const MULTICAST: u64 = 1 << 40;

/// The U/L bit: not assigned by the IEEE.
const LOCAL: u64 = 1 << 41;

/// Nobody's, everybody's, and those of manuals, of RFC 9542 (section 2.1.4) and of units that were
/// never programmed.
const PLACEHOLDERS: [(u64, u64); 9] = [
    (0, 0),
    (0xffff_ffff_ffff, 0xffff_ffff_ffff),
    (0x0000_5e00_5300, 0x0000_5e00_53ff),
    (0x0011_2233_4455, 0x0011_2233_4455),
    (0x0123_4567_89ab, 0x0123_4567_89ab),
    (0x0200_0000_0000, 0x0200_0000_0000),
    (0x1234_5678_9abc, 0x1234_5678_9abc),
    (0xaabb_ccdd_eeff, 0xaabb_ccdd_eeff),
    (0xdead_beef_0000, 0xdead_beef_ffff),
];
