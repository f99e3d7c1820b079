//! Rules about names: empty ones, blanks, duplicates in any notation, addresses, lots, and what
//! spreadsheets make of identifiers.

mod mac;

use super::mend::Mend;
use super::options::Options;
use super::record::Lint;

pub(super) use mac::{Notation, value as mac_value};

/// The rules about names.
pub(super) fn lints(_options: &Options) -> Vec<Box<dyn Lint>> {
    Vec::new()
}

/// What of it is repaired.
pub(super) const MENDS: &[Mend] = &[];
