//! What a target on its own tells Prometheus of itself, with curl and Mosquitto's clients as its devices.

use std::fs;
use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::support::{PATIENCE, Process, Said, eventually, program, serve, succeed};

/// A target of this test alone, and where it is.
fn target(config: &str, dir: &std::path::Path) -> (Process, Value) {
    let path = dir.join("target.toml");
    fs::write(&path, config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleetcall"));
    command.arg("target").arg("--config").arg(path);
    for listener in ["mqtt", "http", "metrics"] {
        command.args([&format!("--{listener}"), "127.0.0.1:0"]);
    }
    serve(command.stderr(Stdio::piped()))
}

fn page(ready: &Value) -> String {
    let url = format!("http://{}/metrics", ready["metrics"].as_str().unwrap());
    let page = succeed(program("curl").args(["-sS", "--fail", "--max-time", "20", &url]));
    let page = String::from_utf8(page.stdout).unwrap();
    let mut promtool = program("promtool");
    let mut promtool = promtool
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut asked = promtool.stdin.take().unwrap();
    asked.write_all(page.as_bytes()).unwrap();
    drop(asked);
    let checked = Said::by(promtool);
    assert!(!checked.err.contains("error"), "{}", checked.err);
    page
}

fn sample(page: &str, name: &str) -> u64 {
    let name = format!("fleetcall_target_{name} ");
    let found = page.lines().find_map(|line| line.strip_prefix(&name));
    let value = found.unwrap_or_else(|| panic!("{name}: {page}"));
    // Gauges are floats.
    value.trim_end_matches(".0").parse().unwrap()
}

/// Posts JSON; the answer's body.
fn post(ready: &Value, path: &str, body: &str) -> String {
    let url = format!("http://{}{path}", ready["http"].as_str().unwrap());
    let mut curl = program("curl");
    curl.args([
        "-sS",
        "--max-time",
        "20",
        "-H",
        "Content-Type: application/json",
    ]);
    String::from_utf8(succeed(curl.args(["-d", body, &url])).stdout).unwrap()
}

fn provision(ready: &Value, name: &str, secret: &str) -> Value {
    let body = json!({
        "deviceName": name,
        "provisionDeviceKey": "k3y-of-meters",
        "provisionDeviceSecret": secret,
    });
    serde_json::from_str(&post(ready, "/api/v1/provision", &body.to_string())).unwrap()
}

fn end(process: &Process) {
    let pid = i32::try_from(process.0.id()).unwrap();
    kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
}

/// Ends a target; what it says then.
fn counts_at_the_end(process: &mut Process) -> Value {
    end(process);
    let mut said = String::new();
    let mut stderr = process.0.stderr.take().unwrap();
    stderr.read_to_string(&mut said).unwrap();
    serde_json::from_str(said.lines().last().unwrap()).unwrap()
}

#[test]
fn connections_answers_logins_telemetry_and_faults_are_counted_as_they_happen() {
    let dir = tempfile::tempdir().unwrap();
    let config = "[faults.downlink]\nlose = 1.0\n[[profile]]\nname = \"meters\"\n\
                  provision_key = \"k3y-of-meters\"\nprovision_secret = \"s3cret\"\n";
    let (mut process, ready) = target(config, dir.path());
    let before = page(&ready);
    for name in [
        "connections_total{transport=\"mqtt\"}",
        "faults_total{fault=\"undelivered\"}",
    ] {
        assert_eq!(sample(&before, name), 0, "{name}");
    }
    assert!(before.contains("fleetcall_target_info{"), "{before}");

    let token = provision(&ready, "m-1", "s3cret")["credentialsValue"]
        .as_str()
        .unwrap()
        .to_owned();
    provision(&ready, "m-2", "wrong");
    post(&ready, "/api/v1/provision", "{");
    post(
        &ready,
        &format!("/api/v1/{token}/telemetry"),
        r#"{"a":1,"b":2}"#,
    );
    post(&ready, "/api/v1/nobody/telemetry", r#"{"a":1}"#);

    let port = ready["mqtt"].as_str().unwrap().rsplit_once(':').unwrap().1;
    let client = |program_name: &str, user: &str| {
        let mut client = program(program_name);
        client.args(["-h", "127.0.0.1", "-p", port, "-u", user]);
        client
    };
    let mut listening = client("mosquitto_sub", &token);
    listening.args(["-t", "v1/devices/me/rpc/request/+"]);
    let listening = Process::start(listening.stdout(Stdio::null()).stderr(Stdio::null()));
    eventually(|| sample(&page(&ready), "connections_now{transport=\"mqtt\"}") == 1);
    let stranger = client("mosquitto_pub", "nobody")
        .args(["-t", "v1/devices/me/telemetry", "-m", "{}"])
        .output()
        .unwrap();
    assert!(!stranger.status.success());
    drop(listening);
    eventually(|| sample(&page(&ready), "connections_now{transport=\"mqtt\"}") == 0);

    let after = page(&ready);
    for (name, count) in [
        ("connections_total{transport=\"mqtt\"}", 2),
        ("connections_total{transport=\"http\"}", 5),
        ("connections_total{transport=\"mqtts\"}", 0),
        ("connections_now{transport=\"http\"}", 0),
        ("requests_total{protocol=\"http\"}", 5),
        ("provisions_total{result=\"provisioned\"}", 1),
        ("provisions_total{result=\"refused\"}", 1),
        ("provisions_total{result=\"malformed\"}", 1),
        ("logins_total{result=\"accepted\"}", 1),
        ("logins_total{result=\"refused\"}", 2),
        ("messages_total{kind=\"telemetry\"}", 1),
        ("telemetry_points_total", 2),
    ] {
        assert_eq!(sample(&after, name), count, "{name}");
    }
    for secret in [token.as_str(), "s3cret", "k3y-of-meters"] {
        assert!(!after.contains(secret), "{after}");
    }

    // What the target says at its end is the same.
    let counts = counts_at_the_end(&mut process);
    assert_eq!(counts["bad_logins"], 2);
    assert_eq!(counts["connections"], 7);
}

#[test]
fn faults_that_strike_are_told_by_kind() {
    let dir = tempfile::tempdir().unwrap();
    let config = "[faults]\nrefuse = 1.0\n[[profile]]\nname = \"meters\"\n\
                  provision_key = \"k3y-of-meters\"\nprovision_secret = \"s3cret\"\n";
    let (_process, ready) = target(config, dir.path());
    provision(&ready, "m-1", "s3cret");
    provision(&ready, "m-2", "s3cret");
    let page = page(&ready);
    assert_eq!(sample(&page, "faults_total{fault=\"refused\"}"), 2);
    assert_eq!(sample(&page, "faults_total{fault=\"lost\"}"), 0);
}

#[test]
fn an_address_that_is_taken_ends_the_target_before_it_listens() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_fleetcall"))
        .args(["target", "--mqtt", "127.0.0.1:0", "--metrics", &addr])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains(&format!("--metrics {addr}: cannot listen there")),
        "{said}"
    );
}

