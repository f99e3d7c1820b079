//! What is tried, and what must come of it.

use serde_json::{Value, json};

use super::super::exit::Failure;
use super::theory::{Crowded, Queued, Stalled};
use super::trial::Bench;
use crate::metrics::{PhaseSummary, Summary};
use crate::model::{Phase, Protocol, TransportKind};

/// What is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// A server that stands still for a time.
    Stall,
    /// A server that takes a known time over each step.
    Delay,
    /// A server that can do less than it is asked.
    Capacity,
    /// Fewer places than the load needs.
    Lateness,
}

impl Check {
    /// All of them, in the order of reports.
    pub(super) const ALL: [Self; 4] = [Self::Stall, Self::Delay, Self::Capacity, Self::Lateness];

    /// Its name in reports.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Stall => "stall",
            Self::Delay => "delay",
            Self::Capacity => "capacity",
            Self::Lateness => "lateness",
        }
    }

    /// Tries it, the so-manieth time.
    pub(super) async fn carry_out(
        self,
        bench: &Bench,
        transport: TransportKind,
        attempt: u32,
    ) -> Result<Vec<Held>, Failure> {
        let name = format!("{}-{}-{attempt}", self.as_str(), transport.as_str());
        let summary = bench.run(&name, &self.scenario(transport)).await?;
        let figures = match self {
            Self::Stall => stall(&summary),
            Self::Delay => delay(&summary),
            Self::Capacity => capacity(&summary),
            Self::Lateness => lateness(&summary),
        }?;
        let held = figures.into_iter().map(|figure| Held {
            check: self,
            transport,
            attempt,
            figure: figure.name,
            expected_us: figure.expected,
            measured_us: figure.measured,
            tolerance_us: figure.tolerance,
            at_most: figure.at_most,
        });
        Ok(held.collect())
    }

    fn scenario(self, transport: TransportKind) -> String {
        let load = match self {
            Self::Stall => format!(
                "target.faults.stall = [{{ at = \"{STALL_AT}\", for = \"{STALL_MS}ms\" }}]\n\
                devices.generate = {{ count = {SENDERS} }}\n\
                telemetry.interval = \"{TICK_MS}ms\"\n\
                arrival.stages = [{{ duration = \"10ms\", rate = 1000 }}, \
                {{ duration = \"{STALL_SPAN}\", rate = 0 }}]\n"
            ),
            Self::Delay => {
                let connects = transport.protocol() == Protocol::Mqtt;
                let connect = connects
                    .then(|| format!("target.faults.mqtt_connect.delay = \"{CONNECT_MS}ms\"\n"));
                format!(
                    "target.faults.provision.delay = \"{PROVISION_MS}ms\"\n\
                    target.faults.telemetry.delay = \"{TELEMETRY_MS}ms\"\n{}\
                    devices.generate = {{ count = 60 }}\n\
                    telemetry.interval = \"1s\"\n\
                    arrival.stages = [{{ duration = \"600ms\", rate = 100 }}, \
                    {{ duration = \"1s\", rate = 0 }}]\n",
                    connect.unwrap_or_default()
                )
            }
            Self::Capacity => format!(
                "target.faults.capacity = {CAPACITY}\n\
                devices.generate = {{ count = {CROWD} }}\n\
                arrival.stages = [{{ duration = \"1s\", rate = {CROWD} }}]\n"
            ),
            Self::Lateness => format!(
                "target.faults.provision.delay = \"{HOLD_MS}ms\"\n\
                devices.generate = {{ count = {CROWD} }}\nlimits.in_flight = {PLACES}\n\
                arrival.stages = [{{ duration = \"1s\", rate = {CROWD} }}]\n"
            ),
        };
        format!("target.embedded = true\n{load}{}", cohort(transport))
    }
}

/// A figure held against what it must be.
#[derive(Clone, Debug)]
pub(super) struct Held {
    /// What was tried.
    pub(super) check: Check,
    /// The so-manieth time.
    pub(super) attempt: u32,
    /// Over what.
    pub(super) transport: TransportKind,
    /// Which figure.
    pub(super) figure: String,
    /// What it must be, µs; at most that where `at_most` says so.
    pub(super) expected_us: f64,
    /// What it was, µs.
    pub(super) measured_us: f64,
    /// How far it may be off, µs.
    pub(super) tolerance_us: f64,
    /// Whether less is right, too.
    pub(super) at_most: bool,
}

impl Held {
    /// Whether it is what it must be.
    pub(super) fn passed(&self) -> bool {
        let off = self.measured_us - self.expected_us;
        if self.at_most {
            off <= self.tolerance_us
        } else {
            off.abs() <= self.tolerance_us
        }
    }

    /// As an object.
    pub(super) fn json(&self) -> Value {
        json!({
            "check": self.check.as_str(),
            "transport": self.transport,
            "figure": self.figure,
            "expected_us": self.expected_us,
            "measured_us": self.measured_us,
            "tolerance_us": self.tolerance_us,
            "at_most": self.at_most,
            "attempt": self.attempt,
            "passed": self.passed(),
        })
    }
}

struct Figure {
    name: String,
    expected: f64,
    measured: f64,
    tolerance: f64,
    at_most: bool,
}

