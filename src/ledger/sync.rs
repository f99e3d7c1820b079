//! A thread that brings to the disk what the kernel has, so that the writer never waits for it.

use std::fs::File;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{io, mem};

use tokio::time::Instant;

/// What the thread is told.
pub(super) enum Wake {
    /// Something was written.
    Sync,
    /// It is over.
    End,
}

/// The thread and the way to it.
pub(super) struct Syncer {
    wake: SyncSender<Wake>,
    thread: JoinHandle<()>,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    files: Vec<Arc<File>>,
    error: Option<io::Error>,
}

impl Syncer {
    pub(super) fn start(files: Vec<File>) -> io::Result<Self> {
        let shared = Arc::new(Mutex::new(Shared {
            files: files.into_iter().map(Arc::new).collect(),
            error: None,
        }));
        let (wake, woken) = sync_channel(1);
        let theirs = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("ledger-sync".to_owned())
            .spawn(move || {
                while let Ok(Wake::Sync) = woken.recv() {
                    let begun = Instant::now();
                    if let Err(error) = sync_all(&theirs) {
                        lock(&theirs).error.get_or_insert(error);
                    }
                    thread::sleep(SYNC_EVERY.saturating_sub(begun.elapsed()));
                }
            })?;
        Ok(Self {
            wake,
            thread,
            shared,
        })
    }

    /// A file more.
    pub(super) fn also(&self, file: File) {
        lock(&self.shared).files.push(Arc::new(file));
    }

    /// A further way to wake it.
    pub(super) fn waker(&self) -> SyncSender<Wake> {
        self.wake.clone()
    }

    /// Something was written: it will be on the disk within about [`SYNC_EVERY`]. The error of an
    /// earlier time, if there was one.
    pub(super) fn wake(&self) -> io::Result<()> {
        // One that is woken already needs no second call.
        let _ = self.wake.try_send(Wake::Sync);
        lock(&self.shared).error.take().map_or(Ok(()), Err)
    }

    /// Syncs a last time.
    pub(super) fn close(self) -> io::Result<()> {
        // Whoever else may wake it does not keep it.
        let _ = self.wake.send(Wake::End);
        let _ = self.thread.join();
        let error = mem::take(&mut lock(&self.shared).error);
        error.map_or(Ok(()), Err)?;
        sync_all(&self.shared)
    }
}

/// Not under the lock: the writer must not wait for a disk.
fn sync_all(shared: &Mutex<Shared>) -> io::Result<()> {
    let files = lock(shared).files.clone();
    files.iter().try_for_each(|file| file.sync_data())
}

fn lock(shared: &Mutex<Shared>) -> std::sync::MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The longest that a written credential waits for the disk while more keep coming.
const SYNC_EVERY: Duration = Duration::from_millis(100);
