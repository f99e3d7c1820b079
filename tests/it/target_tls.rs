//! The embedded target over TLS, against clients that are not ours: curl, openssl, paho-mqtt and
//! Mosquitto's clients. Certificates are made for each test.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod chain;
mod doors;
mod login;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use fleetcall::pki::{Authority, Identity, KeyKind, Validity};
use fleetcall::target::{Profile, Target, TargetConfig};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{program, python, root};

/// A target with TLS on every port that has it, its authority in a file, and room for keys.
struct House {
    target: Target,
    dir: TempDir,
}

impl House {
    async fn start(config: TargetConfig) -> Self {
        let anywhere = Some("127.0.0.1:0".parse().unwrap());
        let target = Target::start(TargetConfig {
            mqtt: anywhere,
            mqtts: anywhere,
            https: anywhere,
            ..config
        })
        .await
        .unwrap();
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("ca.pem"), target.ca_pem().unwrap()).unwrap();
        Self { target, dir }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    /// Writes an identity where clients can read it: certificates and key.
    fn write(&self, stem: &str, identity: &Identity) -> (PathBuf, PathBuf) {
        let (certificates, key) = (self.path(stem), self.path(&format!("{stem}.key")));
        fs::write(&certificates, identity.certificates_pem()).unwrap();
        fs::write(&key, identity.key_pem().expose_secret()).unwrap();
        (certificates, key)
    }
}

/// A profile that provisions whoever asks with `K` and `S`.
fn allow() -> Profile {
    Profile {
        key: "K".into(),
        secret: "S".into(),
        ..Profile::default()
    }
}

fn authority(name: &str) -> Authority {
    Authority::root(name, KeyKind::P256, Validity::days(2)).unwrap()
}

fn leaf(authority: &Authority, name: &str) -> Identity {
    authority
        .issue(name, KeyKind::P256, Validity::days(2))
        .unwrap()
}

/// Runs a command off the runtime's threads, without anything to read.
async fn run(mut command: Command) -> Output {
    command.stdin(std::process::Stdio::null());
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

/// What `openssl s_client` says of a handshake, both streams.
async fn s_client(house: &House, args: &[&str]) -> String {
    let mut command = program("openssl");
    let addr = house.target.mqtts().unwrap().to_string();
    command.args(["s_client", "-connect", &addr, "-CAfile"]);
    command.arg(house.path("ca.pem")).args(args);
    command.current_dir(house.dir.path());
    let output = run(command).await;
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// What paho-mqtt saw, step by step; the steps are explained in the script.
async fn paho(house: &House, steps: Value) -> Vec<Value> {
    let mut command = python();
    command.arg(root().join("tests/peers/paho_tls.py"));
    command.arg(house.target.mqtts().unwrap().port().to_string());
    command.arg(house.path("ca.pem")).arg(steps.to_string());
    let output = run(command).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The code of CONNACK that one paho-mqtt client with a certificate got.
async fn connack(house: &House, identity: &Identity) -> Value {
    let (cert, key) = house.write("device", identity);
    let seen = paho(house, json!([{"cert": cert, "key": key}])).await;
    seen[0]["connack"].clone()
}
