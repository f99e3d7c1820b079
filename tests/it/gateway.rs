//! Gateways and what is behind them: what a run leaves on a server, and what its report says of it.

mod broker;
mod miscount;

use std::fs;
use std::path::Path;

use fleetcall::model::Strategy;
use fleetcall::target::TargetConfig;
use serde_json::{Value, json};

use crate::support::api::Api;
use crate::support::{Ran, Run};
use crate::target_wire::config;

/// So many gateways of each cohort within half a second, then so long.
fn scenario(target: &str, gateways: u32, cohorts: &str, seconds: u32, more: &str) -> String {
    format!(
        r#"
        name = "gateway"
        seed = 11
        target = {{ {target} }}
        devices.generate = {{ count = {gateways}, kind = "serial", prefix = "GW-" }}
        [arrival]
        stages = [
            {{ count = {gateways}, rate = {rate} }},
            {{ duration = "{seconds}s", rate = 0 }},
        ]
        {cohorts}
        {more}
        "#,
        rate = 2 * gateways
    )
}

fn cohort(name: &str, keys: &str, behind: &str) -> String {
    format!("[[cohort]]\nname = \"{name}\"\n{keys}\n[cohort.gateway]\n{behind}\n")
}

fn counted(ran: &Ran, counts: &[(&str, u64)]) {
    for (key, count) in counts {
        assert_eq!(
            ran.number(key),
            *count,
            "{key}: {}",
            ran.summary()["errors"]
        );
    }
}

/// What is behind the gateways of a run, by name, each with its gateway's row.
fn behind(ran: &Ran, each: u32) -> Vec<(String, String)> {
    let rows = ran.rows("devices.csv");
    let names = rows.iter().flat_map(|row| {
        (0..each).map(|sub| (format!("{}-{sub}", row["name"]), row["name"].clone()))
    });
    names.collect()
}

/// Two gateways of each kind that say and hear everything that there is.
fn talkative(api: &Api, ca: &Path) -> String {
    let target = format!(
        "mqtt = \"{}\", mqtts = \"{}\", ca = \"{}\"",
        api.target.mqtt().unwrap(),
        api.target.mqtts().unwrap(),
        ca.display()
    );
    let cohorts = [
        cohort("plain", "", "devices = 3\nper_message = 2"),
        cohort("five", "version = 5", "devices = 3"),
        cohort(
            "secured",
            "transport = \"mqtts\"",
            "devices = 3\ntype = \"meter\"",
        ),
    ];
    let rest = format!(
        "[rest]\nurl = \"http://{}\"\nusername = \"tenant@thingsboard.org\"\npassword = \"tenant\"\n",
        api.target.http().unwrap()
    );
    scenario(&target, 6, &cohorts.concat(), 6, &(rest + EVERYTHING))
}

const EVERYTHING: &str = r#"
    [profile]
    provision_key = "K"
    provision_secret = "S"
    [telemetry]
    interval = "500ms"
    payload = { who = "{{ name }}", port = "{{ sub }}" }
    [telemetry.attributes]
    values = { serial = "{{ name }}" }
    [downlink]
    reply = { by = "{{ name }}", got = "{{ params.n }}" }
    [[push]]
    kind = "attributes"
    at = "3s"
    payload = { setpoint = "{{ name }}" }
    [[push]]
    kind = "rpc"
    at = "3500ms"
    spread = "500ms"
    method = "read"
    params = { n = 4 }
    [[push]]
    kind = "rpc_oneway"
    at = "4s"
    method = "write"
    params = { n = 5 }
    [thresholds]
    "gateway.connected" = "== 100%"
"#;

