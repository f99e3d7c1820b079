//! Devices that call the server: what is configured is answered, on every transport.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};

use fleetcall::model::{RpcAnswer, RpcAnswers, Strategy};
use fleetcall::target::{Limits, Target, TargetConfig};
use serde_json::{Value, json};

use super::golden;
use super::peers::paho_at;
use crate::support::api::ask;
use crate::support::golden::text;
use crate::support::serve;
use crate::target_wire::coap::{CON, POST, Peer, message};
use crate::target_wire::{TOKEN, config, device, publish};

const TIME: &str = r#"{"utc":1700000000000}"#;

async fn start() -> Target {
    let answers = [
        ("getTime", RpcAnswer::Fixed(TIME.into())),
        ("ping", RpcAnswer::Echo),
    ];
    let answers: BTreeMap<_, _> = answers.map(|(m, answer)| (m.to_owned(), answer)).into();
    let limits = Limits {
        client_rpc: std::time::Duration::from_millis(30),
        ..Limits::default()
    };
    Target::start(TargetConfig {
        rpc: RpcAnswers(answers),
        limits,
        ..config(Strategy::Check)
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_fixed_or_the_parameters_and_other_methods_time_out() {
    let target = start().await;
    let mut wire = device(&target, TOKEN).await;
    let ping = r#"{"method":"ping","params":[1,{"a":null}]}"#;
    let unknown = r#"{"method":"unknown","params":{}}"#;
    let timeout = text("client-rpc-timeout.json");
    let request = text("client-rpc-request.json");
    for (n, (asked, answer)) in [
        (&*request, TIME),
        (ping, r#"[1,{"a":null}]"#),
        (unknown, &*timeout),
    ]
    .into_iter()
    .enumerate()
    {
        let topic = "v1/devices/me/rpc/request/5";
        wire.send(publish(topic, 1, 2, asked.as_bytes())).await;
        wire.expect([0x40, 2, 0, 2]).await;
        let topic = "v1/devices/me/rpc/response/5";
        wire.expect(publish(topic, 1, n as u16 + 1, answer.as_bytes()))
            .await;
        let body = serde_json::from_str(asked).ok();
        let path = format!("/api/v1/{TOKEN}/rpc");
        let told = ask(&target, "", "POST", &path, body).await;
        assert_eq!(told, (200, serde_json::from_str(answer).unwrap()));
        let peer = Peer::new(&target).await;
        let path = format!("api/v1/{TOKEN}/rpc");
        peer.send(message(CON, POST, 7, &path, asked)).await;
        let told = peer.receive().await;
        assert_eq!(told[1], 0x45);
        assert!(told.ends_with(answer.as_bytes()), "{}", told.escape_ascii());
    }
    let counts = target.counts();
    assert_eq!((counts.client_rpcs, counts.client_rpcs_answered), (9, 6));
}

/// By a file, as users have it.
#[tokio::test(flavor = "multi_thread")]
async fn paho_calls_a_server_that_was_configured_by_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let (file, list) = (dir.path().join("target.toml"), dir.path().join("list.csv"));
    fs::write(&list, format!("name,token\nD1,{TOKEN}\n")).unwrap();
    fs::write(&file, "rpc.getTime.answer.utc = 1700000000000\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleetcall"));
    command.args(["target", "--mqtt", "127.0.0.1:0", "--config"]);
    command.arg(&file).arg("--devices").arg(&list);
    let (_server, ready) = serve(command.stderr(Stdio::inherit()));
    let (_, port) = ready["mqtt"].as_str().unwrap().rsplit_once(':').unwrap();
    let mut device = paho_at(port, TOKEN, "3");
    device.order(&json!({"subscribe": [["v1/devices/me/rpc/response/+", 1]]}));
    assert_eq!(device.next(), json!({"subscribed": [1]}));
    let payload = golden("client-rpc-request.json").to_string();
    let topic = "v1/devices/me/rpc/request/1";
    device.order(&json!({"publish": topic, "payload": payload, "qos": 1}));
    let mut seen = [device.next(), device.next()];
    seen.sort_by_key(Value::to_string);
    assert_eq!(seen[0]["reason"], 0);
    assert_eq!(seen[1]["topic"], "v1/devices/me/rpc/response/1");
    assert_eq!(seen[1]["payload"], TIME);
}
