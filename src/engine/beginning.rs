//! Where the devices of a run begin that has a past: from the ledger to what each still has to do.

use std::collections::HashSet;
use std::time::Duration;

use super::fleet::{Fleet, FleetError};
use crate::arrival::StartingPlace;
use crate::ledger::{Fate, Issued, Past, Trace};
use crate::metrics::Recorder;
use crate::model::{
    Cause, Credentials, DeviceIx, Expectation, FaultKind, Observed, Outcome, Phase,
};
use crate::scenario::CredentialsPlan;

/// Where a device begins. What has none begins as ever: it asks.
#[derive(Clone, Debug)]
pub(super) enum Beginning {
    /// It has credentials and goes on with them.
    Known(Known),
    /// The server may have provisioned it with these credentials: whether they let it in says so.
    InDoubt {
        /// Those that it asked for.
        credentials: Credentials,
        /// Requests so far.
        attempts: u32,
    },
    /// It asks, and should the server know it already, that was an earlier request, whose answer is
    /// lost.
    AsksAgain {
        /// Requests so far.
        attempts: u32,
    },
    /// It is over. Boxed: the longest, and few are.
    Settled(Box<Fate>),
}

/// A device that was provisioned before.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) credentials: Credentials,
    pub(super) attempts: u32,
    pub(super) time_to_provision: Option<Duration>,
}

impl Beginning {
    pub(super) fn settled(fate: Fate) -> Self {
        Self::Settled(Box::new(fate))
    }

    /// Telemetry and first telemetry are told by the part that saw them.
    fn of_this_run(self) -> Self {
        match self {
            Self::Settled(fate) => Self::settled(Fate {
                time_to_first_telemetry: None,
                telemetry_sent: 0,
                telemetry_acked: 0,
                ..*fate
            }),
            other => other,
        }
    }

    /// Provision requests of earlier parts.
    pub(super) fn attempts(&self) -> u32 {
        match self {
            Self::Known(known) => known.attempts,
            Self::InDoubt { attempts, .. } | Self::AsksAgain { attempts } => *attempts,
            Self::Settled(fate) => fate.attempts,
        }
    }
}

/// What a run that has a past does with it.
#[derive(Clone, Debug, Default)]
pub struct Resumption {
    /// Devices in doubt whose credentials the server makes ask again: a server that provisions a
    /// device once refuses those whose answer was lost.
    pub ask_again: bool,
    /// Refused and failed devices with one of these causes ask anew, and nobody else does anything.
    pub retry: Option<HashSet<Cause>>,
}

/// All devices' beginnings; none where a run has no past.
#[derive(Debug, Default)]
pub(super) struct Beginnings(Vec<Option<Beginning>>);

impl Beginnings {
    pub(super) fn of(
        fleet: &Fleet,
        past: &Past,
        resumption: &Resumption,
    ) -> Result<Self, FleetError> {
        let none = Trace::default();
        let beginnings = fleet.listed().map(|ix| {
            if !fleet.has(ix) {
                return Ok(None);
            }
            let trace = past.trace(ix).unwrap_or(&none);
            let beginning = match &resumption.retry {
                Some(causes) => Ok(retried(fleet, ix, trace, causes)),
                None => resumed(fleet, ix, trace, past.power_lost, resumption.ask_again),
            };
            Ok(beginning?.map(Beginning::of_this_run))
        });
        Ok(Self(beginnings.collect::<Result<_, FleetError>>()?))
    }

    /// Every device has these credentials already.
    pub(super) fn with_credentials(all: Vec<Option<Issued>>) -> Self {
        let known = |issued: Option<Issued>| {
            Some(Beginning::Known(Known {
                credentials: issued?.credentials,
                attempts: 0,
                time_to_provision: None,
            }))
        };
        // Not `collect`: that would keep the room of the list that it is made of.
        let mut beginnings = Vec::with_capacity(all.len());
        beginnings.extend(all.into_iter().map(known));
        Self(beginnings)
    }

    /// The device begins there.
    pub(super) fn put(&mut self, ix: DeviceIx, beginning: Beginning) {
        if self.0.len() <= ix.get() {
            self.0.resize(ix.get() + 1, None);
        }
        self.0[ix.get()] = Some(beginning.of_this_run());
    }

