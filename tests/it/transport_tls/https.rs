//! Against Python's http.server on OpenSSL.

use std::net::SocketAddr;
use std::time::Duration;

use fleetcall::model::{FaultKind, Phase, Status, TransportKind};
use fleetcall::pki::Identity;
use fleetcall::transport::{Connection, Dial, Tls, Trust};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::time::Instant;

use super::{Files, House, dial_with, open_as, refusal, text};
use crate::support::{program, succeed};
use crate::transport_hostile::post;
use crate::transport_peers::Script;

const PATH: &str = "/api/v1/ABCDEFGHIJ0123456789/telemetry";

/// A server of this house in one version of TLS, strict or not.
fn server(files: &Files, mode: &str, version: &str, strict: bool) -> Script {
    let [certificates, key, authority] =
        ["certificates.pem", "key.pem", "authority.pem"].map(|name| files.path(name));
    let mut args = vec![mode, text(&certificates), text(&key), version];
    if strict {
        args.push(text(&authority));
    }
    Script::start("http_server.py", &args)
}

/// Exchanges once: the number of the connection that carried it, and who the server thinks we are.
async fn carried(connection: &mut Connection, body: &str) -> (u64, Option<String>) {
    let request = post(PATH, body.to_owned());
    let reply = connection.exchange(&request).await.unwrap().reply;
    assert_eq!(reply.status, Status::Http(201));
    let understood: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(understood["path"], PATH);
    assert_eq!(understood["body"], body);
    (
        understood["connection"].as_u64().unwrap(),
        understood["peer"].as_str().map(str::to_owned),
    )
}

async fn pause(connection: &mut Connection) {
    // For the close that may follow an answer without a word.
    let later = Instant::now() + Duration::from_millis(200);
    connection.idle_until(later).await.unwrap();
}

#[tokio::test]
async fn a_connection_is_kept_alive_or_replaced_under_the_same_certificate() {
    let house = House::new("house");
    let device = house.device("device-1");
    let files = Files::of(&house.server, &house.authority);
    for version in ["1.2", "1.3"] {
        for (mode, carriers) in [
            ("keep-alive", [1, 1, 1]),
            ("announced-close", [1, 2, 3]),
            ("silent-close", [1, 2, 3]),
        ] {
            let server = server(&files, mode, version, true);
            let dial = house.dial(TransportKind::Https, server.addr);
            let opened = open_as(&dial, Some(&device)).await.unwrap();
            assert!(opened.tls.is_some() && opened.mqtt.is_none());
            let mut connection = opened.connection;
            for carrier in carriers {
                let (number, peer) = carried(&mut connection, r#"{"t":21.5}"#).await;
                assert_eq!(
                    (number, peer.as_deref()),
                    (carrier, Some("device-1")),
                    "{mode}"
                );
                pause(&mut connection).await;
            }
            connection.close().await;
        }
    }
}

#[tokio::test]
async fn a_long_body_arrives_whole() {
    let house = House::new("house");
    let files = Files::of(&house.server, &house.authority);
    let server = server(&files, "keep-alive", "1.3", false);
    let dial = house.dial(TransportKind::Https, server.addr);
    let mut connection = open_as(&dial, None).await.unwrap().connection;
    for length in [16_383, 16_384, 16_385, 100_000] {
        carried(&mut connection, &"x".repeat(length)).await;
    }
    connection.close().await;
}

/// What becomes of an attempt with this certificate, or without one; the alert may come before the
/// request is sent, or after.
async fn attempt(dial: &Dial, identity: Option<&Identity>, wait: bool) -> (Phase, FaultKind) {
    match open_as(dial, identity).await {
        Err(fault) => (fault.phase, fault.kind),
        Ok(opened) => {
            let mut connection = opened.connection;
            if wait {
                pause(&mut connection).await;
            }
            let fault = connection.exchange(&post(PATH, "{}")).await.unwrap_err();
            (Phase::Provision, fault.kind)
        }
    }
}

#[tokio::test]
async fn a_certificate_is_rejected_within_the_handshake_in_tls_1_2_and_after_it_in_1_3() {
    let house = House::new("house");
    let files = Files::of(&house.server, &house.authority);
    let stranger = House::new("abroad").device("device-1");
    for (version, identity, alert) in [
        ("1.2", None, 40),
        ("1.2", Some(&stranger), 48),
        ("1.3", None, 116),
        ("1.3", Some(&stranger), 48),
    ] {
        let server = server(&files, "keep-alive", version, true);
        let dial = house.dial(TransportKind::Https, server.addr);
        let alert = FaultKind::TlsAlert(alert);
        let phase = match version {
            "1.2" => Phase::TlsHandshake,
            _ => Phase::Provision,
        };
        for wait in [false, true] {
            let refused = attempt(&dial, identity, wait).await;
            assert_eq!(refused, (phase, alert), "{version} {wait}");
        }
    }
}

/// A certificate that the server makes itself, as guides for servers tell it: with these arguments
/// of `openssl req`.
fn own_making(files: &Files, arguments: &[&str]) -> CertificateDer<'static> {
    succeed(
        program("openssl")
            .args(["req", "-x509", "-nodes", "-days", "2", "-keyout"])
            .arg(files.path("key.pem"))
            .arg("-out")
            .arg(files.path("certificates.pem"))
            .args(arguments),
    );
    CertificateDer::from_pem_file(files.path("certificates.pem")).unwrap()
}

