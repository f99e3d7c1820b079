//! `fleetcall admin verify`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::super::exit::{Exit, Failure};
use super::server::ServerArgs;
use super::{bar, failed, private, unwritten};
use crate::admin::import::ImportList;
use crate::admin::verify::{Expected, Known, Lost, Run, Standing, Verified, Verify, verify};
use crate::inventory::shown;
use crate::rest::Client;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  fleetcall admin verify reports/lot-17 --profile meter   each device of a run, as it is now
  fleetcall admin verify lot-17.csv --profile meter       is each one provisioned, and no other?
  fleetcall admin verify lot-17.csv --profile meter --expect imported
  fleetcall admin verify reports/lot-17 --profile meter --recover lost.csv

Exit code 3 if a device is not as it should be, or one is there that is on no list.")]
pub(super) struct VerifyArgs {
    /// A device list, or the directory of a run
    #[arg(value_name = "LIST|RUN")]
    of: PathBuf,
    #[command(flatten)]
    server: ServerArgs,
    /// The device profile that they must have; a list's column `type` goes before
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// What devices of a list should be
    #[arg(long, default_value = "provisioned")]
    expect: Should,
    /// How to tell it
    #[arg(long, default_value = "text")]
    format: Format,
    /// Write it to this file
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write the credentials of devices whose answer was lost to this file, mode 0600
    #[arg(long, value_name = "FILE")]
    recover: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Should {
    /// On the server, and provisioned
    Provisioned,
    /// On the server, and not yet provisioned
    Imported,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// Counts and examples
    Text,
    /// All of it
    Json,
    /// A row for each device
    Csv,
}

pub(super) async fn run(args: VerifyArgs) -> Result<Exit, Failure> {
    let client = args.server.client()?;
    let what = what(&args, &client).await?;
    let bar = bar(what.devices.len(), "verify");
    let verified = verify(&client, &what, || bar.inc(1)).await;
    bar.finish_and_clear();
    let verified = verified.map_err(|error| failed(&error))?;
    if let Some(path) = &args.recover {
        recover(path, &verified.lost).map_err(|error| unwritten(path, &error))?;
        eprintln!(
            "{}: credentials of {} devices",
            path.display(),
            verified.lost.len()
        );
    }
    let mut out = Vec::new();
    let written = match args.format {
        Format::Text => text(&args, &verified, &mut out),
        Format::Json => as_json(&verified, &mut out),
        Format::Csv => as_csv(&verified, &mut out),
    };
    written.map_err(Failure::bug)?;
    match &args.output {
        Some(path) => std::fs::write(path, &out).map_err(|error| unwritten(path, &error))?,
        // Whoever reads it may have seen enough.
        None => drop(io::stdout().write_all(&out)),
    }
    Ok(if verified.is_right() {
        Exit::Passed
    } else {
        Exit::Threshold
    })
}

/// What to read back.
async fn what(args: &VerifyArgs, client: &Client) -> Result<Verify, Failure> {
    let mut profiles = Profiles::default();
    let mut devices = Vec::new();
    let mut since = None;
    if args.of.is_dir() {
        let mut run = Run::read(&args.of).map_err(Failure::usage)?;
        let profile = profiles.position(args, client, None).await?;
        // A second is as much as its date tells.
        since = Some(client.by_its_clock(run.started) - 1000);
        for device in std::mem::take(&mut run.devices) {
            devices.push(Known {
                given: run.credentials.remove(&device.name),
                expected: Expected::Outcome(device.outcome),
                name: device.name,
                profile,
            });
        }
    } else {
        let list = ImportList::read(&args.of).map_err(Failure::usage)?;
        let expected = match args.expect {
            Should::Provisioned => Expected::Provisioned,
            Should::Imported => Expected::Imported,
        };
        for row in 0..list.rows.len() {
            let named = list.profile(row).filter(|name| !name.is_empty());
            devices.push(Known {
                name: list.name(row).to_owned(),
                expected,
                given: None,
                profile: profiles.position(args, client, named).await?,
            });
        }
    }
    Ok(Verify {
        devices,
        profiles: profiles.ids,
        since,
        at_once: args.server.jobs(),
    })
}

/// Profiles that were looked up.
#[derive(Default)]
struct Profiles {
    names: Vec<String>,
    ids: Vec<String>,
}

impl Profiles {
    /// The position of a device's profile: the one that its row names, else `--profile`'s.
    async fn position(
        &mut self,
        args: &VerifyArgs,
        client: &Client,
        named: Option<&str>,
    ) -> Result<usize, Failure> {
        let Some(name) = named.or(args.profile.as_deref()) else {
            return Err(Failure::usage(format!(
                "{}: does not say which profile the devices must have\nhelp: give it with --profile",
                args.of.display()
            )));
        };
        if let Some(known) = self.names.iter().position(|known| known == name) {
            return Ok(known);
        }
        let found = client.profile_named(name).await;
        let Some(profile) = found.map_err(|error| failed(&error))? else {
            return Err(Failure::usage(format!(
                "the server has no device profile {}\n\
                help: give the one that the devices were to have",
                shown(name)
            )));
        };
        self.names.push(name.to_owned());
        self.ids.push(profile.id);
        Ok(self.names.len() - 1)
    }
}

fn text(args: &VerifyArgs, verified: &Verified, out: &mut dyn Write) -> io::Result<()> {
    let all = verified.devices.len();
    writeln!(out, "{}: {all} devices", args.of.display())?;
    for standing in Standing::ALL {
        let count = verified.count(standing);
        if count == 0 {
            continue;
        }
        writeln!(out, "{count:>9}  {}", standing.words())?;
        if !matches!(standing, Standing::Provisioned | Standing::Imported) {
            let of = verified
                .devices
                .iter()
                .filter(|(_, found, _)| *found == standing);
            examples(of.map(|(name, ..)| name.as_str()), count, out)?;
        }
    }
    if !verified.unlisted.is_empty() {
        let count = verified.unlisted.len();
        writeln!(
            out,
            "{count:>9}  of the profile on the server, and not on the list"
        )?;
        examples(verified.unlisted.iter().map(String::as_str), count, out)?;
    }
    let silent = |(_, _, telemetry): &&(String, Standing, Option<i64>)| telemetry.is_none();
    let sent = all - verified.devices.iter().filter(silent).count();
    writeln!(out, "{sent:>9}  with telemetry on the server")?;
    let verdict = if verified.is_right() {
        "All devices are as they should be."
    } else {
        "Not all devices are as they should be."
    };
    writeln!(out, "{verdict}")
}

fn examples<'n>(
    names: impl Iterator<Item = &'n str>,
    count: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    for name in names.take(EXAMPLES) {
        writeln!(out, "           {}", shown(name))?;
    }
    if count > EXAMPLES {
        writeln!(
            out,
            "           and {} more (--format csv has all)",
            count - EXAMPLES
        )?;
    }
    Ok(())
}

