//! What a cell holds: one certificate as the server compares it, several, or something else.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

/// What a cell holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// One certificate, DER.
    One(Vec<u8>),
    /// So many certificates.
    Several(usize),
    /// What a device cannot log in by, and why.
    Not(&'static str),
}

/// Reads a cell.
pub(super) fn read(cell: &str) -> Held {
    // The server knows these marks and line ends, and leaves all else where it is.
    let begins = cell.matches(BEGIN).count();
    if begins == 0 && cell.contains("-----") {
        return Held::Not(other_pem(cell));
    }
    if cell.contains("PRIVATE KEY-----") {
        return Held::Not("a private key beside the certificate: the server stores both");
    }
    if begins > 1 {
        return Held::Several(begins);
    }
    if cell.contains("\\n") {
        return Held::Not(
            "`\\n` in place of line ends: the server keeps it, and no device matches",
        );
    }
    let bare = bare(cell);
    if bare.contains("-----") {
        return Held::Not("more than a certificate: the server stores all of it");
    }
    if begins == 1 && (!cell.trim_start().starts_with(BEGIN) || !cell.trim_end().ends_with(END)) {
        return Held::Not(
            "text around the certificate: the server keeps it, and no device matches",
        );
    }
    let Ok(der) = STANDARD.decode(&bare) else {
        return Held::Not(not_base64(&bare));
    };
    match X509Certificate::from_der(&der) {
        Ok(([], _)) => Held::One(der),
        Ok((rest, _)) => match certificates(rest) {
            Some(more) => Held::Several(1 + more),
            None => Held::Not("bytes after the certificate"),
        },
        Err(_) if is_private_key(&der) => Held::Not("a private key in place of a certificate"),
        Err(_) if is_public_key(&der) => Held::Not("a public key in place of a certificate"),
        Err(_) => Held::Not("base64 text that is no certificate"),
    }
}

/// The DER of a text as PEM or base64, on however many lines.
pub(in crate::lint::cells) fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut inner = text.trim();
    if let Some(after) = inner.strip_prefix("-----BEGIN ") {
        inner = after.split_once("-----")?.1.split_once("-----END ")?.0;
    }
    let bare: String = inner.split_whitespace().collect();
    STANDARD.decode(bare).ok()
}

/// A certificate of several lines on one; `None` for any other text. Blanks around its lines go
/// too: the server would keep them.
pub(in crate::lint) fn on_one_line(text: &str) -> Option<String> {
    if !text.contains('\n') {
        return None;
    }
    let one: String = text.split(['\n', '\r']).map(str::trim).collect();
    let base64 = |text: &str| {
        let mark = |b: u8| matches!(b, b'+' | b'/' | b'=');
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || mark(b))
    };
    let whole = match one.strip_prefix(BEGIN) {
        Some(after) => after
            .strip_suffix(END)
            .is_some_and(|inner| base64(&inner.replace(END, "").replace(BEGIN, ""))),
        None => one.starts_with("MII") && base64(&one),
    };
    whole.then_some(one)
}

/// What the server stores of a cell.
fn bare(cell: &str) -> String {
    cell.replace(BEGIN, "")
        .replace(END, "")
        .replace(['\n', '\r'], "")
}

fn other_pem(cell: &str) -> &'static str {
    let holds = |label: &str| cell.contains(label);
    if holds("PRIVATE KEY-----") {
        "a private key in place of a certificate"
    } else if holds("PUBLIC KEY-----") {
        "a public key in place of a certificate"
    } else if holds("CERTIFICATE REQUEST-----") {
        "a request for a certificate, not the certificate"
    } else if holds("TRUSTED CERTIFICATE-----") || holds("X509 CERTIFICATE-----") {
        "a certificate under a label that the server does not know"
    } else {
        "PEM text that is no certificate"
    }
}

