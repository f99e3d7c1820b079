//! Workers, servers and coordinators that die in mid-run, or seem to: each listed device is counted once, and
//! what the target has made is explained by what is counted.

mod namespaces;

use std::collections::BTreeMap;
use std::time::Duration;

use fleetcall::cluster::{Bus, Fold, Verdict};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::sync::mpsc::Receiver;
use tokio::time::sleep;

use super::Field;
use crate::nats::{Cable, Servers, within};
use crate::support::Said;

const DEVICES: u64 = 400;
const WORKERS: u32 = 2;
const SHARDS: u32 = 4;

/// Sixteen seconds of arrivals, and as long as the last devices need.
const ARRIVAL: &str = "[arrival]\nstages = [{ duration = \"16s\", rate = 25 }, { duration = \"2s\", rate = 0 }]\n\
                       [telemetry]\ninterval = \"1s\"\npayload = { t = 21.5 }\n";

async fn field(servers: Servers) -> Field {
    let list = format!("generate = {{ count = {DEVICES}, kind = \"mac\" }}");
    Field::of(servers, &list, ARRIVAL).await
}

/// Until a good part of the devices is there, and most are not.
async fn under_way(field: &Field) {
    provisioned(field, 80).await;
}

async fn provisioned(field: &Field, devices: u64) {
    within(async {
        while field.target.counts().provisioned < devices {
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

fn signal(process: u32, signal: Signal) {
    let pid = i32::try_from(process).unwrap();
    kill(Pid::from_raw(pid), signal).unwrap();
}

/// Holds a run's files to its target; the summary.
fn accounted(field: &Field, out: &str, said: &Said) -> Value {
    let summary = field.summary(out);
    let mut outcomes = BTreeMap::new();
    for outcome in field.devices(out).into_values() {
        *outcomes.entry(outcome).or_insert(0) += 1;
    }
    assert_eq!(outcomes.values().sum::<u64>(), DEVICES, "{outcomes:?}");
    for (outcome, count) in &outcomes {
        assert_eq!(summary["devices"][outcome], *count, "{outcome}");
    }
    assert_eq!(summary["starts"]["started"], DEVICES, "{summary:#}");
    let of = |outcome: &str| outcomes.get(outcome).copied().unwrap_or(0);
    // Whoever had asked, and whose answer died with its worker, is in doubt: the target knows it, or does not.
    assert_eq!(of("provisioned") + of("unknown"), DEVICES, "{outcomes:?}");
    let made = field.target.counts().provisioned;
    assert!(
        (of("provisioned")..=DEVICES).contains(&made),
        "{made}, {outcomes:?}"
    );
    let code = if of("unknown") == 0 { 0 } else { 3 };
    assert_eq!(said.code, Some(code), "{}{}", said.out, said.err);
    summary
}

/// The same, where nobody who starts devices was harmed.
fn unharmed(field: &Field, out: &str, said: &Said) {
    let summary = accounted(field, out, said);
    assert_eq!(summary["devices"]["provisioned"], DEVICES);
    let counts = field.target.counts();
    assert_eq!((counts.provisioned, counts.refused), (DEVICES, 0));
}

/// A run's claims, as they are made: how many held the shard before, and who does now.
async fn claims(field: &Field, run: &str) -> Receiver<(u32, String)> {
    let bus = within(Bus::connect(&field.servers.access())).await.unwrap();
    let mut entries = bus.follow(&run.parse().unwrap());
    let (sender, receiver) = tokio::sync::mpsc::channel(64);
    tokio::spawn(async move {
        let mut fold = Fold::new(SHARDS);
        while let Some(entry) = entries.recv().await {
            match fold.take(&entry) {
                Verdict::Claimed { earlier, .. } => {
                    if sender.send((earlier, entry.worker.clone())).await.is_err() {
                        return;
                    }
                }
                Verdict::Counted | Verdict::Over => {}
                Verdict::Ignored(why) => panic!("{why:?}: {entry:?}"),
            }
        }
    });
    receiver
}

/// Waits until a shard was taken over; who has it.
async fn taken_over(claims: &mut Receiver<(u32, String)>) -> String {
    loop {
        if let (1.., worker) = within(claims.recv()).await.unwrap() {
            return worker;
        }
    }
}

/// How many shards a worker took over from another, as the summary has it.
fn took_over(summary: &Value, worker: &str) -> u64 {
    let workers = summary["cluster"]["workers"].as_array().unwrap();
    let worker = workers.iter().find(|found| found["name"] == worker);
    worker.unwrap()["taken_over"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shards_of_a_worker_that_is_killed_go_to_another() {
    let field = field(Servers::one("")).await;
    let [killed, _other] = ["killed", "other"].map(|name| field.worker(name, "kill"));
    let run = field.coordinator("kill", "kill", WORKERS);
    let mut claims = claims(&field, "kill").await;
    under_way(&field).await;
    drop(killed);
    assert_eq!(taken_over(&mut claims).await, "other");
    let summary = accounted(&field, "kill", &Said::by(run));
    assert_eq!(took_over(&summary, "other"), 2, "{summary:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_was_stopped_for_too_long_counts_for_nothing_when_it_goes_on() {
    let field = field(Servers::one("")).await;
    let [stopped, _other] = ["stopped", "other"].map(|name| field.worker(name, "stop"));
    let run = field.coordinator("stop", "stop", WORKERS);
    let mut claims = claims(&field, "stop").await;
    under_way(&field).await;
    signal(stopped.0.id(), Signal::SIGSTOP);
    assert_eq!(taken_over(&mut claims).await, "other");
    signal(stopped.0.id(), Signal::SIGCONT);
    accounted(&field, "stop", &Said::by(run));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_was_cut_off_for_too_long_counts_for_nothing_when_it_is_back() {
    let field = field(Servers::one("")).await;
    let cable = Cable::to(field.servers.port()).await;
    let _far = Field::worker_at(&cable.url(), "far", "cut-off");
    let _other = field.worker("other", "cut-off");
    let run = field.coordinator("cut-off", "cut-off", WORKERS);
    let mut claims = claims(&field, "cut-off").await;
    under_way(&field).await;
    cable.cut();
    assert_eq!(taken_over(&mut claims).await, "other");
    cable.mend();
    accounted(&field, "cut-off", &Said::by(run));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_device_is_lost_or_doubled_when_the_logs_leader_is_killed_in_mid_run() {
    let mut field = field(Servers::three()).await;
    let _workers = ["a", "b"].map(|name| field.worker(name, "leader"));
    let run = field.coordinator("leader", "leader", WORKERS);
    under_way(&field).await;
    let killed = field.servers.kill_leader("FLEETCALL_LOG").await;
    field.servers.another_leads("FLEETCALL_LOG", killed).await;
    field.servers.restart();
    unharmed(&field, "leader", &Said::by(run));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_device_is_lost_or_doubled_when_all_servers_are_killed_in_mid_run() {
    let mut field = field(Servers::three()).await;
    let _workers = ["a", "b"].map(|name| field.worker(name, "all"));
    let run = field.coordinator("all", "all", WORKERS);
    under_way(&field).await;
    field.servers.kill_all();
    // An outage that is long enough for answers to be given up.
    sleep(Duration::from_secs(3)).await;
    field.servers.restart();
    accounted(&field, "all", &Said::by(run));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_that_is_killed_and_started_again_counts_what_happened_meanwhile() {
    let field = field(Servers::one("")).await;
    let _workers = ["a", "b"].map(|name| field.worker(name, "again"));
    let mut first = field.coordinator("first", "again", WORKERS);
    under_way(&field).await;
    first.kill().unwrap();
    first.wait().unwrap();
    let at_the_kill = field.target.counts().provisioned;
    // The workers do not wait for it.
    provisioned(&field, at_the_kill + 40).await;
    let second = field.coordinator("second", "again", WORKERS);
    unharmed(&field, "second", &Said::by(second));
}
