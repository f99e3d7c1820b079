//! Whole runs of the program, against the embedded target and against one that outlives the run.

use std::collections::HashSet;
use std::fs;
use std::time::Duration;

use fleetcall::model::{Faults, Strategy};
use fleetcall::target::{Listed, Profile, Target, TargetConfig};
use secrecy::ExposeSecret;

use crate::support::{Ran, Run, free_tcp_port};

/// A target on free ports, with the key and secret that `against` uses.
async fn target(strategy: Strategy, devices: &[&str], faults: Faults) -> Target {
    let any = Some("127.0.0.1:0".parse().unwrap());
    Target::start(TargetConfig {
        mqtt: any,
        http: any,
        coap: any,
        profiles: vec![Profile {
            name: "default".to_owned(),
            strategy,
            key: "key-of-the-profile".into(),
            secret: "secret-of-the-profile".into(),
            chain: None,
        }],
        devices: devices
            .iter()
            .map(|n| Listed {
                name: (*n).to_owned(),
                profile: 0,
                credentials: None,
                gateway: false,
                provisioned: false,
            })
            .collect(),
        faults,
        seed: 7,
        ..TargetConfig::default()
    })
    .await
    .unwrap()
}

/// Three cohorts, one per transport, of `count` generated devices against `target`.
fn against(target: &Target, count: u32, more: &str) -> String {
    format!(
        r#"
        name = "against"
        seed = 1
        [target]
        mqtt = "{}"
        http = "{}"
        coap = "{}"
        [profile]
        provision_key = "key-of-the-profile"
        provision_secret = "secret-of-the-profile"
        [devices]
        generate = {{ count = {count}, kind = "mac", oui = "AA:BB:CC" }}
        [[cohort]]
        name = "over-mqtt"
        transport = "mqtt"
        credentials = "server"
        [[cohort]]
        name = "over-http"
        transport = "http"
        credentials = "access_token"
        token = "token-{{{{ name }}}}"
        [[cohort]]
        name = "over-coap"
        transport = "coap"
        credentials = "server"
        {more}
        "#,
        target.mqtt().unwrap(),
        target.http().unwrap(),
        target.coap().unwrap(),
    )
}

const OPEN: &str = r#"
    [arrival]
    model = "open"
    stages = [{ duration = "1s", rate = 100 }]
"#;

/// Runs on a thread that may block, so that the target's runtime goes on.
async fn finish(run: Run) -> Ran {
    tokio::task::spawn_blocking(|| run.finish()).await.unwrap()
}

