//! Whether a run says so when the generator, and not the server, was the limit.

use crate::support::Run;

/// One place, which the server holds for half a second each time, and 8 devices due at once: the last
/// start is late by 3.5 s.
const TOO_FEW_PLACES: &str = r#"
    name = "few-places"
    seed = 1
    target = { embedded = true, faults.delay = "500ms" }
    devices.generate = { count = 8 }
    arrival.stages = [{ burst = 8 }]
    limits.in_flight = 1
"#;

#[test]
fn an_invalid_run_ends_with_4_unless_that_is_allowed() {
    let invalid = |run: Run, code: i32| {
        let ran = run.finish();
        assert_eq!(ran.code, code, "{}{}", ran.stdout, ran.stderr);
        assert_eq!(ran.summary()["result"], "invalid");
        assert_eq!(ran.summary()["generator"]["verdict"], "invalid");
        assert!(ran.stdout.starts_with("INVALID"), "{}", ran.stdout);
    };
    invalid(Run::of(TOO_FEW_PLACES).strict(), 4);
    invalid(Run::of(TOO_FEW_PLACES), 0);
    let crossed = format!("{TOO_FEW_PLACES}thresholds = {{ \"provision.p50\" = \"< 1ms\" }}");
    invalid(Run::of(&crossed), 3);
}

#[test]
fn a_server_that_stands_still_does_not_make_the_generator_look_late() {
    let ran = Run::of(
        r#"
        name = "stall"
        seed = 1
        target = { embedded = true, faults.stall = [{ at = "1s", for = "3s" }] }
        devices.generate = { count = 5 }
        arrival.stages = [{ burst = 5 }, { duration = "5s", rate = 0 }]
        telemetry = { interval = "100ms" }
        "#,
    )
    .finish();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let waited = ran.number("phases.telemetry.response_us.max");
    assert!(waited >= 2_900_000, "{waited} µs");
    // Half of the stall, for a machine that has other work as well.
    let lag = ran.number("telemetry.lag_us.max");
    assert!(lag < 1_500_000, "{lag} µs");
    assert!(ran.stdout.contains("messages p50 "), "{}", ran.stdout);
}
