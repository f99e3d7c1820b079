//! The durable record: each credential on its way to the disk at once, each device's end once.
//!
//! A thread of its own writes `credentials.csv` as the run goes and syncs it at least every
//! 100 ms, so that a crash late in a run does not cost the fleet; at the end, rows of certificates
//! that were replaced in mid-run are left out. Its channel is bounded: a slow disk slows the run
//! and loses nothing. What a record means is the engine's to say.

mod credentials;
mod rotations;
mod shared;
mod table;
mod writer;

pub use credentials::HEADER as CREDENTIALS_HEADER;
pub use rotations::{Rotation, RotationState};
pub use shared::Shared;
pub use writer::{Closed, Entry, Fate, Files, Issued, Ledger, LedgerError, Record};
