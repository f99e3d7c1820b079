//! Whom a client trusts, and the one TLS configuration that all devices of a cohort share.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;

/// By what a server's certificate is judged.
#[derive(Clone, Debug)]
pub enum Trust {
    /// It must lead to one of these.
    Roots(Vec<CertificateDer<'static>>),
    /// It must lead to a root of the operating system.
    System,
    /// Not at all: whoever answers is believed. To be said aloud wherever it is used.
    Insecure,
}

/// Why TLS cannot be set up.
#[derive(Debug, Error)]
pub enum TlsError {
    /// The trusted roots cannot be used.
    #[error("trusted roots: {0}")]
    Roots(String),
    /// The server's host is no name that a certificate can have.
    #[error("`{0}` is no host name that a certificate can have")]
    Name(String),
}

/// How TLS and DTLS connections to one server are secured. Cheap to clone.
#[derive(Clone)]
pub struct Tls {
    pub(super) base: Arc<ClientConfig>,
    pub(super) name: ServerName<'static>,
    pub(super) trust: Trust,
    pub(super) resumption: bool,
}

impl Tls {
    /// Trust, the server's host name or address (without port), and whether a device's later
    /// handshakes resume its earlier session.
    pub fn new(trust: Trust, host: &str, resumption: bool) -> Result<Self, TlsError> {
        let name =
            ServerName::try_from(host.to_owned()).map_err(|_| TlsError::Name(host.to_owned()))?;
        let mut roots = RootCertStore::empty();
        if let Trust::Roots(given) = &trust {
            for root in given {
                roots
                    .add(root.clone())
                    .map_err(|e| TlsError::Roots(e.to_string()))?;
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let base = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| TlsError::Roots(e.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            base: Arc::new(base),
            name,
            trust,
            resumption,
        })
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("name", &self.name)
            .field("trust", &self.trust)
            .field("resumption", &self.resumption)
            .finish_non_exhaustive()
    }
}
