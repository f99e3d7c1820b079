//! What a ledger says of the parts of a run that are over.

use std::fs::{File, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Take};
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use super::entry::{Fate, Files, Issued};
use super::line::{EndedForm, Header, Line, Part, state};
use super::rotations::RotationState;
use crate::model::{DeviceIx, Outcome};

/// What all parts so far left.
#[derive(Debug)]
pub struct Past {
    /// What the run was begun with.
    pub header: Header,
    /// Parts so far, the first included.
    pub parts: u32,
    /// The machine was started anew since the last part.
    pub power_lost: bool,
    /// Bytes of a torn end that are left out; 0 in most cases.
    pub torn_bytes: u64,
    devices: Vec<Option<Box<Trace>>>,
    besides: Vec<(Box<str>, Issued)>,
    /// Where the next line goes, and its number.
    pub(super) end: (u64, u64),
}

/// What is on record of a device.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// A request may have reached the server, and no answer is on record: the files of the
    /// certificate that it asked with, if it did.
    pub asked: Option<Option<Files>>,
    /// What it was granted, and under which name.
    pub granted: Option<(Box<str>, Issued)>,
    /// Provision requests so far.
    pub attempts: u32,
    /// From the intended start to the credentials.
    pub time_to_provision: Option<Duration>,
    /// How it ended in the last part that saw its end.
    pub fate: Option<Fate>,
    /// That part's number; 0 before.
    pub ended_in: u32,
}

impl Trace {
    /// Whether the server may have provisioned it, and nobody knows.
    pub fn is_in_doubt(&self) -> bool {
        self.granted.is_none() && self.asked.is_some()
    }

    /// The files of the certificate by which the server knows it, or may.
    pub fn files(&self) -> Option<&Files> {
        match &self.granted {
            Some((_, issued)) => issued.files.as_ref(),
            None => self.asked.as_ref()?.as_ref(),
        }
    }
}

/// A ledger that cannot be gone on with.
#[derive(Debug, Error)]
pub enum PastError {
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The run is not over.
    #[error(
        "{}: another fleetcall is still writing it: that run is not over\nhelp: wait for it, or end it \
         with Ctrl-C or SIGTERM",
        path.display()
    )]
    Busy {
        /// The ledger.
        path: PathBuf,
    },
    /// A line is damaged, and whole ones follow.
    #[error(
        "{}:{line}: this line is damaged, and whole ones follow it: the file was changed or its disk \
         is failing\nhelp: what the lines above say is in credentials.csv; bring the file back from a \
         copy to resume",
        path.display()
    )]
    Damaged {
        /// The ledger.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
    },
    /// Not even the first line is whole.
    #[error(
        "{}: no ledger: its first line is not whole\nhelp: nothing was sent in this run; begin it anew",
        path.display()
    )]
    NoHeader {
        /// The file.
        path: PathBuf,
    },
    /// A later program wrote it.
    #[error(
        "{}: its format is {format}, and this program reads up to {}: take the fleetcall that wrote it",
        path.display(),
        Header::FORMAT
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// What it says.
        format: u32,
    },
}

impl Past {
    /// Reads a ledger. An end that is torn is left out; damage before the end is an error.
    pub fn read(path: &Path, boot_id: &str) -> Result<Self, PastError> {
        let file = File::open(path).map_err(|source| PastError::File {
            path: path.to_owned(),
            source,
        })?;
        // Before anything in the directory is touched. It is held again to write.
        if let Err(TryLockError::WouldBlock) = file.try_lock_shared() {
            return Err(PastError::Busy {
                path: path.to_owned(),
            });
        }
        Self::take_in(path, file, None, boot_id)
    }

    /// Reads the beginning of a ledger that is still being written, up to that byte: for the
    /// processes of the run itself.
    pub fn read_beginning(path: &Path, end: u64, boot_id: &str) -> Result<Self, PastError> {
        let file = File::open(path).map_err(|source| PastError::File {
            path: path.to_owned(),
            source,
        })?;
        Self::take_in(path, file, Some(end), boot_id)
    }

