//! What is held back, lost or limited on purpose. Times are lower bounds only.

use std::time::Duration;

use fleetcall::model::{Delay, Faults, Outage, PhaseFaults, RateLimits, Stall, Strategy};
use fleetcall::target::{Limits, TargetConfig};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{call, golden};
use crate::support::api::{Api, ask};
use crate::support::golden::hex;
use crate::target_wire::coap::{CON, Peer, observe};
use crate::target_wire::{TOKEN, Wire, alive, config, device, field, packet, publish, until};

async fn start(faults: Faults) -> Api {
    let limits = Limits {
        rpc_timeout_min: Duration::ZERO,
        ..Limits::default()
    };
    Api::start(TargetConfig {
        faults,
        limits,
        ..config(Strategy::Check)
    })
    .await
}

fn downlink(delay: Option<Duration>, lose: f64) -> Faults {
    Faults {
        downlink: PhaseFaults {
            delay: delay.map(Delay::Fixed),
            lose_answer: lose,
            ..PhaseFaults::default()
        },
        ..Faults::default()
    }
}

/// D1's session, subscribed to both.
async fn listening(api: &Api) -> Wire {
    let mut wire = device(&api.target, TOKEN).await;
    for filter in ["v1/devices/me/attributes", "v1/devices/me/rpc/request/+"] {
        wire.send(packet(0x82, &[&[0, 5], &field(filter), &[1]]))
            .await;
        wire.expect([0x90, 3, 0, 5, 1]).await;
    }
    wire
}

const HELD: Duration = Duration::from_millis(300);

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_back_comes_no_sooner_and_what_is_asked_meanwhile_is_answered() {
    let api = start(downlink(Some(HELD), 0.0)).await;
    let mut wire = listening(&api).await;
    let begun = Instant::now();
    api.share("D1", golden("attribute-update.json")).await;
    until(|| api.target.counts().attribute_updates == 1).await;
    alive(&mut wire).await;
    wire.expect(hex("mqtt-attribute-update")).await;
    assert!(begun.elapsed() >= HELD);
    let begun = Instant::now();
    let path = format!("/api/v1/{TOKEN}/rpc?timeout=20000");
    let poll = ask(&api.target, "", "GET", &path, None);
    let called = async {
        let mut said = 0;
        while api.target.counts().rpc_delivered < 2 {
            assert_eq!(api.rpc("oneway", "D1", call(1)).await.0, 200);
            said += 1;
        }
        said
    };
    let ((status, heard), _) = tokio::join!(poll, called);
    assert_eq!((status, &heard["method"]), (200, &json!("setGpio")));
    assert!(begun.elapsed() >= HELD);
    let peer = Peer::new(&api.target).await;
    peer.send(observe(CON, 1, "attributes", 0)).await;
    peer.receive().await;
    let begun = Instant::now();
    api.share("D1", json!({"a": 1})).await;
    assert!(peer.receive().await.ends_with(br#"{"a":1}"#));
    assert!(begun.elapsed() >= HELD);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_lost_never_comes_and_who_sent_it_is_told_that_it_did() {
    let api = start(downlink(None, 1.0)).await;
    let mut wire = listening(&api).await;
    api.share("D1", json!({"a": 1})).await;
    assert_eq!(api.rpc("oneway", "D1", call(1)).await, (200, Value::Null));
    assert_eq!(api.rpc("twoway", "D1", call(1)).await, (504, Value::Null));
    alive(&mut wire).await;
    until(|| api.target.counts().faults_undelivered == 3).await;
    let poll = async {
        let path = format!("/api/v1/{TOKEN}/attributes/updates?timeout=400");
        ask(&api.target, "", "GET", &path, None).await
    };
    let share = async {
        while api.target.counts().faults_undelivered < 5 {
            api.share("D1", json!({"a": 2})).await;
        }
    };
    let (polled, ()) = tokio::join!(poll, share);
    assert_eq!(polled, (408, Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_falls_due_in_a_stall_comes_after_it() {
    let api = start(Faults::default()).await;
    let hour = Outage {
        at: Duration::ZERO,
        length: Duration::from_hours(1),
    };
    let stall = Faults {
        stall: vec![Stall {
            when: hour,
            phases: Vec::new(),
        }],
        ..Faults::default()
    };
    let update = golden("attribute-update.json");
    let mut wire = device(&api.target, TOKEN).await;
    wire.send(packet(0x82, &[&[0, 5], &field("v2/a"), &[0]]))
        .await;
    wire.expect([0x90, 3, 0, 5, 0]).await;
    let peer = Peer::new(&api.target).await;
    for observes in [false, true] {
        if observes {
            peer.send(observe(CON, 1, "attributes", 0)).await;
            peer.receive().await;
        }
        // Once more if everything came to a stand only after the message was due.
        loop {
            api.target.set_faults(downlink(Some(HELD), 0.0)).unwrap();
            let asked = Instant::now();
            api.share("D1", update.clone()).await;
            api.target.set_faults(stall.clone()).unwrap();
            let in_time = asked.elapsed() < HELD;
            let begun = Instant::now();
            let go_on = async {
                tokio::time::sleep(HELD * 2).await;
                api.target.set_faults(Faults::default()).unwrap();
            };
            let heard = async {
                if observes {
                    let heard = peer.receive().await;
                    assert!(heard.ends_with(update.to_string().as_bytes()));
                } else {
                    let payload = update.to_string();
                    wire.expect(publish("v2/a", 0, 0, payload.as_bytes())).await;
                }
                begun.elapsed()
            };
            let ((), waited) = tokio::join!(go_on, heard);
            if in_time {
                assert!(waited >= HELD * 2, "{waited:?}");
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_its_rate_limit_the_rest_api_says_so_and_devices_are_not_concerned() {
    let limits = RateLimits {
        tenant_rest: "3:3600".parse().unwrap(),
        ..RateLimits::default()
    };
    let api = start(Faults {
        rate_limits: limits,
        ..Faults::default()
    })
    .await;
    let path = "/api/tenant/devices?pageSize=1&page=0";
    for _ in 0..3 {
        assert_eq!(api.get(path).await.0, 200);
    }
    let (status, told) = api.get(path).await;
    assert_eq!((status, &told["status"]), (429, &json!(429)));
    assert_eq!(told["errorCode"], 33);
    assert_eq!(told["message"], "Too many requests for current tenant!");
    assert!(told["timestamp"].is_u64());
    let telemetry = format!("/api/v1/{TOKEN}/telemetry");
    let sent = ask(&api.target, "", "POST", &telemetry, Some(json!({"a": 1}))).await;
    assert_eq!(sent.0, 200);
    assert_eq!(
        crate::support::api::login(&api.target, "tenant").await.0,
        200
    );
    assert_eq!(api.target.counts().rest_limited, 1);
}
