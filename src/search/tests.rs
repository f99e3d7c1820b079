use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::model::{SearchEnd, TrialPurpose, TrialVerdict, mix};

fn rules() -> SearchRules {
    SearchRules {
        from: 10.0,
        to: 1_000.0,
        step: 2.0,
        precision: 0.03,
        warm_up: Duration::from_secs(1),
        hold: Duration::from_secs(4),
        cool_down: Duration::from_secs(1),
        confirm: 2,
        need: None,
        trials: 60,
    }
}

/// Carries a search out against a server, which is told how many trials there were.
fn carry_out(
    rules: SearchRules,
    mut server: impl FnMut(Trial, usize) -> TrialVerdict,
) -> (Search, SearchEnd, Vec<Trial>) {
    let mut search = Search::new(rules);
    let mut trials = Vec::new();
    loop {
        match search.next() {
            Next::Trial(trial) => {
                let verdict = server(trial, trials.len());
                trials.push(trial);
                search.took(verdict);
            }
            Next::Over(end) => return (search, end, trials),
        }
    }
}

fn at_most(limit: f64) -> impl Fn(Trial, usize) -> TrialVerdict {
    move |trial, _| {
        if trial.rate <= limit {
            TrialVerdict::Held
        } else {
            TrialVerdict::Broken
        }
    }
}

/// The mean time in an M/D/1 system whose server takes 1/`capacity` s (Pollaczek-Khinchine).
fn m_d_1(rate: f64, capacity: f64) -> f64 {
    let load = rate / capacity;
    if load >= 1.0 {
        f64::INFINITY
    } else {
        (1.0 + load / (2.0 * (1.0 - load))) / capacity
    }
}

#[test]
fn steps_up_bisects_tries_the_upper_end_again_and_confirms() {
    let (search, end, trials) = carry_out(rules(), at_most(50.0));
    assert_eq!(end, SearchEnd::Found);
    let rates: Vec<_> = trials
        .iter()
        .map(|t| (t.rate * 10.0).round() / 10.0)
        .collect();
    let purposes: Vec<_> = trials.iter().map(|t| t.purpose.as_str()).collect();
    assert_eq!(rates[..6], [10.0, 20.0, 40.0, 80.0, 56.6, 47.6]);
    assert_eq!(purposes[..5], ["step", "step", "step", "step", "bisect"]);
    let n = purposes.len();
    assert_eq!(purposes[n - 3..], ["recheck", "confirm", "confirm"]);
    let bracket = search.bracket();
    let (held, (broken, _)) = (bracket.held.unwrap(), bracket.broken.unwrap());
    assert!(held <= 50.0 && 50.0 < broken && broken / held <= 1.03);
    assert_eq!(search.confirmations(held), 2);
}

#[test]
fn says_so_when_all_or_nothing_holds() {
    let (search, end, trials) = carry_out(rules(), at_most(5_000.0));
    assert_eq!(
        (end, search.bracket().held),
        (SearchEnd::HeldAtTo, Some(1_000.0))
    );
    assert_eq!(trials.last().unwrap().purpose, TrialPurpose::Confirm);
    let (search, end, trials) = carry_out(rules(), at_most(5.0));
    assert_eq!(
        (end, search.bracket().held),
        (SearchEnd::BrokenAtFrom, None)
    );
    assert_eq!(trials.len(), 2, "once more, in case it was chance");
}

#[test]
fn a_queueing_system_is_found_where_its_time_crosses_the_condition() {
    let limit = |trial: Trial, _| {
        if m_d_1(trial.rate, 200.0) <= 0.050 {
            TrialVerdict::Held
        } else {
            TrialVerdict::Broken
        }
    };
    let (search, end, _) = carry_out(rules(), limit);
    assert_eq!(end, SearchEnd::Found);
    // 1/c + ρ / (2·c·(1 − ρ)) = 50 ms at ρ = 0.947.
    let held = search.bracket().held.unwrap();
    assert!((held / 189.5 - 1.0).abs() < 0.03, "{held}");
}

#[test]
fn a_rate_at_which_the_generator_failed_is_never_the_targets_limit() {
    let limited = |trial: Trial, _| {
        if trial.rate > 300.0 {
            TrialVerdict::Generator
        } else {
            TrialVerdict::Held
        }
    };
    let (search, end, trials) = carry_out(rules(), limited);
    assert_eq!(end, SearchEnd::GeneratorLimited);
    let bracket = search.bracket();
    assert_eq!(bracket.broken.unwrap().1, TrialVerdict::Generator);
    assert!(
        (291.0..=300.0).contains(&bracket.held.unwrap()),
        "{bracket:?}"
    );
    let at_320 = trials.iter().filter(|t| t.rate > 319.0 && t.rate < 321.0);
    assert_eq!(at_320.count(), 2, "a busy moment is given a second chance");
    // A target that breaks before that is found all the same.
    let both = |trial: Trial, n| match limited(trial, n) {
        TrialVerdict::Held if trial.rate > 250.0 => TrialVerdict::Broken,
        verdict => verdict,
    };
    assert_eq!(carry_out(rules(), both).1, SearchEnd::Found);
}

