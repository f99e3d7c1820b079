//! The generator within the text: its verdict and why, what it did and what it took.

use super::style::{Style, fit};
use super::text::seconds;
use crate::metrics::{GeneratorVerdict, Summary};
use crate::model::{Paint as _, printable, units};

/// Always there: figures without it are worth nothing.
pub(super) fn generator(summary: &Summary, style: Style, out: &mut Vec<String>) {
    let generator = &summary.generator;
    let verdict = match generator.verdict {
        GeneratorVerdict::Valid => style.good("valid"),
        bad => style.bad(bad.as_str()),
    };
    out.push(String::new());
    out.push(format!("{} {verdict}", style.bold("Generator")));
    let reasons = generator.reasons.iter().map(|reason| format!("! {reason}"));
    let rows = [starts(summary)]
        .into_iter()
        .chain(lags(summary))
        .chain([used(summary)]);
    for line in reasons.chain(rows) {
        out.push(format!("  {}", fit(&printable(&line), style.columns() - 2)));
    }
}

fn starts(summary: &Summary) -> String {
    let starts = summary.starts;
    format!(
        "starts  {} planned, {} started, {} late, {} dropped",
        units::count(starts.planned),
        units::count(starts.started),
        units::count(starts.late),
        units::count(starts.dropped),
    )
}

/// Of starts, and of messages if there were any.
fn lags(summary: &Summary) -> impl Iterator<Item = String> {
    let lags = [
        ("lag     starts", Some(summary.lag_us)),
        ("        messages", summary.telemetry.lag_us),
    ];
    lags.into_iter().filter_map(|(what, lag)| {
        let lag = lag?;
        let [p50, p99, max] = [lag.p50, lag.p99, lag.max].map(units::micros);
        Some(format!("{what} p50 {p50}, p99 {p99}, max {max}"))
    })
}

fn used(summary: &Summary) -> String {
    let generator = &summary.generator;
    let target = if generator.includes_target {
        "; target included"
    } else {
        ""
    };
    format!(
        "used    {} CPU, {} memory; workers {}, processes {}{target}",
        seconds(generator.cpu_s),
        units::bytes(generator.peak_rss_bytes),
        generator.workers,
        generator.processes,
    )
}
