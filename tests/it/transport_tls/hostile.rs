//! Servers that misbehave within the handshake, and what of all this is shown in texts.

use std::sync::Arc;
use std::time::Duration;

use fleetcall::model::{FaultKind, Phase, TransportKind};
use fleetcall::pki::{KeyKind, Validity};
use fleetcall::transport::{Dial, Tls, TlsError, Trust};
use rustls::pki_types::CertificateDer;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ServerConfig, ServerConnection};
use secrecy::ExposeSecret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::{House, dial_with, open_as, refusal};
use crate::transport_hostile::{reset, serve, serve_once, stay_silent};

const HANDSHAKE: Phase = Phase::TlsHandshake;

/// Reads the ClientHello, whole.
async fn hello(stream: &mut TcpStream) -> Vec<u8> {
    let mut record = vec![0; 5];
    stream.read_exact(&mut record).await.unwrap();
    assert_eq!(record[0], 22, "handshake");
    let length = usize::from(u16::from_be_bytes([record[3], record[4]]));
    record.resize(5 + length, 0);
    stream.read_exact(&mut record[5..]).await.unwrap();
    record
}

/// What rustls answers to a ClientHello: the whole first flight of a server of this house.
fn flight(house: &House, mut hello: &[u8], versions: super::Versions) -> Vec<u8> {
    let mut server = ServerConnection::new(Arc::new(house.config(false, versions))).unwrap();
    server.read_tls(&mut hello).unwrap();
    server.process_new_packets().unwrap();
    let mut flight = Vec::new();
    while server.wants_write() {
        server.write_tls(&mut flight).unwrap();
    }
    flight
}

/// A record of a handshake.
fn record(content: &[u8]) -> Vec<u8> {
    let mut record = vec![22, 3, 3];
    record.extend((content.len() as u16).to_be_bytes());
    record.extend(content);
    record
}

/// Whether this byte belongs to a record's version, which nobody looks at (RFC 8446 section 5.1).
fn in_version(records: &[u8], at: usize) -> bool {
    let mut start = 0;
    while start + 5 <= at {
        let length = u16::from_be_bytes([records[start + 3], records[start + 4]]);
        let next = start + 5 + usize::from(length);
        if at < next {
            break;
        }
        start = next;
    }
    at == start + 1 || at == start + 2
}

fn quick(house: &House, addr: std::net::SocketAddr) -> Dial {
    Dial {
        connect_timeout: Duration::from_millis(300),
        ..house.dial(TransportKind::Mqtts, addr)
    }
}

#[tokio::test]
async fn an_answer_that_is_no_tls_has_its_own_word() {
    let house = House::new("house");
    let begun = |length: [u8; 3], content: usize| {
        let server_hello = [vec![2], length.to_vec(), vec![0x5a; content]].concat();
        record(&server_hello)
    };
    let alert = |level, number| vec![21, 3, 3, 0, 2, level, number];
    let protocol = FaultKind::TlsProtocol;
    for (answer, kind) in [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), protocol),
        (vec![0x20, 2, 0, 0], protocol),
        (vec![0; 1_000], protocol),
        // A record longer than any may be, and one as long as it may.
        (
            [vec![22, 3, 3, 0xff, 0xff], vec![0x5a; 65_535]].concat(),
            protocol,
        ),
        (record(&[0x5a; 16_384]), protocol),
        // A message longer than any may be, and one that never ends.
        (begun([0xff, 0xff, 0xff], 1_000), protocol),
        (
            [
                begun([0, 0xff, 0xf0], 16_380),
                record(&[0x5a; 16_384]).repeat(40),
            ]
            .concat(),
            protocol,
        ),
        (record(&[0x5a]).repeat(60_000), protocol),
        // Application data before there are keys.
        (vec![23, 3, 3, 0, 3, 1, 2, 3], protocol),
        (alert(2, 70), FaultKind::TlsAlert(70)),
        (alert(2, 112), FaultKind::TlsAlert(112)),
        (alert(2, 255), FaultKind::TlsAlert(255)),
    ] {
        let shown = format!("{:?}", &answer[..answer.len().min(12)]);
        let addr = serve_once(async move |mut stream| {
            hello(&mut stream).await;
            // The client may go before it has read everything.
            let _ = stream.write_all(&answer).await;
            stay_silent(stream).await;
        })
        .await;
        let dial = house.dial(TransportKind::Mqtts, addr);
        assert_eq!(refusal(&dial, None).await, (HANDSHAKE, kind), "{shown}");
    }
}

