//! Runs over workers on NATS: the same devices and the same figures as of one process, and no secret
//! on the servers.

mod failures;
mod steering;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use fleetcall::target::{Profile, Target, TargetConfig};
use futures_util::StreamExt;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use crate::nats::Servers;
use crate::support::{Process, Said, eventually, root};

/// What a run over workers needs, and what it leaves.
pub(crate) struct Field {
    pub(crate) servers: Servers,
    pub(crate) target: Target,
    dir: TempDir,
    scenario: PathBuf,
}

impl Field {
    /// Devices that the server gives their credentials, over MQTT; `rest` has arrival and telemetry.
    pub(crate) async fn of(servers: Servers, devices: &str, rest: &str) -> Self {
        let target = Target::start(TargetConfig {
            mqtt: Some("127.0.0.1:0".parse().unwrap()),
            ..TargetConfig::default()
        });
        let target = target.await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let scenario = dir.path().join("scenario.toml");
        let text = format!(
            "name = \"spread\"\nseed = 7\n[target]\nmqtt = \"{}\"\n\
             [profile]\nprovision_key = \"${{env:SPREAD_KEY}}\"\nprovision_secret = \"${{env:SPREAD_SECRET}}\"\n\
             [devices]\n{devices}\n\
             [[cohort]]\nname = \"meters\"\ntransport = \"mqtt\"\ncredentials = \"server\"\n{rest}",
            target.mqtt().unwrap()
        );
        fs::write(&scenario, text).unwrap();
        Self {
            servers,
            target,
            dir,
            scenario,
        }
    }

