//! What the machine allows, held against what the run needs, before the first packet.
//!
//! Plans around what it can (more source addresses, the target in a process of its own) and
//! refuses what it cannot, naming the limit, the need and the way out.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::{fs, io};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use thiserror::Error;

use super::fleet::Fleet;
use super::worker::CHECKS_AT_A_TIME;
use crate::arrival::{Arrival, Closed};
use crate::model::{Protocol, RateLimits, TransportKind};
use crate::scenario::{Plan, TargetPlan};

/// What this machine gives one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Open files, after raising the soft limit to the hard one.
    pub files: u64,
    /// Local ports for one source address and one destination.
    pub ports: u32,
}

/// What the run gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provisions {
    /// Source addresses to spread connections over; empty for the system's choice.
    pub sources: Vec<IpAddr>,
    /// The embedded target needs a process of its own, for its half of the files.
    pub target_apart: bool,
    /// How many processes start devices; where it is more than one, each has an embedded target of its
    /// own.
    pub processes: u32,
    /// What a person should know, a sentence each.
    pub notes: Vec<String>,
}

/// The machine cannot carry the run.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum LimitError {
    /// Too few open files.
    #[error(
        "the run keeps {needed} connections open at a time, this process may open {limit} files\n\
         help: raise the limit (`ulimit -Hn {needed}` as root, or LimitNOFILE= of its service), \
         take fewer devices, or leave [telemetry] and [downlink] out so that devices disconnect \
         once provisioned"
    )]
    Files {
        /// Files needed.
        needed: u64,
        /// The hard limit.
        limit: u64,
    },
    /// Too few open files, and no way to split the run.
    #[error(
        "the run keeps {connected} connections open at a time, one process may open {limit} files, and it \
         cannot be split over {processes} processes: {why}\n\
         help: raise the limit (`ulimit -Hn` as root, or LimitNOFILE= of its service), take fewer devices, \
         run the list in parts, or leave limits.processes out where it is set"
    )]
    Indivisible {
        /// At a time.
        connected: u64,
        /// Files of one process.
        limit: u64,
        /// Processes needed, or asked for.
        processes: u32,
        /// What is in the way.
        why: &'static str,
    },
    /// An address of the scenario's is not this machine's.
    #[error(
        "limits.sources: {address} cannot be used: {why}\n\
         help: it must be an address of this machine (`ip addr`); `ip addr add {address}/24 dev eth0` \
         gives it one more"
    )]
    Source {
        /// Which.
        address: IpAddr,
        /// What the system said.
        why: String,
    },
    /// No address of the scenario's is of the server's kind.
    #[error(
        "limits.sources: none of the addresses is of the kind of {destination}'s (IPv4 or IPv6)"
    )]
    Family {
        /// The server.
        destination: SocketAddr,
    },
    /// Too few local ports for a server that is not on loopback.
    #[error(
        "{needed} connections to {destination} need as many local ports, this machine has {limit} \
         for one destination from {sources} of its addresses\n\
         help: give it more addresses and name them (`[limits] sources = \"10.0.0.5-10.0.0.8\"`), widen \
         net.ipv4.ip_local_port_range (`sysctl -w net.ipv4.ip_local_port_range=\"1024 65535\"`), or take \
         fewer devices"
    )]
    Ports {
        /// Connections at a time.
        needed: u32,
        /// The server.
        destination: SocketAddr,
        /// The size of the port range, for all sources together.
        limit: u32,
        /// Source addresses.
        sources: u32,
    },
}

impl Machine {
    /// Reads the limits and raises the soft file limit to the hard one.
    pub fn look() -> io::Result<Self> {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
        if soft < hard {
            setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
        }
        Ok(Self {
            files: hard,
            ports: port_range().unwrap_or(DEFAULT_PORTS),
        })
    }

    /// Connections at a time for which one process has the files.
    pub fn connections(self) -> u64 {
        self.files.saturating_sub(RESERVE)
    }
}

