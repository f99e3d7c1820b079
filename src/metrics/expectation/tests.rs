use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::metrics::{Aggregate, Ending, Finding, Recorder, Threshold, fixture};
use crate::model::{FaultKind, Outcome, Phase};

const ONE: CohortIx = CohortIx(0);
const TIMEOUT: Cause = Cause::At(Phase::Provision, FaultKind::Timeout);

/// A run of one cohort of so many devices.
fn setting(
    expect: Option<Expectation>,
    misbehaviour: Option<Misbehaviour>,
    listed: u64,
) -> Setting {
    let mut setting = fixture::setting();
    setting.cohorts.truncate(1);
    setting.thresholds.clear();
    (setting.listed, setting.planned) = (listed, listed);
    let cohort = &mut setting.cohorts[0];
    (cohort.expect, cohort.misbehaviour, cohort.listed) = (expect, misbehaviour, listed);
    setting
}

fn wrong_secret(listed: u64) -> Setting {
    setting(None, Some(Misbehaviour::WrongSecret), listed)
}

/// The judged result of devices that were observed so. Their outcomes play no part.
fn judged(setting: Setting, end: Ending, observed: &[Observed]) -> Summary {
    let mut matrix = Matrix::new(&setting);
    let mut recorder = Recorder::new(setting.cohorts.len());
    for (n, observed) in observed.iter().enumerate() {
        matrix.add(ONE, *observed, &format!("device {n}"), None);
        recorder.outcome(ONE, Outcome::Refused, None);
    }
    let mut aggregate = Aggregate::new(setting);
    aggregate.add(&recorder);
    let mut summary = aggregate.finish(end);
    summary.judge(matrix, Findings::default());
    summary
}

fn rows(setting: &Setting, observed: &[(Observed, &str, Option<Cause>)]) -> Vec<ExpectationRow> {
    let mut matrix = Matrix::new(setting);
    for (observed, device, cause) in observed {
        matrix.add(ONE, *observed, device, *cause);
    }
    matrix.rows(true)
}

#[test]
fn refused_devices_pass_where_that_is_expected() {
    let summary = judged(wrong_secret(3), fixture::ending(), &[Observed::Refused; 3]);
    assert_eq!(summary.result, RunResult::Passed);
    assert_eq!(summary.thresholds, [], "no demand that all be provisioned");
    let row = &summary.expectations[0];
    assert_eq!((row.off, row.devices()), (0, 3));
    assert_eq!((row.deviations.len(), row.examples.len()), (0, 0));
}

#[test]
fn one_device_off_the_diagonal_fails_the_run() {
    for off in Observed::ALL {
        let observed = [Observed::Refused, Observed::Refused, off];
        let summary = judged(wrong_secret(3), fixture::ending(), &observed);
        let expected = if off == Observed::Refused {
            RunResult::Passed
        } else {
            RunResult::Failed
        };
        assert_eq!(summary.result, expected, "{off:?}");
    }
}

#[test]
fn what_is_graver_stays_and_an_interruption_excuses_the_unfinished_alone() {
    let interrupted = Ending {
        interrupted: true,
        ..fixture::ending()
    };
    let cut = [
        Observed::Refused,
        Observed::Unfinished,
        Observed::Unfinished,
    ];
    let summary = judged(wrong_secret(3), interrupted.clone(), &cut);
    assert_eq!(summary.result, RunResult::Interrupted);
    let row = &summary.expectations[0];
    assert_eq!((row.off, row.observed[&Observed::Unfinished]), (0, 2));
    assert!(row.deviations.is_empty() && row.examples.is_empty());

    let accepted = [
        Observed::Refused,
        Observed::Unfinished,
        Observed::Provisioned,
    ];
    let summary = judged(wrong_secret(3), interrupted, &accepted);
    assert_eq!(summary.result, RunResult::Interrupted);
    assert_eq!(summary.expectations[0].off, 1);
    assert_eq!(
        summary.expectations[0].deviations[0].finding,
        "accepted_wrong_secret"
    );
}

#[test]
fn an_invalid_run_stays_invalid() {
    let setting = wrong_secret(1);
    let mut matrix = Matrix::new(&setting);
    matrix.add(ONE, Observed::Provisioned, "a", None);
    let mut recorder = Recorder::new(1);
    recorder.start(ONE, std::time::Duration::from_secs(2));
    recorder.outcome(ONE, Outcome::Provisioned, None);
    let mut aggregate = Aggregate::new(setting);
    aggregate.add(&recorder);
    let mut summary = aggregate.finish(fixture::ending());
    summary.judge(matrix, Findings::default());
    assert_eq!(summary.result, RunResult::Invalid);
    assert!(!summary.expectations_met());
}

