//! The text that a scraper gets, in the OpenMetrics format 1.0.

use std::borrow::Cow;
use std::fmt::Error;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::registry::Registry;

use super::figures::{Figures, Series, Value};
use crate::metrics::{BOUNDS_US, Buckets};

/// Draws a page.
pub fn page(figures: Figures) -> String {
    let Figures { common, series } = figures;
    let labels = common
        .into_iter()
        .map(|(name, value)| (Cow::Borrowed(name), Cow::Owned(value)));
    let mut registry = Registry::with_prefix_and_labels("fleetcall", labels);
    registry.register_collector(Box::new(Drawn(series)));
    let mut page = String::new();
    encode(&mut page, &registry).expect("memory takes what is written");
    page
}

#[derive(Debug)]
struct Drawn(Vec<Series>);

impl Collector for Drawn {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        for Series { family, points } in &self.0 {
            let mut encoder_of = encoder.encode_descriptor(
                family.name,
                family.help,
                family.unit(),
                family.metric_type(),
            )?;
            for point in points {
                let labels: Vec<(&str, &str)> = point.labels(family).collect();
                if labels.is_empty() {
                    value(&mut encoder_of, &point.value)?;
                } else {
                    value(&mut encoder_of.encode_family(&labels)?, &point.value)?;
                }
            }
        }
        Ok(())
    }
}

fn value(encoder: &mut MetricEncoder<'_>, value: &Value) -> Result<(), Error> {
    match value {
        Value::Count(count) => encoder.encode_counter(count, NO_EXEMPLAR),
        Value::Gauge(value) => encoder.encode_gauge(value),
        Value::Histogram(buckets) => histogram(encoder, buckets),
    }
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
    use crate::monitor::{FAMILIES, Kind, figures};

    fn drawn(name: &str) -> String {
        let mut setting = fixture::setting();
        name.clone_into(&mut setting.cohorts[0].name);
        let mut aggregate = Aggregate::new(setting);
        aggregate.add(&fixture::recorded(500));
        aggregate.set_search(fixture::search_row());
        page(figures(&aggregate.expose(Duration::from_millis(30_500))))
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
