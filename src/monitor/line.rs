//! Figures in InfluxDB's line protocol: a line for each point, the family's name as the measurement, labels as
//! tags, times in milliseconds.
//!
//! Tags are written so that no name breaks out of its own and no two become one: what the protocol cannot say in
//! a tag, a backslash or a control character, stands as a character like it.

use std::fmt::Write as _;

use super::figures::{Figures, Point, Value};
use crate::metrics::{BOUNDS_US, Buckets};

/// Figures of a moment (ms since 1970), one line for each point; `more` are further tags.
pub(super) fn lines(figures: &Figures, more: &[(&'static str, &str)], at_ms: i64) -> String {
    let mut text = String::new();
    let common = figures
        .common
        .iter()
        .map(|(key, value)| (*key, value.as_str()));
    let common: Vec<(&str, &str)> = common.chain(more.iter().copied()).collect();
    for series in &figures.series {
        for point in &series.points {
            text.push_str(&series.family.queried_as());
            for (key, value) in common.iter().copied().chain(point.labels(series.family)) {
                tag(&mut text, key, value);
            }
            text.push(' ');
            fields(&mut text, point);
            let _ = writeln!(text, " {at_ms}");
        }
    }
    text
}

/// The protocol has no empty values: such a tag is left out, which InfluxDB reads as empty.
fn tag(text: &mut String, key: &str, value: &str) {
    if value.is_empty() {
        return;
    }
    text.push(',');
    text.push_str(key);
    text.push('=');
    for c in value.chars() {
        match c {
            ',' | '=' | ' ' => text.extend(['\\', c]),
            '\\' => text.push(BACKSLASH),
            c if c.is_control() => text.push(CONTROL),
            c => text.push(c),
        }
    }
}

fn fields(text: &mut String, point: &Point) {
    let _ = match &point.value {
        Value::Count(count) => write!(text, "value={}i", whole(*count)),
        Value::Gauge(value) => write!(text, "value={value}"),
        Value::Histogram(buckets) => {
            buckets_of(text, buckets);
            Ok(())
        }
    };
}

/// A field for each bound, cumulative as Prometheus has them; `count` has what is above the last, too.
fn buckets_of(text: &mut String, buckets: &Buckets) {
    let _ = write!(
        text,
        "count={}i,sum={}",
        whole(buckets.count()),
        buckets.sum_us / 1e6
    );
    let mut below = 0;
    for (bound, count) in BOUNDS_US.iter().zip(buckets.counts) {
        below += count;
        let _ = write!(text, ",le_{}={}i", *bound as f64 / 1e6, whole(below));
    }
}

/// InfluxDB's whole numbers have a sign.
fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

const BACKSLASH: char = '\u{29f5}';
const CONTROL: char = '\u{fffd}';

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::metrics::{Aggregate, fixture};
    use crate::monitor::families::{LISTED, STARTS, STEP};
    use crate::monitor::{Series, figures};

    const RUN: [(&str, &str); 1] = [("run", "2026-11-23T02:22:00Z")];

    fn written() -> String {
        let mut aggregate = Aggregate::new(fixture::setting());
        aggregate.add(&fixture::recorded(500));
        let figures = figures(&aggregate.expose(Duration::from_millis(30_500)));
        lines(&figures, &RUN, 1_795_400_550_500)
    }

    /// A point of each kind about a cohort.
    fn about(cohort: &str) -> String {
        let steps = [cohort, "mqtt", "provision", "service"];
        let figures = Figures {
            common: vec![("scenario", cohort.to_owned())],
            series: vec![
                Series::of(&STARTS).with(&[cohort, "coap"], Value::Count(7)),
                Series::of(&LISTED).with(&[cohort, "coap"], Value::Gauge(9.0)),
                Series::of(&STEP).with(&steps, Value::Histogram(Buckets::default())),
            ],
        };
        lines(&figures, &RUN, 1_795_400_550_500)
    }

    /// The tags of a line, read as InfluxDB does: a separator counts unless a backslash stands before it.
    fn tags(line: &str) -> Vec<(String, String)> {
        let (mut cuts, mut before) = (Vec::new(), ' ');
        let mut end = line.len();
        for (at, c) in line.char_indices() {
            if before != '\\' && c == ' ' {
                end = at;
                break;
            }
            if before != '\\' && c == ',' {
                cuts.push(at);
            }
            before = c;
        }
        cuts.push(end);
        let plain = |text: &str| {
            text.replace("\\,", ",")
                .replace("\\=", "=")
                .replace("\\ ", " ")
        };
        let parts = cuts.windows(2).map(|cut| &line[cut[0] + 1..cut[1]]);
        parts
            .map(|part| {
                let (key, value) = part.split_once('=').expect("a key and a value");
                (plain(key), plain(value))
            })
            .collect()
    }

    #[test]
    fn the_lines_of_a_run() {
        insta::assert_snapshot!(written());
    }

    #[test]
    fn fields_of_a_histogram_grow_to_its_count() {
        let text = written();
        let line = text
            .lines()
            .find(|line| line.contains("phase=provision,kind=response"))
            .expect("a step");
        let value = |field: &str| -> i64 {
            let (_, rest) = line.split_once(&format!("{field}=")).expect(field);
            rest.split_once('i')
                .expect("whole")
                .0
                .parse()
                .expect("a number")
        };
        let grown = ["le_0.0005", "le_0.01", "le_1", "le_60", "count"].map(value);
        assert!(grown.is_sorted(), "{line}");
        assert!(grown[4] > 0, "{line}");
    }

    proptest! {
        #[test]
        fn no_name_breaks_out_of_its_tag(
            name in "[a-c,= \\\\\"\n\u{0}é\u{1f600}#]{1,12}",
        ) {
            let (calm, text) = (about("meters"), about(&name));
            prop_assert_eq!(text.lines().count(), 3);
            let stands = |c: char| match c {
                '\\' => BACKSLASH,
                c if c.is_control() => CONTROL,
                c => c,
            };
            let like: String = name.chars().map(stands).collect();
            for (line, calm) in text.lines().zip(calm.lines()) {
                let mut expected = tags(calm);
                for (_, value) in expected.iter_mut().filter(|(_, value)| value == "meters") {
                    value.clone_from(&like);
                }
                prop_assert_eq!(tags(line), expected);
                let fields = |line: &str| line[line.find("value=").or(line.find("count=")).unwrap()..].to_owned();
                prop_assert_eq!(fields(line), fields(calm));
            }
        }
    }
}
