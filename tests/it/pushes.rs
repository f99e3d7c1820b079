//! A run whose figures are pushed: to Debian's InfluxDB, to a receiver that reads lines with a parser of
//! others, and to servers that do not take them.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use socket2::{Domain, Socket, Type};

use crate::support::{
    Peer, Process, Ran, Run, free_tcp_port, program, python, root, succeed, wait_for_tcp,
};

/// Two cohorts, one with a name that means no good; telemetry for a while.
const PUSHED: &str = "name = \"pushed by 1\"\nseed = 3\ntarget.embedded = true\n\
    devices.generate = { count = 40 }\ntelemetry.interval = \"500ms\"\n\
    arrival.stages = [{ duration = \"2s\", rate = 20 }, { duration = \"2s\", rate = 0 }]\n\
    [[cohort]]\nname = \"met\\\\ers, x=1 \\\"9\\\"\\\\\"\ntransport = \"mqtt\"\nshare = 0.75\n\
    [[cohort]]\nname = \"strangers\"\ntransport = \"http\"\nshare = 0.25\n\
    misbehaviour = \"wrong_secret\"\n";

/// The first cohort's name as a tag has it.
const METERS: &str = "met\u{29f5}ers, x=1 \"9\"\u{29f5}";

fn pushed(url: &str) -> Run {
    Run::of(PUSHED).args(&["--influx", url, "--push-every", "1s"])
}

/// Debian's InfluxDB on its own, with the user `me` whose password is `s3cr3t pass`.
fn influxd(dir: &Path) -> (Process, String) {
    let (port, rpc) = (free_tcp_port(), free_tcp_port());
    let config = format!(
        "reporting-disabled = true\nbind-address = \"127.0.0.1:{rpc}\"\n\
         [meta]\ndir = \"{0}/meta\"\n[data]\ndir = \"{0}/data\"\nwal-dir = \"{0}/wal\"\n\
         [monitor]\nstore-enabled = false\n\
         [http]\nbind-address = \"127.0.0.1:{port}\"\nauth-enabled = true\nlog-enabled = false\n",
        dir.display()
    );
    let path = dir.join("influxdb.conf");
    fs::write(&path, config).unwrap();
    let mut command = program("influxd");
    command.arg("run").arg("-config").arg(path);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let process = Process::start(&mut command);
    wait_for_tcp(SocketAddr::from(([127, 0, 0, 1], port)));
    let url = format!("http://127.0.0.1:{port}");
    ask(
        &url,
        "CREATE USER me WITH PASSWORD 's3cr3t pass' WITH ALL PRIVILEGES",
    );
    ask(&url, "CREATE DATABASE load");
    (process, url)
}

