//! An authority's key in the form that certificates are signed with.
//!
//! rcgen reads keys from PKCS #8 alone. rustls reads every form that OpenSSL writes, so its key
//! signs here, too: what serves as a TLS identity serves as an authority.

use std::sync::Arc;

use rcgen::{PublicKeyData, SignatureAlgorithm};
use rustls::SignatureScheme;
use rustls::sign::SigningKey;
use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo};

/// A private key that signs certificates. Never prints.
pub(super) struct Signer {
    key: Arc<dyn SigningKey>,
    /// The bits of the public key, without the name of its kind.
    public: Vec<u8>,
    scheme: SignatureScheme,
    algorithm: &'static SignatureAlgorithm,
}

impl Signer {
    /// Takes a key of any kind that is known here.
    pub(super) fn new(key: Arc<dyn SigningKey>) -> Option<Self> {
        let (scheme, algorithm) = KINDS
            .into_iter()
            .find(|(scheme, _)| key.choose_scheme(&[*scheme]).is_some())?;
        let info = key.public_key()?;
        let (_, info) = SubjectPublicKeyInfo::from_der(&info).ok()?;
        Some(Self {
            public: info.subject_public_key.data.to_vec(),
            key,
            scheme,
            algorithm,
        })
    }
}

impl PublicKeyData for Signer {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.algorithm
    }
}

impl rcgen::SigningKey for Signer {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signer = self.key.choose_scheme(&[self.scheme]);
        signer
            .and_then(|signer| signer.sign(message).ok())
            .ok_or(rcgen::Error::RemoteKeyError)
    }
}

/// The signatures under certificates, of which a key makes one.
const KINDS: [(SignatureScheme, &SignatureAlgorithm); 4] = [
    (
        SignatureScheme::ECDSA_NISTP256_SHA256,
        &rcgen::PKCS_ECDSA_P256_SHA256,
    ),
    (
        SignatureScheme::ECDSA_NISTP384_SHA384,
        &rcgen::PKCS_ECDSA_P384_SHA384,
    ),
    (SignatureScheme::ED25519, &rcgen::PKCS_ED25519),
    (SignatureScheme::RSA_PKCS1_SHA256, &rcgen::PKCS_RSA_SHA256),
];
