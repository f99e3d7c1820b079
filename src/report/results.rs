//! What finished runs left, read back from their directories, one or several as one.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::failures::{DevicesError, Failures};
use super::json::{ReadError, read_summary};
use super::slowest::Slowest;
use super::timeline::{Timeline, TimelineError, read_timeline};
use crate::metrics::timeline::{self, Header};
use crate::metrics::{CarriedError, MergeError, Summary, differences, merge, planned_digest};

/// Everything that reports are drawn from.
#[derive(Clone, Debug, PartialEq)]
pub struct Results {
    /// The result.
    pub summary: Summary,
    /// Interval by interval, if there is a time line.
    pub timeline: Option<Timeline>,
    /// The devices that want attention, if there is a table of devices.
    pub failures: Option<Failures>,
    /// The slowest devices, if there is a table of devices.
    pub slowest: Option<Slowest>,
}

/// Why there is nothing to draw.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    /// The summary cannot be opened or read.
    #[error(
        "{}: {source}\nhelp: give the directory of a finished run, or its summary.json",
        path.display()
    )]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no summary.
    #[error("{}: {source}", path.display())]
    Summary {
        /// Which.
        path: PathBuf,
        /// Why.
        source: ReadError,
    },
    /// The time line beside it is none.
    #[error(transparent)]
    Timeline(#[from] TimelineError),
    /// The table of devices beside it is none.
    #[error("{0}; help: take the files as the run wrote them")]
    Devices(#[from] DevicesError),
    /// The time line beside it is another run's.
    #[error("{}: the time line of another run; help: take the files as the run wrote them", .0.display())]
    OtherTimeline(PathBuf),
    /// They measured different things.
    #[error("the runs are not of the same kind:\n{0}help: --force merges them all the same")]
    Different(String),
    /// They cannot be merged at all.
    #[error(transparent)]
    Merge(#[from] MergeError),
}

impl From<CarriedError> for ResultsError {
    fn from(error: CarriedError) -> Self {
        Self::Merge(error.into())
    }
}

impl Results {
    /// What a run left in its directory, or a `summary.json` with what stands beside it.
    pub fn read(path: &Path) -> Result<Self, ResultsError> {
        let mut results = Self::read_figures(path)?;
        let devices = beside(path, "devices.csv")
            .map(|path| Failures::read(&path, &results.summary))
            .transpose()?;
        (results.failures, results.slowest) = devices.unzip();
        Ok(results)
    }

    /// The same without its devices.
    pub fn read_figures(path: &Path) -> Result<Self, ResultsError> {
        let file = summary_file(path);
        let text = text(&file).map_err(|source| ResultsError::Unreadable {
            path: file.clone(),
            source,
        })?;
        let summary = read_summary(&text).map_err(|source| ResultsError::Summary {
            path: file.clone(),
            source,
        })?;
        let timeline = beside(path, "timeline.jsonl")
            .map(|path| timeline_of(&summary, path))
            .transpose()?;
        Ok(Self {
            summary,
            timeline,
            failures: None,
            slowest: None,
        })
    }

    /// Several runs as one: counts and histograms add up. Runs of different scenarios or schedules
    /// are refused unless `force` is set.
    pub fn read_all(paths: &[PathBuf], force: bool) -> Result<Self, ResultsError> {
        let all: Vec<Self> = paths
            .iter()
            .map(|path| Self::read(path))
            .collect::<Result<_, _>>()?;
        if !force && let Some((first, rest)) = all.split_first() {
            let rest = rest.iter().zip(&paths[1..]);
            let told = rest.flat_map(|(other, path)| {
                let (one, path) = (paths[0].display(), path.display());
                let differ = differences(&first.summary, &other.summary).into_iter();
                differ.map(move |what| format!("  {one} and {path}: {what}\n"))
            });
            let told: String = told.collect();
            if !told.is_empty() {
                return Err(ResultsError::Different(told));
            }
        }
        Self::merged(all)
    }

    fn merged(mut all: Vec<Self>) -> Result<Self, ResultsError> {
        if all.len() == 1 {
            return Ok(all.remove(0));
        }
        let (mut summaries, mut timelines, mut failures) = (Vec::new(), Vec::new(), Vec::new());
        let mut slowest: Option<Slowest> = None;
        let runs = all.len();
        for run in all {
            summaries.push(run.summary);
            timelines.extend(run.timeline);
            failures.extend(run.failures);
            if let Some(part) = run.slowest {
                slowest.get_or_insert_default().merge(part);
            }
        }
        let mut summary = merge(summaries)?;
        let mut note = |what: &str, there: usize| {
            if (1..runs).contains(&there) {
                let lacking = runs - there;
                summary
                    .notes
                    .push(format!("no {what}: {lacking} of {runs} runs left none"));
            }
        };
        note("time line", timelines.len());
        note("names of devices", failures.len());
        let timeline = (timelines.len() == runs)
            .then(|| merged_timeline(timelines))
            .transpose()?;
        let failures = (failures.len() == runs).then_some(failures).map(|all| {
            let mut sum = Failures::default();
            for part in all {
                sum.merge(part);
            }
            sum
        });
        let slowest = slowest.filter(|_| failures.is_some());
        Ok(Self {
            summary,
            timeline,
            failures,
            slowest,
        })
    }
}

fn summary_file(path: &Path) -> PathBuf {
    if path.is_dir() {
        path.join(SUMMARY)
    } else {
        path.to_owned()
    }
}

/// What stands beside a run's summary; one under another name is on its own.
fn beside(path: &Path, name: &str) -> Option<PathBuf> {
    let file = summary_file(path);
    let named = file.file_name().is_some_and(|file| file == SUMMARY);
    let path = file.with_file_name(name);
    (named && path.exists()).then_some(path)
}

fn timeline_of(summary: &Summary, path: PathBuf) -> Result<Timeline, ResultsError> {
    let timeline = read_timeline(&path)?;
    let header = &timeline.header;
    let planned = planned_digest(&summary.schedule_digest);
    if (&header.started_at, header.schedule_digest.as_str()) == (&summary.started_at, planned) {
        Ok(timeline)
    } else {
        Err(ResultsError::OtherTimeline(path))
    }
}

/// Each run counted from its own start; a mark says whose it is.
fn merged_timeline(all: Vec<Timeline>) -> Result<Timeline, CarriedError> {
    let mut header: Option<Header> = None;
    let (mut runs, mut marks) = (Vec::new(), Vec::new());
    let mut ended = Vec::new();
    for (run, timeline) in (1..).zip(all) {
        match &mut header {
            None => header = Some(timeline.header),
            Some(header) => header.add(&timeline.header),
        }
        runs.push(timeline.intervals);
        ended.extend(timeline.end);
        marks.extend(timeline.marks.into_iter().map(|mut mark| {
            mark.text = format!("run {run}: {}", mark.text);
            mark
        }));
    }
    marks.sort_by(|one, two| one.at_s.total_cmp(&two.at_s));
    let all_ended = ended.len() == runs.len();
    Ok(Timeline {
        header: header.expect("there are several"),
        intervals: timeline::beside(&runs)?,
        marks,
        end: ended
            .into_iter()
            .filter(|_| all_ended)
            .max_by(|one, two| one.elapsed_s.total_cmp(&two.elapsed_s)),
    })
}

fn text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?
        .take(SUMMARY_LIMIT)
        .read_to_string(&mut text)?;
    if text.len() as u64 == SUMMARY_LIMIT {
        return Err(io::Error::other("longer than 256 MiB, which no summary is"));
    }
    Ok(text)
}

const SUMMARY: &str = "summary.json";
const SUMMARY_LIMIT: u64 = 256 << 20;