/// Holds what the server has of a device behind a gateway to what was said and pushed.
async fn held(api: &Api, name: &str) {
    let device = api.named(name).await;
    let id = device["id"]["id"].as_str().unwrap();
    let values = async |scope: &str| {
        let path = format!("/api/plugins/telemetry/DEVICE/{id}/values/{scope}");
        api.get(&path).await.1
    };
    let latest = values("timeseries?keys=who,port").await;
    assert_eq!(latest["who"][0]["value"], *name);
    assert!(name.ends_with(latest["port"][0]["value"].as_str().unwrap()));
    for (scope, key) in [("CLIENT_SCOPE", "serial"), ("SHARED_SCOPE", "setpoint")] {
        let held = values(&format!("attributes/{scope}?keys={key}")).await;
        assert_eq!(held[0]["value"], *name, "{scope}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_behind_gateways_is_on_the_server_with_what_it_said_and_heard() {
    let api = Api::start(TargetConfig {
        mqtts: Some("127.0.0.1:0".parse().unwrap()),
        ..config(Strategy::Allow)
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    fs::write(&ca, api.target.ca_pem().unwrap()).unwrap();
    let scenario = talkative(&api, &ca);
    let ran = tokio::task::spawn_blocking(move || Run::of(&scenario).finish())
        .await
        .unwrap();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.errors().len(), 0, "{:?}", ran.errors());
    counted(
        &ran,
        &[
            ("devices.listed", 6),
            ("gateway.gateways", 6),
            ("gateway.sub_devices", 18),
            ("gateway.connected", 18),
            ("gateway.connects.acked", 18),
            ("gateway.messages.partial", 0),
            ("gateway.messages.lost", 0),
            ("gateway.stray_pubacks", 0),
            ("gateway.strangers", 0),
            ("cohorts.plain.gateway.connected", 6),
            ("phases.gateway_connect.count", 18),
            // Two messages of the plain gateways, one of each other.
            ("phases.attributes.count", 8),
            ("downlink.attributes.received", 18),
            ("downlink.rpc.received", 36),
            ("downlink.replies.acked", 36),
            ("downlink.unasked", 0),
            ("downlink.garbled", 0),
            ("phases.rpc_round_trip.count", 18),
        ],
    );
    let mut said = 0;
    for (name, gateway) in behind(&ran, 3) {
        held(&api, &name).await;
        said += api.target.device(&name).unwrap().telemetry_messages;
        let gateway = api.named(&gateway).await;
        assert_eq!(gateway["additionalInfo"]["gateway"], true);
    }
    assert_eq!(said, ran.number("telemetry.acked"));
    assert_eq!(said, ran.number("telemetry.sent"));
    assert_eq!(said, api.target.counts().telemetry_messages);
    assert!(ran.stdout.contains("Gateways"), "{}", ran.stdout);
}

#[test]
fn a_gateway_that_comes_back_connects_its_devices_again() {
    let more = r#"
        [telemetry]
        interval = "200ms"
        [reconnect]
        initial = "50ms"
        [[event]]
        at = "2s"
        kind = "power_loss"
        boot = { model = "fixed", time = "300ms" }
        [[event]]
        at = "4s"
        kind = "takeover"
    "#;
    let cohorts = cohort(
        "all",
        "version = 5",
        "devices = 10\nconnect_every = \"1ms\"",
    );
    let ran = Run::of(&scenario("embedded = true", 3, &cohorts, 6, more)).finish();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    counted(
        &ran,
        &[
            ("reconnects.lost", 3),
            ("reconnects.taken_over", 3),
            ("gateway.gateways", 3),
            ("gateway.sub_devices", 30),
            ("gateway.connected", 30),
            ("gateway.connects.acked", 90),
            ("gateway.strangers", 0),
        ],
    );
    let sent = ran.number("telemetry.sent");
    assert!(sent > 30 * 15, "{sent}");
}

#[test]
fn a_gateway_that_sleeps_connects_its_devices_whenever_it_wakes() {
    let more = r#"
        [telemetry]
        interval = "200ms"
        qos = 0
        [duty]
        wake = "1s"
        awake = 2
    "#;
    let cohorts = cohort("all", "", "devices = 4");
    let ran = Run::of(&scenario("embedded = true", 3, &cohorts, 5, more)).finish();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let (acked, messages) = (
        ran.number("gateway.connects.acked"),
        ran.number("gateway.messages.sent"),
    );
    assert!(acked >= 3 * 4 * 3 && acked.is_multiple_of(4), "{acked}");
    assert_eq!(ran.number("gateway.connected"), 12);
    assert_eq!(ran.number("telemetry.sent"), 4 * messages);
    // Nothing acknowledges them.
    counted(
        &ran,
        &[
            ("telemetry.acked", 0),
            ("telemetry.lost", 0),
            ("gateway.messages.lost", 0),
        ],
    );
    assert!(messages >= 3 * 2 * 3, "{messages}");
}

#[test]
fn a_server_that_knows_no_gateway_is_told_from_one_that_is_slow() {
    let more = "[telemetry]\ninterval = \"1s\"\n[limits]\nanswer_timeout = \"700ms\"\n";
    let ignored = |connect: &str| {
        let cohorts = cohort("all", "", &format!("devices = 5\nconnect = {connect}"));
        let target = "embedded = true, release = \"3.7\"";
        Run::of(&scenario(target, 2, &cohorts, 4, more)).finish()
    };
    let ran = ignored("true");
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.errors()["gateway_connect.gateway_ignored"] >= 10);
    assert!(ran.errors().keys().all(|cause| !cause.ends_with("timeout")));
    counted(&ran, &[("gateway.connected", 0), ("telemetry.acked", 0)]);
    assert!(
        ran.stdout.contains("no gateway to the server"),
        "{}",
        ran.stdout
    );
    let ran = ignored("false");
    assert!(ran.errors()["telemetry.gateway_ignored"] >= 2);
    counted(
        &ran,
        &[("telemetry.acked", 0), ("gateway.connects.sent", 0)],
    );
    assert_eq!(ran.number("telemetry.lost"), ran.number("telemetry.sent"));
}

#[test]
fn names_that_collide_and_messages_that_are_too_long_end_the_run_before_its_first_packet() {
    let telemetry = "[telemetry]\npayload = { a = \"{{ name }}\" }\n";
    let refused = |behind: &str, more: &str| {
        let cohorts = cohort("all", "", behind);
        let ran = Run::of(&scenario("embedded = true", 3, &cohorts, 1, more)).finish();
        assert_eq!(ran.code, 2, "{}{}", ran.stdout, ran.stderr);
        ran.stderr
    };
    let twins = refused("devices = 2\nname = \"meter {{ sub }}\"", telemetry);
    assert!(
        twins.contains("is called `meter 0`, as is number 0 behind"),
        "{twins}"
    );
    let listed = refused("devices = 2\nname = \"{{ name }}\"", telemetry);
    assert!(listed.contains("of the list"), "{listed}");
    let long = refused("devices = 5000", "[telemetry]\nsize = 200\n");
    assert!(long.contains("per_message = "), "{long}");
    let blank = refused("devices = 2\nname = \" {{ name }}-{{ sub }}\"", telemetry);
    assert!(blank.contains("no sound name"), "{blank}");
}

#[test]
fn the_values_of_a_run_follow_from_the_seed_and_the_name() {
    let said = |per_message: u32| {
        let behind = format!("devices = 4\nper_message = {per_message}");
        let more = "[telemetry]\ninterval = \"1h\"\nvalues.v = { model = \"uniform\", min = 0, max = 1 }\n";
        let script = broker::record(&scenario(
            "TARGET",
            1,
            &cohort("one", "", &format!("{behind}\npubacks = \"one\"")),
            2,
            more,
        ));
        let mut parts = serde_json::Map::new();
        for (topic, body) in script {
            if topic == "v1/gateway/telemetry" {
                let body: Value = serde_json::from_str(&body).unwrap();
                parts.extend(body.as_object().unwrap().clone());
            }
        }
        parts
    };
    let (alone, together) = (said(1), said(4));
    assert_eq!(alone.len(), 4);
    assert_eq!(alone, together);
    let values: std::collections::BTreeSet<_> = alone.values().map(Value::to_string).collect();
    assert_eq!(values.len(), 4, "each has its own: {}", json!(alone));
}

/// As it is, but for less time.
#[test]
fn the_preset_runs_as_it_is() {
    let ran = Run::shipped("scenarios/gateway.toml")
        .arg("--set")
        .arg("arrival.stages=[{ duration = \"2s\", rate = 10 }, { duration = \"10s\", rate = 0 }]")
        .finish();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    counted(
        &ran,
        &[("gateway.sub_devices", 400), ("gateway.connected", 400)],
    );
}