/// Plans a list of `devices`, of which cohort `i` gets `dealt[i]`, around the machine.
pub fn plan_around(machine: Machine, plan: &Plan, dealt: &[u32]) -> Result<Provisions, LimitError> {
    let http = on(plan, dealt, |kind| kind.protocol() == Protocol::Http);
    let polling = u64::from(http) * u64::from(polls(plan, TransportKind::Http));
    let connected = u64::from(at_a_time(plan, dealt.iter().sum())) + polling;
    let requests = u64::from(plan.rest.as_ref().map_or(0, |rest| rest.connections));
    let needed = connected + requests + checks(plan) + RESERVE;
    let mut provisions = Provisions {
        processes: processes(machine, plan, connected, needed - connected)?,
        ..Provisions::default()
    };
    if provisions.processes > 1 {
        provisions.target_apart = true;
        provisions.notes.push(format!(
            "the run is split over {} processes: {connected} connections at a time, and one process may \
             open {} files",
            provisions.processes, machine.files
        ));
        return Ok(provisions);
    }
    let tcp = on(plan, dealt, |kind| kind.protocol() != Protocol::Coap);
    if matches!(plan.target, TargetPlan::Embedded { .. })
        // Old connections may linger on the server's side while their devices come back.
        && needed + 2 * (u64::from(at_a_time(plan, tcp)) + polling + requests) > machine.files
    {
        provisions.target_apart = true;
        provisions.notes.push(format!(
            "the embedded target runs in a process of its own: both ends of {connected} \
             connections are more than the {} files of one process",
            machine.files
        ));
    }
    Ok(provisions)
}

/// How many processes the run needs for so many connections and, in each, so many other files; or how
/// many it is to have.
fn processes(
    machine: Machine,
    plan: &Plan,
    connected: u64,
    others: u64,
) -> Result<u32, LimitError> {
    let embedded = matches!(plan.target, TargetPlan::Embedded { .. });
    let free = machine.files.saturating_sub(others);
    // Connections that are gone here may linger on the server's side.
    let each = if embedded { free / 4 * 3 } else { free }.max(1);
    let needed = match plan.limits.processes {
        Some(given) => given,
        None if connected <= free => 1,
        None => u32::try_from(connected.div_ceil(each)).unwrap_or(u32::MAX),
    };
    let indivisible = if needed > 1 {
        indivisible(plan, needed)
    } else {
        None
    };
    match indivisible {
        Some(why) => Err(LimitError::Indivisible {
            connected,
            limit: machine.files,
            processes: needed,
            why,
        }),
        None if connected.div_ceil(u64::from(needed)) > free => Err(LimitError::Files {
            needed: connected.div_ceil(u64::from(needed)) + others,
            limit: machine.files,
        }),
        None => Ok(needed),
    }
}

/// Why a run cannot be split over so many processes, if it cannot.
fn indivisible(plan: &Plan, processes: u32) -> Option<&'static str> {
    let keys = plan
        .cohorts
        .iter()
        .any(|c| c.credentials.certificate().is_some());
    if plan.search.is_some() {
        return Some("a capacity search has one schedule that follows its findings");
    }
    if keys {
        return Some("its devices bring certificates, which one process makes or reads");
    }
    if places_are_fewer(plan, processes) {
        return Some("a closed arrival has fewer places than there are processes");
    }
    if plan.limits.in_flight < processes {
        return Some("limits.in_flight is less than the number of processes");
    }
    is_of_one_server(plan).then_some(
        "target.faults.capacity and rate_limits are those of one server, and each process has its own",
    )
}

