//! What happens to devices in the middle of a run, as they tell it and as their servers see it.

mod door;
mod restart;

use fleetcall::model::{Faults, Strategy};
use fleetcall::target::{Profile, Target, TargetConfig};

use self::door::{Door, End};
use crate::support::{Ran, Run, eventually};

/// A target on free ports, known to `scenario`.
async fn target(faults: Faults) -> Target {
    let any = Some("127.0.0.1:0".parse().unwrap());
    Target::start(TargetConfig {
        mqtt: any,
        http: any,
        coap: any,
        profiles: vec![Profile {
            name: "default".to_owned(),
            strategy: Strategy::Allow,
            key: "key".into(),
            secret: "secret".into(),
            chain: None,
        }],
        faults,
        ..TargetConfig::default()
    })
    .await
    .unwrap()
}

/// Some devices at once against what listens there, and what else is to be said.
fn scenario(addresses: &str, count: u32, more: &str) -> String {
    format!(
        r#"
        name = "life"
        seed = 3
        [target]
        {addresses}
        [profile]
        provision_key = "key"
        provision_secret = "secret"
        [devices]
        generate = {{ count = {count} }}
        [limits]
        grace = "60s"
        {more}
        "#
    )
}

const VERSIONS: &str = r#"
    [[cohort]]
    name = "three"
    transport = "mqtt"
    [[cohort]]
    name = "five"
    transport = "mqtt"
    version = 5
"#;

/// All devices within half a second, then telemetry for so long.
fn for_seconds(seconds: u32) -> String {
    format!(
        "[arrival]\nstages = [{{ duration = \"500ms\", rate = 40 }}, \
         {{ duration = \"{seconds}s\", rate = 0 }}]\n[telemetry]\ninterval = \"200ms\"\n"
    )
}

