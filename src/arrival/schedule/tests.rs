//! Cohorts behind arrivals of their own: what holds for any of them.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::{ClosedStage, Open, OpenStage, StageEnd};
use super::*;

fn open(stages: Vec<OpenStage>, truncate: bool) -> Arrival {
    Arrival::Open(Open::new(stages, truncate))
}

fn rate(seconds: u64, rate: f64) -> OpenStage {
    OpenStage::lasting(Duration::from_secs(seconds), rate, rate)
}

fn closed(places: u32) -> Arrival {
    let stage = ClosedStage {
        end: StageEnd::After(Duration::from_secs(5)),
        concurrency: places,
    };
    Arrival::Closed(Closed::new(vec![stage], false))
}

/// Cohorts `c0`, `c1` … with these arrivals; `None` follows the shared one.
fn schedule(shared: Option<&Arrival>, own: &[Option<Arrival>], cohort_of: &[u16]) -> Schedule {
    let names: Vec<_> = (0..own.len()).map(|n| format!("c{n}")).collect();
    let followers = names.iter().zip(own).map(|(cohort, own)| Follower {
        cohort,
        own: own.as_ref(),
    });
    let followers: Vec<_> = followers.collect();
    Schedule::new(
        shared,
        &followers,
        cohort_of,
        &|_| StartingPlace::Ahead,
        (7, None),
    )
}

fn ms(due: Due) -> u128 {
    let Due::At(at) = due else { panic!("{due:?}") };
    at.as_millis()
}

#[test]
fn ordinals_count_within_a_cohort_and_among_those_who_follow_the_shared_arrival() {
    let shared = open(vec![rate(10, 10.0)], false);
    let own = open(vec![rate(10, 2.0)], false);
    let schedule = schedule(Some(&shared), &[None, Some(own), None], &[0, 1, 2, 1, 0, 1]);
    let due = |cohort, device| ms(schedule.due(CohortIx(cohort), DeviceIx(device)));
    assert_eq!([due(0, 0), due(2, 2), due(0, 4)], [0, 100, 200]);
    assert_eq!([due(1, 1), due(1, 3), due(1, 5)], [0, 500, 1_000]);
}

#[test]
fn devices_that_are_due_are_counted_over_the_open_queues() {
    let shared = open(vec![rate(2, 5.0)], true);
    let own = [None, Some(closed(2)), Some(open(vec![rate(1, 4.0)], false))];
    let cohort_of: Vec<u16> = (0..36).map(|n| n % 3).collect();
    let schedule = schedule(Some(&shared), &own, &cohort_of);
    for (before, due) in [
        (0, 0),
        (1, 2),
        (200, 2),
        (201, 3),
        (1_900, 10 + 8),
        (9_000, 10 + 12),
    ] {
        let before = Duration::from_millis(before);
        assert_eq!(schedule.due_before(before), Some(due), "{before:?}");
    }
    let places = super::tests::schedule(Some(&closed(2)), &[None], &[0, 0]);
    assert_eq!(places.due_before(Duration::from_secs(1)), None);
}

#[test]
fn two_cohorts_of_one_arrival_have_chances_of_their_own() {
    let poisson = Arrival::Open(Open::new(vec![rate(10, 10.0)], false).spaced_randomly());
    let own = [Some(poisson.clone()), Some(poisson)];
    let schedule = schedule(None, &own, &[0, 1, 0, 1]);
    let due = |cohort, device| schedule.due(CohortIx(cohort), DeviceIx(device));
    assert_ne!(due(0, 0), due(1, 1));
    assert!(due(0, 0) < due(0, 2) && due(1, 1) < due(1, 3));
}