/// Why so many machines cannot share a run, if they cannot.
pub(super) fn unshardable(plan: &Plan, shards: u32) -> Option<&'static str> {
    if plan.search.is_some() {
        return Some(
            "a capacity search has one schedule that follows its findings\n\
             help: search on one machine, or take [arrival]",
        );
    }
    if places_are_fewer(plan, shards) {
        return Some(
            "a closed arrival has fewer places than there are shards\n\
             help: take fewer shards, or more places",
        );
    }
    if plan.limits.in_flight < shards {
        return Some(
            "limits.in_flight is less than the number of shards\n\
             help: take fewer shards, or raise it",
        );
    }
    is_of_one_server(plan).then_some(
        "target.faults.capacity and rate_limits are those of one server, and each shard has its own\n\
         help: start `fleetcall target` and name its addresses in [target]",
    )
}

/// Whether some of so many parts of a run would have no place in a closed arrival.
fn places_are_fewer(plan: &Plan, parts: u32) -> bool {
    let own = plan.cohorts.iter().filter_map(|c| c.arrival.as_ref());
    let closed = own
        .chain(&plan.arrival)
        .filter_map(|arrival| match arrival {
            Arrival::Closed(closed) => Some(closed),
            Arrival::Open(_) => None,
        });
    let mut stages = closed.flat_map(Closed::stages);
    stages.any(|stage| stage.concurrency < parts)
}

/// Whether the embedded target is one that cannot be several.
fn is_of_one_server(plan: &Plan) -> bool {
    let TargetPlan::Embedded { faults, .. } = &plan.target else {
        return false;
    };
    faults.capacity.is_some() || faults.rate_limits != RateLimits::default()
}

impl Provisions {
    /// Worker threads of each of so many processes.
    pub fn workers_each(plan: &Plan, processes: u32) -> u32 {
        let workers = u32::try_from(plan.limits.workers).unwrap_or(u32::MAX);
        (workers / processes).max(1)
    }

    /// Spreads the connections over source addresses where the server is on loopback, refuses
    /// where local ports run out, and puts the sources into the fleet's dials. The fleet is spread over so
    /// many machines like this one.
    pub fn spread(
        &mut self,
        machine: Machine,
        fleet: &mut Fleet,
        machines: u32,
    ) -> Result<(), LimitError> {
        let dealt = fleet.dealt();
        let given = fleet.plan.limits.sources.clone();
        usable(&given)?;
        for kind in TransportKind::ALL {
            let devices = on(&fleet.plan, &dealt, |this| this == kind).div_ceil(machines.max(1));
            let each = 1 + polls(&fleet.plan, kind);
            let needed = at_a_time(&fleet.plan, devices).saturating_mul(each);
            // A device that goes on to telemetry connects twice, and then by what happens to it; a
            // closed connection holds its port for a minute.
            let twice = u32::from(fleet.plan.stays());
            let later = (twice + returns(&fleet.plan)) * each;
            let connects = devices.saturating_mul(1 + later);
            let Some(dial) = fleet.dials.iter().find(|dial| dial.kind == kind) else {
                continue;
            };
            let destination = dial.addr;
            let sources = of_kind(&given, destination);
            if !given.is_empty() && sources.is_empty() {
                return Err(LimitError::Family { destination });
            }
            let addresses = u32::try_from(sources.len().max(1)).unwrap_or(u32::MAX);
            let ports = machine.ports.saturating_mul(addresses);
            if given.is_empty() && destination.ip().is_loopback() && destination.is_ipv4() {
                let sources = connects.div_ceil(PER_SOURCE).min(MOST_SOURCES);
                if sources > 1 && self.sources.len() < sources as usize {
                    self.sources = loopback(sources);
                }
            } else if needed > ports {
                return Err(LimitError::Ports {
                    needed,
                    destination,
                    limit: ports,
                    sources: addresses,
                });
            } else if kind.protocol() != Protocol::Coap && connects > ports {
                self.notes.push(format!(
                    "{connects} connections to {destination} in all: the {ports} local ports may run \
                     out when devices come faster than closed connections expire (60 s)"
                ));
            }
        }
        for dial in &mut fleet.dials {
            if !given.is_empty() {
                dial.sources = of_kind(&given, dial.addr);
            } else if dial.addr.ip().is_loopback() && dial.addr.is_ipv4() {
                dial.sources.clone_from(&self.sources);
            }
        }
        Ok(())
    }
}

