//! What a DTLS handshake with one server is made with: suites, who is believed, what is shown.

use std::sync::Arc;

use rtc_dtls::cipher_suite::CipherSuiteId;
use rtc_dtls::config::{ConfigBuilder, HandshakeConfig, VerifyPeerCertificateFn};
use rtc_dtls::crypto_provider::providers::RingProvider;
use rtc_shared::error::Error;
use rustls::pki_types::CertificateDer;

use crate::model::FaultKind;
use crate::pki::Identity;
use crate::transport::Tls;

use super::association::FIRST_PATIENCE;

/// What a device's handshake needs: with a certificate its own, else what all others share.
pub(super) fn terms(
    tls: &Tls,
    identity: Option<&Identity>,
) -> Result<Arc<HandshakeConfig>, FaultKind> {
    let built = |identity: Option<&Identity>| {
        let shown = identity.map(Identity::for_dtls);
        builder(tls)
            .with_certificates(shown.into_iter().collect())
            .build(true, None)
            .map(Arc::new)
            .map_err(|_| FaultKind::TlsProtocol)
    };
    match (identity, tls.datagrams.get()) {
        (Some(_), _) => built(identity),
        (None, Some(shared)) => Ok(Arc::clone(shared)),
        (None, None) => {
            let shared = built(None)?;
            Ok(Arc::clone(tls.datagrams.get_or_init(|| shared)))
        }
    }
}

/// Whether a handshake failed because the server's certificate was not believed.
pub(super) fn is_untrusted(error: &Error) -> bool {
    matches!(error, Error::Other(why) if why == UNTRUSTED)
}

fn builder(tls: &Tls) -> ConfigBuilder {
    ConfigBuilder::default()
        .with_crypto_provider(Arc::new(RingProvider::new()))
        .with_cipher_suites(SUITES.to_vec())
        .with_mtu(MTU)
        .with_flight_interval(FIRST_PATIENCE)
        .with_server_name(tls.name.to_str().into_owned())
        // The verdict is ours: it is the same as under TLS.
        .with_insecure_skip_verify(true)
        .with_verify_peer_certificate(Some(judge(tls)))
}

/// Judges the server's chain, leaf first, as TLS does. Whether the server has the leaf's key is
/// verified by the handshake itself.
fn judge(tls: &Tls) -> VerifyPeerCertificateFn {
    let judging = tls.judging();
    Arc::new(move |chain, _| {
        let chain: Vec<_> = chain
            .iter()
            .map(|der| CertificateDer::from(der.as_slice()))
            .collect();
        judging(&chain).map_err(|kind| match kind {
            FaultKind::TlsServerUntrusted => Error::Other(UNTRUSTED.to_owned()),
            _ => Error::ErrInvalidCertificate,
        })
    })
}

/// Those with authenticated encryption: what OpenSSL and GnuTLS have, what Californium prefers, and
/// what RFC 7252, section 9.1.3.3, asks for.
const SUITES: [CipherSuiteId; 6] = [
    CipherSuiteId::Tls_Ecdhe_Ecdsa_With_Aes_128_Gcm_Sha256,
    CipherSuiteId::Tls_Ecdhe_Ecdsa_With_ChaCha20_Poly1305_Sha256,
    CipherSuiteId::Tls_Ecdhe_Ecdsa_With_Aes_128_Ccm_8,
    CipherSuiteId::Tls_Ecdhe_Ecdsa_With_Aes_128_Ccm,
    CipherSuiteId::Tls_Ecdhe_Rsa_With_Aes_128_Gcm_Sha256,
    CipherSuiteId::Tls_Ecdhe_Rsa_With_ChaCha20_Poly1305_Sha256,
];

/// Bytes after which a handshake message is cut (section 6.3 of the wire specification).
const MTU: usize = 1024;

const UNTRUSTED: &str = "the server's certificate is not trusted";
