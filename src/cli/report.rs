//! `fleetcall report`: draws reports again, from one or several finished runs.

use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Failure;
use super::screen;
use crate::report::{self, Results, Style};

/// The arguments of `fleetcall report`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct ReportArgs {
    /// Directories of finished runs, or their summary.json; several are merged: counts and
    /// histograms are added, percentiles are read from the sums
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// The form of the report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Which table: with `--format csv`
    #[arg(long, value_enum, default_value_t = Table::Phases)]
    table: Table,
    /// Write it here instead of to standard output
    #[arg(short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Merge runs even though their scenarios or schedules differ
    #[arg(long)]
    force: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// What a run says at its end
    Text,
    /// summary.json
    Json,
    /// All of it in one page, with charts; needs nothing beside it
    Html,
    /// Thresholds, expectations and validity as test cases
    Junit,
    /// A page for the summary of a CI job
    Markdown,
    /// The phases, or the time line, as a table
    Csv,
    /// HdrHistogram's interval log, tagged by phase and time
    Hlog,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Table {
    /// Counts and latencies of each phase, of the run and of each cohort
    Phases,
    /// What happened in each interval
    Timeline,
}

/// Draws the report. The result of the runs does not decide over the exit code.
pub(super) fn run(args: &ReportArgs) -> Result<(), Failure> {
    let results = Results::read_all(&args.runs, args.force).map_err(Failure::usage)?;
    let style = Style {
        color: args.output.is_none() && screen::colour(),
        width: 80,
    };
    let drawn = match (args.format, args.table) {
        (Format::Text, _) => report::text(&results.summary, style),
        (Format::Json, _) => report::summary_json(&results.summary),
        (Format::Html, _) => report::html(&results).map_err(Failure::usage)?,
        (Format::Junit, _) => report::junit(&results),
        (Format::Markdown, _) => report::markdown(&results),
        (Format::Csv, Table::Phases) => report::phases_csv(&results.summary),
        (Format::Csv, Table::Timeline) => {
            let timeline = results.timeline.as_ref().ok_or_else(|| {
                Failure::usage(
                    "there is no time line: a run of an older version, or a summary.json on its \
                     own\nhelp: give the directories of runs that have a timeline.jsonl",
                )
            })?;
            report::timeline_csv(timeline).map_err(Failure::usage)?
        }
        (Format::Hlog, _) => report::hlog(&results).map_err(Failure::usage)?,
    };
    match &args.output {
        Some(path) => report::write_text(path, &drawn).map_err(Failure::usage),
        None => match io::stdout().lock().write_all(drawn.as_bytes()) {
            Err(e) if e.kind() != ErrorKind::BrokenPipe => {
                Err(Failure::bug(format!("standard output: {e}")))
            }
            _ => Ok(()),
        },
    }
}

const EXAMPLES: &str = "\
Examples:
  fleetcall report results/lot-17                                 what the run said at its end
  fleetcall report results/lot-17 --format markdown >> \"$GITHUB_STEP_SUMMARY\"
  fleetcall report results/lot-17 --format html -o lot-17.html    a page with charts
  fleetcall report results/shift-* --format junit -o shift.xml    several runs as one
  fleetcall report results/lot-17 --format csv --table timeline   a row for each interval
  fleetcall report results/lot-17 --format hlog -o latency.hlog   for HdrHistogram's tools

Exit codes:
  0 drawn   2 a run cannot be read, or runs are not of the same kind";
