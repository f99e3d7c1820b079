//! Rows apart: those in which nothing was found, and the others.

use std::path::{Path, PathBuf};

use super::output::{Output, beside};
use super::pass::stuck;
use super::repair::{FixError, apart};
use crate::inventory::{Misplaced, Rows};
use crate::lint::check::{Checked, check_marking, unreadable};
use crate::lint::file;
use crate::lint::finding::Severity;
use crate::lint::options::Options;

/// What was put apart.
#[derive(Debug)]
pub struct Parted {
    /// The rows without findings.
    pub clean: PathBuf,
    /// How many these are.
    pub clean_rows: u64,
    /// The others, those that cannot be read among them.
    pub rejected: PathBuf,
    /// How many these are.
    pub rejected_rows: u64,
    /// What was found in the list.
    pub checked: Checked,
}

/// Writes the rows of a list without findings of this severity or worse beside `to` as
/// `.clean.csv`, the others as `.rejected.csv`, each row as it stands, under the list's header.
/// `overwrite` replaces files that are there.
pub fn split(
    path: &Path,
    to: &Path,
    from: Severity,
    options: &Options,
    overwrite: bool,
) -> Result<Parted, FixError> {
    let (clean, rejected) = (beside(to, "clean"), beside(to, "rejected"));
    apart(path, &[&clean, &rejected])?;
    let (checked, marked) = check_marking(path, options, from)?;
    let unread = |e| FixError::from(unreadable(path, e));
    let mut rows = Rows::new(file::open(path).map_err(unread)?.text);
    let header = match rows.read().map_err(unread)? {
        None => return Err(FixError::Empty(path.to_owned())),
        // Below it no row can be judged.
        Some(Err(fault)) => return Err(stuck(path, fault)),
        Some(Ok(_)) => rows.raw().to_vec(),
    };
    let open = |to: &Path| {
        Output::of_raw(to, overwrite, &header).map_err(|e| FixError::Unwritable(to.to_owned(), e))
    };
    let (mut good, mut bad) = (open(&clean)?, open(&rejected)?);
    let mut counts = [0, 0];
    let mut number = 0;
    loop {
        number += 1;
        let fault = match rows.read().map_err(unread)? {
            None => break,
            Some(Ok(_)) => None,
            Some(Err(fault)) => Some(fault),
        };
        let is_bad = fault.is_some() || marked.has(number);
        counts[usize::from(is_bad)] += 1;
        let (output, to) = if is_bad {
            (&mut bad, &rejected)
        } else {
            (&mut good, &clean)
        };
        let unwritten = |e| FixError::Unwritable(to.clone(), e);
        output.raw(rows.raw()).map_err(unwritten)?;
        if fault.is_some_and(Misplaced::ends_reading) {
            // What cannot be read is kept as it is.
            output.rest(rows.into_rest()).map_err(unwritten)?;
            break;
        }
    }
    for (output, to) in [(good, &clean), (bad, &rejected)] {
        output
            .end()
            .map_err(|e| FixError::Unwritable(to.clone(), e))?;
    }
    Ok(Parted {
        clean,
        clean_rows: counts[0],
        rejected,
        rejected_rows: counts[1],
        checked,
    })
}
