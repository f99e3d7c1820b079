//! Credentials as the platform stores, identifies and checks them. Pure: no registry, no socket.
//! Nothing here prints: the values are secret.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret;
use sha3::{Digest, Sha3_256};

use super::gson::quote;
use crate::model::Credentials;

/// The type a request asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    AccessToken,
    X509,
    MqttBasic,
    Lwm2m,
}

impl Kind {
    /// By the API's name, exact.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "ACCESS_TOKEN" => Self::AccessToken,
            "X509_CERTIFICATE" => Self::X509,
            "MQTT_BASIC" => Self::MqttBasic,
            "LWM2M_CREDENTIALS" => Self::Lwm2m,
            _ => return None,
        })
    }

    /// By the protobuf enum's number.
    pub(super) fn from_number(number: i32) -> Option<Self> {
        Some(match number {
            0 => Self::AccessToken,
            1 => Self::X509,
            2 => Self::MqttBasic,
            3 => Self::Lwm2m,
            _ => return None,
        })
    }
}

/// The values a device would like to have; empty = not given.
#[derive(Default)]
pub(super) struct Wanted {
    pub(super) token: String,
    pub(super) client_id: String,
    pub(super) username: String,
    pub(super) password: String,
    pub(super) certificate: String,
}

impl Wanted {
    /// Whether the device leaves the choice to the server.
    pub(super) fn is_empty(&self) -> bool {
        [
            &self.token,
            &self.client_id,
            &self.username,
            &self.password,
            &self.certificate,
        ]
        .iter()
        .all(|value| value.is_empty())
    }
}

/// The request cannot be turned into credentials: the answer is FAILURE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unfit;

/// Credentials as stored. Boxed, since a million tokens must not pay for the other two.
#[derive(Clone)]
pub(super) enum Stored {
    AccessToken(Box<str>),
    MqttBasic(Box<Basic>),
    X509(Box<Certificate>),
}

/// MQTT basic credentials; an empty value is not checked.
#[derive(Clone)]
pub(super) struct Basic {
    id: Box<str>,
    client_id: Box<str>,
    username: Box<str>,
    password: Box<str>,
}

/// A certificate as text, and its id.
#[derive(Clone)]
pub(super) struct Certificate {
    id: Box<str>,
    value: Box<str>,
}

/// How far an MQTT login fits MQTT basic credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    Fits,
    WrongPassword,
    Other,
}

impl Stored {
    /// What the device asked for, by the rules of its kind.
    pub(super) fn settle(kind: Kind, wanted: &Wanted) -> Result<Self, Unfit> {
        // The database refuses NUL in any text.
        let texts = [&wanted.token, &wanted.client_id, &wanted.username];
        if texts.iter().any(|text| text.contains('\0')) {
            return Err(Unfit);
        }
        match kind {
            Kind::AccessToken if wanted.token.is_empty() => Err(Unfit),
            Kind::AccessToken => Ok(Self::AccessToken(wanted.token.as_str().into())),
            Kind::MqttBasic => Self::basic(wanted),
            Kind::X509 => {
                let value = trim_certificate(&wanted.certificate);
                let id = sha3_hex(&value).into();
                let value = value.into();
                Ok(Self::X509(Box::new(Certificate { id, value })))
            }
            Kind::Lwm2m => Err(Unfit),
        }
    }

    /// The credentials of a device that exists from the start.
    pub(super) fn listed(credentials: &Credentials) -> Result<Self, Unfit> {
        let (kind, wanted) = match credentials {
            Credentials::AccessToken(token) => (
                Kind::AccessToken,
                Wanted {
                    token: token.expose_secret().to_owned(),
                    ..Wanted::default()
                },
            ),
            Credentials::MqttBasic(basic) => (
                Kind::MqttBasic,
                Wanted {
                    client_id: basic.client_id.clone(),
                    username: basic.username.clone(),
                    password: basic.password.expose_secret().to_owned(),
                    ..Wanted::default()
                },
            ),
            Credentials::X509 { certificate } => (
                Kind::X509,
                Wanted {
                    certificate: certificate.clone(),
                    ..Wanted::default()
                },
            ),
        };
        Self::settle(kind, &wanted)
    }

