//! Whether a device's second handshake resumes its first session.

use std::sync::Arc;

use fleetcall::model::TransportKind;
use fleetcall::pki::Identity;
use fleetcall::transport::{Dial, Tls};
use rustls::{ALL_VERSIONS, HandshakeKind, ServerConfig};
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use super::{EACH_VERSION, House, dial_with, open_as};
use crate::transport_hostile::mqtt::{greet, packet};
use crate::transport_hostile::serve;

/// A server that tells how each of its handshakes was done.
async fn telling(
    config: ServerConfig,
    house: &House,
    resumption: bool,
) -> (Dial, mpsc::Receiver<HandshakeKind>) {
    let (tell, told) = mpsc::channel(16);
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let addr = serve(move |tcp| {
        let (acceptor, tell) = (acceptor.clone(), tell.clone());
        async move {
            let mut stream = acceptor.accept(tcp).await.unwrap();
            greet(&mut stream).await;
            let kind = stream.get_ref().1.handshake_kind().unwrap();
            tell.send(kind).await.unwrap();
            assert_eq!(packet(&mut stream).await.0, 0xe0, "DISCONNECT");
            assert_eq!(stream.read(&mut [0]).await.unwrap(), 0, "close_notify");
        }
    })
    .await;
    let tls = Tls::new(house.trust(), "127.0.0.1", resumption).unwrap();
    (dial_with(TransportKind::Mqtts, addr, tls), told)
}

/// Connects and leaves, and how its handshake was done.
async fn visit(
    dial: &Dial,
    identity: Option<&Identity>,
    told: &mut mpsc::Receiver<HandshakeKind>,
) -> HandshakeKind {
    let opened = open_as(dial, identity).await.unwrap();
    let kind = told.recv().await.unwrap();
    opened.connection.close().await;
    kind
}

#[tokio::test]
async fn a_device_resumes_its_own_session_where_that_is_asked_for() {
    let house = House::new("house");
    let (one, other) = (house.device("device-1"), house.device("device-2"));
    for versions in EACH_VERSION {
        let config = || house.config(false, versions);
        let (dial, mut told) = telling(config(), &house, true).await;
        for (identity, kind) in [
            (None, HandshakeKind::Full),
            (None, HandshakeKind::Resumed),
            (Some(&one), HandshakeKind::Full),
            (Some(&one), HandshakeKind::Resumed),
            (Some(&one), HandshakeKind::Resumed),
            (Some(&other), HandshakeKind::Full),
        ] {
            assert_eq!(visit(&dial, identity, &mut told).await, kind);
        }
        let (dial, mut told) = telling(config(), &house, false).await;
        for identity in [None, None, Some(&one), Some(&one)] {
            let kind = visit(&dial, identity, &mut told).await;
            assert_eq!(kind, HandshakeKind::Full);
        }
    }
}

#[tokio::test]
async fn a_resumed_session_is_still_the_certificates() {
    let house = House::new("house");
    let device = house.device("device-1");
    let (dial, mut told) = telling(house.config(true, ALL_VERSIONS), &house, true).await;
    let kinds = [
        visit(&dial, Some(&device), &mut told).await,
        visit(&dial, Some(&device), &mut told).await,
    ];
    assert_eq!(kinds, [HandshakeKind::Full, HandshakeKind::Resumed]);
}
