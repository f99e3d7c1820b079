//! The same where the network itself is cut, silently: machines are network namespaces, and a switch's port is taken
//! away.

use std::fs;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::time::sleep;

use super::{
    DEVICES, Field, WORKERS, accounted, claims, field, provisioned, signal, taken_over, under_way,
    unharmed,
};
use crate::nats::{Network, Servers, Switch, in_a_lab, within};
use crate::support::{Process, Said};

#[test]
fn no_device_is_lost_or_doubled_when_the_logs_leader_is_cut_off_from_all_and_comes_back() {
    in_a_lab(async |network: &Network| {
        let field = field(Servers::on(network)).await;
        let _workers = ["a", "b"].map(|name| field.worker(name, "apart"));
        let run = field.coordinator("apart", "apart", WORKERS);
        under_way(&field).await;
        let leader = field.servers.leads("FLEETCALL_LOG").await;
        network.cut_server(leader);
        field.servers.another_leads("FLEETCALL_LOG", leader).await;
        let at_the_election = field.target.counts().provisioned;
        provisioned(&field, (at_the_election + 40).min(DEVICES)).await;
        network.mend_server(leader);
        unharmed(&field, "apart", &Said::by(run));
    });
}

#[test]
fn a_worker_behind_a_cut_cable_is_given_up_and_its_processes_end_when_it_is_back() {
    in_a_lab(async |network: &Network| {
        let field = field(Servers::on(network)).await;
        let far = Field::worker_at(&Servers::url_at(Switch::Far), "far", "cable");
        let _other = field.worker("other", "cable");
        let run = field.coordinator("cable", "cable", WORKERS);
        let mut claims = claims(&field, "cable").await;
        under_way(&field).await;
        assert_eq!(children(&far), 2, "a process for each of its shards");
        network.cut_lab(Switch::Far);
        for _ in 0..2 {
            assert_eq!(taken_over(&mut claims).await, "other");
        }
        assert_eq!(children(&far), 2, "nobody could tell it");
        // Nobody says that the run is over, until they have ended.
        signal(run.id(), Signal::SIGSTOP);
        network.mend_lab(Switch::Far);
        within(async {
            while children(&far) > 0 {
                sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        signal(run.id(), Signal::SIGCONT);
        accounted(&field, "cable", &Said::by(run));
    });
}

#[test]
fn a_coordinator_that_was_cut_off_counts_what_happened_meanwhile() {
    in_a_lab(async |network: &Network| {
        let field = field(Servers::on(network)).await;
        let far = Servers::url_at(Switch::Far);
        let _workers = ["a", "b"].map(|name| Field::worker_at(&far, name, "alone"));
        let run = field.coordinator("alone", "alone", WORKERS);
        under_way(&field).await;
        network.cut_lab(Switch::Near);
        // The workers do not need it.
        provisioned(&field, DEVICES - 40).await;
        network.mend_lab(Switch::Near);
        unharmed(&field, "alone", &Said::by(run));
    });
}

/// How many processes that a process has started have not ended.
fn children(parent: &Process) -> usize {
    let parent = parent.0.id().to_string();
    let processes = fs::read_dir("/proc").unwrap().map(Result::unwrap);
    let stats = processes.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    let is_child = |stat: &String| {
        // Behind the name, which may have any letters: state, parent.
        let (_, behind) = stat.rsplit_once(')').unwrap();
        let mut behind = behind.split_whitespace();
        behind.next() != Some("Z") && behind.next() == Some(parent.as_str())
    };
    stats.filter(is_child).count()
}
