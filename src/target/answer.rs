//! Provision answers as bytes: JSON in the platform's key order, or protobuf.

use prost::Message;

use super::credentials::Stored;
use super::protobuf::ResponseMessage;

/// What the core decided.
#[derive(Clone)]
pub(super) enum Answer {
    /// The device has these credentials.
    Success(Stored),
    /// Key or secret are wrong, or the profile does not provision.
    NotFound,
    /// The name is taken, unknown, provisioned already, or its credentials do not do.
    Failure,
    /// These bytes, on purpose.
    Noise(Vec<u8>),
}

impl Answer {
    pub(super) fn is_success(&self) -> bool {
        matches!(self, Self::Success(_))
    }

    /// The bytes in the form that the requester is spoken to in.
    pub(super) fn bytes(&self, protobuf: bool) -> Vec<u8> {
        if protobuf {
            self.protobuf()
        } else {
            self.json()
        }
    }

    fn json(&self) -> Vec<u8> {
        match self {
            Self::NotFound => {
                br#"{"errorMsg":"Provision data was not found!","status":"NOT_FOUND"}"#.to_vec()
            }
            Self::Failure => {
                br#"{"errorMsg":"Failed to provision device!","status":"FAILURE"}"#.to_vec()
            }
            Self::Noise(noise) => noise.clone(),
            Self::Success(stored) => {
                let mut out = String::from("{\"credentialsValue\":");
                stored.value_json(&mut out);
                out.push_str(",\"credentialsType\":\"");
                out.push_str(stored.type_name());
                out.push_str("\",\"status\":\"SUCCESS\"}");
                out.into_bytes()
            }
        }
    }

    fn protobuf(&self) -> Vec<u8> {
        let message = match self {
            Self::Noise(noise) => return noise.clone(),
            Self::Success(stored) => ResponseMessage {
                status: 1,
                credentials_type: stored.type_number(),
                credentials_value: stored.value(),
            },
            Self::NotFound => ResponseMessage {
                status: 2,
                ..ResponseMessage::default()
            },
            Self::Failure => ResponseMessage {
                status: 3,
                ..ResponseMessage::default()
            },
        };
        message.encode_to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::super::credentials::{Kind, Wanted};
    use super::*;

    fn success(kind: Kind, wanted: &Wanted) -> Answer {
        Answer::Success(Stored::settle(kind, wanted).unwrap())
    }

    #[test]
    fn json_has_the_order_of_the_platform() {
        let wanted = Wanted {
            token: "t=<>&\"".into(),
            client_id: "c".into(),
            username: "u".into(),
            password: "p".into(),
            certificate: "MII=".into(),
        };
        for (answer, json) in [
            (
                success(Kind::AccessToken, &wanted),
                r#"{"credentialsValue":"t=<>&\"","credentialsType":"ACCESS_TOKEN","status":"SUCCESS"}"#,
            ),
            (
                success(Kind::MqttBasic, &wanted),
                r#"{"credentialsValue":{"clientId":"c","userName":"u","password":"p"},"credentialsType":"MQTT_BASIC","status":"SUCCESS"}"#,
            ),
            (
                success(Kind::X509, &wanted),
                r#"{"credentialsValue":"MII=","credentialsType":"X509_CERTIFICATE","status":"SUCCESS"}"#,
            ),
        ] {
            assert_eq!(answer.bytes(false), json.as_bytes());
        }
    }

    #[test]
    fn protobuf_leaves_zeros_out() {
        assert_eq!(Answer::NotFound.bytes(true), [8, 2]);
        assert_eq!(Answer::Failure.bytes(true), [8, 3]);
        let wanted = Wanted {
            token: "tok".into(),
            certificate: "MII".into(),
            ..Wanted::default()
        };
        assert_eq!(
            success(Kind::AccessToken, &wanted).bytes(true),
            b"\x08\x01\x1a\x03tok"
        );
        assert_eq!(
            success(Kind::X509, &wanted).bytes(true),
            b"\x08\x01\x10\x01\x1a\x03MII"
        );
    }
}
