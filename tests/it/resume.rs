//! Runs that are killed, and go on.

mod disk;
mod processes;
mod restart;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fleetcall::target::{Target, TargetConfig};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Said, eventually, root};

/// A run's directory, and what is in it from one part to the next.
struct Site {
    dir: TempDir,
    scenario: PathBuf,
}

impl Site {
    fn of(scenario: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("scenario.toml");
        fs::write(&path, scenario).unwrap();
        Self {
            dir,
            scenario: path,
        }
    }

    fn out(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    fn begin(&self, further: &[&str]) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fleetcall"));
        command
            .arg("run")
            .arg(&self.scenario)
            .arg("--out")
            .arg(self.out());
        start(
            command
                .args(["--ui", "none", "--allow-invalid"])
                .args(further),
        )
    }

    fn go_on(&self, verb: &str, further: &[&str]) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fleetcall"));
        command.arg(verb).arg(self.out());
        start(
            command
                .args(["--ui", "none", "--allow-invalid"])
                .args(further),
        )
    }

    fn summary(&self) -> Value {
        serde_json::from_slice(&fs::read(self.out().join("summary.json")).unwrap()).unwrap()
    }

    fn rows(&self, file: &str) -> Vec<HashMap<String, String>> {
        let mut table = csv::Reader::from_path(self.out().join(file)).unwrap();
        table.deserialize().map(Result::unwrap).collect()
    }

    /// How many devices the last part says ended so, the same in summary, cohorts and table.
    fn outcomes(&self) -> BTreeMap<String, u64> {
        let summary = self.summary();
        let mut rows = BTreeMap::new();
        for row in self.rows("devices.csv") {
            *rows.entry(row["outcome"].clone()).or_default() += 1;
        }
        for outcome in ["provisioned", "refused", "failed", "unknown", "unfinished"] {
            let told = summary["devices"][outcome].as_u64().unwrap();
            assert_eq!(rows.get(outcome).copied().unwrap_or(0), told, "{outcome}");
        }
        rows
    }

    /// The names in `credentials.csv`, each once.
    fn credentials(&self) -> BTreeSet<String> {
        let rows = self.rows("credentials.csv");
        let names: BTreeSet<_> = rows.iter().map(|row| row["name"].clone()).collect();
        assert_eq!(names.len(), rows.len(), "a device has two rows");
        names
    }
}