/// Whether each is this machine's.
fn usable(sources: &[IpAddr]) -> Result<(), LimitError> {
    sources.iter().try_for_each(|address| {
        let bound = UdpSocket::bind((*address, 0));
        bound.map(drop).map_err(|error| LimitError::Source {
            address: *address,
            why: error.to_string(),
        })
    })
}

fn of_kind(sources: &[IpAddr], destination: SocketAddr) -> Vec<IpAddr> {
    let same = |ip: &&IpAddr| ip.is_ipv4() == destination.is_ipv4();
    sources.iter().filter(same).copied().collect()
}

/// Connections that a device keeps beside its first: over HTTP, one for each feed.
fn polls(plan: &Plan, kind: TransportKind) -> u32 {
    let feeds = plan.downlink.as_ref().map_or(0, |plan| plan.feeds.len());
    match kind.protocol() {
        Protocol::Http => u32::try_from(feeds).unwrap_or(u32::MAX),
        Protocol::Mqtt | Protocol::Coap => 0,
    }
}

/// How often a device connects again within a minute, whatever breaks besides; at most 100 times.
fn returns(plan: &Plan) -> u32 {
    let events = u32::try_from(plan.life.events.len()).unwrap_or(u32::MAX);
    let naps = plan.life.duty.map_or(0, |duty| {
        u32::try_from(60_000 / duty.wake.as_millis().max(1)).unwrap_or(u32::MAX)
    });
    events.saturating_add(naps).min(100)
}

/// Connections that are to show that replaced certificates are refused.
fn checks(plan: &Plan) -> u64 {
    let checks = plan.life.events.iter().any(|event| event.check_old);
    u64::from(checks) * (plan.limits.workers * CHECKS_AT_A_TIME) as u64
}

/// How many of `n` devices are connected at a time: all in the end, or those being brought up.
fn at_a_time(plan: &Plan, n: u32) -> u32 {
    if plan.stays() {
        n
    } else {
        n.min(plan.limits.in_flight)
    }
}

fn on(plan: &Plan, dealt: &[u32], of: impl Fn(TransportKind) -> bool) -> u32 {
    plan.cohorts
        .iter()
        .zip(dealt)
        .filter(|(cohort, _)| of(cohort.transport))
        .map(|(_, devices)| devices)
        .sum()
}

/// 127.0.1.1, 127.0.1.2 …: any address of 127.0.0.0/8 can be bound without set-up on Linux.
fn loopback(n: u32) -> Vec<IpAddr> {
    let first = u32::from(Ipv4Addr::new(127, 0, 1, 1));
    (0..n)
        .map(|i| IpAddr::V4(Ipv4Addr::from(first + i)))
        .collect()
}

/// How many local ports one source address has for one destination; `None` where the system does
/// not tell.
pub(super) fn port_range() -> Option<u32> {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    let mut ends = text.split_whitespace().map(str::parse::<u32>);
    let (low, high) = (ends.next()?.ok()?, ends.next()?.ok()?);
    high.checked_sub(low).map(|span| span + 1)
}

/// Files that are not connections: the list, the reports, each runtime's own, the terminal.
const RESERVE: u64 = 100;

/// Linux's default range, 32768..=60999.
const DEFAULT_PORTS: u32 = 28_232;

/// Connections on one source-destination pair before the kernel's port search gets slow: it takes
/// 20 µs at 9,000 and over a millisecond at 19,000 (docs/architecture.md).
const PER_SOURCE: u32 = 8_000;

/// As many as a list of a million needs.
const MOST_SOURCES: u32 = 254;

#[cfg(test)]
mod tests;
