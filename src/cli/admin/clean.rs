//! `fleetcall admin clean`.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;

use clap::Args;

use super::super::exit::{Exit, Failure};
use super::server::ServerArgs;
use super::{bar, failed};
use crate::admin::clean::{created_since, delete};
use crate::admin::import::Journal;
use crate::admin::verify::Run;
use crate::model::Outcome;
use crate::rest::Client;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  fleetcall admin clean lot-17.csv --dry-run       how many its import created
  fleetcall admin clean lot-17.csv                 deletes them, after asking
  fleetcall admin clean reports/lot-17 --yes       what a run created

Devices that were there before the import or the run stay.")]
pub(super) struct CleanArgs {
    /// A list that was imported, or the directory of a run
    #[arg(value_name = "LIST|RUN")]
    of: PathBuf,
    #[command(flatten)]
    server: ServerArgs,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Only tell how many
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(args: CleanArgs) -> Result<Exit, Failure> {
    let client = args.server.client()?;
    let (names, since) = created(&args, &client).await?;
    let jobs = args.server.jobs();
    let looking = bar(names.len(), "look up");
    let devices = created_since(&client, &names, since, jobs, || looking.inc(1)).await;
    looking.finish_and_clear();
    let devices = devices.map_err(|error| failed(&error))?;
    println!(
        "{}: {} of {} devices are on the server and were created by it",
        args.of.display(),
        devices.len(),
        names.len()
    );
    if devices.is_empty() || args.dry_run {
        return Ok(Exit::Passed);
    }
    if !args.yes && !agreed(devices.len(), client.url())? {
        println!("nothing was deleted");
        return Ok(Exit::Passed);
    }
    let deleting = bar(devices.len(), "delete");
    let deleted = delete(&client, &devices, jobs, || deleting.inc(1)).await;
    deleting.finish_and_clear();
    let deleted = deleted.map_err(|error| {
        let mut failure = failed(&error);
        failure.message += "\nhelp: the same command goes on with the rest";
        failure
    })?;
    println!("{deleted} deleted");
    Ok(Exit::Passed)
}

/// The names that were created, and since when, by the server's clock.
async fn created(args: &CleanArgs, client: &Client) -> Result<(Vec<String>, i64), Failure> {
    if args.of.is_dir() {
        let run = Run::read(&args.of).map_err(Failure::usage)?;
        // Under a strategy that makes devices, one that was there is refused.
        let devices = run.devices.into_iter();
        let names: Vec<String> = devices
            .filter(|device| matches!(device.outcome, Outcome::Provisioned | Outcome::Unknown))
            .map(|device| device.name)
            .collect();
        if let Some(name) = names.first() {
            // The first question tells the server's clock.
            client
                .device_named(name)
                .await
                .map_err(|error| failed(&error))?;
        }
        return Ok((names, client.by_its_clock(run.started) - SLACK));
    }
    let journal = Journal::beside(&args.of);
    if !journal.exists() {
        return Err(Failure::usage(format!(
            "{}: was not imported from here: there is no {}\n\
            help: give the list as it was given to `fleetcall admin import`, or a run's directory",
            args.of.display(),
            journal.display()
        )));
    }
    let journal = Journal::read(&journal).map_err(Failure::usage)?;
    if journal.server() != client.url() {
        return Err(Failure::usage(format!(
            "{}: is of an import to {}\nhelp: give that --url",
            journal.path().display(),
            journal.server()
        )));
    }
    Ok((journal.created().to_vec(), journal.started() - SLACK))
}

fn agreed(count: usize, url: &str) -> Result<bool, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::usage(
            "nobody to ask whether to delete them\nhelp: add --yes, or --dry-run to see how many",
        ));
    }
    eprint!("Delete {count} devices from {url}? [y/N] ");
    let _ = io::stderr().flush();
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(Failure::bug)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// A second is as much as a server's date tells, ms.
const SLACK: i64 = 1000;