/// The messages that fell due while the server stood still must be in the response times as theory
/// has it, and not in the service times.
fn stall(summary: &Summary) -> Result<Vec<Figure>, Failure> {
    let telemetry = phase(summary, Phase::Telemetry)?;
    let service = telemetry.service_us.p50 as f64;
    let tick = f64::from(TICK_MS) * 1e3;
    let theory = Stalled {
        stall: f64::from(STALL_MS) * 1e3,
        span: telemetry.count as f64 * tick / f64::from(SENDERS),
        busy: service / tick,
        service,
    };
    let response = &telemetry.response_us;
    let mut figures: Vec<Figure> = [
        ("p90", 0.9, response.p90),
        ("p99", 0.99, response.p99),
        ("p99.9", 0.999, response.p999),
    ]
    .into_iter()
    .map(|(name, quantile, measured)| Figure {
        name: format!("response {name}"),
        expected: theory.response(quantile),
        measured: measured as f64,
        tolerance: theory.stall * TOLERANCE,
        at_most: false,
    })
    .collect();
    figures.push(Figure {
        name: "service p90".to_owned(),
        expected: theory.response(0.9) * SERVICE_SHARE,
        measured: telemetry.service_us.p90 as f64,
        tolerance: 0.0,
        at_most: true,
    });
    Ok(figures)
}

/// Each phase must show the time that was put into it, and together they must be the whole.
fn delay(summary: &Summary) -> Result<Vec<Figure>, Failure> {
    let mut figures = Vec::new();
    for (step, delay) in [
        (Phase::MqttConnect, CONNECT_MS),
        (Phase::Provision, PROVISION_MS),
        (Phase::Telemetry, TELEMETRY_MS),
    ] {
        if step == Phase::MqttConnect && !summary.phases.contains_key(&step) {
            continue;
        }
        let expected = f64::from(delay) * 1e3;
        figures.push(Figure {
            name: format!("{} p50", step.as_str()),
            expected,
            measured: phase(summary, step)?.service_us.p50 as f64,
            tolerance: near(expected),
            at_most: false,
        });
    }
    let whole = phase(summary, Phase::TimeToProvision)?.response_us.mean;
    let steps = [
        Phase::TcpConnect,
        Phase::TlsHandshake,
        Phase::MqttConnect,
        Phase::Provision,
    ];
    let known = steps.iter().filter_map(|step| summary.phases.get(step));
    figures.push(Figure {
        name: "sum of the phases".to_owned(),
        expected: whole,
        measured: known.map(|step| step.response_us.mean).sum(),
        tolerance: near(whole),
        at_most: false,
    });
    Ok(figures)
}

/// What a server cannot do in time is in the response times.
fn capacity(summary: &Summary) -> Result<Vec<Figure>, Failure> {
    let theory = Queued {
        rate: f64::from(CROWD) / 1e6,
        capacity: f64::from(CAPACITY) / 1e6,
        requests: f64::from(CROWD),
    };
    let response = &phase(summary, Phase::TimeToProvision)?.response_us;
    let figures = [
        ("p50", 0.5, response.p50),
        ("p99", 0.99, response.p99),
        ("max", 1.0, response.max),
    ];
    let figure = |(name, quantile, measured): (&str, f64, u64)| Figure {
        name: format!("to provision {name}"),
        expected: theory.response(quantile),
        measured: measured as f64,
        tolerance: theory.response(1.0) * TOLERANCE,
        at_most: false,
    };
    Ok(figures.map(figure).into())
}

/// The generator must say how late it was.
fn lateness(summary: &Summary) -> Result<Vec<Figure>, Failure> {
    let theory = Crowded {
        places: PLACES,
        hold: phase(summary, Phase::TimeToProvision)?.service_us.mean,
        rate: f64::from(CROWD) / 1e6,
        devices: CROWD,
    };
    let lag = summary.lag_us;
    let figure = |name: &str, quantile, measured: u64| Figure {
        name: name.to_owned(),
        expected: theory.lag(quantile),
        measured: measured as f64,
        // Within a round the places become free one after the other.
        tolerance: theory.hold,
        at_most: false,
    };
    Ok(vec![
        figure("start lag p50", 0.5, lag.p50),
        figure("start lag max", 1.0, lag.max),
    ])
}

/// One cohort of everybody.
pub(super) fn cohort(transport: TransportKind) -> String {
    format!(
        "[[cohort]]\nname = \"all\"\ntransport = \"{}\"\n",
        transport.as_str()
    )
}

/// A phase that every trial has.
pub(super) fn phase(summary: &Summary, phase: Phase) -> Result<&PhaseSummary, Failure> {
    summary.phases.get(&phase).ok_or_else(|| {
        Failure::bug(format!(
            "the trial {} has no {}: {:?}",
            summary.scenario,
            phase.as_str(),
            summary.errors
        ))
    })
}

/// 1 ms or 1 %, whichever is more, µs.
fn near(expected: f64) -> f64 {
    (expected * 0.01).max(1e3)
}

const SENDERS: u32 = 5;
const TICK_MS: u32 = 10;
const STALL_AT: &str = "1500ms";
const STALL_MS: u32 = 1_000;
const STALL_SPAN: &str = "4s";

/// A share of the longest time: what a message's own time and the timers' grain may blur, and a machine
/// that others use as well.
const TOLERANCE: f64 = 0.05;

/// Service times know one message of each device that waited, far fewer than 1 in 10.
const SERVICE_SHARE: f64 = 0.2;

const CONNECT_MS: u32 = 250;
const PROVISION_MS: u32 = 350;
const TELEMETRY_MS: u32 = 300;

/// Few a second: a slow machine is not what is tried.
const CROWD: u32 = 100;
const CAPACITY: u32 = 50;
const PLACES: u32 = 5;
const HOLD_MS: u32 = 100;
