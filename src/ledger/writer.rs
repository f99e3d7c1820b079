//! The ledger's thread: what it keeps of each record, where, and what it does when it cannot.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use super::credentials::CredentialsFile;
use super::entry::{Entry, Fate, Issued, Post, Record};
use super::intake::{Intake, Sender};
use super::journal::Journal;
use super::line::{CredentialsForm, EndedForm, FilesForm, Header, Line, Part, micros};
use super::past::Past;
use super::rotations::{Rotation, RotationState, RotationsFile};
use super::shared::{Seen, Shared};
use super::sync::Syncer;
use crate::model::{Cause, DeviceIx};

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

/// The ledger could not do its one duty.
#[derive(Debug, Error)]
pub enum LedgerError {
    /// A file cannot be made or written.
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
    records: mpsc::Sender<Post>,
    intake: Intake,
    writer: JoinHandle<Result<Closed, LedgerError>>,
}

impl Ledger {
    /// Creates the ledger and the credentials file in a run's directory and starts the writer. Room
    /// on the disk is reserved, as far as its file system can.
    pub fn create(dir: &Path, header: &Header) -> Result<Self, LedgerError> {
        let path = dir.join(LEDGER);
        let journal = Journal::create(&path, header, room(header.own_devices()));
        let journal = journal.map_err(|source| LedgerError::File { path, source })?;
        Self::start(dir, journal, header.devices, None)
    }

    /// Goes on with a ledger, whose devices of the past have ended as `settled` says, and brings the
    /// credentials file up to it.
    pub fn resume(
        dir: &Path,
        past: &Past,
        next: &Part,
        settled: &[Option<Fate>],
    ) -> Result<Self, LedgerError> {
        let path = dir.join(LEDGER);
        let over = settled.iter().flatten().count();
        let over = u32::try_from(over).expect("lists are shorter");
        let left = past.header.own_devices().saturating_sub(over);
        let journal = Journal::reopen(&path, past.end, next, room(left)).and_then(|mut journal| {
            // Those that a killed part left without their end, and that have one now.
            for (ix, fate) in (0..).map(DeviceIx).zip(settled) {
                let on_record = past.trace(ix).is_some_and(|trace| trace.fate.is_some());
                if let (Some(fate), false) = (fate, on_record) {
                    journal.add(&Line::Ended(EndedForm::of(ix.0, fate)));
                }
            }
            journal.flush()?;
            Ok(journal)
        });
        let journal = journal.map_err(|source| LedgerError::File { path, source })?;
        Self::start(dir, journal, past.header.devices, Some((past, settled)))
    }

    fn start(
        dir: &Path,
        journal: Journal,
        devices: u32,
        before: Option<(&Past, &[Option<Fate>])>,
    ) -> Result<Self, LedgerError> {
        let path = dir.join(CREDENTIALS);
        let failed = |source| LedgerError::File {
            path: path.clone(),
            source,
        };
        let mut seen = Seen::default();
        let credentials = match before {
            None => CredentialsFile::create(&path),
            Some((past, _)) => CredentialsFile::renew(&path, past.credentials()),
        };
        let credentials = credentials.map_err(failed)?;
        let mut fates = vec![None; devices as usize];
        if let Some((past, settled)) = before {
            fates.copy_from_slice(settled);
            for ix in (0..devices).map(DeviceIx) {
                let granted = past.trace(ix).and_then(|trace| trace.granted.as_ref());
                if let Some((_, issued)) = granted {
                    seen.look(ix, &issued.credentials);
                }
            }
        }
        let files = vec![
            journal.share().map_err(failed)?,
            credentials.share().map_err(failed)?,
        ];
        let syncer = Syncer::start(files).map_err(failed)?;
        let (records, inbox) = mpsc::channel(CAPACITY);
        let intake = Intake {
            journal: Arc::new(Mutex::new(journal)),
            wake: syncer.waker(),
        };
        let writer = Writer {
            dir: dir.to_owned(),
            intake: intake.clone(),
            credentials,
            fates,
            seen,
            rotations: None,
            old_accepted: Vec::new(),
            syncer,
            trouble: None,
        };
        let writer = thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || writer.run(inbox))
            .map_err(|source| LedgerError::File {
                path: dir.to_owned(),
                source,
            })?;
        Ok(Self {
            records,
            intake,
            writer,
        })
    }

    /// The ways to it.
    pub fn sender(&self) -> Sender {
        Sender {
            records: self.records.clone(),
            intake: Some(self.intake.clone()),
        }
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
    dir: PathBuf,
    intake: Intake,
    credentials: CredentialsFile,
    fates: Vec<Option<Fate>>,
    seen: Seen,
    rotations: Option<RotationsFile>,
    old_accepted: Vec<DeviceIx>,
    syncer: Syncer,
    /// From the first file that could not be written on, no device may ask any more.
    trouble: Option<LedgerError>,
}

