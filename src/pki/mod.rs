//! Keys and certificates: a device's identity, and the authorities that vouch for it.
//!
//! Everything is made with rcgen on ring: P-256 by default, P-384 and Ed25519 by choice, no RSA.
//! Nothing here judges a certificate: servers and clients do that themselves.

mod authority;
mod datagram;
mod identity;
mod mint;
#[cfg(test)]
mod tests;

pub use authority::{Authority, KeyKind, Validity, self_signed};
pub use identity::{Identity, PkiError};
pub use mint::{Recipe, make_all};
