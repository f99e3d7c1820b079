//! What the coordinator tells the time line as the run goes on: intervals and marks.
//!
//! The way to the writer is bounded, and the run never waits for it before its end: while there is
//! no room, the open interval grows.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::fleet::Fleet;
use super::shutdown::{Stop, StopSwitch};
use crate::arrival::Pace;
use crate::life::EventKind;
use crate::metrics::timeline::{Cutter, End, Line, MARKS_MAX, Mark, MarkKind};
use crate::metrics::{Aborted, Aggregate, Steered, Tried};
use crate::model::Outage;
use crate::scenario::{Plan, TargetPlan};

/// The coordinator's end of the way to the writer.
pub(super) struct Feed {
    fleet: Arc<Fleet>,
    stop: StopSwitch,
    lines: mpsc::Sender<Line>,
    cutter: Cutter,
    /// What the plan says will happen, by time.
    planned: VecDeque<Mark>,
    /// Marks that there was no room for yet.
    waiting: VecDeque<Mark>,
    marks: usize,
    marks_dropped: u64,
    /// A threshold ended the run.
    aborted: bool,
    /// When the run began to wind down.
    winding: Option<Duration>,
    cut_off: bool,
}

impl Feed {
    pub(super) fn new(
        fleet: &Arc<Fleet>,
        stop: &StopSwitch,
        aggregate: &Aggregate,
        lines: mpsc::Sender<Line>,
    ) -> Self {
        Self {
            fleet: Arc::clone(fleet),
            stop: stop.clone(),
            lines,
            cutter: Cutter::new(aggregate),
            planned: planned(&fleet.plan).into(),
            waiting: VecDeque::new(),
            marks: 0,
            marks_dropped: 0,
            aborted: false,
            winding: None,
            cut_off: false,
        }
    }

    /// To be called several times a second.
    pub(super) fn tick(&mut self, aggregate: &Aggregate, elapsed: Duration, pace: &Pace) {
        self.look(elapsed);
        while let Some(mark) = self.waiting.pop_front() {
            if let Err(mpsc::error::TrySendError::Full(Line::Mark(mark))) =
                self.lines.try_send(Line::Mark(mark))
            {
                self.waiting.push_front(mark);
                return;
            }
        }
        if let Some(boundary) = self.cutter.boundary(elapsed)
            && let Ok(room) = self.lines.try_reserve()
        {
            let due = due(&self.fleet, pace, self.winding, boundary);
            let interval = self.cutter.cut(aggregate, boundary, due);
            room.send(Line::Interval(Box::new(interval)));
        }
    }

    /// Notes what ends the run.
    pub(super) fn aborted(&mut self, by: &Aborted) {
        self.aborted = true;
        let elapsed = Duration::try_from_secs_f64(by.at_s).unwrap_or_default();
        let text = format!("{}, observed {}", by.expression, by.observed);
        self.mark(moment(elapsed, MarkKind::ThresholdCrossed, text));
    }

    /// Notes what somebody changed.
    pub(super) fn steered(&mut self, change: &Steered) {
        let at = Duration::try_from_secs_f64(change.at_s).unwrap_or_default();
        self.mark(moment(at, MarkKind::Steered, change.effect.clone()));
    }

    /// Notes what was changed before this process led the run.
    pub(super) fn steered_before(&mut self, changes: &[Steered]) {
        for change in changes {
            let (at_s, effect) = (change.at_s, &change.effect);
            tracing::warn!(at_s, "steered before this process led the run: {effect}");
            self.steered(change);
        }
    }

    /// Notes that a process of the run died.
    pub(super) fn died(&mut self, death: &str, elapsed: Duration) {
        self.mark(moment(elapsed, MarkKind::ProcessDied, death.to_owned()));
    }

    /// Notes a trial of a search.
    pub(super) fn trial(&mut self, trial: &Tried) {
        let text = format!(
            "trial {}: {:.1} devices per second ({})",
            trial.trial,
            trial.rate,
            trial.purpose.as_str()
        );
        self.mark(moment(trial.begins, MarkKind::Trial, text));
    }

