//! Devices over TLS: against servers that we did not write, and against servers that misbehave in
//! a handshake or after it. Certificates are made for each test.

#![expect(
    clippy::unwrap_used,
    reason = "these helpers are tests too, though outside of test functions"
)]

mod hostile;
mod https;
mod mosquitto;
mod resumption;
mod session;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fleetcall::model::{FaultKind, Login, Phase, TransportKind};
use fleetcall::pki::{Authority, Identity, KeyKind, Validity};
use fleetcall::transport::{Connection, Dial, OpenFault, Opened, Tls, Trust};
use rustls::server::WebPkiClientVerifier;
use rustls::{ALL_VERSIONS, RootCertStore, ServerConfig, SupportedProtocolVersion, version};
use secrecy::ExposeSecret;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::task::LocalSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::transport_hostile::{dial, serve};

/// An authority, a server's identity for 127.0.0.1 and what a device needs to trust it.
struct House {
    authority: Authority,
    server: Identity,
}

impl House {
    fn new(name: &str) -> Self {
        let authority = Authority::root(name, KeyKind::P256, Validity::days(2)).unwrap();
        let server = authority
            .issue_server(
                &["localhost", "127.0.0.1"],
                KeyKind::P256,
                Validity::days(2),
            )
            .unwrap();
        Self { authority, server }
    }

    fn device(&self, name: &str) -> Identity {
        self.authority
            .issue(name, KeyKind::P256, Validity::days(2))
            .unwrap()
    }

    fn trust(&self) -> Trust {
        Trust::Roots(vec![self.authority.identity().chain()[0].clone()])
    }

    /// How a device that trusts this house dials a server of it.
    fn dial(&self, kind: TransportKind, addr: SocketAddr) -> Dial {
        dial_with(
            kind,
            addr,
            Tls::new(self.trust(), "127.0.0.1", false).unwrap(),
        )
    }

    /// rustls as a server; it lets in only devices of this house where that is asked for.
    fn config(&self, strict: bool, versions: Versions) -> ServerConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .unwrap();
        let builder = if strict {
            let mut roots = RootCertStore::empty();
            roots
                .add(self.authority.identity().chain()[0].clone())
                .unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.unwrap())
        } else {
            builder.with_no_client_auth()
        };
        builder
            .with_single_cert(self.server.chain().to_vec(), self.server.key().clone_key())
            .unwrap()
    }

    /// Serves every connection as told, after its handshake.
    async fn serve<F>(&self, behave: impl Fn(Stream) -> F + Send + Sync + 'static) -> SocketAddr
    where
        F: Future<Output = ()> + Send,
    {
        let acceptor = TlsAcceptor::from(Arc::new(self.config(false, ALL_VERSIONS)));
        let behave = Arc::new(behave);
        serve(move |tcp| {
            let (acceptor, behave) = (acceptor.clone(), Arc::clone(&behave));
            async move {
                let stream = acceptor.accept(tcp).await.unwrap();
                behave(stream).await;
            }
        })
        .await
    }
}

type Stream = TlsStream<TcpStream>;

/// The versions of TLS that a server offers.
type Versions = &'static [&'static SupportedProtocolVersion];

/// A server that offers one version only, for each of them.
const EACH_VERSION: [Versions; 2] = [&[&version::TLS12], &[&version::TLS13]];

/// PEM files of an identity, as other programs want them.
struct Files {
    folder: TempDir,
}

impl Files {
    fn of(identity: &Identity, authority: &Authority) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("certificates.pem", &identity.certificates_pem());
        write("key.pem", identity.key_pem().expose_secret());
        write("authority.pem", &authority.identity().certificates_pem());
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn dial_with(kind: TransportKind, addr: SocketAddr, tls: Tls) -> Dial {
    Dial {
        tls: Some(tls),
        ..dial(kind, addr)
    }
}

/// Opens as an engine's worker does, with a certificate or without.
async fn open_as(dial: &Dial, identity: Option<&Identity>) -> Result<Opened, OpenFault> {
    let login = Login {
        client_id: "c1".into(),
        ..Login::default()
    };
    LocalSet::new()
        .run_until(Connection::open(dial, &login, identity, 7))
        .await
}

/// The phase and fault of an opening that must not succeed.
async fn refusal(dial: &Dial, identity: Option<&Identity>) -> (Phase, FaultKind) {
    let fault = open_as(dial, identity).await.unwrap_err();
    assert!(fault.tcp.is_some(), "TCP was fine");
    let shaken = fault.phase != Phase::TlsHandshake;
    assert_eq!(fault.tls.is_some(), shaken, "a handshake that succeeded");
    (fault.phase, fault.kind)
}