    fn command(verb: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fleetcall"));
        command
            .arg(verb)
            .current_dir(root())
            .env("SPREAD_KEY", Profile::DEFAULT_KEY)
            .env("SPREAD_SECRET", Profile::DEFAULT_SECRET)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// A worker, in the name of the run.
    pub(crate) fn worker(&self, name: &str, run: &str) -> Process {
        Self::worker_at(&self.servers.url(), name, run)
    }

    /// One that gets to the servers there.
    fn worker_at(url: &str, name: &str, run: &str) -> Process {
        let mut command = Self::command("worker");
        command
            .args(["--nats", url, "--name", name, "--run-id", run])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Process::start(&mut command)
    }

    /// The run over so many workers.
    pub(crate) fn coordinator(&self, out: &str, run: &str, workers: u32) -> Child {
        let mut command = self.leading(out, run, workers);
        command.args(["--ui", "none"]).spawn().unwrap()
    }

    /// The command that leads it.
    fn leading(&self, out: &str, run: &str, workers: u32) -> Command {
        let mut command = Self::command("run");
        command
            .arg(&self.scenario)
            .arg("--out")
            .arg(self.out(out))
            .args(["--nats", &self.servers.url(), "--run-id", run])
            .args(["--workers", &workers.to_string(), "--allow-invalid"]);
        command
    }

    pub(crate) fn out(&self, out: &str) -> PathBuf {
        self.dir.path().join(out)
    }

    pub(crate) fn summary(&self, out: &str) -> Value {
        serde_json::from_slice(&fs::read(self.out(out).join("summary.json")).unwrap()).unwrap()
    }

    /// Each listed device's outcome.
    pub(crate) fn devices(&self, out: &str) -> BTreeMap<String, String> {
        let rows = rows(&self.out(out).join("devices.csv"));
        let all: BTreeMap<_, _> = rows
            .iter()
            .map(|row| (row["name"].clone(), row["outcome"].clone()))
            .collect();
        assert_eq!(all.len(), rows.len(), "a device has two rows");
        all
    }
}

fn rows(path: &Path) -> Vec<HashMap<String, String>> {
    let mut table = csv::Reader::from_path(path).unwrap();
    table.deserialize().map(Result::unwrap).collect()
}

pub(crate) fn ended(child: Child, code: i32) -> Said {
    let said = Said::by(child);
    assert_eq!(said.code, Some(code), "{}{}", said.out, said.err);
    said
}

const ARRIVAL: &str = "[arrival]\nstages = [{ duration = \"4s\", rate = 60 }, { duration = \"2s\", rate = 0 }]\n\
                       [telemetry]\ninterval = \"1s\"\npayload = { t = 21.5 }\n";

#[tokio::test(flavor = "multi_thread")]
async fn workers_do_with_the_same_devices_what_one_process_does() {
    const DEVICES: u64 = 240;
    let list = format!("generate = {{ count = {DEVICES}, kind = \"mac\" }}");
    let field = Field::of(Servers::one(""), &list, ARRIVAL).await;
    let _workers = ["a", "b", "c", "d"].map(|name| field.worker(name, "four"));
    ended(field.coordinator("four", "four", 4), 0);
    assert_eq!(field.target.counts().provisioned, DEVICES);
    let four = field.summary("four");
    let workers = four["cluster"]["workers"].as_array().unwrap();
    assert_eq!(workers.len(), 4);
    for worker in workers {
        assert_eq!(worker["shards"], 2, "{worker}");
        assert!(
            worker["start_behind_ms"].as_f64().unwrap() < 2_000.0,
            "{worker}"
        );
    }
    assert_eq!(four["starts"]["started"], DEVICES);
    assert_eq!(four["telemetry"]["lost"], 0);

    // Who reads the log again counts the same, bucket for bucket.
    ended(field.coordinator("again", "four", 4), 0);
    let again = field.summary("again");
    for key in [
        "devices",
        "starts",
        "phases",
        "errors",
        "telemetry",
        "histograms",
        "cohorts",
        "lag_us",
        "elapsed_s",
    ] {
        assert_eq!(again[key], four[key], "{key}");
    }
    assert_eq!(
        field.target.counts().provisioned,
        DEVICES,
        "nothing was sent again"
    );

    // One process has the same devices and the same turns.
    let alone = Field::of(Servers::one(""), &list, ARRIVAL).await;
    let mut command = Field::command("run");
    command
        .arg(&alone.scenario)
        .arg("--out")
        .arg(alone.out("one"));
    command.args(["--ui", "none", "--allow-invalid"]);
    ended(command.spawn().unwrap(), 0);
    assert_eq!(alone.devices("one"), field.devices("four"));
    let one = alone.summary("one");
    assert_eq!(one["schedule_digest"], four["schedule_digest"]);
    assert_eq!(one["starts"]["planned"], four["starts"]["planned"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_and_its_devices_credentials_are_sealed_on_the_servers() {
    let field = Field::of(Servers::one(""), "list = \"unknown yet\"", ARRIVAL).await;
    let list = field.dir.path().join("list.csv");
    let names: Vec<String> = (0..40).map(|n| format!("meter-{n:03}")).collect();
    fs::write(&list, format!("name\n{}\n", names.join("\n"))).unwrap();
    let text = fs::read_to_string(&field.scenario).unwrap();
    let text = text.replace("unknown yet", list.to_str().unwrap());
    fs::write(&field.scenario, text).unwrap();
    let _workers = ["a", "b"].map(|name| field.worker(name, "sealed"));
    ended(field.coordinator("sealed", "sealed", 2), 0);
    let credentials = rows(&field.out("sealed").join("credentials.csv"));
    assert_eq!(credentials.len(), 40);

    let mut secrets: Vec<String> = credentials
        .iter()
        .map(|row| row["access_token"].clone())
        .collect();
    secrets.extend([Profile::DEFAULT_KEY, Profile::DEFAULT_SECRET, "meter-017"].map(str::to_owned));
    let stored = stored(&field.servers).await;
    assert!(stored.len() > 20, "nothing was read: {}", stored.len());
    for secret in secrets {
        let shows = |message: &Vec<u8>| {
            message
                .windows(secret.len())
                .any(|part| part == secret.as_bytes())
        };
        assert!(!stored.iter().any(shows), "{secret} is on the server");
    }
}

/// Every message that the servers keep.
async fn stored(servers: &Servers) -> Vec<Vec<u8>> {
    let client = async_nats::connect(servers.url()).await.unwrap();
    let context = async_nats::jetstream::new(client);
    let mut all = Vec::new();
    let mut names = context.stream_names();
    while let Some(name) = names.next().await {
        let mut stream = context.get_stream(name.unwrap()).await.unwrap();
        let state = stream.info().await.unwrap().state.clone();
        for sequence in state.first_sequence..=state.last_sequence {
            // Some are gone again.
            if let Ok(message) = stream.get_raw_message(sequence).await {
                all.push(message.payload.to_vec());
            }
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_run_ends_in_order_and_its_workers_go_home() {
    const DEVICES: u64 = 400;
    let list = format!("generate = {{ count = {DEVICES}, kind = \"mac\" }}");
    let slow =
        "[arrival]\nstages = [{ duration = \"100s\", rate = 4 }]\n[telemetry]\ninterval = \"1s\"\n";
    let field = Field::of(Servers::one(""), &list, slow).await;
    let mut workers = ["a", "b"].map(|name| field.worker(name, "cut"));
    let run = field.coordinator("cut", "cut", 2);
    eventually(|| field.target.counts().provisioned >= 8);
    kill(Pid::from_raw(run.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    ended(run, 130);
    let outcomes: BTreeSet<String> = field.devices("cut").into_values().collect();
    assert_eq!(
        outcomes,
        BTreeSet::from(["provisioned", "unfinished"].map(str::to_owned))
    );
    let summary = field.summary("cut");
    assert_eq!(
        summary["devices"]["provisioned"],
        field.target.counts().provisioned
    );
    for worker in &mut workers {
        assert_eq!(worker.0.wait().unwrap().code(), Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_a_run_from_its_workers_is_said() {
    let list = "generate = { count = 10, kind = \"mac\" }";
    let field = Field::of(Servers::one(""), list, ARRIVAL).await;
    let coordinator = |further: &[&str]| {
        let mut command = Field::command("run");
        command
            .arg(&field.scenario)
            .arg("--out")
            .arg(field.out("said"));
        command
            .args(["--nats", &field.servers.url(), "--ui", "none"])
            .args(further);
        Said::by(command.spawn().unwrap())
    };
    let said = coordinator(&["--workers", "2", "--worker-wait", "1s"]);
    assert_eq!(said.code, Some(2), "{}", said.err);
    assert!(
        said.err.contains("only 0 of 4 shards have a worker"),
        "{}",
        said.err
    );

    for (further, why) in [
        (
            vec!["--set", "profile.provision_secret=plain"],
            "the scenario holds a secret",
        ),
        (
            vec!["--set", "target={embedded=true}"],
            "the scenario's target is embedded",
        ),
        (
            vec!["--shards", "3", "--workers", "4"],
            "fewer than the 4 workers",
        ),
    ] {
        let workers = if further.contains(&"--workers") {
            vec![]
        } else {
            vec!["--workers", "2"]
        };
        let said = coordinator(&[workers, further].concat());
        assert_eq!(said.code, Some(2), "{}", said.err);
        assert!(said.err.contains(why), "{}", said.err);
    }

    // A worker that has other secrets says so, and takes no shard.
    let mut stranger = Field::command("worker");
    stranger.env("SPREAD_SECRET", "another").args([
        "--nats",
        &field.servers.url(),
        "--run-id",
        "strange",
    ]);
    let stranger = stranger.spawn().unwrap();
    let said = coordinator(&[
        "--workers",
        "1",
        "--run-id",
        "strange",
        "--worker-wait",
        "8s",
    ]);
    assert_eq!(said.code, Some(2), "{}", said.err);
    let stranger = Said::by(stranger);
    assert_eq!(stranger.code, Some(2), "{}", stranger.err);
    assert!(
        stranger.err.contains("secrets are not the coordinator's"),
        "{}",
        stranger.err
    );
    assert_eq!(field.target.counts().provisioned, 0);
}
