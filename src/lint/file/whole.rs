//! Rules about files as wholes: their size, their number of devices, one given twice.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ring::digest::{Context, SHA256};

use crate::inventory::Row;
use crate::lint::check::{LintError, List, unreadable};
use crate::lint::finding::{Findings, Place};
use crate::lint::rule::Rule;

/// What a list takes as a string of JSON, bytes.
#[derive(Default)]
pub(super) struct Size(u64);

impl Size {
    /// Adds a row, and a line feed after it.
    pub(super) fn row(&mut self, row: &Row<'_>) {
        self.0 += json_length(row.raw()) + json_length(b"\n");
    }

    pub(super) fn judge(&self, out: &mut Findings<'_>) {
        let limit = out.options().body_limit;
        if self.0 > limit {
            out.add(Rule::ListLarge, Place::START, || {
                format!("{} bytes in a request, where {limit} are the limit", self.0)
            });
        }
    }
}

/// What a text takes within a string of JSON, bytes.
pub(in crate::lint) fn json_length(text: &[u8]) -> u64 {
    let length = |byte: &u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 2,
        0..0x20 => 6,
        _ => 1,
    };
    text.iter().map(length).sum()
}

/// For each list, the position of an earlier one with the same content.
pub(in crate::lint) fn twice(paths: &[PathBuf]) -> Result<Vec<Option<usize>>, LintError> {
    let mut sizes = Vec::new();
    for path in paths {
        let metadata = fs::metadata(path).map_err(|e| unreadable(path, e))?;
        // A pipe that is read here would be empty afterwards.
        sizes.push(metadata.is_file().then_some(metadata.len()));
    }
    let mut digests: Vec<Option<Vec<u8>>> = vec![None; paths.len()];
    let mut found = Vec::new();
    for n in 0..paths.len() {
        let mut same = None;
        for earlier in (0..n).filter(|earlier| sizes[n].is_some() && sizes[*earlier] == sizes[n]) {
            for which in [earlier, n] {
                if digests[which].is_none() {
                    let digest = digest(&paths[which]);
                    digests[which] = Some(digest.map_err(|e| unreadable(&paths[which], e))?);
                }
            }
            if digests[earlier] == digests[n] {
                same = Some(earlier);
                break;
            }
        }
        found.push(same);
    }
    Ok(found)
}

/// Tells that a list is one that was given before.
pub(in crate::lint) fn same(earlier: &Path, out: &mut Findings<'_>) {
    out.add(Rule::ListTwice, Place::START, || {
        format!("the same as {}; not looked at again", earlier.display())
    });
}

/// Rules on how many devices there are.
pub(in crate::lint) fn count(lists: &[List], out: &mut Findings<'_>) {
    let rows: u64 = lists.iter().map(|list| list.rows).sum();
    let options = out.options();
    if let Some(expected) = options.expected.filter(|expected| *expected != rows) {
        out.add_to(0, Rule::LotCount, Place::START, || {
            format!("{rows} devices, where {expected} are expected")
        });
    }
    if let Some(limit) = options.max_devices.filter(|limit| *limit < rows) {
        out.add_to(0, Rule::ListTooMany, Place::START, || {
            format!("{rows} devices, where the tenant may have {limit}")
        });
    }
}

fn digest(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let mut context = Context::new(&SHA256);
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(context.finish().as_ref().to_vec()),
            read => context.update(&buffer[..read]),
        }
    }
}
