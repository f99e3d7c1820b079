//! When devices start, as a run's results have it.

use serde_json::Value;

use crate::support::Run;

/// The summary of a short run with these further keys.
fn summary(keys: &str, args: &[&str]) -> Value {
    let scenario = format!(
        "name = \"line\"\nseed = 7\ntarget.embedded = true\ndevices.generate = {{ count = 60 }}\n{keys}"
    );
    let run = args
        .iter()
        .fold(Run::of(&scenario), |run, arg| run.arg(arg));
    let ran = run.finish();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    ran.summary()
}

const EVEN: &str = "arrival.stages = [{ count = 40, rate = 200 }, { burst = 20 }]";
const POISSON: &str =
    "arrival = { spacing = \"poisson\", stages = [{ duration = \"300ms\", rate = 200 }] }";

#[test]
fn the_schedules_fingerprint_is_that_of_seed_and_list_and_of_nothing_else() {
    let digest = |keys: &str, args: &[&str]| {
        let digest = summary(keys, args)["schedule_digest"].clone();
        assert_eq!(digest.as_str().unwrap().len(), 64);
        digest
    };
    let one = digest(EVEN, &["--set", "limits.workers=1"]);
    assert_eq!(one, digest(EVEN, &["--set", "limits.workers=4"]));
    let list = digest(EVEN, &["--set", "devices.generate.count=61"]);
    assert_ne!(one, list, "another list");
    let drawn = digest(POISSON, &["--set", "limits.workers=3"]);
    assert_eq!(drawn, digest(POISSON, &[]));
    assert_ne!(drawn, digest(POISSON, &["--seed", "8"]));
    assert_ne!(one, drawn);
}

#[test]
fn stages_that_end_by_count_and_bursts_start_everybody_on_time() {
    let summary = summary(EVEN, &[]);
    assert_eq!(summary["starts"]["planned"], 60);
    assert_eq!(summary["starts"]["started"], 60);
    assert_eq!(summary["starts"]["dropped"], 0);
    assert_eq!(summary["devices"]["provisioned"], 60);
}

#[test]
fn the_spike_runs_as_it_is() {
    let ran = Run::shipped("scenarios/spike.toml").finish();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(
        ran.number("devices.provisioned"),
        ran.number("devices.listed")
    );
    assert_eq!(ran.number("starts.dropped"), 0);
}
