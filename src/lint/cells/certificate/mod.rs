//! Certificates in a list, which the import hashes without a look at them (spec section 1.3).

mod judge;
mod lints;
mod read;

pub(in crate::lint) use read::on_one_line;

pub(super) use lints::Certificates;
pub(super) use read::decoded;
