//! `fleetcall schema`: the JSON Schemas of what is read and written.

use std::io::{self, ErrorKind, Write};

use clap::Args;

use super::Failure;
use crate::compare::Comparison;
use crate::metrics::{schema_of, summary_schema, timeline_schema};
use crate::scenario::schema;

/// The arguments of `fleetcall schema`: of what; without, of a scenario.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
#[group(multiple = false)]
pub(super) struct SchemaArgs {
    /// That of a run's summary.json
    #[arg(long)]
    summary: bool,
    /// That of each line of a run's timeline.jsonl
    #[arg(long)]
    timeline: bool,
    /// That of `fleetcall compare --format json`
    #[arg(long)]
    compare: bool,
}

/// Prints the schema.
pub(super) fn run(args: &SchemaArgs) -> Result<(), Failure> {
    let schema = match (args.summary, args.timeline, args.compare) {
        (true, ..) => summary_schema(),
        (_, true, _) => timeline_schema(),
        (.., true) => schema_of::<Comparison>(),
        _ => schema(),
    };
    match writeln!(io::stdout().lock(), "{schema}") {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::bug(format!("standard output: {e}")))
        }
        _ => Ok(()),
    }
}

const EXAMPLES: &str = "\
Examples:
  fleetcall schema > scenario.schema.json
  fleetcall schema --summary > summary.schema.json";
