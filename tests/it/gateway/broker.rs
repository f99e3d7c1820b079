//! Against Mosquitto, where a client made of paho-mqtt plays the server and mosquitto_sub listens.

use std::process::Stdio;

use serde_json::{Value, json};

use super::{cohort, counted, scenario};
use crate::support::golden::text;
use crate::support::{Process, Ran, Run, eventually, program, python, root};
use crate::transport_peers::{Broker, Lines};

/// The server's part, once it is subscribed.
fn server(port: u16) -> (Process, Lines) {
    let mut process = Process::start(
        python()
            .arg(root().join("tests/peers/paho_gateway.py"))
            .arg(port.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped()),
    );
    let lines = Lines::of(&mut process);
    lines.next("ready");
    (process, lines)
}

/// Runs a scenario whose target is `TARGET` against a broker: what the run left, what somebody who
/// listens to gateways saw, by topic, and what the server's part said.
fn listen(scenario: &str) -> (Ran, Vec<(String, String)>, Lines) {
    let broker = Broker::start(false);
    let port = broker.addr.port();
    let (_server, said) = server(port);
    let mut heard = Process::start(
        program("stdbuf")
            .arg("-oL")
            .arg(program("mosquitto_sub").get_program())
            .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-q", "1", "-d"])
            .args(["-t", "v1/gateway/#", "-F", "GATEWAY %t %p"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null()),
    );
    let lines = Lines::of(&mut heard);
    lines.next("Subscribed");
    let target = format!("mqtt = \"127.0.0.1:{port}\"");
    let profile = "[profile]\nprovision_key = \"k\"\nprovision_secret = \"s\"\n";
    let ran = Run::of(&(scenario.replace("TARGET", &target) + profile)).finish();
    // The last that it sees.
    let end = "GATEWAY v1/gateway/end ";
    let told = std::thread::spawn(move || {
        let mut all = Vec::new();
        loop {
            let line = lines.next("GATEWAY");
            if line.starts_with(end) {
                return all;
            }
            let mut words = line.splitn(3, ' ').skip(1).map(str::to_owned);
            all.push((words.next().unwrap(), words.next().unwrap_or_default()));
        }
    });
    crate::support::succeed(
        program("mosquitto_pub")
            .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-q", "1"])
            .args(["-t", "v1/gateway/end", "-m", "-"]),
    );
    eventually(|| told.is_finished());
    (ran, told.join().unwrap(), said)
}

/// What a run that has to pass published.
pub(super) fn record(scenario: &str) -> Vec<(String, String)> {
    let (ran, heard, _) = listen(scenario);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    heard
}

#[test]
fn a_broker_sees_the_exact_payloads_and_a_foreign_server_gets_the_answer() {
    for version in [3, 5] {
        let behind = "devices = 2\nname = '{{ [\"A\", \"B\"][sub] }}'\npubacks = \"one\"";
        let more = r#"
            [telemetry]
            interval = "1s"
            payload = { t = 1 }
            [telemetry.attributes]
            values = { serial = "{{ name }}" }
            [downlink]
            reply = { ok = true, by = "{{ name }}", pin = "{{ params.pin }}" }
        "#;
        let keys = format!("version = {version}");
        let (ran, heard, said) = listen(&scenario(
            "TARGET",
            1,
            &cohort("one", &keys, behind),
            4,
            more,
        ));
        assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
        let on = |topic: &str| -> Vec<&str> {
            let topic = format!("v1/gateway/{topic}");
            let all = heard.iter().filter(|(on, _)| *on == topic);
            all.map(|(_, body)| body.as_str()).collect()
        };
        assert_eq!(
            on("connect"),
            [
                text("gateway-connect.json").trim_end(),
                r#"{"device":"B","type":"default"}"#
            ]
        );
        assert_eq!(
            on("attributes")[0],
            r#"{"A":{"serial":"A"},"B":{"serial":"B"}}"#
        );
        let telemetry = on("telemetry");
        assert!(telemetry.len() >= 3, "{telemetry:?}");
        assert!(
            telemetry
                .iter()
                .all(|body| *body == r#"{"A":[{"t":1}],"B":[{"t":1}]}"#)
        );
        let told: Value = serde_json::from_str(&said.next("{")).unwrap();
        let answer = json!({"device": "B", "id": 7, "data": {"ok": true, "by": "B", "pin": "3"}});
        assert_eq!(told, answer, "MQTT {version}");
        assert!(
            on("rpc")
                .iter()
                .any(|body| { serde_json::from_str::<Value>(body).unwrap() == answer })
        );
        counted(
            &ran,
            &[
                ("gateway.connected", 2),
                ("gateway.messages.partial", 0),
                ("gateway.stray_pubacks", 0),
                ("telemetry.lost", 0),
                // A call for somebody else, who is not behind it.
                ("gateway.strangers", 1),
                // Nobody of this run sent them: an update and a call.
                ("downlink.unasked", 2),
                ("downlink.replies.acked", 1),
                // A broker lets a gateway hear itself: its attributes and its answer.
                ("downlink.garbled", 2),
            ],
        );
        assert_eq!(ran.number("telemetry.acked"), ran.number("telemetry.sent"));
    }
}

#[test]
fn a_broker_that_is_taken_for_thingsboard_shows_in_what_is_missing() {
    let more = "[telemetry]\ninterval = \"1s\"\n[limits]\nanswer_timeout = \"500ms\"\n";
    let cohorts = cohort("one", "", "devices = 3");
    let (ran, ..) = listen(&scenario("TARGET", 1, &cohorts, 4, more));
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let messages = ran.number("gateway.messages.sent");
    assert!(messages >= 2, "{messages}");
    assert_eq!(ran.number("gateway.messages.partial"), messages);
    assert_eq!(ran.number("telemetry.sent"), 3 * messages);
    assert_eq!(ran.number("telemetry.acked"), messages);
    assert_eq!(ran.number("telemetry.lost"), 2 * messages);
    assert_eq!(ran.errors()["telemetry.pubacks_missing"], messages);
    assert!(ran.stdout.contains("pubacks = \"one\""), "{}", ran.stdout);
}
