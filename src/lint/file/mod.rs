//! Rules about the file: its encoding, delimiters, quotes, rows, header, line ends and size.

mod head;
mod rows;
mod source;
mod whole;

pub(super) use rows::read;
pub(super) use whole::{count, same, twice};
