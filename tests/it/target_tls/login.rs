//! Logins with client certificates, and without one on the secured port.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use fleetcall::model::Credentials;
use fleetcall::pki::self_signed;
use fleetcall::target::Listed;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, RootCertStore, SupportedProtocolVersion, version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;

use super::*;
use crate::support::{PATIENCE, eventually, succeed};

fn provision(name: &str, hash: &str) -> String {
    json!({
        "deviceName": name,
        "provisionDeviceKey": "K",
        "provisionDeviceSecret": "S",
        "credentialsType": "X509_CERTIFICATE",
        "hash": hash,
    })
    .to_string()
}

fn listed(name: &str, credentials: Credentials) -> Listed {
    Listed {
        name: name.into(),
        profile: 0,
        credentials: Some(credentials),
        gateway: false,
        provisioned: false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_sent_as_pem_or_as_base64_logs_its_device_in() {
    let house = House::start(TargetConfig {
        profiles: vec![allow()],
        ..TargetConfig::default()
    })
    .await;
    let own = |name| self_signed(name, KeyKind::P256, Validity::days(2)).unwrap();
    let (pem, bare, never) = (own("pem"), own("bare"), own("never"));
    for (name, identity, hash) in [
        ("pem", &pem, pem.certificates_pem()),
        ("bare", &bare, bare.leaf_base64()),
    ] {
        let (cert, key) = house.write(name, identity);
        let device = json!({"cert": cert, "key": key, "user": "ignored", "messages": 1});
        let request = provision(name, &hash);
        // With its certificate it may ask for provisioning, too.
        let asking = json!({"cert": cert, "key": key, "user": "provision", "request": request});
        let seen = paho(&house, json!([device, asking, device])).await;
        assert_eq!(seen[0]["connack"], 5);
        let answer: Value = serde_json::from_str(seen[1]["response"].as_str().unwrap()).unwrap();
        assert_eq!(answer["credentialsValue"], identity.leaf_base64());
        assert_eq!(seen[2], json!({"connack": 0, "acked": 1}));
        assert_eq!(house.target.device(name).unwrap().telemetry_messages, 1);
    }
    assert_eq!(connack(&house, &never).await, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_presented_certificate_is_all_that_counts() {
    let house = House::start(TargetConfig {
        devices: vec![listed("d1", Credentials::AccessToken("T".into()))],
        ..TargetConfig::default()
    })
    .await;
    let unknown = self_signed("d1", KeyKind::P256, Validity::days(2)).unwrap();
    let (cert, key) = house.write("device", &unknown);
    let steps = json!([
        {"user": "T", "messages": 1},
        {"user": "T", "cert": cert, "key": key},
        {"user": "wrong"},
        {"client": "provision", "cert": cert, "key": key},
    ]);
    let seen = paho(&house, steps).await;
    let codes: Vec<_> = seen.iter().map(|step| step["connack"].clone()).collect();
    assert_eq!(codes, [0, 5, 5, 0]);
    assert_eq!(house.target.counts().bad_logins, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn dates_count_unless_they_are_not_to() {
    let expired = self_signed("d1", KeyKind::P256, Validity::expired()).unwrap();
    let certificate = expired.leaf_base64();
    for (skip_validity_check, code) in [(false, 5), (true, 0)] {
        let credentials = Credentials::X509 {
            certificate: certificate.clone(),
        };
        let house = House::start(TargetConfig {
            devices: vec![listed("d1", credentials)],
            skip_validity_check,
            ..TargetConfig::default()
        })
        .await;
        assert_eq!(connack(&house, &expired).await, code);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_rsa_certificate_of_version_1_logs_in_with_both_versions_of_tls() {
    let dir = tempfile::tempdir().unwrap();
    let path = |file: &str| dir.path().join(file).to_str().unwrap().to_owned();
    let (key, request, cert) = (path("key"), path("request"), path("cert"));
    for args in [
        format!("req -new -newkey rsa:2048 -nodes -keyout {key} -subj /CN=d1 -out {request}"),
        format!("x509 -req -in {request} -signkey {key} -days 2 -out {cert}"),
    ] {
        succeed(program("openssl").args(args.split(' ')));
    }
    let certificate = fs::read_to_string(&cert).unwrap();
    let house = House::start(TargetConfig {
        devices: vec![listed("d1", Credentials::X509 { certificate })],
        ..TargetConfig::default()
    })
    .await;
    for version in ["tlsv1.2", "tlsv1.3"] {
        let mut command = program("mosquitto_pub");
        let port = house.target.mqtts().unwrap().port().to_string();
        command.args(["-h", "127.0.0.1", "-p", &port, "--tls-version", version]);
        command.arg("--cafile").arg(house.path("ca.pem"));
        command.args(["--cert", &cert, "--key", &key]);
        command.args([
            "-t",
            "v1/devices/me/telemetry",
            "-q",
            "1",
            "-m",
            "{\"a\":1}",
        ]);
        let output = run(command).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{version}: {said}");
    }
    assert_eq!(house.target.device("d1").unwrap().telemetry_messages, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_device_has_one_session_over_both_ports() {
    let house = House::start(TargetConfig {
        devices: vec![listed("d1", Credentials::AccessToken("T".into()))],
        ..TargetConfig::default()
    })
    .await;
    let addr = house.target.mqtt().unwrap();
    let plain = move || {
        let mut tcp = TcpStream::connect(addr).unwrap();
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        // CONNECT with user name "T" and no client id.
        tcp.write_all(b"\x10\x0f\0\x04MQTT\x04\x82\0\x3c\0\0\0\x01T")
            .unwrap();
        let mut connack = [0; 4];
        tcp.read_exact(&mut connack).unwrap();
        assert_eq!(connack, [0x20, 2, 0, 0]);
        tcp
    };
    let mut first = tokio::task::spawn_blocking(plain).await.unwrap();
    let secured = paho(&house, json!([{"user": "T", "messages": 1, "stay": true}]));
    let back = async {
        tokio::task::spawn_blocking(move || {
            // The secured session takes over, and is taken over.
            assert_eq!(first.read(&mut [0]).unwrap(), 0);
        })
        .await
        .unwrap();
        let target = &house.target;
        tokio::task::block_in_place(|| {
            eventually(|| target.device("d1").unwrap().telemetry_messages == 1);
        });
        tokio::task::spawn_blocking(plain).await.unwrap()
    };
    let (seen, _second) = tokio::join!(secured, back);
    assert_eq!(seen[0], json!({"connack": 0, "acked": 1, "closed": true}));
    assert_eq!(house.target.counts().taken_over, 2);
    assert!(house.target.device("d1").unwrap().connected);
}

/// A client that resumes where it can, and the CONNACK code it gets.
async fn resuming(house: &House, terms: &Arc<ClientConfig>) -> (HandshakeKind, u8) {
    let tcp = tokio::net::TcpStream::connect(house.target.mqtts().unwrap())
        .await
        .unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut tls = TlsConnector::from(Arc::clone(terms))
        .connect(name, tcp)
        .await
        .unwrap();
    tls.write_all(b"\x10\x0d\0\x04MQTT\x04\x02\0\x3c\0\x01c")
        .await
        .unwrap();
    let mut connack = [0; 4];
    // Tickets come before it.
    tls.read_exact(&mut connack).await.unwrap();
    (tls.get_ref().1.handshake_kind().unwrap(), connack[3])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resumed_session_is_still_its_certificates() {
    let identity = self_signed("d1", KeyKind::P256, Validity::days(2)).unwrap();
    let unknown = self_signed("d1", KeyKind::P256, Validity::days(2)).unwrap();
    let certificate = identity.certificates_pem();
    let house = House::start(TargetConfig {
        devices: vec![listed("d1", Credentials::X509 { certificate })],
        ..TargetConfig::default()
    })
    .await;
    let versions: [&'static SupportedProtocolVersion; 2] = [&version::TLS12, &version::TLS13];
    for (version, identity, code) in versions
        .iter()
        .flat_map(|v| [(v, &identity, 0), (v, &unknown, 5)])
    {
        let mut roots = RootCertStore::empty();
        let ca = fs::read(house.path("ca.pem")).unwrap();
        roots
            .add(CertificateDer::from_pem_slice(&ca).unwrap())
            .unwrap();
        let terms = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[*version])
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(identity.chain().to_vec(), identity.key().clone_key())
            .unwrap();
        let terms = Arc::new(terms);
        for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
            assert_eq!(resuming(&house, &terms).await, (kind, code));
        }
    }
    assert_eq!(house.target.counts().sessions, 4);
}
