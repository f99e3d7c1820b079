//! Devices that are spoken to: pushes over REST and calls of their methods, from the operator's
//! request to what the report says of it.

mod aiocoap;
mod broker;
mod outside;

use crate::support::{Ran, Run};

/// A dozen devices of each cohort within half a second, then so long.
fn scenario(cohorts: &str, devices: u32, seconds: u32, more: &str) -> String {
    format!(
        r#"
        name = "downlink"
        seed = 11
        [target]
        embedded = true
        [devices]
        generate = {{ count = {devices} }}
        [arrival]
        stages = [
            {{ count = {devices}, rate = {rate} }},
            {{ duration = "{seconds}s", rate = 0 }},
        ]
        {cohorts}
        {more}
        "#,
        rate = 2 * devices
    )
}

fn cohorts(over: &[&str]) -> String {
    let one = |over| format!("[[cohort]]\nname = \"{over}\"\ntransport = \"{over}\"\n");
    let all: Vec<_> = over.iter().map(one).collect();
    all.concat()
}

fn passed(ran: &Ran) {
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.errors().len(), 0, "{:?}", ran.errors());
}

/// Each kind of push for each device, and no telemetry.
const EVERYTHING: &str = r#"
    [downlink]
    reply = { got = "{{ params.n }}", by = "{{ name }}" }
    [[push]]
    kind = "attributes"
    at = "2s"
    payload = { n = "{{ index }}" }
    [[push]]
    kind = "rpc"
    at = "2500ms"
    spread = "500ms"
    method = "read"
    params = { n = 4 }
    [[push]]
    kind = "rpc_oneway"
    at = "3500ms"
    method = "write"
    params = { n = 5 }
"#;

#[test]
fn what_is_pushed_over_mqtt_is_received_and_answered() {
    let over = cohorts(&["mqtt", "mqtts"])
        + "[[cohort]]\nname = \"five\"\ntransport = \"mqtt\"\nversion = 5\n";
    let ran = Run::of(&scenario(&over, 30, 5, EVERYTHING)).finish();
    passed(&ran);
    for (key, count) in [
        ("downlink.attributes.due", 30),
        ("downlink.attributes.received", 30),
        ("downlink.rpc.due", 60),
        ("downlink.rpc.received", 60),
        // A device cannot tell who waits for its answer.
        ("downlink.replies.due", 60),
        ("downlink.replies.acked", 60),
        ("downlink.unasked", 0),
        ("downlink.duplicates", 0),
        ("phases.subscribe.count", 30),
        ("phases.attribute_update.count", 30),
        ("phases.server_rpc.count", 60),
        ("phases.rpc_reply.count", 60),
        ("phases.rpc_round_trip.count", 30),
    ] {
        assert_eq!(ran.number(key), count, "{key}");
    }
    assert!(
        ran.stdout.contains("two-way calls: 30 answered"),
        "{}",
        ran.stdout
    );
}

#[test]
fn what_is_pushed_is_received_and_answered_over_every_transport() {
    let over = ["mqtt", "mqtts", "http", "https", "coap", "coaps"];
    let ran = Run::of(&scenario(&cohorts(&over), 60, 5, EVERYTHING)).finish();
    passed(&ran);
    for name in over {
        for (key, count) in [
            ("downlink.attributes.received", 10),
            ("downlink.rpc.received", 20),
            ("downlink.replies.acked", 20),
            // A device over HTTP asks for the next call when it has answered the last.
            ("downlink.duplicates", 0),
            ("downlink.unasked", 0),
            ("downlink.garbled", 0),
            ("phases.attribute_update.count", 10),
            ("phases.server_rpc.count", 20),
            ("phases.rpc_round_trip.count", 10),
        ] {
            assert_eq!(
                ran.number(&format!("cohorts.{name}.{key}")),
                count,
                "{name}: {key}"
            );
        }
    }
    // Nothing says that a long poll is heard; the others are told.
    assert_eq!(ran.number("phases.subscribe.count"), 40);
}

