//! What is true of a device, from what is known of it here and what the server has.

use crate::model::Outcome;

/// What is known of a device here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// It is on a list, and was to be provisioned.
    Provisioned,
    /// It is on a list, and was only to be imported.
    Imported,
    /// A run says how it ended.
    Outcome(Outcome),
}

/// What a server has under a device's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Whether its profile is the one asked for.
    pub profile: bool,
    /// When its `provisionState` became `provisioned`, milliseconds since 1970 by the server's
    /// clock; `None` if it is not.
    pub provisioned: Option<i64>,
    /// Whether its credentials are those that the run was given; `None` where that is not known.
    pub credentials: Option<bool>,
}

/// What is true of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// It is provisioned, and that was known.
    Provisioned,
    /// It is on the server and not provisioned, as it was to be.
    Imported,
    /// It is not provisioned, and nobody said it was.
    NeverProvisioned,
    /// It was provisioned before the run, which was refused for that.
    Before,
    /// The run does not know, and the server did provision it: its answer was lost on the way.
    AnswerLost,
    /// The run did not provision it, and the server says that it was in that time.
    Unreported,
    /// It should be on the server, and is not.
    Missing,
    /// The run was told that it was provisioned, and the server says that it is not.
    NotProvisioned,
    /// It was only to be imported, and is provisioned.
    TooEarly,
    /// It is there with another profile.
    OtherProfile,
    /// It is provisioned, and its credentials are not those that the run was given.
    OtherCredentials,
}

impl Standing {
    /// All of them, in the order of reports.
    pub const ALL: [Self; 11] = [
        Self::Provisioned,
        Self::Imported,
        Self::NeverProvisioned,
        Self::Before,
        Self::AnswerLost,
        Self::Unreported,
        Self::Missing,
        Self::NotProvisioned,
        Self::TooEarly,
        Self::OtherProfile,
        Self::OtherCredentials,
    ];

    /// Its name in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Provisioned => "provisioned",
            Self::Imported => "imported",
            Self::NeverProvisioned => "never_provisioned",
            Self::Before => "provisioned_before",
            Self::AnswerLost => "answer_lost",
            Self::Unreported => "unreported",
            Self::Missing => "missing",
            Self::NotProvisioned => "not_provisioned",
            Self::TooEarly => "too_early",
            Self::OtherProfile => "other_profile",
            Self::OtherCredentials => "other_credentials",
        }
    }

    /// What it means, for people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Provisioned => "provisioned",
            Self::Imported => "imported, and not yet provisioned",
            Self::NeverProvisioned => "never provisioned",
            Self::Before => "provisioned before the run",
            Self::AnswerLost => "provisioned though the answer was lost",
            Self::Unreported => "provisioned though the run says it was not",
            Self::Missing => "not on the server",
            Self::NotProvisioned => "not provisioned though the run was told so",
            Self::TooEarly => "provisioned already",
            Self::OtherProfile => "with another profile",
            Self::OtherCredentials => "with other credentials than the run was given",
        }
    }

    /// Whether nothing has to be done about it, given what was known.
    pub const fn is_right(self, expected: Expected) -> bool {
        match self {
            Self::Provisioned | Self::Imported => true,
            // The run has told it; a list did not.
            Self::NeverProvisioned | Self::Before => matches!(expected, Expected::Outcome(_)),
            _ => false,
        }
    }
}

/// Judges a device. `since` is when the run began, by the server's clock.
pub fn judge(expected: Expected, found: Option<Found>, since: Option<i64>) -> Standing {
    let Some(found) = found else {
        return match expected {
            Expected::Provisioned
            | Expected::Imported
            | Expected::Outcome(Outcome::Provisioned) => Standing::Missing,
            Expected::Outcome(_) => Standing::NeverProvisioned,
        };
    };
    if !found.profile {
        return Standing::OtherProfile;
    }
    let before = |at| since.is_some_and(|since| at < since);
    match (expected, found.provisioned) {
        (
            Expected::Provisioned
            | Expected::Outcome(
                Outcome::Refused | Outcome::Failed | Outcome::Unknown | Outcome::Unfinished,
            ),
            None,
        ) => Standing::NeverProvisioned,
        (Expected::Imported, None) => Standing::Imported,
        (Expected::Imported, Some(_)) => Standing::TooEarly,
        (Expected::Outcome(Outcome::Provisioned), None) => Standing::NotProvisioned,
        (Expected::Provisioned | Expected::Outcome(Outcome::Provisioned), Some(_)) => {
            match found.credentials {
                Some(false) => Standing::OtherCredentials,
                _ => Standing::Provisioned,
            }
        }
        (Expected::Outcome(_), Some(at)) if before(at) => Standing::Before,
        (Expected::Outcome(Outcome::Unknown), Some(_)) => Standing::AnswerLost,
        (Expected::Outcome(_), Some(_)) => Standing::Unreported,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(provisioned: Option<i64>) -> Found {
        Found {
            profile: true,
            provisioned,
            credentials: None,
        }
    }

    #[test]
    fn what_the_run_says_and_what_the_server_has_give_the_truth() {
        use Expected as E;
        use Standing as S;
        let run = Expected::Outcome;
        for (expected, at, standing) in [
            (run(Outcome::Provisioned), Some(100), S::Provisioned),
            (run(Outcome::Provisioned), None, S::NotProvisioned),
            (run(Outcome::Unknown), Some(100), S::AnswerLost),
            (run(Outcome::Unknown), Some(99), S::Before),
            (run(Outcome::Unknown), None, S::NeverProvisioned),
            (run(Outcome::Refused), Some(99), S::Before),
            (run(Outcome::Refused), Some(101), S::Unreported),
            (run(Outcome::Failed), Some(101), S::Unreported),
            (run(Outcome::Unfinished), Some(101), S::Unreported),
            (run(Outcome::Failed), None, S::NeverProvisioned),
            (E::Provisioned, Some(5), S::Provisioned),
            (E::Provisioned, None, S::NeverProvisioned),
            (E::Imported, None, S::Imported),
            (E::Imported, Some(5), S::TooEarly),
        ] {
            let judged = judge(expected, Some(found(at)), Some(100));
            assert_eq!(judged, standing, "{expected:?} {at:?}");
        }
    }

    #[test]
    fn a_device_that_is_not_there_is_missing_only_if_it_should_be() {
        assert_eq!(judge(Expected::Imported, None, None), Standing::Missing);
        let run = |outcome| judge(Expected::Outcome(outcome), None, Some(0));
        assert_eq!(run(Outcome::Provisioned), Standing::Missing);
        assert_eq!(run(Outcome::Unknown), Standing::NeverProvisioned);
    }

    #[test]
    fn another_profile_or_other_credentials_are_told() {
        let mut there = found(Some(100));
        there.credentials = Some(false);
        let run = Expected::Outcome(Outcome::Provisioned);
        assert_eq!(judge(run, Some(there), None), Standing::OtherCredentials);
        there.profile = false;
        assert_eq!(judge(run, Some(there), None), Standing::OtherProfile);
        assert!(!Standing::OtherProfile.is_right(run));
        assert!(Standing::NeverProvisioned.is_right(Expected::Outcome(Outcome::Unknown)));
        assert!(!Standing::NeverProvisioned.is_right(Expected::Provisioned));
    }
}
