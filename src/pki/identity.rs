//! A private key with the certificates that go with it.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SigningKey};
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Why a key or certificate cannot be had. Never holds key material.
#[derive(Debug, Error)]
pub enum PkiError {
    /// A PEM file could not be read, or does not hold what it should.
    #[error("{path}: {what}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A key or certificate could not be made or does not fit.
    #[error("certificates: {0}")]
    Crypto(String),
}

/// A key and its certificates, leaf first. Cheap to clone; never prints its key.
#[derive(Clone)]
pub struct Identity(Arc<Parts>);

struct Parts {
    /// The certificates, and the key as it signs.
    certified: Arc<CertifiedKey>,
    /// The key as it is written.
    key: PrivateKeyDer<'static>,
}

impl Identity {
    /// Puts a key and its certificates (leaf first, at least one) together.
    ///
    /// Fails when the key is of an unknown kind or is not the leaf's.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, PkiError> {
        let signing = any_supported_type(&key).map_err(|_| {
            let known = "RSA of 2048 bits or more, P-256, P-384, Ed25519";
            PkiError::Crypto(format!("the key is of no known kind ({known})"))
        })?;
        let own = signing.public_key();
        let is_its = |certificate: &CertificateDer<'_>| {
            own.as_ref()
                .is_some_and(|own| public_key(certificate) == Some(own.as_ref()))
        };
        if !chain.first().is_some_and(is_its) {
            let what = if chain.iter().any(is_its) {
                "the certificates are out of order: the key's own must be the first"
            } else {
                "the key is not the certificate's"
            };
            return Err(PkiError::Crypto(what.to_owned()));
        }
        Ok(Self::made(chain, key, signing))
    }

    /// Puts together what was made together.
    pub(super) fn made(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        signing: Arc<dyn SigningKey>,
    ) -> Self {
        let certified = Arc::new(CertifiedKey::new(chain, signing));
        Self(Arc::new(Parts { certified, key }))
    }

    /// Reads a PEM file of certificates, leaf first, and a PEM file with the key.
    pub fn from_files(certificates: &Path, key: &Path) -> Result<Self, PkiError> {
        let text =
            fs::read(certificates).map_err(|error| file_error(certificates, error.to_string()))?;
        let chain = CertificateDer::pem_slice_iter(&text)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| file_error(certificates, UNSOUND))?;
        if chain.is_empty() {
            return Err(file_error(certificates, NO_CERTIFICATE));
        }
        let text = fs::read(key).map_err(|error| file_error(key, error.to_string()))?;
        let private = PrivateKeyDer::from_pem_slice(&text).map_err(|error| {
            let what = match error {
                // PKCS #8 says it in the first line, OpenSSL's older form in the second.
                _ if text.windows(ENCRYPTED.len()).any(|w| w == ENCRYPTED) => LOCKED,
                pem::Error::NoItemsFound => NO_KEY,
                // The error quotes what it cannot read.
                _ => UNSOUND,
            };
            file_error(key, what)
        })?;
        Self::new(chain, private).map_err(|e| match e {
            PkiError::Crypto(what) => file_error(
                key,
                format!(
                    "{what}\nhelp: its certificates are those of {}",
                    certificates.display()
                ),
            ),
            other @ PkiError::File { .. } => other,
        })
    }

    /// Writes `<stem>.key.pem`, readable by its owner only, and `<stem>.crt.pem` into a directory;
    /// returns the paths, the certificate's first. Nothing is overwritten. The key goes first, and
    /// a file has its name only once it is whole: whoever is cut off leaves neither half a key nor
    /// a certificate without its key.
    pub fn write(&self, dir: &Path, stem: &str) -> Result<(PathBuf, PathBuf), PkiError> {
        let certificate = dir.join(format!("{stem}.crt.pem"));
        let key = dir.join(format!("{stem}.key.pem"));
        write_new(&key, 0o600, self.key_pem().expose_secret())?;
        write_new(&certificate, 0o644, &self.certificates_pem())?;
        Ok((certificate, key))
    }

    /// The same key with its own certificate alone, without those above it.
    #[must_use]
    pub fn alone(&self) -> Self {
        let signing = Arc::clone(&self.0.certified.key);
        Self::made(
            vec![self.chain()[0].clone()],
            self.key().clone_key(),
            signing,
        )
    }

    /// The certificates, leaf first.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.0.certified.cert
    }

    /// The private key, DER. Secret.
    pub fn key(&self) -> &PrivateKeyDer<'static> {
        &self.0.key
    }

    /// Both, in the form that rustls signs with.
    pub fn certified(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0.certified)
    }

    /// The leaf as base64 of its DER on one line: what ThingsBoard stores and hashes
    /// (section 1.3 of the wire specification).
    pub fn leaf_base64(&self) -> String {
        STANDARD.encode(&self.chain()[0])
    }

    /// The certificates as PEM, leaf first.
    pub fn certificates_pem(&self) -> String {
        self.chain()
            .iter()
            .map(|certificate| armoured("CERTIFICATE", certificate))
            .collect()
    }

    /// The key as PEM (PKCS #8 where it was made here). Secret.
    pub fn key_pem(&self) -> SecretString {
        let label = match self.0.key {
            PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
            PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
            _ => "PRIVATE KEY",
        };
        armoured(label, self.0.key.secret_der()).into()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("certificates", &self.chain().len())
            .finish_non_exhaustive()
    }
}

pub(super) fn file_error(path: &Path, what: impl Into<String>) -> PkiError {
    PkiError::File {
        path: path.to_owned(),
        what: what.into(),
    }
}

/// Whose certificate it is, of any version: OpenSSL's `x509 -req` makes version 1, on its own.
fn public_key<'c>(certificate: &'c CertificateDer<'_>) -> Option<&'c [u8]> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Some(parsed.tbs_certificate.subject_pki.raw)
}

fn write_new(path: &Path, mode: u32, text: &str) -> Result<(), PkiError> {
    let written = || {
        // Whoever else writes here at the same time is stopped by the unfinished file.
        let unfinished = path.with_extension("pem.part");
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&unfinished)?;
        let finish = |file: &mut File| {
            if path.try_exists()? {
                return Err(ErrorKind::AlreadyExists.into());
            }
            file.write_all(text.as_bytes())?;
            fs::rename(&unfinished, path)
        };
        finish(&mut file).inspect_err(|_| drop(fs::remove_file(&unfinished)))
    };
    written().map_err(|error: io::Error| {
        let what = match error.kind() {
            ErrorKind::AlreadyExists => "is there already, and is not overwritten".to_owned(),
            _ => format!("cannot be written: {error}"),
        };
        file_error(path, what)
    })
}

/// RFC 7468: lines of 64 characters.
fn armoured(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut out = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(64) {
        out.push_str(std::str::from_utf8(line).expect("base64 is ASCII"));
        out.push('\n');
    }
    out + &format!("-----END {label}-----\n")
}

const ENCRYPTED: &[u8] = b"ENCRYPTED";
const LOCKED: &str = "the key is encrypted, and nobody is there to ask for its password\n\
    help: decrypt it with `openssl pkey -in FILE -out PLAIN`";
const NO_CERTIFICATE: &str = "holds no certificate in PEM form\n\
    help: convert one in DER form with `openssl x509 -inform DER -in FILE -out PEM`";
const NO_KEY: &str = "holds no private key in PEM form\n\
    help: convert one in DER form with `openssl pkey -inform DER -in FILE -out PEM`";
const UNSOUND: &str = "is no sound PEM file";
