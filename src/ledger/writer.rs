//! The ledger's thread and the two kinds of record that it takes.

use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{io, thread};

use thiserror::Error;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::credentials::CredentialsFile;
use super::shared::{Seen, Shared};
use crate::model::{Cause, Credentials, DeviceIx, Observed, Outcome};

/// How one listed device ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fate {
    /// Exactly one for each device.
    pub outcome: Outcome,
    /// What was seen of it, to be held against what must happen.
    pub observed: Observed,
    /// The type received, else the one asked for, as the server's API spells it.
    pub credentials_type: &'static str,
    /// What went wrong first; for a provisioned device, what went wrong after that.
    pub cause: Option<Cause>,
    /// Provision requests that the device began.
    pub attempts: u32,
    /// From the intended start to the credentials.
    pub time_to_provision: Option<Duration>,
    /// From the intended start to the first acknowledged telemetry.
    pub time_to_first_telemetry: Option<Duration>,
    /// Telemetry messages that may have reached the server.
    pub telemetry_sent: u32,
    /// Telemetry messages that the server acknowledged.
    pub telemetry_acked: u32,
}

/// What happened to a device.
#[derive(Debug)]
pub enum Entry {
    /// The server gave it these credentials.
    Provisioned(Issued),
    /// It is done.
    Ended(Fate),
}

/// Credentials, and where the key is that goes with them.
#[derive(Debug)]
pub struct Issued {
    /// As the server gave them.
    pub credentials: Credentials,
    /// The files of the device's certificate and key, where the credentials are a certificate.
    pub files: Option<(PathBuf, PathBuf)>,
}

/// What a closed ledger knows.
#[derive(Debug)]
pub struct Closed {
    /// The devices' fates in list order, `None` for a device that never ended.
    pub fates: Vec<Option<Fate>>,
    /// Credentials that more than one device was given.
    pub shared: Shared,
}

/// One entry and whose it is.
#[derive(Debug)]
pub struct Record {
    /// The device.
    pub device: DeviceIx,
    /// The name that the server knows it by: the listed one, but for devices that misbehave.
    pub name: Box<str>,
    /// What happened.
    pub entry: Entry,
}

/// The ledger could not do its one duty.
#[derive(Debug, Error)]
pub enum LedgerError {
    /// The credentials file cannot be made or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A device ended twice: our own arithmetic is wrong.
    #[error("the device in row {0} ended twice")]
    EndedTwice(u32),
}

/// The writer thread's owner.
pub struct Ledger {
    records: mpsc::Sender<Record>,
    writer: JoinHandle<Result<Closed, LedgerError>>,
}