    /// A certificate that was presented, DER.
    pub(super) fn certificate(der: &[u8]) -> Self {
        let value = STANDARD.encode(der);
        Self::X509(Box::new(Certificate {
            id: sha3_hex(&value).into(),
            value: value.into(),
        }))
    }

    fn basic(wanted: &Wanted) -> Result<Self, Unfit> {
        let (client_id, username) = (wanted.client_id.as_str(), wanted.username.as_str());
        let id = match (client_id.is_empty(), username.is_empty()) {
            (true, true) => return Err(Unfit),
            (false, true) if !wanted.password.is_empty() => return Err(Unfit),
            (true, false) => username.to_owned(),
            _ => client_and_user_id(client_id, username),
        };
        Ok(Self::MqttBasic(Box::new(Basic {
            id: id.into(),
            client_id: client_id.into(),
            username: username.into(),
            password: wanted.password.as_str().into(),
        })))
    }

    /// What logins are looked up by: unique over all devices.
    pub(super) fn id(&self) -> &str {
        match self {
            Self::AccessToken(token) => token,
            Self::MqttBasic(basic) => &basic.id,
            Self::X509(certificate) => &certificate.id,
        }
    }

    /// The access token, if these are one.
    pub(super) fn token(&self) -> Option<&str> {
        match self {
            Self::AccessToken(token) => Some(token),
            _ => None,
        }
    }

    /// Whether these are a certificate.
    pub(super) fn is_certificate(&self) -> bool {
        matches!(self, Self::X509(_))
    }

    /// Whether an MQTT login fits; `None` if these are not MQTT basic credentials.
    pub(super) fn fit(&self, client: &str, user: &str, password: Option<&[u8]>) -> Option<Fit> {
        let Self::MqttBasic(basic) = self else {
            return None;
        };
        let differs = |stored: &str, given: &str| !stored.is_empty() && stored != given;
        if differs(&basic.client_id, client) || differs(&basic.username, user) {
            return Some(Fit::Other);
        }
        let right = basic.password.is_empty() || password == Some(basic.password.as_bytes());
        Some(if right { Fit::Fits } else { Fit::WrongPassword })
    }

    /// The API's name of the type.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::AccessToken(_) => "ACCESS_TOKEN",
            Self::MqttBasic(_) => "MQTT_BASIC",
            Self::X509(_) => "X509_CERTIFICATE",
        }
    }

    /// The protobuf enum's number of the type.
    pub(super) fn type_number(&self) -> i32 {
        match self {
            Self::AccessToken(_) => 0,
            Self::X509(_) => 1,
            Self::MqttBasic(_) => 2,
        }
    }

    /// As a device is told of them.
    pub(super) fn told(&self) -> Credentials {
        match self {
            Self::AccessToken(token) => Credentials::AccessToken((&**token).into()),
            Self::MqttBasic(basic) => {
                Credentials::mqtt_basic(&*basic.client_id, &*basic.username, &*basic.password)
            }
            Self::X509(certificate) => Credentials::X509 {
                certificate: certificate.value.to_string(),
            },
        }
    }

    /// The value as plain text: a token, a certificate, or the JSON object of MQTT basic.
    pub(super) fn value(&self) -> String {
        match self {
            Self::AccessToken(token) => token.to_string(),
            Self::X509(certificate) => certificate.value.to_string(),
            Self::MqttBasic(basic) => {
                let mut out = String::from("{\"clientId\":");
                quote(&basic.client_id, &mut out);
                out.push_str(",\"userName\":");
                quote(&basic.username, &mut out);
                out.push_str(",\"password\":");
                quote(&basic.password, &mut out);
                out.push('}');
                out
            }
        }
    }

    /// The value as it stands in a JSON answer.
    pub(super) fn value_json(&self, out: &mut String) {
        match self {
            Self::MqttBasic(_) => out.push_str(&self.value()),
            Self::AccessToken(text) => quote(text, out),
            Self::X509(certificate) => quote(&certificate.value, out),
        }
    }
}

/// The credentials id of a certificate: the hash of its base64 on one line, not of its DER
/// (section 1.3).
pub(super) fn certificate_id(der: &[u8]) -> String {
    sha3_hex(&STANDARD.encode(der))
}

