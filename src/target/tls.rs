//! TLS of the target: what its secured listeners show, and the handshake of one connection.
//!
//! Without an identity of the user's it makes an authority and a certificate for this machine's
//! loopback names. Who a client is, is not judged here: see `client_certificate` and `chain`.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring;
use rustls::server::NoClientAuth;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::SingleCertAndKey;
use rustls::{ServerConfig, version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::backend::Backend;
use super::client_certificate::AnyLeaf;
use super::config::{TargetConfig, TargetError};
use super::counts::bump;
use super::faults::Wire;
use crate::pki::{Authority, Identity, KeyKind, PkiError, Validity};

/// What the secured listeners show, and who vouches for it.
pub(super) struct Shown {
    pub(super) identity: Identity,
    /// The certificate that clients are to trust, PEM.
    pub(super) ca_pem: String,
}

impl Shown {
    /// The configured identity, or one of our own making; `None` without a secured listener.
    pub(super) fn of(config: &TargetConfig) -> Result<Option<Self>, TargetError> {
        if [config.mqtts, config.https, config.coaps] == [None; 3] {
            return Ok(None);
        }
        let shown = match &config.identity {
            Some(identity) => Ok(Self {
                ca_pem: last(&identity.certificates_pem()).to_owned(),
                identity: identity.clone(),
            }),
            None => Self::make(),
        };
        shown
            .map(Some)
            .map_err(|e| TargetError::Certificates(e.to_string()))
    }

    fn make() -> Result<Self, PkiError> {
        let validity = Validity::days(365);
        let authority = Authority::root("fleetcall target", KeyKind::P256, validity)?;
        let names = ["localhost", "127.0.0.1", "::1"];
        Ok(Self {
            identity: authority.issue_server(&names, KeyKind::P256, validity)?,
            ca_pem: last(&authority.identity().certificates_pem()).to_owned(),
        })
    }

    /// The terms of MQTT: clients may show a certificate (section 3.4).
    pub(super) fn asking(&self) -> Result<Arc<ServerConfig>, TargetError> {
        self.terms(Arc::new(AnyLeaf::default()))
    }

    /// The terms of HTTP: clients are not asked for certificates.
    pub(super) fn silent(&self) -> Result<Arc<ServerConfig>, TargetError> {
        self.terms(Arc::new(NoClientAuth))
    }

    fn terms(
        &self,
        verifier: Arc<dyn ClientCertVerifier>,
    ) -> Result<Arc<ServerConfig>, TargetError> {
        let fault = |e: rustls::Error| TargetError::Certificates(e.to_string());
        let certified = SingleCertAndKey::from(self.identity.certified());
        let mut terms = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&version::TLS13, &version::TLS12])
            .map_err(fault)?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(certified));
        // Sealed and held by the client: whoever comes back resumes, however many there are.
        terms.ticketer = ring::Ticketer::new().map_err(fault)?;
        Ok(Arc::new(terms))
    }
}

/// Does the handshake, in the platform's time. A peer that fails it is told why by an alert.
pub(super) async fn accept(
    tcp: Wire,
    terms: Arc<ServerConfig>,
    backend: &Backend,
) -> Option<Box<TlsStream<Wire>>> {
    let tally = &backend.tally;
    let handshake = TlsAcceptor::from(terms).accept(tcp).into_fallible();
    match timeout(backend.faults.patience(HANDSHAKE), handshake).await {
        Ok(Ok(stream)) => return Some(Box::new(stream)),
        Ok(Err((_, tcp))) => {
            bump(&tally.handshakes_failed);
            // A close with unread bytes would be a reset, and the alert might go with it.
            let _ = timeout(LINGER, drain(tcp)).await;
        }
        Err(_) => bump(&tally.handshakes_failed),
    }
    None
}

async fn drain(mut tcp: Wire) -> io::Result<()> {
    tcp.shutdown().await?;
    let mut waste = [0; 1024];
    for _ in 0..DRAINED {
        if tcp.read(&mut waste).await? == 0 {
            break;
        }
    }
    Ok(())
}

/// The last certificate of a PEM text.
fn last(pem: &str) -> &str {
    &pem[pem.rfind("-----BEGIN").unwrap_or(0)..]
}

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long a refused peer has to read its alert.
const LINGER: Duration = Duration::from_secs(1);

/// How many KiB of a refused peer are read and dropped.
const DRAINED: usize = 256;