impl Writer {
    /// Takes records until the last sender is gone. A file that cannot be written ends nothing here:
    /// credentials that are still on their way have to be kept, and the disk may have room again.
    fn run(mut self, mut inbox: mpsc::Receiver<Post>) -> Result<Closed, LedgerError> {
        let mut batch = Vec::with_capacity(BATCH);
        let mut asking = Vec::new();
        while inbox.blocking_recv_many(&mut batch, BATCH) > 0 {
            for post in batch.drain(..) {
                match post {
                    Post::Record(record) => self.take(record, &mut asking)?,
                    Post::Reader(reader) => asking.push(reader),
                }
            }
            let written = self.intake.lock().flush();
            self.note_trouble(LEDGER, written);
            let written = self.credentials.flush();
            self.note_trouble(CREDENTIALS, written);
            let synced = self.syncer.wake();
            self.note_trouble(LEDGER, synced);
            for intent in asking.drain(..) {
                if self.trouble.is_none() {
                    // Whoever was cut off meanwhile needs no answer.
                    let _ = oneshot::Sender::send(intent, ());
                }
            }
        }
        self.close()
    }

    fn note_trouble(&mut self, name: &str, done: io::Result<()>) {
        let Err(source) = done else { return };
        if self.trouble.is_none() {
            let path = self.dir.join(name);
            tracing::error!(
                "{}: {source}: no device is provisioned any more",
                path.display()
            );
            self.trouble = Some(LedgerError::File { path, source });
        }
    }

    fn take(
        &mut self,
        record: Record,
        asking: &mut Vec<oneshot::Sender<()>>,
    ) -> Result<(), LedgerError> {
        let Record {
            device: ix,
            name,
            entry,
        } = record;
        let device = ix.0;
        match entry {
            Entry::Asked(intent) => {
                self.intake.lock().add(&Line::Asked {
                    device,
                    name: (&*name).into(),
                    files: FilesForm::of(intent.files.as_ref()),
                });
                asking.push(intent.written);
            }
            Entry::Provisioned(grant) => {
                self.intake.lock().add(&Line::Provisioned {
                    device,
                    name: (&*name).into(),
                    credentials: CredentialsForm::of(&grant.issued.credentials),
                    files: FilesForm::of(grant.issued.files.as_ref()),
                    attempts: grant.attempts,
                    time_to_provision_us: grant.time_to_provision.map(micros),
                });
                self.granted(ix, &name, &grant.issued);
            }
            Entry::Besides(issued) => {
                self.intake.lock().add(&Line::Besides {
                    device,
                    name: (&*name).into(),
                    credentials: CredentialsForm::of(&issued.credentials),
                    files: FilesForm::of(issued.files.as_ref()),
                });
                self.granted(ix, &name, &issued);
            }
            Entry::Rotated(rotation) => {
                self.intake
                    .lock()
                    .add(&Line::rotated(device, &name, &rotation));
                let written = self.rotated(&name, ix, &rotation);
                self.note_trouble(ROTATIONS, written);
            }
            Entry::OldAccepted => {
                self.intake.lock().add(&Line::OldAccepted {
                    device,
                    name: (&*name).into(),
                });
                self.old_accepted.push(ix);
            }
            Entry::Ended(fate) => {
                self.intake
                    .lock()
                    .add(&Line::Ended(EndedForm::of(device, &fate)));
                self.end(&name, ix, fate)?;
            }
        }
        Ok(())
    }

    fn granted(&mut self, ix: DeviceIx, name: &str, issued: &Issued) {
        self.seen.look(ix, &issued.credentials);
        let written = self.credentials.write(name, issued);
        self.note_trouble(CREDENTIALS, written);
    }

    /// The new certificate's row goes first: whoever is cut off in between has a row too many, and
    /// none too few.
    fn rotated(&mut self, name: &str, device: DeviceIx, rotation: &Rotation) -> io::Result<()> {
        if rotation.state == RotationState::Done {
            self.seen.look(device, &rotation.new.credentials);
            self.credentials.write(name, &rotation.new)?;
            let [old, _] = Issued::names_of(rotation.old.as_ref());
            self.credentials.replace(old);
        }
        let rotations = match &mut self.rotations {
            Some(rotations) => rotations,
            none => {
                let file = RotationsFile::create(&self.dir.join(ROTATIONS))?;
                self.syncer.also(file.share()?);
                none.insert(file)
            }
        };
        rotations.write(name, rotation)?;
        rotations.flush()
    }

    /// Shortens the tables to what holds.
    fn close(mut self) -> Result<Closed, LedgerError> {
        let dir = self.dir.clone();
        let failed = |name: &str| {
            let path = dir.join(name);
            move |source| LedgerError::File { path, source }
        };
        self.intake.lock().close().map_err(failed(LEDGER))?;
        self.credentials.flush().map_err(failed(CREDENTIALS))?;
        self.syncer.close().map_err(failed(CREDENTIALS))?;
        if let Some(trouble) = self.trouble.take() {
            return Err(trouble);
        }
        self.credentials.compact().map_err(failed(CREDENTIALS))?;
        if let Some(rotations) = self.rotations {
            rotations.compact().map_err(failed(ROTATIONS))?;
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
}

/// What devices' three lines and their row in the credentials' table may take: a certificate aside,
/// about 600 bytes.
fn room(devices: u32) -> u64 {
    u64::from(devices) * 700
}

/// A run's durable record.
pub const LEDGER: &str = "ledger.jsonl";

/// The credentials in a table.
pub const CREDENTIALS: &str = "credentials.csv";

/// Beside the credentials, once there is a rotation.
const ROTATIONS: &str = "rotations.csv";

/// Records under way; a full channel holds its devices back.
const CAPACITY: usize = 4096;

/// Records that are handed to the kernel as one.
const BATCH: usize = 256;

#[cfg(test)]
mod tests;