#[test]
fn without_a_stated_expectation_nothing_changes() {
    let mut summary = fixture::summary();
    let before = summary.clone();
    let mut matrix = Matrix::new(&fixture::setting());
    matrix.add(ONE, Observed::Failed, "a", None);
    summary.judge(matrix, Findings::default());
    assert_eq!(summary, before);
    let json = serde_json::to_value(&summary).expect("plain words");
    for key in ["expectations", "findings", "notes"] {
        assert!(json.get(key).is_none(), "{key}");
    }
}

#[test]
fn a_finding_fails_a_run_that_states_nothing() {
    let mut findings = Findings::default();
    findings.add(Finding::SharedCredentials {
        first: "a".to_owned(),
        second: "b".to_owned(),
    });
    let mut summary = fixture::summary();
    summary.result = RunResult::Passed;
    summary.judge(Matrix::new(&fixture::setting()), findings);
    assert_eq!(summary.result, RunResult::Failed);
    assert_eq!(
        serde_json::to_value(&summary.findings).expect("plain words"),
        json!([{
            "kind": "shared_credentials",
            "count": 1,
            "examples": [["a", "b"]],
            "message": "the server gave the same credentials to two devices: 1 time",
        }])
    );
}

#[test]
fn the_other_cohorts_are_judged_unless_a_threshold_speaks_of_devices() {
    let mut two = fixture::setting();
    two.thresholds.clear();
    two.cohorts[1].expect = Some(Expectation::Refused);
    let names = |setting: &Setting| {
        let rows = Matrix::new(setting).rows(true);
        rows.into_iter()
            .map(|row| (row.cohort, row.expected))
            .collect::<Vec<_>>()
    };
    let meters = ("meters".to_owned(), Expectation::Provisioned);
    let valves = ("valves".to_owned(), Expectation::Refused);
    assert_eq!(names(&two), [meters.clone(), valves.clone()]);
    two.thresholds =
        vec![Threshold::parse("provision.p99", "< 1s", std::iter::empty()).expect("legal")];
    assert_eq!(names(&two), [meters, valves.clone()]);
    two.thresholds =
        vec![Threshold::parse("devices.failed", "< 5", std::iter::empty()).expect("legal")];
    assert_eq!(names(&two), [valves]);
    two.cohorts[1].expect = None;
    assert_eq!(names(&two), []);
}

#[test]
fn a_stated_expectation_outweighs_what_the_misbehaviour_deserves() {
    for (expect, misbehaviour, expected) in [
        (None, None, Expectation::Provisioned),
        (None, Some(Misbehaviour::WrongKey), Expectation::Refused),
        (None, Some(Misbehaviour::ForeignCa), Expectation::Rejected),
        (
            None,
            Some(Misbehaviour::PaddedName),
            Expectation::Provisioned,
        ),
        (Some(Expectation::Rejected), None, Expectation::Rejected),
        (
            Some(Expectation::Provisioned),
            Some(Misbehaviour::WrongKey),
            Expectation::Provisioned,
        ),
    ] {
        let setting = setting(expect, misbehaviour, 1);
        assert_eq!(setting.cohorts[0].expectation(), expected);
        let stated = expect.is_some() || misbehaviour.is_some();
        assert_eq!(setting.states_expectations(), stated);
    }
}

#[test]
fn a_row_has_the_keys_that_scripts_rely_on() {
    let row = &rows(
        &wrong_secret(3),
        &[
            (Observed::Refused, "a", Some(TIMEOUT)),
            (Observed::Provisioned, "b\n\x1b[2J", None),
            (Observed::Failed, "c", Some(TIMEOUT)),
        ],
    )[0];
    let expected = json!({
        "cohort": "meters",
        "misbehaviour": "wrong_secret",
        "expected": "refused",
        "observed": { "provisioned": 1, "refused": 1, "failed": 1 },
        "off": 2,
        "deviations": [
            {
                "finding": "accepted_wrong_secret",
                "observed": "provisioned",
                "count": 1,
                "message": "the server accepted a wrong provision secret: 1 of 3 devices",
            },
            {
                "finding": "inconclusive",
                "observed": "failed",
                "count": 1,
                "message": "1 of 3 devices says nothing about the server's judgement \
                            (provision.timeout)",
                "causes": { "provision.timeout": 1 },
            },
        ],
        "examples": [
            { "device": "b\n\x1b[2J", "observed": "provisioned" },
            { "device": "c", "observed": "failed", "cause": "provision.timeout" },
        ],
    });
    let json = serde_json::to_value(row).expect("plain words");
    assert_eq!(json, expected);
    let again: ExpectationRow = serde_json::from_value(json).expect("own form");
    assert_eq!(again, *row);
}

