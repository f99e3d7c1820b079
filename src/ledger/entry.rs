//! What the engine tells the ledger.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::oneshot;

use super::rotations::Rotation;
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
    /// It is about to ask to be provisioned.
    Asked(Intent),
    /// The server gave it these credentials.
    Provisioned(Grant),
    /// A wrong request of it got these credentials, for the record's name.
    Besides(Issued),
    /// It got a new certificate: how that stands.
    Rotated(Rotation),
    /// A certificate that it has replaced still lets it in.
    OldAccepted,
    /// It is done.
    Ended(Fate),
}

/// A provision request that has not been sent yet. It is sent once the ledger has it: whatever
/// becomes of the program, there is no request that nobody knows of.
#[derive(Debug)]
pub struct Intent {
    /// The files of the certificate that it asks with, if it does.
    pub files: Option<Files>,
    /// Told when the intent is in the kernel's hands.
    pub written: oneshot::Sender<()>,
}

/// Credentials that were granted, and what it took.
#[derive(Debug)]
pub struct Grant {
    /// What was granted.
    pub issued: Issued,
    /// Provision requests so far.
    pub attempts: u32,
    /// From the intended start; `None` where the request was an earlier part's.
    pub time_to_provision: Option<Duration>,
}

/// Credentials, and where the key is that goes with them.
#[derive(Clone, Debug)]
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

/// What goes to the ledger's thread.
#[derive(Debug)]
pub enum Post {
    /// To be kept.
    Record(Record),
    /// Somebody is about to read the file: told once all that was sent before is in the kernel's
    /// hands.
    Reader(oneshot::Sender<()>),
}

impl From<Record> for Post {
    fn from(record: Record) -> Self {
        Self::Record(record)
    }
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
