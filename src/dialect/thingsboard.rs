//! ThingsBoard's device provisioning and telemetry, as sections 1, 2, 4, 6 and 9 of the wire
//! specification state it.

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::model::{
    Credentials, FaultKind, Login, Protocol, Qos, Reply, Request, Route, Status, TransportKind,
};

/// One device profile's provisioning, as seen from its devices.
#[derive(Debug)]
pub struct ThingsBoard {
    provision_key: SecretString,
    provision_secret: SecretString,
}

/// What a provision answer means.
#[derive(Debug)]
pub enum Answer {
    /// SUCCESS, with the credentials that the server stored.
    Provisioned(Credentials),
    /// The server said no in its API's words: `NotFound` or `Failure`.
    Refused(FaultKind),
    /// Neither of both.
    Unusable {
        /// What is wrong with it.
        kind: FaultKind,
        /// Whether the server may have provisioned the device all the same.
        in_doubt: bool,
    },
}

impl ThingsBoard {
    /// A profile known by its provision key and secret.
    pub fn new(provision_key: SecretString, provision_secret: SecretString) -> Self {
        Self {
            provision_key,
            provision_secret,
        }
    }

    /// The login of a provisioning session: user name `provision`, any client id (section 3.1).
    pub fn provision_login(&self, name: &str) -> Login {
        Login {
            client_id: name.to_owned(),
            username: Some(SecretString::from(PROVISION)),
            password: None,
        }
    }

    /// The request that provisions `name`, with the device's own access token if it brings one
    /// (section 1.1).
    pub fn provision_request(
        &self,
        transport: TransportKind,
        name: &str,
        token: Option<&SecretString>,
    ) -> Request {
        let body = serde_json::to_vec(&ProvisionRequest {
            device_name: name,
            provision_device_key: self.provision_key.expose_secret(),
            provision_device_secret: self.provision_secret.expose_secret(),
            credentials_type: token.map(|_| "ACCESS_TOKEN"),
            token: token.map(ExposeSecret::expose_secret),
        })
        .expect("a struct of strings serialises");
        let route = match transport.protocol() {
            Protocol::Mqtt => Route::Topic {
                publish: "/provision/request",
                reply: Some("/provision/response"),
                qos: Qos::AtLeastOnce,
            },
            Protocol::Http | Protocol::Coap => Route::Resource {
                path: SecretString::from("/api/v1/provision"),
            },
        };
        Request {
            route,
            body: Bytes::from(body),
        }
    }

    /// What the server's reply to a provision request means (sections 2.4 and 9).
    pub fn provision_answer(&self, reply: &Reply) -> Answer {
        let carries_json = match reply.status {
            Status::Topic | Status::Http(200) => true,
            // NOT_FOUND and FAILURE come as 4.00 with the JSON; malformed requests without.
            Status::Coap(code) => is_coap_success(code) || !reply.body.is_empty(),
            _ => false,
        };
        if carries_json && let Some(answer) = answer_in_words(&reply.body) {
            return answer;
        }
        match reply.status {
            // An error status in a form of its own says that the request failed, but a failure on
            // the server's side may have come after the device was created.
            Status::Http(status) if status != 200 => Answer::Unusable {
                kind: FaultKind::HttpStatus(status),
                in_doubt: status >= 500,
            },
            Status::Coap(code) if !is_coap_success(code) => Answer::Unusable {
                kind: FaultKind::CoapCode(code),
                in_doubt: code >> 5 == 5,
            },
            Status::Topic | Status::Http(_) | Status::Coap(_) => Answer::Unusable {
                kind: FaultKind::MalformedAnswer,
                in_doubt: true,
            },
            // No answer follows. What is no publish of the server's was not looked at.
            Status::PubackReason(code) => Answer::Unusable {
                kind: FaultKind::PubackReason(code),
                in_doubt: !matches!(code, 0x87 | 0x90 | 0x99),
            },
            Status::Acknowledged | Status::Unacknowledged => Answer::Unusable {
                kind: FaultKind::UnexpectedPacket,
                in_doubt: true,
            },
        }
    }

