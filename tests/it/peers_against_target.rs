//! The embedded target against clients that are not ours: paho-mqtt, Mosquitto's clients, curl and
//! aiocoap. What they see must be what the platform would have told them.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::process::{Command, Output};

use fleetcall::model::Strategy;
use fleetcall::target::{Listed, Profile, Target, TargetConfig};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::support::golden::text;
use crate::support::{eventually, program, python, root, succeed};

const TOKEN: &str = "ABCDEFGHIJKLMNOPQRST";

async fn start(strategy: Strategy) -> Target {
    let anywhere = Some("127.0.0.1:0".parse().unwrap());
    let listed = Listed {
        name: "D1".into(),
        profile: 0,
        credentials: Some(fleetcall::model::Credentials::AccessToken(TOKEN.into())),
        gateway: false,
        provisioned: false,
    };
    let config = TargetConfig {
        mqtt: anywhere,
        http: anywhere,
        coap: anywhere,
        profiles: vec![Profile {
            strategy,
            key: "K".into(),
            secret: "S".into(),
            ..Profile::default()
        }],
        devices: if strategy == Strategy::Check {
            vec![listed]
        } else {
            Vec::new()
        },
        ..TargetConfig::default()
    };
    Target::start(config).await.unwrap()
}

/// Runs a command off the runtime's threads.
async fn run(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || succeed(&mut command))
        .await
        .unwrap()
}

fn script(name: &str) -> Command {
    let mut command = python();
    command.arg(root().join("tests/peers").join(name));
    command
}

async fn printed(command: Command) -> Value {
    serde_json::from_slice(&run(command).await.stdout).unwrap()
}

async fn paho(target: &Target, version: &str, request: &str, more: &[&str]) -> Value {
    let mut command = script("paho_provision.py");
    let port = target.mqtt().unwrap().port().to_string();
    command.args([&port, version, request]).args(more);
    printed(command).await
}

fn named(name: &str, more: &str) -> String {
    format!(
        r#"{{"deviceName":"{name}",{more}"provisionDeviceKey":"K","provisionDeviceSecret":"S"}}"#
    )
}

