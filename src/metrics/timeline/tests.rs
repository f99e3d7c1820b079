//! Intervals: when they are cut, and what they add up to.

use std::time::Duration;

use super::super::*;
use super::*;
use crate::model::{Cause, CohortIx, FaultKind, Outcome, Phase};

const ONE: CohortIx = CohortIx(0);

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// All of them in one.
fn total(intervals: &[Interval]) -> Interval {
    let whole = coarsen(intervals, secs(1 << 20)).expect("own histograms");
    assert_eq!(whole.len(), 1);
    whole.into_iter().next().expect("one")
}

/// Holds the sum of intervals to a run's result, count for count and bucket for bucket.
fn assert_adds_up(intervals: &[Interval], summary: &Summary) {
    let sum = total(intervals);
    let devices = DeviceCounts::new(
        summary.devices.listed,
        &[
            sum.devices.provisioned,
            sum.devices.refused,
            sum.devices.failed,
            sum.devices.unknown,
            sum.devices.unfinished,
        ],
    );
    assert_eq!(devices, summary.devices);
    assert_eq!(
        (sum.starts.started, sum.starts.late),
        (summary.starts.started, summary.starts.late)
    );
    assert_eq!(sum.telemetry, summary.telemetry.counts);
    assert_eq!(sum.reconnects, summary.reconnects);
    assert_eq!(sum.rotations, summary.rotations);
    assert_eq!(sum.errors, summary.errors);
    assert_eq!(sum.start_lag, summary.histograms.start_lag);
    assert_eq!(sum.message_lag, summary.histograms.message_lag);
    for (phase, whole) in &summary.phases {
        let part = &sum.phases[phase];
        assert_eq!(part.steps.count, whole.count, "{phase:?}");
        assert_eq!(part.steps.errors, whole.errors, "{phase:?}");
        assert_eq!(part.steps.retries, whole.retries, "{phase:?}");
        assert_eq!(
            part.histograms.as_ref(),
            summary.histograms.phases.get(phase),
            "{phase:?}"
        );
    }
    assert_eq!(sum.phases.len(), summary.phases.len());
    for (name, whole) in &summary.cohorts {
        let part = &sum.cohorts[name];
        assert_eq!(part.telemetry, whole.telemetry.counts, "{name}");
        assert_eq!(part.devices.refused, whole.devices.refused, "{name}");
        for (phase, steps) in &whole.phases {
            assert_eq!(part.phases[phase].count, steps.count, "{name} {phase:?}");
        }
    }
}

#[test]
fn intervals_add_up_to_the_run_however_they_are_cut() {
    let finished = fixture::summary();
    let intervals = fixture::intervals();
    assert_eq!(intervals.len(), 61, "a minute and a quarter of a second");
    assert_adds_up(&intervals, &finished);
    for width in [2, 7, 32] {
        let wide = coarsen(&intervals, secs(width)).expect("own histograms");
        assert_eq!(wide.len() as u64, 61u64.div_ceil(width), "{width} s");
        assert_adds_up(&wide, &finished);
        for pair in wide.windows(2) {
            assert!((pair[0].to_s - pair[1].from_s).abs() < 1e-9, "{width} s");
        }
    }
}

#[test]
fn an_interval_holds_what_came_since_the_last_one() {
    let mut setting = fixture::setting();
    setting.thresholds.clear();
    let mut aggregate = Aggregate::new(setting);
    let mut cutter = Cutter::new(&aggregate);
    let mut worker = Recorder::new(2);
    worker.sample(ONE, Phase::Provision, secs(2), secs(1));
    worker.outcome(ONE, Outcome::Provisioned, None);
    worker.gauge(ONE, LiveState::Live, 1);
    aggregate.add(&worker.take(None));
    let first = cutter.cut(&aggregate, secs(1), Some(3));
    worker.phase_error(ONE, Phase::Provision);
    aggregate.add(&worker.take(None));
    let second = cutter.cut(&aggregate, secs(2), Some(3));
    let histograms = first.phases[&Phase::Provision].histograms.clone();
    let response = histograms.expect("a sample").response;
    assert_eq!(response.decode().expect("own form").len(), 1);
    assert_eq!((first.starts.due, first.devices.provisioned), (Some(3), 1));
    assert_eq!(
        (second.starts.due, second.devices.provisioned),
        (Some(0), 0)
    );
    let steps = &second.phases[&Phase::Provision];
    assert_eq!((steps.steps.count, steps.steps.errors), (0, 1));
    assert_eq!(steps.histograms, None, "only of what completed");
    assert_eq!((first.live.live, second.live.live), (1, 1), "still there");
    assert_eq!(second.cohorts["meters"].phases.len(), 1);
}