    /// The MQTT login of a provisioned device (section 4.1); transports without a login ignore it.
    /// `None` when the credentials need a client certificate.
    pub fn device_login(&self, name: &str, credentials: &Credentials) -> Option<Login> {
        match credentials {
            Credentials::AccessToken(token) => Some(Login {
                // A client id `provision` would open a provisioning session.
                client_id: if name == PROVISION {
                    String::new()
                } else {
                    name.to_owned()
                },
                username: Some(token.clone()),
                password: None,
            }),
            Credentials::MqttBasic {
                client_id,
                username,
                password,
            } => {
                let some = |text: &str| (!text.is_empty()).then(|| SecretString::from(text));
                Some(Login {
                    client_id: if client_id.is_empty() {
                        name
                    } else {
                        client_id
                    }
                    .to_owned(),
                    username: some(username),
                    password: some(password.expose_secret()),
                })
            }
            Credentials::X509 { .. } => None,
        }
    }

    /// A telemetry message (section 6). `None` when the transport cannot carry the credentials:
    /// HTTP and CoAP take access tokens only.
    pub fn telemetry_request(
        &self,
        transport: TransportKind,
        credentials: &Credentials,
        qos: Qos,
        payload: Bytes,
    ) -> Option<Request> {
        let route = match (transport.protocol(), credentials) {
            (Protocol::Mqtt, _) => Route::Topic {
                publish: "v1/devices/me/telemetry",
                reply: None,
                qos,
            },
            (Protocol::Http | Protocol::Coap, Credentials::AccessToken(token)) => {
                let token = utf8_percent_encode(token.expose_secret(), PATH_SEGMENT);
                Route::Resource {
                    path: format!("/api/v1/{token}/telemetry").into(),
                }
            }
            _ => return None,
        };
        Some(Request {
            route,
            body: payload,
        })
    }

    /// Whether the server took the telemetry: `Ok(true)` when it said so, `Ok(false)` when nothing
    /// can say so (QoS 0).
    pub fn telemetry_answer(&self, reply: &Reply) -> Result<bool, FaultKind> {
        match reply.status {
            Status::Acknowledged | Status::Http(200) => Ok(true),
            Status::Unacknowledged => Ok(false),
            Status::Coap(code) if is_coap_success(code) => Ok(true),
            Status::Http(status) => Err(FaultKind::HttpStatus(status)),
            Status::Coap(code) => Err(FaultKind::CoapCode(code)),
            Status::PubackReason(code) => Err(FaultKind::PubackReason(code)),
            Status::Topic => Err(FaultKind::UnexpectedPacket),
        }
    }
}

/// Key order as in the specification's examples.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProvisionRequest<'a> {
    device_name: &'a str,
    provision_device_key: &'a str,
    provision_device_secret: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    credentials_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
}

/// The answer, if the body is one of the API's; `None` when it is not JSON or has no status.
fn answer_in_words(body: &[u8]) -> Option<Answer> {
    let json: Map<String, Value> = serde_json::from_slice(body).ok()?;
    let status = json
        .get("status")
        .or_else(|| json.get("provisionDeviceStatus"))?
        .as_str()?;
    Some(match status {
        "SUCCESS" => match credentials(&json) {
            Some(credentials) => Answer::Provisioned(credentials),
            None => Answer::Unusable {
                kind: FaultKind::AnswerWithoutCredentials,
                in_doubt: true,
            },
        },
        "NOT_FOUND" => Answer::Refused(FaultKind::NotFound),
        "FAILURE" => Answer::Refused(FaultKind::Failure),
        _ => Answer::Unusable {
            kind: FaultKind::UnknownStatus,
            in_doubt: true,
        },
    })
}

