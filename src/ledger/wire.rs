//! A record on its way from a process of the run to the one that keeps the ledger, and what the
//! former waits for: that its request is on record.

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::entry::{Entry, Grant, Intent, Record};
use super::line::{CredentialsForm, EndedForm, FilesForm, micros, state};
use super::rotations::Rotation;
use crate::model::DeviceIx;

/// A record as JSON. It holds credentials: it goes through pipes, and to no log.
#[derive(Serialize, Deserialize)]
pub struct SentRecord {
    device: u32,
    name: Box<str>,
    entry: SentEntry,
}

#[derive(Serialize, Deserialize)]
enum SentEntry {
    Asked {
        /// By which the sender knows the answer.
        ticket: u64,
        #[serde(flatten)]
        files: FilesForm,
    },
    Provisioned {
        #[serde(flatten)]
        credentials: CredentialsForm,
        #[serde(flatten)]
        files: FilesForm,
        attempts: u32,
        time_to_provision_us: Option<u64>,
    },
    Besides {
        #[serde(flatten)]
        credentials: CredentialsForm,
        #[serde(flatten)]
        files: FilesForm,
    },
    Rotated {
        state: String,
        #[serde(flatten)]
        credentials: CredentialsForm,
        #[serde(flatten)]
        files: FilesForm,
        old: FilesForm,
    },
    OldAccepted,
    Ended(EndedForm),
}

/// A request that a process waits to have on record: its ticket, and when it is.
pub type Waiting = (u64, oneshot::Receiver<()>);

impl SentRecord {
    /// The form of a record; what waits for it is kept by `keep`, which gives it a ticket.
    pub fn of(record: Record, keep: impl FnOnce(oneshot::Sender<()>) -> u64) -> Self {
        let device = record.device.0;
        let entry = match record.entry {
            Entry::Asked(intent) => SentEntry::Asked {
                ticket: keep(intent.written),
                files: FilesForm::of(intent.files.as_ref()),
            },
            Entry::Provisioned(grant) => SentEntry::Provisioned {
                credentials: CredentialsForm::of(&grant.issued.credentials),
                files: FilesForm::of(grant.issued.files.as_ref()),
                attempts: grant.attempts,
                time_to_provision_us: grant.time_to_provision.map(micros),
            },
            Entry::Besides(issued) => SentEntry::Besides {
                credentials: CredentialsForm::of(&issued.credentials),
                files: FilesForm::of(issued.files.as_ref()),
            },
            Entry::Rotated(rotation) => SentEntry::Rotated {
                state: rotation.state.as_str().to_owned(),
                credentials: CredentialsForm::of(&rotation.new.credentials),
                files: FilesForm::of(rotation.new.files.as_ref()),
                old: FilesForm::of(rotation.old.as_ref()),
            },
            Entry::OldAccepted => SentEntry::OldAccepted,
            Entry::Ended(fate) => SentEntry::Ended(EndedForm::of(device, &fate)),
        };
        Self {
            device,
            name: record.name,
            entry,
        }
    }

    /// What its sender knows the answer by, if it waits for one.
    pub fn ticket(&self) -> Option<u64> {
        match self.entry {
            SentEntry::Asked { ticket, .. } => Some(ticket),
            _ => None,
        }
    }

