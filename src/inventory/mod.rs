//! The device list: a million names in a few dozen megabytes, or every fault of the file.
//!
//! A list is a CSV file with a header ([`load_csv`]) or made up by seed ([`generate`]). Nothing
//! is repaired on the way in: a name reaches the server byte for byte as it was listed, and a row
//! that cannot be sent as it stands is a fault with line and column. Templates over a device's
//! row live here too ([`Template`]), since they decide which columns are kept.

mod derive;
mod fault;
mod generate;
mod list;
mod load;
mod nearest;
mod rows;
mod speaker;
mod template;
#[cfg(test)]
mod tests;

pub use derive::Derivation;
pub use fault::{ListError, ListFault, ListFaults};
pub use generate::{GenerateError, GenerateSpec, NameKind, Oui, generate, names, token};
pub use list::Inventory;
pub use load::{ListOptions, headers, line, load_csv};
pub use rows::{DELIMITERS, LineEnd, Malformed, Misplaced, Read, Row, Rows};
pub use speaker::Speaker;
pub use template::{Template, TemplateError};

pub(crate) use fault::shown;
pub(crate) use load::fault_of_name;
pub(crate) use nearest::nearest;
