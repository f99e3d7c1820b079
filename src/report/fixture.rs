//! Finished runs by hand, for the tests of formats.

use std::sync::LazyLock;
use std::time::Duration;

use super::failures::Failures;
use super::results::Results;
use super::slowest::Slowest;
use super::timeline::Timeline;
use crate::metrics::fixture;
use crate::metrics::timeline::{End, Header, Mark, MarkKind, coarsen};
use crate::metrics::{RunResult, Summary};
use crate::model::Outcome;

/// A minute's run with a crossed threshold, its time line in ten-second steps.
pub(super) fn results() -> Results {
    static ONCE: LazyLock<Results> = LazyLock::new(play);
    ONCE.clone()
}

fn play() -> Results {
    let summary = fixture::summary();
    let mut failures = Failures::default();
    for device in 0..1_000 {
        let (outcome, cause) = match device {
            n if n % 125 == 11 => (Outcome::Refused, "provision.failure"),
            n if n % 500 == 33 => (Outcome::Unknown, "provision.timeout"),
            _ => (Outcome::Provisioned, ""),
        };
        let cohort = if device % 5 < 3 { "meters" } else { "valves" };
        let name = format!("AA:BB:CC:00:00:{device:02X}");
        failures.add(&summary, cohort, &name, outcome, cause);
    }
    let mut slowest = Slowest::default();
    for device in 0..30u32 {
        let name = format!("AA:BB:CC:00:00:{device:02X}");
        slowest.add(&name, "meters", 180.5 + f64::from(device));
    }
    Results {
        slowest: Some(slowest),
        timeline: Some(timeline()),
        failures: Some(failures),
        summary,
    }
}

fn timeline() -> Timeline {
    let step = Duration::from_secs(10);
    Timeline {
        header: Header::new(&fixture::setting()),
        intervals: coarsen(&fixture::intervals(), step).expect("own histograms"),
        marks: vec![Mark {
            at_s: 12.0,
            until_s: None,
            kind: MarkKind::PowerLoss,
            text: "power loss: 30 % of the devices".to_owned(),
        }],
        end: Some(End::new(fixture::ending().elapsed, 0)),
    }
}

/// What tries to break out of each format.
pub(super) const EVIL: [&str; 14] = [
    "<script>alert(\"1\")</script>",
    "]]>",
    "<![CDATA[x",
    "&amp;&#0;&lt;",
    "\u{1b}[31mred\u{1b}]0;title\u{7}",
    "\u{202e}txet\u{2066}",
    "\u{0}\u{1}\u{8}\u{b}",
    "\u{fffe}\u{ffff}",
    "a | b\n| c | d |",
    "`` ` ``` `code",
    "[link](http://evil.example) www.evil.example @team #1",
    "*bold* _it_ ~~x~~ \\| ![i](x)",
    "=HYPERLINK(\"http://evil\"),\"x\"\r\n",
    " # heading ",
];

/// A run in which every text from outside is one of those, in turn.
pub(super) fn hostile() -> Results {
    let mut evil = EVIL.into_iter().cycle().map(str::to_owned);
    let mut next = || evil.next().expect("without end");
    let mut summary = fixture::negative_summary();
    summary.scenario = next();
    summary.target = next();
    summary.started_at = next();
    summary.fleetcall_version = next();
    summary.notes = (0..14).map(|_| next()).collect();
    summary.generator.reasons = (0..14).map(|_| next()).collect();
    for judged in &mut summary.thresholds {
        (judged.expression, judged.observed) = (next(), next());
    }
    let cohorts = std::mem::take(&mut summary.cohorts);
    let mut cohorts: Vec<_> = cohorts.into_values().collect();
    for name in EVIL {
        let cohort = cohorts
            .pop()
            .unwrap_or_else(|| fixture::summary().cohorts["meters"].clone());
        summary.cohorts.insert(name.to_owned(), cohort);
    }
    for row in &mut summary.expectations {
        row.cohort = next();
        row.deviations.iter_mut().for_each(|d| d.message = next());
        row.examples.iter_mut().for_each(|e| e.device = next());
    }
    summary.findings[0].message = next();
    summary.findings[0].examples = vec![vec![next(), next()]; 3];
    summary.errors = EVIL.into_iter().map(|word| (word.to_owned(), 3)).collect();
    summary.result = RunResult::Failed;
    let mut slowest = Slowest::default();
    for evil in EVIL {
        slowest.add(evil, evil, 12.5);
    }
    Results {
        slowest: Some(slowest),
        failures: Some(named(&summary)),
        timeline: Some(hostile_timeline()),
        summary,
    }
}

fn hostile_timeline() -> Timeline {
    let mut timeline = timeline();
    for (interval, evil) in timeline.intervals.iter_mut().zip(EVIL) {
        interval.errors.insert(evil.to_owned(), 100);
    }
    timeline.marks = EVIL
        .map(|evil| Mark {
            at_s: 1.0,
            until_s: None,
            kind: MarkKind::PowerLoss,
            text: evil.to_owned(),
        })
        .into();
    timeline
}

fn named(summary: &Summary) -> Failures {
    let mut failures = Failures::default();
    for evil in EVIL {
        failures.add(summary, evil, evil, Outcome::Failed, evil);
    }
    failures
}
