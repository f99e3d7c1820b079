//! Connections over HTTP and HTTPS to servers that are asked, not tested, and words for what goes wrong.

use std::sync::Arc;

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use super::error::RestError;

/// What makes connections.
pub type Https = HttpsConnector<HttpConnector>;

/// Connections that trust the authorities of a PEM file; without one, those of this machine.
pub fn https(ca: Option<&[u8]>) -> Result<Https, RestError> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    // A request must not wait for the acknowledgement of the one before it.
    tcp.set_nodelay(true);
    Ok(HttpsConnectorBuilder::new()
        .with_tls_config(trust(ca)?)
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp))
}

fn trust(ca: Option<&[u8]>) -> Result<ClientConfig, RestError> {
    let mut roots = RootCertStore::empty();
    if let Some(pem) = ca {
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let added = certificate.ok().map(|certificate| roots.add(certificate));
            if !matches!(added, Some(Ok(()))) {
                return Err(RestError::Trust("the file of authorities".to_owned()));
            }
        }
        if roots.is_empty() {
            return Err(RestError::Trust("the file of authorities".to_owned()));
        }
    } else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has them")
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// An error's innermost cause: the outer ones only say that something failed.
pub fn cause(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    shown(&innermost.to_string())
}

/// A text of a server's: at most 200 characters, none of which moves a cursor.
pub fn shown(text: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let mut shown: String = text.chars().take(200).map(plain).collect();
    if text.chars().nth(200).is_some() {
        shown.push('…');
    }
    shown.trim().to_owned()
}
