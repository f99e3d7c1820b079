//! Our target against clients that we did not write, and against none at all.

use std::io::Write;
use std::net::UdpSocket;
use std::process::{Command, Output, Stdio};

use fleetcall::target::Target;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg32;
use serde_json::json;

use super::{Files, Pki, TOKEN, ask, config, messages, open, secured, target};
use crate::support::api::Api;
use crate::support::{Peer, eventually, program, succeed};

/// Runs a command off the runtime's threads.
async fn run(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || succeed(&mut command))
        .await
        .unwrap()
}

/// libcoap's example client, which posts one reading.
fn libcoap(flavour: &str, files: &Files, target: &Target, path: &str) -> Command {
    let mut command = program(&format!("coap-client-{flavour}"));
    let addr = target.coaps().unwrap();
    command
        .args(["-m", "post", "-e", "{\"t\":1}", "-B", "10", "-C"])
        .arg(&files.root)
        .arg(format!("coaps://{addr}/api/v1/{path}"));
    command
}

#[tokio::test]
async fn libcoap_sends_with_a_token_and_with_a_certificate() {
    let pki = Pki::new();
    let files = pki.files();
    let target = target(&pki).await;
    for (n, flavour) in [(1, "openssl"), (2, "gnutls")] {
        let by_token = libcoap(flavour, &files, &target, &format!("{TOKEN}/telemetry"));
        run(by_token).await;
        assert_eq!(messages(&target, "D2"), n, "{flavour}");

        let mut by_certificate = libcoap(flavour, &files, &target, "telemetry");
        by_certificate
            .arg("-c")
            .arg(&files.device)
            .arg("-j")
            .arg(&files.device_key);
        run(by_certificate).await;
        assert_eq!(messages(&target, "D1"), n, "{flavour}");

        // Without a certificate there is no such path.
        run(libcoap(flavour, &files, &target, "telemetry")).await;
        assert_eq!(messages(&target, "D1"), n, "{flavour}");
    }
    assert_eq!(target.counts().coap_requests, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn libcoap_observes_by_its_certificate() {
    let pki = Pki::new();
    let files = pki.files();
    let api = Api::start(config(&pki)).await;
    let mut command = program("coap-client-openssl");
    command.args(["-s", "30", "-w", "-C"]).arg(&files.root);
    command.arg("-c").arg(&files.device);
    command.arg("-j").arg(&files.device_key);
    let addr = api.target.coaps().unwrap();
    command.arg(format!("coaps://{addr}/api/v1/attributes"));
    let device = Peer::start(&mut command);
    assert_eq!(device.next(), json!({}));
    for update in [json!({"a": 1}), json!({"b": ["x", null]})] {
        api.share("D1", update.clone()).await;
        assert_eq!(device.next(), update);
    }
    drop(device);
}

/// `openssl s_client`, which sends a line that is no CoAP, waits for the end of its input and
/// leaves; returns what it printed.
async fn openssl(target: &Target, files: &Files, more: &[&str]) -> String {
    let mut command = program("openssl");
    command
        .args(["s_client", "-dtls1_2", "-4", "-connect"])
        .arg(target.coaps().unwrap().to_string())
        .arg("-CAfile")
        .arg(&files.root)
        .args(more)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"hello\n").unwrap();
    let output = tokio::task::spawn_blocking(move || child.wait_with_output());
    let output = output.await.unwrap().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn openssl_verifies_the_chain_and_is_asked_for_a_certificate() {
    let pki = Pki::new();
    let files = pki.files();
    let target = target(&pki).await;
    let (certificate, key) = (
        files.device.to_str().unwrap(),
        files.device_key.to_str().unwrap(),
    );
    let shown = [
        "-cert",
        certificate,
        "-cert_chain",
        certificate,
        "-key",
        key,
    ];
    let in_pieces = [&shown[..], &["-mtu", "300"]].concat();
    for more in [&[][..], &shown, &in_pieces] {
        let printed = openssl(&target, &files, more).await;
        assert!(printed.contains("Verification: OK"), "{printed}");
        assert!(printed.contains("Client Certificate Types: "), "{printed}");
        assert!(printed.contains("TLSv1.2"), "{printed}");
    }
    assert_eq!(target.counts().coap_requests, 0);
}

#[tokio::test]
async fn garbage_and_half_handshakes_do_no_harm() {
    let pki = Pki::new();
    let target = target(&pki).await;
    let addr = target.coaps().unwrap();
    let mut connection = open(&secured(addr, pki.trust()), Some(&pki.device))
        .await
        .unwrap()
        .connection;

    let mut random = Pcg32::seed_from_u64(1);
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    stranger.connect(addr).unwrap();
    for _ in 0..2_000 {
        let mut datagram: Vec<u8> = (0..random.random_range(0..200))
            .map(|_| random.random())
            .collect();
        if random.random_bool(0.5) && datagram.len() > 13 {
            // A record's header in front, often a ClientHello's.
            let length = (datagram.len() - 13) as u16;
            datagram[..11].copy_from_slice(&[22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0]);
            datagram[11..13].copy_from_slice(&length.to_be_bytes());
            if random.random_bool(0.8) && datagram.len() > 25 {
                datagram[13] = 1;
                datagram[19..22].fill(0);
            }
        }
        let _ = stranger.send(&datagram);
    }

    for n in 1..=3 {
        ask(&mut connection, "/api/v1/telemetry", "{\"t\":1}").await;
        assert_eq!(messages(&target, "D1"), n);
    }
    // The stranger's port may still become a client.
    let opened = open(&secured(addr, pki.trust()), None).await;
    assert!(opened.unwrap().tls.is_some());
    eventually(|| target.counts().coap_requests == 3);
}
