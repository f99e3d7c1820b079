//! `fleetcall admin`: prepares a server for a list and reads back what became of it.

mod clean;
mod import;
mod server;
mod setup;
mod verify;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use clap::{Args, Subcommand};

use super::exit::{Exit, Failure};
use super::screen::bar;
use crate::rest::RestError;

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct AdminArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Find or make the device profile, and write its provision key and secret
    Setup(setup::SetupArgs),
    /// Import lists, in order and in parts; goes on where it was broken off
    Import(import::ImportArgs),
    /// Read back each device of a list or run, and tell what is true of it
    Verify(verify::VerifyArgs),
    /// Delete what an import or a run created, and nothing else
    Clean(clean::CleanArgs),
}

/// Carries a command out.
pub(super) fn run(args: AdminArgs) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::bug)?;
    runtime.block_on(async {
        match args.command {
            Command::Setup(args) => setup::run(args).await,
            Command::Import(args) => import::run(args).await,
            Command::Verify(args) => verify::run(args).await,
            Command::Clean(args) => clean::run(args).await,
        }
    })
}

/// What a server's error means for the exit code.
fn failed(error: &RestError) -> Failure {
    let exit = match error {
        RestError::Unreachable { .. } | RestError::Garbled { .. } => Exit::Unreachable,
        RestError::Refused { status, .. } if status.is_server_error() => Exit::Bug,
        _ => Exit::Usage,
    };
    Failure {
        exit,
        message: error.to_string(),
    }
}

/// A new file for its owner alone; with `force`, in the place of what is there.
fn private(path: &Path, force: bool) -> io::Result<File> {
    if force {
        // It may have another mode.
        let _ = fs::remove_file(path);
    }
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

fn unwritten(path: &Path, error: &io::Error) -> Failure {
    Failure::usage(format!(
        "{}: cannot be written: {error}\nhelp: give another file, or --force if it may be replaced",
        path.display()
    ))
}

const EXAMPLES: &str = "\
Examples:
  export FLEETCALL_TB_URL=https://tb.example FLEETCALL_TB_USER=qa@example.org
  export FLEETCALL_TB_PASSWORD                          read -rs FLEETCALL_TB_PASSWORD sets it unseen
  fleetcall admin setup --profile meter --strategy check --out meter.toml
  fleetcall admin import lot-17.csv --profile meter
  fleetcall run line.toml --devices lot-17.csv --out lot-17
  fleetcall admin verify lot-17 --profile meter          what became of each device
  fleetcall admin clean lot-17.csv                       delete what the import created";
