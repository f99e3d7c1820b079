//! `--fix` and `--split`: the list written anew, with what has one answer repaired and what was
//! changed in a file of its own, or rows apart by whether anything was found in them.
//!
//! The input is never written to. A row that cannot be read is kept byte for byte: nothing of a
//! list is lost. Repairs are those that the rules offer ([`Mend`](super::mend::Mend)); what needs
//! somebody's decision is left as it is, and found again by the check of the output.

mod changes;
mod draft;
mod output;
mod pass;
mod repair;
mod row;
mod split;

pub use repair::{FixError, Fixed, fix};
pub use split::{Parted, split};

#[cfg(test)]
pub(super) mod tests;
