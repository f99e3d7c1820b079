//! A run's directory and its log.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use jiff::Timestamp;
use tracing_subscriber::EnvFilter;

use super::Failure;
use super::run_files::CERTIFICATES;
use crate::dashboard::LogTail;

/// The directory of one run and the files in it.
#[derive(Debug)]
pub(super) struct Tracks {
    dir: PathBuf,
    /// From 1.
    part: u32,
}

impl Tracks {
    /// Makes the directory: the one asked for, else `reports/<scenario>-<UTC time>/`. One that
    /// holds a run's results already is refused, since its credentials exist nowhere else.
    pub(super) fn make(
        asked: Option<&Path>,
        scenario: &str,
        started: Timestamp,
    ) -> Result<Self, Failure> {
        let dir = match asked {
            Some(dir) => dir.to_owned(),
            None => vacant(&Path::new("reports").join(default_name(scenario, started))),
        };
        let failed = |source: io::Error| {
            Failure::usage(format!(
                "{}: cannot make the run's directory: {source}\nhelp: name another with --out DIR",
                dir.display()
            ))
        };
        fs::create_dir_all(&dir).map_err(failed)?;
        for taken in [
            "credentials.csv",
            "ledger.jsonl",
            "summary.json",
            "certificates",
        ] {
            if dir.join(taken).exists() {
                return Err(Failure::usage(format!(
                    "{}: holds the {taken} of an earlier run\nhelp: name another directory with \
                     --out DIR, or move the old one away",
                    dir.display()
                )));
            }
        }
        Ok(Self { dir, part: 1 })
    }

    /// The directory of a run that goes on after so many parts: the results of the last one go into
    /// a directory of their own, and what all parts share stays.
    pub(super) fn reopen(dir: PathBuf, parts: u32) -> Result<Self, Failure> {
        let kept = dir.join(format!("part-{parts}"));
        let failed = |error: io::Error| {
            Failure::usage(format!(
                "{}: cannot keep the results of part {parts}: {error}",
                kept.display()
            ))
        };
        fs::create_dir_all(&kept).map_err(failed)?;
        for name in OF_A_PART {
            match fs::rename(dir.join(name), kept.join(name)) {
                // A part that was killed has no reports.
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
                _ => {}
            }
        }
        Ok(Self {
            dir,
            part: parts + 1,
        })
    }

    /// Where the keys and certificates of this part go.
    pub(super) fn certificates(&self) -> PathBuf {
        match self.part {
            1 => self.file(CERTIFICATES),
            part => self.file(&format!("{CERTIFICATES}-{part}")),
        }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Sends all tracing to `run.log`, and its end to the dashboard: never to the screen itself.
    pub(super) fn open_log(&self, tail: &LogTail) -> Result<(), Failure> {
        let path = self.file("run.log");
        let file: File = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
        let filter = EnvFilter::try_from_env("FLEETCALL_LOG")
            .unwrap_or_else(|_| EnvFilter::new("fleetcall=debug"));
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_ansi(false)
            .with_target(false)
            .with_timer(Utc)
            .with_writer(Mutex::new(Log {
                file,
                tail: tail.clone(),
            }))
            .try_init()
            .map_err(Failure::bug)
    }
}

/// `run.log`, and its end in memory. Each event is written at once.
struct Log {
    file: File,
    tail: LogTail,
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write_all(bytes);
        let text = String::from_utf8_lossy(bytes);
        self.tail.feed(&text, written.is_ok());
        written.map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// What each part of a run writes anew.
const OF_A_PART: [&str; 9] = [
    "summary.json",
    "timeline.jsonl",
    "report.html",
    "report.md",
    "junit.xml",
    "latency.hlog",
    "devices.csv",
    "scenario.toml",
    "rotations.csv",
];

/// RFC 3339 in UTC with milliseconds.
struct Utc;

impl tracing_subscriber::fmt::time::FormatTime for Utc {
    fn format_time(&self, w: &mut tracing_subscriber::fmt::format::Writer<'_>) -> std::fmt::Result {
        write!(w, "{:.3}", Timestamp::now())
    }
}

/// The scenario's name, as far as it suits a file name, and the time.
pub(super) fn default_name(scenario: &str, started: Timestamp) -> String {
    let name: String = scenario
        .chars()
        .map(|c| {
            if c.is_alphanumeric() || "-_.".contains(c) {
                c
            } else {
                '-'
            }
        })
        .take(80)
        .collect();
    format!(
        "{}-{}",
        name.trim_start_matches('.'),
        started.strftime("%Y%m%dT%H%M%SZ")
    )
}

/// `dir`, or with a number behind it when a run of the same second has it.
fn vacant(dir: &Path) -> PathBuf {
    let numbered = |n: u32| PathBuf::from(format!("{}-{n}", dir.display()));
    std::iter::once(dir.to_owned())
        .chain((2..=u32::MAX).map(numbered))
        .find(|path| !path.exists())
        .expect("nobody starts so many runs in a second")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_name_cannot_leave_the_reports_directory() {
        let started: Timestamp = "2026-11-23T01:02:03Z".parse().unwrap();
        assert_eq!(
            default_name("night shift/3", started),
            "night-shift-3-20261123T010203Z"
        );
        assert_eq!(
            default_name("../../etc", started),
            "-..-etc-20261123T010203Z"
        );
    }

    #[test]
    fn an_earlier_runs_results_are_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("credentials.csv"), "name\n").unwrap();
        let failure = Tracks::make(Some(dir.path()), "x", Timestamp::UNIX_EPOCH).unwrap_err();
        assert!(
            failure.message.contains("earlier run"),
            "{}",
            failure.message
        );
    }
}
