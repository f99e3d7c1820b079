//! A private key with the certificates that go with it.

use std::fmt;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

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
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    certified: Arc<CertifiedKey>,
}

impl Identity {
    /// Puts a key and its certificates (leaf first, at least one) together.
    ///
    /// Fails when the key is of an unknown kind or is not the leaf's.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, PkiError> {
        let signing = any_supported_type(&key).map_err(|e| PkiError::Crypto(e.to_string()))?;
        let certified = CertifiedKey::new(chain.clone(), signing);
        certified
            .keys_match()
            .map_err(|_| PkiError::Crypto("the key is not the certificate's".to_owned()))?;
        Ok(Self(Arc::new(Parts {
            chain,
            key,
            certified: Arc::new(certified),
        })))
    }

    /// Reads a PEM file of certificates, leaf first, and a PEM file with the key.
    pub fn from_files(certificates: &Path, key: &Path) -> Result<Self, PkiError> {
        let chain = CertificateDer::pem_file_iter(certificates)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|e| file_error(certificates, pem_fault(&e)))?;
        if chain.is_empty() {
            return Err(file_error(certificates, "holds no certificate in PEM form"));
        }
        let private = PrivateKeyDer::from_pem_file(key).map_err(|e| {
            let what = match e {
                pem::Error::NoItemsFound => "holds no private key in PEM form that is not \
                    encrypted\nhelp: decrypt it with `openssl pkey`"
                    .to_owned(),
                other => pem_fault(&other),
            };
            file_error(key, what)
        })?;
        Self::new(chain, private).map_err(|e| match e {
            PkiError::Crypto(what) => file_error(key, what),
            other => other,
        })
    }

    /// Writes `<stem>.key.pem`, readable by its owner only, and `<stem>.crt.pem` into a directory;
    /// returns the paths, the certificate's first. Nothing is overwritten. The key goes first: no
    /// crash leaves a certificate without its key.
    pub fn write(&self, dir: &Path, stem: &str) -> Result<(PathBuf, PathBuf), PkiError> {
        let certificate = dir.join(format!("{stem}.crt.pem"));
        let key = dir.join(format!("{stem}.key.pem"));
        write_new(&key, 0o600, self.key_pem().expose_secret())?;
        write_new(&certificate, 0o644, &self.certificates_pem())?;
        Ok((certificate, key))
    }

    /// The certificates, leaf first.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.0.chain
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
        STANDARD.encode(&self.0.chain[0])
    }

    /// The certificates as PEM, leaf first.
    pub fn certificates_pem(&self) -> String {
        self.0
            .chain
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
            .field("certificates", &self.0.chain.len())
            .finish_non_exhaustive()
    }
}

pub(super) fn file_error(path: &Path, what: impl Into<String>) -> PkiError {
    PkiError::File {
        path: path.to_owned(),
        what: what.into(),
    }
}

/// What is wrong with a PEM file, without its contents.
fn pem_fault(error: &pem::Error) -> String {
    match error {
        pem::Error::Io(error) => error.to_string(),
        pem::Error::NoItemsFound => "holds nothing of the kind in PEM form".to_owned(),
        _ => "is no sound PEM file".to_owned(),
    }
}

fn write_new(path: &Path, mode: u32, text: &str) -> Result<(), PkiError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| file_error(path, error.to_string()))
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
