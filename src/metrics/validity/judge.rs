//! Whether the generator kept its own schedule and had what it needs: figures of one that did not
//! may not be quoted. Pure: lags, counts and evidence in, a verdict and its reasons out.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::counts::StartCounts;
use super::super::latency::LagFigures;
use super::evidence::Evidence;
use super::limits::ValidityLimits;
use super::load::Load;
use crate::model::units;

/// Whether the figures may be quoted. The graver, the greater.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum GeneratorVerdict {
    /// The generator kept its schedule.
    #[default]
    Valid,
    /// It fell short somewhere: look at the reasons before quoting.
    Suspect,
    /// It was itself the limit.
    Invalid,
}

impl GeneratorVerdict {
    /// Its word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Suspect => "suspect",
            Self::Invalid => "invalid",
        }
    }
}

/// What the generator itself took, and whether it kept up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GeneratorSummary {
    /// CPU time, user and system.
    pub cpu_s: f64,
    /// Wall-clock time of the run.
    pub wall_s: f64,
    /// Largest resident memory.
    pub peak_rss_bytes: u64,
    /// Worker threads.
    pub workers: usize,
    /// Processes.
    pub processes: usize,
    /// The embedded target's CPU time and memory are in these figures.
    pub includes_target: bool,
    /// The judgement.
    pub verdict: GeneratorVerdict,
    /// Why it is not `valid`: what was found, the limit, what it means and the way out.
    pub reasons: Vec<String>,
    /// What it was judged by; absent in results of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<ValidityLimits>,
    /// What was seen; absent in results of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
}

/// Judges a machine by what was seen of it alone, whatever it had to do.
pub fn judge_evidence(
    evidence: &Evidence,
    limits: &ValidityLimits,
) -> (GeneratorVerdict, Vec<String>) {
    judge(&Case {
        starts: StartCounts::default(),
        lag: LagFigures::default(),
        message_lag: None,
        exhausted: 0,
        interrupted: false,
        evidence: Some(evidence),
        deaths: &[],
        limits,
    })
}

/// Everything that is judged.
pub(in crate::metrics) struct Case<'a> {
    pub(in crate::metrics) starts: StartCounts,
    pub(in crate::metrics) lag: LagFigures,
    /// `None`: no message was sent.
    pub(in crate::metrics) message_lag: Option<LagFigures>,
    /// Failures for want of local ports or files.
    pub(in crate::metrics) exhausted: u64,
    /// Somebody ended the run: what was not started by then was not dropped by the generator.
    pub(in crate::metrics) interrupted: bool,
    pub(in crate::metrics) evidence: Option<&'a Evidence>,
    /// Processes of the generator that died, a sentence each.
    pub(in crate::metrics) deaths: &'a [String],
    pub(in crate::metrics) limits: &'a ValidityLimits,
}

/// Judges by the documented limits: the gravest verdict, and a reason for each limit crossed.
pub(in crate::metrics) fn judge(case: &Case<'_>) -> (GeneratorVerdict, Vec<String>) {
    let mut found = case.schedule();
    found.extend(case.exhausted());
    let deaths = case.deaths.iter().cloned();
    found.extend(deaths.map(|death| (GeneratorVerdict::Suspect, death)));
    if let Some(evidence) = case.evidence {
        found.extend(case.cores(evidence));
        found.extend(case.losses(evidence));
        found.extend(case.time(evidence));
    }
    let gravest = found.iter().map(|(verdict, _)| *verdict).max();
    let reasons = found.into_iter().map(|(_, reason)| reason).collect();
    (gravest.unwrap_or(GeneratorVerdict::Valid), reasons)
}

/// Whether what devices met can be the target's doing: they came when they were due, the workers had
/// time to read answers, and nothing was lost or lacking on this side. Other work on the machine alone
/// does not speak against it. What is `invalid` is out of the question.
pub(in crate::metrics) fn kept_up(case: &Case<'_>) -> bool {
    let limits = case.limits;
    let read = case.evidence.is_none_or(|seen| {
        let busiest = seen.worst_worker(|worker| worker.busy);
        let overflows = seen.udp.receive_overflows.unwrap_or(0);
        busiest.is_none_or(|busy| busy.peak <= limits.cpu_share)
            && overflows <= limits.udp_overflows
    });
    case.lag.p99 <= limits.lag_p99_us && case.exhausted().is_none() && read
}

type Reason = (GeneratorVerdict, String);