#[test]
fn one_spoiled_trial_costs_one_trial() {
    let spoiled = |trial: Trial, n: usize| match n {
        2 => TrialVerdict::Generator,
        _ => at_most(50.0)(trial, n),
    };
    let (search, end, trials) = carry_out(rules(), spoiled);
    let (calm, _, without) = carry_out(rules(), at_most(50.0));
    assert_eq!((end, trials.len()), (SearchEnd::Found, without.len() + 1));
    assert_eq!(search.bracket(), calm.bracket());
}

#[test]
fn a_hiccup_low_down_is_tried_again_and_forgotten() {
    let hiccup = |trial: Trial, n: usize| match n {
        // 20/s breaks by chance.
        1 => TrialVerdict::Broken,
        _ => at_most(500.0)(trial, n),
    };
    let (search, end, _) = carry_out(rules(), hiccup);
    assert_eq!(end, SearchEnd::Found);
    let held = search.bracket().held.unwrap();
    assert!((485.0..=500.0).contains(&held), "{held}");
}

#[test]
fn a_server_that_never_recovers_is_bounded_by_what_it_holds_afterwards() {
    // Hysteresis: once driven over 100/s, it holds 60/s only.
    let mut hurt = false;
    let (search, end, _) = carry_out(rules(), |trial, n| {
        let verdict = at_most(if hurt { 60.0 } else { 100.0 })(trial, n);
        hurt |= trial.rate > 100.0;
        verdict
    });
    assert_eq!(end, SearchEnd::Found);
    let held = search.bracket().held.unwrap();
    assert!(
        (58.0..=60.0).contains(&held),
        "80/s held once and not when confirmed: {held}"
    );
}

#[test]
fn a_search_without_confirmation_stops_at_the_narrow_bracket() {
    let quick = SearchRules {
        confirm: 0,
        ..rules()
    };
    let (_, end, trials) = carry_out(quick, at_most(50.0));
    assert_eq!(end, SearchEnd::Found);
    assert!(
        trials
            .iter()
            .all(|t| { matches!(t.purpose, TrialPurpose::Step | TrialPurpose::Bisect) })
    );
}

#[test]
fn devices_are_counted_for_the_longest_of_all_searches() {
    let rules = rules();
    let needed = rules.devices_needed();
    for limit in [1.0, 10.0, 33.3, 250.0, 990.0, 1_000.0, 4_000.0] {
        let mut taken = 0;
        carry_out(rules, |trial, n| {
            taken += u64::from(rules.devices_of(&trial));
            at_most(limit)(trial, n)
        });
        assert!(taken <= needed, "{limit}: {taken} of {needed}");
    }
    assert!(needed < 1_000 * 5 * 20, "{needed}");
}

proptest! {
    #[test]
    fn a_hard_limit_is_always_bracketed(
        limit in 11.0..950.0_f64, step in 1.1..5.0_f64, precision in 0.005..0.3_f64,
    ) {
        let rules = SearchRules { step, precision, trials: 1_000, ..rules() };
        let (search, end, _) = carry_out(rules, at_most(limit));
        let bracket = search.bracket();
        let (held, (broken, _)) = (bracket.held.unwrap(), bracket.broken.unwrap());
        prop_assert_eq!(end, SearchEnd::Found);
        prop_assert!(held <= limit && limit < broken);
        prop_assert!(broken <= held * (1.0 + precision) * 1.000_001);
    }

    #[test]
    fn a_better_server_is_never_found_to_be_worse(limit in 11.0..900.0_f64, more in 1.0..50.0_f64) {
        let held = |limit| carry_out(rules(), at_most(limit)).0.bracket().held.unwrap();
        prop_assert!(held(limit + more) >= held(limit));
    }

    #[test]
    fn whatever_comes_a_search_ends_within_its_trials_and_its_statement_is_sound(
        seed in any::<u64>(), noise in 0.0..0.5_f64, limit in 5.0..2_000.0_f64,
    ) {
        let mut verdicts = Vec::new();
        let (search, end, trials) = carry_out(rules(), |trial, n| {
            let chance = mix(seed ^ n as u64) as f64 / u64::MAX as f64;
            let verdict = match at_most(limit)(trial, n) {
                TrialVerdict::Held if chance < noise => TrialVerdict::Broken,
                TrialVerdict::Broken if chance < noise / 4.0 => TrialVerdict::Held,
                _ if chance > 1.0 - noise / 4.0 => TrialVerdict::Generator,
                verdict => verdict,
            };
            verdicts.push((trial, verdict));
            verdict
        });
        prop_assert!(trials.len() <= 60);
        prop_assert!(trials.iter().all(|t| (10.0..=1_000.0).contains(&t.rate)));
        let bracket = search.bracket();
        if let (Some(held), Some((broken, _))) = (bracket.held, bracket.broken) {
            prop_assert!(held < broken);
        }
        if end.is_conclusive() {
            let held = bracket.held.unwrap();
            let confirmed = verdicts.iter().filter(|(trial, verdict)| {
                trial.rate.total_cmp(&held).is_eq()
                    && trial.purpose == TrialPurpose::Confirm
                    && *verdict == TrialVerdict::Held
            });
            prop_assert!(confirmed.count() >= 2, "what is stated held twice for the longer time");
        }
        if end == SearchEnd::Found {
            prop_assert_eq!(bracket.broken.unwrap().1, TrialVerdict::Broken);
        }
    }
}
