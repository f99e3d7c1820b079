//! The generator within the text: its verdict and why, what it did, what it took, and what was
//! seen of it: in a line of a valid run, in a block of any other.

use super::style::{Style, fit, wrap};
use super::text::seconds;
use crate::metrics::{ClusterSummary, Evidence, GeneratorVerdict, Load, Summary};
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
    for reason in &generator.reasons {
        let lines = wrap(&printable(reason), style.columns() - 4);
        for (n, line) in lines.iter().enumerate() {
            out.push(format!("  {} {line}", if n == 0 { "!" } else { " " }));
        }
    }
    let block = generator.verdict != GeneratorVerdict::Valid;
    for (name, row) in told(summary, block) {
        let line = format!("{name:<7} {row}");
        out.push(format!("  {}", fit(&line, style.columns() - 2)));
    }
}

/// What it did, what it took, and what was seen of it: the most telling peaks, or the whole. An
/// empty name goes on with the one before.
pub(super) fn told(summary: &Summary, whole: bool) -> Vec<(&'static str, String)> {
    let generator = &summary.generator;
    let mut rows = vec![("starts", starts(summary))];
    rows.extend(lags(summary));
    rows.push(("used", used(summary)));
    rows.extend(summary.cluster.iter().flat_map(workers));
    rows.extend(
        summary
            .machine
            .iter()
            .map(|machine| ("machine", printable(&machine.words()).into_owned())),
    );
    if let Some(evidence) = &generator.evidence {
        rows.extend(peaks(evidence));
        if whole {
            rows.extend(block(evidence));
        }
        let untold = evidence.untold();
        if !untold.is_empty() {
            rows.push((
                "unseen",
                format!("this system does not tell: {}", untold.join(", ")),
            ));
        }
    }
    let changed = generator.limits.map(|limits| limits.changed());
    if let Some(changed) = changed.filter(|changed| !changed.is_empty()) {
        rows.push((
            "limits",
            format!("set by the scenario: {}", changed.join(", ")),
        ));
    }
    rows
}

fn starts(summary: &Summary) -> String {
    let starts = summary.starts;
    format!(
        "{} planned, {} started, {} late, {} dropped",
        units::count(starts.planned),
        units::count(starts.started),
        units::count(starts.late),
        units::count(starts.dropped),
    )
}

