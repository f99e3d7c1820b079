//! The files of `deploy/`: what Kubernetes and Compose take, command lines that fleetcall takes, and a shared run by
//! the very scripts of the Jobs.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use fleetcall::target::{Profile, Target, TargetConfig};
use serde_json::Value;

use crate::support::{python, root, succeed};

fn kubernetes() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for part in ["base", "shards", "nats"] {
        for entry in fs::read_dir(root().join("deploy/kubernetes").join(part)).unwrap() {
            let path = entry.unwrap().path();
            if path
                .extension()
                .is_some_and(|extension| extension == "yaml")
            {
                found.push(path);
            }
        }
    }
    found
}

/// Resources of Kubernetes itself; a kustomization and a chart's values are none.
fn manifests() -> Vec<PathBuf> {
    let mut all = kubernetes();
    all.retain(|path| !path.ends_with("kustomization.yaml") && !path.ends_with("values.yaml"));
    all
}

fn validated(path: &Path) -> Output {
    let validate = root().join(".venv/bin/kubernetes-validate");
    assert!(
        validate.exists(),
        "kubernetes-validate is missing; run scripts/peers"
    );
    Command::new(validate)
        .arg("--strict")
        .arg(path)
        .output()
        .unwrap()
}

fn peer(how: &str, path: &Path) -> Command {
    let mut command = python();
    command
        .arg(root().join("tests/peers/deployment.py"))
        .arg(how)
        .arg(path);
    command
}

fn documents(path: &Path) -> Vec<Value> {
    let read = succeed(&mut peer("read", path));
    serde_json::from_slice(&read.stdout).unwrap()
}

/// The file with one word put in another's place.
fn misspelt(path: &Path, from: &str, to: &str) -> (tempfile::TempDir, PathBuf) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{from}");
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("misspelt.yaml");
    fs::write(&copy, text.replacen(from, to, 1)).unwrap();
    (dir, copy)
}

#[test]
fn kubernetes_knows_every_key_of_the_manifests() {
    let all = manifests();
    assert_eq!(all.len(), 6, "{all:?}");
    for path in &all {
        let checked = validated(path);
        let said = String::from_utf8_lossy(&checked.stderr);
        assert!(checked.status.success(), "{}: {said}", path.display());
    }
    let run = root().join("deploy/kubernetes/shards/run.yaml");
    for (from, to) in [
        ("completionMode", "completionMod"),
        ("secretRef", "secretsRef"),
        ("action: Ignore", "action: 7"),
    ] {
        let (_dir, wrong) = misspelt(&run, from, to);
        assert!(!validated(&wrong).status.success(), "{to} went unnoticed");
    }
}

#[test]
fn the_compose_file_is_one_and_a_misspelt_key_is_found() {
    let path = root().join("deploy/compose.yaml");
    let read = succeed(&mut peer("compose", &path));
    let read: Vec<Value> = serde_json::from_slice(&read.stdout).unwrap();
    let services: BTreeSet<&str> = read[0]["services"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        services,
        BTreeSet::from(["coordinator", "nats", "target", "worker"])
    );
    for config in read[0]["configs"].as_object().unwrap().values() {
        let file = root().join("deploy").join(config["file"].as_str().unwrap());
        assert!(file.exists(), "{}", file.display());
    }
    let (_dir, wrong) = misspelt(&path, "stop_grace_period", "stop_grace_perod");
    let found = peer("compose", &wrong).output().unwrap();
    let said = String::from_utf8_lossy(&found.stderr);
    assert!(
        !found.status.success() && said.contains("stop_grace_perod"),
        "{said}"
    );
}

#[test]
fn kustomizations_name_files_that_are_there_and_leave_none_out() {
    for part in ["base", "shards", "nats"] {
        let dir = root().join("deploy/kubernetes").join(part);
        let kustomization = &documents(&dir.join("kustomization.yaml"))[0];
        for key in kustomization.as_object().unwrap().keys() {
            let known = [
                "apiVersion",
                "kind",
                "namespace",
                "resources",
                "configMapGenerator",
            ];
            assert!(known.contains(&key.as_str()), "{part}: {key}");
        }
        let words = |value: &Value| -> Vec<PathBuf> {
            let all = value.as_array().into_iter().flatten();
            all.map(|word| dir.join(word.as_str().unwrap())).collect()
        };
        let resources = words(&kustomization["resources"]);
        let files = kustomization["configMapGenerator"]
            .as_array()
            .into_iter()
            .flatten();
        let files: Vec<_> = files
            .flat_map(|generator| words(&generator["files"]))
            .collect();
        for path in resources.iter().chain(&files) {
            assert!(path.exists(), "{}", path.display());
        }
        for manifest in manifests().iter().filter(|path| path.starts_with(&dir)) {
            assert!(
                resources.contains(manifest),
                "{} is in no kustomization",
                manifest.display()
            );
        }
    }
}

/// What the containers of a Job are started with.
fn commands(path: &Path) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for document in documents(path) {
        let containers = document["spec"]["template"]["spec"]["containers"]
            .as_array()
            .cloned();
        for container in containers.unwrap_or_default() {
            let words = container["command"].as_array().unwrap().iter();
            found.push(
                words
                    .map(|word| word.as_str().unwrap().to_owned())
                    .collect(),
            );
        }
    }
    found
}

