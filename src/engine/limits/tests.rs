//! What fits, what moves out, what is split, and what is refused.

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
    let plan = plan(&format!(
        "{TELEMETRY}[target]\nembedded = true\n[limits]\nprocesses = 1\n"
    ));
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
fn a_fleet_with_more_connections_than_files_is_split() {
    let elsewhere = "[target]\nmqtt = \"127.0.0.1:1883\"\n\
                     [profile]\nprovision_key = \"k\"\nprovision_secret = \"s\"\n";
    for (target, devices, processes) in [
        ("[target]\nembedded = true\n", 19_900, 1),
        // A quarter is left for connections that linger on the target's side.
        ("[target]\nembedded = true\n", 19_901, 2),
        ("[target]\nembedded = true\n", 1_000_000, 68),
        (elsewhere, 19_900, 1),
        (elsewhere, 100_000, 6),
    ] {
        let plan = plan(&format!("{TELEMETRY}{target}"));
        let provisions = plan_around(machine(20_000), &plan, &[devices]).unwrap();
        assert_eq!(provisions.processes, processes, "{devices} {target}");
        assert_eq!(
            provisions.notes.len() == 1,
            processes > 1 || provisions.target_apart
        );
    }
    let given = format!("{TELEMETRY}{elsewhere}[limits]\nprocesses = 4\n");
    let too_few = plan_around(machine(20_000), &plan(&given), &[100_000]);
    let needed = 25_100;
    assert_eq!(
        too_few,
        Err(LimitError::Files {
            needed,
            limit: 20_000
        })
    );
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
        let fits = |devices| {
            let provisions = plan_around(machine(10_100), &plan, &[devices]).unwrap();
            provisions.processes == 1
        };
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
    let provision_only = provisions.spread(machine(20_000), &mut fleet(""), 1);
    assert_eq!(provision_only, Ok(()));
    assert_eq!(provisions.notes.len(), 1, "{:?}", provisions.notes);
    assert!(
        provisions.sources.is_empty(),
        "a distant server is reached from our address"
    );
    let connected = provisions.spread(machine(100_000), &mut fleet(TELEMETRY), 1);
    assert!(matches!(
        connected,
        Err(LimitError::Ports { needed: 40_000, .. })
    ));
    let with = |sources: &str| {
        let mut fleet = fleet(&format!("{TELEMETRY}[limits]\nsources = \"{sources}\"\n"));
        let spread = provisions.clone().spread(machine(100_000), &mut fleet, 1);
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
