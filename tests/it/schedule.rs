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

/// What was published once stays: results of all versions can be told apart by it.
#[test]
fn the_fingerprint_of_a_schedule_for_all_cohorts_is_what_it_always_was() {
    let closed = "arrival = { model = \"closed\", stages = [\
        { duration = \"100ms\", concurrency = 3 }, { duration = \"1s\", concurrency = 40 }] }";
    let truncated = "arrival = { model = \"closed\", truncate = true, stages = [\
        { duration = \"2s\", concurrency = 3 }] }";
    for (keys, digest) in [
        (
            EVEN,
            "01ad06e7e1c959b198907036d2703765544ae55e7f2501b3ca3a5fd26d5558a8",
        ),
        (
            POISSON,
            "4e14f1d972cac9ac74c7afc65109329d74647fbf7993d26d62bfd763b8c45f2d",
        ),
        (
            closed,
            "0a3ebf5779a858049cc1d263f12425542c5fec9d0d87b24cead614227370aacc",
        ),
        (
            truncated,
            "750948801c8dc4a7d1656d2e2455a7be4bad7daed6d78070ac5dacf301b5ed4d",
        ),
    ] {
        assert_eq!(summary(keys, &[])["schedule_digest"], digest, "{keys}");
    }
}

/// Two cohorts, of 20 and 40 devices, and an arrival for each.
fn lines(first: &str, second: &str) -> String {
    format!(
        "[[cohort]]\nname = \"first\"\ncount = 20\narrival = {{ {first} }}\n\
         [[cohort]]\nname = \"second\"\narrival = {{ {second} }}\n"
    )
}

#[test]
fn cohorts_with_arrivals_of_their_own_each_follow_theirs() {
    let keys = lines(
        "stages = [{ count = 20, rate = 100 }]",
        "model = \"closed\", stages = [{ duration = \"1s\", concurrency = 4 }]",
    );
    let both = summary(&keys, &["--set", "limits.workers=2"]);
    assert_eq!(both["devices"]["provisioned"], 60);
    assert_eq!(both["starts"]["planned"], 60);
    assert_eq!(both["model"], "open");
    assert_eq!(both["cohorts"]["first"]["model"], "open");
    assert_eq!(both["cohorts"]["second"]["model"], "closed");
    let digest = |args: &[&str]| summary(&keys, args)["schedule_digest"].clone();
    assert_eq!(
        digest(&["--set", "limits.workers=3"]),
        both["schedule_digest"]
    );
    for change in [
        "cohort.second.arrival.stages.0.concurrency=5",
        "cohort.first.arrival.stages.0.rate=101",
    ] {
        assert_ne!(
            digest(&["--set", change]),
            both["schedule_digest"],
            "{change}"
        );
    }
}

#[test]
fn a_cohort_whose_place_is_taken_holds_no_other_back() {
    let keys = lines(
        "stages = [{ count = 20, rate = 100 }]",
        "model = \"closed\", stages = [{ duration = \"100ms\", concurrency = 1 }]",
    );
    // Over TLS nobody gets on, and each keeps the place for 150 ms: 6 s for 40 devices.
    let keys = keys.replace("\"second\"\n", "\"second\"\ntransport = \"mqtts\"\n");
    let scenario = format!(
        "name = \"line\"\ntarget.embedded = true\ndevices.generate = {{ count = 60 }}\n\
         target.faults.tls.half_open = 1\nlimits.connect_timeout = \"150ms\"\nlimits.workers = 1\n\
         thresholds.\"devices.provisioned\" = \"== 20\"\n{keys}"
    );
    let ran = Run::of(&scenario).finish();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(ran.number("cohorts.first.devices.provisioned"), 20);
    assert_eq!(ran.number("cohorts.second.devices.failed"), 40);
    assert!(ran.number("lag_us.max") < 3_000_000, "{}", ran.stdout);
    let elapsed = ran.summary()["elapsed_s"].as_f64().unwrap();
    assert!(elapsed > 6.0, "one at a time: {elapsed}");
}

#[test]
fn a_closed_stage_by_count_starts_just_so_many() {
    let keys = "thresholds.\"devices.provisioned\" = \"== 25\"\n[arrival]\nmodel = \"closed\"\n\
         truncate = true\nstages = [{ count = 20, concurrency = 5 }, { count = 5, concurrency = 1 }]";
    let summary = summary(keys, &["--set", "limits.workers=3"]);
    assert_eq!(summary["starts"]["planned"], 25);
    assert_eq!(summary["starts"]["started"], 25);
    assert_eq!(summary["devices"]["unfinished"], 35);
}

#[test]
fn telemetry_goes_on_until_the_stage_behind_a_counted_one_is_over() {
    let keys = "telemetry.interval = \"200ms\"\n[arrival]\nmodel = \"closed\"\n\
         stages = [{ count = 60, concurrency = 20 }, { duration = \"1s\", concurrency = 1 }]";
    let summary = summary(keys, &[]);
    assert_eq!(summary["devices"]["provisioned"], 60);
    assert!(summary["elapsed_s"].as_f64().unwrap() >= 1.0, "{summary}");
    assert!(summary["telemetry"]["acked"].as_u64().unwrap() >= 3 * 60);
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

/// Ten times as fast as it is.
#[test]
fn the_factorys_shift_starts_each_lines_batches_in_its_takt() {
    let mut run = Run::shipped("scenarios/factory-shift.toml");
    for (line, stages) in [
        (
            1,
            "{ batch = 12, every = \"200ms\", duration = \"2s\" }, { duration = \"1s\", rate = 0 }",
        ),
        (2, "{ batch = 8, every = \"300ms\", count = 104 }"),
        (3, "{ batch = 20, every = \"500ms\", duration = \"4s\" }"),
        (
            4,
            "{ duration = \"1s\", rate = 0 }, { batch = 3, every = \"200ms\", duration = \"2s\" }",
        ),
    ] {
        run = run
            .arg("--set")
            .arg(&format!("cohort.line-{line}.arrival.stages=[{stages}]"));
    }
    let ran = run.arg("--set").arg("telemetry.interval=1s").finish();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(ran.number("devices.provisioned"), 600);
    assert_eq!(ran.number("starts.planned"), 600);
    let summary = ran.summary();
    for (cohort, model) in [
        ("line-1", "open"),
        ("line-4", "open"),
        ("returns", "closed"),
    ] {
        assert_eq!(summary["cohorts"][cohort]["model"], model);
    }
    assert!(
        ran.stdout.contains("open and closed model"),
        "{}",
        ran.stdout
    );
}