fn ask(server: &str, query: &str) -> Value {
    let output = succeed(
        Command::new("curl")
            .args(["-sS", "--fail", "--max-time", "20", "-X", "POST"])
            .args(["-u", "me:s3cr3t pass"])
            .args([
                "--data-urlencode",
                &format!("q={query}"),
                "--data",
                "db=load",
            ])
            .arg(format!("{server}/query")),
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The one number that a query is answered with.
fn number(server: &str, query: &str) -> u64 {
    let answer = ask(server, query);
    let value = &answer["results"][0]["series"][0]["values"][0][1];
    value
        .as_u64()
        .unwrap_or_else(|| panic!("{query}: {answer}"))
}

/// A receiver that does as it is told with pushes; its port.
fn receiver(args: &[&str]) -> (Peer, u64) {
    let script = root().join("tests/peers/influx_receiver.py");
    let peer = Peer::start(python().arg(script).args(args));
    let port = peer.next().as_u64().unwrap();
    (peer, port)
}

fn log(ran: &Ran) -> String {
    fs::read_to_string(ran.out.join("run.log")).unwrap()
}

#[test]
fn influxdb_has_the_figures_of_the_summary_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let (_influxd, server) = influxd(dir.path());
    let ran = pushed(&format!("{server}/?db=load"))
        .env("INFLUX_TOKEN", "me:s3cr3t pass")
        .finish();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(!ran.stderr.contains("note: --influx"), "{}", ran.stderr);
    let meters = METERS.replace('\'', "\\'");
    for (field, measurement, and, path) in [
        (
            "value",
            "devices_total",
            "outcome='provisioned'",
            "devices.provisioned",
        ),
        (
            "value",
            "telemetry_messages_total",
            "state='sent'",
            "telemetry.sent",
        ),
        (
            "count",
            "step_seconds",
            "phase='telemetry' AND kind='service'",
            "phases.telemetry.count",
        ),
        (
            "le_60",
            "step_seconds",
            "phase='telemetry' AND kind='service'",
            "phases.telemetry.count",
        ),
    ] {
        let query = format!(
            "SELECT last(\"{field}\") FROM fleetcall_{measurement} \
             WHERE cohort='{meters}' AND transport='mqtt' AND scenario='pushed by 1' AND {and}"
        );
        assert_eq!(number(&server, &query), ran.number(path), "{query}");
        assert!(ran.number(path) > 0, "{path}");
    }
    let refused = "SELECT last(value) FROM fleetcall_devices_total \
                   WHERE cohort='strangers' AND outcome='refused'";
    assert_eq!(number(&server, refused), ran.number("devices.refused"));
    // Not the end alone was pushed.
    let pushes = "SELECT count(value) FROM fleetcall_run_elapsed_seconds";
    assert!(number(&server, pushes) >= 3);
    let public = ran.everything_public();
    for secret in ["s3cr3t", "bWU6czNjcjN0"] {
        assert!(!public.contains(secret), "{public}");
    }
}

#[test]
fn version_2_gets_lines_that_a_parser_of_others_reads_over_https() {
    let dir = tempfile::tempdir().unwrap();
    let [certificate, key] = ["server.crt.pem", "server.key.pem"]
        .map(|name| dir.path().join(name).to_str().unwrap().to_owned());
    succeed(
        Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
            ])
            .args(["-nodes", "-days", "2", "-subj", "/CN=localhost"])
            .args(["-addext", "subjectAltName=DNS:localhost"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .args(["-keyout", &key, "-out", &certificate]),
    );
    let (peer, port) = receiver(&["take", &certificate, &key]);
    let ran = pushed(&format!(
        "https://localhost:{port}/?org=plant%201&bucket=load"
    ))
    .env("INFLUX_TOKEN", "t0ken-of-the-plant==")
    .env("SSL_CERT_FILE", &certificate)
    .finish();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(!ran.stderr.contains("note: --influx"), "{}", ran.stderr);
    let pushes = peer.so_far();
    assert!(pushes.len() >= 3, "{}", pushes.len());
    for push in &pushes {
        assert_eq!(
            push["path"],
            "/api/v2/write?org=plant%201&bucket=load&precision=ms"
        );
        assert_eq!(push["authorization"], "Token t0ken-of-the-plant==");
    }
    let last = pushes.last().unwrap()["points"].as_array().unwrap();
    let found = |measurement: &str, tag: (&str, &str)| {
        let mut points = last.iter().filter(|point| {
            point["measurement"] == measurement
                && point["tags"]["cohort"] == METERS
                && point["tags"][tag.0] == tag.1
        });
        let point = points
            .next()
            .unwrap_or_else(|| panic!("{measurement} {tag:?}"));
        assert!(points.next().is_none(), "{measurement} {tag:?}");
        assert_eq!(point["tags"]["scenario"], "pushed by 1");
        point["fields"]["value"].as_u64().unwrap()
    };
    assert_eq!(
        found("fleetcall_devices_total", ("outcome", "provisioned")),
        ran.number("devices.provisioned")
    );
    assert_eq!(
        found("fleetcall_telemetry_messages_total", ("state", "acked")),
        ran.number("telemetry.acked")
    );
    assert!(!ran.everything_public().contains("t0ken"));
}

#[test]
fn a_server_that_refuses_lies_stalls_or_hangs_up_is_counted_and_disturbs_nothing() {
    for (mode, why) in [
        ("refuse", "401 Unauthorized: Token … is nobody:"),
        ("lie", "200 OK: <html>Please log in</html>"),
        ("stall", "no answer in time"),
        ("hang-up", ""),
    ] {
        let (_peer, port) = receiver(&[mode]);
        let ran = pushed(&format!("http://127.0.0.1:{port}/?org=o&bucket=b"))
            .env("INFLUX_TOKEN", "hunter2")
            .finish();
        assert_eq!(ran.code, 0, "{mode}: {}", ran.stderr);
        assert_eq!(ran.number("devices.provisioned"), 30, "{mode}");
        let notes: Vec<&str> = ran
            .stderr
            .lines()
            .filter(|line| line.contains("--influx"))
            .collect();
        let [note] = notes[..] else {
            panic!("{mode}: {}", ran.stderr)
        };
        assert!(
            note.contains("the last figures are not there"),
            "{mode}: {note}"
        );
        assert!(note.contains(why), "{mode}: {note}");
        assert!(
            note.len() < 500 && !note.contains('\u{1b}'),
            "{mode}: {note}"
        );
        let log = log(&ran);
        assert_eq!(
            log.matches("a push of figures was not taken").count(),
            1,
            "{mode}: {log}"
        );
        assert!(!ran.everything_public().contains("hunter2"), "{mode}");
    }
}

#[test]
fn an_influxdb_that_is_not_there_is_said_and_costs_the_run_nothing() {
    // Bound, so that nobody else takes the port, and never listened on.
    let bound = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    bound.bind(&any.into()).unwrap();
    let addr = bound.local_addr().unwrap().as_socket().unwrap();
    let url = format!("http://{addr}/?db=load");
    let ran = pushed(&url).finish();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("Connection refused"), "{}", ran.stderr);
}

#[test]
fn an_address_that_takes_no_points_is_found_before_there_is_a_directory() {
    for (url, help) in [
        ("http://127.0.0.1:8086", "?db=DATABASE"),
        ("127.0.0.1:8086/?db=load", "http://HOST:8086"),
        ("http://me:hunter2@127.0.0.1/?db=load", "INFLUX_TOKEN"),
        ("http://127.0.0.1/?db=load&p=hunter2", "INFLUX_TOKEN"),
    ] {
        let ran = pushed(url).finish();
        assert_eq!(ran.code, 2, "{url}: {}", ran.stderr);
        assert!(ran.stderr.contains("--influx: "), "{url}: {}", ran.stderr);
        assert!(ran.stderr.contains(help), "{url}: {}", ran.stderr);
        assert!(!ran.stderr.contains("hunter2"), "{}", ran.stderr);
        assert!(!ran.out.exists(), "{url}");
    }
}
