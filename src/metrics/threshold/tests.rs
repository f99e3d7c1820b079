use super::*;
use crate::metrics::{Aggregate, fixture};
use crate::model::Phase;

fn judged(metric: &str, condition: &str) -> (String, bool) {
    judged_on(&fixture::summary(), metric, condition)
}

fn judged_on(summary: &Summary, metric: &str, condition: &str) -> (String, bool) {
    let cohorts = summary.cohorts.keys().map(String::as_str);
    let result = Threshold::parse(metric, condition, cohorts)
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
        ("provision.errors", "== 1%", "1% (10 of 1000)", true),
        ("provision.errors", "< 1%", "1% (10 of 1000)", false),
        ("starts.late", "<= 0.4%", "0.4% (4 of 1000)", true),
        (
            "telemetry.acked",
            "> 95%",
            "95.854441% (11353 of 11844)",
            true,
        ),
        ("cohort.meters.devices.provisioned", "== 592", "592", true),
        (
            "cohort.meters.refused",
            "<= 1%",
            "1.333333% (8 of 600)",
            false,
        ),
        ("cohort.valves.provision.errors", "== 2", "2", true),
        ("cohort.valves.tls_handshake.count", "== 0", "0", true),
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
fn any_percentile_of_any_distribution_is_read_from_its_histogram() {
    let summary = fixture::summary();
    let phase = &summary.phases[&Phase::Provision];
    let cohort = &summary.cohorts["meters"].phases[&Phase::Provision];
    let p95 = summary.histograms.phases[&Phase::Provision]
        .service
        .decode();
    let p95 = p95.expect("whole").value_at_quantile(0.95);
    for (metric, us) in [
        ("provision.p50", phase.response_us.p50),
        ("provision.p99.9", phase.response_us.p999),
        ("provision.p999", phase.response_us.p999),
        ("provision.max", phase.response_us.max),
        ("provision.service.p95", p95),
        ("cohort.meters.provision.service.p99", cohort.service_us.p99),
        ("lag.p99", summary.lag_us.p99),
        ("lag.max", summary.lag_us.max),
    ] {
        let (observed, passed) = judged_on(&summary, metric, &format!("== {us}us"));
        assert!(passed, "{metric}: {observed}, not {us} us");
    }
    assert_ne!(p95, phase.service_us.p90);
    assert_ne!(p95, phase.service_us.p99);
}

#[test]
fn rates_are_over_the_whole_run_and_shares_over_steps_that_were_begun() {
    // 990 of 1,000 in 60.25 s.
    let (rate, passed) = judged("time_to_provision.rate_per_s", ">= 16.4/s");
    assert!(passed && rate.starts_with("16.43153"), "{rate}");
    let (rate, passed) = judged("cohort.meters.telemetry.rate_per_s", "> 100/s");
    assert!(passed, "{rate}");
    let summary = fixture::summary();
    let steps = summary.phases.iter();
    let steps = steps.filter(|(phase, _)| !phase.as_str().starts_with("time_to"));
    let (errors, all) = steps.fold((0, 0), |(e, n), (_, phase)| {
        (e + phase.errors, n + phase.errors + phase.count)
    });
    let (share, passed) = judged("errors.share", "< 0.5%");
    assert!(passed && errors > 0, "{share}");
    assert!(share.ends_with(&format!("({errors} of {all})")), "{share}");
}

#[test]
fn a_cohort_is_known_by_its_name_whatever_points_it_has() {
    let cohorts = ["a", "a.b", "a.b.provision", "has blanks < 5"];
    let parse = |name| Threshold::parse(name, "== 5", cohorts.into_iter());
    for (name, cohort) in [
        ("cohort.a.provisioned", "a"),
        ("cohort.a.b.provisioned", "a.b"),
        ("cohort.a.b.provision.errors", "a.b.provision"),
        ("cohort.has blanks < 5.retries", "has blanks < 5"),
    ] {
        // The longest name that fits: `errors` alone is no metric.
        let read = parse(name);
        if cohort == "a.b.provision" {
            assert!(read.is_err(), "{name}");
            continue;
        }
        let read = read.expect(name);
        assert_eq!(read.cohort(), Some(cohort), "{name}");
        let result = ThresholdResult {
            expression: read.to_string(),
            observed: String::new(),
            passed: false,
        };
        assert_eq!(result.threshold(&cohorts.into_iter()), Ok(read));
    }
    for (name, says) in [
        (
            "cohort.c.provisioned",
            "unknown cohort `c`, the nearest is `a`",
        ),
        (
            "cohort.has blank < 5.provision.p99",
            "the nearest is `has blanks < 5`",
        ),
        ("cohort.a.provisoned", "unknown metric `provisoned`"),
        ("cohort.a.starts.late", "kept for the whole run"),
        (
            "cohort.a.errors.provision.timeout",
            "kept for the whole run",
        ),
    ] {
        let error = parse(name).expect_err(name);
        assert!(error.contains(says), "{name}: {error}");
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
    let threshold =
        Threshold::parse(" time_to_provision.p99 ", "<500ms", std::iter::empty()).expect("legal");
    assert_eq!(threshold.to_string(), "time_to_provision.p99 < 500ms");
}

#[test]
fn a_wrong_condition_is_refused_with_a_way_out() {
    for (metric, condition, says, help) in WRONG {
        let error = Threshold::parse(metric, condition, std::iter::empty()).expect_err(condition);
        assert!(error.contains(says), "{metric} {condition}: {error}");
        assert!(error.contains(help), "{metric} {condition}: {error}");
    }
}

#[test]
fn the_implicit_threshold_steps_back_for_any_word_about_devices() {
    let about =
        |metric, condition| Threshold::parse(metric, condition, std::iter::empty()).expect("legal");
    let silent = [about("provision.p99", "< 1s")];
    let all = Threshold::with_implicit(&silent, ["all"].into_iter());
    assert_eq!(all.len(), 2);
    assert_eq!(all[1], about("devices.provisioned", "== 100%"));
    let spoken = [about("devices.unfinished", "<= 5%")];
    assert_eq!(
        Threshold::with_implicit(&spoken, ["all"].into_iter()),
        spoken
    );
}

#[test]
fn where_single_cohorts_are_spoken_of_the_others_must_be_provisioned_to_the_last() {
    let cohorts = ["meters", "valves"];
    let about = Threshold::parse("cohort.meters.refused", "<= 5%", cohorts.into_iter());
    let about = [about.expect("legal")];
    let all = Threshold::with_implicit(&about, cohorts.into_iter());
    let all: Vec<String> = all.iter().map(Threshold::to_string).collect();
    assert_eq!(
        all,
        [
            "cohort.meters.refused <= 5%",
            "cohort.valves.devices.provisioned == 100%"
        ]
    );
}

/// What would end a run in which the fixture's devices have been recorded up to the `n`-th.
fn ended_after(n: u32, metric: &str, condition: &str) -> Option<String> {
    let mut setting = fixture::setting();
    let cohorts = ["meters", "valves"].into_iter();
    let threshold = Threshold::parse(metric, condition, cohorts).expect("legal");
    setting.thresholds = vec![threshold.aborting(Duration::from_secs(5)).expect("may end")];
    let mut aggregate = Aggregate::new(setting);
    aggregate.add(&fixture::recorded(n));
    assert_eq!(
        aggregate.hopeless(Duration::from_secs(4)),
        None,
        "too early"
    );
    aggregate
        .hopeless(Duration::from_secs(5))
        .map(|aborted| aborted.observed)
}

#[test]
fn a_run_is_ended_when_a_condition_cannot_hold_any_more_and_not_before() {
    // 100 devices: one refused, one unknown, 98 provisioned; 900 to come.
    for (metric, condition, ended) in [
        ("devices.provisioned", ">= 99.9%", Some("9.8% (98 of 1000)")),
        ("devices.provisioned", ">= 998", None),
        ("devices.provisioned", ">= 999", Some("98")),
        ("devices.provisioned", "== 100%", Some("9.8% (98 of 1000)")),
        ("devices.refused", "< 1%", None),
        ("devices.refused", "== 0", Some("1")),
        ("devices.refused", "!= 1", None),
        ("cohort.meters.refused", "== 0", Some("1")),
        ("cohort.valves.refused", "== 0", None),
        ("provision.errors", "== 5", None),
        ("provision.errors", "== 1", Some("2")),
        ("provision.errors", "<= 1%", Some("2% (2 of 100)")),
        ("provision.count", ">= 5_000", None),
        ("errors.provision.timeout", "<= 0", Some("1")),
        ("telemetry.sent", "> 100_000", None),
        ("provision.p50", "< 1us", Some("")),
        ("provision.p50", "< 1h", None),
        ("time_to_reconnect.p50", "< 1us", None),
        ("time_to_provision.rate_per_s", ">= 20/s", Some("19.6/s")),
        ("errors.share", "<= 100%", None),
    ] {
        let found = ended_after(100, metric, condition);
        match (&found, ended) {
            (None, None) => {}
            (Some(found), Some("")) => assert!(found.ends_with("ms"), "{metric}: {found}"),
            _ => assert_eq!(found.as_deref(), ended, "{metric} {condition}"),
        }
    }
    // At the very start there is nothing to judge.
    for (metric, condition) in [
        ("telemetry.acked", ">= 99%"),
        ("errors.share", "< 1%"),
        ("provision.p99", "< 1us"),
        ("starts.late", "< 1%"),
        ("devices.provisioned", "== 100%"),
    ] {
        assert_eq!(ended_after(0, metric, condition), None, "{metric}");
    }
}

#[test]
fn what_may_still_get_better_by_itself_ends_no_run() {
    for metric in ["devices.back", "reconnects.not_back"] {
        let threshold = Threshold::parse(metric, "== 0", std::iter::empty()).expect("legal");
        let error = threshold.aborting(Duration::ZERO).expect_err(metric);
        assert!(error.contains("may still come back"), "{error}");
    }
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
    ("starts.late", "< 1ms", "a whole number", "\"== 0\""),
    (
        "errors.share",
        "== 0",
        "a percentage of the steps",
        "\"< 1%\"",
    ),
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
