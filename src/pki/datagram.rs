//! An identity in the form that DTLS signs with. The key itself stays where it is.

use std::sync::Arc;

use rtc_dtls::crypto::Certificate;
use rtc_dtls::crypto_provider::{
    CryptoError, PublicKey, PublicKeyEncoding, SignatureScheme, SigningKey,
};
use rustls::SignatureScheme as Scheme;

use super::Identity;

impl Identity {
    /// The certificates and the key in the form that DTLS shows and signs with.
    pub fn for_dtls(&self) -> Certificate {
        let key = self.certified().key.clone();
        let public = key.public_key().map(|info| info.to_vec());
        let signer = Signer {
            key,
            public: public.unwrap_or_default(),
        };
        Certificate::from_signing_key(self.chain().to_vec(), Arc::new(signer))
    }
}

/// Signs with the key that TLS signs with.
struct Signer {
    key: Arc<dyn rustls::sign::SigningKey>,
    public: Vec<u8>,
}

impl SigningKey for Signer {
    fn supports(&self, scheme: SignatureScheme) -> bool {
        tls_scheme(scheme).is_some_and(|scheme| self.key.choose_scheme(&[scheme]).is_some())
    }

    fn public_key(&self) -> PublicKey<'_> {
        PublicKey {
            encoding: PublicKeyEncoding::SubjectPublicKeyInfoDer,
            bytes: &self.public,
        }
    }

    fn sign(&self, scheme: SignatureScheme, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let signer = tls_scheme(scheme).and_then(|scheme| self.key.choose_scheme(&[scheme]));
        signer
            .ok_or(CryptoError::InvalidPrivateKey)?
            .sign(message)
            .map_err(|_| CryptoError::InvalidPrivateKey)
    }
}

fn tls_scheme(scheme: SignatureScheme) -> Option<Scheme> {
    Some(match scheme {
        SignatureScheme::EcdsaP256Sha256 => Scheme::ECDSA_NISTP256_SHA256,
        SignatureScheme::EcdsaP384Sha384 => Scheme::ECDSA_NISTP384_SHA384,
        SignatureScheme::Ed25519 => Scheme::ED25519,
        SignatureScheme::RsaPkcs1Sha256 => Scheme::RSA_PKCS1_SHA256,
        SignatureScheme::RsaPkcs1Sha384 => Scheme::RSA_PKCS1_SHA384,
        SignatureScheme::RsaPkcs1Sha512 => Scheme::RSA_PKCS1_SHA512,
        _ => return None,
    })
}
