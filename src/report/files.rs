//! Files that are whole or not there: written beside their place, then renamed into it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// A file that could not be written; the text names it.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct FileError {
    /// Which.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

/// Writes a whole text, such as [`summary_json`](super::summary_json)'s.
pub fn write_text(path: &Path, text: &str) -> Result<(), FileError> {
    write(path, |file| file.write_all(text.as_bytes()))
}

/// Lets `fill` write beside `path`, makes the bytes durable and renames the file into place. When
/// anything fails, what stood at `path` before stands there still, and nothing is left beside it.
pub(super) fn write<T>(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<File>) -> io::Result<T>,
) -> Result<T, FileError> {
    let named = |source| FileError {
        path: path.to_owned(),
        source,
    };
    let name = path
        .file_name()
        .ok_or_else(|| named(io::Error::from(io::ErrorKind::InvalidFilename)))?;
    let mut beside = OsString::from(".");
    beside.push(name);
    beside.push(format!(".{}.part", std::process::id()));
    let beside = path.with_file_name(beside);
    let result = write_beside(&beside, fill)
        .and_then(|filled| std::fs::rename(&beside, path).map(|()| filled));
    result.map_err(|source| {
        // Best effort: the first error is the one to tell.
        let _ = std::fs::remove_file(&beside);
        named(source)
    })
}

fn write_beside<T>(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<File>) -> io::Result<T>,
) -> io::Result<T> {
    let mut buffered = BufWriter::new(File::create(path)?);
    let filled = fill(&mut buffered)?;
    buffered
        .into_inner()
        .map_err(io::IntoInnerError::into_error)?
        .sync_all()?;
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<OsString> {
        let entries = std::fs::read_dir(directory).expect("readable");
        entries.map(|e| e.expect("readable").file_name()).collect()
    }

    #[test]
    fn a_file_is_replaced_whole() {
        let directory = tempfile::tempdir().expect("a place");
        let path = directory.path().join("summary.json");
        write_text(&path, "old, and longer").expect("written");
        write_text(&path, "new").expect("written");
        assert_eq!(std::fs::read_to_string(&path).expect("there"), "new");
        assert_eq!(names(directory.path()), ["summary.json"]);
    }

    #[test]
    fn a_failure_leaves_the_old_file_and_nothing_beside_it() {
        let directory = tempfile::tempdir().expect("a place");
        let path = directory.path().join("devices.csv");
        write_text(&path, "old").expect("written");
        let full = |file: &mut BufWriter<File>| -> io::Result<()> {
            file.write_all(b"half")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        };
        let error = write(&path, full).expect_err("full").to_string();
        assert!(error.contains("devices.csv: "), "{error}");
        assert_eq!(std::fs::read_to_string(&path).expect("there"), "old");
        assert_eq!(names(directory.path()), ["devices.csv"]);
    }

    #[test]
    fn errors_name_the_file() {
        for path in ["/nonexistent/summary.json", "/"] {
            let error = write_text(Path::new(path), "").expect_err(path);
            assert!(
                error.to_string().starts_with(&format!("{path}: ")),
                "{error}"
            );
        }
    }
}
