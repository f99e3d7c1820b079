//! The file read back, whoever wrote it: bounded, and a last line that was cut short is let go.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::metrics::timeline::{
    End, Header, INTERVALS_MAX, Interval, Line, MARKS_MAX, Mark, TIMELINE_VERSION,
};

/// A run over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Timeline {
    /// Whose it is.
    pub header: Header,
    /// In their order.
    pub intervals: Vec<Interval>,
    /// In the order in which they were noted.
    pub marks: Vec<Mark>,
    /// Absent when the program was ended before the run.
    pub end: Option<End>,
}

/// A file that is no time line.
#[derive(Debug, thiserror::Error)]
pub enum TimelineError {
    /// It cannot be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is of another form.
    #[error(
        "{}: a time line of form {version}, this version reads form {TIMELINE_VERSION}; help: use \
         the version that wrote it (`fleetcall_version` in the file)", path.display()
    )]
    OtherVersion {
        /// Which.
        path: PathBuf,
        /// Its form.
        version: u32,
    },
    /// A line is not what it has to be.
    #[error(
        "{}:{line}: a damaged time line ({why}); help: take the file as the run wrote it",
        path.display()
    )]
    Damaged {
        /// Which.
        path: PathBuf,
        /// The line's number, from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
}

/// Reads a run's time line.
pub fn read_timeline(path: &Path) -> Result<Timeline, TimelineError> {
    let unreadable = |source| TimelineError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let damaged = |line, why: String| TimelineError::Damaged {
        path: path.to_owned(),
        line,
        why,
    };
    let mut file = BufReader::new(File::open(path).map_err(unreadable)?);
    let mut lines = Lines {
        header: None,
        intervals: Vec::new(),
        marks: Vec::new(),
        end: None,
    };
    let mut text = Vec::new();
    for number in 1.. {
        text.clear();
        let mut bounded = file.by_ref().take(LINE_LIMIT);
        bounded.read_until(b'\n', &mut text).map_err(unreadable)?;
        if text.pop() != Some(b'\n') {
            if text.len() as u64 + 1 >= LINE_LIMIT {
                return Err(damaged(number, "a line of more than 16 MiB".to_owned()));
            }
            break;
        }
        if number == 1 {
            let version = version(&text).map_err(|why| damaged(number, why))?;
            if version != TIMELINE_VERSION {
                let path = path.to_owned();
                return Err(TimelineError::OtherVersion { path, version });
            }
        }
        let line = serde_json::from_slice(&text).map_err(|e| damaged(number, e.to_string()))?;
        lines.take(line).map_err(|why| damaged(number, why))?;
    }
    let header = lines.header.ok_or_else(|| damaged(1, "empty".to_owned()))?;
    Ok(Timeline {
        header,
        intervals: lines.intervals,
        marks: lines.marks,
        end: lines.end,
    })
}

/// The form that a first line states.
fn version(text: &[u8]) -> Result<u32, String> {
    #[derive(serde::Deserialize)]
    struct Version {
        timeline_version: u32,
    }
    serde_json::from_slice::<Version>(text)
        .map(|version| version.timeline_version)
        .map_err(|e| e.to_string())
}

/// What was read so far.
struct Lines {
    header: Option<Header>,
    intervals: Vec<Interval>,
    marks: Vec<Mark>,
    end: Option<End>,
}

impl Lines {
    fn take(&mut self, line: Line) -> Result<(), String> {
        if self.end.is_some() {
            return Err("something follows the end".to_owned());
        }
        match line {
            Line::Header(header) if self.header.is_none() => self.header = Some(header),
            Line::Header(_) => return Err("a second header".to_owned()),
            Line::Interval(interval) => {
                let last = self.intervals.last().map_or(0.0, |last| last.to_s);
                if self.intervals.len() >= INTERVALS_MAX as usize {
                    return Err(format!("more than {INTERVALS_MAX} intervals"));
                }
                // The one begins where the other ends: so neither a gap nor time counted twice.
                if (interval.from_s - last).abs() > 1e-6 || interval.to_s < interval.from_s {
                    return Err("an interval out of place".to_owned());
                }
                self.intervals.push(*interval);
            }
            Line::Mark(_) if self.marks.len() >= MARKS_MAX => {
                return Err(format!("more than {MARKS_MAX} marks"));
            }
            Line::Mark(mark) => self.marks.push(mark),
            Line::End(end) => self.end = Some(end),
        }
        Ok(())
    }
}

/// Longer than any line that is written: histograms of all phases are some 200 kB at most.
const LINE_LIMIT: u64 = 16 << 20;
