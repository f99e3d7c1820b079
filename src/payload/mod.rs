//! What devices send, and in which rhythm: value models, templates, presets.
//!
//! Everything is a pure function of (seed, device, tick): nothing is kept from one message to the
//! next, so that neither scheduling, nor workers, nor lost messages change what a device says. A
//! value may be asked for in any order, and costs at most some dozens of draws at any tick.
//! docs/telemetry.md has the formulae. It knows no clock: times of sending are given to it.

mod draw;
mod error;
mod form;
mod message;
mod model;
mod number;
mod preset;
mod proof;
mod rhythm;
#[cfg(test)]
mod tests;
mod track;
mod value;
mod walk;

pub use error::{ModelFault, PayloadError, Section, Unfit};
pub use form::{Form, Part, Reading};
pub use message::{ANSWER_NAMES, Layout, PAD, Payload, Stamp, TEMPLATE_NAMES, TEXT_NAMES};
pub use model::{Choice, ColumnKind, Model};
pub use number::{Grain, Number};
pub use preset::Preset;
pub use proof::Proof;
pub use rhythm::{Rhythm, Spread};
pub use track::Track;
pub use value::Asked;
