//! Each fault of the target as its victims see it: curl, Mosquitto's clients, and bare sockets where
//! those show nothing. Times are lower bounds only: an answer cannot come before its delay.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::process::{ChildStderr, Command, Output, Stdio};
use std::time::Duration;

use fleetcall::model::{Delay, FaultPhase, Faults, Outage, PhaseFaults, Release, Slow, Stall};
use fleetcall::model::{RateLimits, Strategy};
use fleetcall::target::{Target, TargetConfig};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::Instant;

use crate::support::golden::hex;
use crate::support::{Process, Run, program};
use crate::target_wire::{TOKEN, Wire, alive, config, until};

async fn start(faults: Faults) -> Target {
    let mut config = config(Strategy::Check);
    config.faults = faults;
    config.https = config.http;
    config.mqtts = config.mqtt;
    Target::start(config).await.unwrap()
}

async fn output(mut command: Command) -> Output {
    let run = move || command.stdin(Stdio::null()).output().unwrap();
    tokio::task::spawn_blocking(run).await.unwrap()
}

const PROVISION: &str =
    r#"{"deviceName":"D1","provisionDeviceKey":"K","provisionDeviceSecret":"S"}"#;

/// What curl does with a request: its exit code, the status and body, and the seconds it took.
async fn curl(target: &Target, scheme: &str, what: &str, body: &str) -> (i32, String, f64) {
    let mut command = program("curl");
    let addr = if scheme == "https" {
        target.https()
    } else {
        target.http()
    };
    command.args(["-sk", "--max-time", "20", "-d", body, "-w"]);
    command.arg(" %{http_code} %{time_total}");
    command.arg(format!("{scheme}://{}/api/v1/{what}", addr.unwrap()));
    let output = output(command).await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let (said, seconds) = said.rsplit_once(' ').unwrap();
    let code = output.status.code().unwrap();
    (code, said.trim().to_owned(), seconds.parse().unwrap())
}

async fn send(target: &Target) -> (i32, String, f64) {
    curl(target, "http", &format!("{TOKEN}/telemetry"), "{\"a\":1}").await
}

/// mosquitto_pub with the device's token: whether it is content, and what it complains of.
async fn publish(target: &Target, more: &[&str]) -> (bool, String) {
    let port = target.mqtt().unwrap().port().to_string();
    let mut command = program("mosquitto_pub");
    command.args(["-h", "127.0.0.1", "-p", &port, "-u", TOKEN, "-q", "1"]);
    command.args(["-t", "v1/devices/me/telemetry", "-m", "{\"a\":1}"]);
    let output = output({
        command.args(more);
        command
    })
    .await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.success(), said)
}

/// A CONNECT with the device's token, MQTT 3.1.1 or 5.
fn connect(version: u8) -> Vec<u8> {
    let properties: &[u8] = if version == 5 { &[0] } else { &[] };
    let body = [
        b"\0\x04MQTT",
        &[version, 0x82, 0, 60][..],
        properties,
        b"\0\x01c\0\x14",
        TOKEN.as_bytes(),
    ]
    .concat();
    [&[0x10, body.len() as u8], &body[..]].concat()
}

/// Telemetry at QoS 1, MQTT 3.1.1.
fn telemetry(id: u8) -> Vec<u8> {
    let topic = b"v1/devices/me/telemetry";
    let body = [&[0, topic.len() as u8], &topic[..], &[0, id], b"{\"a\":1}"].concat();
    [&[0x32, body.len() as u8], &body[..]].concat()
}

async fn session(target: &Target) -> Wire {
    let mut wire = Wire::open(target.mqtt()).await;
    wire.send(connect(4)).await;
    wire.expect(hex("mqtt-connack")).await;
    wire
}

fn fixed(ms: u64) -> PhaseFaults {
    PhaseFaults {
        delay: Some(Delay::Fixed(Duration::from_millis(ms))),
        ..PhaseFaults::default()
    }
}

