//! `fleetcall selftest`: proves the generator's own numbers on this machine.

mod checks;
mod drive;
mod theory;
mod trial;

use std::io::{self, Write};

use clap::Args;
use serde_json::json;

use self::checks::{Check, Held};
use self::drive::Driven;
use self::trial::Bench;
use super::exit::{Exit, Failure};
use super::screen;
use crate::model::units::{bytes, count, micros};
use crate::model::{Paint as _, TransportKind};
use crate::report::Style;

/// Tries the generator against its own target, whose behaviour is known, and holds what it
/// measures against what theory says. Loopback only; takes about a minute.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct SelftestArgs {
    /// Try these transports only
    #[arg(long, value_name = "TRANSPORT", value_delimiter = ',', value_parser = transport)]
    transport: Vec<TransportKind>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Do not measure how much this machine can drive
    #[arg(long)]
    no_drive: bool,
    /// Count response times from the send: the checks must fail
    #[arg(long, hide = true)]
    response_from_send: bool,
}

/// What came of it.
#[derive(Default)]
struct Report {
    held: Vec<Held>,
    driven: Vec<Driven>,
}

pub(super) fn run(args: &SelftestArgs) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::bug)?;
    let report = runtime.block_on(async {
        tokio::select! {
            report = tried(args) => report.map(Some),
            _ = tokio::signal::ctrl_c() => Ok(None),
        }
    })?;
    let Some(report) = report else {
        return Ok(Exit::Interrupted);
    };
    let written = if args.json {
        report.json(&mut io::stdout().lock())
    } else {
        report.text(&mut io::stdout().lock())
    };
    // Whoever reads it may have seen enough.
    drop(written);
    Ok(if report.passed() {
        Exit::Passed
    } else {
        Exit::Invalid
    })
}

async fn tried(args: &SelftestArgs) -> Result<Report, Failure> {
    let bench = Bench::set_up(args.response_from_send)?;
    let transports = if args.transport.is_empty() {
        TransportKind::ALL.to_vec()
    } else {
        args.transport.clone()
    };
    let trials = transports.len() * (Check::ALL.len() + usize::from(!args.no_drive));
    let bar = screen::bar(trials, "trials");
    let mut report = Report::default();
    for transport in transports {
        for check in Check::ALL {
            report
                .held
                .extend(insisted(&bench, check, transport).await?);
            bar.inc(1);
        }
        if !args.no_drive {
            report.driven.push(drive::drive(&bench, transport).await?);
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    Ok(report)
}

/// Carries a check out; again if it fails, since another program may have had the machine for a
/// moment.
async fn insisted(
    bench: &Bench,
    check: Check,
    transport: TransportKind,
) -> Result<Vec<Held>, Failure> {
    let mut held = check.carry_out(bench, transport, 1).await?;
    for attempt in 2..=TRIES {
        if held.iter().all(Held::passed) {
            break;
        }
        held = check.carry_out(bench, transport, attempt).await?;
    }
    Ok(held)
}

impl Report {
    fn passed(&self) -> bool {
        self.held.iter().all(Held::passed)
    }

    fn json(&self, out: &mut dyn Write) -> io::Result<()> {
        let held: Vec<_> = self.held.iter().map(Held::json).collect();
        let report = json!({"passed": self.passed(), "checks": held, "drive": self.driven});
        serde_json::to_writer_pretty(&mut *out, &report)?;
        writeln!(out)
    }

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let style = Style {
            color: screen::colour(),
            width: 80,
        };
        let head = format!(
            "{:<9} {:<6} {:<20} {:>12} {:>11} {:>10}",
            "check", "over", "figure", "must be", "is", "may be off"
        );
        writeln!(out, "{}", style.bold(&head))?;
        for held in &self.held {
            let sign = if held.at_most { "≤ " } else { "" };
            let row = format!(
                "{:<9} {:<6} {:<20} {:>12} {:>11} {:>10}",
                held.check.as_str(),
                held.transport.as_str(),
                held.figure,
                sign.to_owned() + &shown(held.expected_us),
                shown(held.measured_us),
                shown(held.tolerance_us),
            );
            let verdict = match (held.passed(), held.attempt) {
                (true, 1) => style.good("✓"),
                (true, n) => format!("{} try {n}", style.good("✓")),
                (false, n) => format!("{} in {n} tries", style.bad("✗")),
            };
            writeln!(out, "{row} {verdict}")?;
        }
        if !self.driven.is_empty() {
            let head = format!(
                "\n{:<6} {:>10} {:>9} {:>13} {:>12} {:>9} {:>10}",
                "over",
                "devices/s",
                "per CPU s",
                "provision p99",
                "connections",
                "bound by",
                "each"
            );
            writeln!(out, "{}", style.bold(&head))?;
        }
        for driven in &self.driven {
            writeln!(
                out,
                "{:<6} {:>10} {:>9} {:>13} {:>12} {:>9} {:>10}",
                driven.transport.as_str(),
                whole(driven.devices_per_s),
                whole(driven.devices_per_cpu_s),
                micros(driven.p99_us),
                count(driven.connections),
                driven.bound_by.as_str(),
                bytes(driven.bytes_each),
            )?;
        }
        if !self.driven.is_empty() {
            writeln!(out, "{}", style.dim(DRIVEN))?;
        }
        let verdict = if self.passed() {
            style.good("What this machine measures is what happened.")
        } else {
            style.bad("Figures that are measured here are not to be believed.")
        };
        writeln!(out, "\n{verdict}")
    }
}

/// A time that is not negative, µs.
#[expect(clippy::cast_sign_loss, reason = "times and rates are not negative")]
fn shown(us: f64) -> String {
    micros(us as u64)
}

#[expect(clippy::cast_sign_loss, reason = "times and rates are not negative")]
fn whole(rate: f64) -> String {
    count(rate as u64)
}

fn transport(word: &str) -> Result<TransportKind, String> {
    let all = TransportKind::ALL;
    let known = all.into_iter().find(|kind| kind.as_str() == word);
    known.ok_or_else(|| {
        let words = all.map(TransportKind::as_str).join(", ");
        format!("it is none of {words}")
    })
}

/// How often a check is tried before it has failed.
const TRIES: u32 = 5;

const DRIVEN: &str = "64 devices at a time, with the server on the same machine; connections: of one process \
    to one server";

const EXAMPLES: &str = "\
Examples:
  fleetcall selftest
  fleetcall selftest --transport mqtt,http --no-drive
  fleetcall selftest --json > selftest.json

Exit code 4 if a figure is not what it must be: nothing that is measured here may be quoted then.";
