//! How much this machine can drive, generator and target on it.

use serde::Serialize;

use super::super::exit::Failure;
use super::checks::{cohort, phase};
use super::trial::Bench;
use crate::engine::Machine;
use crate::model::{Phase, TransportKind};

/// How much a machine can drive over a transport.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Driven {
    /// Over what.
    pub(super) transport: TransportKind,
    /// Devices provisioned per second.
    pub(super) devices_per_s: f64,
    /// Devices provisioned per second of CPU, generator and target together.
    pub(super) devices_per_cpu_s: f64,
    /// The 99th percentile of the time to provision, µs.
    pub(super) p99_us: u64,
    /// Devices that one process can keep connected.
    pub(super) connections: u64,
    /// What allows no more.
    pub(super) bound_by: Bound,
    /// Memory for each connected device, both sides, bytes.
    pub(super) bytes_each: u64,
}

/// What bounds the connections of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Bound {
    /// Open files.
    Files,
    /// Local ports of one source address for one server.
    Ports,
    /// Memory that is free.
    Memory,
}

impl Bound {
    /// Its name in reports.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Ports => "ports",
            Self::Memory => "memory",
        }
    }
}

/// Brings up as many devices as this machine can, then keeps some connected and sees what they take.
pub(super) async fn drive(bench: &Bench, transport: TransportKind) -> Result<Driven, Failure> {
    let scenario = format!(
        "target.embedded = true\ndevices.generate = {{ count = 200000 }}\n\
        [arrival]\nmodel = \"closed\"\ntruncate = true\n\
        stages = [{{ duration = \"{DRIVE_S}s\", concurrency = {AT_A_TIME} }}]\n{}",
        cohort(transport)
    );
    let name = format!("drive-{}", transport.as_str());
    let summary = bench.run(&name, &scenario).await?;
    let devices = summary.devices.provisioned as f64;
    let few = held(bench, transport, AT_A_TIME).await?;
    let many = held(bench, transport, HELD).await?;
    let more = many.devices.saturating_sub(few.devices).max(1);
    let bytes_each = many.peak_bytes.saturating_sub(few.peak_bytes) / more;
    let machine = Machine::look().map_err(Failure::bug)?;
    let (connections, bound_by) = bounded(machine, bytes_each, many.available_bytes);
    Ok(Driven {
        transport,
        devices_per_s: devices / f64::from(DRIVE_S),
        devices_per_cpu_s: devices / summary.generator.cpu_s,
        p99_us: phase(&summary, Phase::TimeToProvision)?.response_us.p99,
        connections,
        bound_by,
        bytes_each,
    })
}

/// What a run with connected devices took.
struct Holding {
    devices: u64,
    peak_bytes: u64,
    available_bytes: Option<u64>,
}

/// Brings so many devices up and keeps them connected until the last is there.
async fn held(bench: &Bench, transport: TransportKind, count: u32) -> Result<Holding, Failure> {
    let scenario = format!(
        "target.embedded = true\ndevices.generate = {{ count = {count} }}\n\
        telemetry.interval = \"60s\"\n[arrival]\nmodel = \"closed\"\n\
        stages = [{{ count = {count}, concurrency = {AT_A_TIME} }}]\n{}",
        cohort(transport)
    );
    let name = format!("hold-{count}-{}", transport.as_str());
    let summary = bench.run(&name, &scenario).await?;
    let evidence = summary.generator.evidence.as_ref();
    Ok(Holding {
        devices: summary.devices.provisioned,
        peak_bytes: summary.generator.peak_rss_bytes,
        available_bytes: evidence.and_then(|seen| seen.memory.available_min_bytes),
    })
}

/// How many devices can be connected at a time, and what allows no more.
fn bounded(machine: Machine, bytes_each: u64, available: Option<u64>) -> (u64, Bound) {
    let memory = available.map_or(u64::MAX, |bytes| bytes / bytes_each.max(1));
    [
        (machine.connections(), Bound::Files),
        (u64::from(machine.ports), Bound::Ports),
        (memory, Bound::Memory),
    ]
    .into_iter()
    .min_by_key(|(most, _)| *most)
    .unwrap_or((0, Bound::Files))
}

/// How many devices are brought up at a time.
const AT_A_TIME: u32 = 64;

/// How many are kept connected: enough that what each takes stands out.
const HELD: u32 = 1_064;

const DRIVE_S: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scarcest_of_files_ports_and_memory_bounds_the_connections() {
        let machine = |files, ports| Machine { files, ports };
        for (machine, available, bound) in [
            (machine(20_000, 28_232), None, (19_900, Bound::Files)),
            (machine(1_000_000, 28_232), None, (28_232, Bound::Ports)),
            (
                machine(1_000_000, 60_000),
                Some(40_000_000),
                (20_000, Bound::Memory),
            ),
        ] {
            assert_eq!(bounded(machine, 2_000, available), bound, "{machine:?}");
        }
        assert_eq!(bounded(machine(200, 9), 0, Some(5)), (5, Bound::Memory));
    }
}
