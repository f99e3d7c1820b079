//! Client certificates at the level of TLS: optional, from anybody, in order (section 4.4).
//!
//! The peer must prove that it holds the leaf's key, and each certificate must be signed by the
//! next. No trust store, no dates, no names: whether a device logs in is decided at CONNECT.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, ring, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerMisbehaved,
    SignatureScheme,
};
use x509_parser::certificate::{Validity, X509Certificate};
use x509_parser::prelude::FromDer;

use super::credentials::certificate_id;
use super::device::Device;
use super::registry::Registry;

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
        let mut signed = parse(end_entity).ok_or(BAD)?;
        for issuer in intermediates {
            let issuer = parse(issuer).ok_or(BAD)?;
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
        let cert = parse(cert).ok_or(BAD)?;
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
        let cert = parse(cert).ok_or(BAD)?;
        let key = SubjectPublicKeyInfoDer::from(cert.public_key().raw);
        verify_tls13_signature_with_raw_key(message, &key, dss, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

/// The leaf that a client showed, as far as CONNECT needs it.
pub(super) struct Presented {
    id: Box<str>,
    validity: Validity,
}

impl Presented {
    /// `None` if it is no certificate.
    pub(super) fn new(leaf: &CertificateDer<'_>) -> Option<Self> {
        Some(Self {
            id: certificate_id(leaf).into(),
            validity: parse(leaf)?.validity().clone(),
        })
    }

    /// The device whose credentials it is, at its time or at any.
    pub(super) fn holder(&self, registry: &Registry, any_date: bool) -> Option<Arc<Device>> {
        if any_date || self.validity.is_valid() {
            registry.by_certificate_id(&self.id)
        } else {
            None
        }
    }
}

/// A certificate and nothing behind it; `None` if it is none.
pub(super) fn parse<'a>(der: &'a CertificateDer<'_>) -> Option<X509Certificate<'a>> {
    let (rest, certificate) = X509Certificate::from_der(der).ok()?;
    rest.is_empty().then_some(certificate)
}

/// The first common name of a certificate's subject.
pub(super) fn common_name(der: &CertificateDer<'_>) -> Option<String> {
    let certificate = parse(der)?;
    let first = certificate.subject().iter_common_name().next()?;
    first.as_str().ok().map(str::to_owned)
}

/// The alert `bad_certificate`.
const BAD: Error = Error::InvalidCertificate(CertificateError::BadEncoding);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::{Authority, Identity, KeyKind, Validity, self_signed};

    fn judge(chain: &[CertificateDer<'_>]) -> Result<(), Error> {
        AnyLeaf::default()
            .verify_client_cert(&chain[0], &chain[1..], UnixTime::now())
            .map(|_| ())
    }

    #[test]
    fn a_chain_is_taken_in_order_only() {
        let days = Validity::days(1);
        let root = Authority::root("root", KeyKind::P384, days).unwrap();
        let between = root.intermediate("b", KeyKind::Ed25519, days).unwrap();
        let leaf = between.issue("leaf", KeyKind::P256, days).unwrap();
        let alone = self_signed("alone", KeyKind::Ed25519, Validity::expired()).unwrap();
        let [top, issuer, leaf, alone] = [root.identity(), between.identity(), &leaf, &alone]
            .map(|identity: &Identity| identity.chain()[0].clone());
        for (chain, taken) in [
            (vec![&leaf], true),
            (vec![&alone], true),
            (vec![&leaf, &issuer], true),
            (vec![&leaf, &issuer, &top], true),
            (vec![&leaf, &top], false),
            (vec![&leaf, &alone], false),
            (vec![&leaf, &top, &issuer], false),
            (vec![&issuer, &leaf], false),
        ] {
            let chain: Vec<_> = chain.into_iter().cloned().collect();
            let judged = judge(&chain);
            assert_eq!(judged.is_ok(), taken, "{} certificates", chain.len());
            assert!(judged.is_ok() || judged == Err(BAD));
        }
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        let leaf = self_signed("leaf", KeyKind::P256, Validity::days(1)).unwrap();
        let der = &leaf.chain()[0];
        let cut = CertificateDer::from(&der[..der.len() - 1]);
        let longer = CertificateDer::from([&der[..], b"x"].concat());
        for bad in [CertificateDer::from(Vec::new()), cut, longer] {
            assert_eq!(judge(std::slice::from_ref(&bad)), Err(BAD));
            assert_eq!(judge(&[der.clone(), bad.clone()]), Err(BAD));
            assert!(Presented::new(&bad).is_none());
            assert!(common_name(&bad).is_none());
        }
    }
}
