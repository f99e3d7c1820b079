//! The coordinator's part of a search: calls the rounds out, watches them, has them judged.
//!
//! One run, one clock, one recorder per worker; what measured devices leave goes through a second
//! recorder, so that a trial's figures are those of its own devices, however late they end.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::fleet::Fleet;
use super::rounds::{Call, Calls, Round};
use super::usage::Sampler;
use crate::metrics::{
    Aggregate, Ending, Evidence, Recorder, SearchRow, SearchSummary, TrialSummary, Tried, Window,
};
use crate::model::{DeviceIx, SearchEnd};
use crate::search::{Next, Search, SearchRules, Trial};

/// A search under way.
pub(super) struct Director {
    fleet: Arc<Fleet>,
    rules: SearchRules,
    search: Search,
    calls: watch::Sender<Call>,
    /// Devices that were given to trials so far.
    given: u32,
    stage: Stage,
    trials: Vec<TrialSummary>,
}

enum Stage {
    /// Nothing under way; the next trial begins then.
    Pause(Duration),
    Running(Running),
    /// All devices have ended; it is judged once its evidence is there.
    Ended(Running),
    Over(SearchEnd),
}

struct Running {
    round: Arc<Round>,
    window: Window,
    /// The evidence of its time is being gathered.
    gathering: bool,
}

impl Director {
    /// `None` where nothing is searched.
    pub(super) fn of(fleet: &Arc<Fleet>) -> Option<Self> {
        let rules = fleet.plan.search?;
        Some(Self {
            fleet: Arc::clone(fleet),
            rules,
            search: Search::new(rules),
            calls: watch::Sender::new(Call::Wait),
            given: 0,
            stage: Stage::Pause(Duration::ZERO),
            trials: Vec::new(),
        })
    }

    /// For a worker.
    pub(super) fn calls(&self) -> Calls {
        Calls::new(self.calls.subscribe())
    }

    /// What a worker recorded of devices that count.
    pub(super) fn add(&mut self, delta: &Recorder) {
        // What comes later is of connections that end: no step and no outcome.
        if let Stage::Running(running) = &mut self.stage {
            running.window.add(delta);
        }
    }

    /// To be called several times a second. Returns the trial that begins now, if one does.
    pub(super) fn tick(
        &mut self,
        aggregate: &mut Aggregate,
        sampler: &Sampler,
        elapsed: Duration,
    ) -> Option<Tried> {
        let stage = std::mem::replace(&mut self.stage, Stage::Pause(Duration::ZERO));
        let (stage, begun) = match stage {
            Stage::Pause(until) if elapsed >= until => self.call_out(aggregate, elapsed),
            Stage::Running(mut running) => {
                if !running.gathering && elapsed >= running.round.counts_from() {
                    running.gathering = true;
                    sampler.open_window();
                }
                if aggregate.decided() < u64::from(self.given) {
                    (Stage::Running(running), None)
                } else {
                    sampler.close_window();
                    (Stage::Ended(running), None)
                }
            }
            Stage::Ended(running) => match sampler.window() {
                None => (Stage::Ended(running), None),
                Some(evidence) => {
                    let tried = running.round.tried;
                    self.judge(running, evidence);
                    aggregate.set_search(self.row(&tried));
                    (Stage::Pause(elapsed + self.rules.cool_down), None)
                }
            },
            stage @ (Stage::Pause(_) | Stage::Over(_)) => (stage, None),
        };
        self.stage = stage;
        begun
    }

    fn call_out(&mut self, aggregate: &mut Aggregate, elapsed: Duration) -> (Stage, Option<Tried>) {
        let trial = match self.search.next() {
            Next::Trial(trial) => trial,
            Next::Over(end) => return (self.over(end), None),
        };
        let left = self.fleet.len() - self.given;
        if self.rules.devices_of(&trial) > left {
            return (self.over(SearchEnd::ListUsedUp), None);
        }
        let tried = self.tried(trial, elapsed + LEAD);
        let round = Arc::new(Round::new(tried));
        self.given = round.devices().end;
        let window = Window::new(aggregate.setting(), &self.dealt(&round), tried);
        aggregate.set_search(self.row(&tried));
        self.calls.send_replace(Call::Start(Arc::clone(&round)));
        tracing::info!(
            trial = tried.trial,
            purpose = trial.purpose.as_str(),
            rate = trial.rate,
            "trial begins"
        );
        let running = Running {
            round,
            window,
            gathering: false,
        };
        (Stage::Running(running), Some(tried))
    }

    fn over(&self, end: SearchEnd) -> Stage {
        self.calls.send_replace(Call::Over);
        tracing::info!(end = end.as_str(), "search ended");
        Stage::Over(end)
    }

    fn tried(&self, trial: Trial, begins: Duration) -> Tried {
        Tried {
            trial: self.trials.len() as u32 + 1,
            purpose: trial.purpose,
            rate: trial.rate,
            begins,
            hold: self.rules.hold_of(trial.purpose),
            first: self.given,
            warm_up: self.rules.warm_up_devices(trial.rate),
            measured: self.rules.measured_devices(&trial),
        }
    }

    /// How many of the devices that count each cohort has.
    fn dealt(&self, round: &Round) -> Vec<u64> {
        let mut dealt = vec![0; self.fleet.plan.cohorts.len()];
        for ix in round.counts() {
            dealt[self.fleet.cohort_ix(DeviceIx(ix)).get()] += 1;
        }
        dealt
    }

    fn judge(&mut self, running: Running, evidence: Evidence) {
        let ending = Ending {
            elapsed: running.round.tried.hold,
            interrupted: false,
            aborted: None,
            search: None,
            dropped: 0,
            cpu_s: 0.0,
            peak_rss_bytes: 0,
            workers: self.fleet.plan.limits.workers,
            processes: 1,
            generator_includes_target: false,
        };
        let provisioned = running.round.provisioned();
        let judged = running.window.judge(provisioned, evidence, ending);
        let verdict = judged.verdict.expect("a judged trial has a verdict");
        tracing::info!(
            trial = judged.trial,
            rate = judged.rate_per_s,
            achieved = judged.achieved_per_s,
            verdict = verdict.as_str(),
            "trial judged"
        );
        self.search.took(verdict);
        self.trials.push(judged);
    }

    fn row(&self, tried: &Tried) -> SearchRow {
        let bracket = self.search.bracket();
        SearchRow {
            trial: tried.trial,
            purpose: tried.purpose,
            rate: tried.rate,
            last: self.trials.last().and_then(|trial| trial.verdict),
            held: bracket.held,
            broken: bracket.broken.map(|(rate, _)| rate),
        }
    }

    /// What was found, as far as the search has come.
    pub(super) fn finish(mut self) -> SearchSummary {
        let ended = match self.stage {
            Stage::Over(end) => end,
            Stage::Running(running) | Stage::Ended(running) => {
                self.trials.push(running.round.tried.unfinished());
                SearchEnd::Interrupted
            }
            Stage::Pause(_) => SearchEnd::Interrupted,
        };
        let bracket = self.search.bracket();
        let broken = bracket.broken.map(|(rate, _)| rate);
        SearchSummary::new(ended, (bracket.held, broken), self.rules.need, self.trials)
    }
}

/// From the call to the first device of a trial: every worker has heard of it by then.
const LEAD: Duration = Duration::from_millis(100);
