//! What is cut off and comes back: a leader that is stopped, a worker whose network is.

use std::time::Duration;

use fleetcall::cluster::{Access, AppendError, Bus};
use nix::sys::signal::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::cluster::holds_through;
use super::{Servers, counted, hold, run, within};

/// A way to a server that can be cut: nothing comes through and nothing is closed, as when a switch is off.
struct Cable {
    port: u16,
    whole: watch::Sender<bool>,
}

impl Cable {
    async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let (whole, seen) = watch::channel(true);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = TcpStream::connect(("127.0.0.1", port)).await else {
                    continue;
                };
                let ((near_in, near_out), (far_in, far_out)) =
                    (near.into_split(), far.into_split());
                tokio::spawn(carry(near_in, far_out, seen.clone()));
                tokio::spawn(carry(far_in, near_out, seen.clone()));
            }
        });
        Self { port: own, whole }
    }

    fn access(&self) -> Access {
        Access {
            url: format!("nats://127.0.0.1:{}", self.port),
            ..Access::default()
        }
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut whole: watch::Receiver<bool>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if whole.wait_for(|whole| *whole).await.is_err() {
            return;
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
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
    let far = within(Bus::connect(&cable.access())).await.unwrap();
    direct
        .offer(&run(), 1, Duration::from_secs(2))
        .await
        .unwrap();
    let soon = Duration::from_secs(20);
    let lost = far.next_shard(&run(), soon).await.unwrap().unwrap();
    let (mut holder, ..) = hold(&far, 0, "far").await;
    holder.batch(b"1".to_vec()).await.unwrap();

    cable.whole.send_replace(false);
    let under_way = tokio::spawn(async move { holder.batch(b"2".to_vec()).await });
    let lease = within(direct.next_shard(&run(), soon))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((lease.shard, lease.delivered), (0, 2));
    let (mut second, past, earlier) = hold(&direct, 0, "near").await;
    assert_eq!((past.len(), earlier), (1, 1));
    second.batch(b"2".to_vec()).await.unwrap();

    cable.whole.send_replace(true);
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
    let far = within(Bus::connect(&cable.access())).await.unwrap();
    let (mut holder, ..) = hold(&far, 0, "far").await;
    for round in 0..3 {
        cable.whole.send_replace(false);
        let body = round.to_string().into_bytes();
        let under_way = tokio::spawn(async move {
            holder.batch(body).await.unwrap();
            holder
        });
        // Long enough for an answer to be given up and asked for again.
        tokio::time::sleep(Duration::from_secs(6)).await;
        cable.whole.send_replace(true);
        holder = within(under_way).await.unwrap();
    }
    holder.finish(b"end".to_vec()).await.unwrap();
    assert_eq!(counted(&direct, 1).await, ["0", "1", "2", "end"]);
}
