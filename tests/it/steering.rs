//! A run steered by keys on a real pseudo-terminal: what it does, and what it says of it afterwards.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::terminal::{LONG, run_on_terminal};

/// What a run left that was steered: the terminal, the summary, the time line, the log.
pub(crate) struct Steered {
    pub(crate) seen: Value,
    pub(crate) summary: Value,
    timeline: Vec<Value>,
    pub(crate) log: String,
}

/// Runs a scenario on a terminal, and does each action so many seconds after the one before; the first
/// after the first device is provisioned.
fn steered(scenario: &str, steps: &[(f64, &str)]) -> Steered {
    let dir = tempfile::tempdir().unwrap();
    let script = format!("script:{}", json!(steps));
    let action = ((80, 24), "time_to_provision", script.as_str());
    let seen = run_on_terminal(dir.path(), scenario, action, &[]);
    Steered::left(seen, &dir.path().join("out"))
}

impl Steered {
    /// What is in a run's directory, after what was seen of it.
    pub(crate) fn left(seen: Value, out: &Path) -> Self {
        assert_eq!(seen["acted"], true, "{}", seen["drawn"]);
        let read = |name: &str| fs::read_to_string(out.join(name)).unwrap();
        let lines = read("timeline.jsonl");
        Self {
            seen,
            summary: serde_json::from_str(&read("summary.json")).unwrap(),
            timeline: lines
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect(),
            log: read("run.log"),
        }
    }

    /// When each change held from, with its word.
    pub(crate) fn changes(&self) -> Vec<(f64, &str)> {
        let changes = self.summary["steering"].as_array().unwrap().iter();
        let change = |change: &'_ Value| change["at_s"].as_f64().unwrap();
        changes
            .map(|c| (change(c), c["action"].as_str().unwrap()))
            .collect()
    }

    /// A figure of the starts in each interval that lies within a span, per second, and how many such
    /// intervals there are.
    pub(crate) fn per_second(&self, figure: &str, (from, to): (f64, f64)) -> (f64, usize) {
        let at = |interval: &Value, end: &str| interval[end].as_f64().unwrap();
        let within = |line: &&Value| {
            line["line"] == "interval" && at(line, "from_s") >= from && at(line, "to_s") <= to
        };
        let intervals: Vec<&Value> = self.timeline.iter().filter(within).collect();
        let spans = intervals.iter().map(|i| at(i, "to_s") - at(i, "from_s"));
        let sum = intervals
            .iter()
            .map(|i| i["starts"][figure].as_f64().unwrap());
        (sum.sum::<f64>() / spans.sum::<f64>(), intervals.len())
    }
}

/// 20 devices a second.
fn open() -> String {
    LONG.replace("rate = 50", "rate = 20")
}

#[test]
fn nobody_starts_in_a_pause_and_nobody_is_late_for_it() {
    let steps = [
        (1.0, "key:p"),
        (4.0, "key:p"),
        (3.0, "key:q"),
        (0.3, "key:y"),
    ];
    let ran = steered(&open(), &steps);
    let changes = ran.changes();
    let words: Vec<&str> = changes.iter().map(|(_, word)| *word).collect();
    assert_eq!(words, ["pause", "resume", "stop"]);
    let (pause, resume, stop) = (changes[0].0, changes[1].0, changes[2].0);
    assert!(resume - pause >= 3.0, "{pause} {resume}");
    // A busy worker reports a little later than it starts.
    let (started, seconds) = ran.per_second("started", (pause + 0.5, resume));
    assert!(seconds > 0, "no whole interval in the pause");
    assert!(started < 0.1, "{started} a second in the pause");
    assert!(ran.per_second("due", (pause, resume)).0 < 0.1);
    let (due, _) = ran.per_second("due", (resume, stop));
    assert!((due - 20.0).abs() < 1.1, "{due} due a second afterwards");
    // Counted from the planned start, the first one afterwards would be as late as the pause was long.
    let latest = ran.summary["lag_us"]["max"].as_f64().unwrap() / 1e6;
    assert!(latest < (resume - pause) / 2.0, "{latest} s late");
    assert_eq!(ran.seen["code"], 130);
    let digest = ran.summary["schedule_digest"].as_str().unwrap();
    assert!(
        digest.starts_with("steered:") && digest.len() == 72,
        "{digest}"
    );
    let drawn = ran.seen["drawn"].as_str().unwrap();
    assert!(drawn.contains("PAUSED"), "{drawn}");
}

