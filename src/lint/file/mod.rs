//! Rules about the file: its encoding, delimiters, quotes, rows, header, line ends and size.

mod head;
mod rows;
mod source;
mod whole;

pub(super) use rows::{other_delimiter, read};
pub(super) use source::open;
pub(super) use whole::{count, json_length, same, twice};