#[test]
fn a_boundary_is_due_once_workers_have_reported_and_late_cuts_take_the_last() {
    let aggregate = Aggregate::new(fixture::setting());
    let mut cutter = Cutter::new(&aggregate);
    let ms = Duration::from_millis;
    for (elapsed, boundary) in [
        (ms(0), None),
        (ms(1_099), None),
        (ms(1_100), Some(secs(1))),
        (ms(4_200), Some(secs(4))),
        (ms(4_050), Some(secs(3))),
    ] {
        assert_eq!(cutter.boundary(elapsed), boundary, "{elapsed:?}");
    }
    cutter.cut(&aggregate, secs(4), None);
    assert_eq!(cutter.boundary(ms(4_900)), None);
    cutter.cut(&aggregate, secs(600), None);
    assert_eq!(cutter.boundary(ms(601_500)), None, "two seconds by now");
    assert_eq!(cutter.boundary(ms(602_100)), Some(secs(602)));
}

#[test]
fn a_cause_that_loses_its_word_is_counted_once() {
    let mut aggregate = Aggregate::new(fixture::setting());
    let mut cutter = Cutter::new(&aggregate);
    let mut worker = Recorder::new(2);
    let status = |code| Cause::At(Phase::Provision, FaultKind::HttpStatus(code));
    for _ in 0..5 {
        worker.error(status(999));
    }
    aggregate.add(&worker.take(None));
    let first = cutter.cut(&aggregate, secs(1), None);
    assert_eq!(first.errors["provision.http_999"], 5);
    for code in 0..400 {
        worker.error(status(code));
    }
    aggregate.add(&worker.take(None));
    let second = cutter.cut(&aggregate, secs(2), None);
    let sum = |interval: &Interval| interval.errors.values().sum::<u64>();
    assert_eq!((sum(&first), sum(&second)), (5, 400));
}

#[test]
fn runs_beside_each_other_add_their_gauges_and_a_later_interval_has_the_last_word() {
    let interval = |from: u32, live| Interval {
        from_s: f64::from(from),
        to_s: f64::from(from) + 1.0,
        live: LiveCounts {
            live,
            ..LiveCounts::default()
        },
        cohorts: [(
            "meters".to_owned(),
            IntervalCohort {
                live: LiveCounts {
                    live,
                    ..LiveCounts::default()
                },
                ..IntervalCohort::default()
            },
        )]
        .into(),
        ..Interval::default()
    };
    let mut beside = interval(0, 3);
    beside
        .add(&interval(0, 4), Join::Beside)
        .expect("no histogram");
    assert_eq!(
        (beside.live.live, beside.cohorts["meters"].live.live),
        (7, 7)
    );
    let mut next = interval(0, 3);
    let mut last = interval(1, 0);
    last.cohorts.clear();
    next.add(&last, Join::Next).expect("no histogram");
    assert_eq!((next.live.live, next.cohorts["meters"].live.live), (0, 0));
    assert!((next.seconds() - 2.0).abs() < 1e-9);
}

#[test]
fn runs_are_cut_beside_each_other_where_all_are_cut_or_over() {
    let run = |ends: &[f64]| {
        let mut from_s = 0.0;
        let intervals = ends.iter().map(|to_s| {
            let interval = Interval {
                from_s,
                to_s: *to_s,
                telemetry: TelemetryCounts {
                    sent: 1,
                    ..TelemetryCounts::default()
                },
                live: LiveCounts {
                    live: 2,
                    ..LiveCounts::default()
                },
                ..Interval::default()
            };
            from_s = *to_s;
            interval
        });
        intervals.collect::<Vec<_>>()
    };
    // The second was held up for two seconds, and is over earlier.
    let runs = [
        run(&[1.0, 2.0, 3.0, 4.0, 5.0, 5.5]),
        run(&[1.0, 3.0, 4.0, 4.25]),
    ];
    let told = beside(&runs).expect("no histogram");
    let seen: Vec<_> = told
        .iter()
        .map(|i| (i.from_s, i.to_s, i.telemetry.sent, i.live.live))
        .collect();
    let expected = [
        (0.0, 1.0, 2, 4),
        (1.0, 3.0, 3, 4),
        (3.0, 4.0, 2, 4),
        (4.0, 5.0, 2, 4),
        (5.0, 5.5, 1, 2),
    ];
    assert_eq!(seen, expected);
    assert_eq!(beside(&runs[..1]).expect("no histogram"), runs[0]);
}

#[test]
fn a_line_is_read_as_it_was_written() {
    let mark = Mark {
        at_s: 2.5,
        until_s: Some(3.0),
        kind: MarkKind::TargetRestart,
        text: "the target restarts".to_owned(),
    };
    let lines = [
        Line::Header(Header::new(&fixture::setting())),
        Line::Mark(mark),
        Line::End(End::new(fixture::ending().elapsed, 0)),
    ];
    let intervals = fixture::intervals();
    let intervals = intervals.into_iter().map(|i| Line::Interval(Box::new(i)));
    for line in lines.into_iter().chain(intervals) {
        let text = serde_json::to_string(&line).expect("plain words");
        assert_eq!(serde_json::from_str::<Line>(&text).expect("own form"), line);
    }
}

#[test]
fn the_width_doubles_whenever_there_would_be_too_many() {
    for (from, width) in [
        (0, 1),
        (599, 1),
        (600, 2),
        (1_199, 2),
        (1_200, 4),
        (86_400, 256),
    ] {
        assert_eq!(width_at(secs(from)), secs(width), "{from} s");
        assert!(from / width < u64::from(INTERVALS_MAX), "{from} s");
    }
}
