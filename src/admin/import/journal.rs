//! The journal of an import: JSON lines beside the list, each on the disk before the import goes
//! on. It has names and no credentials.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// What was sent, and what became of it.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    head: Head,
    /// Names that were new to the server when they were sent.
    created: Vec<String>,
    /// Rows whose devices are on the server, from 0. Failed ones are not: another import tries them
    /// again.
    done: HashSet<usize>,
    /// Rows that were sent and whose answer is not known.
    doubtful: HashSet<usize>,
}

/// Whose journal it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    list: String,
    server: String,
    /// When it was begun, ms since 1970 by the server's clock.
    started: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Line {
    Import(Head),
    /// These rows are about to be sent; these names are new.
    Send {
        rows: Vec<usize>,
        new: Vec<String>,
    },
    /// The last `send` was answered: these of its rows failed, and these names are not there.
    Done {
        failed: Vec<usize>,
        absent: Vec<String>,
    },
}

/// Why there is no journal to go on with.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file.
    #[error(
        "{}: {_1}\nhelp: the journal stands beside the list: it needs a directory that can be written to",
        _0.display()
    )]
    File(PathBuf, #[source] io::Error),
    /// It is another import's.
    #[error(
        "{}: is the journal of {what}\nhelp: to import anew, move it away; it is what `fleetcall \
        admin clean` goes by",
        path.display()
    )]
    Other {
        /// The journal.
        path: PathBuf,
        /// Whose it is.
        what: &'static str,
    },
    /// It is damaged.
    #[error("{}:{line}: is no line of a journal\nhelp: restore it from a copy, or move it away", path.display())]
    Damaged {
        /// The journal.
        path: PathBuf,
        /// From 1.
        line: usize,
    },
}

impl Journal {
    /// Where a list's journal is.
    pub fn beside(list: &Path) -> PathBuf {
        let mut name = list.as_os_str().to_owned();
        name.push(".import.jsonl");
        PathBuf::from(name)
    }

    /// Begins the journal of a list's import, or goes on with it.
    pub fn open(list: &Path, digest: &str, server: &str, now: i64) -> Result<Self, JournalError> {
        let path = Self::beside(list);
        let head = Head {
            list: digest.to_owned(),
            server: server.to_owned(),
            started: now,
        };
        if path.exists() {
            let journal = Self::read(&path)?;
            let what = match () {
                () if journal.head.server != head.server => "an import to another server",
                () if journal.head.list != head.list => "an import of the list as it was before",
                () => return Ok(journal),
            };
            return Err(JournalError::Other { path, what });
        }
        let failed = |e| JournalError::File(path.clone(), e);
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        let mut journal = Self {
            file,
            head: head.clone(),
            created: Vec::new(),
            done: HashSet::new(),
            doubtful: HashSet::new(),
            path: path.clone(),
        };
        journal.write(&Line::Import(head)).map_err(failed)?;
        Ok(journal)
    }

