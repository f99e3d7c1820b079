//! What the processes of a run have to know: keys, blobs, who is there, what time it is.

use std::time::Duration;

use fleetcall::cluster::{BusError, Created};

use super::{Servers, run, within};

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_created_once_and_has_the_value_that_it_was_given_last() {
    let servers = Servers::one("");
    let bus = servers.bus().await;
    assert_eq!(bus.get(&run(), "phase").await.unwrap(), None);
    let first = bus.create(&run(), "phase", b"a".to_vec()).await.unwrap();
    assert_eq!(first, Created::New);
    let second = bus.create(&run(), "phase", b"b".to_vec()).await.unwrap();
    assert_eq!(second, Created::There(b"a".to_vec()));
    bus.put(&run(), "phase", b"c".to_vec()).await.unwrap();
    let value = bus.get(&run(), "phase").await.unwrap();
    assert_eq!(value.as_deref(), Some(b"c".as_slice()));
    let other = "run-2".parse().unwrap();
    assert_eq!(bus.get(&other, "phase").await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_watches_a_key_has_its_value_at_once_and_misses_no_last_one() {
    let servers = Servers::one("");
    let (bus, other) = (servers.bus().await, servers.bus().await);
    bus.put(&run(), "t0", b"0".to_vec()).await.unwrap();
    let mut watched = bus.watch(&run(), "t0").await.unwrap();
    assert_eq!(
        watched.borrow_and_update().as_deref(),
        Some(b"0".as_slice())
    );
    // Written while others begin to watch: whoever comes has it, or hears of it.
    for number in 1..=40 {
        let value = number.to_string().into_bytes();
        let run = run();
        let put = other.put(&run, "t0", value.clone());
        let (put, late) = tokio::join!(put, bus.watch(&run, "t0"));
        put.unwrap();
        let mut late = late.unwrap();
        for watched in [&mut watched, &mut late] {
            within(watched.wait_for(|seen| seen.as_ref() == Some(&value)))
                .await
                .unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_hear_which_run_is_announced() {
    let servers = Servers::one("");
    let bus = servers.bus().await;
    let mut announced = bus.announced().await.unwrap();
    assert_eq!(*announced.borrow_and_update(), None);
    bus.announce(&run()).await.unwrap();
    within(announced.wait_for(|seen| seen.as_ref() == Some(&run())))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_comes_back_whole_or_not_at_all() {
    let servers = Servers::one("max_payload: 70000\n");
    let bus = servers.bus().await;
    assert_eq!(bus.blob(&run(), "list").await.unwrap(), None);
    let list: Vec<u8> = (0..1_000_003_u32).map(|n| (n % 251) as u8).collect();
    for bytes in [&list[..], &list[..bus.max_body()], &[]] {
        bus.put_blob(&run(), "list", bytes).await.unwrap();
        let back = bus.blob(&run(), "list").await.unwrap().unwrap();
        assert!(back == bytes, "{} of {}", back.len(), bytes.len());
    }
    bus.put_blob(&run(), "list", &list).await.unwrap();
    let manifest = bus.get(&run(), "list").await.unwrap().unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    let piece = format!("list-{}-3", &manifest["sha256"].as_str().unwrap()[..16]);
    let mut damaged = bus.get(&run(), &piece).await.unwrap().unwrap();
    damaged[17] ^= 1;
    bus.put(&run(), &piece, damaged).await.unwrap();
    let back = bus.blob(&run(), "list").await;
    assert!(matches!(back, Err(BusError::Damaged(_))), "{back:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_there_is_known_by_name_for_ten_seconds() {
    let servers = Servers::one("");
    let bus = servers.bus().await;
    assert_eq!(bus.who(&run()).await.unwrap(), []);
    for worker in ["b.example", "a"] {
        bus.here(&run(), worker, b"1".to_vec()).await.unwrap();
        bus.here(&run(), worker, worker.into()).await.unwrap();
    }
    bus.here(&"run-2".parse().unwrap(), "c", b"1".to_vec())
        .await
        .unwrap();
    let there = bus.who(&run()).await.unwrap();
    let expected = ["a", "b.example"].map(|name| (name.to_owned(), name.as_bytes().to_vec()));
    assert_eq!(there, expected);
    within(async {
        while !bus.who(&run()).await.unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_knows_the_coordinators_clock_to_half_of_an_answers_time() {
    let servers = Servers::one("");
    let (bus, coordinator) = (servers.bus().await, servers.bus().await);
    // It may ask before anybody answers.
    let asking = tokio::spawn(async move { bus.clock(&run()).await });
    let serving = coordinator.serve_clock(&run()).await.unwrap();
    let clock = within(asking).await.unwrap().unwrap();
    // Both read the clock of this machine.
    assert!(clock.offset.unsigned_abs() <= clock.rtt, "{clock:?}");
    serving.abort();
}
