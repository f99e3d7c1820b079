//! The file: written as the run goes on, widened, read back, and refused.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::FileError;
use super::*;
use crate::metrics::fixture;
use crate::metrics::timeline::{
    End, Header, INTERVALS_MAX, Interval, Line, Mark, MarkKind, coarsen,
};
use crate::model::Phase;

fn mark(at_s: f64) -> Mark {
    Mark {
        at_s,
        until_s: None,
        kind: MarkKind::PowerLoss,
        text: "power loss: 30 % of the devices".to_owned(),
    }
}

/// Writes these lines as a run would; where they are.
fn written(lines: impl IntoIterator<Item = Line>) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a place");
    let path = dir.path().join("timeline.jsonl");
    write(&path, lines).expect("written");
    (dir, path)
}

fn write(path: &Path, lines: impl IntoIterator<Item = Line>) -> Result<(), FileError> {
    let file = TimelineFile::create(path, Header::new(&fixture::setting()))?;
    let sender = file.sender();
    for line in lines {
        sender.blocking_send(line).expect("the writer takes all");
    }
    drop(sender);
    file.close()
}

/// A second with one phase, so that many of them are quickly merged.
fn interval(from: u32) -> Interval {
    let mut interval = fixture::intervals()[from as usize % 60].clone();
    interval
        .phases
        .retain(|phase, _| *phase == Phase::Provision);
    Interval {
        from_s: f64::from(from),
        to_s: f64::from(from) + 1.0,
        start_lag: None,
        message_lag: None,
        ..interval
    }
}

fn line(interval: Interval) -> Line {
    Line::Interval(Box::new(interval))
}

#[test]
fn a_run_is_read_back_as_it_was_told() {
    let intervals = fixture::intervals();
    let end = End::new(fixture::ending().elapsed, 0);
    let lines = intervals.iter().cloned().map(line);
    let lines = lines.chain([Line::Mark(mark(30.0)), Line::End(end)]);
    let (_dir, path) = written(lines);
    let told = read_timeline(&path).expect("own form");
    assert_eq!(told.header, Header::new(&fixture::setting()));
    assert_eq!(told.intervals, intervals);
    assert_eq!(told.marks, [mark(30.0)]);
    assert_eq!(told.end, Some(end));
}

#[test]
fn a_long_run_has_wider_intervals_and_loses_nothing() {
    let seconds: Vec<Interval> = (0..INTERVALS_MAX + 100).map(interval).collect();
    // A mark in the middle stays; the intervals after it are told two seconds at a time.
    let (early, late) = seconds.split_at(INTERVALS_MAX as usize);
    let pairs = coarsen(late, std::time::Duration::from_secs(2)).expect("own histograms");
    let lines = early
        .iter()
        .cloned()
        .map(line)
        .chain([Line::Mark(mark(7.0))]);
    let (dir, path) = written(lines.chain(pairs.into_iter().map(line)));
    let told = read_timeline(&path).expect("own form");
    assert_eq!(told.intervals.len(), INTERVALS_MAX as usize / 2 + 50);
    assert!(
        told.intervals
            .iter()
            .all(|i| (i.seconds() - 2.0).abs() < 1e-9)
    );
    assert_eq!(told.marks, [mark(7.0)]);
    let whole = |intervals| coarsen(intervals, std::time::Duration::from_hours(9));
    assert_eq!(
        whole(&told.intervals).expect("own histograms"),
        whole(&seconds).expect("own histograms")
    );
    assert_eq!(fs::read_dir(dir.path()).expect("there").count(), 1);
}

#[test]
fn what_a_killed_program_left_is_read_up_to_its_last_whole_line() {
    let (_dir, path) = written((0..3).map(|n| line(interval(n))));
    let text = fs::read(&path).expect("there");
    for cut in [1, 40, 300] {
        fs::write(&path, &text[..text.len() - cut]).expect("written");
        let told = read_timeline(&path).expect("cut short");
        assert_eq!((told.intervals.len(), told.end), (2, None), "{cut}");
    }
}

#[test]
fn what_is_no_time_line_is_refused_with_its_line() {
    let (_dir, path) = written((0..3).map(|n| line(interval(n))));
    let text = fs::read_to_string(&path).expect("text");
    let twice = text.clone() + text.lines().last().expect("lines") + "\n";
    let newer = text.replacen("\"timeline_version\":1", "\"timeline_version\":2", 1);
    let kind = "{\"line\":\"mark\",\"at_s\":1,\"kind\":\"comet\",\"text\":\"\"}\n";
    let many: String = (0..=INTERVALS_MAX)
        .map(|n| {
            let bare = Interval {
                from_s: f64::from(n),
                to_s: f64::from(n) + 1.0,
                ..Interval::default()
            };
            serde_json::to_string(&line(bare)).expect("plain words") + "\n"
        })
        .collect();
    let header = text.lines().next().expect("lines").to_owned() + "\n";
    for (text, says) in [
        (String::new(), ":1: a damaged time line (empty)"),
        ("name\n".to_owned(), ":1: a damaged"),
        (newer, "a time line of form 2, this version reads form 1"),
        (
            header.clone() + &header,
            ":2: a damaged time line (a second header)",
        ),
        (twice, ":5: a damaged time line (an interval out of place)"),
        (
            header.clone() + kind,
            ":2: a damaged time line (unknown variant `comet`",
        ),
        (
            header + &many,
            ":602: a damaged time line (more than 600 intervals)",
        ),
    ] {
        fs::write(&path, &text).expect("written");
        let error = read_timeline(&path).expect_err(says).to_string();
        assert!(error.contains(says) && error.contains("help: "), "{error}");
    }
    fs::remove_file(&path).expect("there");
    assert!(read_timeline(&path).is_err());
}

#[test]
fn a_disk_that_is_full_is_told_and_holds_nobody_up() {
    let lines = (0..200).map(|n| line(interval(n)));
    let error = write(Path::new("/dev/full"), lines).expect_err("full");
    assert!(error.to_string().starts_with("/dev/full: "), "{error}");
}
