//! The durable record: each request before it is sent, each credential at once, each device's end.
//!
//! A thread of its own appends to `ledger.jsonl`, from which an interrupted run goes on, and writes
//! `credentials.csv` beside it; another syncs both every 100 ms. The channel is bounded: a slow disk
//! slows the run and loses nothing. What a record means is the engine's to say.

mod credentials;
mod entry;
mod intake;
mod journal;
mod line;
mod past;
mod rotations;
mod shared;
mod sync;
mod table;
mod wire;
mod writer;

pub use credentials::HEADER as CREDENTIALS_HEADER;
pub use entry::{Entry, Fate, Files, Grant, Intent, Issued, Post, Record};
pub use intake::{Intake, Sender};
pub use line::{Header, Part};
pub use past::{Past, PastError, Trace};
pub use rotations::{Rotation, RotationState};
pub use shared::Shared;
pub use wire::{SentRecord, Waiting};
pub use writer::{CREDENTIALS, Closed, LEDGER, Ledger, LedgerError};
