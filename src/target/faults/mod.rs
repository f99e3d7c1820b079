//! Misbehaviour on purpose, by seed and switchable while the target runs: what is drawn for whom
//! (`dice`), by the clock (`switch`), by load (`bucket`, `queue`), and what it does to a TCP
//! connection (`wire`, `ending`).
//!
//! Without faults nothing here costs more than a load. Whoever is to be troubled asks the [`Switch`];
//! how an answer is delayed or a connection ended is the transport's business. Nothing is held
//! without a bound, and nothing spins: what waits, waits for a timer or for a change of the faults.

mod bucket;
mod dice;
mod ending;
mod queue;
mod switch;
mod wire;

pub(super) use bucket::Load;
pub(super) use dice::{Fate, Key, noise, twenty_characters};
pub(super) use ending::End;
pub(super) use switch::{Switch, Trouble};
pub(super) use wire::{Wire, admit};
