//! Three servers that are killed and come back.

use std::time::Duration;

use fleetcall::cluster::{Bus, Entry};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::{PATIENCE_S, Servers, counted, hold, run, within};

/// Shards that are written to at once.
const SHARDS: u32 = 4;
/// Records of each.
const RECORDS: u32 = 120;

/// Writes all records of all shards; says after each how many are written.
fn write(bus: &Bus, written: &Sender<u32>) {
    for shard in 0..SHARDS {
        let (bus, written) = (bus.clone(), written.clone());
        tokio::spawn(async move {
            let (mut holder, ..) = hold(&bus, shard, "w").await;
            for number in 0..RECORDS {
                let body = format!("{shard}:{number}").into_bytes();
                holder.batch(body).await.unwrap();
                written.send(number).await.unwrap();
            }
            holder
                .finish(format!("{shard}:end").into_bytes())
                .await
                .unwrap();
        });
    }
}

/// Waits for so many more records.
async fn after(written: &mut Receiver<u32>, records: u32) {
    for _ in 0..records {
        within(written.recv()).await.unwrap();
    }
}

/// All that there is, until each shard is over.
async fn all(mut followed: Receiver<Entry>) -> Vec<u64> {
    let records = SHARDS * (RECORDS + 2);
    let mut sequences = Vec::new();
    for _ in 0..records {
        sequences.push(within(followed.recv()).await.unwrap().sequence);
    }
    sequences
}

pub(super) async fn holds_through(harm: impl AsyncFnOnce(&mut Servers)) {
    let mut servers = Servers::three();
    let bus = servers.bus().await;
    assert_eq!(bus.replicas(), 3);
    let followed = tokio::spawn(all(bus.follow(&run())));
    let (sender, mut written) = channel(1);
    write(&bus, &sender);
    drop(sender);
    after(&mut written, 100).await;
    harm(&mut servers).await;
    while within(written.recv()).await.is_some() {}
    // From its side and from another's, that sees it for the first time.
    let sequences = within(followed).await.unwrap();
    assert!(sequences.is_sorted_by(|a, b| a < b), "{sequences:?}");
    let mut bodies = counted(&servers.bus().await, SHARDS).await;
    bodies.sort_unstable();
    let mut expected: Vec<String> = (0..SHARDS)
        .flat_map(|shard| {
            let numbers = (0..RECORDS).map(move |number| format!("{shard}:{number}"));
            numbers.chain([format!("{shard}:end")])
        })
        .collect();
    expected.sort_unstable();
    assert_eq!(bodies, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_neither_lost_nor_doubled_when_the_logs_leader_is_killed() {
    holds_through(async |servers| {
        servers.kill_leader("FLEETCALL_LOG").await;
        servers.leads("FLEETCALL_LOG").await;
        servers.restart();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_neither_lost_nor_doubled_when_all_servers_are_killed() {
    holds_through(async |servers| {
        servers.kill_all();
        servers.restart();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watched_key_has_its_last_value_after_all_servers_were_killed() {
    let mut servers = Servers::three();
    let bus = servers.bus().await;
    bus.put(&run(), "phase", b"ready".to_vec()).await.unwrap();
    let mut watched = bus.watch(&run(), "phase").await.unwrap();
    servers.kill_all();
    let other = bus.clone();
    let put = tokio::spawn(async move { other.put(&run(), "phase", b"over".to_vec()).await });
    servers.restart();
    within(put).await.unwrap().unwrap();
    within(watched.wait_for(|seen| seen.as_deref() == Some(b"over".as_slice())))
        .await
        .unwrap();
    let wait = Duration::from_secs(PATIENCE_S);
    bus.offer(&run(), 1, Duration::from_secs(5)).await.unwrap();
    let lease = bus.next_shard(&run(), wait).await.unwrap().unwrap();
    servers.kill_all();
    servers.restart();
    within(lease.done()).await.unwrap();
}