/// Lower-case hexadecimal SHA3-256 of a text's UTF-8 bytes: how the platform identifies
/// certificates and client ids.
pub fn sha3_hex(text: &str) -> String {
    use std::fmt::Write as _;
    Sha3_256::digest(text.as_bytes())
        .iter()
        .fold(String::with_capacity(64), |mut out, byte| {
            let _ = write!(out, "{byte:02x}");
            out
        })
}

/// The credentials id of a client id, a user name, or both; empty = not given.
pub fn client_and_user_id(client_id: &str, username: &str) -> String {
    match (client_id.is_empty(), username.is_empty()) {
        (false, false) => sha3_hex(&format!("{client_id}|{username}")),
        (true, _) => sha3_hex(username),
        (_, true) => sha3_hex(client_id),
    }
}

/// A certificate text without its PEM header, footer and line breaks; nothing else is removed.
pub fn trim_certificate(text: &str) -> String {
    text.replace("-----BEGIN CERTIFICATE-----", "")
        .replace("-----END CERTIFICATE-----", "")
        .replace(['\n', '\r'], "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifies_texts_by_sha3() {
        for (text, id) in [
            (
                "test_clientId|test_username",
                "b9f1b0bf238dddae689babba0a210fe42bc97ddb07620b5a07d7208dd5528db2",
            ),
            (
                "test_clientId",
                "3eabb72fa0908cae833970e2d63c52fc584b5460205da426d34f6934efa40497",
            ),
            (
                "testHash",
                "57f6600424d6553263f1f32e0117012894a36fbf07e3e9c3c556272f86b7d985",
            ),
            (
                "",
                "a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a",
            ),
        ] {
            assert_eq!(sha3_hex(text), id);
        }
    }

    fn basic(client_id: &str, username: &str, password: &str) -> Result<String, Unfit> {
        let wanted = Wanted {
            client_id: client_id.into(),
            username: username.into(),
            password: password.into(),
            ..Wanted::default()
        };
        Stored::settle(Kind::MqttBasic, &wanted).map(|stored| stored.id().to_owned())
    }

    #[test]
    fn mqtt_basic_credentials_are_identified_by_what_was_given() {
        assert_eq!(basic("", "u", "p").as_deref(), Ok("u"));
        assert_eq!(basic("", "u", "").as_deref(), Ok("u"));
        assert_eq!(basic("c", "", ""), Ok(sha3_hex("c")));
        assert_eq!(basic("c", "u", "p"), Ok(sha3_hex("c|u")));
        assert_eq!(basic("c", "", "p"), Err(Unfit));
        assert_eq!(basic("", "", "p"), Err(Unfit));
    }

    #[test]
    fn a_kind_without_its_value_is_unfit() {
        let wanted = Wanted {
            username: "u".into(),
            ..Wanted::default()
        };
        assert!(Stored::settle(Kind::AccessToken, &wanted).is_err());
        assert!(Stored::settle(Kind::Lwm2m, &wanted).is_err());
        // An X.509 request without a certificate stores the empty text.
        let stored = Stored::settle(Kind::X509, &wanted).unwrap();
        assert_eq!((stored.id(), &*stored.value()), (&*sha3_hex(""), ""));
    }

    #[test]
    fn a_certificate_loses_header_footer_and_line_breaks_only() {
        let pem = "-----BEGIN CERTIFICATE-----\r\nAB CD\n\tEF\n-----END CERTIFICATE-----\n";
        assert_eq!(trim_certificate(pem), "AB CD\tEF");
    }

    #[test]
    fn empty_stored_values_are_not_checked() {
        let wanted = Wanted {
            username: "u".into(),
            password: "p".into(),
            ..Wanted::default()
        };
        let stored = Stored::settle(Kind::MqttBasic, &wanted).unwrap();
        assert_eq!(stored.fit("any", "u", Some(b"p")), Some(Fit::Fits));
        assert_eq!(stored.fit("any", "u", Some(b"x")), Some(Fit::WrongPassword));
        assert_eq!(stored.fit("any", "u", None), Some(Fit::WrongPassword));
        assert_eq!(stored.fit("any", "v", Some(b"p")), Some(Fit::Other));
        assert_eq!(
            stored.value(),
            r#"{"clientId":"","userName":"u","password":"p"}"#
        );
    }
}