#[test]
fn devices_call_the_server_and_say_that_they_may_be_claimed_over_every_transport() {
    let over = ["mqtt", "mqtts", "http", "https", "coap", "coaps"];
    let more = r#"
        [target.rpc.getTime]
        answer = { time = 1 }
        [downlink.request]
        method = "getTime"
        interval = "1s"
        [downlink.claim]
        secret_key = "{{ name }}"
        duration = "1m"
    "#;
    let ran = Run::of(&scenario(&cohorts(&over), 30, 4, more)).finish();
    passed(&ran);
    for name in over {
        let count = |phase: &str| ran.number(&format!("cohorts.{name}.phases.{phase}.count"));
        assert_eq!(count("claim"), 5, "{name}");
        let claimed = format!("cohorts.{name}.downlink.claims.answered");
        assert_eq!(ran.number(&claimed), 5, "{name}");
        // Each device in each of at least three whole seconds.
        assert!(
            (15..=25).contains(&count("client_rpc")),
            "{name}: {}",
            count("client_rpc")
        );
    }
}

#[test]
fn a_call_that_nobody_answers_is_an_error_and_ends_nothing() {
    let over = ["mqtt", "http", "coap"];
    let more = r#"
        [telemetry]
        interval = "1s"
        [downlink]
        attributes = false
        rpc = false
        [downlink.request]
        method = "nobody"
        interval = "3s"
        [limits]
        answer_timeout = "300ms"
    "#;
    let ran = Run::of(&scenario(&cohorts(&over), 9, 4, more)).finish();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let errors = ran.errors();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors["client_rpc.timeout"] >= 9, "{errors:?}");
    assert_eq!(ran.number("telemetry.lost"), 0);
}

#[test]
fn the_time_that_a_device_takes_is_in_the_round_trip_and_in_nothing_else() {
    let push = "[[push]]\nkind = \"rpc\"\nevery = \"500ms\"\nmethod = \"m\"\n";
    let more = format!("[downlink]\ndelay = \"300ms\"\n{push}");
    let ran = Run::of(&scenario("", 10, 4, &more)).finish();
    passed(&ran);
    let p50 = |phase: &str| ran.number(&format!("phases.{phase}.service_us.p50"));
    assert!(p50("rpc_round_trip") >= 300_000);
    for phase in ["server_rpc", "rpc_reply"] {
        assert!(p50(phase) < 250_000, "{phase}: {}", p50(phase));
    }
    let trips = ran.number("phases.rpc_round_trip.count");
    assert_eq!(trips, ran.number("downlink.rpc.received"));
    assert!(trips >= 60, "{trips}");
}

#[test]
fn a_delay_of_the_server_shows_in_what_devices_hear_and_in_nothing_else() {
    let over = ["mqtt", "http", "coap"];
    let more = r#"
        [target.faults.downlink]
        delay = "400ms"
        [downlink]
        [[push]]
        kind = "attributes"
        at = "2s"
        [[push]]
        kind = "rpc"
        at = "3s"
        method = "m"
    "#;
    let ran = Run::of(&scenario(&cohorts(&over), 15, 5, more)).finish();
    passed(&ran);
    for name in over {
        let p50 =
            |phase: &str| ran.number(&format!("cohorts.{name}.phases.{phase}.service_us.p50"));
        assert!(p50("attribute_update") >= 400_000, "{name}");
        assert!(p50("server_rpc") >= 400_000, "{name}");
        assert!(p50("rpc_round_trip") >= 400_000, "{name}");
        assert!(p50("rpc_reply") < 300_000, "{name}: {}", p50("rpc_reply"));
        assert_eq!(
            ran.number(&format!("cohorts.{name}.downlink.rpc.received")),
            5
        );
    }
}

#[test]
fn what_the_server_took_and_never_sent_is_lost() {
    let more = r#"
        [target.faults.downlink]
        lose = 1
        [downlink]
        [[push]]
        kind = "attributes"
        at = "2s"
        timeout = "500ms"
    "#;
    let over = ["mqtt", "http", "coap"];
    let ran = Run::of(&scenario(&cohorts(&over), 9, 4, more)).finish();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.number("downlink.attributes.lost"), 9);
    assert_eq!(ran.errors()["attribute_update.undelivered"], 9);
    assert_eq!(ran.errors().len(), 1, "{:?}", ran.errors());
}

