//! A list onto a server by bulk import: in parts below the size that a request may have, in list
//! order, each row once however often it is begun anew.
//!
//! An import overwrites devices that are there, credentials too. So each part's names are looked up
//! before it is sent, and what is there is sent only when that is wanted. What was sent is in a
//! journal before it is sent, and what became of it after.

mod answer;
mod journal;
mod list;
mod send;

pub use journal::{Journal, JournalError};
pub use list::{ImportList, ListRow, Unmappable};
pub use send::{Existing, Import, ImportError, Imported, RowFault, import};