    pub(super) fn get(&self, ix: DeviceIx) -> Option<&Beginning> {
        self.0.get(ix.get())?.as_ref()
    }

    /// When it has its turn: who has no credentials comes first.
    pub(super) fn place(&self, ix: DeviceIx) -> StartingPlace {
        match self.get(ix) {
            Some(Beginning::Settled(_)) => StartingPlace::None,
            Some(Beginning::Known(_)) => StartingPlace::Behind,
            _ => StartingPlace::Ahead,
        }
    }
}

impl Fleet {
    /// The fates of devices that were over before this run began, for each listed one.
    pub fn settled(&self) -> Vec<Option<Fate>> {
        let settled = |ix| match self.beginning(ix) {
            Some(Beginning::Settled(fate)) => Some(**fate),
            _ => None,
        };
        self.listed().map(settled).collect()
    }

    /// Whether every device has had its end, and none has to ask or to be asked about. Those that
    /// have credentials may still have telemetry to send.
    pub fn is_settled(&self, past: &Past) -> bool {
        self.devices().all(|ix| {
            let ended = past.trace(ix).is_some_and(|trace| trace.fate.is_some());
            ended && self.beginnings.place(ix) != StartingPlace::Ahead
        })
    }

    /// What is to be counted before this run's first device starts: those that are over, and those
    /// that have their credentials.
    pub fn counted_before(&self) -> Recorder {
        let mut recorder = Recorder::new(self.plan.cohorts.len());
        for ix in self.devices() {
            if let Some((outcome, cause)) = self.counted_of(ix) {
                recorder.outcome(self.cohort_ix(ix), outcome, cause);
            }
        }
        recorder
    }

    pub(super) fn counted_of(&self, ix: DeviceIx) -> Option<(Outcome, Option<Cause>)> {
        match self.beginning(ix)? {
            Beginning::Settled(fate) => Some((fate.outcome, fate.cause)),
            Beginning::Known(_) => Some((Outcome::Provisioned, None)),
            Beginning::InDoubt { .. } | Beginning::AsksAgain { .. } => None,
        }
    }

    /// What becomes of a device that this run does not come to.
    pub(super) fn fate_unless_started(&self, ix: DeviceIx) -> Fate {
        self.fate_at(ix, self.beginning(ix))
    }

    /// The same, counted.
    pub(super) fn written_off(&self, ix: DeviceIx, recorder: &mut Recorder) -> Fate {
        let (fate, cohort) = (self.fate_unless_started(ix), self.cohort_ix(ix));
        // Who has credentials is counted already.
        if fate.outcome != Outcome::Provisioned {
            recorder.outcome(cohort, fate.outcome, fate.cause);
        }
        // The process that died had started it.
        if self.goes_on(ix) {
            recorder.start_when_free(cohort);
        }
        fate
    }

    /// What becomes of a device that is left where it began.
    pub(super) fn fate_at(&self, ix: DeviceIx, beginning: Option<&Beginning>) -> Fate {
        let unasked = fate(self, ix, Outcome::Unfinished, Some(Cause::NotStarted));
        match beginning {
            Some(Beginning::Settled(fate)) => **fate,
            Some(Beginning::Known(known)) => provisioned(self, ix, known),
            Some(Beginning::InDoubt { attempts, .. } | Beginning::AsksAgain { attempts })
                if *attempts > 0 =>
            {
                in_doubt(self, ix, *attempts)
            }
            _ => unasked,
        }
    }
}

