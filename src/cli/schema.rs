//! `fleetcall schema`: the scenario's JSON Schema.

use std::io::{self, ErrorKind, Write};

use clap::Args;

use super::Failure;
use crate::scenario::schema;

/// The arguments of `fleetcall schema`: none.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  fleetcall schema > scenario.schema.json")]
pub(super) struct SchemaArgs {}

/// Prints the schema.
pub(super) fn run(_: &SchemaArgs) -> Result<(), Failure> {
    match writeln!(io::stdout().lock(), "{}", schema()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::bug(format!("standard output: {e}")))
        }
        _ => Ok(()),
    }
}
