//! The promise of the defaults, held against runs that are made up out of a recorded one: what did not
//! change raises no alarm, and a tenth more is found. By seed and value, without a clock.

use std::path::Path;
use std::sync::LazyLock;

use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, StandardNormal};
use rand_pcg::Pcg64;

use super::*;
use crate::metrics::timeline::Interval;
use crate::model::Phase;
use crate::report::read_timeline;
use crate::statistics::{Parts, Samples};

/// A second of the recorded run.
struct Cell {
    interval: Interval,
    times: [[Vec<(u64, u64)>; 2]; 2],
}

/// 3,000 devices in a minute over MQTT, on a machine that had other work, with their messages.
static RECORDED: LazyLock<Vec<Cell>> = LazyLock::new(|| {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/compare/recorded.jsonl");
    let timeline = read_timeline(&path).expect("a time line");
    let cells = timeline.intervals.into_iter().map(|interval| Cell {
        times: PHASES.map(|phase| {
            let held = interval
                .phases
                .get(&phase)
                .and_then(|row| row.histograms.as_ref());
            let counts =
                |of: fn(&crate::metrics::PhaseHistograms) -> &crate::metrics::CarriedHistogram| {
                    held.map(|held| of(held).counts().expect("own form"))
                        .unwrap_or_default()
                };
            [counts(|held| &held.response), counts(|held| &held.service)]
        }),
        interval,
    });
    cells.collect()
});

const PHASES: [Phase; 2] = [Phase::Provision, Phase::Telemetry];

/// A run as the recorded one: which of its seconds, in blocks of five, and by how much slower
/// all of it is than the recording.
struct Made {
    seconds: Vec<usize>,
    level: f64,
    provision: f64,
}

impl Made {
    fn up(provision: f64, random: &mut Pcg64) -> Self {
        let all = RECORDED.len() - 1;
        let mut seconds = Vec::new();
        while seconds.len() < 80 {
            let start = random.random_range(0..all);
            seconds.extend((start..start + 5).map(|second| second % all));
        }
        // Runs differ by half a percent as a whole.
        let own: f64 = StandardNormal.sample(random);
        Self {
            seconds,
            level: (0.005 * own).exp(),
            provision,
        }
    }

    fn samples(&self, phase: Phase, clock: Clock) -> Samples {
        let Some(at) = PHASES.iter().position(|known| *known == phase) else {
            return Samples::new(&[vec![Vec::new(); self.seconds.len()]]);
        };
        let factor = if at == 0 { self.provision } else { 1.0 } * self.level;
        let cells = self.seconds.iter().map(|second| {
            let times = &RECORDED[*second].times[at][clock as usize];
            let slowed = times.iter().map(|(us, n)| {
                #[expect(clippy::cast_sign_loss, reason = "positive")]
                let us = (*us as f64 * factor) as u64;
                // To three digits, as histograms keep them.
                let digits = 10u64.pow(us.max(1).ilog10().saturating_sub(2));
                (us / digits * digits, *n)
            });
            slowed.collect()
        });
        Samples::new(&[cells.collect()])
    }

    fn parts(&self, measure: Measure) -> Parts {
        let cell = |second: &usize| {
            let interval = &RECORDED[*second].interval;
            match measure {
                Measure::DeviceRate => (interval.devices.provisioned as f64, interval.seconds()),
                Measure::MessageRate => (interval.telemetry.sent as f64, interval.seconds()),
                _ => (0.0, 0.0),
            }
        };
        let (of, whole) = self.seconds.iter().map(cell).unzip();
        Parts {
            runs: 1,
            cells: self.seconds.len(),
            of,
            whole,
        }
    }
}

/// The verdict on a pair of runs, the second of which provisions so many times as slowly.
fn pair(seed: u64, slower: f64) -> Judged {
    let random = &mut Pcg64::seed_from_u64(seed);
    let sides = [Made::up(1.0, random), Made::up(slower, random)];
    let terms = Terms {
        tolerance: 0.05,
        floor_us: 1_000,
        selection: Selection::default(),
        cohorts: false,
        aligned: true,
        replicates: 40,
    };
    let mut judged = Judged::default();
    judged
        .measure(
            |side, phase, clock| Ok(sides[side].samples(phase, clock)),
            |side, measure| sides[side].parts(measure),
            None,
            &terms,
        )
        .expect("nothing is damaged");
    judged.settle();
    judged
}

#[test]
fn of_a_hundred_pairs_without_a_change_at_most_five_raise_an_alarm() {
    let alarms = (0..100).filter(|seed| overall(&pair(*seed, 1.0)) == Verdict::Regression);
    let alarms: Vec<u64> = alarms.collect();
    assert!(alarms.len() <= 5, "{alarms:?}");
}

#[test]
fn of_a_hundred_pairs_with_a_tenth_more_at_least_95_are_found_and_where() {
    let mut found = 0;
    for seed in 100..200 {
        let judged = pair(seed, 1.1);
        let worse = judged
            .rows
            .iter()
            .filter(|row| row.verdict == Verdict::Regression);
        let worse: Vec<&str> = worse.map(|row| row.metric.as_str()).collect();
        let elsewhere = worse.iter().any(|metric| !metric.starts_with("provision."));
        found += usize::from(!worse.is_empty() && !elsewhere);
    }
    assert!(found >= 95, "{found} of 100");
}