#[tokio::test]
async fn a_server_that_stalls_at_any_point_of_the_handshake_is_a_timeout() {
    let house = Arc::new(House::new("house"));
    for versions in super::EACH_VERSION {
        for percent in [0, 10, 50, 99] {
            let inside = Arc::clone(&house);
            let addr = serve_once(async move |mut stream| {
                let flight = flight(&inside, &hello(&mut stream).await, versions);
                let part = &flight[..flight.len() * percent / 100];
                stream.write_all(part).await.unwrap();
                stay_silent(stream).await;
            })
            .await;
            assert_eq!(
                refusal(&quick(&house, addr), None).await,
                (HANDSHAKE, FaultKind::Timeout),
                "{percent} %"
            );
        }
    }
}

#[tokio::test]
async fn a_server_that_leaves_at_any_point_of_the_handshake_closed_or_reset_the_connection() {
    let house = Arc::new(House::new("house"));
    for versions in super::EACH_VERSION {
        for percent in [0, 10, 50, 99] {
            for (by_reset, kind) in [
                (false, FaultKind::ConnectionClosed),
                (true, FaultKind::ConnectionReset),
            ] {
                let inside = Arc::clone(&house);
                let addr = serve_once(async move |mut stream| {
                    let flight = flight(&inside, &hello(&mut stream).await, versions);
                    let part = &flight[..flight.len() * percent / 100];
                    stream.write_all(part).await.unwrap();
                    if by_reset {
                        reset(stream);
                    }
                })
                .await;
                let dial = house.dial(TransportKind::Mqtts, addr);
                assert_eq!(refusal(&dial, None).await, (HANDSHAKE, kind), "{percent} %");
            }
        }
    }
}