#[test]
fn a_truncated_cohort_leaves_its_own_devices_out_and_nobody_elses() {
    let own = [
        Some(open(vec![rate(1, 1.0)], true)),
        Some(open(vec![rate(1, 1.0)], false)),
    ];
    let schedule = schedule(None, &own, &[0, 1, 0, 1, 0]);
    assert_eq!(schedule.planned(), 3);
    let turns: Vec<_> = schedule.turns(0, 1).collect();
    assert_eq!(
        turns.iter().filter(|(_, due)| *due == Due::Never).count(),
        2
    );
    assert!(turns[..3].iter().all(|(_, due)| *due != Due::Never));
}

#[test]
fn what_a_run_takes_is_the_longest_of_its_arrivals() {
    let (long, short) = (
        open(vec![rate(60, 1.0)], false),
        open(vec![rate(1, 1.0)], false),
    );
    let cohorts = [0, 1, 1];
    let mixed = schedule(None, &[Some(long), Some(closed(2))], &cohorts);
    assert_eq!(mixed.model(), "open");
    assert_eq!(mixed.expected_span(true), Duration::from_mins(1));
    assert_eq!(
        mixed.expected_span(false),
        Duration::ZERO,
        "nobody can tell"
    );
    let fixed = schedule(Some(&short), &[None, None], &cohorts);
    assert_eq!(fixed.expected_span(false), Duration::from_secs(2));
    let closed = schedule(None, &[Some(closed(2)), Some(closed(1))], &cohorts);
    assert_eq!(closed.model(), "closed");
    assert_eq!(closed.expected_span(true), Duration::from_secs(5));
}

#[test]
fn only_what_can_lag_has_a_lag_beside_others_that_can() {
    let can = |own: &[Option<Arrival>], n| schedule(None, own, &[0, 1]).can_lag(CohortIx(n));
    let mixed = [Some(open(vec![rate(1, 1.0)], false)), Some(closed(1))];
    assert!(can(&mixed, 0) && !can(&mixed, 1));
    assert!(can(&[Some(closed(1)), Some(closed(1))], 1));
}

/// Any arrival: its kind, two rates, a burst, whether it is truncated.
fn arrivals() -> impl Strategy<Value = Arrival> {
    let stages = (0.1f64..3.0, 1.0f64..80.0, 0.0f64..80.0, 0u32..20);
    (stages, 0u8..4, any::<bool>()).prop_map(|((length, from, to, burst), kind, truncate)| {
        if kind == 0 {
            return closed(burst + 1);
        }
        let stages = vec![
            OpenStage::lasting(Duration::from_secs_f64(length), from, to),
            OpenStage::burst(burst),
            rate(1, from),
            OpenStage::counted_batches(burst + 1, Duration::from_millis(300), 2 * burst + 1),
        ];
        let open = Open::new(stages, truncate);
        Arrival::Open(if kind == 1 {
            open.spaced_randomly()
        } else {
            open
        })
    })
}

/// A shared arrival, those of up to five cohorts, and a list.
fn fleets() -> impl Strategy<Value = (Arrival, Vec<Option<Arrival>>, Vec<u16>)> {
    let own = prop::collection::vec(prop::option::of(arrivals()), 1..6);
    (arrivals(), own, prop::collection::vec(0u16..60_000, 0..300)).prop_map(
        |(shared, own, mut list)| {
            let cohorts = own.len() as u16;
            for cohort in &mut list {
                *cohort %= cohorts;
            }
            (shared, own, list)
        },
    )
}

