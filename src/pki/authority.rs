//! Authorities that issue certificates, and certificates that devices make themselves.

use std::path::Path;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use x509_parser::prelude::{FromDer, X509Certificate};

use super::identity::file_error;
use super::{Identity, PkiError};

/// Which kind of key is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyKind {
    /// ECDSA on P-256: what every TLS peer knows.
    #[default]
    P256,
    /// ECDSA on P-384.
    P384,
    /// Ed25519.
    Ed25519,
}

impl KeyKind {
    /// The words for all kinds, in scenarios and on the command line.
    pub const WORDS: [(&'static str, Self); 3] = [
        ("p256", Self::P256),
        ("p384", Self::P384),
        ("ed25519", Self::Ed25519),
    ];

    fn generate(self) -> Result<KeyPair, PkiError> {
        KeyPair::generate_for(match self {
            Self::P256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            Self::P384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            Self::Ed25519 => &rcgen::PKCS_ED25519,
        })
        .map_err(crypto)
    }
}

/// From when to when a certificate holds.
#[derive(Clone, Copy, Debug)]
pub struct Validity {
    not_before: SystemTime,
    not_after: SystemTime,
}

impl Validity {
    /// From an hour ago, since clocks differ, for so many days from now.
    pub fn days(days: u32) -> Self {
        let now = SystemTime::now();
        Self {
            not_before: now - HOUR,
            not_after: now + DAY * days,
        }
    }

    /// For a day that ended a day ago.
    pub fn expired() -> Self {
        let now = SystemTime::now();
        Self {
            not_before: now - DAY * 2,
            not_after: now - DAY,
        }
    }
}

/// Who signs certificates: a root or an intermediate.
pub struct Authority {
    /// Its own certificate first, then those above it, the root included.
    identity: Identity,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Reads an authority: a PEM file with its certificate first, then perhaps those above it, and
    /// a PEM file with its private key (PKCS #8).
    pub fn load(certificates: &Path, key: &Path) -> Result<Self, PkiError> {
        let identity = Identity::from_files(certificates, key)?;
        let own = &identity.chain()[0];
        let is_authority = X509Certificate::from_der(own).is_ok_and(|(_, parsed)| {
            parsed
                .basic_constraints()
                .ok()
                .flatten()
                .is_some_and(|c| c.value.ca)
        });
        if !is_authority {
            let what = "its first certificate is no authority's (basic constraints say CA:FALSE \
                or nothing)\nhelp: put the certificate that signs devices first";
            return Err(file_error(certificates, what));
        }
        let pair = KeyPair::try_from(identity.key()).map_err(|error| {
            file_error(
                key,
                format!(
                    "cannot sign with this key: {error}\nhelp: convert it with `openssl pkcs8 \
                     -topk8 -nodes`"
                ),
            )
        })?;
        let issuer = Issuer::from_ca_cert_der(own, pair).map_err(crypto)?;
        Ok(Self { identity, issuer })
    }

    /// A new root.
    pub fn root(name: &str, kind: KeyKind, validity: Validity) -> Result<Self, PkiError> {
        let key = kind.generate()?;
        let params = authority_params(name, validity)?;
        let certificate = params.self_signed(&key).map_err(crypto)?;
        Self::assemble(vec![certificate.der().clone()], params, key)
    }

    /// A new authority below this one.
    pub fn intermediate(
        &self,
        name: &str,
        kind: KeyKind,
        validity: Validity,
    ) -> Result<Self, PkiError> {
        let key = kind.generate()?;
        let params = authority_params(name, validity)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(crypto)?;
        let mut chain = vec![certificate.der().clone()];
        chain.extend_from_slice(self.identity.chain());
        Self::assemble(chain, params, key)
    }

    /// A device's certificate: new key, signed by this authority, followed by this authority's own
    /// certificate and those above it without the root, as a client sends them.
    pub fn issue(
        &self,
        common_name: &str,
        kind: KeyKind,
        validity: Validity,
    ) -> Result<Identity, PkiError> {
        let mut params = leaf_params(common_name, validity)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params, kind)
    }

