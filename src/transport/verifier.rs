//! Judges of server certificates, where rustls's own is too narrow for servers under test.
//!
//! One trusts given roots, and takes a certificate that is itself among them although it calls
//! itself an authority: so ThingsBoard's own guide makes the server's. The other believes
//! everybody, by choice only. Both have the server prove that it has the certificate's key.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

/// Wants a chain to one of the roots, the right name and dates that hold.
#[derive(Debug)]
pub(super) struct Believer {
    pub(super) chains: Arc<WebPkiServerVerifier>,
    /// For [given](Self::is_given) certificates.
    pub(super) given: Vec<CertificateDer<'static>>,
}

impl Believer {
    /// Whether the server shows one of the very certificates that were given, with a name and
    /// dates that hold. webpki would not take it if it says that it is an authority's.
    fn is_given(&self, shown: &CertificateDer<'_>, name: &ServerName<'_>, now: UnixTime) -> bool {
        if !self.given.contains(shown) {
            return false;
        }
        let Ok((_, certificate)) = X509Certificate::from_der(shown) else {
            return false;
        };
        let in_time = ASN1Time::from_timestamp(now.as_secs().cast_signed())
            .is_ok_and(|now| certificate.validity().is_valid_at(now));
        let named = match certificate.subject_alternative_name() {
            Ok(Some(_)) => ParsedCertificate::try_from(shown)
                .is_ok_and(|parsed| verify_server_name(&parsed, name).is_ok()),
            // Only old ones have no other name than the common one.
            Ok(None) => certificate
                .subject()
                .iter_common_name()
                .filter_map(|common| common.as_str().ok())
                .any(|common| common.eq_ignore_ascii_case(&name.to_str())),
            Err(_) => false,
        };
        in_time && named
    }
}

impl ServerCertVerifier for Believer {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.chains
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            .or_else(|refusal| {
                if self.is_given(end_entity, server_name, now) {
                    Ok(ServerCertVerified::assertion())
                } else {
                    Err(refusal)
                }
            })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chains.supported_verify_schemes()
    }
}

/// Takes any certificate for the server's, whoever issued it, for whatever name and time.
#[derive(Debug)]
pub(super) struct Credulous(pub(super) WebPkiSupportedAlgorithms);

impl Credulous {
    /// For certificates of version 1, which `openssl x509 -req` makes and webpki does not read.
    fn second_look(
        &self,
        refusal: Error,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let (Error::InvalidCertificate(_), Ok((_, certificate))) =
            (&refusal, X509Certificate::from_der(cert))
        else {
            return Err(refusal);
        };
        let key = &certificate.public_key().subject_public_key.data;
        let of_scheme = self.0.mapping.iter().find(|(s, _)| *s == dss.scheme);
        let proven = of_scheme.is_some_and(|(_, algorithms)| {
            let mut algorithms = algorithms.iter();
            algorithms.any(|a| a.verify_signature(key, message, dss.signature()).is_ok())
        });
        if proven {
            Ok(HandshakeSignatureValid::assertion())
        } else {
            Err(refusal)
        }
    }
}

impl ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.0)
            .or_else(|refusal| self.second_look(refusal, message, cert, dss))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.0)
            .or_else(|refusal| self.second_look(refusal, message, cert, dss))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