/// A Job's shell script.
fn script(path: &str) -> String {
    let all = commands(&root().join(path));
    let [shell, flags, script] = &all[0][..] else {
        panic!("{all:?}");
    };
    assert_eq!([shell.as_str(), flags.as_str()], ["/bin/sh", "-ec"]);
    script.clone()
}

/// All command lines of `deploy/` that begin with the program, without it.
fn command_lines() -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for command in manifests().iter().flat_map(|path| commands(path)) {
        match command.split_first() {
            Some((program, rest)) if program == "fleetcall" => found.push(rest.to_vec()),
            _ => {
                let script = command.last().unwrap();
                let lines = script.lines().flat_map(|line| line.split(['|', ';', '&']));
                for part in lines {
                    let Some((_, rest)) = part.split_once("fleetcall ") else {
                        continue;
                    };
                    let words = rest
                        .split_whitespace()
                        .map(|word| word.trim_matches('"').to_owned());
                    found.push(words.collect());
                }
            }
        }
    }
    let compose = &documents(&root().join("deploy/compose.yaml"))[0];
    for service in ["target", "worker", "coordinator"] {
        let words = compose["services"][service]["command"]
            .as_array()
            .unwrap()
            .iter();
        found.push(
            words
                .map(|word| word.as_str().unwrap().to_owned())
                .collect(),
        );
    }
    found
}

#[test]
fn fleetcall_takes_every_command_line_of_the_deployment_files() {
    let mut all = command_lines();
    assert_eq!(all.len(), 11, "{all:?}");
    let help = succeed(Command::new(env!("CARGO_BIN_EXE_fleetcall")).arg("--help"));
    if !String::from_utf8_lossy(&help.stdout).contains("\n  worker ") {
        // Without workers there is one way less of sharing a run.
        all.retain(|words| words[0] != "worker" && !words.iter().any(|word| word == "--workers"));
    }
    for words in &all {
        let taken = |words: &[String]| {
            // What cannot be read is told before the help is printed.
            let output = Command::new(env!("CARGO_BIN_EXE_fleetcall"))
                .args(words)
                .arg("--help")
                .output()
                .unwrap();
            output.status.success()
        };
        assert!(taken(words), "{words:?}");
        let mut wrong = words.clone();
        wrong.push("--no-such-option".to_owned());
        assert!(!taken(&wrong), "{wrong:?}");
    }
}

/// A pod of a Job, with its volumes in a directory of the test's.
fn pod(dir: &Path, script: &str, index: &str) -> Command {
    let at = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    let script = script
        .replace("/etc/fleetcall/scenario.toml", &at("scenario.toml"))
        .replace("/results", &at("results"))
        // That other tests have the machine does not fail it.
        .replace("--ui plain", "--ui none --allow-invalid")
        .replace("grep -q ^PASSED", "grep -qE '^(PASSED|INVALID)'");
    let program = Path::new(env!("CARGO_BIN_EXE_fleetcall")).parent().unwrap();
    let path = format!("{}:/usr/bin:/bin", program.display());
    let mut shell = Command::new("/bin/sh");
    shell.args(["-ec", &script]).current_dir(dir).env_clear();
    shell.env("PATH", path).env("JOB_COMPLETION_INDEX", index);
    shell.env("TB_HOST", "127.0.0.1");
    shell.env("TB_PROVISION_KEY", Profile::DEFAULT_KEY);
    shell.env("TB_PROVISION_SECRET", Profile::DEFAULT_SECRET);
    shell
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scripts_of_the_jobs_share_a_run_and_add_it_up() {
    let config = TargetConfig {
        mqtt: Some("127.0.0.1:0".parse().unwrap()),
        ..TargetConfig::default()
    };
    let target = Target::start(config).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (results, base) = (
        dir.path().join("results"),
        root().join("deploy/kubernetes/base"),
    );
    fs::create_dir(&results).unwrap();
    let list = base.join("devices.csv");
    let scenario = fs::read_to_string(base.join("scenario.toml")).unwrap();
    let scenario = scenario
        .replace(":1883", &format!(":{}", target.mqtt().unwrap().port()))
        .replace("/etc/fleetcall/devices.csv", list.to_str().unwrap())
        .replace("30s", "1s");
    fs::write(dir.path().join("scenario.toml"), scenario).unwrap();
    let job = script("deploy/kubernetes/shards/run.yaml");
    for index in ["0", "1", "2"] {
        succeed(&mut pod(dir.path(), &job, index));
    }
    let devices = fs::read_to_string(list).unwrap().lines().count() as u64 - 1;
    assert_eq!(target.counts().provisioned, devices);
    // A pod in the place of one that was over finds nothing left to do.
    succeed(&mut pod(dir.path(), &job, "1"));
    assert_eq!(target.counts().provisioned, devices);
    let merge = script("deploy/kubernetes/shards/merge.yaml");
    succeed(&mut pod(dir.path(), &merge, "0"));
    let sum = fs::read(results.join("summary.json")).unwrap();
    let sum: Value = serde_json::from_slice(&sum).unwrap();
    assert_eq!(sum["devices"]["provisioned"], devices);
    assert!(results.join("report.html").exists());
    // Without one of them nobody is told that all is well.
    let fewer = merge
        .replace(" /results/shard-2", "")
        .replace("in 0 1 2", "in 0 1");
    let judged = pod(dir.path(), &fewer, "0").output().unwrap();
    let said = String::from_utf8_lossy(&judged.stdout);
    assert!(
        !judged.status.success() && said.contains("shard 3 of 3 is missing"),
        "{said}"
    );
}