#[test]
fn a_stall_of_the_server_shows_in_what_it_delivers() {
    let more = r#"
        [[target.faults.stall]]
        at = "2s"
        for = "1s"
        [downlink]
        [[push]]
        kind = "attributes"
        at = "2500ms"
    "#;
    let ran = Run::of(&scenario("", 10, 5, more)).finish();
    passed(&ran);
    assert_eq!(ran.number("downlink.attributes.received"), 10);
    // Due in the middle of it.
    let least = ran.number("phases.attribute_update.response_us.p50");
    assert!(least >= 400_000, "{least}");
}

#[test]
fn a_device_hears_again_after_a_power_loss_and_of_calls_that_were_kept() {
    let more = r#"
        [telemetry]
        interval = "200ms"
        [reconnect]
        initial = "50ms"
        [downlink]
        [[event]]
        at = "2s"
        kind = "power_loss"
        boot = { model = "fixed", time = "2s" }
        [[push]]
        kind = "attributes"
        at = "3s"
        timeout = "500ms"
        [[push]]
        kind = "rpc"
        at = "3s"
        timeout = "500ms"
        method = "m"
        [[push]]
        kind = "attributes"
        at = "5s"
        [[push]]
        kind = "rpc_oneway"
        at = "5s"
        method = "m"
    "#;
    let ran = Run::of(&scenario("", 10, 7, more)).finish();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.number("phases.subscribe.count"), 20);
    // The server takes attributes and forgets to tell a device that is away.
    assert_eq!(ran.number("downlink.attributes.received"), 10);
    assert_eq!(ran.number("downlink.attributes.lost"), 10);
    assert_eq!(ran.errors()["attribute_update.undelivered"], 10);
    // Calls it keeps for as long as they may take, which is 5 s at least.
    assert_eq!(ran.number("downlink.rpc.received"), 20);
    assert_eq!(ran.number("phases.rpc_round_trip.count"), 10);
    let late = ran.number("phases.rpc_round_trip.service_us.p50");
    assert!((800_000..3_000_000).contains(&late), "{late}");
}

#[test]
fn polls_and_observations_begin_anew_after_a_power_loss() {
    let more = r#"
        [telemetry]
        interval = "200ms"
        [reconnect]
        initial = "50ms"
        [downlink]
        [[event]]
        at = "2s"
        kind = "power_loss"
        boot = { model = "fixed", time = "2s" }
        [[push]]
        kind = "attributes"
        at = "3s"
        timeout = "500ms"
        [[push]]
        kind = "attributes"
        at = "5500ms"
        [[push]]
        kind = "rpc"
        at = "5500ms"
        method = "m"
    "#;
    let over = ["http", "coap", "coaps"];
    let ran = Run::of(&scenario(&cohorts(&over), 15, 8, more)).finish();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let count = |over: &str, key: &str| ran.number(&format!("cohorts.{over}.{key}"));
    for name in over {
        assert_eq!(count(name, "downlink.rpc.received"), 5, "{name}");
        assert_eq!(count(name, "phases.rpc_round_trip.count"), 5, "{name}");
        assert_eq!(count(name, "downlink.attributes.sent"), 10, "{name}");
    }
    // A poll brings what changes while it is held; an observation begins with what there is.
    assert_eq!(count("http", "downlink.attributes.received"), 5);
    assert_eq!(count("http", "downlink.attributes.lost"), 5);
    assert_eq!(count("coap", "downlink.attributes.received"), 10);
    assert_eq!(count("coaps", "downlink.attributes.received"), 10);
}

#[test]
fn a_rest_api_that_is_not_there_ends_the_run_before_its_first_device() {
    let port = crate::support::free_tcp_port();
    let more = format!(
        "[rest]\nurl = \"http://127.0.0.1:{port}\"\nusername = \"u\"\npassword = \"s3cret\"\n\
         [downlink]\n[[push]]\nkind = \"attributes\"\nat = \"1s\"\n\
         [profile]\nprovision_key = \"k\"\nprovision_secret = \"s\"\n"
    );
    let target = format!("mqtt = \"127.0.0.1:{port}\"");
    let scenario = scenario("", 5, 2, &more).replace("embedded = true", &target);
    let ran = Run::of(&scenario).finish();
    assert_eq!(ran.code, 5, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.number("starts.started"), 0);
    assert!(!ran.everything_public().contains("s3cret"));
}