fn start(command: &mut Command) -> Child {
    command
        .current_dir(root())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Kills a part at a moment; whether it was over before.
fn kill_at(mut part: Child, moment: Duration) -> bool {
    // A moment that only the seed knows.
    std::thread::sleep(moment);
    let over = part.try_wait().unwrap().is_some();
    part.kill().unwrap();
    part.wait().unwrap();
    over
}

fn ended(part: Child, code: i32) -> Said {
    let said = Said::by(part);
    assert_eq!(said.code, Some(code), "{}{}", said.out, said.err);
    said
}

async fn target() -> Target {
    let any = "127.0.0.1:0".parse().unwrap();
    Target::start(TargetConfig {
        mqtt: Some(any),
        http: Some(any),
        coap: Some(any),
        ..TargetConfig::default()
    })
    .await
    .unwrap()
}

/// Cohorts of every transport whose tokens follow from the names.
fn scenario(target: &Target, devices: u32, rest: &str) -> String {
    let [mqtt, http, coap] = [target.mqtt(), target.http(), target.coap()].map(Option::unwrap);
    let cohorts: String = ["mqtt", "http", "coap"]
        .map(|transport| {
            format!(
                "[[cohort]]\nname = \"{transport}\"\ntransport = \"{transport}\"\n\
                 credentials = \"access_token\"\ntoken_key = \"a secret of this scenario\"\n"
            )
        })
        .concat();
    format!(
        "name = \"resumed\"\nseed = 7\n\
         [target]\nmqtt = \"{mqtt}\"\nhttp = \"{http}\"\ncoap = \"{coap}\"\n\
         [profile]\nprovision_key = \"{}\"\nprovision_secret = \"{}\"\n\
         [devices]\ngenerate = {{ count = {devices}, kind = \"mac\" }}\n{rest}\n{cohorts}",
        fleetcall::target::Profile::DEFAULT_KEY,
        fleetcall::target::Profile::DEFAULT_SECRET,
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_kills_at_random_moments_lose_no_device_and_provision_none_twice() {
    const DEVICES: u32 = 600;
    let target = target().await;
    let arrival = "[arrival]\nstages = [{ duration = \"1s\", rate = 300 }]\n";
    let site = Site::of(&scenario(&target, DEVICES, arrival));
    let mut moments = Pcg64::seed_from_u64(20);
    let mut killed = 0;
    let mut part = site.begin(&[]);
    while killed < 20 {
        // The first has to come as far as its ledger.
        if killed == 0 {
            eventually(|| site.out().join("ledger.jsonl").exists());
        }
        let over = kill_at(part, Duration::from_millis(moments.random_range(0..260)));
        killed += 1;
        part = site.go_on("resume", &[]);
        if over {
            break;
        }
    }
    let said = Said::by(part);
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    assert_eq!(killed, 20, "the run was over too soon");
    assert_eq!(
        site.outcomes(),
        BTreeMap::from([("provisioned".to_owned(), u64::from(DEVICES))])
    );
    assert_eq!(site.credentials().len(), DEVICES as usize);
    let counts = target.counts();
    assert_eq!(
        counts.provisioned,
        u64::from(DEVICES),
        "none missing, none twice"
    );
    assert_eq!(counts.refused, 0, "nobody asked for what it had");

    // Each of the credentials lets its device in.
    let telemetry = "[arrival]\nstages = [{ duration = \"2s\", rate = 400 }]\n\
                     [telemetry]\ninterval = \"1m\"\n\
                     [thresholds]\n\"devices.provisioned\" = \"== 100%\"\n\"telemetry.lost\" = \"== 0\"\n";
    let straight = Site::of(&scenario(&target, DEVICES, telemetry));
    let from = site.out().join("credentials.csv");
    ended(
        straight.begin(&["--credentials", from.to_str().unwrap()]),
        0,
    );
    let heard = straight.summary()["telemetry"]["acked"].as_u64().unwrap();
    assert_eq!(heard, u64::from(DEVICES));
    assert_eq!(
        target.counts().provision_requests,
        counts.provision_requests
    );
    assert_eq!(target.counts().bad_logins, counts.bad_logins);
}

/// The lines of a ledger, as maps.
fn ledger(site: &Site) -> Vec<Value> {
    let text = fs::read_to_string(site.out().join("ledger.jsonl")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn cut_ledger(site: &Site, mut keep: impl FnMut(&Value) -> bool) {
    let path = site.out().join("ledger.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let kept = text
        .lines()
        .take_while(|line| keep(&serde_json::from_str(line).unwrap()));
    let kept: Vec<&str> = kept.collect();
    fs::write(&path, kept.join("\n") + "\n").unwrap();
}

/// A run of five devices over MQTT whose ledger ends before the first answer, as if the program had
/// been killed while one was on its way.
async fn killed_before_the_first_answer(credentials: &str) -> (Target, Site) {
    let target = target().await;
    let scenario = format!(
        "name = \"doubt\"\nseed = 7\n[target]\nmqtt = \"{}\"\n\
         [profile]\nprovision_key = \"{}\"\nprovision_secret = \"{}\"\n\
         [devices]\ngenerate = {{ count = 5 }}\n{credentials}\n\
         [arrival]\nstages = [{{ duration = \"1s\", rate = 20 }}]\n",
        target.mqtt().unwrap(),
        fleetcall::target::Profile::DEFAULT_KEY,
        fleetcall::target::Profile::DEFAULT_SECRET,
    );
    let site = Site::of(&scenario);
    ended(site.begin(&[]), 0);
    assert_eq!(ledger(&site)[1]["is"], "asked");
    // On a slow machine the next ones are on record before its answer.
    let mut asked = 0;
    cut_ledger(&site, |line| {
        asked += usize::from(line["is"] == "asked");
        asked <= 1 && line["is"] != "provisioned"
    });
    (target, site)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_in_doubt_whose_credentials_the_server_made_is_unknown_until_it_may_ask_again() {
    let (target, site) = killed_before_the_first_answer("").await;
    // The others are provisioned on the server, too, and this program never heard of it.
    let said = ended(site.go_on("resume", &[]), 3);
    assert!(said.out.contains("part 2 of a run"), "{}", said.out);
    let unknown = |site: &Site| {
        let rows = site.rows("devices.csv");
        let row = rows.iter().find(|row| row["outcome"] == "unknown").unwrap();
        row["cause"].clone()
    };
    assert_eq!(unknown(&site), "provision.cut_off");
    assert_eq!(site.outcomes()["unknown"], 1);
    assert_eq!(site.outcomes()["refused"], 4, "the server has them already");
    let asked = target.counts().provision_requests;
    let said = ended(site.go_on("resume", &[]), 0);
    assert!(said.out.contains("nothing is left to do"), "{}", said.out);
    ended(site.go_on("resume", &["--ask-again"]), 3);
    assert_eq!(target.counts().provision_requests, asked + 1);
    assert_eq!(
        unknown(&site),
        "provision.failure",
        "the server had heard it"
    );
    assert_eq!(target.counts().provisioned, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_in_doubt_that_chose_its_credentials_is_let_in_by_them_or_asks() {
    let own = "[[cohort]]\nname = \"own\"\ncredentials = \"access_token\"\ntoken_key = \"k\"\n";
    let (target, site) = killed_before_the_first_answer(own).await;
    ended(site.go_on("resume", &[]), 3);
    let outcomes = site.outcomes();
    assert_eq!((outcomes["provisioned"], outcomes["refused"]), (1, 4));
    // The first was let in; the others asked, since nothing was on record of them.
    assert_eq!(target.counts().provision_requests, 9);
    assert_eq!(target.counts().provisioned, 5);
    assert_eq!(site.credentials().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_fleet_goes_on_with_its_credentials() {
    const DEVICES: u32 = 60;
    let target = target().await;
    let rest = "[arrival]\nstages = [{ duration = \"2s\", rate = 30 }, { duration = \"2s\", rate = 0 }]\n\
                [telemetry]\ninterval = \"200ms\"\n";
    let site = Site::of(&scenario(&target, DEVICES, rest));
    let part = site.begin(&[]);
    eventually(|| target.counts().provisioned >= 20);
    let pid = nix::unistd::Pid::from_raw(i32::try_from(part.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    ended(part, 130);
    let before = site.outcomes();
    assert!(
        before["provisioned"] >= 20 && before["unfinished"] > 0,
        "{before:?}"
    );
    ended(site.go_on("resume", &[]), 0);
    assert_eq!(
        site.outcomes(),
        BTreeMap::from([("provisioned".to_owned(), u64::from(DEVICES))])
    );
    assert_eq!(target.counts().provisioned, u64::from(DEVICES));
    let summary = site.summary();
    assert_eq!(
        summary["starts"]["started"], DEVICES,
        "those with credentials connect, too"
    );
    let rows = site.rows("devices.csv");
    assert!(
        rows.iter().all(|row| row["telemetry_acked"] != "0"),
        "each reported in this part"
    );
    // The first part's reports are kept, and only its own devices are timed in the second.
    let first: Value =
        serde_json::from_slice(&fs::read(site.out().join("part-1/summary.json")).unwrap()).unwrap();
    assert_eq!(first["result"], "interrupted");
    let timed = summary["phases"]["time_to_provision"]["count"]
        .as_u64()
        .unwrap();
    assert_eq!(timed, u64::from(DEVICES) - before["provisioned"]);
    assert!(
        rows.iter()
            .all(|row| !row["time_to_provision_ms"].is_empty())
    );
    let said = ended(site.go_on("retry", &[]), 0);
    assert!(said.out.contains("nothing to retry"), "{}", said.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_devices_ask_anew_once_their_cause_is_gone() {
    let target = target().await;
    let arrival = "[arrival]\nstages = [{ duration = \"1s\", rate = 100 }]\n";
    let text = scenario(&target, 30, arrival);
    let site = Site::of(&text.replace(
        fleetcall::target::Profile::DEFAULT_SECRET,
        "${env:FLEETCALL_TEST_SECRET}",
    ));
    let with_secret = |secret: &str, verb: &str, further: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fleetcall"));
        if verb == "run" {
            command
                .arg("run")
                .arg(&site.scenario)
                .arg("--out")
                .arg(site.out());
        } else {
            command.arg(verb).arg(site.out());
        }
        command.env("FLEETCALL_TEST_SECRET", secret);
        start(
            command
                .args(["--ui", "none", "--allow-invalid"])
                .args(further),
        )
    };
    ended(with_secret("wrong", "run", &[]), 3);
    assert_eq!(site.outcomes()["refused"], 30);
    let said = ended(
        with_secret("wrong", "retry", &["--only", "provision.timeout"]),
        2,
    );
    assert!(
        said.err.contains("provision.not_found (30)"),
        "{}",
        said.err
    );
    let over = ended(with_secret("wrong", "resume", &[]), 0);
    assert!(over.out.contains("nothing is left to do"), "{}", over.out);
    let right = fleetcall::target::Profile::DEFAULT_SECRET;
    ended(
        with_secret(right, "retry", &["--only", "provision.not_found"]),
        0,
    );
    assert_eq!(
        site.outcomes(),
        BTreeMap::from([("provisioned".to_owned(), 30)])
    );
    assert_eq!(site.credentials().len(), 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_does_not_go_on_with_another_list_scenario_or_a_damaged_ledger() {
    let target = target().await;
    let arrival = "[arrival]\nstages = [{ duration = \"1s\", rate = 100 }]\n";
    let text = scenario(&target, 6, arrival);
    let site = Site::of(&text);
    ended(site.begin(&[]), 0);
    cut_ledger(&site, |line| line["is"] != "ended");
    for (old, new, told) in [
        (
            "count = 6",
            "count = 7",
            "devices, their cohorts or their turns have changed",
        ),
        ("rate = 100", "rate = 100.5", "turns have changed"),
        (
            "name = \"resumed\"",
            "name = \"another\"",
            "the scenario has changed",
        ),
    ] {
        fs::write(&site.scenario, text.replace(old, new)).unwrap();
        let said = ended(site.go_on("resume", &[]), 2);
        assert!(said.err.contains(told), "{}", said.err);
    }
    fs::remove_file(&site.scenario).unwrap();
    let said = ended(site.go_on("resume", &[]), 2);
    assert!(
        said.err.contains("scenario.toml: cannot be read"),
        "{}",
        said.err
    );
    fs::write(&site.scenario, &text).unwrap();
    let path = site.out().join("ledger.jsonl");
    let whole = fs::read_to_string(&path).unwrap();
    fs::write(&path, whole.replacen("asked", "Asked", 1)).unwrap();
    let said = ended(site.go_on("resume", &[]), 2);
    assert!(
        said.err.contains("ledger.jsonl:2: this line is damaged"),
        "{}",
        said.err
    );
    fs::remove_file(&path).unwrap();
    let said = ended(site.go_on("resume", &[]), 2);
    assert!(
        said.err.contains("no run of this program was begun there"),
        "{}",
        said.err
    );
    let said = ended(
        start(Command::new(env!("CARGO_BIN_EXE_fleetcall")).args(["resume", "/nowhere"])),
        2,
    );
    assert!(
        said.err.contains("name the directory of a run"),
        "{}",
        said.err
    );
}

#[test]
fn an_embedded_target_knows_again_whom_it_provisioned() {
    let site = Site::of(
        "name = \"embedded\"\nseed = 3\n[target]\nembedded = true\nstrategy = \"check\"\n\
         [devices]\ngenerate = { count = 40 }\n\
         [arrival]\nstages = [{ duration = \"1s\", rate = 40 }, { duration = \"1s\", rate = 0 }]\n\
         [telemetry]\ninterval = \"300ms\"\n",
    );
    let part = site.begin(&[]);
    eventually(|| {
        fs::read_to_string(site.out().join("ledger.jsonl"))
            .is_ok_and(|text| text.matches("\"provisioned\"").count() >= 10)
    });
    assert!(!kill_at(part, Duration::ZERO));
    let of_kind = |is: &str| {
        let lines = ledger(&site).into_iter();
        lines.filter(|line| line["is"] == is).count()
    };
    let in_doubt = of_kind("asked") - of_kind("provisioned");
    let said = Said::by(site.go_on("resume", &[]));
    let outcomes = site.outcomes();
    let unknown = outcomes.get("unknown").copied().unwrap_or(0);
    assert_eq!(usize::try_from(unknown).unwrap(), in_doubt, "{outcomes:?}");
    assert_eq!(
        said.code,
        Some(if unknown == 0 { 0 } else { 3 }),
        "{}",
        said.err
    );
    assert_eq!(outcomes["provisioned"], 40 - unknown);
    assert_eq!(
        site.summary()["errors"].as_object().unwrap().len() as u64,
        unknown
    );
}

#[test]
fn what_keeps_a_ledger_from_being_written_is_found_before_the_first_packet() {
    let taken = Path::new("/proc/self/run");
    let said = ended(
        start(
            Command::new(env!("CARGO_BIN_EXE_fleetcall"))
                .args(["run", "scenarios/quickstart.toml", "--ui", "none", "--out"])
                .arg(taken),
        ),
        2,
    );
    assert!(
        said.err.contains("cannot make the run's directory"),
        "{}",
        said.err
    );
}