#[tokio::test]
async fn any_damage_to_the_servers_flight_is_a_fault_and_never_a_session() {
    let house = Arc::new(House::new("house"));
    for versions in super::EACH_VERSION {
        let inside = Arc::clone(&house);
        let turn = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let addr = serve(move |mut stream| {
            let (inside, turn) = (Arc::clone(&inside), Arc::clone(&turn));
            async move {
                let mut flight = flight(&inside, &hello(&mut stream).await, versions);
                let turn = turn.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let at = turn * 7 % flight.len();
                let at = if in_version(&flight, at) { at + 2 } else { at };
                flight[at] ^= 0xff;
                stream.write_all(&flight).await.unwrap();
                stream.shutdown().await.unwrap();
                // Until the client is gone.
                let _ = stream.read_to_end(&mut Vec::new()).await;
            }
        })
        .await;
        let dial = house.dial(TransportKind::Mqtts, addr);
        for _ in 0..200 {
            let (phase, kind) = refusal(&dial, None).await;
            assert_eq!(phase, HANDSHAKE);
            assert!(
                matches!(
                    kind,
                    FaultKind::TlsProtocol
                        | FaultKind::TlsServerUntrusted
                        | FaultKind::TlsAlert(_)
                        | FaultKind::ConnectionClosed
                ),
                "{kind:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_server_without_the_key_of_its_certificate_is_believed_by_nobody() {
    let (house, thief) = (House::new("house"), House::new("thief"));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = provider
        .key_provider
        .load_private_key(thief.server.key().clone_key());
    let shown = CertifiedKey::new(house.server.chain().to_vec(), key.unwrap());
    for versions in super::EACH_VERSION {
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(shown.clone())));
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let addr = serve(move |tcp| {
            let acceptor = acceptor.clone();
            async move { drop(acceptor.accept(tcp).await) }
        })
        .await;
        for trust in [house.trust(), Trust::Insecure] {
            let tls = Tls::new(trust, "127.0.0.1", false).unwrap();
            let dial = dial_with(TransportKind::Mqtts, addr, tls);
            assert_eq!(
                refusal(&dial, None).await,
                (HANDSHAKE, FaultKind::TlsServerUntrusted)
            );
        }
    }
}

#[tokio::test]
async fn https_has_the_same_words_for_a_failed_handshake() {
    let house = House::new("house");
    let addr = serve(|mut stream| async move {
        hello(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        stay_silent(stream).await;
    })
    .await;
    let dial = house.dial(TransportKind::Https, addr);
    let refused = refusal(&dial, None).await;
    assert_eq!(refused, (HANDSHAKE, FaultKind::TlsProtocol));
}

#[tokio::test]
async fn nothing_is_said_in_the_clear_where_tls_is_missing() {
    let (tell, told) = tokio::sync::oneshot::channel();
    let addr = serve_once(async move |mut stream| {
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).await.unwrap();
        tell.send(heard).unwrap();
    })
    .await;
    let dial = crate::transport_hostile::dial(TransportKind::Mqtts, addr);
    let refused = refusal(&dial, None).await;
    assert_eq!(refused, (HANDSHAKE, FaultKind::TlsProtocol));
    assert_eq!(told.await.unwrap(), b"");
}

#[test]
fn trust_and_names_that_cannot_be_used_are_refused_with_a_reason() {
    let refused = |trust, host: &str| Tls::new(trust, host, false).unwrap_err();
    let house = House::new("house");
    assert!(matches!(
        refused(Trust::Roots(vec![]), "a.b"),
        TlsError::Roots(_)
    ));
    let junk = vec![CertificateDer::from(vec![1, 2, 3])];
    assert!(matches!(
        refused(Trust::Roots(junk), "a.b"),
        TlsError::Roots(_)
    ));
    for host in ["", "a b", "a.b:8883", "[::1]"] {
        let refusal = refused(house.trust(), host);
        assert!(matches!(&refusal, TlsError::Name(name) if name == host));
    }
    for host in ["::1", "10.0.0.1", "iot.example"] {
        Tls::new(house.trust(), host, false).unwrap();
    }
}

#[tokio::test]
async fn no_text_shows_a_key() {
    let house = House::new("house");
    let device = house
        .authority
        .issue("device-1", KeyKind::Ed25519, Validity::days(2))
        .unwrap();
    let addr = house
        .serve(|mut stream| async move {
            crate::transport_hostile::mqtt::greet(&mut stream).await;
            stay_silent(stream.into_inner().0).await;
        })
        .await;
    let tls = Tls::new(house.trust(), "127.0.0.1", true).unwrap();
    let dial = dial_with(TransportKind::Mqtts, addr, tls);
    let opened = open_as(&dial, Some(&device)).await.unwrap();
    let shown = format!("{dial:?} {device:?} {:?} {opened:?}", house.authority);
    let pem = device.key_pem();
    let body = pem.expose_secret().lines().nth(1).unwrap();
    assert!(
        !shown.contains(body) && !shown.contains("PRIVATE"),
        "{shown}"
    );
    // A key as a list of numbers, in decimal or in hexadecimal.
    let tail = &device.key().secret_der()[20..40];
    let decimal = format!("{tail:?}");
    let hexadecimal = tail
        .iter()
        .fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    let shown = shown.to_lowercase();
    assert!(!shown.contains(decimal.trim_matches(['[', ']'])), "{shown}");
    assert!(!shown.contains(&hexadecimal), "{shown}");
}