fn credentials(json: &Map<String, Value>) -> Option<Credentials> {
    let text = |key: &str| json.get(key)?.as_str().filter(|text| !text.is_empty());
    match text("credentialsType").unwrap_or("ACCESS_TOKEN") {
        "ACCESS_TOKEN" => {
            let token = text("credentialsValue").or_else(|| text("accessToken"))?;
            Some(Credentials::AccessToken(SecretString::from(token)))
        }
        "MQTT_BASIC" => mqtt_basic(json.get("credentialsValue")?),
        "X509_CERTIFICATE" => Some(Credentials::X509 {
            certificate: text("credentialsValue")?.to_owned(),
        }),
        _ => None,
    }
}

/// An object, or the same object as a JSON text.
fn mqtt_basic(value: &Value) -> Option<Credentials> {
    let parsed: Value;
    let object = match value {
        Value::Object(object) => object,
        Value::String(text) => {
            parsed = serde_json::from_str(text).ok()?;
            parsed.as_object()?
        }
        _ => return None,
    };
    let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
    let (client_id, username) = (text("clientId").to_owned(), text("userName").to_owned());
    if client_id.is_empty() && username.is_empty() {
        return None;
    }
    Some(Credentials::MqttBasic {
        client_id,
        username,
        password: text("password").into(),
    })
}

fn is_coap_success(code: u8) -> bool {
    code >> 5 == 2
}

/// The user name that opens a provisioning session.
const PROVISION: &str = "provision";

/// What a path segment may not hold as it is: all but RFC 3986's unreserved characters.
const PATH_SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

#[cfg(test)]
mod tests {
    use super::*;

    fn dialect() -> ThingsBoard {
        ThingsBoard::new("K".into(), "S".into())
    }

    fn answer(status: Status, body: &str) -> Answer {
        dialect().provision_answer(&Reply {
            status,
            body: Bytes::copy_from_slice(body.as_bytes()),
        })
    }

    fn token_of(answer: &Answer) -> Option<&str> {
        match answer {
            Answer::Provisioned(Credentials::AccessToken(token)) => Some(token.expose_secret()),
            _ => None,
        }
    }

    #[test]
    fn asks_in_the_words_of_the_specification() {
        let request = dialect().provision_request(TransportKind::Mqtt, "D1", None);
        assert_eq!(
            request.body,
            r#"{"deviceName":"D1","provisionDeviceKey":"K","provisionDeviceSecret":"S"}"#
        );
        let request = dialect().provision_request(TransportKind::Http, "D1", Some(&"tok".into()));
        assert_eq!(
            request.body,
            r#"{"deviceName":"D1","provisionDeviceKey":"K","provisionDeviceSecret":"S","credentialsType":"ACCESS_TOKEN","token":"tok"}"#
        );
    }

    #[test]
    fn understands_every_spelling_of_success() {
        for body in [
            r#"{"credentialsValue":"tok","credentialsType":"ACCESS_TOKEN","status":"SUCCESS"}"#,
            r#"{"provisionDeviceStatus":"SUCCESS","credentialsType":"ACCESS_TOKEN","accessToken":"tok"}"#,
            r#"{"status":"SUCCESS","credentialsValue":"tok","later":{"unknown":[1]}}"#,
        ] {
            assert_eq!(
                token_of(&answer(Status::Topic, body)),
                Some("tok"),
                "{body}"
            );
        }
    }

    #[test]
    fn understands_mqtt_basic_as_object_and_as_text() {
        for body in [
            r#"{"credentialsValue":{"clientId":"","userName":"u","password":"p"},"credentialsType":"MQTT_BASIC","status":"SUCCESS"}"#,
            r#"{"credentialsValue":"{\"userName\":\"u\",\"password\":\"p\"}","credentialsType":"MQTT_BASIC","status":"SUCCESS"}"#,
        ] {
            let Answer::Provisioned(credentials) = answer(Status::Http(200), body) else {
                panic!("{body}")
            };
            let login = dialect().device_login("D1", &credentials).unwrap();
            assert_eq!(login.client_id, "D1");
            assert_eq!(login.username.unwrap().expose_secret(), "u");
            assert_eq!(login.password.unwrap().expose_secret(), "p");
        }
    }

