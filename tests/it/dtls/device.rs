//! Our devices against servers that we did not write.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use fleetcall::model::{FaultKind, Phase, Status};
use fleetcall::pki::Identity;
use fleetcall::transport::{Connection, Dial, Opened, Trust};
use tokio::net::UdpSocket;

use super::{Files, Pki, ask, free_udp_port, open, secured};
use crate::support::{Process, program};

/// 4.05, libcoap's answer to a POST to its clock.
const NOT_ALLOWED: Status = Status::Coap(0x85);

/// libcoap's example server, secured.
fn libcoap(flavour: &str, files: &Files) -> (Process, SocketAddr) {
    let port = free_udp_port();
    let process = Process::start(
        program(&format!("coap-server-{flavour}"))
            .args(["-A", "127.0.0.1", "-p", &port.to_string(), "-n", "-c"])
            .arg(&files.server)
            .arg("-j")
            .arg(&files.server_key)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null()),
    );
    (process, SocketAddr::from(([127, 0, 0, 1], port + 1)))
}

/// `openssl s_server`, with more arguments. It ends with its standard input.
fn openssl(files: &Files, more: &[&str]) -> (Process, SocketAddr) {
    let addr = SocketAddr::from(([127, 0, 0, 1], free_udp_port()));
    let process = Process::start(
        program("openssl")
            .args(["s_server", "-dtls1_2", "-4", "-accept"])
            .arg(addr.to_string())
            .arg("-cert")
            .arg(&files.server)
            .arg("-cert_chain")
            .arg(&files.server)
            .arg("-key")
            .arg(&files.server_key)
            .arg("-CAfile")
            .arg(&files.root)
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null()),
    );
    (process, addr)
}

/// Opens as soon as the server is there.
async fn open_soon(
    dial: &Dial,
    identity: Option<&Identity>,
) -> Result<Opened, fleetcall::transport::OpenFault> {
    loop {
        match open(dial, identity).await {
            Err(fault) if fault.kind == FaultKind::ConnectionRefused => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            opened => return opened,
        }
    }
}

