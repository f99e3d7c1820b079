//! Where a request is put on record by the worker itself: the way to the ledger's thread and back
//! takes longer than the line does, and would be in the device's time to provision.

use std::io;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use tokio::sync::mpsc;

use super::entry::{Files, Post};
use super::journal::Journal;
use super::line::{FilesForm, Line};
use super::sync::Wake;
use crate::model::DeviceIx;

/// The ways to a ledger.
#[derive(Clone)]
pub struct Sender {
    /// Where records go. Sending fails only when the writer has failed.
    pub records: mpsc::Sender<Post>,
    /// Where requests are put on record at once, if they can be.
    pub intake: Option<Intake>,
}

/// The journal, shared by its thread and the workers.
#[derive(Clone)]
pub struct Intake {
    pub(super) journal: Arc<Mutex<Journal>>,
    pub(super) wake: SyncSender<Wake>,
}

impl Intake {
    /// Hands the line of a request to the kernel, if that can be done at once. Otherwise, and when
    /// the journal is in trouble, the ledger's thread has to be asked.
    pub fn put(&self, device: DeviceIx, name: &str, files: Option<&Files>) -> bool {
        let mut journal = match self.journal.try_lock() {
            Ok(journal) => journal,
            // A worker never waits for another thread's disk.
            Err(TryLockError::WouldBlock | TryLockError::Poisoned(_)) => return false,
        };
        if journal.is_behind() {
            return false;
        }
        journal.add(&Line::Asked {
            device: device.0,
            name: name.into(),
            files: FilesForm::of(files),
        });
        let written = journal.flush().is_ok();
        drop(journal);
        // One that is awake already needs no second call.
        let _ = self.wake.try_send(Wake::Sync);
        written
    }

    /// How long the ledger is by now, in bytes.
    pub fn length(&self) -> io::Result<u64> {
        self.lock().length()
    }

    /// For the ledger's own thread.
    pub(super) fn lock(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
