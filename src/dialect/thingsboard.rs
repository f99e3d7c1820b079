//! ThingsBoard's device provisioning and telemetry, as sections 1, 2, 4, 6 and 9 of the wire
//! specification state it.

#[cfg(test)]
mod tests;

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::model::{
    Credentials, FaultKind, Login, Protocol, Qos, Reply, ReplyTopic, Request, Route, Status,
    TransportKind,
};

/// One device profile's provisioning, as seen from its devices.
#[derive(Clone, Debug)]
pub struct ThingsBoard {
    provision_key: SecretString,
    provision_secret: SecretString,
    /// Whether whoever asks is to be a gateway.
    for_gateways: bool,
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
            for_gateways: false,
        }
    }

    /// The same profile, as devices ask that are to be gateways. Releases before 3.8 do not look
    /// at that.
    #[must_use]
    pub fn for_gateways(&self) -> Self {
        Self {
            for_gateways: true,
            ..self.clone()
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

    /// The same profile asked with a secret that is not its own.
    #[must_use]
    pub fn with_wrong_secret(&self) -> Self {
        Self {
            provision_secret: wrong(&self.provision_secret),
            ..self.clone()
        }
    }

    /// A profile that does not exist.
    #[must_use]
    pub fn with_wrong_key(&self) -> Self {
        Self {
            provision_key: wrong(&self.provision_key),
            ..self.clone()
        }
    }

    /// The request that provisions `name`, with the device's own credentials if it brings some
    /// (section 1.1).
    pub fn provision_request(
        &self,
        transport: TransportKind,
        name: &str,
        own: Option<&Credentials>,
    ) -> Request {
        let mut request = ProvisionRequest {
            device_name: name,
            provision_device_key: self.provision_key.expose_secret(),
            provision_device_secret: self.provision_secret.expose_secret(),
            credentials_type: own.map(Credentials::type_name),
            gateway: self.for_gateways,
            ..ProvisionRequest::default()
        };
        match own {
            None => {}
            Some(Credentials::AccessToken(token)) => request.token = Some(token.expose_secret()),
            Some(Credentials::MqttBasic(basic)) => {
                let some = |text| Some(text).filter(|text: &&str| !text.is_empty());
                request.username = some(&basic.username);
                request.password = some(basic.password.expose_secret());
                request.client_id = some(&basic.client_id);
            }
            // The certificate itself, whatever the field is called (section 1.3).
            Some(Credentials::X509 { certificate }) => request.hash = Some(certificate),
        }
        let body = serde_json::to_vec(&request).expect("a struct of strings serialises");
        let route = match transport.protocol() {
            Protocol::Mqtt => Route::Topic {
                publish: "/provision/request".into(),
                reply: Some(ReplyTopic::only("/provision/response")),
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
    /// With a certificate the TLS handshake says who it is, and the login nothing (section 4.4).
    pub fn device_login(&self, name: &str, credentials: &Credentials) -> Login {
        // A client id `provision` would open a provisioning session.
        let name = if name == PROVISION { "" } else { name };
        match credentials {
            Credentials::AccessToken(token) => Login {
                client_id: name.to_owned(),
                username: Some(token.clone()),
                password: None,
            },
            Credentials::MqttBasic(basic) => {
                let some = |text: &str| (!text.is_empty()).then(|| SecretString::from(text));
                Login {
                    client_id: if basic.client_id.is_empty() {
                        name
                    } else {
                        &basic.client_id
                    }
                    .to_owned(),
                    username: some(&basic.username),
                    password: some(basic.password.expose_secret()),
                }
            }
            Credentials::X509 { .. } => Login {
                client_id: name.to_owned(),
                ..Login::default()
            },
        }
    }

    /// A telemetry message (section 6). `None` when the transport cannot carry the credentials:
    /// HTTP takes access tokens only, CoAP also certificates, over DTLS.
    pub fn telemetry_request(
        &self,
        transport: TransportKind,
        credentials: &Credentials,
        qos: Qos,
        payload: Bytes,
    ) -> Option<Request> {
        let route = TELEMETRY.route(transport, credentials, qos)?;
        Some(Request {
            route,
            body: payload,
        })
    }

    /// A message of client attributes (section 6); the same goes for it as for telemetry.
    pub fn attributes_request(
        &self,
        transport: TransportKind,
        credentials: &Credentials,
        qos: Qos,
        payload: Bytes,
    ) -> Option<Request> {
        let route = ATTRIBUTES.route(transport, credentials, qos)?;
        Some(Request {
            route,
            body: payload,
        })
    }

    /// What the server answers by whether it knows the credentials, and changes nothing: no
    /// attributes. `Ok(None)` over MQTT, where CONNACK says it; `Err` where the transport cannot
    /// carry them.
    pub fn presence_request(
        &self,
        transport: TransportKind,
        credentials: &Credentials,
    ) -> Result<Option<Request>, Uncarried> {
        if transport.protocol() == Protocol::Mqtt {
            return Ok(None);
        }
        let nothing = Bytes::from_static(b"{}");
        let request = self.attributes_request(transport, credentials, Qos::AtLeastOnce, nothing);
        request.map(Some).ok_or(Uncarried)
    }

    /// Whether the server took telemetry or attributes: `Ok(true)` when it said so, `Ok(false)` when nothing
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

/// A transport cannot carry the credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uncarried;

/// A part of the device API that takes what devices report.
struct Feature {
    topic: &'static str,
    /// The end of its path.
    name: &'static str,
}

impl Feature {
    fn route(
        &self,
        transport: TransportKind,
        credentials: &Credentials,
        qos: Qos,
    ) -> Option<Route> {
        let Self { topic, name } = self;
        Some(match transport.protocol() {
            Protocol::Mqtt => Route::Topic {
                publish: (*topic).into(),
                reply: None,
                qos,
            },
            _ => Route::Resource {
                path: device_path(transport, credentials, name)?,
            },
        })
    }
}

/// The path of a resource of the device API over HTTP and CoAP; `None` when the transport cannot
/// carry the credentials.
pub(super) fn device_path(
    transport: TransportKind,
    credentials: &Credentials,
    rest: &str,
) -> Option<SecretString> {
    match (transport.protocol(), credentials) {
        (Protocol::Http | Protocol::Coap, Credentials::AccessToken(token)) => {
            let token = utf8_percent_encode(token.expose_secret(), PATH_SEGMENT);
            Some(format!("/api/v1/{token}/{rest}").into())
        }
        (Protocol::Coap, Credentials::X509 { .. }) if transport.is_secure() => {
            Some(format!("/api/v1/{rest}").into())
        }
        _ => None,
    }
}

/// A value that differs from the right one, and from what anybody would configure.
fn wrong(right: &SecretString) -> SecretString {
    format!("{}-wrong", right.expose_secret()).into()
}

/// Key order as in the specification's examples.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct ProvisionRequest<'a> {
    device_name: &'a str,
    provision_device_key: &'a str,
    provision_device_secret: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    credentials_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    gateway: bool,
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
    Some(Credentials::mqtt_basic(
        client_id,
        username,
        text("password"),
    ))
}

fn is_coap_success(code: u8) -> bool {
    code >> 5 == 2
}

const TELEMETRY: Feature = Feature {
    topic: "v1/devices/me/telemetry",
    name: "telemetry",
};

const ATTRIBUTES: Feature = Feature {
    topic: "v1/devices/me/attributes",
    name: "attributes",
};

/// The user name that opens a provisioning session.
const PROVISION: &str = "provision";

/// What a path segment may not hold as it is: all but RFC 3986's unreserved characters.
const PATH_SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