#[test]
fn the_quickstart_provisions_a_thousand_of_a_thousand() {
    let ran = Run::shipped("scenarios/quickstart.toml").finish();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.number("devices.provisioned"), 1000);
    assert!(ran.number("telemetry.sent") >= 1000);
    assert_eq!(ran.number("telemetry.acked"), ran.number("telemetry.sent"));
    assert_eq!(ran.number("telemetry.lost"), 0);
    let transports: HashSet<String> = ran
        .rows("devices.csv")
        .into_iter()
        .map(|mut row| row.remove("transport").unwrap())
        .collect();
    assert_eq!(transports.len(), 3);
    assert_eq!(ran.summary()["result"], "passed");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_saw_what_the_report_says() {
    let target = target(Strategy::Allow, &[], Faults::default()).await;
    let telemetry = "[limits]\ngrace = \"60s\"\n[telemetry]\ninterval = \"300ms\"\n[arrival]\nmodel = \"open\"\n\
        stages = [{ duration = \"1s\", rate = 60 }, { duration = \"1s\", rate = 0 }]\n";
    let ran = finish(Run::of(&against(&target, 60, telemetry))).await;
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    // Devices leave when their plan is over, not when its grace is.
    assert!(ran.summary()["elapsed_s"].as_f64().unwrap() < 60.0);
    let counts = target.counts();
    assert_eq!(counts.provision_requests, 60);
    assert_eq!(counts.provisioned, 60);
    assert_eq!(counts.telemetry_messages, ran.number("telemetry.acked"));
    for row in ran.rows("credentials.csv") {
        let device = target.device(&row["name"]).unwrap();
        assert_eq!(
            device.token.unwrap().expose_secret(),
            row["access_token"],
            "{}",
            row["name"]
        );
        if row["access_token"].starts_with("token-") {
            assert_eq!(row["access_token"], format!("token-{}", row["name"]));
        }
    }
    for row in ran.rows("devices.csv") {
        let seen = target.device(&row["name"]).unwrap().telemetry_messages;
        assert_eq!(row["telemetry_acked"], seen.to_string(), "{}", row["name"]);
    }
    target.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_over_the_same_names_is_refused_device_by_device() {
    let target = target(Strategy::Allow, &[], Faults::default()).await;
    let scenario = against(&target, 30, OPEN);
    assert_eq!(finish(Run::of(&scenario)).await.code, 0);
    let again = finish(Run::of(&scenario)).await;
    assert_eq!(again.code, 3, "nobody was provisioned: no pass by silence");
    assert_eq!(again.number("devices.refused"), 30);
    assert_eq!(again.errors()["provision.failure"], 30);
    assert_eq!(again.rows("credentials.csv").len(), 0);
    target.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_is_refused_and_never_shown() {
    let target = target(Strategy::Allow, &[], Faults::default()).await;
    let scenario = against(&target, 9, OPEN).replace("secret-of-the-profile", "wrong-secret-xyz");
    let ran = finish(Run::of(&scenario)).await;
    assert_eq!(ran.code, 3);
    assert_eq!(ran.errors()["provision.not_found"], 9);
    for secret in ["wrong-secret-xyz", "key-of-the-profile", "token-AA"] {
        assert!(!ran.everything_public().contains(secret), "{secret} shows");
    }
    target.stop().await;
}

#[test]
fn a_checking_target_knows_the_list_and_each_device_provisions_once() {
    let scenario = r#"
        name = "check"
        [target]
        embedded = true
        strategy = "check"
        [devices]
        list = "fixtures/macs-1k.csv"
        [arrival]
        model = "closed"
        stages = [{ duration = "1s", concurrency = 50 }]
    "#;
    let ran = Run::of(scenario).finish();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.number("devices.provisioned"), 1000);
    assert_eq!(ran.summary()["model"], "closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn unlisted_names_are_refused_by_a_checking_target() {
    let target = target(Strategy::Check, &["only-this-one"], Faults::default()).await;
    let ran = finish(Run::of(&against(&target, 6, OPEN))).await;
    assert_eq!(ran.number("devices.refused"), 6);
    target.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_unknown_and_not_called_a_failure() {
    let faults = Faults {
        lose_answer: 1.0,
        ..Faults::default()
    };
    let target = target(Strategy::Allow, &[], faults).await;
    let more = format!("{OPEN}\n[limits]\nanswer_timeout = \"1s\"");
    let ran = finish(Run::of(&against(&target, 12, &more))).await;
    assert_eq!(ran.number("devices.unknown"), 12);
    assert_eq!(ran.errors()["provision.timeout"], 12);
    // The server has them: that is why the word is not `failed`.
    assert_eq!(target.counts().provisioned, 12);
    target.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_device_has_one_outcome_whatever_the_server_does() {
    let faults = Faults {
        delay: Duration::from_millis(5),
        refuse: 0.2,
        lose_answer: 0.2,
        disconnect: 0.2,
        ..Faults::default()
    };
    let target = target(Strategy::Allow, &[], faults).await;
    let more =
        format!("{OPEN}\n[telemetry]\ninterval = \"200ms\"\n[limits]\nanswer_timeout = \"1s\"\n");
    let ran = finish(Run::of(&against(&target, 150, &more))).await;
    assert_eq!(ran.code, 3);
    for outcome in ["provisioned", "refused", "unknown"] {
        assert!(
            ran.number(&format!("devices.{outcome}")) > 10,
            "{outcome}: {}",
            ran.stdout
        );
    }
    target.stop().await;
}

#[test]
fn an_unreachable_target_is_exit_code_5_with_reports() {
    let port = free_tcp_port();
    let scenario = format!(
        r#"
        name = "nobody-there"
        [target]
        mqtt = "127.0.0.1:{port}"
        [profile]
        provision_key = "k"
        provision_secret = "s"
        [devices]
        generate = {{ count = 5, kind = "serial" }}
        {OPEN}
        "#
    );
    let ran = Run::of(&scenario).finish();
    assert_eq!(ran.code, 5, "{}", ran.stderr);
    assert_eq!(ran.number("devices.unfinished"), 5);
    assert_eq!(ran.errors()["not_started"], 5);
    assert!(
        ran.stderr.contains(&format!("127.0.0.1:{port}")),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("help:"), "{}", ran.stderr);
}

#[test]
fn a_server_without_an_address_is_exit_code_5_with_reports() {
    let scenario = format!(
        r#"
        name = "no-such-name"
        [target]
        mqtt = "no-such-host.invalid:1883"
        [profile]
        provision_key = "k"
        provision_secret = "s"
        [devices]
        generate = {{ count = 3, kind = "serial" }}
        {OPEN}
        "#
    );
    let ran = Run::of(&scenario).finish();
    assert_eq!(ran.code, 5, "{}", ran.stderr);
    assert_eq!(ran.number("devices.unfinished"), 3);
    assert!(
        ran.stderr.contains("no-such-host.invalid:1883"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_truncated_list_is_reported_as_not_started() {
    let scenario = r#"
        name = "truncated"
        [target]
        embedded = true
        [devices]
        generate = { count = 50, kind = "eui64" }
        [arrival]
        model = "open"
        stages = [{ duration = "1s", rate = 20 }]
        truncate = true
    "#;
    let ran = Run::of(scenario).finish();
    assert_eq!(ran.number("starts.planned"), 20);
    assert_eq!(ran.number("devices.provisioned"), 20);
    assert_eq!(ran.number("devices.unfinished"), 30);
}

#[test]
fn a_crossed_threshold_is_exit_code_3() {
    let scenario = format!(
        r#"
        name = "too-slow"
        [target]
        embedded = true
        faults = {{ delay = "50ms" }}
        [devices]
        generate = {{ count = 20, kind = "mac" }}
        {OPEN}
        [thresholds]
        "time_to_provision.p50" = "< 20ms"
        "devices.provisioned" = ">= 100%"
        "#
    );
    let ran = Run::of(&scenario).finish();
    assert_eq!(ran.code, 3, "{}", ran.stdout);
    let passed: Vec<bool> = ran.summary()["thresholds"]
        .as_array()
        .unwrap()
        .iter()
        .map(|threshold| threshold["passed"].as_bool().unwrap())
        .collect();
    assert!(
        passed.contains(&true) && passed.contains(&false),
        "{passed:?}"
    );
}

#[test]
fn a_hopeless_run_ends_early_with_its_reports_and_exit_code_3() {
    let scenario = r#"
        name = "hopeless"
        [target]
        embedded = true
        faults = { delay = "50ms" }
        [devices]
        generate = { count = 6000, kind = "mac" }
        [arrival]
        stages = [{ duration = "60s", rate = 100 }]
        [[cohort]]
        name = "meters"
        [thresholds]
        "devices.provisioned" = ">= 1%"
        "cohort.meters.provision.p50" = { condition = "< 20ms", abort = true, after = "1s" }
    "#;
    let ran = Run::of(scenario).finish();
    assert_eq!(ran.code, 3, "{}", ran.stdout);
    let summary = ran.summary();
    let ended = &summary["aborted"][0];
    assert_eq!(ended["expression"], "cohort.meters.provision.p50 < 20ms");
    let at = ended["at_s"].as_f64().unwrap();
    assert!(summary["elapsed_s"].as_f64().unwrap() < 40.0, "it went on");
    assert!((1.0..20.0).contains(&at), "{ended}");
    assert_eq!(summary["result"], "failed");
    assert!(ran.number("devices.provisioned") > 60, "{summary}");
    assert!(ran.number("devices.unfinished") > 1_000, "{summary}");
    let why = format!("ended after {at:.1} s: cohort.meters.provision.p50 < 20ms, observed ");
    assert!(
        ran.stdout.contains("a threshold ended the run"),
        "{}",
        ran.stdout
    );
    for report in ["report.md", "junit.xml", "run.log"] {
        let text = fs::read_to_string(ran.out.join(report)).unwrap();
        assert!(
            text.replace("&lt;", "<")
                .replace("&#60;", "<")
                .replace("&#46;", ".")
                .replace('\\', "")
                .contains(&why),
            "{report}: {text}"
        );
    }
    let timeline = fs::read_to_string(ran.out.join("timeline.jsonl")).unwrap();
    assert!(
        timeline.contains("\"kind\":\"threshold_crossed\""),
        "{timeline}"
    );
    assert!(timeline.contains("a threshold ended the run"), "{timeline}");
}

#[test]
fn a_fleet_too_large_for_one_process_gets_its_target_beside_it() {
    let scenario = r#"
        name = "crowded"
        [target]
        embedded = true
        strategy = "check"
        [devices]
        generate = { count = 400, kind = "mac" }
        [arrival]
        model = "open"
        stages = [{ duration = "2s", rate = 200 }]
        [telemetry]
        interval = "1s"
    "#;
    let ran = Run::of(scenario).with_files(900).finish();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.number("devices.provisioned"), 400);
    assert!(ran.stderr.contains("process of its own"), "{}", ran.stderr);
    let one = format!("{scenario}\n[limits]\nprocesses = 1\n");
    let refused = Run::of(&one).with_files(300).finish();
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("ulimit"), "{}", refused.stderr);
}
