//! `fleetcall resume` and `fleetcall retry`: a run goes on in its own directory.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use clap::Args;

use super::monitor::MonitorArgs;
use super::past::Sequel;
use super::run::{self, RunArgs};
use super::screen::Show;
use super::{Exit, Failure};
use crate::engine::Resumption;
use crate::ledger::Past;
use crate::model::{Cause, DeviceIx, Outcome};

/// The arguments of `fleetcall resume`.
#[derive(Debug, Args)]
#[command(after_help = RESUME)]
pub(super) struct ResumeArgs {
    /// The run's directory
    run: PathBuf,
    /// Have devices in doubt ask again whose credentials the server makes: a server that provisions
    /// a device once refuses those whose answer was lost, and they stay unknown
    #[arg(long)]
    ask_again: bool,
    #[command(flatten)]
    further: FurtherArgs,
}

/// The arguments of `fleetcall retry`.
#[derive(Debug, Args)]
#[command(after_help = RETRY)]
pub(super) struct RetryArgs {
    /// The run's directory
    run: PathBuf,
    /// Only devices with these causes, as `errors` in summary.json and devices.csv name them
    #[arg(long, value_name = "CAUSE,…", value_delimiter = ',')]
    only: Vec<String>,
    #[command(flatten)]
    further: FurtherArgs,
}

/// How a run that goes on is shown and judged.
#[derive(Debug, Args)]
struct FurtherArgs {
    #[command(flatten)]
    show: Show,
    #[command(flatten)]
    monitor: MonitorArgs,
    /// End an invalid run by its thresholds, too: with exit code 0 or 3 in place of 4
    #[arg(long)]
    allow_invalid: bool,
}

impl FurtherArgs {
    fn put_into(self, args: RunArgs) -> RunArgs {
        RunArgs {
            show: self.show,
            monitor: self.monitor,
            allow_invalid: self.allow_invalid,
            ..args
        }
    }
}

/// Goes on with a run that was interrupted, killed or cut off.
pub(super) fn resume(args: ResumeArgs) -> Result<Exit, Failure> {
    let resumption = Resumption {
        ask_again: args.ask_again,
        retry: None,
    };
    let (sequel, dir) = Sequel::open(&args.run, resumption)?;
    let run = args.further.put_into(sequel.args(dir));
    run::go_on(&run, &sequel)
}

/// Has devices ask anew that were refused or failed.
pub(super) fn retry(args: RetryArgs) -> Result<Exit, Failure> {
    let (mut sequel, dir) = Sequel::open(&args.run, Resumption::default())?;
    let seen = causes(&sequel.past);
    let wanted: HashSet<Cause> = if args.only.is_empty() {
        seen.keys().copied().collect()
    } else {
        let read = |word: &String| {
            let cause = word.parse().ok().filter(|cause| seen.contains_key(cause));
            cause.ok_or_else(|| no_such(word, &seen))
        };
        args.only.iter().map(read).collect::<Result<_, _>>()?
    };
    if wanted.is_empty() {
        println!("nothing to retry: no device was refused or failed");
        return Ok(Exit::Passed);
    }
    sequel.resumption.retry = Some(wanted);
    let run = args.further.put_into(sequel.args(dir));
    run::go_on(&run, &sequel)
}

/// Why devices were refused or failed, and how many.
fn causes(past: &Past) -> BTreeMap<Cause, u32> {
    let mut causes = BTreeMap::new();
    for ix in (0..past.header.devices).map(DeviceIx) {
        let fate = past.trace(ix).and_then(|trace| trace.fate);
        if let Some(fate) = fate
            && matches!(fate.outcome, Outcome::Refused | Outcome::Failed)
            && let Some(cause) = fate.cause
        {
            *causes.entry(cause).or_default() += 1;
        }
    }
    causes
}

fn no_such(word: &str, seen: &BTreeMap<Cause, u32>) -> Failure {
    let seen: Vec<String> = seen
        .iter()
        .map(|(cause, n)| format!("{cause} ({n})"))
        .collect();
    let seen = if seen.is_empty() {
        "no device was refused or failed".to_owned()
    } else {
        format!("refused and failed devices have {}", seen.join(", "))
    };
    Failure::usage(format!(
        "`{word}`: no device of this run was refused or failed for it\nhelp: {seen}"
    ))
}

const RESUME: &str = "\
Examples:
  fleetcall resume reports/line-3-20261129T181046Z
  fleetcall resume results/lot-17 --ui none

Goes on after Ctrl-C, a crash, kill -9 or a power cut, with the scenario, list and seed that the run
was begun with. No device is provisioned twice: who has credentials keeps them and, where there is
telemetry, connects with them. Of whom the server was asked and the answer is not on record, the
credentials that it asked for are shown to the server; where the server makes them, the device stays
`unknown`. The results of the parts before are kept in part-1, part-2, …; summary.json, devices.csv
and credentials.csv tell of all devices, latencies and rates of the last part.";

const RETRY: &str = "\
Examples:
  fleetcall retry results/lot-17
  fleetcall retry results/lot-17 --only provision.not_found,tcp_connect.timeout

Devices that were refused or failed ask anew, in the run's own directory, and nobody else does
anything. Devices that are `unknown` are left alone: the server may have provisioned them.";