fn not_base64(bare: &str) -> &'static str {
    if bare.contains(char::is_whitespace) {
        let joined: String = bare.split_whitespace().collect();
        if STANDARD.decode(joined).is_ok() {
            return "blanks within the certificate: the server keeps them, and no device matches";
        }
    }
    if bare.bytes().any(|b| matches!(b, b'-' | b'_')) && bare.starts_with("MII") {
        return "base64 for URLs: the server compares with the usual one";
    }
    if bare.starts_with("MII") {
        return "a certificate that is cut off or damaged";
    }
    "neither PEM nor base64"
}

/// How many certificates stand one after the other.
fn certificates(mut der: &[u8]) -> Option<usize> {
    let mut count = 0;
    while !der.is_empty() {
        der = X509Certificate::from_der(der).ok()?.0;
        count += 1;
    }
    Some(count)
}

/// PKCS #8, SEC 1 or PKCS #1: a sequence that begins with a version and goes on with a secret.
fn is_private_key(der: &[u8]) -> bool {
    rustls::pki_types::PrivateKeyDer::try_from(der).is_ok()
}

fn is_public_key(der: &[u8]) -> bool {
    x509_parser::x509::SubjectPublicKeyInfo::from_der(der).is_ok_and(|(rest, _)| rest.is_empty())
}

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pki::{KeyKind, Validity, self_signed};
    use secrecy::ExposeSecret;

    fn not(cell: &str) -> &'static str {
        match read(cell) {
            Held::Not(why) => why,
            held => panic!("{held:?}"),
        }
    }

    #[test]
    fn reads_what_the_server_would_compare() {
        let identity = self_signed("unit-1", KeyKind::P256, Validity::days(1)).unwrap();
        let der = identity.chain()[0].to_vec();
        let pem = identity.certificates_pem();
        let base64 = identity.leaf_base64();
        for cell in [pem.clone(), base64.clone(), on_one_line(&pem).unwrap()] {
            assert_eq!(read(&cell), Held::One(der.clone()));
            assert_eq!(decoded(&cell), Some(der.clone()));
        }
        assert_eq!(read(&format!("{pem}{pem}")), Held::Several(2));
        let twice = STANDARD.encode([der.clone(), der].concat());
        assert_eq!(read(&twice), Held::Several(2));
        for (cell, why) in [
            (pem.replace('\n', " "), "blanks"),
            (pem.replace('\n', "\\n"), "`\\n`"),
            (format!("Bag Attributes\n{pem}"), "text around"),
            (base64[..base64.len() - 5].to_owned(), "cut off"),
            (
                identity.key_pem().expose_secret().to_owned(),
                "a private key in",
            ),
            (
                format!("{pem}{}", identity.key_pem().expose_secret()),
                "a private key beside",
            ),
            (
                STANDARD.encode(identity.key().secret_der()),
                "a private key in",
            ),
            ("unit-1".to_owned(), "neither"),
            (STANDARD.encode("unit-1"), "no certificate"),
        ] {
            assert!(not(&cell).contains(why), "{}: {}", not(&cell), why);
        }
    }

    #[test]
    fn only_certificates_are_put_on_one_line() {
        let pem = "-----BEGIN CERTIFICATE-----\n  MIIB\nAA== \n-----END CERTIFICATE-----\n";
        let one = "-----BEGIN CERTIFICATE-----MIIBAA==-----END CERTIFICATE-----";
        assert_eq!(on_one_line(pem).as_deref(), Some(one));
        assert_eq!(on_one_line("MIIB\nAA==").as_deref(), Some("MIIBAA=="));
        assert_eq!(on_one_line(one), None);
        assert_eq!(on_one_line("first\nsecond"), None);
        assert_eq!(on_one_line("MIIB\nsecond line"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_taken(cell in "(?s).{0,60}|(MII|[A-Za-z0-9+/=\n -]|-----BEGIN CERTIFICATE-----|-----END CERTIFICATE-----){0,20}") {
            read(&cell);
            decoded(&cell);
            if let Some(one) = on_one_line(&cell) {
                prop_assert!(!one.contains('\n'));
                prop_assert_eq!(on_one_line(&one), None);
            }
        }

        #[test]
        fn any_bytes_are_taken(der in proptest::collection::vec(any::<u8>(), 0..200)) {
            read(&STANDARD.encode(der));
        }
    }
}