/// Of starts, and of messages if there were any.
fn lags(summary: &Summary) -> impl Iterator<Item = (&'static str, String)> {
    let lags = [
        ("lag", "starts", Some(summary.lag_us)),
        ("", "messages", summary.telemetry.lag_us),
    ];
    lags.into_iter().filter_map(|(name, what, lag)| {
        let lag = lag?;
        let [p50, p99, max] = [lag.p50, lag.p99, lag.max].map(units::micros);
        Some((name, format!("{what} p50 {p50}, p99 {p99}, max {max}")))
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
        "{} CPU, {} memory; threads {}, processes {}{target}",
        seconds(generator.cpu_s),
        units::bytes(generator.peak_rss_bytes),
        generator.workers,
        generator.processes,
    )
}

/// Those who started the devices elsewhere, a line each.
fn workers(cluster: &ClusterSummary) -> Vec<(&'static str, String)> {
    let (shards, workers) = (cluster.shards, &cluster.workers);
    let head = format!(
        "{} workers held {shards} shards, run {} on NATS",
        workers.len(),
        printable(&cluster.run_id)
    );
    let told = workers.iter().take(WORKERS_TOLD).map(|worker| {
        let over = match worker.taken_over {
            0 => String::new(),
            n => format!(", {n} of them taken over"),
        };
        let start = match worker.start_behind_ms {
            None => "did not begin".to_owned(),
            Some(0.0) => "began in time".to_owned(),
            Some(behind) => format!("began {} late", time(behind)),
        };
        let row = format!(
            "{} {}: {} shards{over}; {start}, clock {} ± {}",
            printable(&worker.name),
            worker.verdict.as_str(),
            worker.shards,
            time(worker.clock_offset_ms),
            time(worker.clock_uncertainty_ms),
        );
        ("", row)
    });
    let mut rows = vec![("spread", head)];
    rows.extend(told);
    if workers.len() > WORKERS_TOLD {
        let more = workers.len() - WORKERS_TOLD;
        rows.push(("", format!("and {more} more, in summary.json")));
    }
    rows
}

/// The peaks that say most, in a line.
fn peaks(evidence: &Evidence) -> Option<(&'static str, String)> {
    let worker = evidence.worst_worker(|worker| worker.busy);
    let waited = evidence.worst_worker(|worker| worker.waited);
    let told: Vec<String> = [
        worker.map(|load| format!("worker {} of a core", peak(load))),
        waited.map(|load| format!("waiting for one {}", peak(load))),
        evidence
            .cpu
            .machine
            .map(|load| format!("machine {}", peak(load))),
    ]
    .into_iter()
    .flatten()
    .collect();
    (!told.is_empty()).then(|| ("peak", told.join(", ")))
}

/// The rest of what was seen.
fn block(evidence: &Evidence) -> Vec<(&'static str, String)> {
    let (cpu, memory, tcp) = (&evidence.cpu, &evidence.memory, &evidence.tcp);
    let clock = &evidence.clock;
    let mut rows = Vec::new();
    let loads = [("hypervisor", cpu.steal), ("quota used up", cpu.throttled)];
    let mut more: Vec<String> = [("process", cpu.process), ("target", cpu.target)]
        .into_iter()
        .filter_map(|(what, load)| Some(format!("{what} {:.1} cores", load?.peak)))
        .collect();
    more.extend(
        loads
            .into_iter()
            .filter_map(|(what, load)| Some(format!("{what} {}", peak(load?)))),
    );
    if !more.is_empty() {
        rows.push(("", more.join(", ")));
    }
    if let Some(files) = evidence.files {
        let (peak, limit) = (units::count(files.peak), units::count(files.limit));
        rows.push(("files", format!("{peak} of {limit} open")));
    }
    let ports = &evidence.ports;
    if let (Some(tcp), Some(udp), Some(of)) = (ports.tcp_peak, ports.udp_peak, ports.of) {
        let [tcp, udp, of] = [tcp, udp, of].map(units::count);
        let row = format!("{tcp} TCP and {udp} UDP taken on this machine, of {of} for one server");
        rows.push(("ports", row));
    }
    if let (Some(resident), Some(left), Some(total)) = (
        memory.resident_peak_bytes,
        memory.available_min_bytes,
        memory.total_bytes,
    ) {
        let [resident, left, total] = [resident, left, total].map(units::bytes);
        rows.push((
            "memory",
            format!("{resident} resident, {left} of {total} left"),
        ));
    }
    if let Some(overflows) = evidence.udp.receive_overflows {
        let row = format!(
            "{} datagrams dropped on this machine",
            units::count(overflows)
        );
        rows.push(("udp", row));
    }
    if let (Some(sent), Some(again)) = (tcp.sent, tcp.sent_again) {
        let full = tcp.listen_overflows.map_or_else(String::new, |n| {
            format!(
                ", {} connections had no room at a listener",
                units::count(n)
            )
        });
        let spurious = tcp.spurious.map_or_else(String::new, |n| {
            format!(" ({} for nothing)", units::count(n))
        });
        let (sent, again) = (units::count(sent), units::count(again));
        rows.push((
            "tcp",
            format!("{again} of {sent} segments sent again{spurious}{full}"),
        ));
    }
    let pause = units::micros(clock.pause_max_us);
    let row = match (clock.step_max_us, clock.suspended_us) {
        (Some(step), Some(suspended)) => {
            let [step, suspended] = [step, suspended].map(units::micros);
            format!("set by {step}, suspended {suspended}, longest pause {pause}")
        }
        _ => format!("longest pause {pause}"),
    };
    rows.push(("clock", row));
    rows
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it saturates"
)]
fn time(ms: f64) -> String {
    let sign = if ms < 0.0 { "-" } else { "" };
    format!("{sign}{}", units::micros((ms.abs() * 1e3) as u64))
}

/// Workers that are told of one by one.
const WORKERS_TOLD: usize = 12;

fn peak(load: Load) -> String {
    units::share(load.peak)
}
