//! What a run leaves in its directory when it is over, and what it says of it.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use super::Failure;
use super::screen;
use super::tracks::Tracks;
use crate::engine::Fleet;
use crate::ledger::{Fate, LEDGER};
use crate::metrics::Summary;
use crate::model::DeviceIx;
use crate::report::{self, DeviceRow, Failures, Results, Slowest, Style};
use crate::scenario::Plan;

/// Writes the scenario as it is run, before the first packet.
pub(super) fn write_scenario(tracks: &Tracks, plan: &Plan) -> Result<(), Failure> {
    let text = format!("{SCENARIO_HEAD}{}", plan.shown);
    report::write_text(&tracks.file(SCENARIO), &text).map_err(Failure::usage)
}

/// Writes every file and says the result on standard output.
pub(super) fn write(
    fleet: &Fleet,
    tracks: &Tracks,
    summary: &Summary,
    fates: &[Fate],
) -> Result<(), Failure> {
    let devices = || fleet.devices().zip(fates);
    let search = summary.search.as_ref();
    let rows = devices().map(|(ix, fate)| DeviceRow {
        trial: search.and_then(|search| search.trial_of(ix)),
        ..row(fleet, ix, fate)
    });
    let path = tracks.file("devices.csv");
    let written = report::write_devices(&path, rows, search.is_some()).map_err(Failure::bug)?;
    let mut failures = Failures::default();
    let mut slowest = Slowest::default();
    for (ix, fate) in devices() {
        let (cohort, cause) = (&fleet.cohort(ix).name, fate.cause);
        let cause = cause.map(|cause| cause.to_string()).unwrap_or_default();
        failures.add(summary, cohort, fleet.name(ix), fate.outcome, &cause);
        if let Some(took) = fate.time_to_provision {
            slowest.add(fleet.name(ix), cohort, took.as_secs_f64() * 1e3);
        }
    }
    let results = Results {
        summary: summary.clone(),
        // One that could not be written is told of already.
        timeline: report::read_timeline(&tracks.file(TIMELINE)).ok(),
        failures: Some(failures),
        slowest: Some(slowest),
    };
    let write = |name, text: &str| report::write_text(&tracks.file(name), text);
    write("summary.json", &report::summary_json(summary)).map_err(Failure::bug)?;
    for (name, text) in [
        ("report.html", report::html(&results).map_err(Failure::bug)?),
        ("report.md", report::markdown(&results)),
        ("junit.xml", report::junit(&results)),
        (
            "latency.hlog",
            report::hlog(&results).map_err(Failure::bug)?,
        ),
    ] {
        write(name, &text).map_err(Failure::bug)?;
    }
    let style = Style {
        color: screen::colour(),
        width: 80,
    };
    let text = report::text(summary, style);
    let further = FURTHER
        .into_iter()
        .filter(|(name, _)| tracks.file(name).exists());
    let files: Vec<_> = FILES.into_iter().chain(further).collect();
    let files = report::text_files(tracks.dir(), &files, style);
    // A closed pipe is no failure of the run.
    let _ = write!(std::io::stdout(), "{text}{files}");
    if written.formula_like > 0 {
        screen::tell(format_args!(
            "note: {} names begin like a formula: a spreadsheet would compute them",
            written.formula_like
        ));
    }
    Ok(())
}

/// Whether the run in a directory came to its end and left all its files.
pub(super) fn is_over(dir: &Path) -> bool {
    let summary = std::fs::read_to_string(dir.join("summary.json")).unwrap_or_default();
    let summary: serde_json::Value = serde_json::from_str(&summary).unwrap_or_default();
    let ended = summary["result"]
        .as_str()
        .is_some_and(|result| result != "interrupted");
    ended && FILES.iter().all(|(name, _)| dir.join(name).exists())
}

fn row<'a>(fleet: &'a Fleet, ix: DeviceIx, fate: &Fate) -> DeviceRow<'a> {
    let cohort = fleet.cohort(ix);
    let ms = |span: Duration| span.as_secs_f64() * 1e3;
    DeviceRow {
        name: fleet.name(ix),
        cohort: &cohort.name,
        transport: cohort.transport,
        credentials_type: fate.credentials_type,
        outcome: fate.outcome,
        cause: fate.cause,
        attempts: fate.attempts,
        time_to_provision_ms: fate.time_to_provision.map(ms),
        time_to_first_telemetry_ms: fate.time_to_first_telemetry.map(ms),
        telemetry_sent: u64::from(fate.telemetry_sent),
        telemetry_acked: u64::from(fate.telemetry_acked),
        trial: None,
    }
}

/// Written while the run goes on.
pub(super) const TIMELINE: &str = "timeline.jsonl";

const SCENARIO: &str = "scenario.toml";

const SCENARIO_HEAD: &str = "\
# The scenario of this run, with what --set, --devices and --seed put in. Secrets are \"***\".
";

/// What a run's directory holds, as the text summary lists it.
const FILES: [(&str, &str); 11] = [
    ("summary.json", "every number of this run"),
    (TIMELINE, "the same numbers, interval by interval"),
    ("report.html", "all of it in one page, with charts"),
    ("report.md", "a page for the summary of a CI job"),
    ("junit.xml", "thresholds and expectations as test cases"),
    (
        "latency.hlog",
        "latencies by interval, for HdrHistogram's tools",
    ),
    ("devices.csv", "one row per listed device"),
    (SCENARIO, "the scenario as it was run, secrets masked"),
    (
        "credentials.csv",
        "what each provisioned device received; secret, mode 0600",
    ),
    (
        LEDGER,
        "each device's requests and credentials, for `resume`; secret",
    ),
    ("run.log", "what happened, without secrets"),
];

/// What it holds besides when devices' keys were made for it, and when some were replaced.
const FURTHER: [(&str, &str); 2] = [
    (
        CERTIFICATES,
        "keys and certificates of this run's devices; keys mode 0600",
    ),
    (
        "rotations.csv",
        "certificates that were replaced, and which of them hold",
    ),
];

/// Where keys and certificates are.
pub(super) const CERTIFICATES: &str = "certificates";
