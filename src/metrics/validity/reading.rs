//! One look at the system: what it has counted so far. `None` is what the system does not tell.

use std::time::Duration;

/// Everything that is read at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// When, by the monotonic clock from any fixed moment on.
    pub at: Duration,
    /// How far the other clocks are from it.
    pub clocks: Option<Clocks>,
    /// The process's threads, as far as somebody wants to tell them apart.
    pub threads: Vec<ThreadTimes>,
    /// CPU time of the whole process.
    pub process: Option<Duration>,
    /// CPU times of the whole machine.
    pub machine: Option<MachineTimes>,
    /// Of the innermost control group that has a CPU quota.
    pub quota: Option<Quota>,
    /// Open file descriptors of this process.
    pub files: Option<u64>,
    /// Resident memory of this process, in bytes.
    pub resident_bytes: Option<u64>,
    /// What the process could still take.
    pub memory: Option<Memory>,
    /// Figures of the network stack.
    pub network: Network,
}

/// The other clocks less the monotonic one, in µs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clocks {
    /// The wall clock: changes when it is set.
    pub wall_us: i64,
    /// The time since boot: grows while the machine is suspended.
    pub boot_us: i64,
}

/// A thread's times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadTimes {
    /// Whose it is.
    pub whose: Whose,
    /// It ran so long.
    pub ran: Duration,
    /// It was ready to run and had no core so long.
    pub waited: Option<Duration>,
}

/// Who a thread works for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The worker of that number.
    Worker(usize),
    /// The embedded target.
    Target,
}

/// CPU times over all cores, in any unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MachineTimes {
    /// All time that has passed.
    pub all: u64,
    /// Of it, not idle; work of low priority (nice) is left out, since it gives way.
    pub busy: u64,
    /// Of it, taken by the hypervisor while there was work.
    pub stolen: u64,
}

/// A control group's CPU quota.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Periods in which the group had work.
    pub periods: u64,
    /// Of them, the ones in which the quota was used up and all had to wait.
    pub throttled: u64,
}

/// The tighter of what the machine and the control groups allow, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Can still be taken without swapping.
    pub available: u64,
    /// In all.
    pub total: u64,
}

/// Figures of the network stack, over all programs of this network namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// UDP datagrams dropped since a receive buffer was full.
    pub udp_overflows: Option<u64>,
    /// UDP sockets.
    pub udp_sockets: Option<u64>,
    /// TCP connections, those that are closed and linger (TIME_WAIT) among them.
    pub tcp_sockets: Option<u64>,
    /// TCP segments sent.
    pub tcp_sent: Option<u64>,
    /// TCP segments sent again.
    pub tcp_sent_again: Option<u64>,
    /// TCP segments that were sent again though the peer had them.
    pub tcp_spurious: Option<u64>,
    /// TCP connections dropped since a listener's queue was full.
    pub listen_overflows: Option<u64>,
    /// TCP connections dropped by listeners, for any reason.
    pub listen_drops: Option<u64>,
}
