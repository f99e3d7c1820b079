//! The command line as a user meets it: what it says, and what it refuses.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::support::{Process, Run, root, succeed};

fn fleetcall(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleetcall"));
    command.current_dir(root()).args(args);
    command
}

/// Exit code and standard error of a command that is refused.
fn refused(args: &[&str]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = fleetcall(args).output().unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

#[test]
fn what_cannot_be_used_is_exit_code_2_and_names_the_place() {
    for (args, words) in [
        (&["run"][..], &["SCENARIO"][..]),
        (
            &["run", "nowhere.toml"],
            &["nowhere.toml", "fleetcall init"],
        ),
        (&["fly"], &["fly", "--help"]),
        (&["generate", "--count", "0"], &["at least 1"]),
        (&["target", "--devices", "nowhere.csv"], &["nowhere.csv"]),
        (
            &[
                "run",
                "scenarios/quickstart.toml",
                "--devices",
                "fixtures/lists-bad/no-name.csv",
            ],
            &["fixtures/lists-bad/no-name.csv:", "help:"],
        ),
        (
            &["run", "fixtures/scenarios-bad/unknown-keys.toml"],
            &["fixtures/scenarios-bad/unknown-keys.toml:"],
        ),
    ] {
        let (code, said) = refused(args);
        assert_eq!(code, Some(2), "{args:?}: {said}");
        for word in words {
            assert!(
                said.contains(word),
                "{args:?} does not say {word:?}:\n{said}"
            );
        }
    }
}

#[test]
fn a_target_that_cannot_listen_says_where() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let (code, said) = refused(&["target", "--mqtt", &addr]);
    assert_eq!(code, Some(2));
    assert!(said.contains(&addr), "{said}");
}

#[test]
fn results_of_an_earlier_run_are_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("credentials.csv");
    fs::write(&out, "name,access_token\nprecious,token\n").unwrap();
    let dir = dir.path().to_str().unwrap();
    let (code, said) = refused(&["run", "scenarios/quickstart.toml", "--out", dir]);
    assert_eq!(code, Some(2));
    assert!(
        said.contains("earlier run") && said.contains("--out"),
        "{said}"
    );
    assert!(fs::read_to_string(out).unwrap().contains("precious"));
}

#[test]
fn a_run_that_fails_before_its_first_packet_leaves_its_directory_to_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let (path, out) = (dir.path().join("scenario.toml"), dir.path().join("out"));
    let run = |target: &str| {
        let scenario = format!(
            "name = \"again\"\n{target}\ndevices.generate = {{ count = 3 }}\n\
             arrival.stages = [{{ duration = \"1s\", rate = 10 }}]\n\
             [[cohort]]\nname = \"certified\"\ntransport = \"mqtts\"\ncredentials = \"x509\"\n"
        );
        fs::write(&path, scenario).unwrap();
        let mut command = fleetcall(&["run", "--ui", "none", "--allow-invalid", "--out"]);
        let output = command.arg(&out).arg(&path).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), said)
    };
    let elsewhere = "profile = { provision_key = \"K\", provision_secret = \"S\" }\n";
    // Known only once the run has its directory: no certificate can have such a name.
    let (code, said) = run(&format!("{elsewhere}target.mqtts = \"a..b:8883\""));
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("no host name"), "{said}");
    assert!(out.exists());
    let (code, said) = run("target.embedded = true");
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(fs::read_dir(out.join("certificates")).unwrap().count(), 6);
}

#[test]
fn the_written_scenario_runs_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mine.toml");
    succeed(fleetcall(&["init", path.to_str().unwrap()]).current_dir(dir.path()));
    let ran = Run::of(&fs::read_to_string(&path).unwrap()).finish();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn a_generated_list_with_tokens_is_private_and_provisions() {
    let dir = tempfile::tempdir().unwrap();
    let list = dir.path().join("list.csv");
    let list = list.to_str().unwrap();
    let generate = ["generate", "--count", "40", "--tokens"];
    succeed(fleetcall(&generate).args(["-o", list]));
    let other = succeed(&mut fleetcall(&generate)).stdout;
    let (list_text, other) = (
        fs::read_to_string(list).unwrap(),
        String::from_utf8(other).unwrap(),
    );
    let same = list_text
        .lines()
        .zip(other.lines())
        .filter(|(a, b)| a == b)
        .count();
    assert_eq!(
        same, 1,
        "only the header: tokens that anybody can draw again are none"
    );
    assert_eq!(
        fs::metadata(list).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let run = Run::shipped("scenarios/quickstart.toml")
        .arg("--devices")
        .arg(list)
        .arg("--seed")
        .arg("7")
        .arg("--set")
        .arg("arrival.stages=[{ duration = \"1s\", rate = 40 }]");
    let ran = run.finish();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.number("devices.provisioned"), 40);
    assert_eq!(ran.number("seed"), 7);
}

#[test]
fn the_shipped_scenarios_for_real_servers_run_against_a_server_in_another_process() {
    for transport in ["mqtt", "http", "coap"] {
        let mut server = Process::start(
            fleetcall(&["target", &format!("--{transport}"), "127.0.0.1:0"])
                .env("FLEETCALL_PROVISION_KEY", "key-from-outside")
                .env("FLEETCALL_PROVISION_SECRET", "secret-from-outside")
                .stdout(Stdio::piped())
                .stderr(Stdio::null()),
        );
        let mut ready = String::new();
        BufReader::new(server.0.stdout.take().unwrap())
            .read_line(&mut ready)
            .unwrap();
        let ready: Value = serde_json::from_str(&ready).unwrap();
        assert_eq!(ready["ready"], true);
        let ran = Run::shipped(&format!("scenarios/{transport}.toml"))
            .env(
                &format!("TB_{}", transport.to_uppercase()),
                ready[transport].as_str().unwrap(),
            )
            .env("TB_PROVISION_KEY", "key-from-outside")
            .env("TB_PROVISION_SECRET", "secret-from-outside")
            .arg("--set")
            .arg("arrival.stages=[{ duration = \"1s\", rate = 20 }]")
            .arg("--set")
            .arg("devices.generate.count=20")
            .arg("--set")
            .arg(&format!(
                "target.{transport}={}",
                ready[transport].as_str().unwrap()
            ))
            .finish();
        assert_eq!(ran.code, 0, "{transport}: {}{}", ran.stdout, ran.stderr);
        assert_eq!(ran.number("devices.provisioned"), 20);
        for secret in ["key-from-outside", "secret-from-outside"] {
            assert!(!ran.everything_public().contains(secret), "{secret} shows");
        }
        for row in ran.rows("credentials.csv") {
            assert!(
                !ran.everything_public().contains(&row["access_token"]),
                "a token shows"
            );
        }
    }
}

#[test]
fn an_unset_secret_is_named_before_anything_is_sent() {
    let (code, said) = refused(&["run", "scenarios/mqtt.toml"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("TB_PROVISION_SECRET"), "{said}");
}

#[test]
fn the_schema_is_json_and_help_goes_into_a_closed_pipe_without_a_word() {
    let schema = succeed(&mut fleetcall(&["schema"])).stdout;
    let schema: Value = serde_json::from_slice(&schema).unwrap();
    assert!(schema["properties"]["arrival"].is_object(), "{schema}");
    let mut child = fleetcall(&["generate", "--count", "200000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty());
}
