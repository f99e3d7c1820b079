//! `fleetcall admin import`.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::super::check_file;
use super::super::exit::{Exit, Failure};
use super::server::ServerArgs;
use super::{bar, failed, private, unwritten};
use crate::admin::import::{
    Existing, Import, ImportError, ImportList, Imported, Journal, RowFault, import,
};
use crate::inventory::shown;
use crate::lint::{self, Severity};
use crate::rest::Client;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  fleetcall check lot-17.csv --fix lot-17.clean.csv
  fleetcall admin import lot-17.clean.csv --profile meter
  fleetcall admin import lot-17.clean.csv              goes on if it was broken off

Each row is sent once: LIST.import.jsonl knows what was. Rows that fail are in LIST.failed.csv.")]
pub(super) struct ImportArgs {
    /// Device lists: CSV with a header, separated by commas
    #[arg(required = true, value_name = "LIST")]
    lists: Vec<PathBuf>,
    #[command(flatten)]
    server: ServerArgs,
    /// The device profile of lists without a column `type`
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// What to do about devices that are on the server already
    #[arg(long, default_value = "refuse")]
    existing: There,
    /// The most rows in a request
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    chunk_rows: u32,
    /// Check the lists as `fleetcall check --config` does
    #[arg(long, value_name = "FILE.toml")]
    config: Option<PathBuf>,
    /// Import without a check
    #[arg(long, conflicts_with = "config")]
    unchecked: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum There {
    /// Their rows fail and are not sent
    Refuse,
    /// Their rows are left out
    Skip,
    /// They are overwritten, credentials too
    Update,
}

pub(super) async fn run(args: ImportArgs) -> Result<Exit, Failure> {
    if !args.unchecked {
        check(&args.lists, args.config.as_deref())?;
    }
    let mut lists = Vec::new();
    for path in &args.lists {
        lists.push(ImportList::read(path).map_err(Failure::usage)?);
    }
    let client = args.server.client()?;
    let asked = interrupts().map_err(Failure::bug)?;
    let mut exit = Exit::Passed;
    for list in &lists {
        let mut at_once = asked.clone();
        let done = tokio::select! {
            done = one(&args, &client, list, &asked) => done?,
            _ = at_once.wait_for(|times| *times > 1) => return Ok(Exit::Interrupted),
        };
        told(list, &done)?;
        if done.interrupted {
            return Ok(Exit::Interrupted);
        }
        if !done.failed.is_empty() {
            exit = Exit::Threshold;
        }
    }
    Ok(exit)
}

async fn one(
    args: &ImportArgs,
    client: &Client,
    list: &ImportList,
    asked: &watch::Receiver<u32>,
) -> Result<Imported, Failure> {
    profiles(args, client, list).await?;
    if !list.rows.is_empty() {
        // An answer tells the server's clock.
        let first = client.device_named(list.name(0)).await;
        first.map_err(|error| failed(&error))?;
    }
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis());
    let now = client.by_its_clock(i64::try_from(now).unwrap_or(0));
    let mut journal =
        Journal::open(&list.path, &list.digest, client.url(), now).map_err(Failure::usage)?;
    let how = Import {
        profile: args.profile.clone(),
        existing: match args.existing {
            There::Refuse => Existing::Refuse,
            There::Skip => Existing::Skip,
            There::Update => Existing::Update,
        },
        rows: args.chunk_rows as usize,
        bytes: REQUEST,
        at_once: args.server.jobs(),
    };
    let bar = bar(list.rows.len(), "import");
    let going = || *asked.borrow() == 0;
    let done = import(client, list, &how, &mut journal, going, |rows| {
        bar.inc(rows);
    })
    .await;
    bar.finish_and_clear();
    done.map_err(|error| {
        let journal = journal.path().display().to_string();
        let mut failure = match &error {
            ImportError::Admin(error) => failed(error),
            ImportError::Journal(_) | ImportError::Uneven { .. } => Failure::bug(&error),
        };
        if matches!(&error, ImportError::Admin(error) if error.is_too_large()) {
            failure.message += "\nhelp: this server takes smaller requests: --chunk-rows 200";
        }
        let help = "knows how far it is: the same command goes on from there";
        failure.message = format!("{}\nhelp: {journal} {help}", failure.message);
        failure
    })
}

