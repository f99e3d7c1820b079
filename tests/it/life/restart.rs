//! Servers that are killed in the middle of a run and started again on the same ports.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};

use fleetcall::pki::{Authority, KeyKind, Validity};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::support::{
    Process, Ran, Run, Running, eventually, free_tcp_port, program, serve, wait_for_tcp,
};
use crate::transport_peers::Lines;

/// Turns so many connections away on a port whose server is gone.
fn turn_away(addr: SocketAddr, connections: usize) {
    let mut listener = None;
    eventually(|| {
        listener = TcpListener::bind(addr).ok();
        listener.is_some()
    });
    let listener = listener.unwrap();
    for _ in 0..connections {
        drop(listener.accept().unwrap());
    }
}

/// Waits until every device of a run has its credentials and some time to use them.
fn provisioned(running: &Running, devices: usize) {
    eventually(|| {
        let text = fs::read_to_string(running.out.join("credentials.csv"));
        text.is_ok_and(|text| text.lines().count() > devices)
    });
}

fn assert_all_came_back(ran: &Ran, devices: u64) {
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let lost = ran.number("reconnects.lost");
    assert!(lost > 0, "{}", ran.stdout);
    assert_eq!(ran.number("reconnects.back"), lost, "{}", ran.stdout);
    assert_eq!(ran.number("phases.time_to_reconnect.errors"), 0);
    // Each was turned away twice, in the mean.
    assert!(
        ran.number("phases.reconnect.retries") >= devices,
        "{}",
        ran.stdout
    );
    assert_eq!(ran.number("phases.time_to_reconnect.count"), lost);
}

fn target_process(list: &Path, port: u16) -> (Process, Value) {
    serve(
        Command::new(env!("CARGO_BIN_EXE_fleetcall"))
            .args(["target", "--mqtt", &format!("127.0.0.1:{port}")])
            .args(["--strategy", "check", "--devices"])
            .arg(list)
            .env("FLEETCALL_PROVISION_KEY", "key")
            .env("FLEETCALL_PROVISION_SECRET", "secret")
            .stderr(Stdio::piped()),
    )
}

#[test]
fn devices_survive_a_target_that_is_killed_and_started_again() {
    const DEVICES: usize = 30;
    let dir = tempfile::tempdir().unwrap();
    let list = dir.path().join("list.csv");
    let mut rows = "name,access_token\n".to_owned();
    for n in 0..DEVICES {
        writeln!(rows, "device-{n},token-of-device-{n}").unwrap();
    }
    fs::write(&list, rows).unwrap();
    let port = free_tcp_port();
    let (first, _) = target_process(&list, port);
    let scenario = format!(
        r#"
        name = "restart"
        seed = 4
        [target]
        mqtt = "127.0.0.1:{port}"
        [profile]
        provision_key = "key"
        provision_secret = "secret"
        [devices]
        list = "{}"
        [arrival]
        stages = [{{ duration = "1s", rate = 30 }}, {{ duration = "14s", rate = 0 }}]
        [telemetry]
        interval = "500ms"
        [reconnect]
        initial = "200ms"
        max = "2s"
        [thresholds]
        "devices.provisioned" = "== 100%"
        "devices.back" = "== 100%"
        "#,
        list.display()
    );
    let running = Run::of(&scenario).start();
    provisioned(&running, DEVICES);
    drop(first);
    turn_away(SocketAddr::from(([127, 0, 0, 1], port)), 3 * DEVICES);
    let (mut second, _) = target_process(&list, port);
    let ran = running.finish();
    assert_all_came_back(&ran, DEVICES as u64);
    // The second target knows them by their tokens, and heard from each.
    let pid = Pid::from_raw(i32::try_from(second.0.id()).unwrap());
    kill(pid, Signal::SIGTERM).unwrap();
    let mut told = String::new();
    second
        .0
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut told)
        .unwrap();
    let counts: Value = serde_json::from_str(told.trim()).unwrap();
    assert_eq!(counts["sessions"], DEVICES);
    assert_eq!(counts["provision_requests"], 0);
    assert!(
        counts["telemetry_messages"].as_u64().unwrap() >= DEVICES as u64,
        "{told}"
    );
}

fn mosquitto(config: &Path, ports: [u16; 2]) -> Process {
    let process = Process::start(
        program("mosquitto")
            .arg("-c")
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null()),
    );
    for port in ports {
        wait_for_tcp(([127, 0, 0, 1], port).into());
    }
    process
}

