//! The figures of a run.

use super::families::{
    DEVICES, DROPPED, ELAPSED, ERRORS, Family, LATE, LISTED, MESSAGE_LAG, NOW, RUN, SEARCH_RATE,
    SEARCH_TRIAL, SEARCH_VERDICT, SESSIONS, START_LAG, STARTS, STEP, STEP_ERRORS, STEP_RETRIES,
    TELEMETRY, VERDICT,
};
use super::figures::{Figures, Series, Value};
use crate::metrics::{CohortExposure, Exposure, GeneratorVerdict, PhaseExposure, SearchRow};
use crate::model::{Outcome, TrialVerdict};

/// What a run says of itself.
pub fn figures(exposure: &Exposure) -> Figures {
    let mut series = whole(exposure);
    series.extend(cohorts(exposure));
    series.extend(phases(exposure));
    let mut errors = Series::of(&ERRORS);
    for (cause, count) in &exposure.errors {
        errors.push(&[cause], Value::Count(*count));
    }
    series.push(errors);
    series.extend(search(exposure.search.as_ref()));
    Figures {
        common: vec![("scenario", exposure.setting.scenario.clone())],
        series,
    }
}

/// Where a search is.
fn search(row: Option<&SearchRow>) -> [Series; 3] {
    let (mut trial, mut rate) = (Series::of(&SEARCH_TRIAL), Series::of(&SEARCH_RATE));
    let mut verdict = Series::of(&SEARCH_VERDICT);
    let Some(row) = row else {
        return [trial, rate, verdict];
    };
    trial.push(&[row.purpose.as_str()], Value::Gauge(f64::from(row.trial)));
    let bounds = [
        ("tried", Some(row.rate)),
        ("held", row.held),
        ("broken", row.broken),
    ];
    for (bound, per_s) in bounds {
        if let Some(per_s) = per_s {
            rate.push(&[bound], Value::Gauge(per_s));
        }
    }
    if let Some(last) = row.last {
        for word in TrialVerdict::ALL {
            let holds = f64::from(u8::from(word == last));
            verdict.push(&[word.as_str()], Value::Gauge(holds));
        }
    }
    [trial, rate, verdict]
}

/// What is said of all cohorts together.
fn whole(exposure: &Exposure) -> Vec<Series> {
    let setting = &exposure.setting;
    let seed = setting.seed.to_string();
    let run = [env!("CARGO_PKG_VERSION"), &seed, &setting.schedule_digest];
    let mut verdicts = Series::of(&VERDICT);
    for verdict in [
        GeneratorVerdict::Valid,
        GeneratorVerdict::Suspect,
        GeneratorVerdict::Invalid,
    ] {
        let holds = f64::from(u8::from(verdict == exposure.verdict));
        verdicts.push(&[verdict.as_str()], Value::Gauge(holds));
    }
    let elapsed = exposure.elapsed.as_secs_f64();
    vec![
        Series::of(&RUN).with(&run, Value::Gauge(1.0)),
        Series::of(&ELAPSED).with(&[], Value::Gauge(elapsed)),
        verdicts,
        Series::of(&DROPPED).with(&[], Value::Count(exposure.starts.dropped)),
        Series::of(&START_LAG).with(&[], Value::Histogram(exposure.lag.clone())),
        Series::of(&MESSAGE_LAG).with(&[], Value::Histogram(exposure.message_lag.clone())),
    ]
}

/// What is counted for each cohort.
fn cohorts(exposure: &Exposure) -> Vec<Series> {
    let listed = |cohort: &CohortExposure| Value::Gauge(cohort.devices.listed as f64);
    let of_outcome = |cohort: &CohortExposure| {
        let devices = cohort.devices;
        Outcome::ALL.map(|outcome| (outcome.as_str(), Value::Count(devices.of(outcome))))
    };
    vec![
        each(exposure, &LISTED, listed),
        split(exposure, &NOW, |cohort| {
            let live = &cohort.live;
            [
                ("waiting", Value::Gauge(live.waiting as f64)),
                ("bringing_up", Value::Gauge(live.bringing_up as f64)),
                ("live", Value::Gauge(live.live as f64)),
            ]
        }),
        split(exposure, &DEVICES, of_outcome),
        split(exposure, &TELEMETRY, |cohort| {
            let telemetry = cohort.telemetry;
            [
                ("sent", Value::Count(telemetry.sent)),
                ("acked", Value::Count(telemetry.acked)),
                ("lost", Value::Count(telemetry.lost)),
            ]
        }),
        split(exposure, &SESSIONS, |cohort| {
            let sessions = cohort.reconnects;
            [
                ("lost", Value::Count(sessions.lost)),
                ("back", Value::Count(sessions.back)),
                ("given_up", Value::Count(sessions.given_up)),
                ("taken_over", Value::Count(sessions.taken_over)),
            ]
        }),
        each(exposure, &STARTS, |cohort| Value::Count(cohort.started)),
        each(exposure, &LATE, |cohort| Value::Count(cohort.late)),
    ]
}

/// What is counted for each phase of each cohort.
fn phases(exposure: &Exposure) -> [Series; 3] {
    let mut steps = Series::of(&STEP);
    for ([name, transport], cohort) in named(exposure) {
        for step in &cohort.phases {
            for (kind, buckets) in [("response", &step.response), ("service", &step.service)] {
                let labels = [name, transport, step.phase.as_str(), kind];
                steps.push(&labels, Value::Histogram(buckets.clone()));
            }
        }
    }
    let counted = |family: &'static Family, of: fn(&PhaseExposure) -> u64| {
        let mut series = Series::of(family);
        for ([name, transport], cohort) in named(exposure) {
            for step in &cohort.phases {
                let labels = [name, transport, step.phase.as_str()];
                series.push(&labels, Value::Count(of(step)));
            }
        }
        series
    };
    [
        steps,
        counted(&STEP_ERRORS, |step| step.errors),
        counted(&STEP_RETRIES, |step| step.retries),
    ]
}

/// A point for each cohort.
fn each(
    exposure: &Exposure,
    family: &'static Family,
    of: impl Fn(&CohortExposure) -> Value,
) -> Series {
    let mut series = Series::of(family);
    for (labels, cohort) in named(exposure) {
        series.push(&labels, of(cohort));
    }
    series
}

/// A point for each cohort and each value of one more label.
fn split<const N: usize>(
    exposure: &Exposure,
    family: &'static Family,
    of: impl Fn(&CohortExposure) -> [(&'static str, Value); N],
) -> Series {
    let mut series = Series::of(family);
    for ([name, transport], cohort) in named(exposure) {
        for (word, value) in of(cohort) {
            series.push(&[name, transport, word], value);
        }
    }
    series
}

/// The cohorts with their values of the labels `cohort` and `transport`.
fn named(exposure: &Exposure) -> impl Iterator<Item = ([&str; 2], &CohortExposure)> {
    let settings = exposure.setting.cohorts.iter();
    let labels = settings.map(|cohort| [cohort.name.as_str(), cohort.transport.as_str()]);
    labels.zip(&exposure.cohorts)
}