/// Refuses lists that a check finds damage in.
fn check(lists: &[PathBuf], config: Option<&Path>) -> Result<(), Failure> {
    let options = check_file::options(config)?;
    let checked = lint::check(lists, &options).map_err(Failure::usage)?;
    if !checked.fails(&options) {
        return Ok(());
    }
    let found = Severity::ALL.map(|severity| {
        let count = checked.of(severity, &options);
        (count > 0).then(|| format!("{count} {}", severity.as_str()))
    });
    let found: Vec<String> = found.into_iter().flatten().collect();
    let names: Vec<String> = lists
        .iter()
        .map(|list| list.display().to_string())
        .collect();
    Err(Failure::usage(format!(
        "not imported: the check found {}\n\
        help: `fleetcall check {}` tells what and where, and --fix OUT.csv repairs what it can; \
        --config FILE.toml switches rules off, --unchecked all of them",
        found.join(", "),
        names.join(" ")
    )))
}

/// Counts Ctrl-C and SIGTERM: after the first the part under way is finished, the second ends at
/// once.
fn interrupts() -> std::io::Result<watch::Receiver<u32>> {
    let (times, asked) = watch::channel(0);
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            times.send_modify(|times| *times += 1);
            if *times.borrow() == 1 {
                eprintln!("stopping after the part that is under way; once more to stop at once");
            }
        }
    });
    Ok(asked)
}

/// Refuses profiles that the server does not have: for a type that it does not know, it would make
/// one without a word that provisions nobody (section 8.5).
async fn profiles(args: &ImportArgs, client: &Client, list: &ImportList) -> Result<(), Failure> {
    let mut known = HashSet::new();
    for row in 0..list.rows.len() {
        let (place, name) = match (list.profile(row), &args.profile) {
            // The default one, which each tenant has.
            (Some(""), _) | (None, None) => continue,
            (Some(name), _) => (Some(list.rows[row].line), name),
            (None, Some(name)) => (None, name.as_str()),
        };
        if !known.insert(name) {
            continue;
        }
        let found = client.profile_named(name).await;
        if found.map_err(|error| failed(&error))?.is_none() {
            let place = place.map_or_else(String::new, |line| {
                format!("{}:{line}: ", list.path.display())
            });
            return Err(Failure::usage(format!(
                "{place}the server has no device profile {}\n\
                help: make it with `fleetcall admin setup`, or give another",
                shown(name)
            )));
        }
    }
    Ok(())
}

/// Tells what became of a list, and writes the rows that failed.
fn told(list: &ImportList, done: &Imported) -> Result<(), Failure> {
    let path = list.path.display();
    let mut parts = vec![format!("{} created", done.created)];
    for (count, what) in [
        (done.updated, "overwritten"),
        (done.skipped, "on the server already"),
        (done.before, "done before"),
        (done.failed.len() as u64, "failed"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    parts.extend(
        done.interrupted
            .then(|| "stopped; the same command goes on".to_owned()),
    );
    let rows = list.rows.len();
    let noun = if rows == 1 { "row" } else { "rows" };
    println!("{path}: {rows} {noun}: {}", parts.join(", "));
    let mut failed: Vec<&RowFault> = done.failed.iter().collect();
    failed.sort_by_key(|fault| fault.row);
    for fault in failed.iter().take(SHOWN) {
        eprintln!("{path}:{}: {}", list.rows[fault.row].line, fault.why);
    }
    if failed.len() > SHOWN {
        eprintln!("and {} more", failed.len() - SHOWN);
    }
    let beside = beside(&list.path);
    if failed.is_empty() {
        return Ok(());
    }
    write(&beside, list, &failed).map_err(|error| unwritten(&beside, &error))?;
    eprintln!("{}: the rows that failed", beside.display());
    Ok(())
}

fn beside(list: &Path) -> PathBuf {
    list.with_extension("failed.csv")
}

fn write(path: &Path, list: &ImportList, failed: &[&RowFault]) -> std::io::Result<()> {
    let mut rows = csv::Writer::from_writer(private(path, true)?);
    rows.write_record(&list.header)?;
    for fault in failed {
        rows.write_record(&list.rows[fault.row].cells)?;
    }
    rows.flush()
}

/// ThingsBoard's limit of a request, bytes (section 8.5).
const REQUEST: usize = 16_777_216;

/// More tell nothing new.
const SHOWN: usize = 10;