    fn take_in(
        path: &Path,
        file: File,
        end: Option<u64>,
        boot_id: &str,
    ) -> Result<Self, PastError> {
        let failed = |source| PastError::File {
            path: path.to_owned(),
            source,
        };
        let length = match end {
            Some(end) => end,
            None => file.metadata().map_err(failed)?.len(),
        };
        let mut lines = Lines::of(file.take(length));
        let first = lines.next().map_err(failed)?;
        let first = first.as_deref().and_then(|text| Line::read(text, 0));
        let Some(Line::Run(header)) = first else {
            return Err(PastError::NoHeader {
                path: path.to_owned(),
            });
        };
        if !(1..=Header::FORMAT).contains(&header.format) {
            return Err(PastError::Format {
                path: path.to_owned(),
                format: header.format,
            });
        }
        let mut devices = Vec::new();
        devices.resize_with(header.devices as usize, || None);
        let mut past = Self {
            parts: 1,
            power_lost: header.boot_id != boot_id,
            torn_bytes: 0,
            devices,
            besides: Vec::new(),
            end: (lines.at, 1),
            header,
        };
        while let Some(text) = lines.next().map_err(failed)? {
            let (_, number) = past.end;
            let understood = Line::read(&text, number).and_then(|line| past.take(line, boot_id));
            if understood.is_none() {
                while let Some(text) = lines.next().map_err(failed)? {
                    if Line::is_whole(&text) {
                        return Err(PastError::Damaged {
                            path: path.to_owned(),
                            line: number + 1,
                        });
                    }
                }
                break;
            }
            past.end = (lines.at, number + 1);
        }
        past.torn_bytes = length - past.end.0;
        Ok(past)
    }

    /// Where its last whole line ends, in bytes.
    pub fn end(&self) -> u64 {
        self.end.0
    }

    /// What is on record of a device; `None`: nothing.
    pub fn trace(&self, ix: DeviceIx) -> Option<&Trace> {
        self.devices.get(ix.get())?.as_deref()
    }

    /// All credentials on record that hold, each with the name that it is for.
    pub fn credentials(&self) -> impl Iterator<Item = (&str, &Issued)> {
        let granted = self.devices.iter().flatten();
        let granted = granted.filter_map(|trace| trace.granted.as_ref());
        granted
            .chain(&self.besides)
            .map(|(name, issued)| (&**name, issued))
    }

    /// `None` when the line says what cannot be.
    fn take(&mut self, line: Line<'_>, boot_id: &str) -> Option<()> {
        match line {
            Line::Run(_) => return None,
            Line::Part(Part {
                part, boot_id: of, ..
            }) => {
                self.parts = part;
                self.power_lost = of != boot_id;
            }
            Line::Asked { device, files, .. } => {
                self.device(device)?.asked = Some(files.into_files());
            }
            Line::Provisioned {
                device,
                name,
                credentials,
                files,
                attempts,
                time_to_provision_us,
            } => {
                let issued = credentials.into_issued(files)?;
                let trace = self.device(device)?;
                trace.granted = Some((name.into(), issued));
                trace.attempts = attempts;
                trace.time_to_provision = time_to_provision_us.map(Duration::from_micros);
            }
            Line::Besides {
                name,
                credentials,
                files,
                ..
            } => {
                let issued = credentials.into_issued(files)?;
                self.besides.push((name.into(), issued));
            }
            Line::Rotated {
                device,
                name,
                state: word,
                credentials,
                files,
            } => {
                if state(&word)? == RotationState::Done {
                    let issued = credentials.into_issued(files)?;
                    self.device(device)?.granted = Some((name.into(), issued));
                }
            }
            Line::OldAccepted { .. } => {}
            Line::Ended(form) => return self.ended(form),
        }
        Some(())
    }

    fn ended(&mut self, form: EndedForm) -> Option<()> {
        let (device, part) = (form.device, self.parts);
        let fate = form.into_fate()?;
        let trace = self.device(device)?;
        // Everything else but an answer that was lost settles what was asked.
        if fate.outcome != Outcome::Unknown {
            trace.asked = None;
        }
        trace.attempts = trace.attempts.max(fate.attempts);
        trace.fate = Some(fate);
        trace.ended_in = part;
        Some(())
    }

    fn device(&mut self, device: u32) -> Option<&mut Trace> {
        let slot = self.devices.get_mut(device as usize)?;
        Some(slot.get_or_insert_default())
    }
}

/// Whole lines of bounded length, and where the next one begins.
struct Lines {
    reader: BufReader<Take<File>>,
    line: Vec<u8>,
    at: u64,
}

impl Lines {
    fn of(file: Take<File>) -> Self {
        Self {
            reader: BufReader::with_capacity(1 << 16, file),
            line: Vec::new(),
            at: 0,
        }
    }

    /// The next line without its line feed; `None` at the end, and where the last one has none.
    /// What is no text is a line that is not whole.
    fn next(&mut self) -> io::Result<Option<String>> {
        self.line.clear();
        let mut reader = (&mut self.reader).take(LINE_MAX);
        let mut read = reader.read_until(b'\n', &mut self.line)? as u64;
        if read == LINE_MAX && self.line.last() != Some(&b'\n') {
            // No line of ours; whole ones may follow.
            read += self.reader.skip_until(b'\n')? as u64;
            self.line.clear();
            self.line.push(b'\n');
        }
        if self.line.pop() != Some(b'\n') {
            return Ok(None);
        }
        self.at += read;
        Ok(Some(String::from_utf8_lossy(&self.line).into_owned()))
    }
}

/// A certificate in base64 fits ten times.
const LINE_MAX: u64 = 1 << 18;

#[cfg(test)]
mod tests;
