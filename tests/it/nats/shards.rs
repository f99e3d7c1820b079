//! Work, claims and logs.

use std::time::Duration;

use fleetcall::cluster::{ACK_WAIT, AppendError, Claim, MAX_BODY, ShardLog};

use super::{Servers, counted, hold, run, text, within};

const SOON: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn each_shard_is_offered_once_and_given_to_one_worker_at_a_time() {
    let servers = Servers::one("");
    let bus = servers.bus().await;
    bus.offer(&run(), 3, ACK_WAIT).await.unwrap();
    bus.offer(&run(), 3, ACK_WAIT).await.unwrap();
    let mut leases = Vec::new();
    for _ in 0..3 {
        leases.push(bus.next_shard(&run(), SOON).await.unwrap().unwrap());
    }
    let mut shards: Vec<u32> = leases.iter().map(|lease| lease.shard).collect();
    shards.sort_unstable();
    assert_eq!(shards, [0, 1, 2]);
    let moment = Duration::from_millis(100);
    assert!(bus.next_shard(&run(), moment).await.unwrap().is_none());
    let returned = leases.pop().unwrap();
    let shard = returned.shard;
    returned.give_back().await;
    let again = bus.next_shard(&run(), SOON).await.unwrap().unwrap();
    assert_eq!((again.shard, again.delivered), (shard, 2));
    again.done().await.unwrap();
    for lease in leases {
        lease.done().await.unwrap();
    }
    bus.offer(&run(), 3, ACK_WAIT).await.unwrap();
    assert!(bus.next_shard(&run(), moment).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_whose_worker_is_silent_goes_to_another_and_one_that_is_worked_on_does_not() {
    let servers = Servers::one("");
    let bus = servers.bus().await;
    bus.offer(&run(), 2, Duration::from_secs(3)).await.unwrap();
    let held = bus.next_shard(&run(), SOON).await.unwrap().unwrap();
    let silent = bus.next_shard(&run(), SOON).await.unwrap().unwrap();
    let shard = silent.shard;
    drop(silent);
    let again = within(bus.next_shard(&run(), SOON)).await.unwrap().unwrap();
    assert_eq!((again.shard, again.delivered), (shard, 2));
    // By now the other one would have been given away as well.
    let more = bus
        .next_shard(&run(), Duration::from_secs(4))
        .await
        .unwrap();
    assert!(more.is_none(), "{more:?}");
    held.done().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_sixteen_who_claim_a_shard_at_once_one_has_it() {
    let servers = Servers::one("");
    let bus = servers.bus().await;
    for shard in 0..10 {
        let claims = (0..16).map(|worker| {
            let bus = bus.clone();
            tokio::spawn(async move {
                let worker = format!("w{worker}");
                ShardLog::claim(&bus, &run(), shard, &worker).await.unwrap()
            })
        });
        let mut holders = Vec::new();
        for claim in claims.collect::<Vec<_>>() {
            if let Claim::Held {
                holder, earlier, ..
            } = within(claim).await.unwrap()
            {
                holders.push((earlier, holder));
            }
        }
        // Who reads after another has claimed claims as well: the last of them holds the shard.
        holders.sort_by_key(|(earlier, _)| *earlier);
        let earlier: Vec<u32> = holders.iter().map(|(earlier, _)| *earlier).collect();
        let each_once: Vec<u32> = (0..).take(holders.len()).collect();
        assert_eq!(earlier, each_once);
        let (_, mut last) = holders.pop().unwrap();
        for (_, mut fenced) in holders {
            let refused = fenced.batch(b"no".to_vec()).await;
            assert!(matches!(refused, Err(AppendError::Fenced(_))));
        }
        last.finish(shard.to_string().into_bytes()).await.unwrap();
    }
    let bodies = counted(&bus, 10).await;
    assert_eq!(bodies, (0..10).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_takes_a_shard_over_has_what_counts_and_the_other_is_fenced() {
    let servers = Servers::one("");
    let bus = servers.bus().await;
    let (mut first, past, earlier) = hold(&bus, 0, "first").await;
    assert_eq!((past.len(), earlier), (0, 0));
    for number in 0..100 {
        first
            .batch(format!("a{number}").into_bytes())
            .await
            .unwrap();
    }
    let (mut second, past, earlier) = hold(&bus, 0, "second").await;
    assert_eq!((past.len(), earlier), (100, 1));
    assert_eq!(text(&past[99]), "a99");
    assert!(past.iter().all(|entry| entry.epoch == first.epoch()));
    let refused = first.batch(b"late".to_vec()).await;
    assert!(matches!(refused, Err(AppendError::Fenced(0))));
    assert!(first.finish(b"late".to_vec()).await.is_err());
    second.batch(b"b".to_vec()).await.unwrap();
    second.finish(b"end".to_vec()).await.unwrap();
    let third = ShardLog::claim(&bus, &run(), 0, "third").await.unwrap();
    assert!(matches!(third, Claim::Over));
    let bodies = counted(&bus, 1).await;
    assert_eq!(bodies.len(), 102);
    assert_eq!(bodies[100..], ["b", "end"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_too_long_is_the_callers_fault_and_costs_nothing() {
    let servers = Servers::one("max_payload: 100000\n");
    let bus = servers.bus().await;
    assert!(bus.max_body() < 100_000 && bus.max_body() < MAX_BODY);
    let (mut holder, ..) = hold(&bus, 0, "w").await;
    let long = holder.batch(vec![0; bus.max_body() + 1]).await;
    assert!(matches!(long, Err(AppendError::TooLong { .. })), "{long:?}");
    holder.batch(vec![b'x'; bus.max_body()]).await.unwrap();
    holder.finish(Vec::new()).await.unwrap();
    let bodies = counted(&bus, 1).await;
    assert_eq!(bodies[0].len(), bus.max_body());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_write_into_a_log_counts_for_nothing_and_fences_nobody_for_good() {
    let servers = Servers::one("");
    let bus = servers.bus().await;
    let (mut holder, ..) = hold(&bus, 0, "w").await;
    holder.batch(b"1".to_vec()).await.unwrap();
    let stranger = async_nats::connect(servers.addresses()).await.unwrap();
    let subject = format!("fleetcall.{}.log.0", run());
    stranger.publish(subject, "nonsense".into()).await.unwrap();
    stranger.flush().await.unwrap();
    let refused = within(async {
        loop {
            // The stranger's may not be stored yet.
            if let Err(error) = holder.batch(b"2".to_vec()).await {
                return error;
            }
        }
    });
    assert!(matches!(refused.await, AppendError::Fenced(0)));
    let (mut second, past, earlier) = hold(&bus, 0, "w").await;
    assert!(past.iter().all(|entry| text(entry) != "nonsense"));
    assert_eq!(earlier, 1);
    second.finish(b"end".to_vec()).await.unwrap();
    let third = ShardLog::claim(&bus, &run(), 0, "w").await.unwrap();
    assert!(matches!(third, Claim::Over));
}