impl Case<'_> {
    /// Whether devices started and messages went when they were due.
    fn schedule(&self) -> Vec<Reason> {
        let (starts, limits) = (&self.starts, self.limits);
        let lag = graver(self.lag.p99, limits.lag_p99_us, limits.lag_p99_invalid_us);
        let lag = lag.map(|(verdict, limit)| {
            let reason = format!(
                "1 % of the starts were {} or more behind their due time (limit {}): {BLUR}; {PACE}",
                units::micros(self.lag.p99),
                units::micros(limit),
            );
            (verdict, reason)
        });
        let message = self.message_lag.and_then(|lag| {
            let (suspect, invalid) = (limits.message_lag_p99_us, limits.message_lag_p99_invalid_us);
            let (verdict, limit) = graver(lag.p99, suspect, invalid)?;
            let reason = format!(
                "1 % of the messages were sent {} or more after they could have been (limit {}): \
                 {BLUR}; take fewer messages a second, more workers or more machines",
                units::micros(lag.p99),
                units::micros(limit),
            );
            Some((verdict, reason))
        });
        let late = beyond(starts.late, starts.started, limits.late_share).then(|| {
            format!(
                "{} of {} starts ({}) were late (limit {}): the load was not the scenario's; {PACE}",
                units::count(starts.late),
                units::count(starts.started),
                units::percent(starts.late, starts.started),
                units::share(limits.late_share),
            )
        });
        let dropped = (!self.interrupted).then(|| self.dropped()).flatten();
        let late = late.map(|reason| (GeneratorVerdict::Suspect, reason));
        [lag, message, late, dropped]
            .into_iter()
            .flatten()
            .collect()
    }

    fn dropped(&self) -> Option<Reason> {
        let (starts, limits) = (&self.starts, self.limits);
        let share = share(starts.dropped, starts.planned);
        let (verdict, limit) = graver(share, limits.dropped_share, limits.dropped_share_invalid)?;
        let reason = format!(
            "{} of {} planned starts were dropped (limit {}): the load was less than the scenario's; \
             {PACE}",
            units::count(starts.dropped),
            units::count(starts.planned),
            units::share(limit),
        );
        Some((verdict, reason))
    }

    /// Whether the machine had a port and a file for each connection.
    fn exhausted(&self) -> Option<Reason> {
        let limits = self.limits;
        let share = share(self.exhausted, self.starts.started);
        let limits = (limits.exhausted_share, limits.exhausted_share_invalid);
        let (verdict, limit) = graver(share, limits.0, limits.1)?;
        let files = self.evidence.and_then(|evidence| evidence.files);
        let files = files.map_or_else(String::new, |files| {
            let (peak, limit) = (units::count(files.peak), units::count(files.limit));
            format!(", with {peak} of {limit} files open")
        });
        let reason = format!(
            "{} connections failed for want of local ports or files{files}, for {} started devices \
             (limit {}): these failures are not the server's; raise `ulimit -n`, widen \
             net.ipv4.ip_local_port_range, or take fewer devices",
            units::count(self.exhausted),
            units::count(self.starts.started),
            units::share(limit),
        );
        Some((verdict, reason))
    }

    /// Whether the workers had the cores that they wanted.
    fn cores(&self, evidence: &Evidence) -> Vec<Reason> {
        let (cpu, limits) = (&evidence.cpu, self.limits);
        let cores = cpu
            .cores
            .map_or_else(String::new, |cores| format!(" {cores}"));
        let busiest = evidence.worst_worker(|worker| worker.busy);
        let waited = evidence.worst_worker(|worker| worker.waited);
        let found = [
            crossed(busiest, limits.cpu_share, |share, limit| {
                format!(
                    "a worker took {share} of a core in its busiest five seconds (limit {limit}): \
                     answers wait to be read, and service times grow; take more workers, or machines"
                )
            }),
            crossed(waited, limits.run_queue_share, |share, limit| {
                format!(
                    "a worker was ready and had no core for {share} of its worst five seconds (limit \
                     {limit}): other work on this machine is in the figures; end it, or take fewer \
                     workers than cores"
                )
            }),
            crossed(cpu.machine, limits.machine_share, |share, limit| {
                format!(
                    "this machine was {share} busy in its busiest five seconds (limit {limit}, \
                     cores{cores}): nothing on it is on time then; end other work, or put the server \
                     elsewhere"
                )
            }),
            crossed(cpu.steal, limits.steal_share, |share, limit| {
                format!(
                    "the hypervisor took {share} of this machine's time in the worst five seconds \
                     (limit {limit}): that is in the figures; take a machine with cores of its own"
                )
            }),
            crossed(cpu.throttled, limits.throttled_share, |share, limit| {
                format!(
                    "the CPU quota was used up in {share} of its periods in the worst five seconds \
                     (limit {limit}): all stood still for the rest of each; raise the container's \
                     quota"
                )
            }),
        ];
        found.into_iter().flatten().collect()
    }

    /// Whether something was lost on this side.
    fn losses(&self, evidence: &Evidence) -> Vec<Reason> {
        let limits = self.limits;
        let memory = &evidence.memory;
        let memory = memory.available_min_bytes.zip(memory.total_bytes);
        let memory = memory.and_then(|(available, total)| {
            let used = total.saturating_sub(available);
            beyond(used, total, limits.memory_share).then(|| {
                format!(
                    "{} of {} of memory were left (limit {} in use): swapping and reclaiming are in \
                     the figures; take fewer devices, or more memory",
                    units::bytes(available),
                    units::bytes(total),
                    units::share(limits.memory_share),
                )
            })
        });
        let udp = evidence.udp.receive_overflows;
        let udp = udp.filter(|n| *n > limits.udp_overflows).map(|n| {
            format!(
                "{} UDP datagrams were dropped since a receive buffer on this machine was full (limit \
                 {}): answers were lost here, not on the way; raise net.core.rmem_default, or slow down",
                units::count(n),
                units::count(limits.udp_overflows),
            )
        });
        let reasons = [memory, udp].into_iter().flatten();
        reasons
            .map(|reason| (GeneratorVerdict::Suspect, reason))
            .collect()
    }

    /// Whether time went as it should.
    fn time(&self, evidence: &Evidence) -> Vec<Reason> {
        let (clock, limits) = (&evidence.clock, self.limits);
        let above = |found: Option<u64>, limit: u64| found.filter(|us| *us > limit);
        let step = above(clock.step_max_us, limits.clock_step_us).map(|us| {
            format!(
                "the wall clock was set by {} (limit {}): latencies are not touched, but times of \
                 messages and of logs do not fit the server's; run NTP beforehand",
                units::micros(us),
                units::micros(limits.clock_step_us),
            )
        });
        let pause = above(Some(clock.pause_max_us), limits.pause_us).map(|us| {
            format!(
                "nothing of this process ran for {} (limit {}): it was stopped, swapped out or its \
                 machine stood still, and what fell due then is late",
                units::micros(us),
                units::micros(limits.pause_us),
            )
        });
        let suspended = above(clock.suspended_us, limits.suspended_us).map(|us| {
            format!(
                "the machine was suspended for {} (limit {}): nobody sent, and connections may have \
                 been given up; run again, awake",
                units::micros(us),
                units::micros(limits.suspended_us),
            )
        });
        let suspect = |reason| (GeneratorVerdict::Suspect, reason);
        let invalid = |reason| (GeneratorVerdict::Invalid, reason);
        let found = [
            step.map(suspect),
            pause.map(suspect),
            suspended.map(invalid),
        ];
        found.into_iter().flatten().collect()
    }
}

/// The graver of two limits that is crossed, and what it makes of the run.
fn graver<T: PartialOrd + Copy>(found: T, suspect: T, invalid: T) -> Option<(GeneratorVerdict, T)> {
    if found > invalid {
        Some((GeneratorVerdict::Invalid, invalid))
    } else if found > suspect {
        Some((GeneratorVerdict::Suspect, suspect))
    } else {
        None
    }
}

/// The reason, with share and limit in words, where a peak is beyond its limit.
fn crossed(
    load: Option<Load>,
    limit: f64,
    reason: impl Fn(String, String) -> String,
) -> Option<Reason> {
    let share = load?.peak;
    (share > limit).then(|| {
        let reason = reason(units::share(share), units::share(limit));
        (GeneratorVerdict::Suspect, reason)
    })
}

fn beyond(part: u64, whole: u64, limit: f64) -> bool {
    part as f64 > whole as f64 * limit
}

fn share(part: u64, whole: u64) -> f64 {
    if part == 0 {
        0.0
    } else {
        part as f64 / whole.max(1) as f64
    }
}

const BLUR: &str = "times of that size are the generator's";
const PACE: &str = "take a lower rate, more workers or a larger limits.in_flight";

#[cfg(test)]
mod tests;
