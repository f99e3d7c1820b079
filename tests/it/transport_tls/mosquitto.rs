//! Against Mosquitto, which reads the device's name from its certificate.

use std::fs;
use std::net::SocketAddr;
use std::process::Stdio;

use fleetcall::model::{FaultKind, Phase, Qos, Status, TransportKind};
use fleetcall::pki::{KeyKind, Validity, self_signed};
use fleetcall::transport::{Tls, TlsError, Trust};

use super::{Files, House, dial_with, open_as, refusal, text};
use crate::support::{Process, free_tcp_port, program, wait_for_tcp};
use crate::transport_hostile::telemetry;
use crate::transport_peers::Lines;

struct Broker {
    addr: SocketAddr,
    log: Lines,
    _process: Process,
    _files: Files,
}

impl Broker {
    /// A broker that lets in devices of this house only, under the names in their certificates, or
    /// anybody.
    fn start(house: &House, strict: bool) -> Self {
        let files = Files::of(&house.server, &house.authority);
        let port = free_tcp_port();
        let mut config = format!(
            "user root\nlog_dest stdout\nlog_type all\nlistener {port} 127.0.0.1\n\
             certfile {}\nkeyfile {}\n",
            text(&files.path("certificates.pem")),
            text(&files.path("key.pem")),
        );
        if strict {
            config.push_str("allow_anonymous false\nrequire_certificate true\n");
            config.push_str("use_identity_as_username true\ncafile ");
            config.push_str(text(&files.path("authority.pem")));
        } else {
            config.push_str("allow_anonymous true");
        }
        let path = files.path("mosquitto.conf");
        fs::write(&path, config).unwrap();
        let mut process = Process::start(
            // Line by line: a pipe would else be filled before anything shows.
            program("stdbuf")
                .arg("-oL")
                .arg(program("mosquitto").get_program())
                .arg("-c")
                .arg(path)
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::null()),
        );
        let log = Lines::of(&mut process);
        let addr = SocketAddr::from(([127, 0, 0, 1], port));
        wait_for_tcp(addr);
        Self {
            addr,
            log,
            _process: process,
            _files: files,
        }
    }

    /// The next line of the log that says this.
    fn said(&self, what: &str) {
        while !self.log.next("").contains(what) {}
    }
}

#[tokio::test]
async fn a_device_is_known_by_its_certificate() {
    let house = House::new("house");
    let broker = Broker::start(&house, true);
    let dial = house.dial(TransportKind::Mqtts, broker.addr);
    let below = house
        .authority
        .intermediate("line 4", KeyKind::P384, Validity::days(2))
        .unwrap();
    for (name, identity) in [
        ("device-1", house.device("device-1")),
        (
            "device-2",
            below
                .issue("device-2", KeyKind::P384, Validity::days(2))
                .unwrap(),
        ),
        (
            "device-3",
            below
                .issue("device-3", KeyKind::Ed25519, Validity::days(2))
                .unwrap(),
        ),
    ] {
        let opened = open_as(&dial, Some(&identity)).await.unwrap();
        let (tcp, tls) = (opened.tcp.unwrap(), opened.tls.unwrap());
        assert!(tcp.done <= tls.sent && tls.sent < tls.done);
        assert!(tls.done <= opened.mqtt.unwrap().sent);
        broker.said(&format!("u'{name}'"));
        let mut connection = opened.connection;
        for _ in 0..3 {
            let sent = connection
                .exchange(&telemetry(Qos::AtLeastOnce, r#"{"t":1}"#))
                .await
                .unwrap();
            assert_eq!(sent.reply.status, Status::Acknowledged);
        }
        connection.close().await;
        broker.said("Received DISCONNECT");
    }
}

#[tokio::test]
async fn a_broker_rejects_a_certificate_by_an_alert_after_our_part_of_the_handshake() {
    let house = House::new("house");
    let broker = Broker::start(&house, true);
    let dial = house.dial(TransportKind::Mqtts, broker.addr);
    let expired = house
        .authority
        .issue("device-1", KeyKind::P256, Validity::expired())
        .unwrap();
    let alone = self_signed("device-1", KeyKind::P256, Validity::days(2)).unwrap();
    for (case, identity, alert) in [
        ("no certificate", None, 116),
        (
            "a foreign authority's",
            Some(House::new("abroad").device("device-1")),
            48,
        ),
        ("its own", Some(alone), 48),
        ("an expired one", Some(expired), 45),
    ] {
        assert_eq!(
            refusal(&dial, identity.as_ref()).await,
            (Phase::MqttConnect, FaultKind::TlsAlert(alert)),
            "{case}"
        );
    }
}

#[tokio::test]
async fn a_broker_that_is_not_trusted_gets_no_session() {
    let house = House::new("house");
    let broker = Broker::start(&house, false);
    let name = |trust, host| {
        let tls = Tls::new(trust, host, false).unwrap();
        dial_with(TransportKind::Mqtts, broker.addr, tls)
    };
    let untrusted = (Phase::TlsHandshake, FaultKind::TlsServerUntrusted);
    let abroad = House::new("house").trust();
    assert_eq!(refusal(&name(abroad, "127.0.0.1"), None).await, untrusted);
    for host in ["broker.example", "127.0.0.2"] {
        let dial = name(house.trust(), host);
        assert_eq!(refusal(&dial, None).await, untrusted, "{host}");
    }
    for host in ["127.0.0.1", "localhost"] {
        let opened = open_as(&name(house.trust(), host), None).await;
        opened.unwrap().connection.close().await;
    }
    let opened = open_as(&name(Trust::Insecure, "broker.example"), None).await;
    opened.unwrap().connection.close().await;
    match Tls::new(Trust::System, "127.0.0.1", false) {
        Ok(tls) => {
            let dial = dial_with(TransportKind::Mqtts, broker.addr, tls);
            assert_eq!(refusal(&dial, None).await, untrusted);
        }
        Err(TlsError::Roots(help)) => assert!(help.contains("SSL_CERT_FILE"), "{help}"),
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_broker_whose_certificate_expired_is_believed_only_by_those_who_believe_everybody() {
    let mut house = House::new("house");
    house.server = house
        .authority
        .issue_server(&["127.0.0.1"], KeyKind::P256, Validity::expired())
        .unwrap();
    let broker = Broker::start(&house, false);
    let dial = house.dial(TransportKind::Mqtts, broker.addr);
    let untrusted = (Phase::TlsHandshake, FaultKind::TlsServerUntrusted);
    assert_eq!(refusal(&dial, None).await, untrusted);
    let tls = Tls::new(Trust::Insecure, "127.0.0.1", false).unwrap();
    let dial = dial_with(TransportKind::Mqtts, broker.addr, tls);
    open_as(&dial, None).await.unwrap().connection.close().await;
}
