//! What a device proves itself with. Secret values never print: `Debug` shows `[REDACTED]`.

use secrecy::{ExposeSecret, SecretString};

/// Credentials as the server issued or confirmed them.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// ThingsBoard `ACCESS_TOKEN`: the MQTT user name, or a part of the HTTP and CoAP path.
    AccessToken(SecretString),
    /// ThingsBoard `MQTT_BASIC`; an empty value means that the server does not look at it.
    /// Boxed: rare, and every device has room for its credentials.
    MqttBasic(Box<MqttBasic>),
    /// ThingsBoard `X509_CERTIFICATE`: the certificate as base64 of its DER, on one line.
    X509 {
        /// The text the server stored.
        certificate: String,
    },
}

/// What ThingsBoard's `MQTT_BASIC` looks at.
#[derive(Clone, Debug)]
pub struct MqttBasic {
    /// The client id the server expects, empty for any.
    pub client_id: String,
    /// The user name the server expects, empty for none.
    pub username: String,
    /// The password the server expects, empty for any.
    pub password: SecretString,
}

impl Credentials {
    /// ThingsBoard's `MQTT_BASIC`; empty for what the server does not look at.
    pub fn mqtt_basic(
        client_id: impl Into<String>,
        username: impl Into<String>,
        password: impl Into<SecretString>,
    ) -> Self {
        Self::MqttBasic(Box::new(MqttBasic {
            client_id: client_id.into(),
            username: username.into(),
            password: password.into(),
        }))
    }

    /// Whether both are the same, value for value.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::AccessToken(a), Self::AccessToken(b)) => a.expose_secret() == b.expose_secret(),
            (Self::MqttBasic(a), Self::MqttBasic(b)) => {
                (&a.client_id, &a.username, a.password.expose_secret())
                    == (&b.client_id, &b.username, b.password.expose_secret())
            }
            (Self::X509 { certificate: a }, Self::X509 { certificate: b }) => a == b,
            _ => false,
        }
    }

    /// The type as ThingsBoard's API spells it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::AccessToken(_) => "ACCESS_TOKEN",
            Self::MqttBasic(_) => "MQTT_BASIC",
            Self::X509 { .. } => "X509_CERTIFICATE",
        }
    }
}

/// What an MQTT CONNECT carries; transports without a login ignore it.
#[derive(Clone, Debug, Default)]
pub struct Login {
    /// The client identifier; may be empty in MQTT 3.1.1 with a clean session.
    pub client_id: String,
    /// The user name; an access token is one, hence secret.
    pub username: Option<SecretString>,
    /// The password.
    pub password: Option<SecretString>,
}
