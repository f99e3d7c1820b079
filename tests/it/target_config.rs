//! `fleetcall target` as a user starts it: by a file, by options, with lists of credentials, and with
//! what it refuses. Its clients are curl's and Mosquitto's.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Process, program, serve, succeed};

/// A server in a process of its own, and the files around it.
struct Server {
    ready: Value,
    dir: TempDir,
    _process: Process,
}

impl Server {
    /// Starts it in a directory; `ca.pem` there is what clients have to trust.
    fn start(dir: TempDir, args: &[&str]) -> Self {
        let (process, ready) = serve(command(&dir, args).stderr(Stdio::inherit()));
        Self {
            ready,
            dir,
            _process: process,
        }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    fn addr(&self, transport: &str) -> &str {
        self.ready[transport].as_str().unwrap()
    }

    /// The status that curl is answered, and the credentials.
    fn provision(&self, scheme: &str, request: &Value) -> (String, Value) {
        let mut curl = program("curl");
        curl.args(["-sS", "-d", &request.to_string()]);
        if scheme == "https" {
            curl.arg("--cacert").arg(self.path("ca.pem"));
        }
        curl.arg(format!("{scheme}://{}/api/v1/provision", self.addr(scheme)));
        let answer: Value = serde_json::from_slice(&succeed(&mut curl).stdout).unwrap();
        let status = answer["status"].as_str().unwrap().to_owned();
        (status, answer["credentialsValue"].clone())
    }

    /// One of Mosquitto's clients, with the port and the authority.
    fn mosquitto(&self, name: &str, transport: &str, args: &[&str]) -> Command {
        let (_, port) = self.addr(transport).rsplit_once(':').unwrap();
        let mut command = program(name);
        command.args(["-h", "127.0.0.1", "-p", port]).args(args);
        if transport == "mqtts" {
            command.arg("--cafile").arg(self.path("ca.pem"));
        }
        command
    }

    /// Whether the server takes telemetry from a device with this login.
    fn lets_in(&self, transport: &str, login: &[&str]) -> bool {
        let mut command = self.mosquitto("mosquitto_pub", transport, login);
        command.args([
            "-q",
            "1",
            "-t",
            "v1/devices/me/telemetry",
            "-m",
            "{\"a\":1}",
        ]);
        command.output().unwrap().status.success()
    }
}

fn command(dir: &TempDir, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleetcall"));
    command.current_dir(dir.path()).arg("target").args(args);
    command
}

fn with_files(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

fn request(name: &str, key: &str, secret: &str) -> Value {
    json!({"deviceName": name, "provisionDeviceKey": key, "provisionDeviceSecret": secret})
}

const TWO_PROFILES: &str = r#"
seed = 3

[listen]
mqtt = "127.0.0.1:0"
mqtts = "127.0.0.1:0"
https = "127.0.0.1:0"

[[profile]]
name = "meters"
strategy = "check"
provision_key = "key-of-meters"
provision_secret_file = "meters.secret"
devices = "meters.csv"

[[profile]]
name = "gadgets"
provision_key = "key-of-gadgets"
provision_secret = "secret-of-gadgets"
"#;

const METERS: &str = "name,token,client_id,username,password\n\
    m1,token-of-m1,,,\nm2,,c2,u2,p2\nm3,,,u3,\nm4,,c4,,\nm5,,,,\n";

#[test]
fn a_file_of_two_profiles_serves_both_and_a_list_of_every_login() {
    let dir = with_files(&[
        ("two.toml", TWO_PROFILES),
        ("meters.csv", METERS),
        ("meters.secret", "secret-of-meters\n"),
    ]);
    let server = Server::start(dir, &["--config", "two.toml", "--ca-out", "ca.pem"]);
    let ca = fs::read_to_string(server.path("ca.pem")).unwrap();
    assert_eq!(server.ready["ca_pem"], ca);
    assert!(server.ready.get("http").is_none(), "{}", server.ready);
    let (meters, gadgets) = (
        ("key-of-meters", "secret-of-meters"),
        ("key-of-gadgets", "secret-of-gadgets"),
    );
    let basic = json!({"clientId": "c2", "userName": "u2", "password": "p2"});
    for (name, (key, secret), status, credentials) in [
        ("m1", gadgets, "FAILURE", None),
        ("m1", meters, "SUCCESS", Some(json!("token-of-m1"))),
        ("m1", meters, "FAILURE", None),
        ("m2", meters, "SUCCESS", Some(basic)),
        ("g1", meters, "FAILURE", None),
        ("g1", gadgets, "SUCCESS", None),
        ("g1", meters, "FAILURE", None),
        ("m5", (meters.0, gadgets.1), "NOT_FOUND", None),
        ("m5", ("key-of-nobody", meters.1), "NOT_FOUND", None),
    ] {
        let (said, value) = server.provision("https", &request(name, key, secret));
        assert_eq!(said, status, "{name} by {key}");
        if let Some(credentials) = credentials {
            assert_eq!(value, credentials, "{name}");
        }
    }
    let ask = request("m5", meters.0, meters.1).to_string();
    let provisioning = ["-t", "/provision/request", "-e", "/provision/response"];
    let more = ["-u", "provision", "-m", &ask];
    let mut rr = server.mosquitto("mosquitto_rr", "mqtt", &provisioning);
    let answer: Value = serde_json::from_slice(&succeed(rr.args(more)).stdout).unwrap();
    let drawn = answer["credentialsValue"].as_str().unwrap();
    assert_eq!(drawn.len(), 20, "{answer}");
    for (login, inside) in [
        (&["-u", "token-of-m1"][..], true),
        (&["-u", drawn], true),
        (&["-u", "token-of-nobody"], false),
        (&["-i", "c2", "-u", "u2", "-P", "p2"], true),
        (&["-i", "c2", "-u", "u2", "-P", "no"], false),
        (&["-i", "other", "-u", "u2", "-P", "p2"], false),
        (&["-i", "other", "-u", "u3", "-P", "any"], true),
        (&["-i", "c4"], true),
        (&["-i", "c5"], false),
    ] {
        for transport in ["mqtt", "mqtts"] {
            assert_eq!(
                server.lets_in(transport, login),
                inside,
                "{transport} {login:?}"
            );
        }
    }
}

#[test]
fn listed_certificates_are_logins_over_tls() {
    let dir = with_files(&[("names.csv", "name\nd1\nd2\n")]);
    let mut generate = Command::new(env!("CARGO_BIN_EXE_fleetcall"));
    let args = ["generate", "certs", "--devices", "names.csv", "--out"];
    succeed(generate.current_dir(dir.path()).args(args).arg("known"));
    let mut generate = Command::new(env!("CARGO_BIN_EXE_fleetcall"));
    succeed(generate.current_dir(dir.path()).args(args).arg("strange"));
    let listen = ["--mqtts", "127.0.0.1:0", "--ca-out", "ca.pem"];
    let list = ["--devices", "known/devices.csv"];
    let server = Server::start(
        dir,
        &[listen, ["--strategy", "check", list[0], list[1]]].concat(),
    );
    for (files, inside) in [("known", true), ("strange", false)] {
        for device in ["0000001", "0000002"] {
            let [certificate, key] = ["crt", "key"]
                .map(|kind| server.path(&format!("{files}/devices/{device}.{kind}.pem")));
            let [certificate, key] = [&certificate, &key].map(|path| path.to_str().unwrap());
            let login = ["--cert", certificate, "--key", key];
            assert_eq!(server.lets_in("mqtts", &login), inside, "{files} {device}");
        }
    }
}

#[test]
fn a_chain_profile_beside_another_provisions_in_the_handshake() {
    let config = r#"
        listen.mqtts = "127.0.0.1:0"
        [[profile]]
        name = "by-request"
        provision_key = "K"
        provision_secret = "S"
        [[profile]]
        name = "by-chain"
        strategy = "x509-chain"
        ca = "certs/intermediate.crt.pem"
        name_pattern = "^(d1)@fleet$"
    "#;
    let dir = with_files(&[("t.toml", config), ("names.csv", "name\nd1\nd2\n")]);
    let mut generate = Command::new(env!("CARGO_BIN_EXE_fleetcall"));
    generate.args(["generate", "certs", "--devices", "names.csv"]);
    generate.args(["--out", "certs", "--common-name", "{{ name }}@fleet"]);
    succeed(generate.current_dir(dir.path()));
    let server = Server::start(dir, &["--config", "t.toml", "--ca-out", "ca.pem"]);
    for (device, inside) in [("0000001", true), ("0000002", false)] {
        let [certificate, key] =
            ["crt", "key"].map(|kind| server.path(&format!("certs/devices/{device}.{kind}.pem")));
        let [certificate, key] = [&certificate, &key].map(|path| path.to_str().unwrap());
        let login = ["--cert", certificate, "--key", key];
        assert_eq!(server.lets_in("mqtts", &login), inside, "{device}");
    }
}

#[test]
fn a_certificate_of_ones_own_is_shown() {
    use fleetcall::pki::{Authority, KeyKind, Validity};

    let dir = with_files(&[]);
    let validity = Validity::days(1);
    let ca = Authority::root("ours", KeyKind::P256, validity).unwrap();
    ca.identity().write(dir.path(), "ours").unwrap();
    let made = ca.issue_server(&["127.0.0.1"], KeyKind::P256, validity);
    made.unwrap().write(dir.path(), "server").unwrap();
    fs::copy(dir.path().join("ours.crt.pem"), dir.path().join("ca.pem")).unwrap();
    let tls = [
        "--tls-cert",
        "server.crt.pem",
        "--tls-key",
        "server.key.pem",
    ];
    let server = Server::start(dir, &[&["--https", "127.0.0.1:0"], &tls[..]].concat());
    let ask = request("d", "fleetcall-provision-key", "fleetcall-provision-secret");
    assert_eq!(server.provision("https", &ask).0, "SUCCESS");
}

#[test]
fn a_bug_on_purpose_is_seen_from_outside() {
    for (bugs, status) in [
        (&[][..], "NOT_FOUND"),
        (&["--bug", "accept_wrong_secret"], "SUCCESS"),
    ] {
        let args = [&["--http", "127.0.0.1:0", "--provision-key", "K"], bugs].concat();
        let server = Server::start(with_files(&[]), &args);
        assert!(server.ready.get("ca_pem").is_none());
        let said = server.provision("http", &request("d", "K", "wrong"));
        assert_eq!(said.0, status, "{bugs:?}");
    }
}

#[test]
fn a_release_provisions_twice_and_the_file_may_say_otherwise() {
    let file = "repeat_provisioning = \"failure\"\n";
    for (told, status) in [("", "SUCCESS"), (file, "FAILURE")] {
        let dir = with_files(&[("t.toml", told), ("list.csv", "name\nd\n")]);
        let listen = ["--config", "t.toml", "--http", "127.0.0.1:0"];
        let more = ["--release", "4.2.1", "--strategy", "check"];
        let server = Server::start(
            dir,
            &[&listen[..], &more, &["--devices", "list.csv"]].concat(),
        );
        let ask = request("d", "fleetcall-provision-key", "fleetcall-provision-secret");
        assert_eq!(server.provision("http", &ask).0, "SUCCESS");
        assert_eq!(server.provision("http", &ask).0, status);
    }
}

/// A start with a file and a list is refused with each of the words, and without secrets.
fn hold(config: &str, list: &str, args: &[&str], words: &[&str]) {
    let dir = with_files(&[
        ("t.toml", config),
        ("meters.csv", list),
        ("meters.secret", "SECRET-of-meters"),
    ]);
    let Output {
        status,
        stdout,
        stderr,
    } = command(&dir, args).output().unwrap();
    let said = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(2), "{args:?}: {said}");
    assert!(stdout.is_empty(), "{args:?} got ready");
    for word in words {
        assert!(
            said.contains(word),
            "{args:?} does not say {word:?}:\n{said}"
        );
    }
    assert!(!said.contains("SECRET"), "{said}");
}

#[test]
fn a_file_that_does_not_do_is_exit_code_2_with_its_place() {
    let duplicate = TWO_PROFILES
        .replace("key-of-meters", "SECRET-key")
        .replace("key-of-gadgets", "SECRET-key");
    let unknown = TWO_PROFILES.replace("seed", "sede");
    let file = ["--config", "t.toml"];
    for (config, list, words) in [
        (&*unknown, METERS, &["t.toml:2:1: ", "sede"][..]),
        (&duplicate, METERS, &["t.toml:16:1: ", "\"gadgets\""]),
        (
            TWO_PROFILES,
            "name,token,username\nm1,t,\nm2,SECRET,u\n",
            &["meters.csv:3: ", "two kinds"],
        ),
        (
            TWO_PROFILES,
            "name,certificate_file\nm1,gone.pem\n",
            &["meters.csv:2: ", "gone.pem"],
        ),
        (
            TWO_PROFILES,
            "name,password\nm1,SECRET\n",
            &["meters.csv:2: ", "user name"],
        ),
        (
            TWO_PROFILES,
            "name,token\nm1,SECRET\nm2,SECRET\n",
            &["\"m2\"", "token of another device"],
        ),
    ] {
        hold(config, list, &file, words);
    }
}

#[test]
fn options_that_do_not_do_are_exit_code_2_with_their_names() {
    for (config, args, words) in [
        (
            TWO_PROFILES,
            &["--config", "gone.toml"][..],
            &["gone.toml"][..],
        ),
        (
            TWO_PROFILES,
            &["--config", "t.toml", "--strategy", "allow"],
            &["--strategy", "several"],
        ),
        (
            "",
            &["--http", "127.0.0.1:0", "--ca-out", "ca.pem"],
            &["--ca-out", "--https"],
        ),
        ("", &["--tls-cert", "ca.pem"], &["--tls-key"]),
        (
            "",
            &["--tls-cert", "gone.pem", "--tls-key", "gone.pem"],
            &["gone.pem"],
        ),
    ] {
        hold(config, METERS, args, words);
    }
}