    /// The last interval and the end, after which nothing follows.
    pub(super) async fn end(mut self, aggregate: &Aggregate, elapsed: Duration, pace: &Pace) {
        self.look(elapsed);
        let due = due(&self.fleet, pace, self.winding, elapsed);
        let interval = self.cutter.cut(aggregate, elapsed, due);
        let end = End::new(elapsed, self.marks_dropped);
        let marks = self.waiting.drain(..).map(Line::Mark);
        for line in marks.chain([Line::Interval(Box::new(interval)), Line::End(end)]) {
            // A writer that is gone has its own word to say.
            let _ = self.lines.send(line).await;
        }
    }

    /// Notes what has happened by now.
    fn look(&mut self, elapsed: Duration) {
        let now = elapsed.as_secs_f64();
        while let Some(mark) = self.planned.pop_front_if(|mark| mark.at_s <= now) {
            self.mark(mark);
        }
        let stop = self.stop.now();
        if self.winding.is_none() && stop >= Stop::Winding {
            self.winding = Some(elapsed);
            let text = if self.stop.was_raised() {
                "the end was asked for: no device starts any more"
            } else if self.aborted {
                "a threshold ended the run: no device starts any more"
            } else {
                "the plan is over: no device starts any more"
            };
            self.mark(moment(elapsed, MarkKind::WindingDown, text.to_owned()));
        }
        if !self.cut_off && stop == Stop::Now {
            self.cut_off = true;
            let text = "what was still under way was cut off".to_owned();
            self.mark(moment(elapsed, MarkKind::CutOff, text));
        }
    }

    fn mark(&mut self, mark: Mark) {
        if self.marks < MARKS_MAX {
            self.marks += 1;
            self.waiting.push_back(mark);
        } else {
            self.marks_dropped += 1;
        }
    }
}

/// Devices that were due by an offset; none is any more once the run winds down.
fn due(fleet: &Fleet, pace: &Pace, winding: Option<Duration>, by: Duration) -> Option<u64> {
    if fleet.plan.search.is_some() {
        // Its trials follow from what came before.
        return None;
    }
    let by = winding.map_or(by, |winding| winding.min(by));
    fleet.schedule.due_before(pace.open_shows(by))
}

fn moment(at: Duration, kind: MarkKind, text: String) -> Mark {
    Mark {
        at_s: at.as_secs_f64(),
        until_s: None,
        kind,
        text,
    }
}

/// What is known beforehand: the scenario's events, and when its target stalls or is down.
fn planned(plan: &Plan) -> Vec<Mark> {
    let events = plan.life.events.iter().map(|event| {
        let (kind, what) = match event.kind {
            EventKind::PowerLoss => (MarkKind::PowerLoss, "power loss"),
            EventKind::Disconnect => (MarkKind::Disconnect, "good-bye"),
            EventKind::Takeover => (MarkKind::Takeover, "take-over"),
            EventKind::Rotate => (MarkKind::Rotate, "new certificates"),
        };
        let share = event.share * 100.0;
        let until = (!event.spread.is_zero()).then(|| event.at + event.spread);
        Mark {
            until_s: until.map(|until| until.as_secs_f64()),
            ..moment(event.at, kind, format!("{what}: {share} % of the devices"))
        }
    });
    let lasting = |when: &Outage, kind, text: &str| Mark {
        until_s: Some((when.at + when.length).as_secs_f64()),
        ..moment(when.at, kind, text.to_owned())
    };
    let mut marks: Vec<Mark> = events.collect();
    if let TargetPlan::Embedded { faults, .. } = &plan.target {
        let stalls = faults.stall.iter().map(|stall| &stall.when);
        marks.extend(stalls.map(|when| lasting(when, MarkKind::TargetStall, "the target stalls")));
        let outages = faults.restart.iter();
        marks.extend(outages.map(|w| lasting(w, MarkKind::TargetRestart, "the target restarts")));
    }
    marks.sort_by(|one, two| one.at_s.total_cmp(&two.at_s));
    marks
}
