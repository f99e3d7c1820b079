//! Whether a device is a gateway: the server reads `true` in any case, and all else as false.

use super::columns_of;
use crate::dialect::ColumnType;
use crate::inventory::shown;
use crate::lint::columns::Kind;
use crate::lint::finding::Findings;
use crate::lint::mend::Mend;
use crate::lint::record::{Lint, Opened, Record};
use crate::lint::rule::Rule;

/// Finds values that are neither `true` nor `false`.
#[derive(Default)]
pub(super) struct Gateway(Option<usize>);

impl Lint for Gateway {
    fn begin(&mut self, list: &Opened<'_>, _out: &mut Findings<'_>) {
        [self.0] = columns_of(list, [ColumnType::IsGateway]);
    }

    fn row(&mut self, record: &Record<'_>, _list: &Opened<'_>, out: &mut Findings<'_>) {
        let Some(column) = self.0 else {
            return;
        };
        let cell = record.cell(column);
        if is_plain(cell) || cell.trim().is_empty() {
            return;
        }
        match meant(cell) {
            Some(value) => out.add(Rule::GatewayValue, record.place(column), || {
                format!("{}, which probably means {value}", shown(cell))
            }),
            None => out.add(Rule::GatewayUnknown, record.place(column), || shown(cell)),
        }
    }
}

fn is_plain(cell: &str) -> bool {
    cell.eq_ignore_ascii_case("true") || cell.eq_ignore_ascii_case("false")
}

/// What a word says, if that is plain.
fn meant(cell: &str) -> Option<bool> {
    let word = cell.trim().to_lowercase();
    let is = |words: &[&str]| words.contains(&word.as_str());
    if is(&YES) {
        Some(true)
    } else if is(&NO) {
        Some(false)
    } else {
        None
    }
}

fn mend(cell: &str) -> Option<String> {
    if is_plain(cell) {
        return None;
    }
    meant(cell).map(|value| value.to_string())
}

/// Plain words become `true` or `false`.
pub(super) const MEND: Mend = Mend {
    rule: Rule::GatewayValue,
    applies: |kind| kind == Kind::Import(ColumnType::IsGateway),
    repaired: |cell, _| mend(cell),
};

/// Also as German, French and Spanish spreadsheets write it.
const YES: [&str; 12] = [
    "true",
    "t",
    "1",
    "yes",
    "y",
    "on",
    "wahr",
    "ja",
    "vrai",
    "oui",
    "verdadero",
    "sí",
];
const NO: [&str; 12] = [
    "false", "f", "0", "no", "n", "off", "falsch", "nein", "faux", "non", "falso", "nee",
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_words_become_what_the_server_reads() {
        for (cell, mended) in [
            ("1", Some("true")),
            ("TRUE ", Some("true")),
            ("Yes", Some("true")),
            ("WAHR", Some("true")),
            ("0", Some("false")),
            ("off", Some("false")),
            ("TRUE", None),
            ("false", None),
            ("maybe", None),
            ("2", None),
            ("", None),
            (" ", None),
        ] {
            let found = mend(cell);
            assert_eq!(found.as_deref(), mended, "{cell:?}");
        }
    }

    proptest! {
        #[test]
        fn a_repaired_value_is_not_found_again(cell in "\\PC*|[tTrRuUeE1 ]{0,6}") {
            if let Some(mended) = mend(&cell) {
                prop_assert!(is_plain(&mended));
                prop_assert_eq!(mend(&mended), None);
            }
        }
    }
}
