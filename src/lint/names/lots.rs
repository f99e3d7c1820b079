//! Lots: whose addresses they are, and whether they are all there.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use super::addresses::{Address, Sort};
use crate::lint::finding::{Findings, Place};
use crate::lint::rule::Rule;

/// `oui-other`, `oui-mixed`, `lot-gap` and `lot-overlap`. One address takes 8 bytes.
#[derive(Default)]
pub(super) struct Lots {
    lists: Vec<List>,
    dense: Vec<Lot>,
    gaps: Vec<Gap>,
}

/// What is remembered of a list.
struct List {
    path: String,
    /// Its addresses, in order.
    values: Vec<u64>,
}

/// A list's addresses of one maker, which nearly fill their range.
struct Lot {
    list: usize,
    range: Range<u64>,
    /// What the messages say of it, and where.
    words: String,
    place: Place,
}

/// Addresses that are missing from a lot.
struct Gap {
    list: usize,
    range: Range<u64>,
    words: String,
    place: Place,
}

impl Lots {
    pub(super) fn begin(&mut self, path: &Path) {
        self.lists.push(List {
            path: path.display().to_string(),
            values: Vec::new(),
        });
    }

    /// The addresses of the list that was begun.
    pub(super) fn end(&mut self, macs: &[Address], out: &mut Findings<'_>) {
        let mut macs: Vec<Address> = macs
            .iter()
            .filter(|mac| mac.sort() != Sort::Placeholder)
            .copied()
            .collect();
        if out.options().ouis.is_empty() {
            mixed(&macs, out);
        } else {
            other(&macs, out);
        }
        macs.sort_by_key(|mac| (mac.value, mac.place()));
        macs.dedup_by_key(|mac| mac.value);
        let list = self.lists.last_mut().expect("it was begun");
        list.values = macs.iter().map(|mac| mac.value).collect();
        for maker in macs.chunk_by(|a, b| oui(a) == oui(b)) {
            self.lot(maker, out);
        }
    }

    /// A maker's addresses of the list, in order.
    fn lot(&mut self, macs: &[Address], out: &mut Findings<'_>) {
        let (first, last) = (&macs[0], &macs[macs.len() - 1]);
        // Units with several interfaces take every second, fourth or eighth address.
        let step = macs
            .windows(2)
            .fold(0, |step, pair| gcd(step, pair[1].value - pair[0].value));
        let Some(steps) = (last.value - first.value).checked_div(step) else {
            return;
        };
        let count = macs.len() as u64;
        if count < SMALLEST_LOT || count * 10 < (steps + 1) * 9 {
            return;
        }
        let of = out.list();
        let place = macs.iter().map(Address::place).min();
        let span = |from, to| format!("{} to {}", first.written(from), first.written(to));
        self.dense.push(Lot {
            list: of,
            range: first.value..last.value + 1,
            words: span(first.value, last.value),
            place: place.expect("there are some"),
        });
        if count < SMALLEST_WITH_GAPS {
            return;
        }
        for pair in macs.windows(2) {
            let (from, to) = (pair[0].value + step, pair[1].value - step);
            if from <= to {
                let missing = (to - from) / step + 1;
                self.gaps.push(Gap {
                    list: of,
                    range: from..to + 1,
                    words: match missing {
                        1 => format!("{} is missing", first.written(from)),
                        n => format!("{} are missing: {n} addresses", span(from, to)),
                    },
                    place: pair[1].place(),
                });
            }
        }
    }

    /// What shows only over all lists.
    pub(super) fn finish(&mut self, out: &mut Findings<'_>) {
        for gap in &self.gaps {
            let filled = |(n, list): (usize, &List)| n != gap.list && list.has_in(&gap.range);
            if !self.lists.iter().enumerate().any(filled) {
                out.add_to(gap.list, Rule::LotGap, gap.place, || gap.words.clone());
            }
        }
        self.dense.sort_by_key(|lot| (lot.range.start, lot.list));
        let mut widest: Option<&Lot> = None;
        for lot in &self.dense {
            if let Some(before) = widest
                && before.list != lot.list
                && lot.range.start < before.range.end
            {
                // Told once, of the later of the two lists.
                let (one, two) = if before.list < lot.list {
                    (before, lot)
                } else {
                    (lot, before)
                };
                out.add_to(two.list, Rule::LotOverlap, two.place, || {
                    let path = &self.lists[one.list].path;
                    format!("{} overlaps {} of {path}", two.words, one.words)
                });
            }
            if widest.is_none_or(|before| before.range.end < lot.range.end) {
                widest = Some(lot);
            }
        }
    }
}

impl List {
    fn has_in(&self, range: &Range<u64>) -> bool {
        let at = self.values.partition_point(|value| *value < range.start);
        self.values
            .get(at)
            .is_some_and(|value| range.contains(value))
    }
}

/// Makers that the user did not name.
fn other(macs: &[Address], out: &mut Findings<'_>) {
    let ouis = &out.options().ouis;
    let others: Vec<&Address> = macs
        .iter()
        .filter(|mac| !ouis.iter().any(|right| right.bits() == oui(mac)))
        .collect();
    let most = others.len() * 2 > macs.len() && others.len() > 1;
    for mac in &others[..if most { 1 } else { others.len() }] {
        out.add(Rule::OuiOther, mac.place(), || {
            let written = mac.written(mac.value);
            match others.len() {
                n if most => format!("{n} of {} addresses, the first {written}", macs.len()),
                _ => written,
            }
        });
    }
}

/// A maker or two among many addresses of another.
fn mixed(macs: &[Address], out: &mut Findings<'_>) {
    let mut makers: BTreeMap<u64, (&Address, u64)> = BTreeMap::new();
    for mac in macs.iter().filter(|mac| mac.sort() == Sort::Assigned) {
        makers.entry(oui(mac)).or_insert((mac, 0)).1 += 1;
    }
    let all: u64 = makers.values().map(|(_, count)| count).sum();
    let Some((main, (_, most))) = makers.iter().max_by_key(|(_, (_, count))| *count) else {
        return;
    };
    if *most * 10 < all * 9 {
        return;
    }
    for (oui, (first, count)) in makers.iter().filter(|(oui, _)| *oui != main) {
        out.add(Rule::OuiMixed, first.place(), || {
            format!(
                "{count} of {all} addresses are of {}, {most} of {}",
                octets(*oui),
                octets(*main)
            )
        });
    }
}

/// The maker's part of an address.
fn oui(mac: &Address) -> u64 {
    mac.value >> 24
}

fn octets(oui: u64) -> String {
    let [.., a, b, c] = oui.to_be_bytes();
    format!("{a:02X}:{b:02X}:{c:02X}")
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Fewer addresses that lie side by side are chance.
const SMALLEST_LOT: u64 = 4;

/// In fewer, one that is missing says nothing.
const SMALLEST_WITH_GAPS: u64 = 20;
