//! Keys and certificates: a device's identity, and the authorities that vouch for it.
//!
//! Everything is made with rcgen on ring: P-256 by default, P-384 and Ed25519 by choice. RSA keys
//! are read and signed with, but none is made.
//! Nothing here judges a certificate: servers and clients do that themselves.

mod authority;
mod datagram;
mod identity;
mod mint;
mod signer;
#[cfg(test)]
mod tests;

pub use authority::{Authority, KeyKind, Validity, check_common_name, self_signed};
pub use identity::{Identity, PkiError};
pub use mint::{Recipe, make_all, make_each};
