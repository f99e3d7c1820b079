//! MAC addresses and their notations.

/// How a MAC address is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::lint) enum Notation {
    /// `AA:BB:CC:00:11:22`
    Colons,
}

/// The value of a MAC address in any notation.
pub(in crate::lint) fn value(_text: &str) -> Option<u64> {
    None
}