pub(super) fn resumed(
    fleet: &Fleet,
    ix: DeviceIx,
    trace: &Trace,
    power_lost: bool,
    ask_again: bool,
) -> Result<Option<Beginning>, FleetError> {
    let cohort = fleet.cohort(ix);
    let over = |outcome| outcome != Outcome::Unfinished && outcome != Outcome::Unknown;
    let attempts = trace.attempts.max(1);
    let settled = |fate| Ok(Some(Beginning::settled(fate)));
    if let Some((_, issued)) = &trace.granted {
        let known = Known {
            credentials: issued.credentials.clone(),
            attempts,
            time_to_provision: trace.time_to_provision,
        };
        // A wrong that was done is not done again.
        let honest = cohort.misbehaviour.is_none() && cohort.expected() == Expectation::Provisioned;
        if honest && fleet.plan.stays() {
            return Ok(Some(Beginning::Known(known)));
        }
        let seen = trace.fate.filter(|fate| over(fate.outcome));
        return settled(seen.unwrap_or_else(|| provisioned(fleet, ix, &known)));
    }
    if let Some(fate) = trace.fate.filter(|fate| over(fate.outcome)) {
        return settled(fate);
    }
    if !trace.is_in_doubt() {
        let forgotten = power_lost && trace.fate.is_none();
        return Ok(forgotten.then_some(Beginning::AsksAgain { attempts: 0 }));
    }
    if cohort.misbehaviour.is_some() {
        return settled(in_doubt(fleet, ix, attempts));
    }
    match &cohort.credentials {
        // The certificate itself is the request, however often it is shown.
        CredentialsPlan::X509Chain(_) => Ok(None),
        CredentialsPlan::Server if ask_again => Ok(Some(Beginning::AsksAgain { attempts })),
        CredentialsPlan::Server => settled(in_doubt(fleet, ix, attempts)),
        _ => Ok(fleet.own(ix)?.map(|credentials| Beginning::InDoubt {
            credentials,
            attempts,
        })),
    }
}

fn retried(
    fleet: &Fleet,
    ix: DeviceIx,
    trace: &Trace,
    causes: &HashSet<Cause>,
) -> Option<Beginning> {
    let Some(seen) = trace.fate else {
        // Cut off by a crash, or never reached: as at the end of a run.
        let unasked = fate(fleet, ix, Outcome::Unfinished, Some(Cause::NotStarted));
        let attempts = trace.attempts.max(1);
        let known = trace.granted.as_ref().map(|(_, issued)| Known {
            credentials: issued.credentials.clone(),
            attempts,
            time_to_provision: trace.time_to_provision,
        });
        return Some(Beginning::settled(match known {
            Some(known) => provisioned(fleet, ix, &known),
            None if trace.is_in_doubt() => in_doubt(fleet, ix, attempts),
            None => unasked,
        }));
    };
    let asks = matches!(seen.outcome, Outcome::Refused | Outcome::Failed)
        && seen.cause.is_some_and(|cause| causes.contains(&cause));
    (!asks).then(|| Beginning::settled(seen))
}

fn provisioned(fleet: &Fleet, ix: DeviceIx, known: &Known) -> Fate {
    Fate {
        observed: Observed::Provisioned,
        credentials_type: known.credentials.type_name(),
        attempts: known.attempts,
        time_to_provision: known.time_to_provision,
        ..fate(fleet, ix, Outcome::Provisioned, None)
    }
}

fn in_doubt(fleet: &Fleet, ix: DeviceIx, attempts: u32) -> Fate {
    Fate {
        observed: Observed::Unknown,
        attempts,
        ..fate(fleet, ix, Outcome::Unknown, Some(ANSWER_LOST))
    }
}

fn fate(fleet: &Fleet, ix: DeviceIx, outcome: Outcome, cause: Option<Cause>) -> Fate {
    Fate {
        outcome,
        observed: Observed::Unfinished,
        credentials_type: fleet.cohort(ix).credentials.type_name(),
        cause,
        attempts: 0,
        time_to_provision: None,
        time_to_first_telemetry: None,
        telemetry_sent: 0,
        telemetry_acked: 0,
    }
}

/// The run ended between request and answer.
pub(super) const ANSWER_LOST: Cause = Cause::At(Phase::Provision, FaultKind::CutOff);

#[cfg(test)]
mod tests {
    use super::*;

    /// Each device of a fleet that is provisioned already has one.
    #[test]
    fn a_beginning_stays_small() {
        assert!(size_of::<Credentials>() <= 24);
        assert!(size_of::<Option<Beginning>>() <= 48);
    }

    #[test]
    fn beginnings_do_not_keep_the_room_of_what_they_are_made_of() {
        let all = std::iter::repeat_with(|| None).take(64).collect();
        assert_eq!(Beginnings::with_credentials(all).0.capacity(), 64);
    }
}