fn as_json(verified: &Verified, out: &mut dyn Write) -> io::Result<()> {
    let counts: serde_json::Map<_, _> = Standing::ALL
        .into_iter()
        .map(|standing| {
            (
                standing.as_str().to_owned(),
                json!(verified.count(standing)),
            )
        })
        .collect();
    let devices: Vec<_> = verified
        .devices
        .iter()
        .map(|(name, standing, telemetry)| {
            json!({"name": name, "standing": standing.as_str(), "last_telemetry_ms": telemetry})
        })
        .collect();
    let all = json!({
        "right": verified.is_right(),
        "counts": counts,
        "devices": devices,
        "unlisted": verified.unlisted,
    });
    serde_json::to_writer_pretty(&mut *out, &all)?;
    writeln!(out)
}

fn as_csv(verified: &Verified, out: &mut dyn Write) -> io::Result<()> {
    let mut rows = csv::Writer::from_writer(out);
    rows.write_record(["name", "standing", "last_telemetry_ms"])?;
    for (name, standing, telemetry) in &verified.devices {
        let telemetry = telemetry.map(|at| at.to_string()).unwrap_or_default();
        rows.write_record([name, standing.as_str(), &telemetry])?;
    }
    for name in &verified.unlisted {
        rows.write_record([name, "unlisted", ""])?;
    }
    rows.flush()
}

/// As a run's `credentials.csv`, as far as a server tells.
fn recover(path: &Path, lost: &[Lost]) -> io::Result<()> {
    let mut rows = csv::Writer::from_writer(private(path, false)?);
    rows.write_record(["name", "credentials_type", "access_token"])?;
    for lost in lost {
        let token = match lost.kind.as_str() {
            "ACCESS_TOKEN" => lost.id.expose_secret(),
            _ => "",
        };
        rows.write_record([&lost.name, &lost.kind, token])?;
    }
    rows.flush()
}

/// More tell nothing new.
const EXAMPLES: usize = 5;
