//! The ledger's file: lines are appended and never changed.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::{FallocateFlags, fallocate};

use super::line::{Header, Line, Part};

/// The open file, of which this process alone has the lock.
pub(super) struct Journal {
    file: File,
    /// The next line's number.
    next: u64,
    /// Lines that the kernel does not have yet.
    text: String,
    /// How much of them it has.
    written: usize,
}

impl Journal {
    /// Creates the file with mode 0600 and room for `reserve` bytes, so that a disk that is too
    /// small is found now. An existing file is an error.
    pub(super) fn create(path: &Path, header: &Header, reserve: u64) -> io::Result<Self> {
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        lock(&file)?;
        reserve_room(&file, reserve)?;
        let mut journal = Self::at(file, 0);
        journal.add(&Line::Run(header.clone()));
        journal.flush()?;
        journal.file.sync_all()?;
        // The name, too, has to outlive a power cut.
        if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
            File::open(dir)?.sync_all()?;
        }
        Ok(journal)
    }

    /// Goes on in an earlier part's file behind its last whole line.
    pub(super) fn reopen(
        path: &Path,
        (end, lines): (u64, u64),
        part: &Part,
        reserve: u64,
    ) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).open(path)?;
        lock(&file)?;
        if file.metadata()?.mode() & 0o077 != 0 {
            return Err(io::Error::other(
                "others may read it, and it holds credentials: chmod 600 it, or find out who did that",
            ));
        }
        file.set_len(end)?;
        reserve_room(&file, reserve)?;
        let mut journal = Self::at(file, lines);
        journal.add(&Line::Part(part.clone()));
        journal.flush()?;
        journal.file.sync_all()?;
        Ok(journal)
    }

    fn at(file: File, next: u64) -> Self {
        Self {
            file,
            next,
            text: String::new(),
            written: 0,
        }
    }

    /// A line more for the next [`Journal::flush`].
    pub(super) fn add(&mut self, line: &Line<'_>) {
        line.write(self.next, &mut self.text);
        self.next += 1;
    }

    /// Whether lines wait for the kernel, which took them all but for trouble.
    pub(super) fn is_behind(&self) -> bool {
        !self.text.is_empty()
    }

    /// Hands all lines to the kernel. After an error, the next call goes on where this one stopped.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        while self.written < self.text.len() {
            match self.file.write(&self.text.as_bytes()[self.written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => self.written += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.text.clear();
        self.written = 0;
        Ok(())
    }

    /// What the kernel has of it, in bytes.
    pub(super) fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// The same file for a thread that syncs it.
    pub(super) fn share(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Gives the room back that was not needed, and waits until all is on the disk.
    pub(super) fn close(&mut self) -> io::Result<()> {
        self.flush()?;
        self.file.set_len(self.file.metadata()?.len())?;
        self.file.sync_all()
    }
}

fn lock(file: &File) -> io::Result<()> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(io::Error::other(
            "another fleetcall is still writing it: that run is not over",
        )),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Where the file system can. The file does not look longer for it.
fn reserve_room(file: &File, bytes: u64) -> io::Result<()> {
    let end = file.metadata()?.len();
    let (Ok(end), Ok(bytes)) = (i64::try_from(end), i64::try_from(bytes)) else {
        return Ok(());
    };
    if bytes == 0 {
        return Ok(());
    }
    match fallocate(file, FallocateFlags::FALLOC_FL_KEEP_SIZE, end, bytes) {
        Err(nix::errno::Errno::ENOSPC) => Err(io::Error::other(format!(
            "the disk has no room for the {} MB that this list may need",
            bytes / 1_000_000 + 1
        ))),
        // Not every file system can reserve.
        _ => Ok(()),
    }
}
