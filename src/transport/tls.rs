//! Whom a client trusts, and the TLS configuration of each device, made from one that all share.
//!
//! A device with a certificate gets a copy of the shared configuration with its own resolver: it
//! shows that certificate to whoever asks, whatever issuers the server hints at, since ThingsBoard
//! takes self-signed ones. Sessions are resumed only where that was asked for.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rtc_dtls::config::HandshakeConfig;
use rustls::client::danger::ServerCertVerifier;
use rustls::client::{ResolvesClientCert, Resumption, WebPkiServerVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, SignatureScheme};
use thiserror::Error;

use crate::model::FaultKind;
use crate::pki::Identity;

use super::fault::tls_kind;
use super::tickets::Tickets;
use super::verifier::{Believer, Credulous};

/// By what a server's certificate is judged.
#[derive(Clone, Debug)]
pub enum Trust {
    /// It must lead to one of these, or be one of them.
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

/// How TLS and DTLS connections to one server are secured. Cheap to clone; clones share what
/// devices resume.
#[derive(Clone)]
pub struct Tls {
    base: Arc<ClientConfig>,
    pub(super) name: ServerName<'static>,
    pub(super) trust: Trust,
    /// Who judges the server by that trust.
    verifier: Arc<dyn ServerCertVerifier>,
    /// What all devices without a certificate share under DTLS, once one of them asked.
    pub(super) datagrams: Arc<OnceLock<Arc<HandshakeConfig>>>,
    /// What each device, by its ordinal, needs to resume its session; `None` without resumption.
    kept: Option<Arc<Mutex<HashMap<u32, Kept>>>>,
}

/// A device's configuration, which holds its sessions. rustls resumes a session only under the
/// resolver that it was made with, so both are kept together.
struct Kept {
    shown: Option<Arc<CertifiedKey>>,
    config: Arc<ClientConfig>,
}

/// What one device's handshakes need.
#[derive(Clone)]
pub(super) struct Terms {
    pub(super) config: Arc<ClientConfig>,
    pub(super) name: ServerName<'static>,
}

impl Tls {
    /// Trust, the server's host name or address (without port), and whether a device's later
    /// handshakes resume its earlier session.
    ///
    /// [`Trust::System`] reads the system's certificates (or those that `SSL_CERT_FILE` and
    /// `SSL_CERT_DIR` name).
    pub fn new(trust: Trust, host: &str, resumption: bool) -> Result<Self, TlsError> {
        let name =
            ServerName::try_from(host.to_owned()).map_err(|_| TlsError::Name(host.to_owned()))?;
        let roots_error = |e: &dyn fmt::Display| TlsError::Roots(e.to_string());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier: Arc<dyn ServerCertVerifier> = match roots(&trust)? {
            Some(roots) => {
                let builder = WebPkiServerVerifier::builder_with_provider(
                    Arc::new(roots),
                    Arc::clone(&provider),
                );
                Arc::new(Believer {
                    chains: builder.build().map_err(|e| roots_error(&e))?,
                    given: match &trust {
                        Trust::Roots(given) => given.clone(),
                        Trust::System | Trust::Insecure => Vec::new(),
                    },
                })
            }
            None => Arc::new(Credulous(provider.signature_verification_algorithms)),
        };
        let mut base = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| roots_error(&e))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&verifier))
            .with_no_client_auth();
        base.resumption = Resumption::disabled();
        Ok(Self {
            base: Arc::new(base),
            name,
            trust,
            verifier,
            datagrams: Arc::default(),
            kept: resumption.then(Arc::default),
        })
    }

    /// By what the server is judged.
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// The name that the server's certificate must have.
    pub fn server_name(&self) -> &ServerName<'static> {
        &self.name
    }

    /// Judges a server by the certificates that it showed, leaf first, as a TLS handshake does. It
    /// has yet to prove that it has the leaf's key. For DTLS, which rustls does not speak.
    pub fn judge(&self, shown: &[CertificateDer<'_>]) -> Result<(), FaultKind> {
        self.judging()(shown)
    }

    /// The judge apart from everything else.
    pub(super) fn judging(
        &self,
    ) -> impl Fn(&[CertificateDer<'_>]) -> Result<(), FaultKind> + Send + Sync + use<> {
        let (verifier, name) = (Arc::clone(&self.verifier), self.name.clone());
        move |shown| {
            let (leaf, above) = shown.split_first().ok_or(FaultKind::TlsProtocol)?;
            verifier
                .verify_server_cert(leaf, above, &name, &[], UnixTime::now())
                .map(drop)
                .map_err(|e| tls_kind(&e))
        }
    }

    /// What the device with this ordinal needs for its handshakes.
    pub(super) fn terms(&self, identity: Option<&Identity>, ordinal: u32) -> Terms {
        let shown = identity.map(Identity::certified);
        let config = match &self.kept {
            None => self.configured(shown, None),
            Some(kept) => {
                // Nothing can panic while it is held, and a lost session is no loss of truth.
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                match kept.get(&ordinal) {
                    Some(known) if same(known.shown.as_ref(), shown.as_ref()) => {
                        Arc::clone(&known.config)
                    }
                    _ => {
                        let store = Resumption::store(Arc::new(Tickets::default()));
                        let config = self.configured(shown.clone(), Some(store));
                        let known = Kept {
                            shown,
                            config: Arc::clone(&config),
                        };
                        kept.insert(ordinal, known);
                        config
                    }
                }
            }
        };
        Terms {
            config,
            name: self.name.clone(),
        }
    }

    fn configured(
        &self,
        shown: Option<Arc<CertifiedKey>>,
        resumption: Option<Resumption>,
    ) -> Arc<ClientConfig> {
        if shown.is_none() && resumption.is_none() {
            return Arc::clone(&self.base);
        }
        let mut config = ClientConfig::clone(&self.base);
        if let Some(shown) = shown {
            config.client_auth_cert_resolver = Arc::new(Shown(shown));
        }
        if let Some(resumption) = resumption {
            config.resumption = resumption;
        }
        Arc::new(config)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trust = match &self.trust {
            Trust::Roots(roots) => format!("{} roots", roots.len()),
            Trust::System => "system".to_owned(),
            Trust::Insecure => "insecure".to_owned(),
        };
        f.debug_struct("Tls")
            .field("name", &self.name)
            .field("trust", &trust)
            .field("resumption", &self.kept.is_some())
            .finish_non_exhaustive()
    }
}

/// The roots that are trusted; `None` where everybody is.
fn roots(trust: &Trust) -> Result<Option<RootCertStore>, TlsError> {
    let mut roots = RootCertStore::empty();
    match trust {
        Trust::Insecure => return Ok(None),
        Trust::Roots(given) => {
            for root in given {
                roots
                    .add(root.clone())
                    .map_err(|e| TlsError::Roots(e.to_string()))?;
            }
            if roots.is_empty() {
                return Err(TlsError::Roots("no certificate was given".to_owned()));
            }
        }
        Trust::System => {
            let found = rustls_native_certs::load_native_certs();
            let (usable, _) = roots.add_parsable_certificates(found.certs);
            if usable == 0 {
                let why = found
                    .errors
                    .first()
                    .map_or_else(String::new, |e| format!(" ({e})"));
                return Err(TlsError::Roots(format!(
                    "this system has none{why}; install its ca-certificates, let SSL_CERT_FILE \
                     name a PEM file of them, or give the server's authority yourself"
                )));
            }
        }
    }
    Ok(Some(roots))
}

/// Whether both are the same certificate and key, not merely equal ones.
fn same(one: Option<&Arc<CertifiedKey>>, other: Option<&Arc<CertifiedKey>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        (None, None) => true,
        _ => false,
    }
}

