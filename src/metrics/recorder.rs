//! What one worker recorded since its last frame.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::counts::{LiveState, ReconnectCounts, RotationCounts, TelemetryCounts};
use super::downlink::DownlinkCounts;
use super::errors::Errors;
use super::gateway::GatewayCounts;
use super::latency::{Latency, add, histogram, micros};
use super::tally::Tally;
use crate::model::{Cause, CohortIx, Outcome, Phase};

/// A start is late when it lags behind its due time by more than this.
pub const LATE_AFTER: Duration = Duration::from_millis(10);

/// Owned by one worker: recording takes no lock. Histograms (two of 188 kB for each cohort and
/// phase) are made when a phase first occurs.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorder {
    pub(super) cohorts: Vec<Tally>,
    pub(super) lag: Option<Box<Histogram<u64>>>,
    pub(super) message_lag: Option<Box<Histogram<u64>>>,
    pub(super) errors: Errors,
}

impl Recorder {
    /// An empty one for a scenario of so many cohorts.
    pub fn new(cohorts: usize) -> Self {
        Self {
            cohorts: vec![Tally::default(); cohorts],
            lag: None,
            message_lag: None,
            errors: Errors::default(),
        }
    }

    /// One completed step: `response` from its intended start, `service` from its actual send.
    /// Kept in whole µs, 1 µs to 1 h; what lies beyond is counted at that bound.
    pub fn sample(
        &mut self,
        cohort: CohortIx,
        phase: Phase,
        response: Duration,
        service: Duration,
    ) {
        self.tally(cohort).phases[phase as usize]
            .latency
            .get_or_insert_with(|| Box::new(Latency::new()))
            .record(response, service);
    }

    /// One step that did not complete: `phases.<phase>.errors`.
    pub fn phase_error(&mut self, cohort: CohortIx, phase: Phase) {
        self.tally(cohort).phases[phase as usize].errors += 1;
    }

    /// One attempt at a step that is not the first one: `phases.<phase>.retries`.
    pub fn retry(&mut self, cohort: CohortIx, phase: Phase) {
        self.tally(cohort).phases[phase as usize].retries += 1;
    }

    /// Sessions lost and found again since the last call.
    pub fn reconnects(&mut self, cohort: CohortIx, counts: &ReconnectCounts) {
        self.tally(cohort).reconnects.add(counts);
    }

    /// Certificates rotated since the last call.
    pub fn rotations(&mut self, cohort: CohortIx, counts: &RotationCounts) {
        self.tally(cohort).rotations.add(counts);
    }

    /// What devices were sent, and what became of it, since the last call.
    pub fn downlink(&mut self, cohort: CohortIx, counts: &DownlinkCounts) {
        self.tally(cohort).downlink.add(counts);
    }

    /// What became of gateways and those behind them since the last call.
    pub fn gateway(&mut self, cohort: CohortIx, counts: &GatewayCounts) {
        self.tally(cohort).gateway.add(counts);
    }

    /// One device's start, `lag` after it was due (zero in the closed model).
    pub fn start(&mut self, cohort: CohortIx, lag: Duration) {
        let tally = self.tally(cohort);
        tally.started += 1;
        tally.late += u64::from(lag > LATE_AFTER);
        record_lag(&mut self.lag, lag);
    }

    /// One telemetry message handed to its connection, `lag` after it could have been: it was due,
    /// its device had its connection and the end of the message before.
    pub fn message_lag(&mut self, lag: Duration) {
        record_lag(&mut self.message_lag, lag);
    }

    /// One device's start in the closed model, beside others that can lag: its zero would hide them.
    pub fn start_when_free(&mut self, cohort: CohortIx) {
        self.tally(cohort).started += 1;
    }

    /// How one device's provisioning ended, and why if not well. To be called exactly once for
    /// each listed device; the cause is counted in `errors`.
    pub fn outcome(&mut self, cohort: CohortIx, outcome: Outcome, cause: Option<Cause>) {
        let tally = self.tally(cohort);
        tally.outcomes[outcome as usize] += 1;
        tally.never_started += u64::from(cause == Some(Cause::NotStarted));
        if let Some(cause) = cause {
            self.errors.count(cause, 1);
        }
    }

    /// A fault after provisioning (reconnect, telemetry): counted in `errors`, no outcome changes.
    pub fn error(&mut self, cause: Cause) {
        self.errors.count(cause, 1);
    }