    #[test]
    fn refusals_are_told_from_failures() {
        let not_found = r#"{"errorMsg":"Provision data was not found!","status":"NOT_FOUND"}"#;
        let failure = r#"{"errorMsg":"Failed to provision device!","status":"FAILURE"}"#;
        for (status, body, kind) in [
            (Status::Topic, not_found, FaultKind::NotFound),
            (Status::Http(200), failure, FaultKind::Failure),
            (Status::Coap(0x80), not_found, FaultKind::NotFound),
            (Status::Coap(0x80), failure, FaultKind::Failure),
        ] {
            let Answer::Refused(found) = answer(status, body) else {
                panic!("{status:?} {body}")
            };
            assert_eq!(found, kind);
        }
    }

    #[test]
    fn an_answer_that_leaves_doubt_is_not_called_a_failure() {
        use FaultKind::*;
        for (status, body, kind, in_doubt) in [
            (
                Status::Topic,
                r#"{"credentialsValue":"ABC"#,
                MalformedAnswer,
                true,
            ),
            (Status::Topic, "", MalformedAnswer, true),
            (Status::Http(200), "[]", MalformedAnswer, true),
            (
                Status::Http(200),
                r#"{"status":"SUCCESS"}"#,
                AnswerWithoutCredentials,
                true,
            ),
            (
                Status::Http(200),
                r#"{"status":"SUCCESS","credentialsValue":""}"#,
                AnswerWithoutCredentials,
                true,
            ),
            (
                Status::Topic,
                r#"{"credentialsType":"LWM2M_CREDENTIALS","status":"SUCCESS"}"#,
                AnswerWithoutCredentials,
                true,
            ),
            (Status::Topic, r#"{"status":"MAYBE"}"#, UnknownStatus, true),
            (Status::Http(500), "", HttpStatus(500), true),
            (Status::Http(400), "{}", HttpStatus(400), false),
            (Status::Http(301), "", HttpStatus(301), false),
            (Status::Coap(0x80), "", CoapCode(0x80), false),
            (Status::Coap(0xA0), "", CoapCode(0xA0), true),
        ] {
            let Answer::Unusable {
                kind: found,
                in_doubt: doubt,
            } = answer(status, body)
            else {
                panic!("{status:?} {body}")
            };
            assert_eq!((found, doubt), (kind, in_doubt), "{status:?} {body}");
        }
    }

    #[test]
    fn a_token_is_one_segment_of_a_path() {
        let token = Credentials::AccessToken("a/b?c d".into());
        let payload = Bytes::from_static(b"{}");
        let path = |transport| {
            let request =
                dialect().telemetry_request(transport, &token, Qos::AtLeastOnce, payload.clone());
            match request.unwrap().route {
                Route::Resource { path } => path.expose_secret().to_owned(),
                Route::Topic { publish, .. } => publish.to_owned(),
            }
        };
        assert_eq!(path(TransportKind::Http), "/api/v1/a%2Fb%3Fc%20d/telemetry");
        assert_eq!(path(TransportKind::Coap), "/api/v1/a%2Fb%3Fc%20d/telemetry");
        assert_eq!(path(TransportKind::Mqtt), "v1/devices/me/telemetry");
    }

    #[test]
    fn a_device_named_provision_does_not_open_a_provisioning_session() {
        let login = dialect()
            .device_login("provision", &Credentials::AccessToken("tok".into()))
            .unwrap();
        assert_ne!(login.client_id, "provision");
    }

    #[test]
    fn nothing_secret_shows_in_debug_output() {
        let dialect = ThingsBoard::new("KEY-SECRET".into(), "SECRET-SECRET".into());
        let request =
            dialect.provision_request(TransportKind::Http, "D1", Some(&"TOK-SECRET".into()));
        let success = answer(
            Status::Topic,
            r#"{"status":"SUCCESS","credentialsValue":"TOK-SECRET"}"#,
        );
        let text = format!("{dialect:?} {request:?} {success:?}");
        assert!(!text.contains("-SECRET"), "{text}");
    }
}
