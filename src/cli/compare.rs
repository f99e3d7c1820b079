//! `fleetcall compare`: has the target become worse?

use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::screen;
use super::{Exit, Failure};
use crate::compare::{self, Comparison, Entry, Given, Selection, Terms, Verdict};
use crate::metrics::HostSummary;
use crate::report::{self, Results, Style};

/// The arguments of `fleetcall compare`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct CompareArgs {
    /// Directories of the runs to hold against, or their summary.json
    #[arg(required = true, value_name = "BASELINE")]
    baseline: Vec<PathBuf>,
    /// Directories of the runs in question
    #[arg(long = "with", required = true, num_args = 1.., value_name = "CANDIDATE")]
    candidate: Vec<PathBuf>,
    /// Judge this metric, or all that begin so: `provision.p99`, `provision`; again for more
    #[arg(long = "metric", value_name = "M")]
    metrics: Vec<String>,
    /// Judge each cohort, too
    #[arg(long)]
    cohorts: bool,
    /// Relative changes up to this do not matter
    #[arg(long, value_name = "SHARE", default_value = "5%", value_parser = share)]
    tolerance: f64,
    /// Differences of times up to this do not matter
    #[arg(long, value_name = "TIME", default_value = "1ms", value_parser = humantime::parse_duration)]
    floor: Duration,
    /// Exit with 3 when the data cannot tell, too
    #[arg(long)]
    strict: bool,
    /// Compare runs that are invalid, interrupted or of different scenarios
    #[arg(long)]
    force: bool,
    /// Append what the candidate measured to this file, and tell where its figures changed for good
    #[arg(long, value_name = "FILE", conflicts_with = "force")]
    history: Option<PathBuf>,
    /// The commit that was measured; without, that of the CI job or of the working directory
    #[arg(long, value_name = "COMMIT", requires = "history")]
    commit: Option<String>,
    /// The server's version
    #[arg(long, value_name = "VERSION", requires = "history")]
    server_version: Option<String>,
    /// The form of the report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Write it here instead of to standard output
    #[arg(short, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs; `fleetcall schema --compare` is its form
    Json,
    /// For the summary of a CI job
    Markdown,
    /// A test case for each metric
    Junit,
}

/// Compares, and ends with 3 when there is a regression.
pub(super) fn run(args: &CompareArgs) -> Result<Exit, Failure> {
    let terms = Terms {
        tolerance: args.tolerance,
        floor_us: u64::try_from(args.floor.as_micros()).unwrap_or(u64::MAX),
        selection: Selection::new(&args.metrics).map_err(Failure::usage)?,
        cohorts: args.cohorts,
        aligned: true,
        replicates: 1_000,
    };
    let [baseline, candidate] = [&args.baseline, &args.candidate].map(|paths| given(paths));
    let (baseline, candidate) = (baseline?, candidate?);
    let comparison = compare::compare(&baseline, &candidate, terms, args.force);
    let mut comparison = comparison.map_err(Failure::usage)?;
    if let Some(path) = &args.history {
        let machine = candidate
            .first()
            .and_then(|run| run.results.summary.machine.as_ref());
        let entry = Entry {
            commit: args.commit.clone().or_else(commit),
            server_version: args.server_version.clone(),
            machine: machine.map(HostSummary::words),
            ..Entry::of(&comparison)
        };
        compare::append(path, &entry, &mut comparison).map_err(Failure::usage)?;
    }
    write(args, &comparison)?;
    if comparison.verdict == Verdict::Inconclusive && !args.strict {
        eprintln!("fleetcall: inconclusive: the data cannot tell; --strict makes this fail");
    }
    Ok(match comparison.verdict {
        Verdict::Regression => Exit::Threshold,
        Verdict::Inconclusive if args.strict => Exit::Threshold,
        _ => Exit::Passed,
    })
}

fn given(paths: &[PathBuf]) -> Result<Vec<Given>, Failure> {
    let read = paths.iter().map(|path| {
        Ok(Given {
            path: path.display().to_string(),
            results: Results::read_figures(path).map_err(Failure::usage)?,
        })
    });
    read.collect()
}

fn write(args: &CompareArgs, comparison: &Comparison) -> Result<(), Failure> {
    let style = Style {
        color: args.output.is_none() && screen::colour(),
        width: 100,
    };
    let drawn = match args.format {
        Format::Text => compare::text(comparison, style),
        Format::Json => compare::json(comparison),
        Format::Markdown => compare::markdown(comparison),
        Format::Junit => compare::junit(comparison, args.strict),
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

/// The commit by the variables of CI systems, else by Git.
fn commit() -> Option<String> {
    let told = ["GITHUB_SHA", "CI_COMMIT_SHA", "GIT_COMMIT"].into_iter();
    let told = told
        .filter_map(|name| std::env::var(name).ok())
        .find(|sha| !sha.is_empty());
    told.or_else(|| {
        let output = Command::new("git")
            .args(["rev-parse", "HEAD"])
            .output()
            .ok()?;
        let sha = String::from_utf8(output.stdout).ok()?.trim().to_owned();
        (output.status.success() && !sha.is_empty()).then_some(sha)
    })
}

/// `5%` or `0.05`, from 0 to below 1.
fn share(text: &str) -> Result<f64, String> {
    let (number, unit) = match text.strip_suffix('%') {
        Some(number) => (number, 100.0),
        None => (text, 1.0),
    };
    let share = number.trim().parse::<f64>().map(|n| n / unit);
    match share {
        Ok(share) if (0.0..1.0).contains(&share) => Ok(share),
        _ => Err("a share from 0% to below 100%, such as 5% or 0.05".to_owned()),
    }
}

const EXAMPLES: &str = "\
Examples:
  fleetcall compare results/main --with results/branch
  fleetcall compare results/main-* --with results/branch-*        several runs of each: surer
  fleetcall compare old --with new --metric provision --tolerance 10%
  fleetcall compare old --with new --format markdown >> \"$GITHUB_STEP_SUMMARY\"
  fleetcall compare old --with new --format junit -o compare.xml
  fleetcall compare old --with new --history history.jsonl --server-version 3.9.1

Exit codes:
  0 no regression, or the data cannot tell (said on standard error)   2 runs cannot be compared
  3 a regression; with --strict also when the data cannot tell";
