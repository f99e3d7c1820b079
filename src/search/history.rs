//! The search itself: the history of trials, and what follows from it.

use super::rules::SearchRules;
use crate::model::{SearchEnd, TrialPurpose, TrialVerdict};

/// A rate to be tried.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trial {
    /// Devices per second.
    pub rate: f64,
    /// Why.
    pub purpose: TrialPurpose,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Next {
    /// This trial; [`Search::took`] is to be told what came of it.
    Trial(Trial),
    /// Nothing more.
    Over(SearchEnd),
}

/// What is known of where the limit is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bracket {
    /// The highest rate that held, below all that did not.
    pub held: Option<f64>,
    /// The lowest rate that did not hold, and whose doing that was.
    pub broken: Option<(f64, TrialVerdict)>,
}

/// A search under way.
#[derive(Clone, Debug)]
pub struct Search {
    rules: SearchRules,
    tried: Vec<(Trial, TrialVerdict)>,
}

impl Search {
    /// Nothing tried yet.
    pub fn new(rules: SearchRules) -> Self {
        Self {
            rules,
            tried: Vec::new(),
        }
    }

    /// What came of the trial that [`Self::next`] says.
    ///
    /// # Panics
    /// When the search is over.
    pub fn took(&mut self, verdict: TrialVerdict) {
        let Next::Trial(trial) = self.next() else {
            panic!("the search is over: there was no trial");
        };
        self.tried.push((trial, verdict));
    }

    /// The next trial, or how the search ended. Asks for the same until [`Self::took`] is called.
    pub fn next(&self) -> Next {
        if let Some((last, TrialVerdict::Generator)) = self.tried.last()
            && !self.is_given_up(last.rate)
        {
            return self.unless_used_up(*last);
        }
        let Bracket { held, broken } = self.bracket();
        match (held, broken) {
            (None, None) => self.trial(self.rules.from, TrialPurpose::Step),
            (None, Some((rate, verdict))) if self.is_settled(rate) => Next::Over(match verdict {
                TrialVerdict::Generator => SearchEnd::GeneratorLimited,
                _ => SearchEnd::BrokenAtFrom,
            }),
            (None, Some((rate, _))) => self.trial(rate, TrialPurpose::Recheck),
            (Some(held), None) if held >= self.rules.to => {
                self.confirmed(held, SearchEnd::HeldAtTo)
            }
            (Some(held), None) => {
                let next = (held * self.rules.step).min(self.rules.to);
                self.trial(next, TrialPurpose::Step)
            }
            (Some(held), Some((broken, verdict))) => {
                let middle = (held * broken).sqrt();
                if !self.is_narrow(held, broken) && middle > held && middle < broken {
                    self.trial(middle, TrialPurpose::Bisect)
                } else if !self.is_settled(broken) {
                    self.trial(broken, TrialPurpose::Recheck)
                } else if verdict == TrialVerdict::Generator {
                    self.confirmed(held, SearchEnd::GeneratorLimited)
                } else {
                    self.confirmed(held, SearchEnd::Found)
                }
            }
        }
    }

    /// Where the limit is, as far as is known.
    pub fn bracket(&self) -> Bracket {
        let rates = || self.tried.iter().map(|(trial, _)| trial.rate);
        let broken = rates()
            .filter(|rate| !self.holds(*rate))
            .min_by(f64::total_cmp);
        let below = |rate: &f64| broken.is_none_or(|broken| *rate < broken);
        let held = rates()
            .filter(|rate| self.holds(*rate))
            .filter(below)
            .max_by(f64::total_cmp);
        Bracket {
            held,
            broken: broken.map(|rate| (rate, self.blame(rate))),
        }
    }

    /// How often a rate was confirmed.
    pub fn confirmations(&self, rate: f64) -> u32 {
        let confirmed = self.at(rate).filter(|(trial, verdict)| {
            trial.purpose == TrialPurpose::Confirm && *verdict == TrialVerdict::Held
        });
        confirmed.count() as u32
    }

    fn confirmed(&self, rate: f64, end: SearchEnd) -> Next {
        if self.confirmations(rate) < self.rules.confirm {
            self.trial(rate, TrialPurpose::Confirm)
        } else {
            Next::Over(end)
        }
    }

    fn trial(&self, rate: f64, purpose: TrialPurpose) -> Next {
        self.unless_used_up(Trial { rate, purpose })
    }

    fn unless_used_up(&self, trial: Trial) -> Next {
        if self.tried.len() >= self.rules.trials as usize {
            Next::Over(SearchEnd::TrialsUsedUp)
        } else {
            Next::Trial(trial)
        }
    }

    fn at(&self, rate: f64) -> impl Iterator<Item = &(Trial, TrialVerdict)> {
        let same = move |(trial, _): &&(Trial, TrialVerdict)| trial.rate.total_cmp(&rate).is_eq();
        self.tried.iter().filter(same)
    }

    /// A rate holds when it held the last time, and never broke when it was to be confirmed. What
    /// the generator spoiled once is not asked.
    fn holds(&self, rate: f64) -> bool {
        let mut holds = false;
        for (trial, verdict) in self.at(rate) {
            match (verdict, trial.purpose) {
                (TrialVerdict::Broken, TrialPurpose::Confirm) => return false,
                (verdict, _) => holds = *verdict == TrialVerdict::Held,
            }
        }
        holds
    }

    /// Whose doing it is that a rate does not hold: the target's as soon as it broke once.
    fn blame(&self, rate: f64) -> TrialVerdict {
        let broke = self.at(rate).any(|(_, v)| *v == TrialVerdict::Broken);
        if broke {
            TrialVerdict::Broken
        } else {
            TrialVerdict::Generator
        }
    }

    /// The generator spoiled a rate's last two trials.
    fn is_given_up(&self, rate: f64) -> bool {
        let verdicts: Vec<_> = self.at(rate).map(|(_, verdict)| *verdict).collect();
        verdicts.ends_with(&[TrialVerdict::Generator; 2])
    }

    /// Whether a rate that does not hold need not be tried again: it failed twice, or once after it
    /// had held.
    fn is_settled(&self, rate: f64) -> bool {
        let failed = self.at(rate).filter(|(_, v)| *v != TrialVerdict::Held);
        let confirm = |(trial, verdict): &(Trial, TrialVerdict)| {
            trial.purpose == TrialPurpose::Confirm && *verdict == TrialVerdict::Broken
        };
        self.rules.confirm == 0 || failed.count() >= 2 || self.at(rate).any(confirm)
    }

    fn is_narrow(&self, held: f64, broken: f64) -> bool {
        broken - held <= held * self.rules.precision
    }
}
