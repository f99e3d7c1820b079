//! Faults of judgement on purpose, for proving that a test suite finds them. Off by default; no
//! real server is meant to have one.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use super::answer::Answer;
use super::credentials::Stored;
use crate::model::Bug;

/// What the bugs remember.
#[derive(Default)]
pub(super) struct Bugs {
    race: Option<Mutex<HashMap<String, Instant>>>,
    foreign: Option<Mutex<Foreign>>,
}

#[derive(Default)]
struct Foreign {
    answered: u64,
    last: Option<Stored>,
}

impl Bugs {
    pub(super) fn new(bugs: &[Bug]) -> Self {
        Self {
            race: bugs.contains(&Bug::AcceptRace).then(Mutex::default),
            foreign: bugs.contains(&Bug::ForeignToken).then(Mutex::default),
        }
    }

    /// Whether another request for this name is under way, now that one more comes.
    pub(super) fn racing(&self, name: &str, now: Instant) -> bool {
        let Some(race) = &self.race else {
            return false;
        };
        let mut race = race.lock().expect("nothing panics while it is held");
        if race.len() >= NAMES {
            race.retain(|_, since| now - *since < UNDER_WAY);
        }
        let before = race.insert(name.to_owned(), now);
        before.is_some_and(|since| now - since < UNDER_WAY)
    }

    /// How long answers take at least: as long as a request is under way, so that whoever waits
    /// for the first answer is never in a race.
    pub(super) fn at_least(&self) -> Duration {
        if self.race.is_some() {
            UNDER_WAY
        } else {
            Duration::ZERO
        }
    }

    /// The answer, or every tenth time the one before it.
    pub(super) fn answered(&self, answer: Answer) -> Answer {
        let (Some(foreign), Answer::Success(own)) = (&self.foreign, &answer) else {
            return answer;
        };
        let mut foreign = foreign.lock().expect("nothing panics while it is held");
        foreign.answered += 1;
        let before = foreign.last.replace(own.clone());
        match before {
            Some(before) if foreign.answered.is_multiple_of(EVERY) => Answer::Success(before),
            _ => answer,
        }
    }
}

/// How long a request is under way, as far as the race goes.
const UNDER_WAY: Duration = Duration::from_millis(20);

/// Every so many devices get the credentials of the one before.
const EVERY: u64 = 10;

/// Names remembered before old ones are forgotten.
const NAMES: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::super::credentials::{Kind, Wanted};
    use super::*;

    #[test]
    fn only_requests_of_one_name_at_one_time_race() {
        let bugs = Bugs::new(&[Bug::AcceptRace]);
        let now = Instant::now();
        assert!(!bugs.racing("a", now));
        assert!(!bugs.racing("b", now));
        assert!(bugs.racing("a", now + UNDER_WAY / 2));
        assert!(!bugs.racing("a", now + UNDER_WAY * 3));
        assert!(bugs.at_least() >= UNDER_WAY);
        let sound = Bugs::new(&[]);
        assert!(!sound.racing("a", now) && !sound.racing("a", now));
        assert!(sound.at_least().is_zero());
    }

    #[test]
    fn every_tenth_device_gets_what_is_anothers() {
        let bugs = Bugs::new(&[Bug::ForeignToken]);
        let token = |n: u32| {
            let wanted = Wanted {
                token: format!("t{n}"),
                ..Wanted::default()
            };
            Answer::Success(Stored::settle(Kind::AccessToken, &wanted).unwrap())
        };
        let foreign: Vec<u32> = (1..=30)
            .filter(|&n| match bugs.answered(token(n)) {
                Answer::Success(stored) => stored.token() != Some(&format!("t{n}")),
                _ => true,
            })
            .collect();
        assert_eq!(foreign, [10, 20, 30]);
    }
}