#[test]
fn many_time_outs_do_not_hide_the_one_accepted_device() {
    let names: Vec<String> = (0..100).map(|n| format!("slow {n}")).collect();
    let slow = |name| (Observed::Failed, name, Some(TIMEOUT));
    let mut observed: Vec<_> = names.iter().map(|name| slow(name.as_str())).collect();
    observed.push((Observed::Provisioned, "let in", None));
    let row = &rows(&wrong_secret(101), &observed)[0];
    let devices: Vec<&str> = row.examples.iter().map(|e| e.device.as_str()).collect();
    assert_eq!(devices, ["slow 0", "slow 1", "slow 2", "slow 3", "let in"]);
}

#[test]
#[should_panic(expected = "observed exactly once")]
fn a_device_that_nobody_observed_is_a_bug_and_no_result() {
    let mut summary = fixture::summary();
    let mut setting = fixture::setting();
    setting.cohorts[0].expect = Some(Expectation::Provisioned);
    summary.judge(Matrix::new(&setting), Findings::default());
}

#[test]
fn outcomes_that_are_as_expected_want_no_attention() {
    let summary = fixture::negative_summary();
    let snapshot = fixture::negative().0.tick(std::time::Duration::ZERO);
    for (outcome, alarming) in [
        (Outcome::Provisioned, 0),
        // Not the 50 wrong secrets, but the one of `twice` that was barred.
        (Outcome::Refused, 1),
        (Outcome::Failed, 0),
        (Outcome::Unknown, 0),
    ] {
        assert_eq!(summary.alarming(outcome), alarming, "{outcome:?}");
        assert_eq!(snapshot.alarming(outcome), alarming, "{outcome:?}");
    }
    let asked = |what| (Misbehaviour::expected(what), Some(what));
    let alarms = |what, outcome| crate::metrics::setting::alarms(asked(what), outcome);
    assert!(alarms(Misbehaviour::WrongSecret, Outcome::Provisioned));
    assert!(!alarms(Misbehaviour::DuplicateName, Outcome::Provisioned));
    assert!(alarms(Misbehaviour::WrongSecret, Outcome::Failed));
    assert!(!alarms(Misbehaviour::ForeignCa, Outcome::Refused));
    assert!(alarms(Misbehaviour::ForeignCa, Outcome::Unknown));
    assert!(alarms(Misbehaviour::PaddedName, Outcome::Refused));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_device_is_lost_or_made_up(
        expected in prop::sample::select(&Expectation::ALL[..]),
        misbehaviour in prop::option::of(prop::sample::select(Misbehaviour::WORDS.map(|(_, wrong)| wrong).to_vec())),
        devices in prop::collection::vec(
            (prop::sample::select(&Observed::ALL[..]), prop::option::of(0..300u16)),
            0..60,
        ),
        finished in any::<bool>(),
    ) {
        let setting = setting(Some(expected), misbehaviour, devices.len() as u64);
        let mut matrix = Matrix::new(&setting);
        for (n, (observed, code)) in devices.iter().enumerate() {
            let at = |code| Cause::At(Phase::Provision, FaultKind::HttpStatus(code));
            matrix.add(ONE, *observed, &n.to_string(), code.map(at));
        }
        let row = matrix.rows(finished).remove(0);
        prop_assert_eq!(row.devices(), devices.len() as u64);
        for observed in Observed::ALL {
            let n = devices.iter().filter(|(o, _)| *o == observed).count() as u64;
            prop_assert_eq!(row.observed.get(&observed).copied().unwrap_or(0), n);
        }
        let is_off = |o: Observed| !o.meets(expected) && (finished || o != Observed::Unfinished);
        let off = devices.iter().filter(|(o, _)| is_off(*o)).count();
        prop_assert_eq!(row.off, off as u64);
        prop_assert_eq!(row.deviations.iter().map(|d| d.count).sum::<u64>(), row.off);
        prop_assert_eq!(row.examples.len(), off.min(EXAMPLES_MAX));
        let places: Vec<usize> =
            row.examples.iter().map(|e| e.device.parse().expect("a number")).collect();
        prop_assert!(places.is_sorted());
        prop_assert!(places.iter().all(|place| is_off(devices[*place].0)));
        for deviation in row.deviations.iter().take(EXAMPLES_MAX) {
            let shown = row.examples.iter().any(|e| e.observed == deviation.observed);
            prop_assert!(shown, "no example of {}", deviation.finding);
        }
    }
}