/// From now on, for a length, by the target's own clock.
fn from_now(target: &Target, length: Duration) -> Outage {
    Outage {
        at: Duration::ZERO,
        length: target.age() + length,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_comes_before_the_delays_of_its_phases() {
    let faults = Faults {
        connect: fixed(300),
        tls: fixed(200),
        mqtt_connect: fixed(250),
        provision: fixed(150),
        telemetry: fixed(350),
        ..Faults::default()
    };
    let target = start(faults).await;
    let (code, said, seconds) = curl(&target, "http", "provision", PROVISION).await;
    assert!(code == 0 && said.ends_with("200"), "{said}");
    assert!(seconds >= 0.45, "{seconds}");
    let (code, said, seconds) = curl(&target, "https", "provision", PROVISION).await;
    assert!(
        code == 0 && said.ends_with("200") && seconds >= 0.65,
        "{said} {seconds}"
    );
    let (code, _, seconds) = send(&target).await;
    assert!(code == 0 && seconds >= 0.65, "{seconds}");
    let begun = Instant::now();
    assert!(publish(&target, &[]).await.0);
    assert!(begun.elapsed() >= Duration::from_millis(900));
}

#[tokio::test(flavor = "multi_thread")]
async fn fates_repeat_by_seed_and_name_in_whatever_order_names_come() {
    let mut seen = Vec::new();
    for backwards in [false, true] {
        let mut config = config(Strategy::Allow);
        config.faults.refuse = 0.4;
        config.faults.provision.reset = 0.3;
        let target = Target::start(TargetConfig { seed: 11, ..config })
            .await
            .unwrap();
        let mut fates = Vec::new();
        for n in 0..12 {
            let name = format!("N{}", if backwards { 11 - n } else { n });
            let (code, said, _) = curl(
                &target,
                "http",
                "provision",
                &PROVISION.replace("D1", &name),
            )
            .await;
            fates.push((name, code, said.contains("SUCCESS")));
        }
        fates.sort();
        seen.push(fates);
    }
    assert_eq!(seen[0], seen[1]);
    assert!(seen[0].iter().any(|(_, code, _)| *code != 0));
    assert!(seen[0].iter().any(|(_, _, success)| *success));
}

/// Every such thing.
fn always(set: impl FnOnce(&mut PhaseFaults)) -> PhaseFaults {
    let mut faults = PhaseFaults::default();
    set(&mut faults);
    faults
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_tells_resets_noise_and_refusals_apart() {
    let target = start(Faults::default()).await;
    let with = |phase, faults: PhaseFaults| {
        let mut all = Faults::default();
        *(match phase {
            FaultPhase::Connect => &mut all.connect,
            FaultPhase::Tls => &mut all.tls,
            FaultPhase::MqttConnect => &mut all.mqtt_connect,
            FaultPhase::Provision => &mut all.provision,
            FaultPhase::Telemetry => &mut all.telemetry,
            FaultPhase::Downlink => &mut all.downlink,
        }) = faults;
        target.set_faults(all).unwrap();
    };
    let (reset, garbage) = (always(|f| f.reset = 1.0), always(|f| f.garbage = 1.0));
    // A reset in the middle of an exchange is always the same; one at its beginning may be faster
    // than curl: than its look at the connection (7), its handshake (35) or its request (55).
    with(FaultPhase::Connect, reset);
    let (code, ..) = curl(&target, "http", "provision", PROVISION).await;
    assert!([7, 55, 56].contains(&code), "{code}");
    with(FaultPhase::Provision, reset);
    assert_eq!(curl(&target, "http", "provision", PROVISION).await.0, 56);
    with(FaultPhase::Telemetry, reset);
    assert_eq!(send(&target).await.0, 56);
    with(FaultPhase::Tls, reset);
    let (code, ..) = curl(&target, "https", "provision", PROVISION).await;
    assert!([7, 35].contains(&code), "{code}");
    assert_eq!(target.counts().faults_reset, 4);
    assert_eq!(
        target.counts().provisioned + target.counts().telemetry_messages,
        0
    );

    with(FaultPhase::Tls, garbage);
    assert_eq!(curl(&target, "https", "provision", PROVISION).await.0, 35);
    with(FaultPhase::Connect, garbage);
    assert_eq!(send(&target).await.0, 1, "no HTTP");
    with(FaultPhase::Telemetry, garbage);
    assert_eq!(send(&target).await.0, 1, "no HTTP");
    assert_eq!(target.counts().telemetry_messages, 1, "it was taken");
    with(FaultPhase::Provision, garbage);
    let (code, said, _) = curl(&target, "http", "provision", PROVISION).await;
    assert!(
        code == 0 && said.ends_with(" 200") && !said.contains('{'),
        "{said}"
    );
    assert_eq!(target.counts().provisioned, 1, "it was carried out");

    with(FaultPhase::Telemetry, always(|f| f.refuse = 1.0));
    assert_eq!(send(&target).await.1, "500");
    with(FaultPhase::Telemetry, always(|f| f.disconnect = 1.0));
    assert_eq!(send(&target).await.0, 52, "an empty reply");
    assert_eq!(target.counts().telemetry_messages, 1);
    with(FaultPhase::MqttConnect, always(|f| f.refuse = 1.0));
    let (content, said) = publish(&target, &[]).await;
    assert!(!content && said.contains("broker unavailable"), "{said}");
    with(FaultPhase::MqttConnect, garbage);
    assert!(!publish(&target, &[]).await.0);
    target.set_faults(Faults::default()).unwrap();
    assert!(publish(&target, &[]).await.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_open_connection_is_silent_until_the_client_leaves() {
    let silent = always(|f| f.half_open = 1.0);
    let target = start(Faults {
        mqtt_connect: silent,
        telemetry: silent,
        ..Faults::default()
    })
    .await;
    let mut wire = TcpStream::connect(target.mqtt().unwrap()).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut wire, &connect(4))
        .await
        .unwrap();
    until(|| target.counts().faults_half_open == 1).await;
    tokio::io::AsyncWriteExt::write_all(&mut wire, &hex("mqtt-pingreq"))
        .await
        .unwrap();
    assert_eq!(target.counts().connections_now, 1);
    assert!(wire.try_read(&mut [0]).is_err(), "not a byte, and no end");
    drop(wire);
    until(|| target.counts().connections_now == 0).await;
    let mut command = program("curl");
    let addr = target.http().unwrap();
    command.args(["-s", "--max-time", "1", "-d", "{\"a\":1}"]);
    command.arg(format!("http://{addr}/api/v1/{TOKEN}/telemetry"));
    assert_eq!(output(command).await.status.code(), Some(28), "a time-out");
    assert_eq!(target.counts().telemetry_messages, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_acknowledgement_leaves_the_message_taken_and_the_session_open() {
    let target = start(Faults {
        telemetry: always(|f| f.lose_answer = 1.0),
        ..Faults::default()
    })
    .await;
    let mut wire = session(&target).await;
    wire.send(telemetry(1)).await;
    alive(&mut wire).await;
    let counts = target.counts();
    assert_eq!(
        (counts.telemetry_messages, counts.faults_unacknowledged),
        (1, 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_in_a_stall_is_answered_after_it_and_none_is_lost() {
    let target = start(Faults::default()).await;
    let mut wires = [session(&target).await, Wire::open(target.mqtt()).await];
    let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    udp.connect(target.coap().unwrap()).await.unwrap();
    let stall = |when| Faults {
        stall: vec![Stall {
            when,
            phases: Vec::new(),
        }],
        ..Faults::default()
    };
    target
        .set_faults(stall(from_now(&target, Duration::from_hours(1))))
        .unwrap();
    wires[0].send(telemetry(1)).await;
    wires[1].send(connect(4)).await;
    udp.send(b"\x40\x00\xff\xfe").await.unwrap();
    let asked = send(&target);
    tokio::pin!(asked);
    // curl connects, since the kernel accepts, and waits with all others.
    tokio::select! {
        _ = &mut asked => panic!("answered in a stall"),
        () = tokio::time::sleep(Duration::from_millis(300)) => {}
    }
    assert!(udp.try_recv(&mut [0; 9]).is_err());
    assert_eq!(target.counts().telemetry_messages, 0, "nothing is read");
    let rest = Duration::from_millis(400);
    let begun = Instant::now();
    target.set_faults(stall(from_now(&target, rest))).unwrap();
    // The first lost its session to the second, but its message was there before.
    wires[1].expect(hex("mqtt-connack")).await;
    assert!(begun.elapsed() >= rest);
    let mut answer = [0; 9];
    assert_eq!(udp.recv(&mut answer).await.unwrap(), 4);
    assert_eq!(asked.await.1, "200");
    until(|| target.counts().telemetry_messages == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_devices_come_back_with_their_old_credentials() {
    let target = start(Faults::default()).await;
    let (_, said, _) = curl(&target, "http", "provision", PROVISION).await;
    assert!(said.contains(TOKEN));
    let mut wire = session(&target).await;
    let down = Faults {
        restart: vec![from_now(&target, Duration::from_hours(1))],
        ..Faults::default()
    };
    target.set_faults(down).unwrap();
    wire.expect_end().await;
    let addr = target.mqtt().unwrap();
    until(|| std::net::TcpStream::connect(addr).is_err()).await;
    assert!(!publish(&target, &[]).await.0, "refused");
    target.set_faults(Faults::default()).unwrap();
    until(|| std::net::TcpStream::connect(addr).is_ok()).await;
    until(|| target.counts().restarts == 5).await;
    assert!(publish(&target, &[]).await.0);
    until(|| target.counts().telemetry_messages == 1).await;
    assert!(target.device("D1").unwrap().provisioned);
    let (_, said, _) = curl(&target, "http", "provision", PROVISION).await;
    assert!(said.contains("FAILURE"), "still provisioned: {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rate_limits_show_on_each_transport_as_the_platforms_do() {
    let limited = |change: fn(&mut RateLimits)| {
        let mut faults = Faults::default();
        change(&mut faults.rate_limits);
        faults
    };
    let messages = limited(|l| l.device_telemetry_msg = "1:3600".parse().unwrap());
    let target = start(messages.clone()).await;
    let mut wire = session(&target).await;
    wire.send(telemetry(1)).await;
    wire.expect(b"\x40\x02\0\x01").await;
    wire.send(telemetry(2)).await;
    wire.expect_end().await;
    let (code, said, _) = send(&target).await;
    assert_eq!((code, &*said), (0, "500"), "and not 429");
    let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    udp.connect(target.coap().unwrap()).await.unwrap();
    let path = [b"\xb3api\x02v1\x0d\x07", TOKEN.as_bytes(), b"\x09telemetry"].concat();
    let request = [b"\x40\x02\0\x01", &path[..], b"\xff{\"a\":1}"].concat();
    udp.send(&request).await.unwrap();
    let mut answer = [0; 16];
    assert_eq!(udp.recv(&mut answer).await.unwrap(), 4);
    assert_eq!(answer[..2], [0x60, 0xa0], "5.00");
    assert_eq!(target.counts().rate_limited, 3);

    let points = limited(|l| l.tenant_telemetry_data_points = "2:3600".parse().unwrap());
    target.set_faults(points).unwrap();
    let three = "{\"a\":1,\"b\":2,\"c\":3}";
    let path = format!("{TOKEN}/telemetry");
    assert_eq!(curl(&target, "http", &path, three).await.1, "500");
    assert_eq!(send(&target).await.1, "200");
    target.set_faults(messages).unwrap();
    assert_eq!(send(&target).await.1, "200", "buckets are full again");

    for (release, version, refusal) in [
        (Release::V4_3, 4, &b"\x20\x02\0\x03"[..]),
        (Release::V4_3, 5, b"\x20\x03\0\x9f\0\xe0\x02\x96\0"),
        (Release::V3_6, 5, b"\x20\x03\0\x88\0"),
    ] {
        let mut config = config(Strategy::Check);
        config.release = release;
        config.faults = limited(|l| l.device_msg = "1:3600".parse().unwrap());
        let target = Target::start(config).await.unwrap();
        let _first = session(&target).await;
        let mut second = Wire::open(target.mqtt()).await;
        second.send(connect(version)).await;
        second.expect(refusal).await;
        second.expect_end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_capacity_answers_in_order_and_no_faster() {
    let mut config = config(Strategy::Allow);
    config.faults.capacity = Some(20.0);
    let target = Target::start(config).await.unwrap();
    let mut wire = Wire::open(target.http()).await;
    let mut last = Duration::ZERO;
    let begun = Instant::now();
    let names = ["Q1", "Q2", "Q3", "Q4", "Q5", "Q6"];
    let asked = names.map(|name| {
        let addr = target.http().unwrap();
        let body = PROVISION.replace("D1", name);
        let mut command = program("curl");
        command.args([
            "-s",
            "-d",
            &body,
            &format!("http://{addr}/api/v1/provision"),
        ]);
        tokio::spawn(output(command))
    });
    for asked in asked {
        assert!(asked.await.unwrap().status.success());
    }
    assert!(begun.elapsed() >= Duration::from_millis(300), "6 at 20/s");
    // One after another on one connection, each takes its service time.
    for name in ["R1", "R2"] {
        let body = PROVISION.replace("D1", name);
        let head = format!(
            "POST /api/v1/provision HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        wire.send(head + &body).await;
        wire.expect("HTTP/1.1 200").await;
        let now = begun.elapsed();
        assert!(now >= last + Duration::from_millis(45));
        last = now;
        if name == "R1" {
            wire = Wire::open(target.http()).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_connections_take_as_long_as_their_bytes() {
    let slow = |rate| Some(Slow { share: 1.0, rate });
    let target = start(Faults {
        slow_writer: slow(100),
        ..Faults::default()
    })
    .await;
    let (code, said, seconds) = send(&target).await;
    // A status line and a date are more than 60 bytes.
    assert!(
        code == 0 && said == "200" && seconds >= 0.5,
        "{said} {seconds}"
    );
    target
        .set_faults(Faults {
            slow_reader: slow(1000),
            ..Faults::default()
        })
        .unwrap();
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(1000));
    let path = format!("{TOKEN}/telemetry");
    let (code, said, seconds) = curl(&target, "http", &path, &long).await;
    assert!(
        code == 0 && said == "200" && seconds >= 0.8,
        "{said} {seconds}"
    );
}

/// A target in a process of its own, with a file that can be changed.
struct Server {
    process: Process,
    dir: tempfile::TempDir,
    port: u64,
    said: Lines<BufReader<ChildStderr>>,
}

impl Server {
    fn start(faults: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("t.toml");
        fs::write(&file, format!("{LISTEN}{faults}")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_fleetcall"));
        command.args(["target", "--config"]).arg(&file);
        let mut process = Process::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
        let mut line = String::new();
        let out = process.0.stdout.take().unwrap();
        BufReader::new(out).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        let (_, port) = ready["http"].as_str().unwrap().rsplit_once(':').unwrap();
        let said = BufReader::new(process.0.stderr.take().unwrap()).lines();
        Self {
            port: port.parse().unwrap(),
            process,
            dir,
            said,
        }
    }

    /// Changes the file, hangs up, and returns the line that says what came of it.
    fn switch(&mut self, faults: &str) -> String {
        fs::write(self.dir.path().join("t.toml"), format!("{LISTEN}{faults}")).unwrap();
        let pid = Pid::from_raw(self.process.0.id().try_into().unwrap());
        kill(pid, Signal::SIGHUP).unwrap();
        loop {
            let line = self.said.next().unwrap().unwrap();
            if line.starts_with("faults: ") {
                return line;
            }
        }
    }

    fn status(&self, name: &str) -> String {
        let body = format!(
            r#"{{"deviceName":"{name}","provisionDeviceKey":"fleetcall-provision-key","provisionDeviceSecret":"fleetcall-provision-secret"}}"#
        );
        let url = format!("http://127.0.0.1:{}/api/v1/provision", self.port);
        let output = program("curl")
            .args(["-s", "-d", &body, &url])
            .output()
            .unwrap();
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        answer["status"].as_str().unwrap().to_owned()
    }
}

const LISTEN: &str = "[listen]\nhttp = \"127.0.0.1:0\"\n";

#[test]
fn a_hang_up_switches_faults_and_a_broken_file_leaves_them() {
    let mut server = Server::start("");
    assert_eq!(server.status("a"), "SUCCESS");
    let said = server.switch("[faults]\nrefuse = 1\n");
    assert!(said.ends_with("changed: refuse"), "{said}");
    assert_eq!(server.status("b"), "FAILURE");
    for broken in [
        "[faults]\nrefuse = 2\n",
        "[faults\n",
        "[faults]\nrefus = 0\n",
    ] {
        let said = server.switch(broken);
        assert!(said.ends_with("is not taken, the old ones stay"), "{said}");
        assert_eq!(server.status("b"), "FAILURE");
    }
    let said = server.switch("");
    assert!(said.ends_with("changed: refuse"), "{said}");
    assert_eq!(server.status("b"), "SUCCESS");
    assert!(server.switch("").ends_with("nothing changed"));
}

#[test]
fn a_run_brings_all_its_devices_up_through_stall_and_queue() {
    let ran = Run::of(
        r#"
        name = "through"
        [target]
        embedded = true
        [target.faults]
        capacity = 200
        stall = [{ at = "100ms", for = "500ms" }]
        mqtt_connect.delay = { model = "lognormal", mean = "5ms", sd = "5ms" }
        [devices]
        generate = { count = 40, kind = "mac" }
        [arrival]
        stages = [{ duration = "400ms", rate = 100 }]
    "#,
    )
    .finish();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.number("devices.provisioned"), 40);
}
