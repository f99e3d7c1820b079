//! What is cut off and comes back: a leader that is stopped, a worker whose network is.

use std::time::Duration;

use fleetcall::cluster::{Access, AppendError, Bus};
use nix::sys::signal::Signal;

use super::cluster::holds_through;
use super::{Cable, Servers, counted, hold, run, within};

/// The bus over a cable.
async fn far(cable: &Cable) -> Bus {
    let access = Access {
        url: cable.url(),
        ..Access::default()
    };
    within(Bus::connect(&access)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_neither_lost_nor_doubled_when_the_logs_leader_stops_and_goes_on() {
    holds_through(async |servers| {
        let number = servers.stop_leader("FLEETCALL_LOG").await;
        // Until the others have elected another.
        servers.another_leads("FLEETCALL_LOG", number).await;
        servers.signal(number, Signal::SIGCONT);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_was_cut_off_is_fenced_once_another_has_its_shard() {
    let servers = Servers::one("");
    let direct = servers.bus().await;
    let cable = Cable::to(servers.port()).await;
    let far = far(&cable).await;
    direct
        .offer(&run(), 1, Duration::from_secs(2))
        .await
        .unwrap();
    let soon = Duration::from_secs(20);
    let lost = far.next_shard(&run(), soon).await.unwrap().unwrap();
    let (mut holder, ..) = hold(&far, 0, "far").await;
    holder.batch(b"1".to_vec()).await.unwrap();

    cable.cut();
    let under_way = tokio::spawn(async move { holder.batch(b"2".to_vec()).await });
    let lease = within(direct.next_shard(&run(), soon))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((lease.shard, lease.delivered), (0, 2));
    let (mut second, past, earlier) = hold(&direct, 0, "near").await;
    assert_eq!((past.len(), earlier), (1, 1));
    second.batch(b"2".to_vec()).await.unwrap();

    cable.mend();
    let fenced = within(under_way).await.unwrap();
    assert!(matches!(fenced, Err(AppendError::Fenced(0))), "{fenced:?}");
    second.finish(b"end".to_vec()).await.unwrap();
    lease.done().await.unwrap();
    drop(lost);
    assert_eq!(counted(&direct, 1).await, ["1", "2", "end"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_was_cut_off_for_a_moment_goes_on_where_it_was() {
    let servers = Servers::one("");
    let direct = servers.bus().await;
    let cable = Cable::to(servers.port()).await;
    let far = far(&cable).await;
    let (mut holder, ..) = hold(&far, 0, "far").await;
    for round in 0..3 {
        cable.cut();
        let body = round.to_string().into_bytes();
        let under_way = tokio::spawn(async move {
            holder.batch(body).await.unwrap();
            holder
        });
        // Long enough for an answer to be given up and asked for again.
        tokio::time::sleep(Duration::from_secs(6)).await;
        cable.mend();
        holder = within(under_way).await.unwrap();
    }
    holder.finish(b"end".to_vec()).await.unwrap();
    assert_eq!(counted(&direct, 1).await, ["0", "1", "2", "end"]);
}
