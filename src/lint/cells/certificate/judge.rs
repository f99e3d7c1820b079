//! What is wrong with a certificate in itself.

use x509_parser::certificate::X509Certificate;
use x509_parser::public_key::PublicKey;
use x509_parser::time::ASN1Time;

/// Whether a certificate is valid at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum When {
    Valid,
    /// Since this time, no more.
    Expired(String),
    /// From this time on.
    NotYet(String),
}

/// Judges the dates of a certificate; `now` is seconds since 1970.
pub(super) fn when(certificate: &X509Certificate<'_>, now: i64) -> When {
    let validity = certificate.validity();
    if validity.not_after.timestamp() < now {
        When::Expired(date(validity.not_after))
    } else if validity.not_before.timestamp() > now {
        When::NotYet(date(validity.not_before))
    } else {
        When::Valid
    }
}

fn date(time: ASN1Time) -> String {
    time.to_datetime().date().to_string()
}

/// What is weak about a certificate.
pub(super) fn weak(certificate: &X509Certificate<'_>) -> Option<String> {
    let oid = certificate.signature_algorithm.algorithm.to_id_string();
    if let Some((_, hash)) = HASHES.iter().find(|(weak, _)| *weak == oid) {
        return Some(format!("it is signed with {hash}"));
    }
    match certificate.public_key().parsed() {
        Ok(PublicKey::RSA(key)) if bits(key.modulus) < 2048 => {
            Some(format!("its RSA key has {} bits", bits(key.modulus)))
        }
        Ok(PublicKey::EC(point)) if point.key_size() < 256 => {
            Some(format!("its curve has {} bits", point.key_size()))
        }
        Ok(PublicKey::DSA(_)) => Some("it has a DSA key".to_owned()),
        _ => None,
    }
}

/// The length of an unsigned number.
fn bits(number: &[u8]) -> usize {
    let significant = number.iter().position(|b| *b != 0);
    significant.map_or(0, |at| {
        (number.len() - at) * 8 - number[at].leading_zeros() as usize
    })
}

/// The common name as the server takes it: the first there is.
pub(super) fn common_name<'c>(certificate: &'c X509Certificate<'_>) -> Option<&'c str> {
    let first = certificate.subject().iter_common_name().next()?;
    first.as_str().ok()
}

/// Signatures by hashes that are broken (RFC 3279, RFC 8017).
const HASHES: [(&str, &str); 6] = [
    ("1.2.840.113549.1.1.2", "MD2"),
    ("1.2.840.113549.1.1.4", "MD5"),
    ("1.2.840.113549.1.1.5", "SHA-1"),
    ("1.3.14.3.2.29", "SHA-1"),
    ("1.2.840.10045.4.1", "SHA-1"),
    ("1.2.840.10040.4.3", "SHA-1"),
];

#[cfg(test)]
mod tests {
    use x509_parser::prelude::FromDer;

    use super::*;
    use crate::pki::{Identity, KeyKind, Validity, self_signed};

    fn made(kind: KeyKind) -> Identity {
        self_signed("unit-1", kind, Validity::days(2)).unwrap()
    }

    #[test]
    fn dates_are_judged_by_the_time_given() {
        let identity = made(KeyKind::P256);
        let (_, certificate) = X509Certificate::from_der(&identity.chain()[0]).unwrap();
        let end = certificate.validity().not_after.timestamp();
        let begin = certificate.validity().not_before.timestamp();
        assert_eq!(when(&certificate, end), When::Valid);
        assert!(matches!(when(&certificate, end + 1), When::Expired(_)));
        assert!(matches!(when(&certificate, begin - 1), When::NotYet(_)));
        assert_eq!(common_name(&certificate), Some("unit-1"));
    }

    #[test]
    fn todays_keys_are_not_weak() {
        for kind in [KeyKind::P256, KeyKind::P384, KeyKind::Ed25519] {
            let identity = made(kind);
            let (_, certificate) = X509Certificate::from_der(&identity.chain()[0]).unwrap();
            assert_eq!(weak(&certificate), None);
        }
    }

    #[test]
    fn leading_zeros_are_no_bits() {
        assert_eq!(bits(&[0, 0x80, 0]), 16);
        assert_eq!(bits(&[0x01]), 1);
        assert_eq!(bits(&[]), 0);
    }
}
