use super::*;
use crate::metrics::fixture;
use crate::model::Phase;

fn judged(metric: &str, condition: &str) -> (String, bool) {
    judged_on(&fixture::summary(), metric, condition)
}

fn judged_on(summary: &Summary, metric: &str, condition: &str) -> (String, bool) {
    let result = Threshold::parse(metric, condition)
        .unwrap_or_else(|e| panic!("{e}"))
        .judge(summary);
    (result.observed, result.passed)
}

#[test]
fn conditions_hold_on_the_right_side_of_their_bound_and_at_it() {
    // The fixture provisions 990 of 1,000; 3 of them fail to reconnect, the others send 12 each.
    for (metric, condition, observed, passed) in [
        ("devices.provisioned", "== 990", "990", true),
        ("devices.provisioned", "!= 990", "990", false),
        ("devices.provisioned", "> 990", "990", false),
        ("devices.provisioned", ">= 990", "990", true),
        ("devices.provisioned", "<= 990", "990", true),
        ("devices.provisioned", "< 990", "990", false),
        ("devices.provisioned", ">= 99%", "99% (990 of 1000)", true),
        (
            "devices.provisioned",
            "== 99.0 %",
            "99% (990 of 1000)",
            true,
        ),
        (
            "devices.provisioned",
            ">= 99.000001%",
            "99% (990 of 1000)",
            false,
        ),
        ("devices.refused", "<= 0.8%", "0.8% (8 of 1000)", true),
        ("devices.refused", "< 0.8%", "0.8% (8 of 1000)", false),
        ("devices.unknown", "==2", "2", true),
        ("devices.failed", "== 0", "0", true),
        ("starts.late", "<= 4", "4", true),
        ("starts.dropped", "== 0", "0", true),
        ("errors.provision.failure", "< 8", "8", false),
        ("errors.provision.timeout", "== 2", "2", true),
        ("errors.telemetry.timeout", "== 0", "0", true),
        ("provision.count", ">= 990", "990", true),
        ("provision.errors", "== 10", "10", true),
        ("telemetry.sent", ">= 11_000", "11844", true),
        ("tls_handshake.count", "== 600", "600", true),
        ("tls_handshake.errors", "== 0", "0", true),
        ("errors.tls_handshake.tls_alert_48", "== 0", "0", true),
    ] {
        let got = judged(metric, condition);
        assert_eq!(got, (observed.to_owned(), passed), "{metric} {condition}");
    }
}

#[test]
fn latencies_are_compared_to_the_microsecond() {
    let mut summary = fixture::summary();
    let phase = summary
        .phases
        .get_mut(&Phase::TimeToProvision)
        .expect("occurred");
    phase.response_us.p99 = 500_000;
    phase.service_us.p99 = 499_999;
    phase.response_us.mean = 1_234.567;
    for (metric, condition, observed, passed) in [
        ("time_to_provision.p99", "< 500ms", "500ms", false),
        ("time_to_provision.p99", "<= 500ms", "500ms", true),
        ("time_to_provision.p99", "< 0.6s", "500ms", true),
        ("time_to_provision.p99", "< 1m", "500ms", true),
        (
            "time_to_provision.service.p99",
            "< 500ms",
            "499.999ms",
            true,
        ),
        (
            "time_to_provision.service.p99",
            "<= 499us",
            "499.999ms",
            false,
        ),
        ("time_to_provision.mean", "< 1.3ms", "1.234567ms", true),
    ] {
        let got = judged_on(&summary, metric, condition);
        assert_eq!(got, (observed.to_owned(), passed), "{metric} {condition}");
    }
}

#[test]
fn what_never_occurred_does_not_pass() {
    let mut summary = fixture::summary();
    summary.phases.remove(&Phase::Reconnect);
    let failed_always = summary.phases.get_mut(&Phase::Telemetry).expect("occurred");
    (failed_always.count, failed_always.errors) = (0, 7);
    for (metric, condition, observed, passed) in [
        ("reconnect.p99", "< 1h", "no samples", false),
        ("reconnect.errors", "== 0", "no samples", false),
        ("reconnect.count", "> 0", "0", false),
        ("reconnect.count", "== 0", "0", true),
        ("telemetry.max", "< 1h", "no samples", false),
        ("telemetry.errors", "> 5", "7", true),
    ] {
        let got = judged_on(&summary, metric, condition);
        assert_eq!(got, (observed.to_owned(), passed), "{metric} {condition}");
    }
    summary.devices = crate::metrics::DeviceCounts::default();
    let empty = judged_on(&summary, "devices.provisioned", "== 100%");
    assert_eq!(empty, ("no devices".to_owned(), false));
}

