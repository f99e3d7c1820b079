//! Against Mosquitto.

use std::fs;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use fleetcall::model::{FaultKind, Login, Phase, Qos, Status, TransportKind};
use fleetcall::transport::Connection;
use tempfile::TempDir;
use tokio::time::Instant;

use super::Lines;
use crate::support::{Process, free_tcp_port, program, succeed, wait_for_tcp};
use crate::transport_hostile::{TELEMETRY, dial, open, telemetry, topic};

pub(crate) struct Broker {
    pub(crate) addr: SocketAddr,
    _process: Process,
    _files: TempDir,
}

impl Broker {
    /// A broker that only lets `fleet` in, with the password `secret`, or anybody.
    pub(crate) fn start(only_fleet: bool) -> Self {
        let files = tempfile::tempdir().unwrap();
        let port = free_tcp_port();
        let passwords = files.path().join("passwords");
        let mut config = format!(
            "listener {port} 127.0.0.1\nuser root\nallow_anonymous {}\n",
            !only_fleet
        );
        if only_fleet {
            succeed(
                program("mosquitto_passwd")
                    .args(["-b", "-c"])
                    .arg(&passwords)
                    .args(["fleet", "secret"]),
            );
            config.push_str("password_file ");
            config.push_str(passwords.to_str().unwrap());
        }
        let path = files.path().join("mosquitto.conf");
        fs::write(&path, config).unwrap();
        let process = Process::start(
            program("mosquitto")
                .arg("-c")
                .arg(path)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null()),
        );
        let addr = SocketAddr::from(([127, 0, 0, 1], port));
        wait_for_tcp(addr);
        Self {
            addr,
            _process: process,
            _files: files,
        }
    }

    /// Starts `mosquitto_sub` on the telemetry topic and waits until it is subscribed.
    fn subscriber(&self) -> (Process, Lines) {
        let mut process = Process::start(
            // Line by line: a pipe would else be filled before anything shows.
            program("stdbuf")
                .arg("-oL")
                .arg(program("mosquitto_sub").get_program())
                .args(["-h", "127.0.0.1", "-p", &self.addr.port().to_string()])
                .args(["-t", TELEMETRY, "-q", "1", "-d", "-F", "GOT %t %q %p"])
                .stdin(Stdio::null())
                .stdout(Stdio::piped()),
        );
        let lines = Lines::of(&mut process);
        lines.next("Subscribed");
        (process, lines)
    }
}

#[tokio::test]
async fn telemetry_arrives_as_it_was_sent() {
    let broker = Broker::start(false);
    let (_process, seen) = broker.subscriber();
    let opened = open(&dial(TransportKind::Mqtt, broker.addr)).await.unwrap();
    assert!(opened.tcp.is_some() && opened.mqtt.is_some());
    let mut connection = opened.connection;
    for (qos, status, body) in [
        (
            Qos::AtLeastOnce,
            Status::Acknowledged,
            r#"{"t":1,"s":"ä b"}"#,
        ),
        (Qos::AtMostOnce, Status::Unacknowledged, r#"{"t":2}"#),
        (Qos::AtLeastOnce, Status::Acknowledged, ""),
    ] {
        let sent = connection.exchange(&telemetry(qos, body)).await.unwrap();
        assert_eq!(sent.reply.status, status);
        let level = u8::from(qos == Qos::AtLeastOnce);
        let arrived = seen.next("GOT ");
        assert_eq!(arrived, format!("GOT {TELEMETRY} {level} {body}"));
    }
    connection.close().await;
}

#[tokio::test]
async fn an_answer_comes_over_a_subscription_that_the_broker_granted() {
    let broker = Broker::start(false);
    let opened = open(&dial(TransportKind::Mqtt, broker.addr)).await.unwrap();
    let mut connection = opened.connection;
    for body in [r#"{"n":1}"#, r#"{"n":2}"#, r#"{"n":3}"#] {
        // The broker sends back to us what we publish on a topic of our own.
        let echo = topic("echo", Some("echo"), Qos::AtLeastOnce, body);
        let answered = connection.exchange(&echo).await.unwrap();
        assert_eq!(answered.reply.status, Status::Topic);
        assert_eq!(answered.reply.body, body.as_bytes());
    }
    connection.close().await;
}

#[tokio::test]
async fn a_session_outlives_its_keep_alive() {
    let broker = Broker::start(false);
    let mut dial = dial(TransportKind::Mqtt, broker.addr);
    dial.keep_alive = Duration::from_secs(1);
    let mut connection = open(&dial).await.unwrap().connection;
    // Mosquitto ends a session after one and a half times its keep-alive without a packet.
    let later = Instant::now() + Duration::from_secs(4);
    connection.idle_until(later).await.unwrap();
    let sent = connection
        .exchange(&telemetry(Qos::AtLeastOnce, "{}"))
        .await;
    assert_eq!(sent.unwrap().reply.status, Status::Acknowledged);
}

#[tokio::test]
async fn only_the_right_password_is_let_in() {
    let broker = Broker::start(true);
    let dial = dial(TransportKind::Mqtt, broker.addr);
    for (username, password, refusal) in [
        (Some("fleet"), Some("secret"), None),
        (Some("fleet"), Some("wrong"), Some(FaultKind::Connack(5))),
        (Some("nobody"), Some("secret"), Some(FaultKind::Connack(5))),
        (None, None, Some(FaultKind::Connack(5))),
    ] {
        let login = Login {
            client_id: "c1".into(),
            username: username.map(Into::into),
            password: password.map(Into::into),
        };
        let opened = Connection::open(&dial, &login, None, 0).await;
        let refused = opened.err().map(|fault| (fault.phase, fault.kind));
        assert_eq!(refused, refusal.map(|kind| (Phase::MqttConnect, kind)));
    }
}

#[tokio::test]
async fn devices_are_spread_over_the_source_addresses() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut dial = dial(TransportKind::Http, listener.local_addr().unwrap());
    dial.sources = vec![[127, 0, 0, 2].into(), [127, 0, 0, 3].into()];
    for (ordinal, source) in [(0, 2), (1, 3), (2, 2), (u32::MAX, 3)] {
        let login = Login::default();
        let (opened, accepted) = tokio::join!(
            Connection::open(&dial, &login, None, ordinal),
            listener.accept()
        );
        opened.unwrap();
        assert_eq!(
            accepted.unwrap().1.ip(),
            std::net::IpAddr::from([127, 0, 0, source])
        );
    }
}
