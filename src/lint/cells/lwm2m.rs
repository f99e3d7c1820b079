//! LwM2M credentials as the import checks them. Keys are never told.

use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::certificate::decoded;
use super::{columns_of, text};
use crate::dialect::ColumnType;
use crate::inventory::shown;
use crate::lint::finding::Findings;
use crate::lint::record::{Lint, Opened, Record};
use crate::lint::rule::Rule;

/// Finds LwM2M credentials that the server refuses.
#[derive(Default)]
pub(super) struct Lwm2m {
    endpoint: Option<usize>,
    /// The client's, the bootstrap server's and the server's.
    parts: [Part; 3],
}

/// The columns of one party's credentials.
#[derive(Clone, Copy, Default)]
struct Part {
    party: &'static str,
    mode: Option<usize>,
    identity: Option<usize>,
    key: Option<usize>,
    certificate: Option<usize>,
}

impl Lint for Lwm2m {
    fn begin(&mut self, list: &Opened<'_>, _out: &mut Findings<'_>) {
        use ColumnType as C;
        [self.endpoint] = columns_of(list, [C::Lwm2mClientEndpoint]);
        let part = |party, wanted| {
            let [mode, identity, key, certificate] = columns_of(list, wanted);
            Part {
                party,
                mode,
                identity,
                key,
                certificate,
            }
        };
        self.parts = [
            part(
                "client",
                [
                    C::Lwm2mClientSecurityConfigMode,
                    C::Lwm2mClientIdentity,
                    C::Lwm2mClientKey,
                    C::Lwm2mClientCert,
                ],
            ),
            // The servers' certificates stand in the columns of their public keys.
            part(
                "bootstrap server",
                [
                    C::Lwm2mBootstrapServerSecurityMode,
                    C::Lwm2mBootstrapServerPublicKeyOrId,
                    C::Lwm2mBootstrapServerSecretKey,
                    C::Lwm2mBootstrapServerPublicKeyOrId,
                ],
            ),
            part(
                "server",
                [
                    C::Lwm2mServerSecurityMode,
                    C::Lwm2mServerClientPublicKeyOrId,
                    C::Lwm2mServerClientSecretKey,
                    C::Lwm2mServerClientPublicKeyOrId,
                ],
            ),
        ];
    }

    fn row(&mut self, record: &Record<'_>, _list: &Opened<'_>, out: &mut Findings<'_>) {
        if text(record, self.endpoint).trim().is_empty() {
            self.without_endpoint(record, out);
            return;
        }
        for (n, part) in self.parts.iter().enumerate() {
            if let Some((column, what)) = part.refused(record, n == 0) {
                let column = column.or(part.mode).or(self.endpoint).unwrap_or(0);
                out.add(Rule::Lwm2m, record.place(column), || {
                    format!("the {}: {what}", part.party)
                });
            }
        }
    }
}

impl Lwm2m {
    fn without_endpoint(&self, record: &Record<'_>, out: &mut Findings<'_>) {
        let given = |column: &usize| {
            let cell = record.cell(*column);
            !cell.trim().is_empty() && cell != "NO_SEC"
        };
        let columns = self.parts.iter().flat_map(|part| {
            let columns = [part.mode, part.identity, part.key, part.certificate];
            columns.into_iter().flatten()
        });
        if let Some(column) = columns.into_iter().find(given) {
            out.add(Rule::Lwm2m, record.place(column), || {
                "LwM2M credentials without an endpoint: none of them is used".to_owned()
            });
        }
    }
}