impl Ledger {
    /// Creates the credentials file and starts the writer for a list of `devices`.
    pub fn open(credentials: &Path, devices: u32) -> Result<Self, LedgerError> {
        let path = credentials.to_owned();
        let file = CredentialsFile::create(&path).map_err(|source| LedgerError::File {
            path: path.clone(),
            source,
        })?;
        let (records, inbox) = mpsc::channel(CAPACITY);
        let mut writer = Writer {
            path,
            file,
            fates: vec![None; devices as usize],
            seen: Seen::default(),
            inbox,
        };
        let writer = thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || {
                writer.run()?;
                Ok(Closed {
                    fates: writer.fates,
                    shared: writer.seen.shared(),
                })
            })
            .map_err(|source| LedgerError::File {
                path: credentials.to_owned(),
                source,
            })?;
        Ok(Self { records, writer })
    }

    /// Where records go. Sending fails only when the writer has failed.
    pub fn sender(&self) -> mpsc::Sender<Record> {
        self.records.clone()
    }

    /// Waits until every sender is gone and every record is on the disk.
    pub fn close(self) -> Result<Closed, LedgerError> {
        drop(self.records);
        self.writer
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

struct Writer {
    path: PathBuf,
    file: CredentialsFile,
    fates: Vec<Option<Fate>>,
    seen: Seen,
    inbox: mpsc::Receiver<Record>,
}

impl Writer {
    fn run(&mut self) -> Result<(), LedgerError> {
        let mut unsynced_since: Option<Instant> = None;
        loop {
            let overdue = unsynced_since.is_some_and(|since| since.elapsed() >= SYNC_EVERY);
            if overdue || (unsynced_since.is_some() && self.inbox.is_empty()) {
                self.file.sync().map_err(|e| self.failed(e))?;
                unsynced_since = None;
            }
            let Some(record) = self.inbox.blocking_recv() else {
                break;
            };
            match record.entry {
                Entry::Provisioned(issued) => {
                    self.seen.look(record.device, &issued.credentials);
                    self.file
                        .write(&record.name, &issued)
                        .map_err(|e| self.failed(e.into()))?;
                    unsynced_since.get_or_insert_with(Instant::now);
                }
                Entry::Ended(fate) => self.end(&record.name, record.device, fate)?,
            }
        }
        self.file.sync().map_err(|e| self.failed(e))
    }

    fn end(&mut self, name: &str, device: DeviceIx, fate: Fate) -> Result<(), LedgerError> {
        if let Some(cause) = fate.cause
            && cause != Cause::NotStarted
        {
            tracing::debug!(device = name, outcome = fate.outcome.as_str(), %cause, "device ended");
        }
        match self.fates[device.get()].replace(fate) {
            None => Ok(()),
            Some(_) => Err(LedgerError::EndedTwice(device.0)),
        }
    }

    fn failed(&self, source: io::Error) -> LedgerError {
        LedgerError::File {
            path: self.path.clone(),
            source,
        }
    }
}

/// Records under way; a full channel holds its devices back.
const CAPACITY: usize = 4096;

/// The longest that a written credential waits for the disk while more keep coming.
const SYNC_EVERY: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn record(device: u32, entry: Entry) -> Record {
        Record {
            device: DeviceIx(device),
            name: format!("dev,\"{device}").into(),
            entry,
        }
    }

    fn fate(outcome: Outcome) -> Fate {
        Fate {
            outcome,
            observed: Observed::Failed,
            credentials_type: "ACCESS_TOKEN",
            cause: None,
            attempts: 1,
            time_to_provision: None,
            time_to_first_telemetry: None,
            telemetry_sent: 0,
            telemetry_acked: 0,
        }
    }

    #[test]
    fn keeps_credentials_for_the_owner_only_and_exactly() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("credentials.csv");
        let ledger = Ledger::open(&path, 2).unwrap();
        let sender = ledger.sender();
        let token = Credentials::AccessToken("to\"k,en".into());
        sender
            .blocking_send(record(
                1,
                Entry::Provisioned(Issued {
                    credentials: token,
                    files: None,
                }),
            ))
            .unwrap();
        sender
            .blocking_send(record(1, Entry::Ended(fate(Outcome::Provisioned))))
            .unwrap();
        drop(sender);
        let fates = ledger.close().unwrap().fates;
        assert_eq!(fates, [None, Some(fate(Outcome::Provisioned))]);
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let mut rows = csv::Reader::from_path(&path).unwrap();
        let row = rows.records().next().unwrap().unwrap();
        assert_eq!(
            row.iter().collect::<Vec<_>>(),
            ["dev,\"1", "ACCESS_TOKEN", "to\"k,en", "", "", "", "", ""]
        );
    }

    #[test]
    fn never_overwrites_credentials_of_an_earlier_run() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("credentials.csv");
        Ledger::open(&path, 1).unwrap().close().unwrap();
        let again = Ledger::open(&path, 1).err().unwrap();
        assert!(again.to_string().contains("credentials.csv"), "{again}");
    }

    #[test]
    fn a_device_that_ends_twice_is_a_bug_that_shows() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&dir.path().join("credentials.csv"), 1).unwrap();
        let sender = ledger.sender();
        for _ in 0..2 {
            sender
                .blocking_send(record(0, Entry::Ended(fate(Outcome::Failed))))
                .unwrap();
        }
        drop(sender);
        assert!(matches!(ledger.close(), Err(LedgerError::EndedTwice(0))));
    }
}
