//! Whether a run says so when the generator, and not the server, was the limit.

use crate::support::Run;

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