#[test]
fn one_of_a_million_missing_is_not_everybody() {
    let mut summary = fixture::summary();
    summary.devices.listed = 1_000_000;
    summary.devices.provisioned = 999_999;
    for (condition, passed) in [
        ("== 100%", false),
        (">= 99.9999%", true),
        ("> 99.9999%", false),
        (">= 99.99991%", false),
    ] {
        let (observed, got) = judged_on(&summary, "devices.provisioned", condition);
        assert_eq!(observed, "99.9999% (999999 of 1000000)");
        assert_eq!(got, passed, "{condition}");
    }
    summary.devices.listed = 3_000_000_000;
    summary.devices.provisioned = 2_999_999_999;
    let (observed, passed) = judged_on(&summary, "devices.provisioned", "== 100%");
    assert_eq!(
        (observed.as_str(), passed),
        ("99.999999% (2999999999 of 3000000000)", false)
    );
}

#[test]
fn a_rate_is_compared_with_or_without_its_unit() {
    let mut summary = fixture::summary();
    summary.telemetry.rate_per_s = 200.5;
    for (condition, passed) in [(">= 200/s", true), ("> 200.5", false), ("< 1e3 /s", true)] {
        let got = judged_on(&summary, "telemetry.rate_per_s", condition);
        assert_eq!(got, ("200.5/s".to_owned(), passed), "{condition}");
    }
}

#[test]
fn an_expression_reads_as_metric_operator_bound() {
    let threshold = Threshold::parse(" time_to_provision.p99 ", "<500ms").expect("legal");
    assert_eq!(threshold.to_string(), "time_to_provision.p99 < 500ms");
}

#[test]
fn a_wrong_condition_is_refused_with_a_way_out() {
    for (metric, condition, says, help) in WRONG {
        let error = Threshold::parse(metric, condition).expect_err(condition);
        assert!(error.contains(says), "{metric} {condition}: {error}");
        assert!(error.contains(help), "{metric} {condition}: {error}");
    }
}

#[test]
fn the_implicit_threshold_steps_back_for_any_word_about_devices() {
    let about = |metric, condition| Threshold::parse(metric, condition).expect("legal");
    let silent = [about("provision.p99", "< 1s")];
    let all = Threshold::with_implicit(&silent);
    assert_eq!(all.len(), 2);
    assert_eq!(all[1], about("devices.provisioned", "== 100%"));
    let spoken = [about("devices.unfinished", "<= 5%")];
    assert_eq!(Threshold::with_implicit(&spoken), spoken);
}

/// Metric, condition, what the error says, and what it advises.
const WRONG: &[(&str, &str, &str, &str)] = &[
    (
        "provision.p99",
        "500ms",
        "begins with <",
        "write \"< 500ms\"",
    ),
    (
        "provision.p99",
        "= 500ms",
        "found `= 500ms`",
        "write \"== 500ms\"",
    ),
    (
        "provision.p99",
        "",
        "nothing was found",
        "write \"< 500ms\"",
    ),
    (
        "provision.p99",
        "<",
        "a time with its unit, nothing was found",
        "\"< 500ms\"",
    ),
    (
        "provision.p99",
        "< 500",
        "a time with its unit, found `500`",
        "\"< 500ms\"",
    ),
    (
        "provision.p99",
        "< 1%",
        "a time with its unit, found `1%`",
        "\"< 500ms\"",
    ),
    ("provision.p99", "< -5ms", "found `-5ms`", "\"< 500ms\""),
    (
        "provision.p99",
        "=< 5ms",
        "found `=< 5ms`",
        "write \"<= 5ms\"",
    ),
    ("devices.refused", "< 100.1%", "0% to 100%", "\">= 99.9%\""),
    (
        "devices.refused",
        "< 1.2345678%",
        "6 decimals",
        "\">= 99.9%\"",
    ),
    ("devices.refused", "< 1.5", "a whole number", "\">= 99.9%\""),
    ("devices.refused", "< 5ms", "found `5ms`", "\">= 99.9%\""),
    ("starts.late", "< 1%", "a whole number", "\"== 0\""),
    (
        "errors.provision.timeout",
        "< -1",
        "a whole number",
        "\"== 0\"",
    ),
    (
        "telemetry.rate_per_s",
        "> nan",
        "a number per second",
        "\">= 200/s\"",
    ),
    (
        "telemetry.sent",
        "> 99999999999999999999",
        "a whole number",
        "\"== 0\"",
    ),
];