/// Requests that every client sends, and the answers; in this order.
fn refusals() -> [(String, String); 4] {
    [
        // The listed device, once.
        (text("request.json"), text("answer-access-token.json")),
        // A second time.
        (text("request.json"), text("answer-failure.json")),
        // Not listed.
        (named("D2", ""), text("answer-failure.json")),
        // A wrong secret.
        (
            text("request.json").replace("\"S\"", "\"wrong\""),
            text("answer-not-found.json"),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn paho_provisions_connects_and_sends_with_both_callback_styles() {
    for version in ["1", "2"] {
        let target = start(Strategy::Allow).await;
        let seen = paho(&target, version, &named("D1", ""), &["telemetry"]).await;
        let device = target.device("D1").unwrap();
        let token = device.token.unwrap();
        let answer = json!({
            "credentialsValue": token.expose_secret(),
            "credentialsType": "ACCESS_TOKEN",
            "status": "SUCCESS",
        });
        assert_eq!(seen["response"], answer.to_string());
        assert_eq!(
            (&seen["connack"], &seen["session_present"]),
            (&json!(0), &json!(0))
        );
        assert_eq!(
            (&seen["suback"], &seen["response_qos"]),
            (&json!([1]), &json!(1))
        );
        assert_eq!((&seen["login"], &seen["acked"]), (&json!(0), &json!(3)));
        assert_eq!(device.telemetry_messages, 3);
        let counts = target.counts();
        assert_eq!((counts.provisioned, counts.telemetry_points), (1, 3));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn paho_keeps_the_token_it_asked_for() {
    let target = start(Strategy::Allow).await;
    let request = named(
        "D1",
        r#""credentialsType":"ACCESS_TOKEN","token":"my own token","#,
    );
    let seen = paho(&target, "2", &request, &["telemetry"]).await;
    let answer = text("answer-access-token.json").replace(TOKEN, "my own token");
    assert_eq!(seen["response"], answer);
    assert_eq!(seen["acked"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn paho_is_refused_in_the_platforms_words() {
    let target = start(Strategy::Check).await;
    for (request, answer) in refusals() {
        let seen = paho(&target, "2", &request, &[]).await;
        assert_eq!(seen["response"], answer, "{request}");
    }
    // Malformed: closed without PUBACK and response.
    let seen = paho(&target, "2", "{no json", &[]).await;
    assert_eq!(
        (&seen["response"], &seen["puback"]),
        (&Value::Null, &json!(0))
    );
    assert_eq!(
        (&seen["connack"], target.counts().malformed),
        (&json!(0), 1)
    );
}

fn mosquitto(name: &str, target: &Target, user: &str) -> Command {
    let mut command = program(name);
    let port = target.mqtt().unwrap().port().to_string();
    command.args(["-h", "127.0.0.1", "-p", &port, "-V", "311", "-u", user]);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn mosquitto_rr_gets_the_golden_answers() {
    let target = start(Strategy::Check).await;
    for (request, answer) in refusals() {
        let mut command = mosquitto("mosquitto_rr", &target, "provision");
        command.args(["-t", "/provision/request", "-e", "/provision/response"]);
        // Not QoS 2: it rightly takes the platform's PUBACK for a protocol error.
        command.args(["-N", "-W", "20", "-q", "1", "-m", &request]);
        let said = String::from_utf8(run(command).await.stdout).unwrap();
        assert_eq!(said, answer, "{request}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mosquitto_pub_sends_telemetry_with_the_token_and_is_turned_away_without() {
    let target = start(Strategy::Check).await;
    for qos in ["0", "1"] {
        let mut command = mosquitto("mosquitto_pub", &target, TOKEN);
        command.args([
            "-t",
            "v1/devices/me/telemetry",
            "-q",
            qos,
            "-m",
            "{\"t\":1}",
        ]);
        run(command).await;
    }
    // QoS 0 is not acknowledged, so its arrival is waited for.
    eventually(|| target.device("D1").unwrap().telemetry_messages == 2);
    let mut command = mosquitto("mosquitto_pub", &target, "nobody");
    command.args(["-t", "v1/devices/me/telemetry", "-q", "1", "-m", "{}"]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    // Code 5: not authorised.
    assert_eq!(output.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&output.stderr).contains("not authorised"));
    assert_eq!(target.counts().bad_logins, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn mosquitto_sub_is_granted_what_the_platform_has_topics_for() {
    let target = start(Strategy::Check).await;
    for (topic, granted) in [
        ("v1/devices/me/attributes", true),
        ("v1/devices/me/rpc/request/+", true),
        ("#", false),
        ("v1/devices/you/attributes", false),
    ] {
        let mut command = mosquitto("mosquitto_sub", &target, TOKEN);
        // -E: leave once every subscription was answered.
        command.args(["-t", topic, "-q", "1", "-E", "-W", "20"]);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{topic}: {said}");
        assert_eq!(said.contains("denied"), !granted, "{topic}: {said}");
    }
}

async fn curl(target: &Target, path: &str, args: &[&str]) -> (String, String) {
    let mut command = program("curl");
    let url = format!("http://{}{path}", target.http().unwrap());
    let form = "\n%{http_code} %{content_type}";
    command
        .args(["-s", "--max-time", "20", "-w", form, &url])
        .args(args);
    let text = String::from_utf8(run(command).await.stdout).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap();
    (status.to_owned(), body.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_gets_the_golden_answers_and_sends_telemetry() {
    let target = start(Strategy::Check).await;
    let json = ["-H", "Content-Type: application/json", "-d"];
    for (request, answer) in refusals() {
        let args = [&json[..], &[&request]].concat();
        let (status, body) = curl(&target, "/api/v1/provision", &args).await;
        assert_eq!((&*status, body), ("200 text/plain;charset=UTF-8", answer));
    }
    let args = [&json[..], &["{no json"]].concat();
    let (status, body) = curl(&target, "/api/v1/provision", &args).await;
    assert_eq!(status, "500 application/json");
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (&body["status"], &body["errorCode"]),
        (&json!(500), &json!(2))
    );

    let telemetry = format!("/api/v1/{TOKEN}/telemetry");
    let nested = [&json[..], &[r#"{"stringKey":"v","jsonKey":{"a":[1,2]}}"#]].concat();
    let told = curl(&target, &telemetry, &nested).await;
    assert_eq!(told, ("200 ".to_owned(), String::new()));
    let told = curl(&target, "/api/v1/nobody/telemetry", &nested).await;
    assert_eq!(told, ("401 ".to_owned(), String::new()));
    assert_eq!(target.device("D1").unwrap().telemetry_messages, 1);
    assert_eq!(target.counts().telemetry_points, 2);
}

async fn aiocoap(target: &Target, request: &str, more: &[&str]) -> Value {
    let mut command = script("aiocoap_device.py");
    let port = target.coap().unwrap().port().to_string();
    command.args([&port, request]).args(more);
    printed(command).await
}

#[tokio::test(flavor = "multi_thread")]
async fn aiocoap_provisions_and_takes_separate_confirmations() {
    let target = start(Strategy::Check).await;
    let seen = aiocoap(&target, &text("request.json"), &["telemetry"]).await;
    assert_eq!(seen["response"], text("answer-access-token.json"));
    assert_eq!(seen["code"], "2.01 Created");
    assert_eq!(seen["format"], 0);
    let told = json!(["2.01 Created", "CON"]);
    assert_eq!(seen["telemetry"], json!([told, told, told]));
    assert_eq!(seen["attributes"], r#"{"client":{"serial":"x7"}}"#);
    assert_eq!(target.device("D1").unwrap().telemetry_messages, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn aiocoap_is_refused_in_the_platforms_words() {
    let target = start(Strategy::Check).await;
    for (request, answer) in refusals() {
        let seen = aiocoap(&target, &request, &[]).await;
        assert_eq!(seen["response"], answer, "{request}");
        let refused = !answer.contains("SUCCESS");
        let code = if refused {
            "4.00 Bad Request"
        } else {
            "2.01 Created"
        };
        assert_eq!(seen["code"], code);
    }
    let seen = aiocoap(&target, "{no json", &[]).await;
    assert_eq!(
        (&seen["code"], &seen["response"]),
        (&json!("4.00 Bad Request"), &json!(""))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn aiocoap_sends_and_receives_a_certificate_in_blocks() {
    let target = start(Strategy::Allow).await;
    let certificate = text("certificate.b64").repeat(4);
    let fields = format!(r#""credentialsType":"X509_CERTIFICATE","hash":"{certificate}","#);
    let seen = aiocoap(&target, &named("X", &fields), &[]).await;
    let answer: Value = serde_json::from_str(seen["response"].as_str().unwrap()).unwrap();
    assert_eq!(answer["credentialsValue"], certificate);
    assert_eq!(target.counts().provision_requests, 1);
}
