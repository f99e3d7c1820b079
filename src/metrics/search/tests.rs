use std::time::Duration;

use super::super::recorder::Recorder;
use super::super::setting::Setting;
use super::super::threshold::Threshold;
use super::super::{Evidence, fixture};
use super::*;
use crate::model::{Cause, FaultKind, Outcome, Phase};

const STEP: Tried = Tried {
    trial: 1,
    purpose: TrialPurpose::Step,
    rate: 50.0,
    begins: Duration::from_millis(100),
    hold: Duration::from_secs(4),
    first: 0,
    warm_up: 50,
    measured: 200,
};

fn without_thresholds() -> Setting {
    Setting {
        thresholds: Vec::new(),
        ..fixture::setting()
    }
}

/// 200 devices, of which each took so many milliseconds, or got no answer; each started `lag` late.
fn judged(setting: &Setting, lag: Duration, took: impl Fn(u64) -> Option<u64>) -> TrialSummary {
    let mut window = Window::new(setting, &[200, 0], STEP);
    let mut recorder = Recorder::new(2);
    let mut provisioned = 0;
    for n in 0..200 {
        recorder.start(fixture::METERS, lag);
        if let Some(ms) = took(n) {
            let took = Duration::from_millis(ms);
            recorder.sample(fixture::METERS, Phase::TimeToProvision, took, took);
            recorder.outcome(fixture::METERS, Outcome::Provisioned, None);
            provisioned += 1;
        } else {
            let cause = Cause::At(Phase::Provision, FaultKind::Timeout);
            recorder.outcome(fixture::METERS, Outcome::Unknown, Some(cause));
        }
    }
    window.add(&recorder);
    window.judge(provisioned, Evidence::default(), fixture::ending())
}

#[test]
fn without_thresholds_one_in_forty_may_go_unanswered_for_a_second() {
    let on_time = Duration::ZERO;
    let setting = without_thresholds();
    // 5 of 200 are 2.5 %, some of them late and some without any answer.
    let held = judged(&setting, on_time, |n| match n {
        0 => None,
        1..5 => Some(1_500),
        _ => Some(20),
    });
    assert_eq!(held.verdict, Some(TrialVerdict::Held), "{held:?}");
    assert_eq!(held.conditions[0].observed, "97.50% (195 of 200)");
    assert_eq!(held.achieved_per_s, Some(49.75));
    let broken = judged(&setting, on_time, |n| {
        (n > 0).then_some(if n < 6 { 1_500 } else { 20 })
    });
    assert_eq!(broken.verdict, Some(TrialVerdict::Broken));
    assert_eq!(broken.broken().count(), 1);
    assert_eq!(broken.errors["provision.timeout"], 1);
}

#[test]
fn thresholds_of_the_scenario_are_judged_on_the_trial_alone() {
    let mut setting = without_thresholds();
    let fast = Threshold::parse("time_to_provision.p99", "< 100ms", std::iter::empty());
    setting.thresholds = vec![fast.unwrap()];
    let broken = judged(&setting, Duration::ZERO, |n| {
        Some(if n < 5 { 150 } else { 20 })
    });
    let expressions = broken.conditions.iter().map(|c| c.expression.as_str());
    assert_eq!(
        expressions.collect::<Vec<_>>(),
        [
            "time_to_provision.p99 < 100ms",
            "devices.provisioned == 100%",
            "provisioned per second >= 98% of the rate",
        ]
    );
    assert_eq!(broken.verdict, Some(TrialVerdict::Broken));
    assert_eq!(broken.devices.unwrap().listed, 200);
}

#[test]
fn a_queue_that_grows_does_not_hold_however_bearable_its_times_still_are() {
    let mut recorder = Recorder::new(2);
    for _ in 0..200 {
        let took = Duration::from_millis(100);
        recorder.start(fixture::METERS, Duration::ZERO);
        recorder.sample(fixture::METERS, Phase::TimeToProvision, took, took);
        recorder.outcome(fixture::METERS, Outcome::Provisioned, None);
    }
    let with = |provisioned| {
        let mut window = Window::new(&without_thresholds(), &[200, 0], STEP);
        window.add(&recorder);
        window.judge(provisioned, Evidence::default(), fixture::ending())
    };
    // One device more or less is chance: 195 + 1 of 200 are 98 %.
    assert_eq!(with(195).verdict, Some(TrialVerdict::Held));
    let broken = with(194);
    assert_eq!(broken.verdict, Some(TrialVerdict::Broken));
    let keeps_up = broken.broken().next().unwrap();
    assert_eq!(keeps_up.observed, "48.5/s (97.00%)");
}

