//! Sessions lost and found again, within the text.

use super::style::{Style, bar, fit};
use crate::metrics::{Bars, Summary, bar_floor_us};
use crate::model::{Paint, Phase, units};

/// What was lost, who is back, and how long that took; nothing when nothing was lost or retried.
pub(super) fn reconnects(summary: &Summary, style: Style, out: &mut Vec<String>) {
    let lines = told(summary);
    if lines.is_empty() {
        return;
    }
    out.push(String::new());
    out.push(style.bold("Reconnects"));
    for line in lines {
        out.push(format!("  {}", fit(&line, style.columns() - 2)));
    }
    histogram(summary, style, out);
}

/// The same in sentences.
pub(super) fn told(summary: &Summary) -> Vec<String> {
    let counts = &summary.reconnects;
    if counts.is_empty() && summary.retries() == 0 {
        return Vec::new();
    }
    let mut lines = vec![format!(
        "{} sessions lost, {} came back; {} of {} devices are back, {} not",
        units::count(counts.lost),
        units::count(counts.back),
        units::count(counts.devices_back()),
        units::count(counts.devices),
        units::count(counts.devices_not_back()),
    )];
    let retries = summary.phases.iter().filter(|(_, row)| row.retries > 0);
    let retries: Vec<String> = retries
        .map(|(phase, row)| format!("{} of {}", units::count(row.retries), phase.as_str()))
        .collect();
    let retries = match &retries[..] {
        [] => "none".to_owned(),
        retries => retries.join(", "),
    };
    lines.push(format!(
        "retries {retries}; {} times the budget was used up",
        units::count(counts.given_up)
    ));
    if counts.takeovers > 0 {
        lines.push(format!(
            "{} second sessions opened, for which {} first ones were closed",
            units::count(counts.takeovers),
            units::count(counts.taken_over)
        ));
    }
    let row = summary.phases.get(&Phase::TimeToReconnect);
    if let Some(row) = row.filter(|row| row.count > 0) {
        let (response, service) = (&row.response_us, &row.service_us);
        lines.push(format!(
            "time_to_reconnect p50 {}, p99 {}; service p50 {}, p99 {}",
            units::micros(response.p50),
            units::micros(response.p99),
            units::micros(service.p50),
            units::micros(service.p99),
        ));
    }
    lines
}

/// The response times of `time_to_reconnect`, a row for each range.
fn histogram(summary: &Summary, style: Style, out: &mut Vec<String>) {
    let carried = summary.histograms.phases.get(&Phase::TimeToReconnect);
    let Some(Ok(histogram)) = carried.map(|carried| carried.response.decode()) else {
        return;
    };
    let bars = Bars::of(&histogram);
    let Some(range) = bars.occupied() else { return };
    let first = *range.start();
    let held = &bars.0[range];
    let rows = held.chunks(held.len().div_ceil(ROWS));
    let wide = rows.len().max(1);
    let each = held.len().div_ceil(wide);
    let counts: Vec<u64> = rows.map(|row| row.iter().sum()).collect();
    let most = counts.iter().copied().max().unwrap_or(0);
    for (row, count) in counts.into_iter().enumerate() {
        #[expect(
            clippy::cast_sign_loss,
            reason = "the lower edge of a bar is at least 1 µs"
        )]
        let floor = bar_floor_us(first + row * each) as u64;
        let line = format!(
            "  {:>9} –{:>9}  ",
            units::micros(floor),
            units::short_count(count)
        );
        let room = style.columns().saturating_sub(line.chars().count());
        out.push(
            format!("{line}{}", bar(count, most, room))
                .trim_end()
                .to_owned(),
        );
    }
}

/// At most so many ranges.
const ROWS: usize = 12;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::metrics::fixture::{METERS, ending, recorded, setting};
    use crate::metrics::{Aggregate, ReconnectCounts};

    const PLAIN: Style = Style {
        color: false,
        width: 80,
    };

    /// The run of the fixture, in which 100 devices lost their sessions and 97 are back.
    fn stormy() -> Summary {
        let mut recorder = recorded(1_000);
        for n in 1..=97u64 {
            let wait = Duration::from_millis(20 * n);
            recorder.sample(METERS, Phase::TimeToReconnect, wait, wait / 2);
        }
        for _ in 0..3 {
            recorder.phase_error(METERS, Phase::TimeToReconnect);
            recorder.retry(METERS, Phase::Reconnect);
        }
        let counts = ReconnectCounts {
            lost: 100,
            back: 97,
            devices: 100,
            given_up: 1,
            takeovers: 8,
            taken_over: 7,
        };
        recorder.reconnects(METERS, &counts);
        let mut aggregate = Aggregate::new(setting());
        aggregate.add(&recorder);
        aggregate.finish(ending())
    }

    fn text(summary: &Summary, style: Style) -> String {
        let mut out = Vec::new();
        reconnects(summary, style, &mut out);
        out.join("\n")
    }

    #[test]
    fn a_storm_is_told_with_its_histogram() {
        insta::assert_snapshot!(text(&stormy(), PLAIN));
    }

    #[test]
    fn the_rows_of_the_histogram_hold_every_return() {
        let text = text(&stormy(), PLAIN);
        let rows = text.lines().filter_map(|line| line.split_once(" –"));
        let counts = rows.map(|(_, rest)| {
            let count = rest.split_whitespace().next().expect("a count");
            count.parse::<u64>().expect("a number")
        });
        assert_eq!(counts.sum::<u64>(), 97);
    }

    #[test]
    fn a_run_without_a_loss_says_nothing_of_it() {
        assert_eq!(text(&crate::metrics::fixture::summary(), PLAIN), "");
    }

    #[test]
    fn huge_counts_do_not_widen_a_line() {
        let mut summary = stormy();
        summary.reconnects = ReconnectCounts {
            lost: u64::MAX,
            back: u64::MAX,
            devices: u64::MAX,
            given_up: u64::MAX,
            takeovers: u64::MAX,
            taken_over: u64::MAX,
        };
        for phase in summary.phases.values_mut() {
            phase.retries = u64::MAX;
        }
        for line in text(&summary, PLAIN).lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
        let again = crate::report::read_summary(&crate::report::summary_json(&summary));
        assert_eq!(again.expect("own form"), summary);
    }

    #[test]
    fn what_became_of_sessions_is_judged_by_thresholds() {
        let summary = stormy();
        for (metric, condition, observed, passed) in [
            ("devices.back", "== 100%", "97% (97 of 100)", false),
            ("devices.back", ">= 97", "97", true),
            ("retries", "<= 3", "3", true),
            ("reconnect.retries", "< 3", "3", false),
            ("provision.retries", "== 0", "0", true),
            ("reconnects.not_back", "== 0", "3", false),
            ("reconnects.given_up", "<= 1", "1", true),
            ("reconnects.taken_over", "== 8", "7", false),
            ("time_to_reconnect.errors", "== 3", "3", true),
            ("time_to_reconnect.max", "<= 2s", "1940.479ms", true),
        ] {
            let threshold = crate::metrics::Threshold::parse(metric, condition, std::iter::empty());
            let judged = threshold.expect(metric).judge(&summary);
            assert_eq!(
                (judged.observed.as_str(), judged.passed),
                (observed, passed),
                "{metric}"
            );
        }
        let calm = crate::metrics::fixture::summary();
        let back = crate::metrics::Threshold::parse("devices.back", "== 100%", std::iter::empty())
            .expect("legal");
        let judged = back.judge(&calm);
        assert_eq!(
            (judged.observed.as_str(), judged.passed),
            ("no samples", false)
        );
    }
}
