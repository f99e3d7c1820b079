//! The listeners and their handshakes, whoever the client is.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::*;
use crate::support::{PATIENCE, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn both_versions_of_tls_verify_against_the_authority_it_shows() {
    let house = House::start(TargetConfig::default()).await;
    for (flag, version) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let checks = ["-verify_return_error", "-verify_ip", "127.0.0.1"];
        let said = s_client(&house, &[&checks[..], &[flag]].concat()).await;
        assert!(said.contains("Verify return code: 0 (ok)"), "{said}");
        assert!(said.contains(version), "{said}");
    }
    let said = s_client(&house, &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]).await;
    assert!(said.contains("SSL alert number"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configured_identity_is_shown_with_its_last_certificate_to_trust() {
    let root = authority("root");
    let between = root
        .intermediate("between", KeyKind::P384, Validity::days(2))
        .unwrap();
    let identity = between
        .issue_server(&["127.0.0.1"], KeyKind::Ed25519, Validity::days(2))
        .unwrap();
    let house = House::start(TargetConfig {
        identity: Some(identity),
        ..TargetConfig::default()
    })
    .await;
    let trusted = fs::read_to_string(house.path("ca.pem")).unwrap();
    assert!(between.identity().certificates_pem().starts_with(&trusted));
    let said = s_client(&house, &["-partial_chain", "-verify_return_error"]).await;
    assert!(said.contains("Verify return code: 0 (ok)"), "{said}");
}

#[tokio::test]
async fn without_a_secured_listener_there_is_no_authority() {
    let anywhere = Some("127.0.0.1:0".parse().unwrap());
    let target = Target::start(TargetConfig {
        mqtt: anywhere,
        ..TargetConfig::default()
    })
    .await
    .unwrap();
    assert_eq!(target.ca_pem(), None);
    assert_eq!((target.mqtts(), target.https()), (None, None));
}

async fn curl(house: &House, path: &str, body: &str, more: &[&str]) -> (String, String) {
    let mut command = program("curl");
    let port = house.target.https().unwrap().port();
    command.args(["-sS", "--max-time", "20", "-w", "\n%{http_code}"]);
    command.args(["-H", "Content-Type: application/json", "-d", body]);
    command.arg(format!("https://localhost:{port}{path}"));
    // The name may mean ::1 as well, where nothing listens.
    command
        .arg("-4")
        .arg("--cacert")
        .arg(house.path("ca.pem"))
        .args(more);
    let output = run(command).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let text = String::from_utf8(output.stdout).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap();
    (status.to_owned(), body.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_provisions_and_sends_telemetry_over_https() {
    let house = House::start(TargetConfig {
        profiles: vec![allow()],
        ..TargetConfig::default()
    })
    .await;
    // A certificate that anybody made is of no interest here.
    let (certificate, key) = house.write("client", &leaf(&authority("other"), "D1"));
    let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    let request =
        r#"{"deviceName":"D1","provisionDeviceKey":"K","provisionDeviceSecret":"S","token":"T1"}"#;
    for (more, status) in [
        (&[][..], "SUCCESS"),
        (&["--cert", certificate, "--key", key], "FAILURE"),
    ] {
        let (code, body) = curl(&house, "/api/v1/provision", request, more).await;
        let answer: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((&*code, answer["status"].as_str()), ("200", Some(status)));
    }
    let (code, _) = curl(&house, "/api/v1/T1/telemetry", r#"{"t":1}"#, &["--tlsv1.3"]).await;
    assert_eq!(code, "200");
    assert_eq!(house.target.device("D1").unwrap().telemetry_messages, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_and_a_client_that_hangs_up_hurt_nobody() {
    let house = House::start(TargetConfig::default()).await;
    let mut stalled = TcpStream::connect(house.target.mqtts().unwrap()).unwrap();
    stalled.write_all(&[0x16, 3, 1]).unwrap();
    for addr in [house.target.mqtts(), house.target.https()] {
        let addr = addr.unwrap();
        tokio::task::spawn_blocking(move || {
            let mut tcp = TcpStream::connect(addr).unwrap();
            tcp.set_read_timeout(Some(PATIENCE)).unwrap();
            tcp.write_all(&vec![0x10; 70_000]).unwrap();
            let mut alert = Vec::new();
            tcp.read_to_end(&mut alert).unwrap();
            // An alert record, fatal.
            assert_eq!((alert[0], alert[5]), (21, 2));
            drop(TcpStream::connect(addr).unwrap());
        })
        .await
        .unwrap();
    }
    eventually(|| house.target.counts().handshakes_failed == 4);
    eventually(|| house.target.counts().connections_now == 1);
    let said = s_client(&house, &[]).await;
    assert!(said.contains("Verify return code: 0 (ok)"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_handshake_has_ten_seconds() {
    let house = House::start(TargetConfig::default()).await;
    for addr in [house.target.mqtts(), house.target.https()] {
        let start = tokio::time::Instant::now();
        let mut tcp = tokio::net::TcpStream::connect(addr.unwrap()).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut tcp, &[0x16, 3, 1])
            .await
            .unwrap();
        let mut rest = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut tcp, &mut rest)
            .await
            .unwrap();
        assert_eq!((start.elapsed().as_secs(), rest.len()), (10, 0));
    }
    assert_eq!(house.target.counts().handshakes_failed, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn openssl_is_told_that_its_chain_is_out_of_order() {
    let house = House::start(TargetConfig::default()).await;
    let ca = authority("root");
    let between = ca
        .intermediate("between", KeyKind::P256, Validity::days(2))
        .unwrap();
    house.write("leaf", &leaf(&between, "d1"));
    house.write("between", between.identity());
    house.write("root", ca.identity());
    for version in ["-tls1_2", "-tls1_3"] {
        let shown = ["-cert", "leaf", "-key", "leaf.key", version];
        for (chain, told) in [("root", true), ("between", false)] {
            // A refused client waits for its alert, the other one leaves.
            let stay: &[&str] = if told { &["-ign_eof"] } else { &[] };
            let args = [&shown[..], &["-cert_chain", chain], stay].concat();
            let said = s_client(&house, &args).await;
            assert_eq!(said.contains("alert bad certificate"), told, "{said}");
        }
    }
    assert_eq!(house.target.counts().handshakes_failed, 2);
}