#[test]
fn a_key_doubles_the_rate_from_its_moment_on_and_the_run_says_so_everywhere() {
    let steps = [(0.5, "key:+"), (4.5, "key:q"), (0.3, "key:y")];
    let ran = steered(&open(), &steps);
    let changes = ran.changes();
    let (at, stop) = (changes[0].0, changes[1].0);
    assert_eq!(changes[0].1, "rate");
    assert_eq!(ran.summary["steering"][0]["factor"], 2.0);
    let (due, seconds) = ran.per_second("due", (at, stop));
    assert!(seconds > 1 && (due - 40.0).abs() < 1.1, "{due} a second");
    let (started, _) = ran.per_second("started", (at, stop));
    assert!((started - 40.0).abs() < 12.0, "{started} a second");
    let marks = ran.timeline.iter().filter(|line| line["kind"] == "steered");
    let marked: Vec<f64> = marks.map(|mark| mark["at_s"].as_f64().unwrap()).collect();
    assert_eq!(marked, [at, stop]);
    assert!(ran.log.contains("steered: rate ×1 to ×2"), "{}", ran.log);
    let notes = ran.summary["notes"].to_string();
    assert!(notes.contains("steered by hand: 1 change"), "{notes}");
}

#[test]
fn a_pause_holds_the_places_of_a_closed_model_back() {
    let closed = open()
        .replace("open", "closed")
        .replace("rate = 20", "concurrency = 1");
    let closed = closed.replace(
        "embedded = true",
        "embedded = true\nfaults = { delay = \"50ms\" }",
    );
    let steps = [
        (1.0, "key:p"),
        (3.5, "key:p"),
        (2.0, "key:q"),
        (0.3, "key:y"),
    ];
    let ran = steered(&closed, &steps);
    let changes = ran.changes();
    let (pause, resume, stop) = (changes[0].0, changes[1].0, changes[2].0);
    let (started, seconds) = ran.per_second("started", (pause + 0.5, resume));
    assert!(
        seconds > 0 && started < 0.1,
        "{started} a second in the pause"
    );
    let (started, _) = ran.per_second("started", (resume, stop));
    assert!(started > 1.0, "{started} a second afterwards");
}

#[test]
fn a_frozen_picture_is_not_drawn_again_until_it_goes_on() {
    let steps = [
        (0.5, "key:f"),
        (1.0, "key:1"),
        (1.5, "key:f"),
        (1.0, "key:q"),
        (0.3, "key:y"),
    ];
    let ran = steered(&open(), &steps);
    let mark = |n: usize| usize::try_from(ran.seen["marks"][n].as_u64().unwrap()).unwrap();
    let drawn = ran.seen["drawn"].as_str().unwrap();
    assert!(drawn.contains("FROZEN at"), "{drawn}");
    // A key draws it once, and it is the same.
    assert!(
        mark(2) - mark(1) < 200,
        "{} bytes while frozen",
        mark(2) - mark(1)
    );
    assert!(mark(3) > mark(2) + 200, "it goes on");
    assert_eq!(
        ran.summary.get("steering").map(|s| s[0]["action"].clone()),
        Some("stop".into())
    );
}

#[test]
fn a_storm_of_sizes_ends_as_any_other_run() {
    let sizes = [
        "200x50", "60x20", "10x3", "1x1", "59x19", "80x24", "300x100", "61x21",
    ];
    let mut steps: Vec<(f64, String)> = Vec::new();
    for n in 0..80 {
        steps.push((0.02, format!("resize:{}", sizes[n % sizes.len()])));
        if n % 10 == 0 {
            steps.push((0.0, format!("key:{}", n / 10 % 5 + 1)));
        }
    }
    steps.extend([(0.5, "key:q".to_owned()), (0.3, "key:y".to_owned())]);
    let steps: Vec<(f64, &str)> = steps
        .iter()
        .map(|(at, what)| (*at, what.as_str()))
        .collect();
    let ran = steered(&open(), &steps);
    assert_eq!(ran.seen["code"], 130, "{}", ran.seen["drawn"]);
    for promise in ["settings_kept", "left", "cursor"] {
        assert_eq!(ran.seen[promise], true, "{promise}");
    }
    assert!(!ran.seen["drawn"].as_str().unwrap().contains("panicked"));
}

#[test]
fn a_terminal_that_hangs_up_ends_the_run_with_its_reports() {
    let ran = steered(&open(), &[(0.5, "hangup")]);
    assert_eq!(ran.seen["code"], 130);
    assert_eq!(ran.summary["result"], "interrupted");
    assert!(ran.summary.get("steering").is_none(), "nobody steered");
}
