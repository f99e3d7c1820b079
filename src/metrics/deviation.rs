//! What it means that devices did not go as expected: a stable word and a plain sentence.
//!
//! Every word is in `docs/metrics.md`. Names of devices are never part of a message.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{Expectation, Misbehaviour, Observed, units};

/// Devices of a cohort that went alike, and not as expected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deviation {
    /// The stable word, such as `accepted_wrong_secret`.
    pub finding: String,
    /// What happened to them.
    pub observed: Observed,
    /// How many they are.
    pub count: u64,
    /// The fault in words, with figures.
    pub message: String,
    /// The devices' causes, where there were any; not all of very many.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub causes: BTreeMap<String, u64>,
}

impl Deviation {
    /// Adds the counts of devices that went alike in another run; the sentence is left as it was.
    pub(super) fn add(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        for (cause, n) in other.causes {
            let sum = self.causes.entry(cause).or_default();
            *sum = sum.saturating_add(n);
        }
    }
}

/// The deviation of `count` out of `devices`, whose expectation and misbehaviour were `asked`.
pub(super) fn of_cell(
    asked: (Expectation, Option<Misbehaviour>),
    observed: Observed,
    (count, devices): (u64, u64),
    causes: BTreeMap<String, u64>,
) -> Deviation {
    let (finding, sentence) = words(asked, observed);
    let share = format!(
        "{} of {} {}",
        units::count(count),
        units::count(devices),
        if devices == 1 { "device" } else { "devices" },
    );
    let message = match observed {
        Observed::Failed | Observed::Unknown => {
            let verb = if count == 1 { "says" } else { "say" };
            format!("{share} {verb} {sentence}{}", named(&causes))
        }
        _ => format!("{sentence}: {share}"),
    };
    Deviation {
        finding,
        observed,
        count,
        message,
        causes,
    }
}

/// The most frequent cause, and whether there are others.
fn named(causes: &BTreeMap<String, u64>) -> String {
    let most = causes
        .iter()
        .min_by_key(|(cause, n)| (Reverse(**n), *cause));
    match most {
        None => String::new(),
        Some((cause, _)) if causes.len() == 1 => format!(" ({cause})"),
        Some((cause, _)) => format!(" (mostly {cause})"),
    }
}

/// The stable word and the sentence of what lies off the diagonal.
fn words(
    (expected, misbehaviour): (Expectation, Option<Misbehaviour>),
    observed: Observed,
) -> (String, &'static str) {
    let other = |sentence| {
        let (observed, expected) = (observed.as_str(), expected.as_str());
        (format!("{observed}_not_{expected}"), sentence)
    };
    let plain = |word: &str, sentence| (word.to_owned(), sentence);
    match (observed, expected, misbehaviour) {
        (Observed::Provisioned, _, Some(what)) => {
            (format!("accepted_{}", what.as_str()), accepted(what))
        }
        (Observed::Provisioned, Expectation::Rejected, None) => {
            other("the server let in what it had to keep out")
        }
        (Observed::Provisioned, _, None) => other("the server granted what it had to refuse"),
        (Observed::Refused, Expectation::Provisioned, None) | (Observed::Barred, ..) => plain(
            "refused_rightful_request",
            "the rightful request was refused",
        ),
        (Observed::Refused, Expectation::Provisioned, Some(Misbehaviour::PaddedName)) => plain(
            "refused_padded_name",
            "the server refused a name with blanks around it, which it has to trim",
        ),
        (Observed::Refused, Expectation::Rejected, _) => {
            other("the server refused the request of a device that it had to keep out")
        }
        (Observed::Refused, ..) => other("the server refused what it had to grant"),
        (Observed::Rejected, Expectation::Refused, _) => {
            other("the server kept out a device whose request it had to refuse")
        }
        (Observed::Rejected, ..) => other("the server kept out a device that it had to let in"),
        (Observed::Failed | Observed::Unknown, ..) => {
            plain("inconclusive", "nothing about the server's judgement")
        }
        (Observed::Unfinished, ..) => plain("unfinished", "cut off by the end of the run"),
    }
}

