//! `[search]`, at its places.

use std::time::Duration;

use super::check;
use crate::scenario::DeviceSource;

const HEAD: &str = "name = \"s\"\ntarget.embedded = true\n";

fn of(rest: &str) -> Result<crate::scenario::Plan, String> {
    check(&format!("{HEAD}{rest}"), &[]).map_err(|shown| shown.to_string())
}

#[test]
fn a_search_needs_two_rates_and_makes_its_own_devices() {
    let plan = of("devices.generate = {}\nsearch = { from = 20, to = 200 }\n").unwrap();
    let rules = plan.search.unwrap();
    assert_eq!((rules.step, rules.precision, rules.confirm), (2.0, 0.05, 2));
    assert_eq!(rules.hold, Duration::from_secs(10));
    let DeviceSource::Generate(spec) = &plan.devices else {
        panic!("they are generated");
    };
    assert!(u64::from(spec.count) > rules.devices_needed());
    let said = "devices.generate = { count = 7 }\nsearch = { from = 20, to = 200 }\n";
    let DeviceSource::Generate(spec) = of(said).unwrap().devices else {
        panic!("they are generated");
    };
    assert_eq!(
        spec.count, 7,
        "what is stated stands: the run says that it is too few"
    );
}

#[test]
fn what_has_no_place_beside_a_search_is_said() {
    let devices = "devices.generate.count = 9\nsearch = { from = 20, to = 200 }\n";
    for (bad, says) in [
        (
            "arrival.stages = [{ duration = \"1s\", rate = 1 }]",
            "both say when devices start",
        ),
        (
            "telemetry.interval = \"1s\"",
            "[telemetry] has no place beside [search]",
        ),
        (
            "[[cohort]]\nname = \"a\"\nexpect = \"refused\"",
            "`expect` has no place",
        ),
        (
            "[[cohort]]\nname = \"a\"\nmisbehaviour = \"wrong_secret\"",
            "`misbehaviour` has no place",
        ),
        (
            "[thresholds]\n\"provision.p99\" = { condition = \"< 1s\", abort = true }",
            "is not aborted by one",
        ),
    ] {
        let shown = of(&format!("{devices}{bad}\n")).expect_err(bad);
        assert!(shown.contains(says), "{bad}: {shown}");
    }
}

#[test]
fn a_search_that_cannot_be_made_is_said_at_its_place() {
    for (bad, says) in [
        ("{ to = 200 }", "`from` is missing"),
        ("{ from = 20 }", "`to` is missing"),
        ("{ from = 20, to = 10 }", "`to` is below `from`"),
        ("{ from = 0, to = 10 }", "`from` must be from 0.1 to 100000"),
        (
            "{ from = 20, to = 200, step = 1 }",
            "`step` must be from 1.05 to 10",
        ),
        (
            "{ from = 20, to = 200, precision = 0 }",
            "`precision` must be from 0.005",
        ),
        (
            "{ from = 20, to = 200, trials = 0 }",
            "`trials` must be from 1 to 1000",
        ),
        (
            "{ from = 20, to = 200, hold = \"2h\" }",
            "`hold` is at most an hour",
        ),
        (
            "{ from = 0.5, to = 200 }",
            "counts 5 devices: too few to judge by",
        ),
        (
            "{ from = 20, to = 200, warmup = \"1s\" }",
            "the nearest known key is `warm_up`",
        ),
        (
            "{ from = 20, to = 90000, hold = \"1h\" }",
            "more than a list can have",
        ),
    ] {
        let shown = of(&format!("devices.generate = {{}}\nsearch = {bad}\n")).expect_err(bad);
        assert!(shown.contains(says), "{bad}: {shown}");
    }
}
