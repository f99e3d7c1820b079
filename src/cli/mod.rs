//! The face: command line, wiring and exit codes. The only place that knows all the others.

mod admin;
mod certs;
mod check;
mod check_file;
mod check_fix;
#[cfg(feature = "cluster")]
mod cluster;
#[cfg(not(feature = "cluster"))]
#[path = "cluster_off.rs"]
mod cluster;
mod compare;
mod crew;
mod equip;
mod exit;
mod fresh;
mod generate;
mod handover;
mod house;
mod init;
mod known;
mod lodger;
mod monitor;
mod past;
mod portion;
mod report;
mod rest;
mod resume;
mod run;
mod run_files;
mod schema;
mod screen;
mod selftest;
mod shard;
mod signals;
mod target;
mod target_file;
mod target_list;
mod tracks;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

pub use exit::{Exit, Failure};

/// Bulk provisioning and fleet simulation against ThingsBoard-compatible servers
#[derive(Debug, Parser)]
#[command(name = "fleetcall", version, max_term_width = 100, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a scenario: provision a list of devices, send telemetry, report
    Run(run::RunArgs),
    /// Start devices of runs that `fleetcall run --workers` leads, over NATS
    #[cfg(feature = "cluster")]
    Worker(Box<cluster::WorkerArgs>),
    /// Go on with a run that was interrupted or killed: no device is provisioned twice
    Resume(resume::ResumeArgs),
    /// Have devices ask anew that were refused or failed in a run
    Retry(resume::RetryArgs),
    /// Draw reports of finished runs again, of several as one
    Report(report::ReportArgs),
    /// Hold runs against a baseline: has the target become worse?
    Compare(compare::CompareArgs),
    /// Serve as a ThingsBoard-compatible target until interrupted
    Target(target::TargetArgs),
    /// Find what is wrong with device lists before anything is sent
    Check(check::CheckArgs),
    /// Prepare a server for a list, import it, and read back what became of it
    Admin(Box<admin::AdminArgs>),
    /// Write a device list, or keys and certificates for one
    Generate(generate::GenerateArgs),
    /// Prove on this machine that what is measured is what happened
    Selftest(selftest::SelftestArgs),
    /// Write a commented scenario to start from
    Init(init::InitArgs),
    /// Print the JSON Schema of scenarios, or of what is written
    Schema(schema::SchemaArgs),
    /// Start a part of a run's devices, as the run says over a pipe
    #[command(hide = true)]
    Portion,
    /// Print completions for a shell
    #[command(
        after_help = "Example:\n  fleetcall completions bash > /etc/bash_completion.d/fleetcall"
    )]
    Completions {
        /// The shell to complete for
        shell: Shell,
    },
}

/// Parses the arguments, carries the command out and tells its exit code.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come as errors, too; a closed pipe is not worth a word.
            let _ = error.print();
            return if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Passed
            }
            .into();
        }
    };
    let result = match cli.command {
        Command::Run(args) => run::run(&args),
        #[cfg(feature = "cluster")]
        Command::Worker(args) => cluster::run(&args),
        Command::Resume(args) => resume::resume(args),
        Command::Retry(args) => resume::retry(args),
        Command::Report(args) => report::run(&args).map(|()| Exit::Passed),
        Command::Compare(args) => compare::run(&args),
        Command::Target(args) => target::run(args).map(|()| Exit::Passed),
        Command::Check(args) => check::run(&args),
        Command::Admin(args) => admin::run(*args),
        Command::Generate(args) => generate::run(args).map(|()| Exit::Passed),
        Command::Selftest(args) => selftest::run(&args),
        Command::Init(args) => init::run(&args).map(|()| Exit::Passed),
        Command::Schema(args) => schema::run(&args).map(|()| Exit::Passed),
        Command::Portion => portion::run().map(|()| Exit::Passed),
        Command::Completions { shell } => {
            clap_complete::generate(
                shell,
                &mut Cli::command(),
                "fleetcall",
                &mut std::io::stdout(),
            );
            Ok(Exit::Passed)
        }
    };
    match result {
        Ok(exit) => exit.into(),
        Err(failure) => {
            screen::tell(&failure.message);
            failure.exit.into()
        }
    }
}

const EXAMPLES: &str = "\
Examples:
  fleetcall run scenarios/quickstart.toml                 1,000 devices against the embedded target
  fleetcall run line.toml --devices lot-17.csv --out out  your scenario with another list
  fleetcall resume results/lot-17                         go on after a crash or Ctrl-C
  fleetcall report results/lot-17 --format markdown       any report of a finished run again
  fleetcall compare results/main --with results/branch    is it slower, does it fail more?
  fleetcall target --mqtt 127.0.0.1:1883                  a server to try devices against
  fleetcall check lot-17.csv                              what is wrong with a device list
  fleetcall admin import lot-17.csv --profile meter       put it onto a ThingsBoard server
  fleetcall generate --count 1000 --oui AA:BB:CC > macs.csv
  fleetcall generate certs --devices macs.csv --out certs keys and certificates for a list

Exit codes:
  0 passed   1 bug or unforeseen   2 usage, scenario or list invalid   3 threshold crossed, regression
  4 run invalid: the generator was the limit   5 target unreachable   130 interrupted";
