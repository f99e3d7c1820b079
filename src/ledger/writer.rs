//! The ledger's thread and the two kinds of record that it takes.

use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{io, thread};

use thiserror::Error;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::credentials::CredentialsFile;
use super::rotations::{Rotation, RotationState, RotationsFile};
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
    /// It got a new certificate: how that stands.
    Rotated(Rotation),
    /// A certificate that it has replaced still lets it in.
    OldAccepted,
    /// It is done.
    Ended(Fate),
}

/// Credentials, and where the key is that goes with them.
#[derive(Debug)]
pub struct Issued {
    /// As the server gave them.
    pub credentials: Credentials,
    /// The files of the device's certificate and key, where the credentials are a certificate.
    pub files: Option<Files>,
}

/// A certificate's file and its key's.
pub type Files = (PathBuf, PathBuf);

impl Issued {
    /// The certificate's file and the key's as they are written; empty where there are none.
    pub(super) fn file_names(&self) -> [String; 2] {
        Self::names_of(self.files.as_ref())
    }

    pub(super) fn names_of(files: Option<&Files>) -> [String; 2] {
        let name = |path: &Path| path.to_string_lossy().into_owned();
        files.map_or_else(Default::default, |(certificate, key)| {
            [name(certificate), name(key)]
        })
    }
}

/// What a closed ledger knows.
#[derive(Debug)]
pub struct Closed {
    /// The devices' fates in list order, `None` for a device that never ended.
    pub fates: Vec<Option<Fate>>,
    /// Credentials that more than one device was given.
    pub shared: Shared,
    /// Devices that a replaced certificate still let in.
    pub old_accepted: Vec<DeviceIx>,
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
            rotations: None,
            old_accepted: Vec::new(),
            inbox,
        };
        let writer = thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || {
                writer.run()?;
                writer.close()
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
    rotations: Option<RotationsFile>,
    old_accepted: Vec<DeviceIx>,
    inbox: mpsc::Receiver<Record>,
}

