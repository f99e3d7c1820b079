//! The tables within the text: latencies and cohorts.

use super::style::{Style, fit, wrap};
use crate::metrics::{LatencyFigures, Summary};
use crate::model::{Paint as _, Phase, printable, units};

/// Response times of each phase, then service times of those where they differ.
pub(super) fn latency(summary: &Summary, style: Style, out: &mut Vec<String>) {
    if summary.phases.is_empty() {
        return;
    }
    out.push(String::new());
    out.push(format!(
        "{} {}",
        style.bold("Latency"),
        style.dim("response times, from the intended start")
    ));
    out.push(style.dim(&format!(
        "  {:<23}{:>7}{:>7}{HEADS}",
        "phase", "count", "errors"
    )));
    for (phase, row) in &summary.phases {
        out.push(format!(
            "  {:<23}{:>7}{:>7}{}",
            phase.as_str(),
            units::short_count(row.count),
            units::short_count(row.errors),
            figures(&row.response_us, row.count),
        ));
    }
    let differing: Vec<(&Phase, String)> = summary
        .phases
        .iter()
        .map(|(phase, row)| {
            let service = figures(&row.service_us, row.count);
            (phase, service, figures(&row.response_us, row.count))
        })
        .filter(|(_, service, response)| service != response)
        .map(|(phase, service, _)| (phase, service))
        .collect();
    if !differing.is_empty() {
        out.push(style.dim("  service times, from the actual send, where they differ"));
    }
    for (phase, service) in differing {
        out.push(format!("  {:<37}{service}", phase.as_str()));
    }
    for (phase, row) in &summary.phases {
        if let Some(words) = waiting(*phase, &row.response_us, &row.service_us) {
            let lines = wrap(&words, style.columns() - 4);
            out.extend(lines.iter().map(|line| format!("    {}", style.dim(line))));
        }
    }
}

/// What it means that a phase's times differ, where they do so by far.
pub(super) fn waiting(
    phase: Phase,
    response: &LatencyFigures,
    service: &LatencyFigures,
) -> Option<String> {
    let far = response.p99 >= 2 * service.p99 && response.p99 - service.p99 >= FAR_US;
    far.then(|| {
        let why = if phase == Phase::Telemetry {
            "a device sends one message at a time, and these waited while an earlier one had no \
            answer yet: the server stood still or was slow. Whoever needs the data waits the \
            response time; the service times hide it"
        } else {
            "the generator was late to send them, see Generator below"
        };
        format!(
            "{}: one in a hundred was done {} or more after it was due, though all but one in a \
            hundred took {} or less from their send: {why}.",
            phase.as_str(),
            units::micros(response.p99),
            units::micros(service.p99),
        )
    })
}

/// One line per cohort; nothing when there is but one.
pub(super) fn cohorts(summary: &Summary, style: Style, out: &mut Vec<String>) {
    if summary.cohorts.len() < 2 {
        return;
    }
    out.push(String::new());
    out.push(format!(
        "{} {}",
        style.bold("Cohorts"),
        style.dim("latencies are time_to_provision, response")
    ));
    out.push(style.dim(&format!(
        "  {:<23}{:<6}{:>8}{:>13}{:>7}   {:>9}{:>9}",
        "name", "via", "listed", "provisioned", "other", "p50", "p99"
    )));
    for (name, cohort) in &summary.cohorts {
        let devices = cohort.devices;
        let row = cohort.phases.get(&Phase::TimeToProvision);
        let times = row.filter(|row| row.count > 0).map_or_else(
            || format!("{:>9}{:>9}", "–", "–"),
            |row| {
                let us = row.response_us;
                format!("{:>9}{:>9}", units::micros(us.p50), units::micros(us.p99))
            },
        );
        let line = format!(
            "  {:<23}{:<6}{:>8}{:>13}{:>7}   {times}",
            fit(&printable(name), 22),
            cohort.transport.as_str(),
            units::short_count(devices.listed),
            units::short_count(devices.provisioned),
            units::short_count(devices.listed - devices.provisioned.min(devices.listed)),
        );
        out.push(line);
    }
}

/// One line per run that the result is the sum of; nothing when it is a single one's.
pub(super) fn runs(summary: &Summary, style: Style, out: &mut Vec<String>) {
    if summary.runs.is_empty() {
        return;
    }
    out.push(String::new());
    out.push(format!(
        "{} {}",
        style.bold("Runs"),
        style.dim("added up; what each was alone")
    ));
    for run in &summary.runs {
        let shard = run.shard.as_ref();
        let shard = shard.map_or_else(String::new, |part| format!(", {}", part.words()));
        let line = format!(
            "  {:<25}{:>8}{:>9} of {} provisioned, {}, generator {}{shard}",
            fit(&printable(&run.started_at), 24),
            super::text::seconds(run.elapsed_s),
            units::short_count(run.devices.provisioned),
            units::short_count(run.devices.listed),
            run.result.as_str(),
            run.verdict.as_str(),
        );
        out.push(fit(&line, style.columns()));
    }
}

fn figures(us: &LatencyFigures, count: u64) -> String {
    [us.p50, us.p90, us.p99, us.p999, us.max]
        .map(|value| {
            let text = if count == 0 {
                "–".to_owned()
            } else {
                units::micros(value)
            };
            format!(" {:>7}", fit(&text, 7))
        })
        .concat()
}

/// Differences below this are timers' grain.
const FAR_US: u64 = 10_000;

const HEADS: &str = "     p50     p90     p99   p99.9     max";

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(p99: u64) -> LatencyFigures {
        LatencyFigures {
            p99,
            ..LatencyFigures::default()
        }
    }

    #[test]
    fn times_that_differ_by_far_are_explained_and_others_are_not() {
        let words =
            |phase, response, service| waiting(phase, &figures(response), &figures(service));
        let stalled = words(Phase::Telemetry, 1_800_000, 900).unwrap();
        assert!(
            stalled.contains("1.80 s or more after it was due"),
            "{stalled}"
        );
        assert!(
            stalled.contains("900 µs or less from their send"),
            "{stalled}"
        );
        assert!(stalled.contains("the service times hide it"), "{stalled}");
        let late = words(Phase::TimeToProvision, 300_000, 40_000).unwrap();
        assert!(late.contains("the generator was late"), "{late}");
        assert_eq!(words(Phase::Telemetry, 9_000, 500), None, "timers' grain");
        assert_eq!(words(Phase::Telemetry, 79_000, 40_000), None, "not by far");
    }
}