    /// A server's certificate for host names and IP addresses.
    pub fn issue_server(
        &self,
        names: &[&str],
        kind: KeyKind,
        validity: Validity,
    ) -> Result<Identity, PkiError> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = leaf_params(names.first().map_or("localhost", String::as_str), validity)?;
        params.subject_alt_names = CertificateParams::new(names)
            .map_err(crypto)?
            .subject_alt_names;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(params, kind)
    }

    /// Its certificate and those above it, root last, with its key.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    fn sign(&self, params: CertificateParams, kind: KeyKind) -> Result<Identity, PkiError> {
        let key = kind.generate()?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(crypto)?;
        let mut chain = vec![certificate.der().clone()];
        chain.extend_from_slice(without_root(self.identity.chain()));
        Identity::new(chain, private(&key))
    }

    fn assemble(
        chain: Vec<CertificateDer<'static>>,
        params: CertificateParams,
        key: KeyPair,
    ) -> Result<Self, PkiError> {
        Ok(Self {
            identity: Identity::new(chain, private(&key))?,
            issuer: Issuer::new(params, key),
        })
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority")
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

/// A certificate that a device makes itself: its own issuer.
pub fn self_signed(
    common_name: &str,
    kind: KeyKind,
    validity: Validity,
) -> Result<Identity, PkiError> {
    let key = kind.generate()?;
    let certificate = leaf_params(common_name, validity)?
        .self_signed(&key)
        .map_err(crypto)?;
    Identity::new(vec![certificate.der().clone()], private(&key))
}

/// A root is for the other side to have; alone, it is all there is to show.
fn without_root<'c>(chain: &'c [CertificateDer<'static>]) -> &'c [CertificateDer<'static>] {
    let is_root = |last: &CertificateDer<'_>| {
        X509Certificate::from_der(last).is_ok_and(|(_, parsed)| parsed.issuer() == parsed.subject())
    };
    match chain {
        [below @ .., last] if !below.is_empty() && is_root(last) => below,
        all => all,
    }
}

fn leaf_params(common_name: &str, validity: Validity) -> Result<CertificateParams, PkiError> {
    let length = common_name.chars().count();
    if !(1..=COMMON_NAME).contains(&length) {
        return Err(PkiError::Crypto(format!(
            "a common name has 1 to {COMMON_NAME} characters, and this has {length}"
        )));
    }
    let mut params = CertificateParams::new(Vec::new()).map_err(crypto)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params.not_before = validity.not_before.into();
    params.not_after = validity.not_after.into();
    Ok(params)
}

fn authority_params(name: &str, validity: Validity) -> Result<CertificateParams, PkiError> {
    let mut params = leaf_params(name, validity)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn private(key: &KeyPair) -> PrivateKeyDer<'static> {
    let der = key.serialize_der();
    // ring writes Ed25519 keys as RFC 5958 has them, with the public key behind; OpenSSL 3.0 and
    // many others read the form of RFC 5208 only, which ends with the private one.
    let der = match der.strip_prefix(ED25519_V2) {
        Some(rest) if rest.len() > ED25519_SEED => [ED25519_V1, &rest[..ED25519_SEED]].concat(),
        _ => der,
    };
    PrivateKeyDer::Pkcs8(der.into())
}

fn crypto(error: rcgen::Error) -> PkiError {
    PkiError::Crypto(error.to_string())
}

/// What stands before the seed of an Ed25519 key: SEQUENCE, version, algorithm, OCTET STRINGs.
const ED25519_V2: &[u8] = b"\x30\x51\x02\x01\x01\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
const ED25519_V1: &[u8] = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
const ED25519_SEED: usize = 32;

/// X.520's upper bound, which servers and clients check.
const COMMON_NAME: usize = 64;

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
