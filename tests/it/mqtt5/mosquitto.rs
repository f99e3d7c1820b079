//! Our device against Mosquitto.

use std::fs;
use std::net::SocketAddr;
use std::process::Stdio;

use fleetcall::model::{FaultKind, Login, Phase, Qos, Request, Status};
use fleetcall::transport::{Connection, Opened};
use tempfile::TempDir;
use tokio::time::Instant;

use super::device::dial;
use crate::support::{PATIENCE, Process, free_tcp_port, program, succeed, wait_for_tcp};
use crate::transport_hostile::{TELEMETRY, open, telemetry, topic};
use crate::transport_peers::Lines;

struct Broker {
    addr: SocketAddr,
    _process: Process,
    _files: TempDir,
}

impl Broker {
    /// A broker with further lines of configuration, in which `DIR` is a directory that has
    /// `passwords` (of `fleet`, `secret`) and `acl` (`provision` may do anything but send telemetry).
    fn start(lines: &str) -> Self {
        let files = tempfile::tempdir().unwrap();
        let port = free_tcp_port();
        succeed(
            program("mosquitto_passwd")
                .args(["-b", "-c"])
                .arg(files.path().join("passwords"))
                .args(["fleet", "secret"]),
        );
        let acl = format!("user provision\ntopic readwrite #\ntopic deny {TELEMETRY}\n");
        fs::write(files.path().join("acl"), acl).unwrap();
        let lines = lines.replace("DIR", files.path().to_str().unwrap());
        let config = format!("listener {port} 127.0.0.1\nuser root\n{lines}\n");
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

    async fn connect(&self) -> Connection {
        open(&dial(self.addr)).await.unwrap().connection
    }
}

#[tokio::test]
async fn telemetry_arrives_as_it_was_sent() {
    let broker = Broker::start("allow_anonymous true");
    let mut process = Process::start(
        // Line by line: a pipe would else be filled before anything shows.
        program("stdbuf")
            .arg("-oL")
            .arg(program("mosquitto_sub").get_program())
            .args(["-h", "127.0.0.1", "-p", &broker.addr.port().to_string()])
            .args(["-V", "5", "-t", TELEMETRY, "-q", "1", "-d"])
            .args(["-F", "GOT %t %q %p"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped()),
    );
    let seen = Lines::of(&mut process);
    seen.next("Subscribed");
    let mut connection = broker.connect().await;
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
    let broker = Broker::start("allow_anonymous true");
    let mut connection = broker.connect().await;
    for qos in [Qos::AtLeastOnce, Qos::AtMostOnce] {
        // The broker sends back to us what we publish on a topic of our own.
        let echo = topic("echo", Some("echo"), qos, r#"{"n":1}"#);
        let answered = connection.exchange(&echo).await.unwrap();
        assert_eq!(answered.reply.status, Status::Topic);
        assert_eq!(answered.reply.body, br#"{"n":1}"#[..]);
    }
    connection.close().await;
}

#[tokio::test]
async fn a_publish_that_nobody_takes_is_acknowledged_and_one_that_may_not_be_is_refused() {
    let broker = Broker::start("allow_anonymous true\nacl_file DIR/acl");
    let mut connection = broker.connect().await;
    // Mosquitto says 0x10, no matching subscribers.
    let elsewhere = topic("elsewhere", None, Qos::AtLeastOnce, "{}");
    let sent = connection.exchange(&elsewhere).await.unwrap();
    assert_eq!(sent.reply.status, Status::Acknowledged);
    for reply in [None, Some("answers")] {
        let denied = topic(TELEMETRY, reply, Qos::AtLeastOnce, "{}");
        let refused = connection.exchange(&denied).await.unwrap();
        assert_eq!(refused.reply.status, Status::PubackReason(0x87));
    }
    // The session went on all the while.
    let sent = connection.exchange(&elsewhere).await.unwrap();
    assert_eq!(sent.reply.status, Status::Acknowledged);
}

#[tokio::test]
async fn only_the_right_password_is_let_in() {
    let broker = Broker::start("allow_anonymous false\npassword_file DIR/passwords");
    let not_authorized = Some(FaultKind::ConnackReason(0x87));
    for (username, password, refusal) in [
        (Some("fleet"), Some("secret"), None),
        (Some("fleet"), Some("wrong"), not_authorized),
        (Some("nobody"), Some("secret"), not_authorized),
        (None, None, not_authorized),
    ] {
        let login = Login {
            client_id: "c1".into(),
            username: username.map(Into::into),
            password: password.map(Into::into),
        };
        let opened = Connection::open(&dial(broker.addr), &login, None, 0).await;
        let refused = opened.err().map(|fault| (fault.phase, fault.kind));
        assert_eq!(refused, refusal.map(|kind| (Phase::MqttConnect, kind)));
    }
}

#[tokio::test]
async fn a_goodbye_of_the_broker_is_named() {
    let broker = Broker::start("allow_anonymous true");
    // A publish has no wildcard in its topic, and without an alias it has a topic: protocol errors.
    for publish in ["a/#", ""] {
        let mut connection = broker.connect().await;
        let nonsense = topic(publish, None, Qos::AtLeastOnce, "{}");
        let ended = connection.exchange(&nonsense).await.unwrap_err();
        let kind = FaultKind::DisconnectReason(0x82);
        assert_eq!((ended.kind, ended.sent), (kind, true), "{publish:?}");
    }
}

#[tokio::test]
async fn a_session_that_is_taken_over_ends() {
    let broker = Broker::start("allow_anonymous true");
    let mut first = broker.connect().await;
    // The same client id again.
    let mut second = broker.connect().await;
    let deadline = Instant::now() + PATIENCE;
    let ended = first.idle_until(deadline).await.unwrap_err();
    // Mosquitto 2.0.11 closes without a word; later ones may say 0x8e.
    assert!(
        ["connection_closed", "disconnect_0x8e"].contains(&&*ended.kind.to_string()),
        "{ended:?}"
    );
    let sent = second.exchange(&telemetry(Qos::AtLeastOnce, "{}")).await;
    assert_eq!(sent.unwrap().reply.status, Status::Acknowledged);
}

#[tokio::test]
async fn the_brokers_bounds_are_kept() {
    // Mosquitto announces both; it would answer a longer packet with DISCONNECT 0x95, and a
    // better acknowledged one with 0x9b.
    let broker = Broker::start("max_qos 0\nallow_anonymous true\nmax_packet_size 100");
    let mut connection = broker.connect().await;
    let sent = connection
        .exchange(&telemetry(Qos::AtLeastOnce, "{}"))
        .await;
    assert_eq!(sent.unwrap().reply.status, Status::Unacknowledged);
    let long = Request {
        body: vec![b' '; 100].into(),
        ..telemetry(Qos::AtLeastOnce, "")
    };
    let unsent = connection.exchange(&long).await.unwrap_err();
    assert_eq!(
        (unsent.kind, unsent.sent),
        (FaultKind::PacketTooLarge, false)
    );
}

#[tokio::test]
async fn a_payload_beyond_the_brokers_own_limit_is_refused_by_puback() {
    let broker = Broker::start("allow_anonymous true\nmessage_size_limit 10");
    let mut connection = broker.connect().await;
    let long = telemetry(Qos::AtLeastOnce, r#"{"temperature":21.5}"#);
    let refused = connection.exchange(&long).await.unwrap();
    assert_eq!(refused.reply.status, Status::PubackReason(0x95));
}

#[tokio::test]
async fn a_connect_is_timed() {
    let broker = Broker::start("allow_anonymous true");
    let Opened { tcp, mqtt, .. } = open(&dial(broker.addr)).await.unwrap();
    let (tcp, mqtt) = (tcp.unwrap(), mqtt.unwrap());
    assert!(tcp.sent <= tcp.done && tcp.done <= mqtt.sent && mqtt.sent <= mqtt.done);
}