    /// The record again, and what to tell the sender of it; `None` when it says what cannot be.
    pub fn into_record(self) -> Option<(Record, Option<Waiting>)> {
        let mut waiting = None;
        let entry = match self.entry {
            SentEntry::Asked { ticket, files } => {
                let (written, known) = oneshot::channel();
                waiting = Some((ticket, known));
                Entry::Asked(Intent {
                    files: files.into_files(),
                    written,
                })
            }
            SentEntry::Provisioned {
                credentials,
                files,
                attempts,
                time_to_provision_us,
            } => Entry::Provisioned(Grant {
                issued: credentials.into_issued(files)?,
                attempts,
                time_to_provision: time_to_provision_us.map(std::time::Duration::from_micros),
            }),
            SentEntry::Besides { credentials, files } => {
                Entry::Besides(credentials.into_issued(files)?)
            }
            SentEntry::Rotated {
                state: word,
                credentials,
                files,
                old,
            } => Entry::Rotated(Rotation {
                state: state(&word)?,
                old: old.into_files(),
                new: credentials.into_issued(files)?,
            }),
            SentEntry::OldAccepted => Entry::OldAccepted,
            SentEntry::Ended(form) => Entry::Ended(form.into_fate()?),
        };
        let record = Record {
            device: DeviceIx(self.device),
            name: self.name,
            entry,
        };
        Some((record, waiting))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use secrecy::ExposeSecret;

    use super::*;
    use crate::ledger::{Fate, Issued, RotationState};
    use crate::model::{Credentials, Observed, Outcome};

    fn there_and_back(entry: Entry) -> (Record, Option<Waiting>) {
        let record = Record {
            device: DeviceIx(7),
            name: "meter \"7\"\n".into(),
            entry,
        };
        let text = serde_json::to_string(&SentRecord::of(record, |_| 41)).unwrap();
        assert!(!text.contains('\n'), "a record is a line: {text}");
        let sent: SentRecord = serde_json::from_str(&text).unwrap();
        let (record, waiting) = sent.into_record().unwrap();
        assert_eq!(
            (record.device, &*record.name),
            (DeviceIx(7), "meter \"7\"\n")
        );
        (record, waiting)
    }

    fn files(n: u32) -> (std::path::PathBuf, std::path::PathBuf) {
        (format!("{n}.pem").into(), format!("{n}.key").into())
    }

    #[test]
    fn a_record_is_the_same_on_the_other_side() {
        let (written, _) = oneshot::channel();
        let asked = there_and_back(Entry::Asked(Intent {
            files: Some(files(1)),
            written,
        }));
        let (Entry::Asked(intent), Some((41, _))) = (asked.0.entry, asked.1) else {
            panic!("asked with its ticket");
        };
        assert_eq!(intent.files, Some(files(1)));

        let basic = Credentials::mqtt_basic("c", "", "p\u{1f511}");
        let grant = Grant {
            issued: Issued {
                credentials: basic.clone(),
                files: None,
            },
            attempts: 3,
            time_to_provision: Some(Duration::from_micros(1_234)),
        };
        let (record, waiting) = there_and_back(Entry::Provisioned(grant));
        let Entry::Provisioned(grant) = record.entry else {
            panic!("provisioned");
        };
        assert!(waiting.is_none() && grant.issued.credentials.is_same(&basic));
        assert_eq!(
            (grant.attempts, grant.time_to_provision),
            (3, Some(Duration::from_micros(1_234)))
        );

        let rotation = Rotation {
            state: RotationState::InDoubt,
            old: Some(files(1)),
            new: Issued {
                credentials: Credentials::AccessToken("t".into()),
                files: Some(files(2)),
            },
        };
        let (record, _) = there_and_back(Entry::Rotated(rotation));
        let Entry::Rotated(rotation) = record.entry else {
            panic!("rotated");
        };
        assert_eq!(
            (rotation.state, rotation.old, rotation.new.files),
            (RotationState::InDoubt, Some(files(1)), Some(files(2)))
        );
        let Credentials::AccessToken(token) = rotation.new.credentials else {
            panic!("a token");
        };
        assert_eq!(token.expose_secret(), "t");

        let fate = Fate {
            outcome: Outcome::Refused,
            observed: Observed::Refused,
            credentials_type: "ACCESS_TOKEN",
            cause: Some("provision.not_found".parse().unwrap()),
            attempts: 2,
            time_to_provision: None,
            time_to_first_telemetry: Some(Duration::from_secs(1)),
            telemetry_sent: 5,
            telemetry_acked: 4,
        };
        let (record, _) = there_and_back(Entry::Ended(fate));
        assert!(matches!(record.entry, Entry::Ended(back) if back == fate));
        let (record, _) = there_and_back(Entry::OldAccepted);
        assert!(matches!(record.entry, Entry::OldAccepted));
    }

    #[test]
    fn what_cannot_be_is_no_record() {
        let said = r#"{"device":1,"name":"m","entry":{"Besides":{"credentials_type":"SESAME"}}}"#;
        let sent: SentRecord = serde_json::from_str(said).unwrap();
        assert!(sent.into_record().is_none());
    }
}
