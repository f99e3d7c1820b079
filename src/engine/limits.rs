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
use crate::model::{Protocol, TransportKind};
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
    let mut provisions = Provisions::default();
    if needed > machine.files {
        return Err(LimitError::Files {
            needed,
            limit: machine.files,
        });
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

impl Provisions {
    /// Spreads the connections over source addresses where the server is on loopback, refuses
    /// where local ports run out, and puts the sources into the fleet's dials.
    pub fn spread(&mut self, machine: Machine, fleet: &mut Fleet) -> Result<(), LimitError> {
        let dealt = fleet.dealt();
        let given = fleet.plan.limits.sources.clone();
        usable(&given)?;
        for kind in TransportKind::ALL {
            let devices = on(&fleet.plan, &dealt, |this| this == kind);
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
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::engine::Equipment;
    use crate::inventory::{GenerateSpec, NameKind, generate};
    use crate::scenario::{Overrides, load};
    use crate::transport::{CoapTiming, Dial};

    const TELEMETRY: &str = "[telemetry]\n";

    fn plan(more: &str) -> Plan {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.toml");
        let text = format!(
            "name = \"s\"\narrival.stages = [{{ duration = \"1s\", rate = 1 }}]\n\
             devices.generate = {{ count = 1 }}\n{more}"
        );
        std::fs::write(&path, text).unwrap();
        load(Path::new(&path), &[], &Overrides::default()).unwrap()
    }

    fn machine(files: u64) -> Machine {
        Machine {
            files,
            ports: DEFAULT_PORTS,
        }
    }

    #[test]
    fn the_target_moves_out_when_both_ends_do_not_fit() {
        let plan = plan(&format!("{TELEMETRY}[target]\nembedded = true\n"));
        for (devices, files, apart) in [(1_000, 20_000, false), (10_000, 20_000, true)] {
            let provisions = plan_around(machine(files), &plan, &[devices]).unwrap();
            assert_eq!(provisions.target_apart, apart, "{devices} devices");
            assert_eq!(provisions.notes.is_empty(), !apart);
        }
    }

    #[test]
    fn more_connections_than_files_are_refused_with_the_way_out() {
        let plan = plan(&format!("{TELEMETRY}[target]\nembedded = true\n"));
        let refused = plan_around(machine(20_000), &plan, &[20_000]).unwrap_err();
        assert_eq!(
            refused,
            LimitError::Files {
                needed: 20_100,
                limit: 20_000
            }
        );
        assert!(refused.to_string().contains("ulimit -Hn 20100"));
    }

    #[test]
    fn long_polls_and_pushes_need_files_of_their_own() {
        let push = "[[push]]\nkind = \"attributes\"\nevery = \"1s\"\n";
        for (over, more, devices) in [
            ("mqtt", "", 10_000),
            ("http", "", 3_333),
            ("http", "attributes = false\n", 5_000),
            ("mqtt", push, 9_936),
        ] {
            let plan = plan(&format!(
                "[target]\nembedded = true\n[[cohort]]\nname = \"c\"\n\
                 transport = \"{over}\"\n[downlink]\n{more}"
            ));
            let fits = |devices| plan_around(machine(10_100), &plan, &[devices]).is_ok();
            assert!(fits(devices) && !fits(devices + 1), "{over} {more}");
        }
    }

    #[test]
    fn devices_that_only_provision_need_files_for_those_in_flight() {
        let plan = plan("[target]\nembedded = true\n[limits]\nin_flight = 500\n");
        let provisions = plan_around(machine(20_000), &plan, &[1_000_000]).unwrap();
        assert!(!provisions.target_apart);
    }

    #[test]
    fn a_distant_server_needs_ports_for_what_is_connected_at_a_time() {
        let fleet = |more: &str| {
            let plan = plan(&format!(
                "[target]\nmqtt = \"192.0.2.1:1883\"\n\
                 [profile]\nprovision_key = \"k\"\nprovision_secret = \"s\"\n{more}"
            ));
            let inventory = generate(&GenerateSpec {
                count: 40_000,
                kind: NameKind::Serial,
                oui: None,
                prefix: None,
                seed: 1,
            });
            let dial = Dial {
                kind: TransportKind::Mqtt,
                addr: "192.0.2.1:1883".parse().unwrap(),
                host: String::new(),
                sources: Vec::new(),
                connect_timeout: Duration::ZERO,
                answer_timeout: Duration::ZERO,
                suback_wait: Duration::ZERO,
                keep_alive: Duration::ZERO,
                version: crate::model::MqttVersion::V3,
                tls: None,
                coap: CoapTiming::default(),
            };
            let equipment = Equipment::default();
            let mut fleet = Fleet::new(plan, inventory, vec![0; 40_000], equipment).unwrap();
            fleet.dials = vec![dial];
            fleet
        };
        let mut provisions = Provisions::default();
        let provision_only = provisions.spread(machine(20_000), &mut fleet(""));
        assert_eq!(provision_only, Ok(()));
        assert_eq!(provisions.notes.len(), 1, "{:?}", provisions.notes);
        assert!(
            provisions.sources.is_empty(),
            "a distant server is reached from our address"
        );
        let connected = provisions.spread(machine(100_000), &mut fleet(TELEMETRY));
        assert!(matches!(
            connected,
            Err(LimitError::Ports { needed: 40_000, .. })
        ));
        let with = |sources: &str| {
            let mut fleet = fleet(&format!("{TELEMETRY}[limits]\nsources = \"{sources}\"\n"));
            let spread = provisions.clone().spread(machine(100_000), &mut fleet);
            (spread, fleet.dials[0].sources.clone())
        };
        assert!(matches!(
            with("127.0.1.1").0,
            Err(LimitError::Ports { sources: 1, .. })
        ));
        let two = vec![[127, 0, 1, 1].into(), [127, 0, 1, 2].into()];
        assert_eq!(with("127.0.1.1, 127.0.1.2"), (Ok(()), two));
        assert!(matches!(with("::1").0, Err(LimitError::Family { .. })));
        assert!(matches!(
            with("192.0.2.9").0,
            Err(LimitError::Source { .. })
        ));
    }

    #[test]
    fn loopback_addresses_are_distinct_and_on_loopback() {
        let sources = loopback(MOST_SOURCES);
        assert_eq!(sources[0], IpAddr::from([127, 0, 1, 1]));
        assert!(sources.iter().all(IpAddr::is_loopback));
        let distinct: std::collections::HashSet<_> = sources.iter().collect();
        assert_eq!(distinct.len(), sources.len());
    }
}