    /// Reads a journal. A last line without its end was being written when the import was cut off,
    /// and what it was to tell had not begun.
    pub fn read(path: &Path) -> Result<Self, JournalError> {
        let failed = |e| JournalError::File(path.to_owned(), e);
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .open(path)
            .map_err(failed)?;
        let mut lines = BufReader::new(&file);
        let (mut head, mut created, mut new) = (None, Vec::new(), Vec::new());
        let (mut done, mut doubtful) = (HashSet::new(), HashSet::new());
        let mut whole = 0;
        for n in 1.. {
            let mut text = Vec::new();
            let read = lines.read_until(b'\n', &mut text).map_err(failed)?;
            if !text.ends_with(b"\n") {
                break;
            }
            whole += read as u64;
            let damaged = || JournalError::Damaged {
                path: path.to_owned(),
                line: n,
            };
            match (serde_json::from_slice(&text).map_err(|_| damaged())?, n) {
                (Line::Import(told), 1) => head = Some(told),
                (Line::Send { rows, new: told }, 2..) => {
                    created.append(&mut new);
                    doubtful.extend(rows);
                    new = told;
                }
                (Line::Done { failed, absent }, 2..) => {
                    let absent: HashSet<String> = absent.into_iter().collect();
                    new.retain(|name| !absent.contains(name));
                    created.append(&mut new);
                    let failed: HashSet<usize> = failed.into_iter().collect();
                    done.extend(doubtful.drain().filter(|row| !failed.contains(row)));
                }
                _ => return Err(damaged()),
            }
        }
        created.append(&mut new);
        let Some(head) = head else {
            return Err(JournalError::Damaged {
                path: path.to_owned(),
                line: 1,
            });
        };
        file.set_len(whole).map_err(failed)?;
        file.seek(io::SeekFrom::End(0)).map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            head,
            created,
            done,
            doubtful,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The server that it is of.
    pub fn server(&self) -> &str {
        &self.head.server
    }

    /// When it was begun, ms since 1970 by the server's clock.
    pub fn started(&self) -> i64 {
        self.head.started
    }

    /// Names that the import created, as far as is known: those in doubt, too.
    pub fn created(&self) -> &[String] {
        &self.created
    }

    /// Whether a row's device is on the server.
    pub(super) fn is_done(&self, row: usize) -> bool {
        self.done.contains(&row)
    }

    /// Whether a row was sent, and nobody knows what became of it.
    pub(super) fn is_doubtful(&self, row: usize) -> bool {
        self.doubtful.contains(&row)
    }

    /// These rows are about to be sent.
    pub(super) fn send(&mut self, rows: &[usize], new: Vec<String>) -> Result<(), JournalError> {
        let rows = rows.to_vec();
        self.write(&Line::Send { rows, new })
            .map_err(|e| JournalError::File(self.path.clone(), e))
    }

    /// They were answered: these rows failed, and these names are not on the server.
    pub(super) fn done(
        &mut self,
        failed: Vec<usize>,
        absent: Vec<String>,
    ) -> Result<(), JournalError> {
        self.write(&Line::Done { failed, absent })
            .map_err(|e| JournalError::File(self.path.clone(), e))
    }

    fn write(&mut self, line: &Line) -> io::Result<()> {
        let mut text = serde_json::to_string(line).map_err(io::Error::other)?;
        text.push('\n');
        self.file.write_all(text.as_bytes())?;
        self.file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_was_cut_off_is_in_doubt_and_what_was_done_is_done() {
        let dir = tempfile::tempdir().unwrap();
        let list = dir.path().join("lot.csv");
        let open = |digest: &str| Journal::open(&list, digest, "http://tb", 77);
        let mut journal = open("d").unwrap();
        let names = |names: &[&str]| {
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>()
        };
        journal.send(&[0, 1], names(&["a", "b"])).unwrap();
        journal.done(vec![1], names(&["b"])).unwrap();
        journal.send(&[2], names(&["c"])).unwrap();
        drop(journal);
        let path = Journal::beside(&list);
        let mut torn = fs::read(&path).unwrap();
        torn.extend_from_slice(b"{\"done\":{\"fai");
        fs::write(&path, &torn).unwrap();

        let mut journal = open("d").unwrap();
        assert_eq!(journal.created(), ["a", "c"]);
        assert!(journal.is_done(0) && !journal.is_done(1) && !journal.is_done(2));
        assert!(!journal.is_doubtful(1), "it failed, and may be tried again");
        assert!(journal.is_doubtful(2) && !journal.is_doubtful(0));
        journal.done(Vec::new(), Vec::new()).unwrap();
        let journal = Journal::read(&path).unwrap();
        assert!(journal.is_done(2), "it goes on where it was torn");
        assert_eq!(journal.started(), 77);
        assert!(matches!(open("e"), Err(JournalError::Other { .. })));
        fs::write(&path, "nonsense\n").unwrap();
        assert!(matches!(
            open("d"),
            Err(JournalError::Damaged { line: 1, .. })
        ));
    }
}