#[test]
fn what_breaks_while_the_generator_is_late_is_not_the_targets_doing() {
    let slow = |_| Some(2_000);
    let setting = without_thresholds();
    let late = judged(&setting, Duration::from_millis(60), slow);
    assert_eq!(late.verdict, Some(TrialVerdict::Generator), "{late:?}");
    assert_eq!(late.generator, GeneratorVerdict::Suspect);
    // What holds although starts were late holds all the same.
    let late = judged(&setting, Duration::from_millis(60), |_| Some(100));
    assert_eq!(late.verdict, Some(TrialVerdict::Held));
    // Far too late, nothing was tried at all.
    let late = judged(&setting, Duration::from_secs(2), |_| Some(100));
    assert_eq!(late.verdict, Some(TrialVerdict::Generator));
}

fn tried(trial: u32, rate: f64, verdict: TrialVerdict) -> TrialSummary {
    let whose = match verdict {
        TrialVerdict::Generator => GeneratorVerdict::Suspect,
        _ => GeneratorVerdict::Valid,
    };
    let before = 100 * u64::from(trial - 1);
    TrialSummary {
        trial,
        rate_per_s: rate,
        verdict: Some(verdict),
        generator: whose,
        first_device: before + 1,
        warm_up_devices: 20,
        measured_devices: 60,
        reasons: vec![format!("reason {trial}")],
        ..STEP.unfinished()
    }
}

#[test]
fn a_capacity_is_stated_only_when_the_search_came_to_it() {
    let trials = || {
        vec![
            tried(1, 40.0, TrialVerdict::Held),
            tried(2, 80.0, TrialVerdict::Broken),
        ]
    };
    let of = |end, need| SearchSummary::new(end, (Some(40.0), Some(80.0)), need, trials());
    let found = of(SearchEnd::Found, Some(32.0));
    assert_eq!(
        (found.capacity_per_s, found.head_room),
        (Some(40.0), Some(0.25))
    );
    assert!(found.holds());
    assert_eq!(found.broke_first.as_ref().map(|broke| broke.trial), Some(2));
    assert!(!of(SearchEnd::Found, Some(41.0)).holds(), "too little");
    for end in [
        SearchEnd::GeneratorLimited,
        SearchEnd::TrialsUsedUp,
        SearchEnd::ListUsedUp,
        SearchEnd::Interrupted,
    ] {
        let search = of(end, Some(32.0));
        assert_eq!(
            (search.capacity_per_s, search.head_room),
            (None, None),
            "{end:?}"
        );
        assert!(!search.holds(), "{end:?}");
        assert_eq!(
            search.bracket.held_per_s,
            Some(40.0),
            "what is known is told"
        );
    }
}

#[test]
fn a_search_that_the_generator_limits_says_what_the_machine_could_drive() {
    let trials = vec![
        tried(1, 40.0, TrialVerdict::Held),
        tried(2, 80.0, TrialVerdict::Generator),
        tried(3, 80.0, TrialVerdict::Generator),
    ];
    let ended = SearchEnd::GeneratorLimited;
    let search = SearchSummary::new(ended, (Some(40.0), Some(80.0)), None, trials);
    assert_eq!(search.generator_drove_per_s, Some(40.0));
    assert!(search.broke_first.is_none());
    let (verdict, reasons) = search.generator();
    assert_eq!(verdict, GeneratorVerdict::Invalid);
    assert!(
        reasons[0].contains("it drove up to 40.0 devices per second"),
        "{reasons:?}"
    );
    assert!(reasons.iter().any(|r| r == "trial 2 (80.0/s): reason 2"));
}

#[test]
fn each_device_is_told_its_trial() {
    let trials = vec![
        tried(1, 40.0, TrialVerdict::Held),
        tried(2, 80.0, TrialVerdict::Broken),
    ];
    let search = SearchSummary::new(SearchEnd::Found, (None, None), None, trials);
    let trial_of = |ix| search.trial_of(DeviceIx(ix));
    for (ix, trial) in [
        (0, Some(1)),
        (79, Some(1)),
        (80, None),
        (100, Some(2)),
        (180, None),
    ] {
        assert_eq!(trial_of(ix), trial, "{ix}");
    }
}
