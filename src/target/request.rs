//! Takes a provision request apart: JSON as the platform reads it, protobuf if that fails. It
//! judges form only; whether key, secret and name are right is `rules`' business.

use prost::Message;

use super::credentials::{Kind, Wanted};
use super::gson::{self, Node, Unreadable};
use super::protobuf::RequestMessage;

/// A provision request, understood. An absent field is an empty one.
#[derive(Default)]
pub(super) struct Request {
    pub(super) name: String,
    pub(super) key: String,
    pub(super) secret: String,
    pub(super) kind: Kind,
    pub(super) wanted: Wanted,
    pub(super) gateway: bool,
}

/// Why a request is not understood; the transports show the three classes differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Malformed {
    /// Not a JSON object.
    Parse(String),
    /// A field is a list that does not have one element.
    State(String),
    /// A field is missing, null or an object, or names an unknown credentials type.
    Runtime(String),
}

impl Malformed {
    /// The text for people; may repeat the request, so it never reaches a log.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Parse(text) | Self::State(text) | Self::Runtime(text) => text,
        }
    }
}

impl Request {
    /// Reads the JSON form.
    pub(super) fn from_json(payload: &[u8]) -> Result<Self, Malformed> {
        let text = String::from_utf8_lossy(payload);
        let node = gson::parse(&text).map_err(Malformed::Parse)?;
        if !matches!(node, Node::Object(_)) {
            let mut text = String::from("Not a JSON Object: ");
            node.write(&mut text);
            return Err(Malformed::Parse(text));
        }
        Ok(Self {
            name: optional(&node, "deviceName")?,
            kind: kind(&node)?,
            wanted: Wanted {
                token: optional(&node, "token")?,
                client_id: optional(&node, "clientId")?,
                username: optional(&node, "username")?,
                password: optional(&node, "password")?,
                certificate: optional(&node, "hash")?,
            },
            key: required(&node, "provisionDeviceKey")?,
            secret: required(&node, "provisionDeviceSecret")?,
            gateway: match node.get("gateway") {
                None => false,
                Some(value) => value.as_flag().map_err(|e| unreadable("gateway", e))?,
            },
        })
    }

    /// Reads the protobuf form; `None` if it is not that either.
    pub(super) fn from_protobuf(payload: &[u8]) -> Option<Self> {
        let message = RequestMessage::decode(payload).ok()?;
        let profile = message.profile.unwrap_or_default();
        let wanted = message.wanted.unwrap_or_default();
        let basic = wanted.basic.unwrap_or_default();
        Some(Self {
            name: message.device_name,
            key: profile.key,
            secret: profile.secret,
            kind: Kind::from_number(message.credentials_type)?,
            wanted: Wanted {
                token: wanted.token.unwrap_or_default().text,
                client_id: basic.client_id,
                username: basic.user_name,
                password: basic.password,
                certificate: wanted.certificate.unwrap_or_default().text,
            },
            gateway: message.gateway,
        })
    }
}

fn kind(node: &Node) -> Result<Kind, Malformed> {
    let Some(value) = node.get("credentialsType") else {
        return Ok(Kind::default());
    };
    let name = value
        .as_text()
        .map_err(|e| unreadable("credentialsType", e))?;
    Kind::from_name(&name)
        .ok_or_else(|| Malformed::Runtime(format!("No enum constant CredentialsType.{name}")))
}

fn optional(node: &Node, field: &str) -> Result<String, Malformed> {
    match node.get(field) {
        None => Ok(String::new()),
        Some(value) => value.as_text().map_err(|e| unreadable(field, e)),
    }
}

fn required(node: &Node, field: &str) -> Result<String, Malformed> {
    if node.get(field).is_none() {
        let mut body = String::new();
        node.write(&mut body);
        return Err(Malformed::Runtime(format!(
            "Failed to find the field {field} in JSON body {body}!"
        )));
    }
    optional(node, field)
}

fn unreadable(field: &str, how: Unreadable) -> Malformed {
    match how {
        Unreadable::List => {
            Malformed::State(format!("{field}: Array must have size 1, but has another"))
        }
        Unreadable::Shape => Malformed::Runtime(format!("{field}: not a value")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(json: &str) -> &'static str {
        match Request::from_json(json.as_bytes()) {
            Ok(_) => "-",
            Err(Malformed::Parse(_)) => "P",
            Err(Malformed::State(_)) => "S",
            Err(Malformed::Runtime(_)) => "R",
        }
    }

    #[test]
    fn sorts_malformed_requests_into_three_classes() {
        let with = |field: &str| {
            format!(r#"{{"provisionDeviceKey":"K","provisionDeviceSecret":"S",{field}}}"#)
        };
        for (json, wanted) in [
            (String::new(), "P"),
            ("null".into(), "P"),
            ("[]".into(), "P"),
            ("\"text\"".into(), "P"),
            ("{not json".into(), "P"),
            ("{} x".into(), "P"),
            (with("deviceName:[]"), "S"),
            (with("token:[a,b]"), "S"),
            (with("deviceName:null"), "R"),
            (with("deviceName:{}"), "R"),
            (with("credentialsType:X509"), "R"),
            (with("credentialsType:access_token"), "R"),
            (with("gateway:null"), "R"),
            (r#"{"provisionDeviceKey":"K"}"#.into(), "R"),
            (r#"{"provisionDeviceSecret":"S"}"#.into(), "R"),
            (with("deviceName:[n]"), "-"),
            (with("unknown:null"), "-"),
        ] {
            assert_eq!(class(&json), wanted, "{json}");
        }
    }

    #[test]
    fn reads_numbers_and_flags_as_text() {
        let request = Request::from_json(
            br#"{provisionDeviceKey:1.50,provisionDeviceSecret:true,deviceName:5,gateway:"TRUE"}"#,
        )
        .unwrap();
        assert_eq!(
            (
                &*request.key,
                &*request.secret,
                &*request.name,
                request.gateway
            ),
            ("1.50", "true", "5", true)
        );
    }

    #[test]
    fn names_the_missing_field_with_the_compact_body() {
        let fault = Request::from_json(b"{ \"deviceName\" : 'D1' }")
            .err()
            .unwrap();
        assert_eq!(
            fault.text(),
            "Failed to find the field provisionDeviceKey in JSON body {\"deviceName\":\"D1\"}!"
        );
    }

    #[test]
    fn reads_the_protobuf_form() {
        let bytes = b"\x0a\x02D1\x1a\x06\x0a\x01K\x12\x01S\x22\x07\x0a\x05\x0a\x03tok";
        let request = Request::from_protobuf(bytes).unwrap();
        assert_eq!(
            (
                &*request.name,
                &*request.key,
                &*request.secret,
                &*request.wanted.token
            ),
            ("D1", "K", "S", "tok")
        );
        assert!(Request::from_protobuf(b"").is_some());
        assert!(Request::from_protobuf(b"{oops").is_none());
    }
}
