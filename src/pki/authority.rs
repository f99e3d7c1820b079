//! Authorities that issue certificates, and certificates that devices make themselves.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyUsagePurpose,
};
use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::identity::file_error;
use super::signer::{NewKey, Signer};
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
    issuer: Issuer<'static, Signer>,
}

impl Authority {
    /// Reads an authority: a PEM file with its certificate first, then perhaps those above it, and
    /// a PEM file with its private key, which may be an RSA key.
    pub fn load(certificates: &Path, key: &Path) -> Result<Self, PkiError> {
        let identity = Identity::from_files(certificates, key)?;
        let own = &identity.chain()[0];
        may_sign(own).map_err(|what| {
            let way_out = "help: put the certificate that signs devices first";
            file_error(certificates, format!("{what}\n{way_out}"))
        })?;
        let signer = Signer::new(Arc::clone(&identity.certified().key))
            .ok_or_else(|| file_error(key, "keys of this kind sign no certificates here"))?;
        let issuer = has_plain_name(own)
            .then(|| Issuer::from_ca_cert_der(own, signer).ok())
            .flatten()
            .ok_or_else(|| file_error(certificates, FOREIGN_NAME))?;
        let authority = Self { identity, issuer };
        if !authority.is_named_as_itself()? {
            return Err(file_error(certificates, FOREIGN_NAME));
        }
        Ok(authority)
    }

    /// A new root.
    pub fn root(name: &str, kind: KeyKind, validity: Validity) -> Result<Self, PkiError> {
        let key = NewKey::generate(kind)?;
        let params = authority_params(name, validity)?;
        let certificate = params.self_signed(&key.signer).map_err(crypto)?;
        Ok(Self::assemble(vec![certificate.der().clone()], params, key))
    }

    /// A new authority below this one.
    pub fn intermediate(
        &self,
        name: &str,
        kind: KeyKind,
        validity: Validity,
    ) -> Result<Self, PkiError> {
        let key = NewKey::generate(kind)?;
        let mut params = authority_params(name, validity)?;
        params.use_authority_key_identifier_extension = true;
        let certificate = params
            .signed_by(&key.signer, &self.issuer)
            .map_err(crypto)?;
        let mut chain = vec![certificate.der().clone()];
        chain.extend_from_slice(self.identity.chain());
        Ok(Self::assemble(chain, params, key))
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

    /// A server's certificate for host names and IP addresses, of which the first that is short
    /// enough is its common name, too.
    pub fn issue_server(
        &self,
        names: &[&str],
        kind: KeyKind,
        validity: Validity,
    ) -> Result<Identity, PkiError> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let short = |name: &&String| name.chars().count() <= COMMON_NAME;
        let common_name = names.iter().find(short).map_or("server", String::as_str);
        let mut params = leaf_params(common_name, validity)?;
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

    fn sign(&self, mut params: CertificateParams, kind: KeyKind) -> Result<Identity, PkiError> {
        // By the name alone, whoever trusts two authorities of one name may try the wrong one.
        params.use_authority_key_identifier_extension = true;
        let key = NewKey::generate(kind)?;
        let certificate = params
            .signed_by(&key.signer, &self.issuer)
            .map_err(crypto)?;
        let mut chain = vec![certificate.der().clone()];
        chain.extend_from_slice(without_root(self.identity.chain()));
        Ok(Identity::made(chain, key.der, key.signer.key()))
    }

    fn assemble(
        chain: Vec<CertificateDer<'static>>,
        params: CertificateParams,
        key: NewKey,
    ) -> Self {
        Self {
            identity: Identity::made(chain, key.der, key.signer.key()),
            issuer: Issuer::new(params, key.signer),
        }
    }

    /// Whether certificates that it issues name their issuer as its own certificate does: to the
    /// byte, or else nobody finds the way from one to the other.
    fn is_named_as_itself(&self) -> Result<bool, PkiError> {
        let issued = self.issue("trial", KeyKind::P256, Validity::days(1))?;
        let issued = &issued.chain()[0];
        let own = &self.identity.chain()[0];
        Ok(match (parse(issued), parse(own)) {
            (Some(issued), Some(own)) => issued.issuer().as_raw() == own.subject().as_raw(),
            _ => false,
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
    let key = NewKey::generate(kind)?;
    let certificate = leaf_params(common_name, validity)?
        .self_signed(&key.signer)
        .map_err(crypto)?;
    let chain = vec![certificate.der().clone()];
    Ok(Identity::made(chain, key.der, key.signer.key()))
}

/// A root is for the other side to have; alone, it is all there is to show.
fn without_root<'c>(chain: &'c [CertificateDer<'static>]) -> &'c [CertificateDer<'static>] {
    let is_root = |last: &CertificateDer<'_>| {
        parse(last).is_some_and(|last| last.issuer().as_raw() == last.subject().as_raw())
    };
    match chain {
        [below @ .., last] if !below.is_empty() && is_root(last) => below,
        all => all,
    }
}

/// Why a certificate is no authority's.
fn may_sign(certificate: &CertificateDer<'_>) -> Result<(), &'static str> {
    let certificate = parse(certificate).ok_or("its first certificate cannot be read")?;
    let constraints = certificate.basic_constraints().ok().flatten();
    if !constraints.is_some_and(|found| found.value.ca) {
        return Err(
            "its first certificate is no authority's (its basic constraints do not say CA)",
        );
    }
    match certificate.key_usage() {
        Ok(Some(usage)) if !usage.value.key_cert_sign() => {
            Err("its first certificate may not sign others (so its key usage says)")
        }
        _ => Ok(()),
    }
}

/// Whether each part of the subject's name holds one attribute, as all in use do.
fn has_plain_name(certificate: &CertificateDer<'_>) -> bool {
    parse(certificate).is_some_and(|found| {
        let mut parts = found.subject().iter_rdn();
        parts.all(|part| part.iter().count() == 1)
    })
}

fn parse<'c>(certificate: &'c CertificateDer<'_>) -> Option<X509Certificate<'c>> {
    X509Certificate::from_der(certificate)
        .ok()
        .map(|(_, parsed)| parsed)
}

/// Whether a text can be a common name: 1 to 64 characters (X.520's upper bound, which servers
/// and clients check), none of them a control character.
pub fn check_common_name(text: &str) -> Result<(), PkiError> {
    let length = text.chars().count();
    if !(1..=COMMON_NAME).contains(&length) {
        return Err(PkiError::Crypto(format!(
            "a common name has 1 to {COMMON_NAME} characters, and this has {length}"
        )));
    }
    if text.contains(char::is_control) {
        let what = "a common name has no control characters, and this has";
        return Err(PkiError::Crypto(what.to_owned()));
    }
    Ok(())
}

fn leaf_params(common_name: &str, validity: Validity) -> Result<CertificateParams, PkiError> {
    check_common_name(common_name)?;
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

#[expect(clippy::needless_pass_by_value, reason = "map_err passes it so")]
fn crypto(error: rcgen::Error) -> PkiError {
    PkiError::Crypto(error.to_string())
}

const FOREIGN_NAME: &str = "its subject names one attribute twice, or in a way that cannot be \
    repeated under the devices' certificates\nhelp: sign with an authority below it, whose subject \
    is a common name alone";

const COMMON_NAME: usize = 64;

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