#[tokio::test]
async fn a_request_is_answered_by_libcoap_over_openssl_and_over_gnutls() {
    let pki = Pki::new();
    let files = pki.files();
    for flavour in ["openssl", "gnutls"] {
        let (_server, addr) = libcoap(flavour, &files);
        // libcoap over OpenSSL shows its own certificate alone, whatever the file holds.
        let trust = if flavour == "openssl" {
            Trust::Roots(vec![pki.server.chain()[1].clone()])
        } else {
            pki.trust()
        };
        let dial = secured(addr, trust);
        for identity in [None, Some(&pki.device)] {
            let opened = open_soon(&dial, identity).await.unwrap();
            let handshake = opened.tls.unwrap();
            assert!(handshake.done > handshake.sent);
            assert!(opened.tcp.is_none());
            let mut connection = opened.connection;
            let reply = ask(&mut connection, "/time", "").await;
            assert_eq!(reply.status, NOT_ALLOWED, "{flavour}");
            let reply = ask(&mut connection, "/time", &"x".repeat(3_000)).await;
            assert!(matches!(reply.status, Status::Coap(code) if code >= 0x80));
            connection.close().await;
        }
    }
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_tells_a_device_without_one_by_an_alert() {
    let pki = Pki::new();
    let files = pki.files();
    let wants = ["-Verify", "3", "-verify_return_error"];
    let (_server, addr) = openssl(&files, &wants);
    let dial = secured(addr, pki.trust());
    let fault = open_soon(&dial, None).await.unwrap_err();
    assert_eq!(fault.phase, Phase::TlsHandshake);
    assert_eq!(fault.kind, FaultKind::TlsAlert(40), "handshake_failure");

    // It verifies the whole chain that the device shows.
    let (_server, addr) = openssl(&files, &wants);
    let opened = open_soon(&secured(addr, pki.trust()), Some(&pki.device)).await;
    assert!(matches!(opened.unwrap().connection, Connection::Coap(_)));

    // One that is no authority's is refused, in the same words.
    let stranger = Pki::new().device;
    let (_server, addr) = openssl(&files, &wants);
    let fault = open_soon(&secured(addr, pki.trust()), Some(&stranger)).await;
    let kind = fault.unwrap_err().kind;
    assert!(matches!(kind, FaultKind::TlsAlert(_)), "{kind:?}");
}

#[tokio::test]
async fn a_server_with_small_datagrams_is_understood() {
    let pki = Pki::new();
    let files = pki.files();
    let (_server, addr) = openssl(&files, &["-mtu", "300", "-verify", "3"]);
    let opened = open_soon(&secured(addr, pki.trust()), Some(&pki.device)).await;
    assert!(opened.unwrap().tls.is_some());
}

#[tokio::test]
async fn only_a_server_that_leads_to_a_trusted_root_is_believed() {
    let pki = Pki::new();
    let files = pki.files();
    let (_server, addr) = openssl(&files, &[]);
    let fault = open_soon(&secured(addr, Pki::new().trust()), None)
        .await
        .unwrap_err();
    assert_eq!(fault.phase, Phase::TlsHandshake);
    assert_eq!(fault.kind, FaultKind::TlsServerUntrusted);

    let (_server, addr) = openssl(&files, &[]);
    let mut other_name = secured(addr, pki.trust());
    let tls = fleetcall::transport::Tls::new(pki.trust(), "example.org", false);
    other_name.tls = Some(tls.unwrap());
    let fault = open_soon(&other_name, None).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::TlsServerUntrusted);

    let (_server, addr) = openssl(&files, &[]);
    assert!(
        open_soon(&secured(addr, Trust::Insecure), None)
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_server_that_leaves_is_noticed_by_the_next_exchange() {
    let pki = Pki::new();
    let files = pki.files();
    let (mut server, addr) = libcoap("gnutls", &files);
    let opened = open_soon(&secured(addr, pki.trust()), None).await;
    let mut connection = opened.unwrap().connection;
    let server_pid = nix::unistd::Pid::from_raw(server.0.id().try_into().unwrap());
    nix::sys::signal::kill(server_pid, nix::sys::signal::Signal::SIGINT).unwrap();
    let status = tokio::task::spawn_blocking(move || server.0.wait());
    status.await.unwrap().unwrap();
    let request = crate::transport_hostile::post("/any", "{}");
    let fault = connection.exchange(&request).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::ConnectionClosed);
    assert!(!fault.sent);
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_a_timeout_after_growing_pauses() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut dial = secured(silent.local_addr().unwrap(), Trust::Insecure);
    dial.connect_timeout = Duration::from_secs(10);
    let fault = open(&dial, None).await.unwrap_err();
    assert_eq!(fault.phase, Phase::TlsHandshake);
    assert_eq!(fault.kind, FaultKind::Timeout);
    let mut hellos = 0;
    let mut buffer = [0; 2048];
    while silent.try_recv(&mut buffer).is_ok() {
        hellos += 1;
    }
    assert_eq!(hellos, 4, "at 0, 1, 3 and 7 s");
}

#[tokio::test]
async fn what_is_no_dtls_and_what_is_not_there_have_their_own_words() {
    let echo = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let addr = echo.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 2048];
        while let Ok((_, peer)) = echo.recv_from(&mut buffer).await {
            let _ = echo
                .send_to(b"HTTP/1.1 400 Bad Request\r\n\r\n", peer)
                .await;
        }
    });
    let fault = open(&secured(addr, Trust::Insecure), None).await;
    assert_eq!(fault.unwrap_err().kind, FaultKind::TlsProtocol);

    let nobody = SocketAddr::from(([127, 0, 0, 1], free_udp_port()));
    let fault = open(&secured(nobody, Trust::Insecure), None).await;
    assert_eq!(fault.unwrap_err().kind, FaultKind::ConnectionRefused);
}
