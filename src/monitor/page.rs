//! The text that a scraper gets, in the OpenMetrics format 1.0.

use std::fmt::Error;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::registry::Registry;

use super::families::{
    DEVICES, DROPPED, ELAPSED, ERRORS, Family, LATE, LISTED, MESSAGE_LAG, NOW, RUN, SESSIONS,
    START_LAG, STARTS, STEP, STEP_ERRORS, STEP_RETRIES, TELEMETRY, VERDICT,
};
use crate::metrics::{
    BOUNDS_US, Buckets, CohortExposure, Exposure, GeneratorVerdict, PhaseExposure,
};
use crate::model::Outcome;

/// Draws a page.
pub fn page(exposure: Arc<Exposure>) -> String {
    let scenario = exposure.setting.scenario.clone();
    let labels = [("scenario".into(), scenario.into())];
    let mut registry = Registry::with_prefix_and_labels("fleetcall", labels.into_iter());
    registry.register_collector(Box::new(Drawn(exposure)));
    let mut page = String::new();
    encode(&mut page, &registry).expect("memory takes what is written");
    page
}

#[derive(Debug)]
struct Drawn(Arc<Exposure>);

impl Collector for Drawn {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let exposure = &*self.0;
        run(exposure, &mut encoder)?;
        cohorts(exposure, &mut encoder)?;
        phases(exposure, &mut encoder)?;
        let mut family = begin(&mut encoder, &ERRORS)?;
        for (cause, count) in &exposure.errors {
            counter(&mut family, &[cause], &ERRORS, *count)?;
        }
        Ok(())
    }
}

fn run(exposure: &Exposure, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
    let setting = &exposure.setting;
    let seed = setting.seed.to_string();
    let values = [env!("CARGO_PKG_VERSION"), &seed, &setting.schedule_digest];
    gauge(&mut begin(encoder, &RUN)?, &values, &RUN, 1.0)?;
    let mut family = begin(encoder, &ELAPSED)?;
    family.encode_gauge(&exposure.elapsed.as_secs_f64())?;
    let mut family = begin(encoder, &VERDICT)?;
    for verdict in [
        GeneratorVerdict::Valid,
        GeneratorVerdict::Suspect,
        GeneratorVerdict::Invalid,
    ] {
        let holds = f64::from(u8::from(verdict == exposure.verdict));
        gauge(&mut family, &[verdict.as_str()], &VERDICT, holds)?;
    }
    let mut family = begin(encoder, &DROPPED)?;
    family.encode_counter(&exposure.starts.dropped, NO_EXEMPLAR)?;
    for (what, lag) in [
        (&START_LAG, &exposure.lag),
        (&MESSAGE_LAG, &exposure.message_lag),
    ] {
        histogram(&mut begin(encoder, what)?, lag)?;
    }
    Ok(())
}

/// What is counted for each cohort.
fn cohorts(exposure: &Exposure, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
    let mut family = begin(encoder, &LISTED)?;
    for (labels, cohort) in named(exposure) {
        gauge(&mut family, &labels, &LISTED, cohort.devices.listed as f64)?;
    }
    let mut family = begin(encoder, &NOW)?;
    for ([name, transport], cohort) in named(exposure) {
        let live = &cohort.live;
        for (state, n) in [
            ("waiting", live.waiting),
            ("bringing_up", live.bringing_up),
            ("live", live.live),
        ] {
            gauge(&mut family, &[name, transport, state], &NOW, n as f64)?;
        }
    }
    let of_outcome = |cohort: &CohortExposure| {
        let devices = cohort.devices;
        Outcome::ALL.map(|outcome| (outcome.as_str(), devices.of(outcome)))
    };
    split(exposure, encoder, &DEVICES, of_outcome)?;
    split(exposure, encoder, &TELEMETRY, |cohort| {
        let telemetry = cohort.telemetry;
        [
            ("sent", telemetry.sent),
            ("acked", telemetry.acked),
            ("lost", telemetry.lost),
        ]
    })?;
    split(exposure, encoder, &SESSIONS, |cohort| {
        let sessions = cohort.reconnects;
        [
            ("lost", sessions.lost),
            ("back", sessions.back),
            ("given_up", sessions.given_up),
            ("taken_over", sessions.taken_over),
        ]
    })?;
    for (what, of) in [
        (
            &STARTS,
            (|cohort| cohort.started) as fn(&CohortExposure) -> u64,
        ),
        (&LATE, |cohort| cohort.late),
    ] {
        let mut family = begin(encoder, what)?;
        for (labels, cohort) in named(exposure) {
            counter(&mut family, &labels, what, of(cohort))?;
        }
    }
    Ok(())
}

/// What is counted for each phase of each cohort.
fn phases(exposure: &Exposure, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
    let mut family = begin(encoder, &STEP)?;
    for ([name, transport], cohort) in named(exposure) {
        for step in &cohort.phases {
            for (kind, buckets) in [("response", &step.response), ("service", &step.service)] {
                let values = [name, transport, step.phase.as_str(), kind];
                let labels = labels(&STEP, &values);
                histogram(&mut family.encode_family(&labels)?, buckets)?;
            }
        }
    }
    let mut counts = |what: &Family, of: fn(&PhaseExposure) -> u64| {
        let mut family = begin(encoder, what)?;
        for ([name, transport], cohort) in named(exposure) {
            for step in &cohort.phases {
                let values = [name, transport, step.phase.as_str()];
                counter(&mut family, &values, what, of(step))?;
            }
        }
        Ok(())
    };
    counts(&STEP_ERRORS, |step| step.errors)?;
    counts(&STEP_RETRIES, |step| step.retries)
}

