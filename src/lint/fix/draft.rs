//! Files that have their names once they are whole.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A file that is being written beside its place, readable by its owner alone: lists hold secrets.
/// One that is given up leaves nothing, and what stood in its place before.
pub(super) struct Draft {
    path: PathBuf,
    beside: PathBuf,
    overwrite: bool,
    file: Option<BufWriter<File>>,
    placed: bool,
}

impl Draft {
    /// Begins a file; `overwrite` lets it take another's place.
    pub(super) fn new(path: &Path, overwrite: bool) -> io::Result<Self> {
        free(path, overwrite)?;
        // A link stays one.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let name = path.file_name().ok_or(ErrorKind::InvalidFilename)?;
        let mut hidden = OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}.part", std::process::id()));
        let beside = path.with_file_name(hidden);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&beside)?;
        Ok(Self {
            path,
            beside,
            overwrite,
            file: Some(BufWriter::new(file)),
            placed: false,
        })
    }

    /// Ends the writing; the file stays beside its place.
    pub(super) fn close(&mut self) -> io::Result<()> {
        match self.file.take() {
            None => Ok(()),
            Some(file) => file.into_inner().map(drop).map_err(Into::into),
        }
    }

    /// Puts the file into its place.
    pub(super) fn place(mut self) -> io::Result<()> {
        self.close()?;
        free(&self.path, self.overwrite)?;
        fs::rename(&self.beside, &self.path)?;
        self.placed = true;
        Ok(())
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.file {
            Some(file) => file.write(bytes),
            None => Err(ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.placed {
            // Best effort: whatever failed before is what is told.
            let _ = fs::remove_file(&self.beside);
        }
    }
}

/// Fails where a file must not go: onto another one, or onto what is no file.
fn free(path: &Path, overwrite: bool) -> io::Result<()> {
    match fs::metadata(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
        Ok(there) if overwrite && there.is_file() => Ok(()),
        Ok(there) if there.is_file() => Err(ErrorKind::AlreadyExists.into()),
        Ok(_) => Err(io::Error::new(ErrorKind::InvalidInput, "it is no file")),
    }
}