#[test]
fn connections_that_wait_for_want_of_open_files_are_told_once_and_served_later() {
    let program = env!("CARGO_BIN_EXE_fleetcall");
    let start =
        format!("ulimit -n 24; exec {program} target --mqtt 127.0.0.1:0 --http 127.0.0.1:0");
    let (mut process, ready) = serve(
        Command::new("sh")
            .args(["-c", &start])
            .stderr(Stdio::piped()),
    );
    let full: Vec<TcpStream> = (0..30)
        .map(|_| TcpStream::connect(ready["mqtt"].as_str().unwrap()).unwrap())
        .collect();
    let (tell, told) = mpsc::channel();
    let said = BufReader::new(process.0.stderr.take().unwrap()).lines();
    std::thread::spawn(move || {
        said.map_while(Result::ok)
            .try_for_each(|line| tell.send(line))
    });
    let warning = told.recv_timeout(PATIENCE).expect("it says so");
    assert!(warning.contains("limit 24"), "{warning}");
    // Accepted by the system, not by the target.
    let mut late = TcpStream::connect(ready["http"].as_str().unwrap()).unwrap();
    let request = "GET /api/v1/nobody/attributes HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n";
    late.write_all(request.as_bytes()).unwrap();
    late.set_read_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    late.read(&mut [0]).expect_err("nobody answers");
    drop(full);
    late.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = String::new();
    late.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    end(&process);
    let rest: Vec<String> = told.iter().collect();
    let [counts] = &rest[..] else {
        panic!("{rest:?}");
    };
    let counts: Value = serde_json::from_str(counts).unwrap();
    assert!(counts["waits_for_files"].as_u64().unwrap() >= 2, "{counts}");
}