/// A counter of each cohort with one more label.
fn split<const N: usize>(
    exposure: &Exposure,
    encoder: &mut DescriptorEncoder<'_>,
    what: &Family,
    of: impl Fn(&CohortExposure) -> [(&'static str, u64); N],
) -> Result<(), Error> {
    let mut family = begin(encoder, what)?;
    for ([name, transport], cohort) in named(exposure) {
        for (word, count) in of(cohort) {
            counter(&mut family, &[name, transport, word], what, count)?;
        }
    }
    Ok(())
}

/// The cohorts with their values of the labels `cohort` and `transport`.
fn named(exposure: &Exposure) -> impl Iterator<Item = ([&str; 2], &CohortExposure)> {
    let settings = exposure.setting.cohorts.iter();
    let labels = settings.map(|cohort| [cohort.name.as_str(), cohort.transport.as_str()]);
    labels.zip(&exposure.cohorts)
}

fn begin<'e>(
    encoder: &'e mut DescriptorEncoder<'_>,
    family: &Family,
) -> Result<MetricEncoder<'e>, Error> {
    encoder.encode_descriptor(
        family.name,
        family.help,
        family.unit(),
        family.metric_type(),
    )
}

fn labels<'v>(family: &Family, values: &[&'v str]) -> Vec<(&'static str, &'v str)> {
    assert_eq!(family.labels.len(), values.len(), "{}", family.name);
    family
        .labels
        .iter()
        .copied()
        .zip(values.iter().copied())
        .collect()
}

fn counter(
    family: &mut MetricEncoder<'_>,
    values: &[&str],
    what: &Family,
    count: u64,
) -> Result<(), Error> {
    let labels = labels(what, values);
    family
        .encode_family(&labels)?
        .encode_counter(&count, NO_EXEMPLAR)
}

fn gauge(
    family: &mut MetricEncoder<'_>,
    values: &[&str],
    what: &Family,
    value: f64,
) -> Result<(), Error> {
    let labels = labels(what, values);
    family.encode_family(&labels)?.encode_gauge(&value)
}

fn histogram(encoder: &mut MetricEncoder<'_>, buckets: &Buckets) -> Result<(), Error> {
    let bounds = BOUNDS_US.iter().map(|us| *us as f64 / 1e6);
    let counts = bounds.chain([f64::INFINITY]).zip(buckets.counts);
    let counts: Vec<(f64, u64)> = counts.collect();
    let sum = buckets.sum_us / 1e6;
    encoder.encode_histogram::<NoLabelSet>(sum, buckets.count(), &counts, None)
}

const NO_EXEMPLAR: Option<&Exemplar<NoLabelSet, u64>> = None;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::metrics::{Aggregate, fixture};
    use crate::monitor::{FAMILIES, Kind};

    fn drawn(name: &str) -> String {
        let mut setting = fixture::setting();
        name.clone_into(&mut setting.cohorts[0].name);
        let mut aggregate = Aggregate::new(setting);
        aggregate.add(&fixture::recorded(500));
        page(Arc::new(aggregate.expose(Duration::from_millis(30_500))))
    }

    /// The samples of a page: name with labels, value.
    fn samples(page: &str) -> BTreeMap<&str, &str> {
        let lines = page.lines().filter(|line| !line.starts_with('#'));
        lines
            .map(|line| {
                let (name, value) = line.rsplit_once(' ').expect("a name and a value");
                (name, value)
            })
            .collect()
    }

    #[test]
    fn the_page_of_a_run() {
        insta::assert_snapshot!(drawn("meters"));
    }

    #[test]
    fn each_family_is_on_the_page_under_its_name() {
        let page = drawn("meters");
        for family in FAMILIES {
            let queried = family.queried_as();
            let name = queried.trim_end_matches("_total");
            let head = format!("# TYPE {name} ");
            assert_eq!(page.matches(&head).count(), 1, "{head}");
            let sample = match family.kind {
                Kind::Histogram => format!("\n{name}_bucket{{"),
                Kind::Counter | Kind::Gauge => format!("\n{queried}{{"),
            };
            assert!(page.contains(&sample), "{sample}");
        }
        assert!(page.ends_with("# EOF\n"));
    }

    #[test]
    fn buckets_grow_to_the_count() {
        let page = drawn("meters");
        let samples = samples(&page);
        for (name, count) in &samples {
            let Some((family, labels)) = name.split_once("_count{") else {
                continue;
            };
            let (scenario, more) = labels.split_once('"').expect("a first label");
            let (scenario_value, more) = more.split_once('"').expect("its end");
            let of = |le: &str| {
                // The bound stands behind the labels that all have.
                let bucket =
                    format!("{family}_bucket{{{scenario}\"{scenario_value}\",le=\"{le}\"{more}");
                *samples.get(bucket.as_str()).expect(&bucket)
            };
            assert_eq!(of("+Inf"), *count, "{name}");
            let [low, middle, high] =
                ["0.01", "1.0", "60.0"].map(|le| of(le).parse::<u64>().expect("a count"));
            assert!(low <= middle && middle <= high, "{name}");
        }
    }

    #[test]
    fn a_hostile_name_stays_within_its_label() {
        let page = drawn("a\"} 1\nevil_total 7 \\ <b>");
        assert!(
            page.contains("cohort=\"a\\\"} 1\\nevil_total 7 \\\\ <b>\""),
            "{page}"
        );
        assert!(!page.lines().any(|line| line.starts_with("evil")));
    }
}
