//! A run's own past: what its ledger is headed by, and going on from it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use ring::digest::{SHA256, digest};

use super::Failure;
use super::run::RunArgs;
use super::shard::ShardArg;
use super::tracks::Tracks;
use crate::engine::{self, Fleet, Resumption};
use crate::ledger::{Header, LEDGER, Ledger, Part, Past};
use crate::scenario::Plan;

/// The ledger of a run that goes on, and how.
pub(super) struct Sequel {
    pub(super) past: Past,
    pub(super) resumption: Resumption,
}

impl Sequel {
    /// Reads the ledger in a run's directory, and turns to the directory that its relative paths
    /// count from. Returns the run's directory from there, too.
    pub(super) fn open(dir: &Path, resumption: Resumption) -> Result<(Self, PathBuf), Failure> {
        let dir = dir.canonicalize().map_err(|error| {
            Failure::usage(format!(
                "{}: {error}\nhelp: name the directory of a run, as its `--out` or reports/…",
                dir.display()
            ))
        })?;
        let ledger = dir.join(LEDGER);
        if !ledger.exists() {
            return Err(Failure::usage(format!(
                "{}: holds no {LEDGER}: no run of this program was begun there\nhelp: name the \
                 directory of a run, as its `--out` or reports/…",
                dir.display()
            )));
        }
        let past = Past::read(&ledger, &boot_id()).map_err(Failure::usage)?;
        if past.torn_bytes > 0 {
            eprintln!(
                "fleetcall: note: {}: the last {} bytes are torn and left out",
                ledger.display(),
                past.torn_bytes
            );
        }
        let home = &past.header.working_directory;
        std::env::set_current_dir(home).map_err(|error| {
            Failure::usage(format!(
                "{}: {error}\nhelp: the run was begun there, and its relative paths count from there",
                home.display()
            ))
        })?;
        Ok((Self { past, resumption }, dir))
    }

    /// What was run, to be run on in the same place.
    pub(super) fn args(&self, dir: PathBuf) -> RunArgs {
        let header = &self.past.header;
        RunArgs {
            scenario: header.scenario_file.clone(),
            devices: header.devices_file.clone(),
            set: header.set.clone(),
            seed: Some(header.seed),
            credentials: header.credentials_file.clone(),
            out: Some(dir),
            shard: header.shard.map(ShardArg::Given),
            ..RunArgs::default()
        }
    }

    /// Refuses a scenario or a list that is not the one that the run was begun with.
    pub(super) fn hold_against(&self, plan: &Plan, digest: &str) -> Result<(), Failure> {
        let header = &self.past.header;
        let changed = |what: &Path, how: &str| {
            Err(Failure::usage(format!(
                "{}: {how} since the run was begun\nhelp: bring back what it was (scenario.toml in \
                 the run's directory shows it), or begin a new run of the devices that are left",
                what.display()
            )))
        };
        if header.schedule_digest != digest {
            let list = header.devices_file.as_ref();
            let what = list.unwrap_or(&header.scenario_file);
            return changed(
                what,
                "the devices, their cohorts or their turns have changed",
            );
        }
        if header.scenario_sha256 != sha256(&plan.shown) {
            return changed(&header.scenario_file, "the scenario has changed");
        }
        Ok(())
    }
}

/// The part that begins now.
fn part(past: &Past, started: Timestamp) -> Part {
    Part {
        part: past.parts + 1,
        started_at: format!("{started:.3}"),
        boot_id: boot_id(),
    }
}

/// The fingerprint of the schedule that is run: of a run that goes on, of what is left.
pub(super) fn schedule_digest(past: Option<&Past>, fleet: &Fleet) -> String {
    match past {
        None => fleet.whole_digest.clone(),
        Some(_) => engine::schedule_digest(fleet),
    }
}

/// What has to be said of a run's figures because it goes on.
pub(super) fn notes(past: Option<&Past>, fleet: &Fleet) -> Vec<String> {
    past.map(|past| note(past, fleet)).into_iter().collect()
}

fn note(past: &Past, fleet: &Fleet) -> String {
    let (all, number) = (fleet.len(), past.parts + 1);
    let over = fleet.settled().iter().flatten().count();
    let power = if past.power_lost {
        "; the machine was started anew since: what was written in the last moments before may be lost"
    } else {
        ""
    };
    format!(
        "part {number} of a run: {over} of {all} devices were over before it; outcomes are those of all \
         parts, starts, latencies, rates and telemetry those of this one{power}"
    )
}

/// The run's own, or the one that an earlier part of it has begun.
pub(super) fn open_ledger(
    args: &RunArgs,
    fleet: &Fleet,
    tracks: &Tracks,
    past: Option<&Past>,
    started: Timestamp,
) -> Result<Ledger, Failure> {
    let ledger = match past {
        None => {
            let header = header(args, fleet, started)?;
            Ledger::create(tracks.dir(), &header)
        }
        Some(past) => {
            let next = self::part(past, started);
            Ledger::resume(tracks.dir(), past, &next, &fleet.settled())
        }
    };
    ledger.map_err(Failure::usage)
}

/// What a new run's ledger is headed by.
fn header(args: &RunArgs, fleet: &Fleet, started: Timestamp) -> Result<Header, Failure> {
    let home = std::env::current_dir().map_err(Failure::usage)?;
    Ok(Header {
        format: Header::format_of(fleet.shard()),
        fleetcall_version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: format!("{started:.3}"),
        scenario_file: home.join(&args.scenario),
        devices_file: args.devices.clone(),
        set: args.set.clone(),
        credentials_file: args.credentials.clone(),
        seed: fleet.plan.seed,
        working_directory: home,
        scenario_sha256: sha256(&fleet.plan.shown),
        schedule_digest: fleet.whole_digest.clone(),
        devices: u32::try_from(fleet.inventory.len()).map_err(Failure::usage)?,
        shard: fleet.shard(),
        boot_id: boot_id(),
    })
}

/// Another one after each start of the machine; empty where the system has none.
pub(super) fn boot_id() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

pub(super) fn sha256(text: &str) -> String {
    let mut hex = String::with_capacity(64);
    for byte in digest(&SHA256, text.as_bytes()).as_ref() {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}
