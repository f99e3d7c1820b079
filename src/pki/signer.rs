//! Keys in the form that certificates are signed with, and new ones.
//!
//! rcgen reads keys from PKCS #8 alone. rustls reads every form that OpenSSL writes, so its key
//! signs here, too: what serves as a TLS identity serves as an authority, and a new key is read
//! once, not once for its certificate and once for TLS.

use std::sync::Arc;

use rcgen::{PublicKeyData, SignatureAlgorithm};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
};
use rustls::SignatureScheme;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::SigningKey;
use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo};

use super::{KeyKind, PkiError};

/// A key that was made just now.
pub(super) struct NewKey {
    /// As it is written: PKCS #8 of version 1.
    pub(super) der: PrivateKeyDer<'static>,
    /// As it signs.
    pub(super) signer: Signer,
}

impl NewKey {
    pub(super) fn generate(kind: KeyKind) -> Result<Self, PkiError> {
        let random = SystemRandom::new();
        let ecdsa = |algorithm| EcdsaKeyPair::generate_pkcs8(algorithm, &random);
        let made = match kind {
            KeyKind::P256 => ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING),
            KeyKind::P384 => ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING),
            KeyKind::Ed25519 => Ed25519KeyPair::generate_pkcs8(&random),
        };
        let made = made.map_err(|_| PkiError::Crypto("no key could be made".to_owned()))?;
        // ring writes Ed25519 keys as RFC 5958 has them, with the public key behind; OpenSSL 3.0
        // and many others read the form of RFC 5208 only, which ends with the private one.
        let der = match made.as_ref().strip_prefix(ED25519_V2) {
            Some(rest) if rest.len() > ED25519_SEED => [ED25519_V1, &rest[..ED25519_SEED]].concat(),
            _ => made.as_ref().to_vec(),
        };
        let der = PrivateKeyDer::Pkcs8(der.into());
        let key = any_supported_type(&der).expect("what ring makes, ring reads");
        let signer = Signer::new(key).expect("every kind that is made signs");
        Ok(Self { der, signer })
    }
}

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

    /// The key, in the form that rustls signs with.
    pub(super) fn key(&self) -> Arc<dyn SigningKey> {
        Arc::clone(&self.key)
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

/// What stands before the seed of an Ed25519 key: SEQUENCE, version, algorithm, OCTET STRINGs.
const ED25519_V2: &[u8] = b"\x30\x51\x02\x01\x01\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
const ED25519_V1: &[u8] = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
const ED25519_SEED: usize = 32;
