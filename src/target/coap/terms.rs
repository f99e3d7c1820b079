//! What the DTLS handshakes of a listener are made with: suites, what is shown, what is asked for.

use std::sync::Arc;

use rtc_dtls::cipher_suite::CipherSuiteId;
use rtc_dtls::config::{ClientAuthType, ConfigBuilder, HandshakeConfig};
use rtc_dtls::crypto_provider::providers::RingProvider;

use super::associations::FIRST_PATIENCE;
use crate::pki::Identity;
use crate::target::config::TargetError;

/// What all handshakes of a listener share. Fails if no suite goes with the server's key.
pub(in crate::target) fn terms(identity: &Identity) -> Result<Arc<HandshakeConfig>, TargetError> {
    ConfigBuilder::default()
        .with_crypto_provider(Arc::new(RingProvider::new()))
        .with_cipher_suites(SUITES.to_vec())
        .with_mtu(MTU)
        .with_flight_interval(FIRST_PATIENCE)
        .with_client_auth(ClientAuthType::RequestClientCert)
        .with_insecure_skip_verify(true)
        .with_certificates(vec![identity.for_dtls()])
        .build(false, None)
        .map(Arc::new)
        .map_err(|e| TargetError::Certificates(format!("the server's own, for DTLS: {e}")))
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

/// Bytes after which a handshake message is cut, as ThingsBoard does (section 6.3).
const MTU: usize = 1024;