#[test]
fn devices_survive_a_broker_that_is_killed_and_started_again() {
    const DEVICES: usize = 20;
    let files = tempfile::tempdir().unwrap();
    let (kind, days) = (KeyKind::P256, Validity::days(2));
    let authority = Authority::root("house", kind, days).unwrap();
    let server = authority.issue_server(&["127.0.0.1"], kind, days).unwrap();
    authority.identity().write(files.path(), "house").unwrap();
    server.write(files.path(), "server").unwrap();
    let (devices, onlookers) = (free_tcp_port(), free_tcp_port());
    let dir = files.path().to_str().unwrap();
    let config = files.path().join("mosquitto.conf");
    let lines = format!(
        "user root\nallow_anonymous true\nmax_queued_messages 0\nlistener {onlookers} 127.0.0.1\n\
         listener {devices} 127.0.0.1\ncertfile {dir}/server.crt.pem\n\
         keyfile {dir}/server.key.pem\ncafile {dir}/house.crt.pem\nrequire_certificate true\n"
    );
    fs::write(&config, lines).unwrap();
    let first = mosquitto(&config, [devices, onlookers]);
    let scenario = format!(
        r#"
        name = "broker-restart"
        seed = 5
        [target]
        mqtts = "127.0.0.1:{devices}"
        ca = "{dir}/house.crt.pem"
        [profile]
        provision_key = "key"
        provision_secret = "secret"
        [devices]
        generate = {{ count = {DEVICES} }}
        [[cohort]]
        name = "all"
        transport = "mqtts"
        credentials = "x509_chain"
        certificate = {{ ca = "{dir}/house.crt.pem", ca_key = "{dir}/house.key.pem" }}
        [arrival]
        stages = [{{ duration = "1s", rate = 20 }}, {{ duration = "14s", rate = 0 }}]
        [telemetry]
        interval = "500ms"
        payload = {{ id = "{{{{ name }}}}" }}
        [reconnect]
        initial = "200ms"
        max = "2s"
        [thresholds]
        "devices.provisioned" = "== 100%"
        "devices.back" = "== 100%"
        "#
    );
    let running = Run::of(&scenario).start();
    provisioned(&running, DEVICES);
    drop(first);
    turn_away(SocketAddr::from(([127, 0, 0, 1], devices)), 3 * DEVICES);
    let _second = mosquitto(&config, [devices, onlookers]);
    let mut watcher = Process::start(
        // Line by line: a pipe would else be filled before anything shows.
        program("stdbuf")
            .arg("-oL")
            .arg(program("mosquitto_sub").get_program())
            .args(["-h", "127.0.0.1", "-p", &onlookers.to_string()])
            .args(["-t", "#", "-q", "1", "-d", "-F", "GOT %p"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped()),
    );
    let lines = Lines::of(&mut watcher);
    lines.next("Subscribed");
    let mut heard = BTreeSet::new();
    while heard.len() < DEVICES {
        heard.insert(lines.next("GOT "));
    }
    let ran = running.finish();
    assert_all_came_back(&ran, DEVICES as u64);
}

/// The shipped storm, smaller and sooner: all lose their power, and while they come back the server
/// restarts.
#[test]
fn after_a_power_cut_and_a_restart_in_the_middle_of_the_storm_every_device_is_back() {
    let ran = [
        "devices.generate.count=300",
        "arrival.stages=[{ duration = \"1s\", rate = 300 }, { duration = \"14s\", rate = 0 }]",
        "telemetry.interval=1s",
        "event.0.at=3s",
        "event.0.boot.mean=2s",
        "event.0.boot.sd=500ms",
        "reconnect.max=2s",
        "target.faults.restart=[{ at = \"5s\", for = \"1s\" }]",
    ]
    .iter()
    .fold(Run::shipped("scenarios/power-return.toml"), |run, key| {
        run.arg("--set").arg(key)
    })
    .finish();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.number("reconnects.devices"), 300);
    assert_eq!(ran.number("reconnects.back"), ran.number("reconnects.lost"));
    assert!(ran.number("reconnects.lost") > 300, "some were cut twice");
    let storm = &ran.summary()["phases"]["time_to_reconnect"];
    assert!(storm["count"].as_u64().unwrap() > 300, "{storm}");
    let picture = ran.stdout.split("Reconnects").nth(1).unwrap();
    assert!(
        picture.contains("of 300 devices are back, 0 not"),
        "{picture}"
    );
    assert!(picture.contains('█'), "{picture}");
}
