//! Client certificates at the level of TLS: optional, from anybody, in order (section 4.4).
//!
//! The peer must prove that it holds the leaf's key, and each certificate must be signed by the
//! next. No trust store, no dates, no names: whether a device logs in is decided at CONNECT.

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, ring, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerMisbehaved,
    SignatureScheme,
};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

/// Takes any leaf, and a chain whose certificates are each signed by the next.
#[derive(Debug)]
pub(super) struct AnyLeaf(WebPkiSupportedAlgorithms);

impl Default for AnyLeaf {
    fn default() -> Self {
        Self(ring::default_provider().signature_verification_algorithms)
    }
}

impl ClientCertVerifier for AnyLeaf {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let mut signed = parse(end_entity)?;
        for issuer in intermediates {
            let issuer = parse(issuer)?;
            signed
                .verify_signature(Some(issuer.public_key()))
                .map_err(|_| BAD)?;
            signed = issuer;
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let cert = parse(cert)?;
        let key = &cert.public_key().subject_public_key.data;
        let known = self.0.mapping.iter().find(|(s, _)| *s == dss.scheme);
        let (_, algorithms) =
            known.ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
        // In TLS 1.2 a scheme does not name its curve; the key is of one curve only.
        algorithms
            .iter()
            .find_map(|a| a.verify_signature(key, message, dss.signature()).ok())
            .map(|()| HandshakeSignatureValid::assertion())
            .ok_or(Error::InvalidCertificate(CertificateError::BadSignature))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        // By the key alone: rustls would refuse certificates of version 1.
        let cert = parse(cert)?;
        let key = SubjectPublicKeyInfoDer::from(cert.public_key().raw);
        verify_tls13_signature_with_raw_key(message, &key, dss, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

fn parse<'a>(der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, Error> {
    match X509Certificate::from_der(der) {
        Ok((rest, certificate)) if rest.is_empty() => Ok(certificate),
        _ => Err(BAD),
    }
}

/// The alert `bad_certificate`.
const BAD: Error = Error::InvalidCertificate(CertificateError::BadEncoding);