impl Part {
    /// What the server refuses, and the column that it is in.
    fn refused(&self, record: &Record<'_>, client: bool) -> Option<(Option<usize>, String)> {
        let mode = text(record, self.mode);
        let identity = text(record, self.identity);
        let key = text(record, self.key);
        let plain = |what: &str| Some(what.to_owned());
        match mode.to_ascii_uppercase().as_str() {
            "" | "NO_SEC" => None,
            "PSK" => {
                let identity = if identity.trim().is_empty() {
                    plain("PSK without an identity")
                } else if identity == "NO_SEC" {
                    plain("the PSK identity is NO_SEC")
                } else {
                    None
                };
                let identity = identity.map(|what| (self.identity, what));
                identity.or_else(|| psk(key).map(|what| (self.key, what)))
            }
            "RPK" if client => rpk(key).map(|what| (self.key, what.to_owned())),
            "X509" if client => {
                let cell = text(record, self.certificate);
                let sound = cell.is_empty() || is_certificate(cell);
                let what = plain("a certificate that is none");
                what.filter(|_| !sound).map(|what| (self.certificate, what))
            }
            "RPK" | "X509" => {
                let mode = mode.to_ascii_uppercase();
                if identity.trim().is_empty() {
                    Some((self.identity, format!("{mode} without a public key")))
                } else if key.trim().is_empty() {
                    Some((self.key, format!("{mode} without a secret key")))
                } else {
                    None
                }
            }
            _ => {
                let what = format!("the mode {}: NO_SEC, PSK, RPK or X509", shown(mode));
                Some((self.mode, what))
            }
        }
    }
}

/// What is wrong with a pre-shared key.
fn psk(key: &str) -> Option<String> {
    if key.trim().is_empty() {
        return Some("PSK without a key".to_owned());
    }
    let digits = key.strip_prefix('-').unwrap_or(key);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Some("a PSK key that is not hexadecimal".to_owned());
    }
    // 96 passes, though the server's message does not say so.
    let fits = key.len().is_multiple_of(32) && key.len() <= 128;
    (!fits).then(|| {
        let length = key.len();
        format!("a PSK key of {length} digits: 32, 64 or 128")
    })
}

/// What is wrong with a raw public key.
fn rpk(key: &str) -> Option<&'static str> {
    if key.trim().is_empty() {
        return Some("RPK without a key");
    }
    let sound = decoded(key).is_some_and(|der| {
        SubjectPublicKeyInfo::from_der(&der).is_ok_and(|(rest, _)| rest.is_empty())
    });
    (!sound).then_some("an RPK key that is no public key in base64")
}

fn is_certificate(cell: &str) -> bool {
    decoded(cell).is_some_and(|der| X509Certificate::from_der(&der).is_ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn takes_the_keys_that_the_server_takes() {
        for (key, taken) in [
            ("0123456789abcdef0123456789ABCDEF".to_owned(), true),
            ("0".repeat(64), true),
            ("0".repeat(96), true),
            ("0".repeat(128), true),
            ("0".repeat(16), false),
            ("0".repeat(160), false),
            ("0".repeat(31), false),
            ("x".repeat(32), false),
            (String::new(), false),
            ("-".to_owned(), false),
        ] {
            let refused = psk(&key);
            assert_eq!(refused.is_none(), taken, "{refused:?}");
            assert!(refused.is_none_or(|what| key.len() < 3 || !what.contains(&key)));
        }
    }

    #[test]
    fn a_public_key_is_told_from_anything_else() {
        use crate::pki::{KeyKind, Validity, self_signed};
        use base64::Engine;
        use base64::engine::general_purpose::STANDARD;
        let identity = self_signed("unit", KeyKind::P256, Validity::days(1)).unwrap();
        let (_, certificate) = X509Certificate::from_der(&identity.chain()[0]).unwrap();
        let key = STANDARD.encode(certificate.public_key().raw);
        assert_eq!(rpk(&key), None);
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{key}\n-----END PUBLIC KEY-----");
        assert_eq!(rpk(&pem), None);
        assert!(rpk(&identity.leaf_base64()).is_some());
        assert!(rpk("").is_some());
        assert!(is_certificate(&identity.certificates_pem()));
        assert!(!is_certificate(&key));
    }

    proptest! {
        #[test]
        fn any_text_is_taken(key in "(?s).{0,60}") {
            psk(&key);
            rpk(&key);
            is_certificate(&key);
        }
    }
}