async fn finish(run: Run) -> Ran {
    tokio::task::spawn_blocking(|| run.finish()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_power_loss_every_device_is_back_and_goes_on() {
    let target = target(Faults::default()).await;
    let door = Door::before(target.mqtt().unwrap(), 0).await;
    let more = VERSIONS.to_owned()
        + &for_seconds(5)
        + r#"
        [reconnect]
        initial = "50ms"
        [[event]]
        at = "2s"
        kind = "power_loss"
        boot = { model = "uniform", from = "200ms", to = "700ms" }
        [thresholds]
        "devices.back" = "== 100%"
        "reconnects.not_back" = "== 0"
        "#;
    let scenario = scenario(&format!("mqtt = \"{}\"", door.addr), 20, &more);
    let ran = finish(Run::of(&scenario)).await;
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    for (key, count) in [
        ("reconnects.lost", 20),
        ("reconnects.back", 20),
        ("reconnects.devices", 20),
        ("reconnects.given_up", 0),
        ("phases.time_to_reconnect.count", 20),
        ("phases.time_to_reconnect.errors", 0),
        ("phases.reconnect.count", 40),
        ("phases.reconnect.retries", 0),
    ] {
        assert_eq!(ran.number(key), count, "{key}");
    }
    // Without a word, as a device whose power fails; what it does itself ends by DISCONNECT.
    assert_eq!(door.count(End::Reset), 20, "{:?}", door.ends());
    // The probe before the run says nothing.
    assert_eq!(door.count(End::Silent), 1, "{:?}", door.ends());
    let counts = target.counts();
    assert_eq!(counts.sessions, 40);
    // Messages under way when the power failed may have arrived.
    assert!(counts.telemetry_messages >= ran.number("telemetry.acked"));
    for row in ran.rows("devices.csv") {
        let acked: u64 = row["telemetry_acked"].parse().unwrap();
        // At 200 ms each: more than there was time for before the power loss.
        assert!(acked > 11, "{row:?}");
    }
    assert!(
        ran.stdout.contains("20 sessions lost, 20 came back"),
        "{}",
        ran.stdout
    );
    target.stop().await;
}

#[test]
fn devices_of_every_transport_come_back_from_a_power_loss() {
    let cohorts: String = ["mqtt", "mqtts", "http", "https", "coap", "coaps"]
        .map(|over| format!("[[cohort]]\nname = \"{over}\"\ntransport = \"{over}\"\n"))
        .concat();
    let event = "[[event]]\nat = \"2s\"\nkind = \"power_loss\"\n\
        boot = { model = \"fixed\", time = \"300ms\" }\n";
    let scenario = scenario("embedded = true", 18, &(cohorts + &for_seconds(5) + event));
    let ran = Run::of(&scenario).finish();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    // CoAP in the open has no session to lose.
    assert_eq!(ran.number("reconnects.lost"), 15);
    assert_eq!(ran.number("reconnects.back"), 15);
    for row in ran.rows("devices.csv") {
        let acked: u64 = row["telemetry_acked"].parse().unwrap();
        assert!(acked > 11, "more than before it: {row:?}");
    }
    assert_eq!(ran.errors().len(), 0, "{:?}", ran.errors());
}

#[test]
fn two_events_that_are_spread_over_the_same_time_each_strike_everybody_once() {
    let events = r#"
        [[event]]
        at = "1500ms"
        kind = "power_loss"
        spread = "2s"
        [[event]]
        at = "2s"
        kind = "disconnect"
        spread = "1500ms"
        [thresholds]
        "devices.back" = "== 100%"
        "#;
    let more = VERSIONS.to_owned() + &for_seconds(5) + events;
    let ran = Run::of(&scenario("embedded = true", 20, &more)).finish();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    // One that says good-bye just when it has no session loses none.
    let lost = ran.number("reconnects.lost");
    assert!((30..=40).contains(&lost), "{lost}");
    assert_eq!(ran.number("reconnects.devices"), 20);
    assert_eq!(ran.number("reconnects.back"), lost);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_strikes_its_share_and_a_good_bye_is_one() {
    let target = target(Faults::default()).await;
    let door = Door::before(target.mqtt().unwrap(), 0).await;
    let more = for_seconds(3)
        + r#"
        [[event]]
        at = "1500ms"
        kind = "disconnect"
        share = 0.5
        "#;
    let scenario = scenario(&format!("mqtt = \"{}\"", door.addr), 20, &more);
    let ran = finish(Run::of(&scenario)).await;
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let lost = ran.number("reconnects.lost");
    assert!((1..20).contains(&lost), "{lost}");
    assert_eq!(ran.number("reconnects.back"), lost);
    assert_eq!(door.count(End::Reset), 0, "{:?}", door.ends());
    // Provisioning, each life with credentials.
    assert_eq!(door.count(End::GoodBye) as u64, 20 + 20 + lost);
    assert_eq!(ran.errors().len(), 0, "{:?}", ran.errors());
    target.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_session_takes_the_first_one_over() {
    let target = target(Faults::default()).await;
    let door = Door::before(target.mqtt().unwrap(), 0).await;
    let more =
        VERSIONS.to_owned() + &for_seconds(3) + "[[event]]\nat = \"1500ms\"\nkind = \"takeover\"\n";
    let scenario = scenario(&format!("mqtt = \"{}\"", door.addr), 20, &more);
    let ran = finish(Run::of(&scenario)).await;
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(target.counts().taken_over, 20);
    assert_eq!(ran.number("reconnects.takeovers"), 20);
    assert_eq!(ran.number("reconnects.taken_over"), 20);
    assert_eq!(ran.number("reconnects.lost"), 0);
    assert_eq!(ran.number("telemetry.lost"), 0);
    assert_eq!(ran.errors().len(), 0, "{:?}", ran.errors());
    let farewells = door.farewells();
    // DISCONNECT, session taken over: MQTT 5 section 3.14.2.1.
    let told = farewells.iter().filter(|last| {
        last.windows(3)
            .any(|bytes| bytes[0] == 0xe0 && bytes[2] == 0x8e)
    });
    assert_eq!(told.count(), 10, "those of MQTT 5 are told why");
    target.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sleeping_devices_are_disconnected_in_between() {
    let target = target(Faults::default()).await;
    let more = for_seconds(8) + "[duty]\nwake = \"2s\"\nawake = 2\n";
    let scenario = scenario(&format!("mqtt = \"{}\"", target.mqtt().unwrap()), 5, &more);
    let running = Run::of(&scenario).start();
    tokio::task::block_in_place(|| {
        // They have come back from a nap, and sleep again.
        eventually(|| {
            let counts = target.counts();
            counts.sessions >= 10 && counts.connections_now == 0
        });
    });
    let ran = tokio::task::spawn_blocking(|| running.finish())
        .await
        .unwrap();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let counts = target.counts();
    assert_eq!(counts.telemetry_messages, ran.number("telemetry.acked"));
    assert_eq!(ran.number("phases.reconnect.count"), counts.sessions);
    // Two messages each time awake; the end of the run may cut the last one short.
    assert!(counts.telemetry_messages <= 2 * counts.sessions);
    assert!(counts.telemetry_messages + 5 >= 2 * counts.sessions);
    assert_eq!(
        ran.summary()["reconnects"],
        serde_json::Value::Null,
        "naps are no losses"
    );
    target.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_is_not_overdrawn() {
    let target = target(Faults::default()).await;
    let door = Door::before(target.mqtt().unwrap(), 0).await;
    let more = for_seconds(6)
        + r#"
        [reconnect]
        initial = "50ms"
        budget = 3
        [thresholds]
        "devices.provisioned" = "== 100%"
        "devices.back" = "== 100%"
        "#;
    let scenario = scenario(&format!("mqtt = \"{}\"", door.addr), 10, &more);
    let running = Run::of(&scenario).start();
    tokio::task::block_in_place(|| eventually(|| target.counts().telemetry_messages >= 40));
    door.shut();
    let ran = tokio::task::spawn_blocking(|| running.finish())
        .await
        .unwrap();
    assert_eq!(ran.code, 3, "nobody is back: {}{}", ran.stdout, ran.stderr);
    assert_eq!(door.turned_away(), 30, "three attempts of ten devices");
    for (key, count) in [
        ("reconnects.lost", 10),
        ("reconnects.back", 0),
        ("reconnects.given_up", 10),
        ("phases.reconnect.retries", 20),
        ("phases.reconnect.errors", 30),
        ("phases.time_to_reconnect.errors", 10),
    ] {
        assert_eq!(ran.number(key), count, "{key}");
    }
    target.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn provisioning_is_tried_again_while_nothing_was_asked() {
    let target = target(Faults::default()).await;
    let door = Door::before(target.mqtt().unwrap(), 8).await;
    let retry = "[provision_retry]\ninitial = \"50ms\"\nbudget = 20\n";
    let more = format!("[arrival]\nstages = [{{ duration = \"1s\", rate = 10 }}]\n{retry}");
    let scenario = scenario(&format!("mqtt = \"{}\"", door.addr), 10, &more);
    let ran = finish(Run::of(&scenario)).await;
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.number("devices.provisioned"), 10);
    // One of those turned away was the probe before the run.
    assert_eq!(ran.number("phases.provision.retries"), 7);
    assert_eq!(ran.errors().values().sum::<u64>(), 7, "{:?}", ran.errors());
    let attempts = ran.rows("devices.csv");
    let attempts = attempts
        .iter()
        .map(|row| row["attempts"].parse::<u64>().unwrap());
    assert_eq!(attempts.sum::<u64>(), 17);
    assert_eq!(target.counts().provision_requests, 10);
    target.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_have_been_provisioned_is_never_tried_again() {
    let target = target(Faults {
        lose_answer: 1.0,
        ..Faults::default()
    })
    .await;
    let more = "[arrival]\nstages = [{ duration = \"1s\", rate = 12 }]\n\
        [provision_retry]\ninitial = \"10ms\"\n";
    let addresses = format!(
        "mqtt = \"{}\"\nhttp = \"{}\"\ncoap = \"{}\"",
        target.mqtt().unwrap(),
        target.http().unwrap(),
        target.coap().unwrap()
    );
    let cohorts: String = ["mqtt", "http", "coap"]
        .map(|over| format!("[[cohort]]\nname = \"{over}\"\ntransport = \"{over}\"\n"))
        .concat();
    let scenario = scenario(&addresses, 12, &(cohorts + more)).replace(
        "grace = \"60s\"",
        "grace = \"60s\"\nanswer_timeout = \"1s\"",
    );
    let ran = finish(Run::of(&scenario)).await;
    assert_eq!(
        ran.number("devices.unknown"),
        12,
        "{}{}",
        ran.stdout,
        ran.stderr
    );
    assert_eq!(target.counts().provision_requests, 12);
    for row in ran.rows("devices.csv") {
        assert_eq!(row["attempts"], "1", "{row:?}");
    }
    target.stop().await;
}