/// The certificate that a device shows to every server that asks for one.
struct Shown(Arc<CertifiedKey>);

impl ResolvesClientCert for Shown {
    fn resolve(
        &self,
        _root_hint_subjects: &[&[u8]],
        _sigschemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl fmt::Debug for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Terms")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shown").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::{Authority, KeyKind, Validity, self_signed};

    #[test]
    fn a_chain_is_judged_as_a_handshake_judges_it() {
        let days = Validity::days(1);
        let root = Authority::root("root", KeyKind::P256, days).unwrap();
        let below = root.intermediate("below", KeyKind::P384, days).unwrap();
        let server = below.issue_server(&["iot.example"], KeyKind::Ed25519, days);
        let server = server.unwrap();
        let given = root.identity().chain()[0].clone();
        let trusting = |root| Tls::new(Trust::Roots(vec![root]), "iot.example", false).unwrap();
        let tls = trusting(given.clone());
        let untrusted = Err(FaultKind::TlsServerUntrusted);
        assert_eq!(tls.judge(server.chain()), Ok(()));
        assert_eq!(
            tls.judge(&server.chain()[..1]),
            untrusted,
            "a link is missing"
        );
        assert_eq!(tls.judge(&[]), Err(FaultKind::TlsProtocol));
        let own = self_signed("iot.example", KeyKind::P256, days).unwrap();
        assert_eq!(tls.judge(own.chain()), untrusted);
        assert_eq!(trusting(own.chain()[0].clone()).judge(own.chain()), Ok(()));
        let over = self_signed("iot.example", KeyKind::P256, Validity::expired()).unwrap();
        assert_eq!(
            trusting(over.chain()[0].clone()).judge(over.chain()),
            untrusted
        );
        let other = Tls::new(Trust::Roots(vec![given]), "iot.test", false).unwrap();
        assert_eq!(other.judge(server.chain()), untrusted);
        let anybody = Tls::new(Trust::Insecure, "iot.test", false).unwrap();
        assert_eq!(anybody.judge(over.chain()), Ok(()));
    }

    #[test]
    fn devices_share_what_they_can() {
        let root = Authority::root("root", KeyKind::P256, Validity::days(1)).unwrap();
        let device = root.issue("d", KeyKind::P256, Validity::days(1)).unwrap();
        let trust = || Trust::Roots(vec![root.identity().chain()[0].clone()]);
        let same = |a: &Terms, b: &Terms| Arc::ptr_eq(&a.config, &b.config);
        let plain = Tls::new(trust(), "a.b", false).unwrap();
        assert!(same(&plain.terms(None, 1), &plain.terms(None, 2)));
        let resuming = Tls::new(trust(), "a.b", true).unwrap();
        let first = resuming.terms(Some(&device), 1);
        assert!(same(&first, &resuming.clone().terms(Some(&device), 1)));
        assert!(
            !same(&first, &resuming.terms(Some(&device), 2)),
            "another device"
        );
        assert!(
            !same(&first, &resuming.terms(None, 1)),
            "another certificate"
        );
    }
}
