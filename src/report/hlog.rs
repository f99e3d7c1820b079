//! `latency.hlog`: HdrHistogram's interval log (V2, deflated), as HistogramLogAnalyzer and the
//! HdrHistogram libraries read it. Values are µs.
//!
//! For each interval a line for each phase and time, tagged `<phase>.response` and
//! `<phase>.service`, and `start_lag` and `message_lag`. Without a time line, one interval for all.

use std::time::{Duration, SystemTime};

use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};

use super::results::Results;
use crate::metrics::{CarriedError, CarriedHistogram, PhaseHistograms};
use crate::model::{Phase, printable};

/// The log of a run.
pub fn hlog(results: &Results) -> Result<String, CarriedError> {
    let summary = &results.summary;
    // A time that is none is a damaged summary's; the log then counts from 1970.
    let start = humantime::parse_rfc3339(&summary.started_at).unwrap_or(SystemTime::UNIX_EPOCH);
    let mut out = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment(&format!(
            "[fleetcall {}, scenario {}, values in microseconds, Interval_Max in milliseconds]",
            printable(&summary.fleetcall_version),
            printable(&summary.scenario)
        ))
        .add_comment("[Histogram log format version 1.3]")
        .with_start_time(start)
        .with_base_time(start)
        .with_max_value_divisor(1e3)
        .begin_log_with(&mut out, &mut serializer)
        .expect("memory takes it");
    for (from, to, entries) in intervals(results) {
        for (tag, carried) in entries {
            let histogram = carried.decode()?;
            let tag = Tag::new(&tag).expect("phases are words");
            log.write_histogram(&histogram, from, to.saturating_sub(from), Some(tag))
                .expect("memory takes it");
        }
    }
    Ok(String::from_utf8(out).expect("the log is text"))
}

type Entries<'a> = Vec<(String, &'a CarriedHistogram)>;

/// From, to, and what was measured in between.
fn intervals(results: &Results) -> Vec<(Duration, Duration, Entries<'_>)> {
    let seconds = |s: f64| Duration::try_from_secs_f64(s).unwrap_or_default();
    let Some(timeline) = &results.timeline else {
        let carried = &results.summary.histograms;
        let lags = [&carried.start_lag, &carried.message_lag];
        let entries = entries(lags, &mut carried.phases.iter().map(|(p, c)| (*p, c)));
        return vec![(Duration::ZERO, seconds(results.summary.elapsed_s), entries)];
    };
    let intervals = timeline.intervals.iter().map(|interval| {
        let phases = interval.phases.iter();
        let mut phases = phases.filter_map(|(p, part)| Some((*p, part.histograms.as_ref()?)));
        let lags = [&interval.start_lag, &interval.message_lag];
        let (from, to) = (seconds(interval.from_s), seconds(interval.to_s));
        (from, to, entries(lags, &mut phases))
    });
    intervals.collect()
}

fn entries<'a>(
    lags: [&'a Option<CarriedHistogram>; 2],
    phases: &mut dyn Iterator<Item = (Phase, &'a PhaseHistograms)>,
) -> Entries<'a> {
    let lags = ["start_lag", "message_lag"].into_iter().zip(lags);
    let mut entries: Entries<'a> = lags
        .filter_map(|(tag, lag)| Some((tag.to_owned(), lag.as_ref()?)))
        .collect();
    for (phase, carried) in phases {
        entries.push((format!("{}.response", phase.as_str()), &carried.response));
        entries.push((format!("{}.service", phase.as_str()), &carried.service));
    }
    entries
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use hdrhistogram::Histogram;
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    use super::super::fixture::{hostile, results};
    use super::*;

    /// What a log holds by tag, and how many intervals.
    fn sums(log: &str) -> BTreeMap<String, (Histogram<u64>, usize)> {
        let mut sums: BTreeMap<String, (Histogram<u64>, usize)> = BTreeMap::new();
        for entry in IntervalLogIterator::new(log.as_bytes()) {
            let LogEntry::Interval(line) = entry.expect("a legal log") else {
                continue;
            };
            let bytes = STANDARD.decode(line.encoded_histogram()).expect("base64");
            let histogram: Histogram<u64> = Deserializer::new()
                .deserialize(&mut bytes.as_slice())
                .expect("V2");
            let tag = line.tag().expect("tagged").as_str().to_owned();
            match sums.get_mut(&tag) {
                Some((sum, intervals)) => {
                    sum.add(&histogram).expect("same bounds");
                    *intervals += 1;
                }
                None => {
                    sums.insert(tag, (histogram, 1));
                }
            }
        }
        sums
    }

    #[test]
    fn the_log_holds_every_sample_by_phase_and_time() {
        let results = results();
        let carried = &results.summary.histograms;
        for (log, intervals) in [
            (hlog(&results), 7),
            (
                hlog(&Results {
                    timeline: None,
                    ..results.clone()
                }),
                1,
            ),
        ] {
            let sums = sums(&log.expect("own histograms"));
            assert_eq!(sums.len(), 2 + 2 * carried.phases.len());
            for (phase, whole) in &carried.phases {
                let (sum, count) = &sums[&format!("{}.service", phase.as_str())];
                assert_eq!(*sum, whole.service.decode().expect("own form"), "{phase:?}");
                assert!(
                    *count <= intervals && *count >= intervals.min(6),
                    "{phase:?}"
                );
            }
            let lag = carried.start_lag.as_ref().expect("starts");
            assert_eq!(sums["start_lag"].0, lag.decode().expect("own form"));
        }
    }

    #[test]
    fn the_head_says_when_and_in_what_and_no_name_breaks_out_of_it() {
        let log = hlog(&results()).expect("own histograms");
        let head: Vec<&str> = log
            .lines()
            .take_while(|line| line.starts_with('#'))
            .collect();
        assert_eq!(head.len(), 5);
        assert!(head[0].contains("values in microseconds"), "{head:?}");
        assert_eq!(
            head[2],
            "#[StartTime: 1795400520.000 (seconds since epoch)]"
        );
        assert_eq!(head[4], "#[MaxValueDivisor: 1000.000]");
        let first = log.lines().nth(5).expect("an interval");
        assert!(first.starts_with("Tag=start_lag,0.000,10.000,"), "{first}");
        let hostile = hlog(&hostile()).expect("own histograms");
        let head = hostile
            .lines()
            .take_while(|line| line.starts_with('#'))
            .count();
        assert_eq!(head, 5, "{hostile}");
    }
}
