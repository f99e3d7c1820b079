//! What was seen of the generator and its machine: `generator.evidence` of the summary.
//!
//! What the system does not tell is `None`, in JSON `null`, and never 0. Parts of a run that were
//! seen apart add up: counts by their sum, shares and peaks by the worst.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::load::Load;

/// Everything but the lags, which stand beside what they are lags of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// Looks at the system, the first at the start of the run; one a second.
    pub readings: u64,
    /// Who had the cores.
    pub cpu: CpuEvidence,
    /// File descriptors of this process.
    pub files: Option<FilesEvidence>,
    /// Local ports; in results of older versions nothing is known of them.
    #[serde(default)]
    pub ports: PortsEvidence,
    /// Memory.
    pub memory: MemoryEvidence,
    /// Datagrams that came and were not read.
    pub udp: UdpEvidence,
    /// Hints at which side lost something.
    pub tcp: TcpEvidence,
    /// Whether time went as it should.
    pub clock: ClockEvidence,
}

/// Who had the cores.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CpuEvidence {
    /// Cores that this process may use.
    pub cores: Option<u64>,
    /// Each worker thread, by its number.
    pub workers: Option<Vec<WorkerEvidence>>,
    /// The embedded target's threads together, in cores; `None` where it is in no thread of this
    /// process.
    pub target: Option<Load>,
    /// The whole process, in cores.
    pub process: Option<Load>,
    /// The whole machine: the share of all cores' time that was not idle, without work of low
    /// priority.
    pub machine: Option<Load>,
    /// The share of all cores' time that the hypervisor took.
    pub steal: Option<Load>,
    /// The share of a CPU quota's periods in which it was used up; `None` without a quota.
    pub throttled: Option<Load>,
}

/// A worker thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkerEvidence {
    /// The share of a core that it took.
    pub busy: Option<Load>,
    /// The share of time in which it was ready and had no core.
    pub waited: Option<Load>,
}

/// File descriptors of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FilesEvidence {
    /// Most that were open at a reading.
    pub peak: u64,
    /// The process's limit.
    pub limit: u64,
}

/// Local ports on this machine, whoever's: no more than that can have been taken by this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PortsEvidence {
    /// Most TCP connections at a reading, those closed ones that still hold their port among them.
    pub tcp_peak: Option<u64>,
    /// Most UDP sockets at a reading.
    pub udp_peak: Option<u64>,
    /// So many ports has one source address for one destination.
    pub of: Option<u64>,
}

/// Memory, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemoryEvidence {
    /// Most that was resident at a reading.
    pub resident_peak_bytes: Option<u64>,
    /// Least that could still be taken: by the machine, or by the tightest control group.
    pub available_min_bytes: Option<u64>,
    /// Of so much.
    pub total_bytes: Option<u64>,
}

/// Datagrams that came and were not read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UdpEvidence {
    /// Dropped on this machine since a receive buffer was full, whoever's it was.
    pub receive_overflows: Option<u64>,
}

/// TCP on this machine, whoever's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TcpEvidence {
    /// Segments sent.
    pub sent: Option<u64>,
    /// Segments sent again: lost on the way, or not acknowledged by the peer.
    pub sent_again: Option<u64>,
    /// Of those, segments that the peer had already, by its own word (DSACK, RFC 2883): nothing was
    /// lost, its acknowledgement was late. Idle connections have many.
    pub spurious: Option<u64>,
    /// Connections that a listener of this machine had no room for.
    pub listen_overflows: Option<u64>,
    /// Connections that a listener of this machine dropped for any reason.
    pub listen_drops: Option<u64>,
}

/// Whether time went as it should.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClockEvidence {
    /// The largest change of the wall clock against the monotonic one between two readings.
    pub step_max_us: Option<u64>,
    /// How long the machine was suspended.
    pub suspended_us: Option<u64>,
    /// The longest that a reading was late: nothing of this process may have run then.
    pub pause_max_us: u64,
}

