//! Part by part.

use super::answer::row_of;
use super::journal::{Journal, JournalError};
use super::list::ImportList;
use crate::admin::each::each;
use crate::rest::{Client, RestError};

/// What to do about devices that are on the server already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// Their rows fail and are not sent.
    #[default]
    Refuse,
    /// Their rows are left out without a word.
    Skip,
    /// They are overwritten: fields, credentials and attributes.
    Update,
}

/// How to import a list.
#[derive(Clone, Debug)]
pub struct Import {
    /// The profile of rows without a type; `None`: the server's default.
    pub profile: Option<String>,
    /// What to do about devices that are there.
    pub existing: Existing,
    /// The most rows in a request.
    pub rows: usize,
    /// The largest request, bytes.
    pub bytes: usize,
    /// How many names are looked up at a time.
    pub at_once: usize,
}

/// What became of a list.
#[derive(Debug, Default)]
pub struct Imported {
    /// Devices made, those among them whose answer an earlier import did not get.
    pub created: u64,
    /// Devices overwritten.
    pub updated: u64,
    /// Rows left out since their devices are there.
    pub skipped: u64,
    /// Rows that became devices in an earlier, broken-off import.
    pub before: u64,
    /// Rows that did not become devices.
    pub failed: Vec<RowFault>,
    /// Whether it was broken off; the journal knows how far it is.
    pub interrupted: bool,
}

/// A row that did not become a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowFault {
    /// The row, from 0.
    pub row: usize,
    /// The server's words.
    pub why: String,
}

/// Why an import ended early. The journal knows how far it is.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The server.
    #[error("{0}")]
    Admin(#[from] RestError),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The server's numbers do not make up what it was sent.
    #[error("the server tells what became of {told} rows, and was sent {sent}")]
    Uneven {
        /// Rows created, updated and failed.
        told: u64,
        /// Rows in the request.
        sent: usize,
    },
}

/// Imports what the journal does not know to be done. `going` is asked before each part;
/// `progress` is told how many rows are done with.
pub async fn import(
    client: &Client,
    list: &ImportList,
    import: &Import,
    journal: &mut Journal,
    going: impl Fn() -> bool,
    mut progress: impl FnMut(u64),
) -> Result<Imported, ImportError> {
    let mut sum = Imported::default();
    let mut row = 0;
    while row < list.rows.len() {
        if !going() {
            sum.interrupted = true;
            break;
        }
        let part = part(list, import, row);
        row = part.end;
        let waiting: Vec<usize> = part.clone().filter(|row| !journal.is_done(*row)).collect();
        sum.before += (part.len() - waiting.len()) as u64;
        let sent = Sending {
            client,
            list,
            import,
        };
        sent.part(&waiting, journal, &mut sum).await?;
        progress(part.len() as u64);
    }
    Ok(sum)
}

/// As many rows as fit in a request.
fn part(list: &ImportList, import: &Import, begin: usize) -> std::ops::Range<usize> {
    let room = import.bytes.saturating_sub(ENVELOPE);
    let mut bytes = 0;
    let mut end = begin;
    while end < list.rows.len() && end - begin < import.rows.max(1) {
        bytes += list.length(end) + import.profile.as_ref().map_or(0, |p| 3 + 6 * p.len());
        if bytes > room && end > begin {
            break;
        }
        end += 1;
    }
    begin..end
}

struct Sending<'s> {
    client: &'s Client,
    list: &'s ImportList,
    import: &'s Import,
}

impl Sending<'_> {
    async fn part(
        &self,
        waiting: &[usize],
        journal: &mut Journal,
        sum: &mut Imported,
    ) -> Result<(), ImportError> {
        let there = each(waiting, self.import.at_once, |row| {
            self.client.device_named(self.list.name(*row))
        });
        let there = there.run(|| ()).await?;
        let (mut rows, mut new) = (Vec::new(), Vec::new());
        for (row, there) in waiting.iter().zip(there) {
            match (there.is_some(), self.import.existing) {
                (false, _) => {
                    new.push(self.list.name(*row).to_owned());
                    rows.push(*row);
                }
                // Sent before the import broke off: the device is its work.
                (true, Existing::Refuse | Existing::Skip) if journal.is_doubtful(*row) => {
                    sum.created += 1;
                }
                (true, Existing::Update) => rows.push(*row),
                (true, Existing::Skip) => sum.skipped += 1,
                (true, Existing::Refuse) => sum.failed.push(RowFault {
                    row: *row,
                    why: "the device is on the server already, and would be overwritten".to_owned(),
                }),
            }
        }
        if rows.is_empty() {
            if waiting.iter().any(|row| journal.is_doubtful(*row)) {
                journal.done(Vec::new(), Vec::new())?;
            }
            return Ok(());
        }
        self.send(&rows, new, journal, sum).await
    }

    async fn send(
        &self,
        rows: &[usize],
        new: Vec<String>,
        journal: &mut Journal,
        sum: &mut Imported,
    ) -> Result<(), ImportError> {
        journal.send(rows, new)?;
        let update = self.import.existing == Existing::Update;
        let profile = self.import.profile.as_deref();
        let body = self.list.body(rows, profile, update);
        let answer = self.client.bulk_import(&body).await?;
        let told = answer.created + answer.updated + answer.errors.len() as u64;
        if told != rows.len() as u64 {
            let (told, sent) = (told, rows.len());
            return Err(ImportError::Uneven { told, sent });
        }
        let mut failed = Vec::new();
        for error in &answer.errors {
            // The server's words may be about a row that was not sent, if it is none of ours.
            let (row, why) = row_of(error)
                .and_then(|(at, why)| Some((*rows.get(at)?, why)))
                .unwrap_or((rows[0], error));
            failed.push(RowFault {
                row,
                why: why.chars().filter(|c| !c.is_control()).take(300).collect(),
            });
        }
        // A row can fail after its device was made.
        let there = each(&failed, self.import.at_once, |fault| {
            self.client.device_named(self.list.name(fault.row))
        });
        let there = there.run(|| ()).await?;
        let mut absent = Vec::new();
        for (fault, there) in failed.iter_mut().zip(there) {
            match there {
                Some(_) => fault.why += " (its device is on the server all the same)",
                None => absent.push(self.list.name(fault.row).to_owned()),
            }
        }
        journal.done(failed.iter().map(|fault| fault.row).collect(), absent)?;
        sum.failed.append(&mut failed);
        sum.created += answer.created;
        sum.updated += answer.updated;
        Ok(())
    }
}

/// Room for what is about the file in a request: columns and keys.
const ENVELOPE: usize = 65_536;
