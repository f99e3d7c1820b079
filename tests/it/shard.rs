//! Runs that several machines share, held against the run of one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleetcall::target::{Profile, Target, TargetConfig};
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::support::{Ran, Run, Running, Said, eventually, root};

const DEVICES: u32 = 100;

async fn target() -> Target {
    let any = Some("127.0.0.1:0".parse().unwrap());
    let config = TargetConfig {
        mqtt: any,
        http: any,
        coap: any,
        ..TargetConfig::default()
    };
    Target::start(config).await.unwrap()
}

/// Cohorts of every transport: two behind one arrival, one behind closed places of its own.
fn scenario(target: &Target, rest: &str) -> String {
    let [mqtt, http, coap] = [target.mqtt(), target.http(), target.coap()].map(Option::unwrap);
    format!(
        "name = \"shared\"\nseed = 7\ndevices.generate = {{ count = {DEVICES} }}\n\
         target = {{ mqtt = \"{mqtt}\", http = \"{http}\", coap = \"{coap}\" }}\n\
         profile = {{ provision_key = \"{key}\", provision_secret = \"{secret}\" }}\n\
         arrival = {{ spacing = \"poisson\", stages = [{{ duration = \"1s\", rate = 100 }}, {{ duration = \"1s\", rate = 0 }}] }}\n\
         telemetry = {{ interval = \"500ms\" }}\n\
         thresholds = {{ \"devices.provisioned\" = \">= {DEVICES}\", \"time_to_provision.p99\" = \"< 20s\" }}\n\
         [[cohort]]\nname = \"mqtt\"\ntransport = \"mqtt\"\nshare = 0.5\n\
         [[cohort]]\nname = \"http\"\ntransport = \"http\"\nshare = 0.3\n\
         [[cohort]]\nname = \"coap\"\ntransport = \"coap\"\n\
         arrival = {{ model = \"closed\", stages = [{{ duration = \"1s\", concurrency = 6 }}] }}\n{rest}",
        key = Profile::DEFAULT_KEY,
        secret = Profile::DEFAULT_SECRET,
    )
}

/// What three shards leave that run side by side.
fn three(scenario: &str, args: &[&str]) -> Vec<Ran> {
    let running: Vec<_> = ["1/3", "2/3", "3/3"]
        .map(|shard| {
            Run::of(scenario)
                .args(&["--shard", shard])
                .args(args)
                .start()
        })
        .into();
    running.into_iter().map(Running::finish).collect()
}

/// Name and cohort of each device that a run tells of, in the order in which it does.
fn devices(ran: &Ran) -> Vec<(String, String, String)> {
    let rows = ran.rows("devices.csv").into_iter();
    rows.map(|row| {
        let cell = |column: &str| row[column].clone();
        (cell("name"), cell("cohort"), cell("outcome"))
    })
    .collect()
}

fn report(runs: &[&Ran], args: &[&str]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleetcall"));
    command.current_dir(root()).arg("report");
    command.args(runs.iter().map(|run| &run.out)).args(args);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    Said::by(command.spawn().unwrap())
}

