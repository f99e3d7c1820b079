//! Long polls of HTTP devices, by curl.

use std::time::Duration;

use fleetcall::model::Strategy;
use fleetcall::target::{Limits, Target, TargetConfig};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{call, golden, start};
use crate::support::PATIENCE;
use crate::support::api::ask;
use crate::target_wire::{TOKEN, config, until};

async fn get(target: &Target, what: &str) -> (u16, Value) {
    ask(target, "", "GET", &format!("/api/v1/{TOKEN}/{what}"), None).await
}

async fn reply(target: &Target, id: u32, body: Value) -> (u16, Value) {
    let path = format!("/api/v1/{TOKEN}/rpc/{id}");
    ask(target, "", "POST", &path, Some(body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_ends_with_the_first_update_and_hears_of_none_before_it() {
    let api = start().await;
    api.share("D1", json!({"before": 1})).await;
    let operator = async {
        // A poll that came too late is tried again: nothing says when it has begun.
        let mut said = 0;
        while api.target.counts().attribute_updates == 0 {
            api.share("D1", golden("attribute-update.json")).await;
            said += 1;
        }
        said
    };
    let poll = get(&api.target, "attributes/updates?timeout=20000");
    let (heard, said) = tokio::join!(poll, operator);
    assert_eq!(heard, (200, golden("attribute-update.json")));
    assert!(said > 0);
    let (heard, ()) = tokio::join!(get(&api.target, "attributes/updates"), async {
        while api.target.counts().attribute_updates == 1 {
            api.unshare("D1").await;
        }
    });
    assert_eq!(heard, (200, golden("attribute-deleted.json")));
    let all = get(&api.target, "attributes?sharedKeys=on,k").await;
    assert_eq!(all, (200, json!({"shared": {"on": true}})));
}

#[tokio::test(flavor = "multi_thread")]
async fn polls_end_without_a_message_as_the_table_says() {
    let limits = Limits {
        http_async: Duration::from_millis(60),
        ..Limits::default()
    };
    let target = Target::start(TargetConfig {
        limits,
        ..config(Strategy::Check)
    })
    .await
    .unwrap();
    for what in ["attributes/updates", "rpc"] {
        let short = get(&target, &format!("{what}?timeout=5")).await;
        assert_eq!(short, (408, Value::Null), "{what}");
        let (status, told) = get(&target, what).await;
        assert_eq!((status, &told["errorCode"]), (503, &json!(2)), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_waits_for_a_poll_comes_again_until_it_is_answered_and_ends_with_the_reply() {
    let api = start().await;
    let device = async {
        until(|| api.target.counts().rpc_calls == 1).await;
        let poll = "rpc?timeout=20000";
        for _ in 0..2 {
            let heard = get(&api.target, poll).await;
            assert_eq!(heard, (200, golden("rpc-request-with-id.json")));
        }
        assert_eq!(reply(&api.target, 7, json!({})).await, (200, Value::Null));
        let told = reply(&api.target, 0, golden("rpc-reply.json")).await;
        assert_eq!(told, (200, Value::Null));
        get(&api.target, "rpc?timeout=1").await
    };
    let called = api.rpc("twoway", "D1", call(20_000));
    let (answer, after) = tokio::join!(called, device);
    assert_eq!(answer, (200, golden("rpc-reply.json")));
    assert_eq!(after, (408, Value::Null), "it is answered");
    let counts = api.target.counts();
    assert_eq!((counts.rpc_replies, counts.rpc_stale), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_caller_left_is_withdrawn() {
    let api = start().await;
    let path = format!("/api/rpc/twoway/{}", api.id("D1").await);
    let caller = api.begin(&path, &call(20_000)).await;
    until(|| api.target.counts().rpc_calls == 1).await;
    drop(caller);
    let gone = async { while get(&api.target, "rpc?timeout=1").await.0 == 200 {} };
    timeout(PATIENCE, gone).await.expect("it is still there");
}