const RSA: [&str; 2] = ["-newkey", "rsa:2048"];
const P256: [&str; 4] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
const UNTRUSTED: (Phase, FaultKind) = (Phase::TlsHandshake, FaultKind::TlsServerUntrusted);

fn secured(addr: SocketAddr, trust: Trust, host: &str) -> Dial {
    let tls = Tls::new(trust, host, false).unwrap();
    dial_with(TransportKind::Https, addr, tls)
}

#[tokio::test]
async fn a_server_with_an_rsa_key_is_understood_in_both_versions() {
    let house = House::new("house");
    let files = Files::of(&house.server, &house.authority);
    own_making(&files, &[&RSA[..], &["-subj", "/CN=rsa"]].concat());
    for version in ["1.2", "1.3"] {
        let server = server(&files, "keep-alive", version, false);
        let dial = secured(server.addr, Trust::Insecure, "127.0.0.1");
        let mut connection = open_as(&dial, None).await.unwrap().connection;
        assert_eq!(carried(&mut connection, "{}").await, (1, None));
        connection.close().await;
        let dial = house.dial(TransportKind::Https, server.addr);
        assert_eq!(refusal(&dial, None).await, UNTRUSTED);
    }
}

#[tokio::test]
async fn a_certificate_of_the_servers_own_making_is_trusted_when_it_was_given() {
    let house = House::new("house");
    let files = Files::of(&house.server, &house.authority);
    for (more, host) in [
        (&["-subj", "/CN=127.0.0.1"][..], "127.0.0.1"),
        (&["-subj", "/CN=Server.example"], "server.example"),
        (
            &[
                "-subj",
                "/CN=x",
                "-addext",
                "subjectAltName=DNS:iot.example",
            ],
            "iot.example",
        ),
    ] {
        let like_it = own_making(&files, &[&P256[..], more].concat());
        let given = own_making(&files, &[&P256[..], more].concat());
        for version in ["1.2", "1.3"] {
            let server = server(&files, "keep-alive", version, false);
            let trusting = |root: &CertificateDer<'static>, host| {
                secured(server.addr, Trust::Roots(vec![root.clone()]), host)
            };
            let mut connection = open_as(&trusting(&given, host), None)
                .await
                .unwrap()
                .connection;
            assert_eq!(carried(&mut connection, "{}").await, (1, None));
            connection.close().await;
            for dial in [trusting(&given, "x"), trusting(&like_it, host)] {
                assert_eq!(refusal(&dial, None).await, UNTRUSTED, "{host}");
            }
        }
    }
}

#[tokio::test]
async fn an_old_certificate_is_taken_by_those_who_believe_everybody_if_its_key_is_there() {
    let house = House::new("house");
    let files = Files::of(&house.server, &house.authority);
    for key in [&RSA[..], &P256] {
        own_making(&files, &[key, &["-subj", "/CN=old"]].concat());
        let request = files.path("request.pem");
        succeed(
            program("openssl")
                .args(["req", "-new", "-subj", "/CN=old", "-key"])
                .arg(files.path("key.pem"))
                .arg("-out")
                .arg(&request),
        );
        succeed(
            program("openssl")
                .args(["x509", "-req", "-days", "2", "-in"])
                .arg(request)
                .arg("-signkey")
                .arg(files.path("key.pem"))
                .arg("-out")
                .arg(files.path("certificates.pem")),
        );
        let shown = CertificateDer::from_pem_file(files.path("certificates.pem")).unwrap();
        let (_, parsed) = x509_parser::parse_x509_certificate(&shown).unwrap();
        assert_eq!(parsed.version(), x509_parser::x509::X509Version::V1);
        for version in ["1.2", "1.3"] {
            let server = server(&files, "keep-alive", version, false);
            let dial = secured(server.addr, Trust::Insecure, "127.0.0.1");
            let mut connection = open_as(&dial, None).await.unwrap().connection;
            assert_eq!(carried(&mut connection, "{}").await, (1, None));
            connection.close().await;
        }
    }
}
