//! A CSV file that grows row by row, readable by its owner only.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The open file. Rows are in the kernel's hands after [`Table::flush`].
pub(super) struct Table {
    path: PathBuf,
    csv: csv::Writer<File>,
}

impl Table {
    /// Creates the file with mode 0600; an existing file is an error, never overwritten.
    pub(super) fn create(path: &Path, header: &[&str]) -> io::Result<Self> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        let mut csv = csv::Writer::from_writer(file);
        csv.write_record(header)?;
        csv.flush()?;
        Ok(Self {
            path: path.to_owned(),
            csv,
        })
    }

    pub(super) fn write(&mut self, row: &[&str]) -> io::Result<()> {
        Ok(self.csv.write_record(row)?)
    }

    /// Hands all rows to the kernel.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.csv.flush()
    }

    /// The same file for a thread that syncs it.
    pub(super) fn share(&self) -> io::Result<File> {
        self.csv.get_ref().try_clone()
    }

    /// Hands all rows to the kernel and waits until they are on the disk.
    fn sync(&mut self) -> io::Result<()> {
        self.csv.flush()?;
        self.csv.get_ref().sync_data()
    }

    /// Another file in the place of one that may be there, made of what `fill` writes: whole before
    /// it takes the name.
    pub(super) fn renew(
        path: &Path,
        header: &[&str],
        fill: impl FnOnce(&mut Self) -> io::Result<()>,
    ) -> io::Result<Self> {
        let part = path.with_extension("csv.part");
        match fs::remove_file(&part) {
            // What a run left that was killed here.
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut table = Self::create(&part, header)?;
        fill(&mut table)?;
        table.sync()?;
        fs::rename(&part, path)?;
        path.clone_into(&mut table.path);
        Ok(table)
    }

    /// Leaves the rows out that are not to be kept. The shorter file takes the name of the longer
    /// one once it is on the disk: at any moment one of them is whole.
    pub(super) fn compact(
        mut self,
        mut keep: impl FnMut(&csv::StringRecord) -> bool,
    ) -> io::Result<()> {
        self.sync()?;
        let mut rows = csv::Reader::from_path(&self.path)?;
        let header = rows.headers()?.clone();
        let header: Vec<&str> = header.iter().collect();
        Self::renew(&self.path, &header, |shorter| {
            for row in rows.records() {
                let row = row?;
                if keep(&row) {
                    shorter.csv.write_record(&row)?;
                }
            }
            Ok(())
        })?;
        Ok(())
    }
}