impl Evidence {
    /// What processes on one machine saw at one time: what each has of its own adds up, what they
    /// share is the worst that one of them saw.
    pub fn together<'a>(seen: impl Iterator<Item = &'a Self>) -> Self {
        let mut seen = seen.into_iter();
        let mut all = seen.next().cloned().unwrap_or_default();
        for one in seen {
            all.readings = all.readings.max(one.readings);
            all.cpu.put(&one.cpu);
            // Of the process that has the least left.
            all.files = worse(all.files, one.files, |files| {
                files.peak as f64 / files.limit.max(1) as f64
            });
            all.ports.tcp_peak = all.ports.tcp_peak.max(one.ports.tcp_peak);
            all.ports.udp_peak = all.ports.udp_peak.max(one.ports.udp_peak);
            let memory = &mut all.memory;
            memory.resident_peak_bytes =
                sum(memory.resident_peak_bytes, one.memory.resident_peak_bytes);
            memory.available_min_bytes =
                least(memory.available_min_bytes, one.memory.available_min_bytes);
            let overflows = &mut all.udp.receive_overflows;
            *overflows = (*overflows).max(one.udp.receive_overflows);
            all.tcp.put(&one.tcp);
            let clock = &mut all.clock;
            clock.step_max_us = clock.step_max_us.max(one.clock.step_max_us);
            clock.suspended_us = clock.suspended_us.max(one.clock.suspended_us);
            clock.pause_max_us = clock.pause_max_us.max(one.clock.pause_max_us);
        }
        all
    }

    /// The worst of a figure over the workers.
    pub fn worst_worker(&self, of: impl Fn(&WorkerEvidence) -> Option<Load>) -> Option<Load> {
        let loads = self.cpu.workers.iter().flatten().filter_map(of);
        loads.max_by(|one, other| one.peak.total_cmp(&other.peak))
    }

    /// What this system does not tell, by the keys of the summary.
    pub fn untold(&self) -> Vec<&'static str> {
        let cpu = &self.cpu;
        let waited = self.worst_worker(|worker| worker.waited);
        [
            ("cpu.workers", cpu.workers.is_some()),
            (
                "cpu.workers.waited",
                cpu.workers.is_none() || waited.is_some(),
            ),
            ("cpu.process", cpu.process.is_some()),
            ("cpu.machine", cpu.machine.is_some()),
            ("files", self.files.is_some()),
            ("ports.tcp_peak", self.ports.tcp_peak.is_some()),
            ("ports.udp_peak", self.ports.udp_peak.is_some()),
            ("ports.of", self.ports.of.is_some()),
            ("memory.resident", self.memory.resident_peak_bytes.is_some()),
            (
                "memory.available",
                self.memory.available_min_bytes.is_some(),
            ),
            (
                "udp.receive_overflows",
                self.udp.receive_overflows.is_some(),
            ),
            ("tcp", self.tcp.sent.is_some()),
            ("tcp.listen_overflows", self.tcp.listen_overflows.is_some()),
            ("clock", self.clock.step_max_us.is_some()),
        ]
        .into_iter()
        .filter(|(_, told)| !told)
        .map(|(what, _)| what)
        .collect()
    }
}

impl CpuEvidence {
    fn put(&mut self, other: &Self) {
        self.cores = self.cores.max(other.cores);
        let workers = other.workers.iter().flatten().copied();
        self.workers.get_or_insert_default().extend(workers);
        self.target = added(self.target, other.target);
        self.process = added(self.process, other.process);
        let peak = |load: Load| load.peak;
        self.machine = worse(self.machine, other.machine, peak);
        self.steal = worse(self.steal, other.steal, peak);
        self.throttled = worse(self.throttled, other.throttled, peak);
    }
}

impl TcpEvidence {
    fn put(&mut self, other: &Self) {
        self.sent = self.sent.max(other.sent);
        self.sent_again = self.sent_again.max(other.sent_again);
        self.spurious = self.spurious.max(other.spurious);
        self.listen_overflows = self.listen_overflows.max(other.listen_overflows);
        self.listen_drops = self.listen_drops.max(other.listen_drops);
    }
}

fn sum(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    Some(one?.saturating_add(other?))
}

fn least(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.into_iter().chain(other).min()
}

/// Peaks need not be of one moment: their sum is the most that it can have been.
fn added(one: Option<Load>, other: Option<Load>) -> Option<Load> {
    match (one, other) {
        (Some(one), Some(other)) => Some(Load {
            mean: one.mean + other.mean,
            peak: one.peak + other.peak,
        }),
        (one, other) => one.or(other),
    }
}

fn worse<T: Copy>(one: Option<T>, other: Option<T>, figure: impl Fn(T) -> f64) -> Option<T> {
    let both = one.into_iter().chain(other);
    both.max_by(|one, other| figure(*one).total_cmp(&figure(*other)))
}
