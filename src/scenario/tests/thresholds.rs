//! `[thresholds]`, at their places.

use super::{SHORT, check};

#[test]
fn a_bad_threshold_is_shown_at_its_place() {
    let shown = check(
        &format!("{SHORT}[thresholds]\nno_such.metric = \"is nice\"\n"),
        &[],
    )
    .unwrap_err();
    let shown = shown.to_string();
    assert!(
        shown.starts_with("error: threshold \"no_such.metric\": "),
        "{shown}"
    );
    assert!(shown.contains("--> s.toml:6:"), "{shown}");
}

#[test]
fn a_threshold_is_about_something_that_the_scenario_can_show() {
    let cohort =
        "[[cohort]]\nname = \"meters\"\n[[cohort]]\nname = \"by air\"\ntransport = \"coap\"\n";
    let of = |thresholds: &str| check(&format!("{SHORT}{cohort}[thresholds]\n{thresholds}"), &[]);
    for good in [
        "cohort.meters.refused = \"== 0\"",
        "\"cohort.by air.provision.p99.9\" = \"< 1s\"",
        "provision.p95 = \"< 1s\"",
        "tls_handshake.count = \"== 0\"",
        "provision.p99 = { condition = \"< 1s\" }",
        "[thresholds.provision]\np99 = { condition = \"< 1s\", abort = true, after = \"5s\" }",
    ] {
        let plan = of(good).unwrap_or_else(|e| panic!("{good}: {e}"));
        assert_eq!(plan.thresholds.len(), 1, "{good}");
    }
    for (bad, says) in [
        (
            "cohort.metres.refused = \"== 0\"",
            "unknown cohort `metres`, the nearest is `meters`",
        ),
        ("provison.p99 = \"< 1s\"", "the nearest is `provision.p99`"),
        (
            "tls_handshake.p99 = \"< 1s\"",
            "no cohort is over mqtts, https or coaps",
        ),
        (
            "\"cohort.by air.mqtt_connect.p99\" = \"< 1s\"",
            "cohort \"by air\" is not over mqtt",
        ),
        (
            "telemetry.p99 = \"< 1s\"",
            "the scenario has no [telemetry]",
        ),
        ("provision.p99 = { abort = true }", "`condition` is missing"),
        (
            "provision.p99 = { conditon = \"< 1s\", abort = true }",
            "the nearest known key is `condition`",
        ),
        (
            "provision.p99 = { condition = \"< 1s\", after = \"5s\" }",
            "`abort = true`",
        ),
        (
            "provision.p99 = { condition = \"< 1s\", abort = 1 }",
            "`abort` must be true or false",
        ),
        (
            "devices.back = { condition = \"== 100%\", abort = true }",
            "may still come back",
        ),
    ] {
        let shown = of(bad).expect_err(bad).to_string();
        assert!(shown.contains(says), "{bad}: {shown}");
    }
}
