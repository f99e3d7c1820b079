//! Runs over several processes: the same numbers as of one, whoever is killed.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, Command};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use serde_json::Value;

use super::{Site, ended, scenario, start, target};
use crate::support::eventually;

const THREE: [&str; 2] = ["--set", "limits.processes=3"];

/// The processes that start devices for a run.
fn portions(run: u32) -> Vec<Pid> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap() {
        let path = entry.unwrap().path();
        // One that is gone meanwhile is none.
        let Ok(stat) = fs::read_to_string(path.join("stat")) else {
            continue;
        };
        let parent = stat
            .rsplit_once(") ")
            .and_then(|(_, rest)| rest.split(' ').nth(1));
        let words = fs::read_to_string(path.join("cmdline")).unwrap_or_default();
        if parent == Some(&run.to_string()) && words.split('\0').any(|word| word == "portion") {
            let pid = path.file_name().unwrap().to_str().unwrap();
            found.push(Pid::from_raw(pid.parse().unwrap()));
        }
    }
    found
}

fn is_there(pid: Pid) -> bool {
    // One that nobody has waited for yet is a zombie.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// Whether it has devices with connections, and not only its own files.
fn is_at_work(pid: Pid) -> bool {
    let files = fs::read_dir(format!("/proc/{pid}/fd"));
    files.is_ok_and(|files| files.count() > 25)
}

fn all_provisioned(devices: u32) -> BTreeMap<String, u64> {
    BTreeMap::from([("provisioned".to_owned(), u64::from(devices))])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_split_run_does_with_the_same_devices_what_one_process_does() {
    const DEVICES: u32 = 120;
    let rest = "[arrival]\nstages = [{ duration = \"1s\", rate = 120 }, { duration = \"2s\", rate = 0 }]\n\
                [telemetry]\ninterval = \"500ms\"\n";
    let run = async |args: &[&str]| {
        let target = target().await;
        let site = Site::of(&scenario(&target, DEVICES, rest));
        let said = ended(site.begin(args), 0);
        assert_eq!(site.outcomes(), all_provisioned(DEVICES));
        assert_eq!(target.counts().provisioned, u64::from(DEVICES));
        assert_eq!(
            target.counts().telemetry_messages,
            site.summary()["telemetry"]["acked"]
        );
        (site, said)
    };
    let (one, _) = run(&[]).await;
    let (three, said) = run(&THREE).await;
    assert!(
        said.err.contains("the run is split over 3 processes"),
        "{}",
        said.err
    );
    let (one, sum) = (one.summary(), three.summary());
    for key in ["devices", "schedule_digest", "model"] {
        assert_eq!(one[key], sum[key], "{key}");
    }
    assert_eq!(sum["starts"]["started"], DEVICES);
    assert_eq!(sum["generator"]["processes"], 3);
    // Each sample is in the histograms once, and each cohort's adds up to the whole.
    for phase in ["provision", "time_to_provision", "time_to_first_telemetry"] {
        assert_eq!(sum["phases"][phase]["count"], DEVICES, "{phase}");
        let cohorts = ["mqtt", "http", "coap"].map(|cohort| {
            let count = &sum["cohorts"][cohort]["phases"][phase]["count"];
            count.as_u64().unwrap()
        });
        assert_eq!(cohorts, [40; 3], "{phase}");
    }
    // What was seen of three processes and of the one that holds them together.
    let workers = &sum["generator"]["evidence"]["cpu"]["workers"];
    assert_eq!(workers.as_array().unwrap().len(), 3, "{workers}");
    let timeline = fs::read_to_string(three.out().join("timeline.jsonl")).unwrap();
    let started = timeline.lines().filter_map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["starts"]["started"].as_u64()
    });
    assert_eq!(started.sum::<u64>(), u64::from(DEVICES));
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_are_killed_do_not_show_in_the_sums() {
    const DEVICES: u32 = 600;
    let target = target().await;
    let rest = "[arrival]\nstages = [{ duration = \"6s\", rate = 100 }, { duration = \"4s\", rate = 0 }]\n\
                [telemetry]\ninterval = \"500ms\"\n";
    let site = Site::of(&scenario(&target, DEVICES, rest));
    let run = site.begin(&THREE);
    let mut moments = Pcg64::seed_from_u64(3);
    let mut killed = Vec::new();
    eventually(|| target.counts().provisioned > 0);
    for _ in 0..4 {
        // A moment that only the seed knows.
        std::thread::sleep(Duration::from_millis(moments.random_range(200..900)));
        let mut victim = None;
        eventually(|| {
            let mut portions = portions(run.id()).into_iter();
            victim = portions.find(|pid| !killed.contains(pid) && is_at_work(*pid));
            victim.is_some()
        });
        kill(victim.unwrap(), Signal::SIGKILL).unwrap();
        killed.extend(victim);
    }
    let said = ended(run, 0);
    assert_eq!(site.outcomes(), all_provisioned(DEVICES));
    assert_eq!(site.credentials().len(), DEVICES as usize);
    let counts = target.counts();
    assert_eq!(
        counts.provisioned,
        u64::from(DEVICES),
        "none missing, none twice"
    );
    assert_eq!(counts.refused, 0, "nobody asked for what it had");
    let summary = site.summary();
    assert_eq!(summary["starts"]["started"], DEVICES);
    // Who goes on has had its first telemetry; of those it is not known of when, fewer are counted.
    for phase in ["time_to_provision", "time_to_first_telemetry"] {
        let count = summary["phases"][phase]["count"].as_u64().unwrap();
        assert!(
            (1..=u64::from(DEVICES)).contains(&count),
            "{phase}: {count}"
        );
    }
    let errors = summary["errors"].as_object().unwrap();
    assert!(errors.is_empty(), "{errors:?}");
    // The verdict says so, the time line, and the report.
    assert_ne!(summary["generator"]["verdict"], "valid");
    let reasons = summary["generator"]["reasons"].as_array().unwrap().iter();
    let deaths = reasons.filter(|reason| reason.as_str().unwrap().contains("died (signal: 9"));
    assert_eq!(deaths.count(), 4, "{summary:#}");
    let timeline = fs::read_to_string(site.out().join("timeline.jsonl")).unwrap();
    assert_eq!(timeline.matches("\"process_died\"").count(), 4);
    assert!(said.out.contains("was started again"), "{}", said.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_that_is_killed_takes_its_processes_along_and_the_run_goes_on() {
    const DEVICES: u32 = 300;
    let target = target().await;
    let rest = "[arrival]\nstages = [{ duration = \"3s\", rate = 100 }]\n";
    let site = Site::of(&scenario(&target, DEVICES, rest));
    let mut run = site.begin(&THREE);
    eventually(|| target.counts().provisioned >= 50);
    let orphans = portions(run.id());
    assert_eq!(orphans.len(), 3);
    run.kill().unwrap();
    run.wait().unwrap();
    eventually(|| !orphans.iter().any(|pid| is_there(*pid)));
    assert!(
        target.counts().provisioned < u64::from(DEVICES),
        "it was over too soon"
    );
    ended(site.go_on("resume", &[]), 0);
    assert_eq!(site.outcomes(), all_provisioned(DEVICES));
    assert_eq!(site.summary()["generator"]["processes"], 3);
    assert_eq!(site.credentials().len(), DEVICES as usize);
    let counts = target.counts();
    assert_eq!(
        (counts.provisioned, counts.refused),
        (u64::from(DEVICES), 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_split_run_winds_down_and_writes_its_reports() {
    let target = target().await;
    let rest = "[arrival]\nstages = [{ duration = \"60s\", rate = 20 }]\n\
                [telemetry]\ninterval = \"500ms\"\n";
    let site = Site::of(&scenario(&target, 1_000, rest));
    let run = site.begin(&THREE);
    eventually(|| target.counts().provisioned >= 20);
    kill(
        Pid::from_raw(i32::try_from(run.id()).unwrap()),
        Signal::SIGINT,
    )
    .unwrap();
    ended(run, 130);
    let outcomes = site.outcomes();
    assert_eq!(outcomes.values().sum::<u64>(), 1_000);
    assert_eq!(outcomes["provisioned"], target.counts().provisioned);
    assert_eq!(site.credentials().len() as u64, target.counts().provisioned);
}

/// Starts a run whose process, and each that it starts, may open no more files than that.
fn with_files(site: &Site, files: u32) -> Child {
    let mut command = Command::new("sh");
    let program = env!("CARGO_BIN_EXE_fleetcall");
    command.args(["-c", "ulimit -n \"$0\" && exec \"$@\"", &files.to_string()]);
    command.arg(program).arg("run").arg(&site.scenario);
    command.arg("--out").arg(site.out());
    start(command.args(["--ui", "none", "--allow-invalid"]))
}

#[test]
fn a_fleet_larger_than_the_limit_on_files_is_split_by_itself() {
    let scenario = "name = \"large\"\nseed = 5\ntarget.embedded = true\n\
        target.strategy = \"check\"\ndevices.generate.count = 700\n\
        arrival.stages = [{ duration = \"4s\", rate = 200 }, { duration = \"2s\", rate = 0 }]\n\
        telemetry.interval = \"1s\"\n";
    let site = Site::of(scenario);
    let said = ended(with_files(&site, 300), 0);
    assert!(
        said.err.contains("the run is split over 5 processes"),
        "{}",
        said.err
    );
    assert_eq!(site.outcomes(), all_provisioned(700));
    let summary = site.summary();
    let generator = &summary["generator"];
    assert_eq!(generator["processes"], 5);
    let files = &generator["evidence"]["files"];
    assert_eq!(files["limit"], 300);
    assert!(
        files["peak"].as_u64().unwrap() >= 140,
        "all are connected: {files}"
    );
    assert_eq!(summary["telemetry"]["lost"], 0);
    assert!(summary["errors"].as_object().unwrap().is_empty());
}

#[test]
fn processes_share_the_places_of_a_closed_arrival() {
    let site = Site::of(
        "name = \"closed\"\nseed = 3\n[target]\nembedded = true\n\
         faults.provision.delay = \"200ms\"\n[devices]\ngenerate.count = 61\n\
         [arrival]\nmodel = \"closed\"\nstages = [{ count = 31, concurrency = 4 }, \
         { duration = \"1s\", concurrency = 6 }]\n",
    );
    ended(site.begin(&THREE), 0);
    assert_eq!(site.outcomes(), all_provisioned(61));
    // Eight rounds of 4 and five of 6, each of which the server holds for 200 ms: with more places
    // than those it would be quicker, and with fewer it takes no less.
    let elapsed = site.summary()["elapsed_s"].as_f64().unwrap();
    assert!(elapsed >= 2.3, "{elapsed}");
}

#[test]
fn a_run_that_cannot_be_split_says_why_before_the_first_packet() {
    for (more, why) in [
        (
            "arrival.stages = [{ duration = \"1s\", rate = 1 }]\n\
             cohort = [{ name = \"keys\", transport = \"mqtts\", credentials = \"x509\" }]\n",
            "its devices bring certificates",
        ),
        (
            "arrival.model = \"closed\"\narrival.stages = [{ duration = \"1s\", concurrency = 2 }]\n",
            "fewer places than there are processes",
        ),
        (
            "arrival.stages = [{ duration = \"1s\", rate = 1 }]\ntarget.faults.capacity = 50\n",
            "are those of one server",
        ),
    ] {
        let site = Site::of(&format!(
            "name = \"whole\"\ntarget.embedded = true\ndevices.generate.count = 9\n\
             telemetry.interval = \"1s\"\n{more}"
        ));
        let said = ended(site.begin(&THREE), 2);
        assert!(said.err.contains(why), "{}", said.err);
        assert!(!site.out().exists());
    }
}