proptest! {
    #[test]
    fn workers_of_any_number_start_the_same_devices_at_the_same_times(
        (shared, own, list) in fleets(), of in 1u32..9,
    ) {
        let schedule = schedule(Some(&shared), &own, &list);
        let mut found = BTreeMap::new();
        for number in 0..of {
            let turns: Vec<_> = schedule.turns(number, of).collect();
            prop_assert!(turns.iter().is_sorted_by_key(|(_, due)| *due), "worker {number}");
            for (device, due) in turns {
                prop_assert!(found.insert(device, due).is_none(), "{device:?} twice");
            }
        }
        let mut expected = BTreeMap::new();
        for (device, cohort) in (0..).map(DeviceIx).zip(&list) {
            let cohort = CohortIx(*cohort);
            if schedule.queue(cohort).closed().is_none() {
                expected.insert(device, schedule.due(cohort, device));
            }
        }
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn each_worker_has_its_part_of_each_cohort(
        (shared, own, list) in fleets(), of in 1u32..9,
    ) {
        let schedule = schedule(Some(&shared), &own, &list);
        for number in 0..of {
            let mine: Vec<_> = schedule.turns(number, of).map(|(device, _)| device).collect();
            for queue in schedule.queues().iter().filter(|queue| queue.closed().is_none()) {
                let part = (0..queue.len()).filter(|n| mine.contains(&queue.device(*n))).count();
                prop_assert!(queue.len().div_ceil(of) as usize >= part);
                prop_assert!((queue.len() / of) as usize <= part);
            }
        }
    }

    #[test]
    fn a_queues_part_is_what_those_workers_start((shared, own, list) in fleets(), of in 1u32..6) {
        let schedule = schedule(Some(&shared), &own, &list);
        for (device, cohort) in (0..).map(DeviceIx).zip(&list) {
            let cohort = CohortIx(*cohort);
            let queue = schedule.queue(cohort);
            let number = schedule.worker_of(cohort, device, of).unwrap();
            let (first, devices) = queue.part(number, of);
            let mut mine = (0..devices).map(|n| queue.device(first + n * of));
            prop_assert!(mine.any(|other| other == device));
        }
    }

    #[test]
    fn due_times_never_decrease_within_a_cohort((shared, own, list) in fleets()) {
        let schedule = schedule(Some(&shared), &own, &list);
        for cohort in (0..own.len() as u16).map(CohortIx) {
            let devices = (0..).map(DeviceIx).zip(&list).filter(|(_, of)| **of == cohort.0);
            let due = devices.map(|(device, _)| schedule.due(cohort, device));
            prop_assert!(due.is_sorted());
        }
    }

    #[test]
    fn starts_up_to_any_moment_are_the_integral_of_each_cohorts_own_rate(
        rates in prop::collection::vec(0.5f64..80.0, 1..5), until in 0.0f64..10.0,
    ) {
        let own: Vec<_> = rates.iter().map(|r| Some(open(vec![rate(10, *r)], true))).collect();
        let list: Vec<_> = (0..4_000).map(|n| n % rates.len() as u16).collect();
        let schedule = schedule(None, &own, &list);
        let mut started = vec![0.0; rates.len()];
        for (device, due) in schedule.turns(0, 1) {
            if matches!(due, Due::At(at) if at.as_secs_f64() < until) {
                started[usize::from(list[device.get()])] += 1.0;
            }
        }
        for (started, rate) in started.iter().zip(&rates) {
            prop_assert!((started - rate * until).abs() <= 1.0 + 1e-6, "{started} at {rate}");
        }
    }
}

#[test]
fn those_behind_come_after_those_ahead_and_whoever_is_out_has_no_turn() {
    let shared = open(vec![rate(10, 10.0)], false);
    let follower = Follower {
        cohort: "c0",
        own: None,
    };
    let place = |ix: DeviceIx| match ix.0 {
        0 | 3 => StartingPlace::Behind,
        1 => StartingPlace::None,
        _ => StartingPlace::Ahead,
    };
    let schedule = Schedule::new(Some(&shared), &[follower], &[0; 5], &place, (7, None));
    let due = |device| schedule.due(CohortIx(0), DeviceIx(device));
    assert_eq!([2, 4, 0, 3].map(|ix| ms(due(ix))), [0, 100, 200, 300]);
    assert_eq!(due(1), Due::Never);
    let turns: Vec<_> = schedule.turns(0, 1).map(|(ix, _)| ix.0).collect();
    assert_eq!(turns, [2, 4, 0, 3]);
    assert_eq!(schedule.planned(), 4);
}