    /// Telemetry messages since the last call.
    pub fn telemetry(&mut self, cohort: CohortIx, sent: u64, acked: u64, lost: u64) {
        self.tally(cohort)
            .telemetry
            .add(&TelemetryCounts { sent, acked, lost });
    }

    /// So many devices more (or less) are now in that state.
    pub fn gauge(&mut self, cohort: CohortIx, state: LiveState, change: i64) {
        let tally = self.tally(cohort);
        match state {
            LiveState::BringingUp => tally.bringing_up += change,
            LiveState::Live => tally.live += change,
        }
    }

    /// Hands out what was recorded since the last call and goes on with `spare`, a frame that was
    /// handed back (or, without one, a new recorder). A spare that still holds something is
    /// emptied first: what it holds was added when it was handed out.
    #[must_use = "what is taken is not counted unless it is added"]
    pub fn take(&mut self, spare: Option<Self>) -> Self {
        let cohorts = self.cohorts.len();
        let mut next = spare
            .filter(|spare| spare.cohorts.len() == cohorts)
            .unwrap_or_else(|| Self::new(cohorts));
        next.clear();
        std::mem::replace(self, next)
    }

    /// Nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.errors.is_empty()
            && [&self.lag, &self.message_lag]
                .into_iter()
                .flatten()
                .all(|lag| lag.is_empty())
            && self.cohorts.iter().all(Tally::is_empty)
    }

    /// Forgets everything recorded; keeps the memory of histograms.
    pub fn clear(&mut self) {
        self.errors = Errors::default();
        for lag in [&mut self.lag, &mut self.message_lag].into_iter().flatten() {
            if !lag.is_empty() {
                lag.reset();
            }
        }
        self.cohorts.iter_mut().for_each(Tally::clear);
    }

    /// Adds what another recorded: associative and commutative, so that workers, processes and
    /// hosts may be summed in any order.
    ///
    /// # Panics
    /// When the two are not of the same scenario (number of cohorts).
    pub fn add(&mut self, other: &Self) {
        assert_eq!(
            self.cohorts.len(),
            other.cohorts.len(),
            "recorders of one run have the same cohorts"
        );
        for (sum, tally) in self.cohorts.iter_mut().zip(&other.cohorts) {
            sum.add(tally);
        }
        for (sum, lag) in [
            (&mut self.lag, &other.lag),
            (&mut self.message_lag, &other.message_lag),
        ] {
            if let Some(lag) = lag.as_ref().filter(|lag| !lag.is_empty()) {
                add(sum.get_or_insert_with(|| Box::new(histogram())), lag);
            }
        }
        self.errors.add(&other.errors);
    }

    fn tally(&mut self, cohort: CohortIx) -> &mut Tally {
        &mut self.cohorts[cohort.get()]
    }
}