fn merged(runs: &[&Ran]) -> Value {
    let said = report(runs, &["--format", "json"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    serde_json::from_str(&said.out).unwrap()
}

fn histogram(text: &Value) -> Histogram<u64> {
    let bytes = STANDARD.decode(text.as_str().unwrap()).unwrap();
    Deserializer::new()
        .deserialize(&mut bytes.as_slice())
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn three_shards_bring_up_the_devices_of_one_run_and_add_up_to_its_result() {
    let alone = target().await;
    let whole = Run::of(&scenario(&alone, "")).finish();
    assert_eq!(whole.code, 0, "{}", whole.stderr);

    let target = target().await;
    let parts = three(&scenario(&target, ""), &[]);
    assert_eq!(
        target.counts().provisioned,
        u64::from(DEVICES),
        "each device, once"
    );
    let mut together = Vec::new();
    for (number, part) in (1..).zip(&parts) {
        assert_eq!(part.code, 0, "{}", part.stderr);
        let summary = part.summary();
        assert_eq!(
            summary["schedule_digest"],
            whole.summary()["schedule_digest"]
        );
        let shard = &summary["shard"];
        assert_eq!(
            [&shard["number"], &shard["of"], &shard["listed"]],
            [number, 3, DEVICES]
        );
        assert_eq!(summary["starts"]["planned"], summary["devices"]["listed"]);
        assert!(
            part.stdout.contains(&format!("shard {number} of 3")),
            "{}",
            part.stdout
        );
        // Its own rows stand in the order of the list.
        together.extend(devices(part));
    }
    let names = |rows: &[(String, String, String)]| rows.iter().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(&together), names(&devices(&whole)));
    assert_eq!(together.len(), DEVICES as usize);

    let sum = merged(&parts.iter().collect::<Vec<_>>());
    is_the_same_run(&sum, &whole.summary(), &parts[0].summary());
    is_the_sum(&sum, &parts);
}

/// What shards add up to, held against one run of the same list.
fn is_the_same_run(sum: &Value, one: &Value, part: &Value) {
    for key in [
        "devices",
        "starts/planned",
        "starts/started",
        "schedule_digest",
        "seed",
    ] {
        let at = |summary: &Value| summary.pointer(&format!("/{key}")).cloned();
        assert_eq!(at(sum), at(one), "{key}");
    }
    for cohort in ["mqtt", "http", "coap"] {
        let at = |summary: &Value| summary["cohorts"][cohort]["devices"].clone();
        assert_eq!(at(sum), at(one), "{cohort}");
    }
    assert_eq!(sum["result"], "passed", "{sum}");
    assert!(sum["shard"].is_null());
    // What only the whole can be judged by.
    let judged: BTreeMap<_, _> = sum["thresholds"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            (
                row["expression"].as_str().unwrap().to_owned(),
                row["passed"].clone(),
            )
        })
        .collect();
    assert_eq!(judged[&format!("devices.provisioned >= {DEVICES}")], true);
    assert!(
        !part["thresholds"]
            .to_string()
            .contains("devices.provisioned >=")
    );
}

/// What shards add up to, held against each of them.
fn is_the_sum(sum: &Value, parts: &[Ran]) {
    // Bucket for bucket.
    for (phase, kind) in [
        ("provision", "response"),
        ("telemetry", "service"),
        ("time_to_provision", "response"),
    ] {
        let at = |summary: &Value| histogram(&summary["histograms"][phase][kind]);
        let mut buckets = at(&parts[0].summary());
        for part in &parts[1..] {
            buckets.add(at(&part.summary())).unwrap();
        }
        assert_eq!(at(sum), buckets, "{phase} {kind}");
    }
    // Side by side: the time that they took together, and the rate over that.
    let times: Vec<f64> = parts
        .iter()
        .map(|part| part.summary()["elapsed_s"].as_f64().unwrap())
        .collect();
    let elapsed = sum["elapsed_s"].as_f64().unwrap();
    assert!(
        elapsed < times.iter().sum::<f64>() - 1.0,
        "{elapsed} of {times:?}"
    );
    let rate = sum["telemetry"]["sent"].as_f64().unwrap() / elapsed;
    assert!((sum["telemetry"]["rate_per_s"].as_f64().unwrap() - rate).abs() < 1e-3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incomplete_set_of_shards_is_no_run_that_passed() {
    let target = target().await;
    let parts = three(&scenario(&target, ""), &[]);
    let [one, two, three] = &parts[..] else {
        panic!("three")
    };
    let listed = two.number("devices.listed");
    let sum = merged(&[three, one]);
    assert_eq!(sum["result"], "failed");
    let notes = sum["notes"].to_string();
    let missing = format!(
        "shard 2 of 3 is missing, and so is all that became of {listed} of {DEVICES} listed"
    );
    assert!(notes.contains(&missing), "{notes}");
    for format in ["text", "markdown", "html", "junit"] {
        let drawn = report(&[three, one], &["--format", format]);
        assert!(
            drawn.out.contains("shard 2 of 3"),
            "{format}: {}",
            drawn.out
        );
    }
    // Once the last is there, nothing is missing, also where two were added up before.
    let two_of_them = one.out.join("two.json");
    std::fs::write(&two_of_them, sum.to_string()).unwrap();
    let whole = Command::new(env!("CARGO_BIN_EXE_fleetcall"))
        .args(["report", "--format", "json"])
        .args([&two_of_them, &two.out])
        .output()
        .unwrap();
    let whole: Value = serde_json::from_slice(&whole.stdout).unwrap();
    assert_eq!(whole["result"], "passed", "{whole}");
    assert!(!whole["notes"].to_string().contains("missing"), "{whole}");

    for (runs, says) in [
        (vec![one, two, one], "is given twice"),
        (vec![one, two, three, two], "is given twice"),
    ] {
        let said = report(&runs, &[]);
        assert_eq!(said.code, Some(2), "{}", said.out);
        assert!(said.err.contains(says), "{}", said.err);
    }
    let whole = Run::of(&scenario(&target, "").replace("seed = 7", "seed = 8")).finish();
    let said = report(&[one, &whole], &["--force"]);
    assert_eq!(said.code, Some(2), "{}", said.out);
    assert!(
        said.err.contains("is whole") && said.err.contains("help: "),
        "{}",
        said.err
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orchestrator_says_which_shard_it_is() {
    let target = target().await;
    let run = |asked: &str, set: &[(&str, &str)]| {
        let mut run = Run::of(&scenario(&target, "")).args(&["--shard", asked]);
        for (key, value) in set {
            run = run.env(key, value);
        }
        run.finish()
    };
    let kubernetes = run("auto/3", &[("JOB_COMPLETION_INDEX", "1")]);
    let shard = &kubernetes.summary()["shard"];
    assert_eq!(
        [&shard["number"], &shard["of"]],
        [2, 3],
        "{}",
        kubernetes.stderr
    );
    let array = [
        ("SLURM_ARRAY_TASK_ID", "3"),
        ("SLURM_ARRAY_TASK_MIN", "1"),
        ("SLURM_ARRAY_TASK_COUNT", "3"),
    ];
    let slurm = run("auto", &array);
    let shard = &slurm.summary()["shard"];
    assert_eq!([&shard["number"], &shard["of"]], [3, 3], "{}", slurm.stderr);
    let seedless = scenario(&target, "").replace("seed = 7\n", "");
    let seedless = Run::of(&seedless).args(&["--shard", "1/3"]).finish();
    assert_eq!(seedless.code, 2);
    let said = &seedless.stderr;
    assert!(
        said.contains("has no seed") && said.contains("help: "),
        "{said}"
    );
    let nothing = run("auto/3", &[]);
    assert_eq!(nothing.code, 2);
    assert!(
        nothing.stderr.contains("JOB_COMPLETION_INDEX") && nothing.stderr.contains("help: "),
        "{}",
        nothing.stderr
    );
    assert_eq!(
        target.counts().provisioned,
        kubernetes.number("devices.listed") + slurm.number("devices.listed")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn shards_begin_at_the_moment_that_is_named_or_not_at_all() {
    let target = target().await;
    let late = Run::of(&scenario(&target, ""))
        .args(&["--start-at", "2026-01-01T00:00:00Z"])
        .finish();
    assert_eq!(late.code, 2);
    assert!(late.stderr.contains("is past"), "{}", late.stderr);

    let at = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(4);
    let at = format!("{at:.0}");
    let parts = three(&scenario(&target, ""), &["--start-at", &at]);
    for part in &parts {
        assert_eq!(part.code, 0, "{}", part.stderr);
        assert!(
            part.stderr.contains(&format!("begins at {at}")),
            "{}",
            part.stderr
        );
        let began: jiff::Timestamp = part.summary()["started_at"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        assert_eq!(began, at.parse().unwrap());
    }
    assert!(merged(&parts.iter().collect::<Vec<_>>())["notes"].is_null());

    // Whoever waits can be told to stop, and says so of each device.
    let waiting = Run::of(&scenario(&target, ""))
        .args(&["--shard", "2/3", "--start-at", "2100-01-01T00:00:00Z"])
        .start();
    let ledger = waiting.out.join("ledger.jsonl");
    eventually(|| ledger.exists());
    eventually(|| {
        std::fs::read_to_string(waiting.out.join("run.log"))
            .is_ok_and(|log| log.contains("a shard"))
    });
    kill(Pid::from_raw(waiting.pid()), Signal::SIGINT).unwrap();
    let ended = waiting.finish();
    assert_eq!(ended.code, 130, "{}", ended.stderr);
    assert_eq!(
        ended.number("devices.unfinished"),
        ended.number("devices.listed")
    );
    assert_eq!(target.counts().provisioned, u64::from(DEVICES));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_goes_on_with_its_own_devices_and_may_be_split_over_processes() {
    let target = target().await;
    let text = scenario(&target, "");
    let slow = text.replace("rate = 100", "rate = 10");
    let part = Run::of(&slow)
        .args(&["--shard", "2/2", "--set", "limits.processes=2"])
        .start();
    eventually(|| target.counts().provisioned >= 5);
    kill(Pid::from_raw(part.pid()), Signal::SIGINT).unwrap();
    let first = part.finish();
    assert_eq!(first.code, 130, "{}", first.stderr);
    let listed = first.number("devices.listed");
    assert!(
        first.number("devices.provisioned") < listed,
        "it was over before"
    );
    let resumed = Command::new(env!("CARGO_BIN_EXE_fleetcall"))
        .args(["resume", "--ui", "none", "--allow-invalid"])
        .arg(&first.out)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&resumed.stderr);
    assert!(resumed.status.success(), "{said}");
    let summary = first.summary();
    assert_eq!(summary["devices"]["provisioned"], listed, "{said}");
    assert_eq!(summary["shard"]["number"], 2);
    assert_eq!(target.counts().provisioned, listed);
    // The other half, and both together.
    let other = Run::of(&slow).args(&["--shard", "1/2"]).finish();
    assert_eq!(target.counts().provisioned, u64::from(DEVICES));
    let sum = merged(&[&first, &other]);
    assert_eq!(sum["devices"]["provisioned"], DEVICES);
    assert!(
        sum["notes"].to_string().contains("not side by side"),
        "{}",
        sum["notes"]
    );
    // With the credentials of both, either goes straight to telemetry.
    let all: PathBuf = first.out.join("all.csv");
    let mut table = std::fs::read_to_string(first.out.join("credentials.csv")).unwrap();
    let more = std::fs::read_to_string(other.out.join("credentials.csv")).unwrap();
    table.extend(more.lines().skip(1).map(|line| format!("{line}\n")));
    std::fs::write(&all, table).unwrap();
    let list = first.out.join("again.toml");
    let judged = ", \"time_to_provision.p99\" = \"< 20s\"";
    std::fs::write(&list, text.replace(judged, "")).unwrap();
    let known = Command::new(env!("CARGO_BIN_EXE_fleetcall"))
        .args(["run", "--ui", "none", "--allow-invalid", "--shard", "1/2"])
        .arg(&list)
        .arg("--credentials")
        .arg(&all)
        .arg("--out")
        .arg(first.out.join("again"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&known.stderr);
    assert!(known.status.success(), "{said}");
    assert!(!said.contains("not on the list"), "{said}");
    let summary = std::fs::read(first.out.join("again/summary.json")).unwrap();
    let summary: Value = serde_json::from_slice(&summary).unwrap();
    assert_eq!(
        summary["devices"]["provisioned"],
        other.number("devices.listed")
    );
    assert_eq!(
        target.counts().provisioned,
        u64::from(DEVICES),
        "nobody asked again"
    );
}
