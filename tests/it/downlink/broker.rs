//! Against Mosquitto, where a client made of paho-mqtt plays the server.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{Process, Run, program, python, root, succeed};
use crate::transport_peers::{Broker, Lines};

/// One device that reports to the broker, and hears what comes.
fn scenario(port: u16, version: u32) -> String {
    format!(
        r#"
        name = "broker"
        seed = 5
        [target]
        mqtt = "127.0.0.1:{port}"
        [profile]
        provision_key = "k"
        provision_secret = "s"
        [devices]
        generate = {{ count = 1 }}
        [[cohort]]
        name = "one"
        version = {version}
        [arrival]
        stages = [{{ duration = "4s", rate = 0.25 }}]
        [telemetry]
        interval = "500ms"
        [downlink]
        reply_template = '{{"id":{{{{ id }}}},"method":{{{{ method | tojson }}}},"params":{{{{ params | tojson }}}}}}'
        "#
    )
}

/// The server's part, once it is subscribed.
fn operator(port: u16, what: &str) -> (Process, Lines) {
    let mut process = Process::start(
        python()
            .arg(root().join("tests/peers/paho_operator.py"))
            .args([&port.to_string(), what])
            .stdin(Stdio::null())
            .stdout(Stdio::piped()),
    );
    let lines = Lines::of(&mut process);
    lines.next("ready");
    (process, lines)
}

/// mosquitto_sub on all answers, once it is subscribed.
fn listener(port: u16) -> (Process, Lines) {
    let (port, filter) = (port.to_string(), format!("{RESPONSE}+"));
    let here = ["-h", "127.0.0.1", "-p", &port];
    let mut marker = program("mosquitto_pub");
    succeed(marker.args(here).args(["-r", "-t", "marker", "-m", "1"]));
    let mut process = Process::start(
        program("mosquitto_sub")
            .args(here)
            .args(["-q", "1", "-v", "-t", &filter, "-t", "marker"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped()),
    );
    let lines = Lines::of(&mut process);
    lines.next("marker");
    (process, lines)
}

const RESPONSE: &str = "v1/devices/me/rpc/response/";

#[test]
fn a_server_that_we_did_not_write_gets_the_exact_answers() {
    for version in [3, 5] {
        let broker = Broker::start(false);
        let port = broker.addr.port();
        let (_process, said) = operator(port, "calls");
        let (_listener, overheard) = listener(port);
        let ran = Run::of(&scenario(port, version)).finish();
        assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
        for (id, method, params) in [
            (0, "setGpio", json!({"pin": 7})),
            (
                1,
                "zähler",
                json!({"pin": "é\"", "deep": [[1, {"a": null}]]}),
            ),
            (2, "plain", json!(5)),
            (99, "last", json!({"pin": 0})),
        ] {
            let told: Value = serde_json::from_str(&said.next("{")).unwrap();
            assert_eq!(told["id"], id.to_string(), "MQTT {version}");
            assert_eq!(told["qos"], 1);
            let answer: Value = serde_json::from_str(told["body"].as_str().unwrap()).unwrap();
            assert_eq!(
                answer,
                json!({"id": id, "method": method, "params": params})
            );
        }
        assert_eq!(said.next("done"), "done");
        // Byte by byte, as somebody else heard it.
        assert_eq!(
            overheard.next(RESPONSE),
            format!(r#"{RESPONSE}0 {{"id":0,"method":"setGpio","params":{{"pin": 7}}}}"#),
            "MQTT {version}"
        );
        for (key, count) in [
            ("downlink.replies.due", 4),
            ("downlink.replies.acked", 4),
            // Nobody of this run sent them: four calls and one update.
            ("downlink.unasked", 5),
            ("downlink.garbled", 0),
            ("phases.rpc_reply.count", 4),
        ] {
            assert_eq!(ran.number(key), count, "MQTT {version}: {key}");
        }
    }
}

#[test]
fn garbage_is_counted_and_the_device_goes_on() {
    let broker = Broker::start(false);
    let port = broker.addr.port();
    let (_process, said) = operator(port, "garbage");
    // A busy machine takes seconds for the flood.
    let stage = r#"{ duration = "4s", rate = 0.25 }"#;
    let longer = format!(r#"{stage}, {{ duration = "8s", rate = 0 }}"#);
    let scenario = scenario(port, 3).replace(stage, &longer);
    assert!(scenario.contains(&longer));
    let ran = Run::of(&scenario).finish();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let told: Value = serde_json::from_str(&said.next("{")).unwrap();
    assert_eq!(told["id"], "99", "the only call that was one");
    assert_eq!(ran.number("downlink.replies.due"), 1);
    // A broker may drop of a flood what its client is slow to take; nothing else is missing.
    let (unasked, missed) = (
        ran.number("downlink.unasked"),
        ran.number("downlink.missed"),
    );
    assert!(unasked + missed <= 3_001, "{unasked} {missed}");
    assert!(unasked > 100, "{unasked}");
    assert_eq!(ran.number("downlink.garbled"), 200 + 3 + 2 * 6);
    assert_eq!(ran.number("telemetry.lost"), 0);
    assert_eq!(ran.errors().len(), 0, "{:?}", ran.errors());
}

#[test]
fn a_server_that_we_did_not_write_gets_claims_and_answers_calls_of_devices() {
    for version in [3, 5] {
        let broker = Broker::start(false);
        let port = broker.addr.port();
        let (_process, said) = operator(port, "questions");
        let scenario = scenario(port, version);
        // A broker would send a device its own calls, if it took any.
        let (before, _) = scenario.split_once("reply_template").unwrap();
        let ran = Run::of(&format!(
            r#"{before}
            attributes = false
            rpc = false
            [downlink.claim]
            secret_key = "{{{{ name }}}}"
            duration = "1m"
            [downlink.request]
            method = "getTime"
            params = {{ nth = "{{{{ tick }}}}" }}
            interval = "500ms"
            [limits]
            answer_timeout = "1s"
            "#
        ))
        .finish();
        assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
        let told: Value = serde_json::from_str(&said.next("{")).unwrap();
        let claim: Value = serde_json::from_str(told["claim"].as_str().unwrap()).unwrap();
        let name = &ran.rows("devices.csv")[0]["name"];
        assert_eq!(claim, json!({"secretKey": name, "durationMs": 60_000}));
        for nth in 0..4 {
            let told: Value = serde_json::from_str(&said.next("{")).unwrap();
            let call: Value = serde_json::from_str(told["body"].as_str().unwrap()).unwrap();
            assert_eq!(told["id"], nth.to_string(), "MQTT {version}");
            let params = json!({"nth": nth.to_string()});
            assert_eq!(call, json!({"method": "getTime", "params": params}));
        }
        assert_eq!(said.next("done"), "done");
        assert_eq!(ran.number("phases.claim.count"), 1);
        assert!(ran.number("phases.client_rpc.count") >= 3);
        assert_eq!(
            ran.number("phases.client_rpc.errors"),
            ran.errors()["client_rpc.timeout"]
        );
        assert_eq!(ran.errors().len(), 1, "{:?}", ran.errors());
        // An answer that did not come costs no session.
        assert_eq!(ran.summary()["reconnects"], Value::Null);
    }
}