impl Writer {
    fn run(&mut self) -> Result<(), LedgerError> {
        let mut unsynced_since: Option<Instant> = None;
        loop {
            let overdue = unsynced_since.is_some_and(|since| since.elapsed() >= SYNC_EVERY);
            if overdue || (unsynced_since.is_some() && self.inbox.is_empty()) {
                self.sync()?;
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
                        .map_err(|e| self.failed(e))?;
                    unsynced_since.get_or_insert_with(Instant::now);
                }
                Entry::Rotated(rotation) => {
                    self.rotated(&record.name, record.device, &rotation)
                        .map_err(|e| self.failed(e))?;
                    unsynced_since.get_or_insert_with(Instant::now);
                }
                Entry::OldAccepted => self.old_accepted.push(record.device),
                Entry::Ended(fate) => self.end(&record.name, record.device, fate)?,
            }
        }
        self.sync()
    }

    fn sync(&mut self) -> Result<(), LedgerError> {
        self.file.sync().map_err(|e| self.failed(e))?;
        match &mut self.rotations {
            Some(rotations) => rotations.sync().map_err(|e| self.failed(e)),
            None => Ok(()),
        }
    }

    /// The new certificate's row goes first: whoever is cut off in between has a row too many, and
    /// none too few.
    fn rotated(&mut self, name: &str, device: DeviceIx, rotation: &Rotation) -> io::Result<()> {
        if rotation.state == RotationState::Done {
            self.seen.look(device, &rotation.new.credentials);
            self.file.write(name, &rotation.new)?;
            let [old, _] = Issued::names_of(rotation.old.as_ref());
            self.file.replace(old);
        }
        let rotations = match &mut self.rotations {
            Some(rotations) => rotations,
            none => none.insert(RotationsFile::create(&self.path.with_file_name(ROTATIONS))?),
        };
        rotations.write(name, rotation)
    }

    /// Shortens the files to what holds.
    fn close(self) -> Result<Closed, LedgerError> {
        let failed = |source| LedgerError::File {
            path: self.path.clone(),
            source,
        };
        self.file.compact().map_err(failed)?;
        if let Some(rotations) = self.rotations {
            rotations.compact().map_err(failed)?;
        }
        Ok(Closed {
            fates: self.fates,
            shared: self.seen.shared(),
            old_accepted: self.old_accepted,
        })
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

/// Beside the credentials, once there is a rotation.
const ROTATIONS: &str = "rotations.csv";

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

    /// A certificate of `leaf`, in files named so.
    fn issued(leaf: &str) -> Issued {
        Issued {
            credentials: Credentials::X509 {
                certificate: leaf.to_owned(),
            },
            files: Some((format!("{leaf}.crt").into(), format!("{leaf}.key").into())),
        }
    }

    fn rotated(device: u32, state: RotationState, old: &str, new: &str) -> Record {
        let entry = Entry::Rotated(Rotation {
            state,
            old: issued(old).files,
            new: issued(new),
        });
        record(device, entry)
    }

    #[test]
    fn at_the_end_each_device_has_the_certificate_that_holds_and_each_rotation_its_last_word() {
        use RotationState::{Begun, Done, Failed, InDoubt};
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("credentials.csv");
        let ledger = Ledger::open(&path, 4).unwrap();
        let sender = ledger.sender();
        let send = |record| sender.blocking_send(record).unwrap();
        for device in 0..3 {
            send(record(
                device,
                Entry::Provisioned(issued(&format!("{device}-1"))),
            ));
        }
        let token = Issued {
            credentials: Credentials::AccessToken("t".into()),
            files: None,
        };
        send(record(3, Entry::Provisioned(token)));
        for (device, state, old, new) in [
            (0, Begun, "0-1", "0-2"),
            (1, Begun, "1-1", "1-2"),
            (0, Done, "0-1", "0-2"),
            (2, Begun, "2-1", "2-2"),
            (1, Failed, "1-1", "1-2"),
            (0, Begun, "0-2", "0-3"),
            (0, Done, "0-2", "0-3"),
            (2, InDoubt, "2-1", "2-2"),
        ] {
            send(rotated(device, state, old, new));
        }
        drop(sender);
        ledger.close().unwrap();
        assert_eq!(column(&path, 6), ["1-1.crt", "2-1.crt", "", "0-3.crt"]);
        let rotations = dir.path().join("rotations.csv");
        assert_eq!(
            column(&rotations, 1),
            ["done", "failed", "done", "in_doubt"]
        );
        assert_eq!(
            column(&rotations, 2),
            ["0-2.crt", "1-2.crt", "0-3.crt", "2-2.crt"]
        );
        for path in [path, rotations] {
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", path.display());
        }
    }

    #[test]
    fn a_run_that_is_cut_off_leaves_both_certificates_on_record() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("credentials.csv");
        let ledger = Ledger::open(&path, 1).unwrap();
        let sender = ledger.sender();
        let send = |record| sender.blocking_send(record).unwrap();
        send(record(0, Entry::Provisioned(issued("1"))));
        send(rotated(0, RotationState::Begun, "1", "2"));
        send(rotated(0, RotationState::Done, "1", "2"));
        // Nobody closes it: what a killed run leaves once the ledger was idle.
        let rotations = dir.path().join("rotations.csv");
        let begun = Instant::now();
        while column(&rotations, 1) != ["begun", "done"] {
            assert!(begun.elapsed() < Duration::from_secs(30));
            thread::yield_now();
        }
        assert_eq!(column(&path, 6), ["1.crt", "2.crt"]);
    }

    /// The cells of a column, of as many rows as are whole.
    fn column(path: &Path, n: usize) -> Vec<String> {
        let Ok(mut rows) = csv::Reader::from_path(path) else {
            return Vec::new();
        };
        let rows = rows.records().map_while(Result::ok);
        rows.filter_map(|row| Some(row.get(n)?.to_owned()))
            .collect()
    }
}