/// A server that lets this pass breaks its promise so.
fn accepted(what: Misbehaviour) -> &'static str {
    match what {
        Misbehaviour::WrongSecret => "the server accepted a wrong provision secret",
        Misbehaviour::WrongKey => "the server accepted a provision key that no profile has",
        Misbehaviour::UnlistedName => "the server provisioned a name that is on no list",
        Misbehaviour::BlankName => "the server provisioned a name of nothing but blanks",
        Misbehaviour::PaddedName => "the server provisioned a name with blanks around it",
        Misbehaviour::EmptyName => "the server provisioned a device without a name",
        Misbehaviour::DuplicateName => "the server provisioned a name that another device has",
        Misbehaviour::SecondProvisioning => "the server provisioned a device a second time",
        Misbehaviour::ConcurrentRequests => "two concurrent requests for one name both succeeded",
        Misbehaviour::TakenCredentials => {
            "the server granted credentials that a device already has"
        }
        Misbehaviour::OtherProfile => {
            "the server provisioned a device by the key of another device profile"
        }
        Misbehaviour::ExpiredCertificate => "the server let in an expired certificate",
        Misbehaviour::ForeignCa => "the server let in a certificate of an unknown authority",
        Misbehaviour::CnMismatch => {
            "the server let in a common name that the profile's pattern excludes"
        }
        Misbehaviour::ReplayAfterLoss => {
            "the server granted a request that repeats one whose answer was lost"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Cause, FaultKind, Phase};

    const DOC: &str = include_str!("../../docs/metrics.md");

    fn off_diagonal() -> impl Iterator<Item = ((Expectation, Option<Misbehaviour>), Observed)> {
        let asked = Expectation::ALL.into_iter().flat_map(|expected| {
            let some = Misbehaviour::WORDS
                .map(|(_, wrong)| Some(wrong))
                .into_iter();
            some.chain([None]).map(move |what| (expected, what))
        });
        asked.flat_map(|asked| {
            let off = Observed::ALL.into_iter().filter(move |o| !o.meets(asked.0));
            off.map(move |observed| (asked, observed))
        })
    }

    #[test]
    fn every_word_is_documented_with_its_sentence() {
        for (asked, observed) in off_diagonal() {
            let (word, sentence) = words(asked, observed);
            let row = format!("| `{word}` | {sentence} |");
            assert!(DOC.contains(&row), "docs/metrics.md lacks the row\n{row}");
        }
    }

    #[test]
    fn a_deviation_names_the_servers_fault_with_its_figures() {
        let none = BTreeMap::new();
        let message = |expected, what, observed, counts| {
            of_cell((expected, what), observed, counts, none.clone()).message
        };
        let refused = Expectation::Refused;
        for (got, says) in [
            (
                message(
                    refused,
                    Some(Misbehaviour::WrongSecret),
                    Observed::Provisioned,
                    (12, 12),
                ),
                "the server accepted a wrong provision secret: 12 of 12 devices",
            ),
            (
                message(
                    refused,
                    Some(Misbehaviour::ConcurrentRequests),
                    Observed::Provisioned,
                    (1, 1_200),
                ),
                "two concurrent requests for one name both succeeded: 1 of 1,200 devices",
            ),
            (
                message(
                    refused,
                    Some(Misbehaviour::SecondProvisioning),
                    Observed::Barred,
                    (1, 1),
                ),
                "the rightful request was refused: 1 of 1 device",
            ),
            (
                message(refused, None, Observed::Unknown, (2, 9)),
                "2 of 9 devices say nothing about the server's judgement",
            ),
        ] {
            assert_eq!(got, says);
        }
    }

    #[test]
    fn what_says_nothing_names_its_most_frequent_cause() {
        let timeout = Cause::At(Phase::Provision, FaultKind::Timeout);
        let reset = Cause::At(Phase::MqttConnect, FaultKind::ConnectionReset);
        let asked = (Expectation::Refused, None);
        let of = |causes: &[(Cause, u64)]| {
            let words = causes.iter().map(|(cause, n)| (cause.to_string(), *n));
            let causes: BTreeMap<String, u64> = words.collect();
            let count = causes.values().sum();
            of_cell(asked, Observed::Failed, (count, 50), causes).message
        };
        assert_eq!(
            of(&[(timeout, 1)]),
            "1 of 50 devices says nothing about the server's judgement (provision.timeout)"
        );
        assert_eq!(
            of(&[(timeout, 3), (reset, 2)]),
            "5 of 50 devices say nothing about the server's judgement (mostly provision.timeout)"
        );
    }
}
