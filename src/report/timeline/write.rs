//! The thread that writes the file.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::mpsc;

use super::super::files::{self, FileError};
use super::read::read_timeline;
use crate::metrics::timeline::{Header, Line, coarsen, width_at};

/// The writer thread's owner.
#[derive(Debug)]
pub struct TimelineFile {
    lines: mpsc::Sender<Line>,
    writer: JoinHandle<Result<(), FileError>>,
}

impl TimelineFile {
    /// Creates the file with its first line and starts the writer.
    pub fn create(path: &Path, header: Header) -> Result<Self, FileError> {
        let named = |source| FileError {
            path: path.to_owned(),
            source,
        };
        let mut writer = Writer {
            path: path.to_owned(),
            file: File::create(path).map_err(named)?,
            width: width_at(Duration::ZERO),
        };
        writer.append(&Line::Header(header)).map_err(named)?;
        let (lines, inbox) = mpsc::channel(CAPACITY);
        let writer = thread::Builder::new()
            .name("timeline".to_owned())
            .spawn(move || writer.run(inbox))
            .map_err(named)?;
        Ok(Self { lines, writer })
    }

    /// Where lines go.
    pub fn sender(&self) -> mpsc::Sender<Line> {
        self.lines.clone()
    }

    /// Waits until every sender is gone and every line is on the disk. The error is the first one
    /// that struck; the file then ends where it did.
    pub fn close(self) -> Result<(), FileError> {
        drop(self.lines);
        self.writer
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

struct Writer {
    path: PathBuf,
    file: File,
    /// Of the intervals so far.
    width: Duration,
}

impl Writer {
    fn run(mut self, mut inbox: mpsc::Receiver<Line>) -> Result<(), FileError> {
        let mut failed = None;
        while let Some(line) = inbox.blocking_recv() {
            // After a failure lines are still taken, so that nobody waits for room.
            if failed.is_none() {
                failed = self.take(&line).err();
            }
        }
        let done = failed.map_or_else(|| self.file.sync_all(), Err);
        done.map_err(|source| FileError {
            path: self.path,
            source,
        })
    }

    fn take(&mut self, line: &Line) -> io::Result<()> {
        if let Line::Interval(interval) = line {
            let from = Duration::try_from_secs_f64(interval.from_s).unwrap_or_default();
            let width = width_at(from);
            if width > self.width {
                self.widen(width)?;
            }
        }
        self.append(line)
    }

    /// One write for each line, so that a killed program leaves at most one cut short.
    fn append(&mut self, line: &Line) -> io::Result<()> {
        self.file.write_all(&encoded(line))
    }

    /// Replaces the file by one of wider intervals.
    fn widen(&mut self, width: Duration) -> io::Result<()> {
        let told = read_timeline(&self.path).map_err(io::Error::other)?;
        let intervals = coarsen(&told.intervals, width).map_err(io::Error::other)?;
        let marks = told.marks.into_iter().map(Line::Mark);
        let intervals = intervals
            .into_iter()
            .map(|interval| Line::Interval(Box::new(interval)));
        files::write(&self.path, |file| {
            file.write_all(&encoded(&Line::Header(told.header)))?;
            for line in marks.chain(intervals) {
                file.write_all(&encoded(&line))?;
            }
            Ok(())
        })
        .map_err(|error| error.source)?;
        self.file = OpenOptions::new().append(true).open(&self.path)?;
        self.width = width;
        Ok(())
    }
}

fn encoded(line: &Line) -> Vec<u8> {
    let mut json = serde_json::to_vec(line).expect("a line is plain words and numbers");
    json.push(b'\n');
    json
}

/// Lines that wait: several seconds' worth.
const CAPACITY: usize = 8;
