//! Tests that hold measured times against each other or against theory, and want the machine for
//! themselves: a binary of its own, whose tests run one after the other.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod compare;
mod selftest;
#[expect(dead_code, unused_imports, reason = "the other binary uses the rest")]
#[path = "../it/support/mod.rs"]
mod support;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// One test at a time, whatever came of the one before.
fn undisturbed() -> MutexGuard<'static, ()> {
    static MACHINE: Mutex<()> = Mutex::new(());
    MACHINE.lock().unwrap_or_else(PoisonError::into_inner)
}