fn record_lag(into: &mut Option<Box<Histogram<u64>>>, lag: Duration) {
    into.get_or_insert_with(|| Box::new(histogram()))
        .saturating_record(if lag.is_zero() { 0 } else { micros(lag) });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::carried::CarriedRecorder;
    use super::super::errors::DISTINCT_CAUSES_MAX;
    use super::*;
    use crate::model::FaultKind;

    const ONE: CohortIx = CohortIx(0);

    fn us(n: u64) -> Duration {
        Duration::from_micros(n)
    }

    /// One call on a recorder of two cohorts.
    #[derive(Clone, Debug)]
    enum Call {
        Sample(u16, usize, u64, u64),
        PhaseError(u16, usize),
        Start(u16, u64),
        MessageLag(u64),
        Outcome(u16, usize, Option<u16>),
        Telemetry(u16, u64),
        Retry(u16, usize),
        Reconnects(u16, u64),
        Downlink(u16, u64),
        Gateway(u16, u64),
        Gauge(u16, bool, i64),
    }

    fn calls() -> impl Strategy<Value = Vec<Call>> {
        let call = prop_oneof![
            (
                0..2u16,
                0..Phase::COUNT,
                0..5_000_000_000u64,
                0..5_000_000u64
            )
                .prop_map(|(c, p, r, s)| Call::Sample(c, p, r, s)),
            (0..2u16, 0..Phase::COUNT).prop_map(|(c, p)| Call::PhaseError(c, p)),
            (0..2u16, 0..30_000u64).prop_map(|(c, lag)| Call::Start(c, lag)),
            (0..30_000u64).prop_map(Call::MessageLag),
            (0..2u16, 0..5usize, prop::option::of(0..700u16))
                .prop_map(|(c, o, cause)| Call::Outcome(c, o, cause)),
            (0..2u16, 0..9u64).prop_map(|(c, n)| Call::Telemetry(c, n)),
            (0..2u16, 0..Phase::COUNT).prop_map(|(c, p)| Call::Retry(c, p)),
            (0..2u16, 0..9u64).prop_map(|(c, n)| Call::Reconnects(c, n)),
            (0..2u16, 0..9u64).prop_map(|(c, n)| Call::Downlink(c, n)),
            (0..2u16, 0..9u64).prop_map(|(c, n)| Call::Gateway(c, n)),
            (0..2u16, any::<bool>(), -3..3i64).prop_map(|(c, s, n)| Call::Gauge(c, s, n)),
        ];
        prop::collection::vec(call, 0..40)
    }

    fn play(recorder: &mut Recorder, calls: &[Call]) {
        for call in calls {
            match *call {
                Call::Sample(c, p, r, s) => {
                    recorder.sample(CohortIx(c), Phase::ALL[p], us(r), us(s));
                }
                Call::Retry(c, p) => recorder.retry(CohortIx(c), Phase::ALL[p]),
                Call::Reconnects(c, lost) => {
                    let back = lost / 2;
                    let counts = ReconnectCounts {
                        lost,
                        back,
                        ..ReconnectCounts::default()
                    };
                    recorder.reconnects(CohortIx(c), &counts);
                }
                Call::Downlink(c, n) => {
                    let counts = DownlinkCounts {
                        unasked: n,
                        ..DownlinkCounts::default()
                    };
                    recorder.downlink(CohortIx(c), &counts);
                }
                Call::Gateway(c, n) => {
                    let counts = GatewayCounts {
                        closed: n,
                        ..GatewayCounts::default()
                    };
                    recorder.gateway(CohortIx(c), &counts);
                }
                Call::PhaseError(c, p) => recorder.phase_error(CohortIx(c), Phase::ALL[p]),
                Call::Start(c, lag) => recorder.start(CohortIx(c), us(lag)),
                Call::MessageLag(lag) => recorder.message_lag(us(lag)),
                Call::Outcome(c, o, cause) => recorder.outcome(
                    CohortIx(c),
                    Outcome::ALL[o],
                    cause.map(|code| Cause::At(Phase::Provision, FaultKind::HttpStatus(code))),
                ),
                Call::Telemetry(c, n) => recorder.telemetry(CohortIx(c), n, n / 2, n / 3),
                Call::Gauge(c, true, n) => recorder.gauge(CohortIx(c), LiveState::Live, n),
                Call::Gauge(c, false, n) => recorder.gauge(CohortIx(c), LiveState::BringingUp, n),
            }
        }
    }

    fn played(calls: &[Call]) -> Recorder {
        let mut recorder = Recorder::new(2);
        play(&mut recorder, calls);
        recorder
    }

    fn sum(parts: &[&Recorder]) -> Recorder {
        let mut sum = Recorder::new(2);
        for part in parts {
            sum.add(part);
        }
        sum
    }

    fn only_codes(from: u16, to: u16) -> Recorder {
        let mut recorder = Recorder::new(1);
        for code in from..to {
            recorder.error(Cause::At(Phase::Provision, FaultKind::HttpStatus(code)));
        }
        recorder
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn a_sum_does_not_depend_on_order_or_grouping(
            a in calls(), b in calls(), c in calls(),
        ) {
            let (one, two, three) = (played(&a), played(&b), played(&c));
            prop_assert_eq!(sum(&[&one, &two]), sum(&[&two, &one]));
            prop_assert_eq!(
                sum(&[&sum(&[&one, &two]), &three]),
                sum(&[&one, &sum(&[&two, &three])])
            );
        }

        #[test]
        fn what_comes_from_another_process_adds_up_bucket_for_bucket(a in calls(), b in calls()) {
            let (one, two) = (played(&a), played(&b));
            let text = serde_json::to_string(&CarriedRecorder::of(&two)).unwrap();
            let carried: CarriedRecorder = serde_json::from_str(&text).unwrap();
            let mut together = one.clone();
            let mut overall = Tally::default();
            carried.add_to(&mut together, &mut overall);
            prop_assert_eq!(together, sum(&[&one, &two]));
            let mut all = Tally::default();
            two.cohorts.iter().for_each(|tally| all.add(tally));
            prop_assert_eq!(overall, all);
        }

        #[test]
        fn frames_add_up_to_what_one_recorder_would_hold(a in calls(), b in calls()) {
            let whole = played(&[a.clone(), b.clone()].concat());
            let mut worker = Recorder::new(2);
            play(&mut worker, &a);
            let first = worker.take(None);
            play(&mut worker, &b);
            let second = worker.take(Some(first.clone()));
            prop_assert!(worker.is_empty(), "a spare is emptied");
            prop_assert_eq!(sum(&[&first, &second]), sum(&[&whole]));
        }

        #[test]
        fn a_cleared_recorder_records_as_a_new_one(a in calls(), b in calls()) {
            let mut reused = played(&a);
            reused.clear();
            prop_assert!(reused.is_empty());
            play(&mut reused, &b);
            prop_assert_eq!(sum(&[&reused]), sum(&[&played(&b)]));
        }
    }

    #[test]
    fn more_causes_than_the_bound_lose_their_word_and_never_their_count() {
        let (low, high) = (only_codes(0, 300), only_codes(200, 900));
        let (mut one, mut two) = (low.clone(), high.clone());
        one.add(&high);
        two.add(&low);
        assert_eq!(one, two);
        assert_eq!(one.errors.iter().count(), DISTINCT_CAUSES_MAX);
        let counted: u64 = one.errors.iter().map(|(_, n)| n).sum();
        assert_eq!(counted + one.errors.other, 300 + 700);
    }

    #[test]
    fn codes_of_a_hostile_server_never_displace_a_plain_cause() {
        let mut recorder = Recorder::new(1);
        let plain = Cause::At(Phase::TimeToFirstTelemetry, FaultKind::Failure);
        recorder.error(plain);
        recorder.add(&only_codes(0, 2_000));
        for code in 0..=u8::MAX {
            for kind in [
                FaultKind::TlsAlert(code),
                FaultKind::ConnackReason(code),
                FaultKind::PubackReason(code),
                FaultKind::DisconnectReason(code),
            ] {
                recorder.error(Cause::At(Phase::TcpConnect, kind));
            }
        }
        assert_eq!(recorder.errors.iter().count(), DISTINCT_CAUSES_MAX);
        let plain_causes = super::super::cause::plain_words().count();
        assert!(plain_causes < DISTINCT_CAUSES_MAX, "{plain_causes}");
        recorder.error(plain);
        assert!(
            recorder
                .errors
                .iter()
                .any(|(cause, n)| cause == plain && n == 2)
        );
    }

    #[test]
    fn a_start_is_late_only_beyond_the_limit() {
        let mut recorder = Recorder::new(1);
        recorder.start(ONE, Duration::ZERO);
        recorder.start(ONE, LATE_AFTER);
        recorder.start(ONE, LATE_AFTER + Duration::from_nanos(1));
        assert_eq!(recorder.cohorts[0].started, 3);
        assert_eq!(recorder.cohorts[0].late, 1);
    }

    #[test]
    fn phases_that_do_not_occur_cost_no_histogram() {
        let mut recorder = Recorder::new(3);
        recorder.sample(ONE, Phase::Provision, us(5), us(5));
        let made: usize = recorder
            .cohorts
            .iter()
            .flat_map(|tally| &tally.phases)
            .filter(|phase| phase.latency.is_some())
            .count();
        assert_eq!(made, 1);
    }

    #[test]
    fn a_spare_of_another_scenario_is_not_used() {
        let mut recorder = Recorder::new(2);
        recorder.phase_error(CohortIx(1), Phase::Provision);
        let full = recorder.take(Some(Recorder::new(5)));
        assert!(!full.is_empty());
        recorder.phase_error(CohortIx(1), Phase::Provision);
        let mut sum = Recorder::new(2);
        sum.add(&full);
        sum.add(&recorder);
        assert_eq!(sum.cohorts[1].phases[Phase::Provision as usize].errors, 2);
    }
}
