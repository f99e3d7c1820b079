//! `fleetcall check --fix` and `--split`: lists written anew, and what was done told.
//!
//! As text it is told where the findings are; beside any other format, on standard error.

use std::io::{self, Write};
use std::path::Path;

use super::check::{CheckArgs, exit, findings, look, write};
use super::generate::not_written;
use super::{Exit, Failure};
use crate::lint::format::{self, Look};
use crate::lint::{self, FixError, Options};

/// Repairs a list into `to`; passes if what is left does.
pub(super) fn fix(
    args: &CheckArgs,
    list: &Path,
    to: &Path,
    options: &Options,
) -> Result<Exit, Failure> {
    let fixed = lint::fix(list, to, options, args.force()).map_err(failure)?;
    tell(args, |look, out| format::fixed(list, &fixed, look, out));
    write(args, |out| {
        if !args.is_text() {
            return findings(args, &fixed.checked, options, out);
        }
        let look = look(args);
        format::fixed(list, &fixed, look, out)?;
        writeln!(out)?;
        format::left(&fixed.checked, options, look, out)
    })?;
    Ok(exit(&fixed.checked, options))
}

/// Puts a list's rows apart; passes if the list does.
pub(super) fn split(
    args: &CheckArgs,
    list: &Path,
    to: &Path,
    options: &Options,
) -> Result<Exit, Failure> {
    let from = options.fail_on.ok_or_else(|| {
        Failure::usage(
            "--split puts rows apart by --fail-on, which is never\n\
             help: give the mildest severity that rejects a row",
        )
    })?;
    let parted = lint::split(list, to, from, options, args.force()).map_err(failure)?;
    tell(args, |look, out| format::parted(list, &parted, look, out));
    write(args, |out| {
        if !args.is_text() {
            return findings(args, &parted.checked, options, out);
        }
        let look = look(args);
        format::parted(list, &parted, look, out)?;
        writeln!(out)?;
        findings(args, &parted.checked, options, out)?;
        format::ways_on(&parted.checked, look, out)
    })?;
    Ok(exit(&parted.checked, options))
}

/// What was done, on standard error, where the findings are not for people.
fn tell(args: &CheckArgs, words: impl FnOnce(Look, &mut dyn Write) -> io::Result<()>) {
    if args.is_text() {
        return;
    }
    let plain = Look {
        color: false,
        ..look(args)
    };
    // A closed standard error is no reason to fail.
    let _ = words(plain, &mut io::stderr().lock());
}

fn failure(error: FixError) -> Failure {
    match error {
        FixError::Unwritable(path, error) => {
            not_written(&path, &error, "add --force to overwrite it")
        }
        other => Failure::usage(other),
    }
}
