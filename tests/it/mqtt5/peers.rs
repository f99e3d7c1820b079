//! The target against MQTT 5 clients that are not ours: paho-mqtt and Mosquitto's.

use std::process::{Command, Stdio};

use fleetcall::model::{Release, Strategy};
use fleetcall::target::Target;
use serde_json::{Value, json};

use super::target::{device, follows, released};
use crate::support::golden::{hex, text};
use crate::support::{Process, eventually, program, python, root, succeed};
use crate::target_wire::{TOKEN, start};
use crate::transport_peers::Lines;

fn paho(target: &Target, args: &[&str]) -> Command {
    let port = target.mqtt().unwrap().port().to_string();
    let mut command = python();
    command.arg(root().join("tests/peers/paho5.py"));
    command.arg(port).args(args);
    command
}

/// Runs it to its end, off the runtime's threads, and returns what it printed.
async fn printed(mut command: Command) -> Value {
    let output = tokio::task::spawn_blocking(move || succeed(&mut command));
    serde_json::from_slice(&output.await.unwrap().stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn paho_provisions_connects_and_sends() {
    let target = start(Strategy::Check).await;
    let request = text("request.json");
    let seen = printed(paho(&target, &["provision", &request, "telemetry"])).await;
    let expected = json!({
        "connack": 0,
        "session_present": 0,
        "properties": {},
        "suback": [1, 0x8f],
        "puback": [0],
        "response": text("answer-access-token.json"),
        "response_qos": 1,
        "login": 0,
        // The last one is no JSON.
        "telemetry": [0, 0, 0, 0x99],
        "disconnect": 0,
    });
    assert_eq!(without_goodbye(seen), without_goodbye(expected));
    assert_eq!(target.device("D1").unwrap().telemetry_messages, 3);
}

/// The platform's own DISCONNECT, which paho may or may not wait for after its own.
fn without_goodbye(mut seen: Value) -> Value {
    seen.as_object_mut().unwrap().remove("disconnect");
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn paho_is_refused_in_the_platforms_words() {
    let target = start(Strategy::Check).await;
    let wrong_secret = text("request.json").replace("\"S\"", "\"wrong\"");
    for (request, answer) in [
        (text("request.json"), "answer-access-token.json"),
        (text("request.json"), "answer-failure.json"),
        (wrong_secret, "answer-not-found.json"),
    ] {
        let seen = printed(paho(&target, &["provision", &request])).await;
        assert_eq!(seen["response"], text(answer), "{request}");
        assert_eq!(seen["puback"], json!([0]));
    }
    let seen = printed(paho(&target, &["provision", "{no json"])).await;
    assert_eq!(seen["puback"], json!([0x99]));
    assert_eq!(seen["response"], Value::Null);
    let no_key = r#"{"deviceName":"D1"}"#;
    let seen = printed(paho(&target, &["provision", no_key])).await;
    assert_eq!(seen["puback"], json!([0x83]));
    assert_eq!(target.counts().malformed, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn paho_is_let_in_or_told_why_not() {
    let target = start(Strategy::Check).await;
    for (login, code) in [
        (&["any", TOKEN][..], 0),
        (&["any", "wrong"], 0x86),
        (&["any", "wrong", "password"], 0x86),
        (&["any"], 0x85),
        (&[""], 0x87),
    ] {
        let args = [&["login"], login].concat();
        let seen = printed(paho(&target, &args)).await;
        assert_eq!(seen["connack"], code, "{login:?}");
    }
    assert_eq!(target.counts().bad_logins, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn paho_is_told_that_its_session_was_taken_over() {
    for (release, told) in [(Release::V4_3, json!(0x8e)), (Release::V3_6, Value::Null)] {
        let target = released(release, Strategy::Check).await;
        let mut command = paho(&target, &["hold", TOKEN]);
        let mut held = Process::start(command.stdin(Stdio::null()).stdout(Stdio::piped()));
        let lines = Lines::of(&mut held);
        let inside: Value = serde_json::from_str(&lines.next("{")).unwrap();
        assert_eq!(inside["connack"], 0);
        let mut second = device(&target).await;
        let outside: Value = serde_json::from_str(&lines.next("{")).unwrap();
        assert_eq!(outside["disconnect"], told);
        follows(&mut second, &[], false).await;
    }
}

fn mosquitto(name: &str, target: &Target, user: &str) -> Command {
    let mut command = program(name);
    let port = target.mqtt().unwrap().port().to_string();
    command.args(["-h", "127.0.0.1", "-p", &port, "-V", "5", "-u", user]);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn mosquitto_pub_sends_telemetry_and_is_turned_away_with_a_reason() {
    let target = start(Strategy::Check).await;
    for (user, qos, message, said) in [
        (TOKEN, "0", "{\"t\":1}", None),
        (TOKEN, "1", "{\"t\":1}", None),
        (TOKEN, "1", "{no json", Some("Payload format invalid")),
        ("nobody", "1", "{}", Some("Bad User Name or Password")),
    ] {
        let mut command = mosquitto("mosquitto_pub", &target, user);
        command.args(["-t", "v1/devices/me/telemetry", "-q", qos, "-m", message]);
        // Properties of every kind that the client can set on a publish.
        for property in [
            &["payload-format-indicator", "1"][..],
            &["message-expiry-interval", "60"],
            &["content-type", "application/json"],
            &["response-topic", "somewhere"],
            &["correlation-data", "id"],
            &["user-property", "name", "value"],
        ] {
            command.args(["-D", "publish"]).args(property);
        }
        command.args(["-D", "connect", "session-expiry-interval", "60"]);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap());
        let output = output.await.unwrap();
        let heard = String::from_utf8_lossy(&output.stderr);
        match said {
            None => assert!(output.status.success(), "{heard}"),
            Some(said) => assert!(heard.contains(said), "{heard}"),
        }
    }
    eventually(|| target.device("D1").unwrap().telemetry_messages == 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn mosquitto_rr_gets_the_golden_answer() {
    let target = start(Strategy::Check).await;
    let mut command = mosquitto("mosquitto_rr", &target, "provision");
    command.args(["-t", "/provision/request", "-e", "/provision/response"]);
    let request = text("request.json");
    command.args(["-N", "-W", "20", "-q", "1", "-m", &request]);
    let output = tokio::task::spawn_blocking(move || succeed(&mut command));
    let said = String::from_utf8(output.await.unwrap().stdout).unwrap();
    assert_eq!(said, text("answer-access-token.json"));
    assert!(hex("mqtt5-response").ends_with(said.as_bytes()));
}
